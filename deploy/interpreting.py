"""Our own modules in new interpreters, wherever their user stands.

    module, arguments -> command (python -P -m module ...), environment -> subprocess

`python -m` alone looks into the folder one stands in before all others, and a project may have a `deploy.py` of its own there;
PYTHONPATH may lead to it as well.
The launcher imports this before anything that takes time, so it needs the standard library alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent.parent
"""What holds our packages: a checkout, or the environment's packages."""

PACKAGES: Final = ("node", "sequencer", "bridge", "deploy")
"""Ours."""


def command(module: str, *arguments: str) -> list[str]:
    """A module of ours as a program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables such a program needs: a checkout need not be installed to be found, and nothing is found before ours."""
    paths = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path]
    if is_checkout():
        paths = [str(SOURCES), *paths]
    else:
        paths = [str(Path(path).absolute()) for path in paths if not _is_before_ours(path)]
    others = {name: value for name, value in variables.items() if name != "PYTHONPATH"}
    return {**others, "PYTHONPATH": os.pathsep.join(paths)} if paths else others


def is_checkout() -> bool:
    """Whether this is a checkout, and not an environment's packages, beside which a `pyproject.toml` may lie as well."""
    crate = SOURCES / "node" / "execution" / "revm" / "Cargo.toml"
    return (SOURCES / "pyproject.toml").is_file() and crate.is_file()


def _is_before_ours(path: str) -> bool:
    """Whether a folder has a module of the name of one of our packages; ours are behind it where we are installed."""
    for name in PACKAGES:
        found = PathFinder.find_spec(name, [path])
        if found is None or found.origin is None:  # A folder without __init__.py gives way.
            continue
        if Path(found.origin).resolve() != SOURCES / name / "__init__.py":
            return True
    return False
