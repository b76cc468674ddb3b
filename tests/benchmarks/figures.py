"""One way to hold, print and save what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number and what it was meant to be."""

    name: str
    """What was measured."""
    value: float
    """How much."""
    unit: str
    """Of what."""
    target: str = ""
    """The bound it is held against, in words; empty if there is none."""
    holds: bool | None = None
    """Whether it is within the bound."""


def print_figures(figures: list[Figure]) -> None:
    """A table on standard output."""
    table = Table("figure", "value", "unit", "target", "holds")
    for figure in figures:
        verdict = {None: "", True: "yes", False: "NO"}[figure.holds]
        table.add_row(figure.name, f"{figure.value:,.3f}", figure.unit, figure.target, verdict)
    Console(width=140).print(table)


def save_figures(figures: list[Figure], file: Path) -> None:
    """The same as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = [asdict(figure) for figure in figures]
    file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
