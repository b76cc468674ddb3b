"""Options that many commands share, and how commands fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
import orjson

from deploy.layout import Layout, find_layout
from deploy.network import NetworkError, load_network


class CommandFailed(click.ClickException):
    """The command did not do what it was asked."""

    exit_code = 1


class WrongUse(click.ClickException):
    """A wrong manifest, or data that does not fit it."""

    exit_code = 2


FOLDER: Final = click.Path(file_okay=False, path_type=Path)
"""A folder, not necessarily there."""

FILE: Final = click.Path(dir_okay=False, path_type=Path)
"""A file, not necessarily there."""


data_option = click.option(
    "--data",
    type=FOLDER,
    metavar="DIR",
    help="Data folder of the devnet that is meant (or FAULTLINE_DATA).",
)
"""--data DIR"""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""--json"""

manifest_option = click.option(
    "--manifest",
    type=FILE,
    metavar="FILE",
    help="Manifest; ./faultline.toml where there is one.",
)
"""--manifest FILE"""


def process_names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Completes the name of a process of the devnet that is meant; nothing where there is none."""
    try:
        processes = load_network(layout_of(context.params.get("data"))).processes()
    except NetworkError:
        return []
    return [plan.name for plan in processes if plan.name.startswith(incomplete)]


def layout_of(data: Path | None, manifest: Path | None = None) -> Layout:
    """Which devnet is meant."""
    return find_layout(data, os.environ, manifest)


def print_json(value: object) -> None:
    """Print a value as JSON, indented."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
