"""Our own modules in new interpreters, wherever their user stands.

    module, arguments -> command (python -P -m module ...), environment -> subprocess

`python -m` alone looks into the folder one stands in before all others, and a project may have a `deploy.py` of its own there.
The launcher imports this before anything that takes time, so it needs the standard library alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent.parent
"""What holds our packages: a checkout, or the environment's packages."""


def command(module: str, *arguments: str) -> list[str]:
    """A module of ours as a program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables such a program needs: a checkout need not be installed to be found."""
    if not (SOURCES / "pyproject.toml").is_file():
        return dict(variables)
    paths = [str(SOURCES), *filter(None, [variables.get("PYTHONPATH")])]
    return {**variables, "PYTHONPATH": os.pathsep.join(paths)}
