"""`faultline config`: checks a manifest, shows what is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from deploy.commands.options import (
    FILE,
    WrongUse,
    data_option,
    json_option,
    layout_of,
    manifest_option,
    print_json,
)
from deploy.commands.preparing import resolve_manifest
from deploy.manifest import ManifestError, read_manifest, render_toml, resolve


@click.group("config")
def config() -> None:
    """Check a manifest, or show what is in force."""


@config.command("check")
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """Check a manifest by itself, without environment and data; exit code 2 names what is wrong."""
    try:
        resolve(read_manifest(file))
    except ManifestError as error:
        raise WrongUse(str(error)) from error
    click.echo(f"{file} is fine.")


@config.command("show")
@manifest_option
@data_option
@json_option
def show(manifest: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Show what is in force: data, manifest and environment together, with where each value comes from."""
    resolved = resolve_manifest(layout_of(data, manifest), manifest, {})
    if as_json:
        print_json(resolved.manifest.model_dump(mode="json"))
    else:
        click.echo(render_toml(resolved), nl=False)


COMMANDS: Final = {"config": config}
"""What this module holds."""
