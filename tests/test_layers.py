"""What says of itself that it is pure is held to it: import-linter's list in pyproject.toml names it."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
CONTRACT: Final = "Pure rules do no input or output and read no clock"


def test_whatever_is_called_pure_is_held_to_it() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [one for one in linter["contracts"] if one["name"] == CONTRACT]
    held = tuple(f"{name}." for name in contract["source_modules"])
    called = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in linter["root_packages"]
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\bPURE\b", ast.get_docstring(ast.parse(path.read_text())) or "")
    ]
    assert len(called) > 20
    assert [name for name in called if not f"{name}.".startswith(held)] == []
