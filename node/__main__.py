"""`python -m node --config FILE`: one L1 node."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from node.config import ConfigError, load_config


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration and run, or move a signing history; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m node", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file of this process")
    history = parser.add_mutually_exclusive_group()
    history.add_argument(
        "--export-protection",
        action="store_true",
        help="print the keys' signing history (EIP-3076) and stop",
    )
    history.add_argument(
        "--import-protection",
        type=Path,
        metavar="FILE",
        help="merge a signing history (EIP-3076) and stop",
    )
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from node.app import process  # imported late: usage errors answer at once

    if options.export_protection or options.import_protection is not None:
        return process.move_history(config, options.import_protection)
    return process.main(config)


if __name__ == "__main__":
    sys.exit(main())
