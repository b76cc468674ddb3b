"""`faultline reset`: deletes a devnet's data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from deploy.commands.options import CommandFailed, WrongUse, data_option, layout_of
from deploy.commands.preparing import refuse_containers, take_lock
from deploy.network import NetworkError, erase, foreign_entries


@click.command("reset")
@click.option("--yes", is_flag=True, help="Really delete: keys, chain and logs.")
@data_option
def reset(data: Path | None, *, yes: bool) -> None:
    """Delete a devnet's data; the next `faultline up` makes a new network."""
    layout = layout_of(data)
    if not layout.data.exists():
        click.echo(f"{layout.data} does not exist: there is nothing to delete.")
        return
    refuse_containers(layout, "docker compose down --volumes")
    if not yes:
        raise WrongUse(f"this deletes {layout.data} with its keys, chain and logs: say --yes")
    lock = take_lock(layout)
    try:
        erase(layout)
        kept = foreign_entries(layout)
        if not kept:
            layout.lock.unlink(missing_ok=True)
            layout.data.rmdir()
    except NetworkError as error:
        raise CommandFailed(str(error)) from error
    finally:
        lock.release()
    if kept:
        click.echo(f"Deleted the network in {layout.data}; what is not ours stays there.")
    else:
        click.echo(f"Deleted {layout.data}.")


COMMANDS: Final = {"reset": reset}
"""What this module holds."""
