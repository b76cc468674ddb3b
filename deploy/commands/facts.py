"""Commands that print what stays the same: accounts, addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from deploy.commands.options import data_option, json_option, layout_of, print_json
from deploy.commands.running import loaded
from deploy.rendering import accounts_lines, addresses_env, addresses_table, addresses_viem


@click.command("accounts")
@data_option
@json_option
def accounts(data: Path | None, *, as_json: bool) -> None:
    """List the funded accounts with their keys."""
    network = loaded(layout_of(data))
    if as_json:
        print_json(
            [
                {"index": index, "address": account.address, "privateKey": account.private_key}
                for index, account in enumerate(network.accounts)
            ]
        )
    else:
        click.echo("\n".join(accounts_lines(network)))


@click.command("addresses")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "env", "viem"]),
    default="table",
    show_default=True,
    help="For people, programs, shells, or viem.",
)
@data_option
@json_option
def addresses(form: str, data: Path | None, *, as_json: bool) -> None:
    """List RPC addresses and contracts."""
    network = loaded(layout_of(data))
    if as_json or form == "json":
        print_json({**network.chains(), "contracts": network.contracts()})
    elif form == "env":
        click.echo(addresses_env(network))
    elif form == "viem":
        click.echo(addresses_viem(network))
    else:
        click.echo(addresses_table(network))


COMMANDS: Final = {"accounts": accounts, "addresses": addresses}
"""What this module holds."""
