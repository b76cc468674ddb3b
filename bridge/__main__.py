"""`python -m bridge --config FILE`: one bridge process, with the roles its configuration names."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bridge.config import load_config
from node.config import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration and run; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bridge", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file of this process")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from bridge.app import process  # imported late: usage errors answer at once

    return process.main(config)


if __name__ == "__main__":
    sys.exit(main())
