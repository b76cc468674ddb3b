"""The console script `faultline`: deploy.cli, also where PYTHONPATH leads to a `deploy.py` of somebody else's.

Our packages are found by their place and loaded before anything of their names can be; the path is as it was afterwards.
"""

import sys
from importlib import import_module
from pathlib import Path

# Beside this package, or where an editable install points to.
_folders = [Path(__file__).resolve().parents[1], *map(Path, sys.path)]


def main() -> int:
    """Run the command line; gives the exit code."""
    home = next(folder for folder in _folders if (folder / "deploy" / "interpreting.py").is_file())
    sys.path.insert(0, str(home))
    for package in ("node", "sequencer", "bridge", "deploy"):
        import_module(package)
    sys.path.pop(0)
    code: int = import_module("deploy.cli").main()
    return code
