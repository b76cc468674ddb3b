"""`python -m sequencer --config FILE`: one L2 process, a sequencer or a replica."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from node.config import ConfigError
from sequencer.config import load_config


def main(arguments: list[str] | None = None) -> int:
    """Read the configuration and run; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sequencer", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file of this process")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from sequencer.app import process  # imported late: usage errors answer at once

    return process.main(config)


if __name__ == "__main__":
    sys.exit(main())
