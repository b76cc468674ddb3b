"""`faultline deposit`: moves ETH from L1 to L2 through the Portal, and shows how it gets there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from deploy.commands.options import (
    CommandFailed,
    WrongUse,
    data_option,
    json_option,
    layout_of,
    print_json,
)
from deploy.commands.running import loaded
from deploy.depositing import Arrived, Chain, DepositFailed, follow, send, wei_of
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.network import Network
from deploy.published import Layer, contracts

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
"""An account."""


@click.command("deposit")
@click.argument("amount")
@click.option("--to", metavar="ADDRESS", help="Who gets it on L2; the depositor unless said.")
@click.option(
    "--from",
    "sender",
    type=click.IntRange(0, 999),
    default=0,
    show_default=True,
    metavar="INDEX",
    help="Which of the funded accounts deposits.",
)
@data_option
@json_option
def deposit(amount: str, to: str | None, sender: int, data: Path | None, *, as_json: bool) -> None:
    """Deposit AMOUNT ETH from L1 to L2 and wait until L2 holds it."""
    try:
        value_wei = wei_of(amount)
    except ValueError as error:
        raise WrongUse(f"AMOUNT: {error}") from error
    if to is not None and not ADDRESS.fullmatch(to):
        raise WrongUse(f"--to: found {to!r}, wanted an address as 0x and 40 hex digits")
    network = loaded(layout_of(data))
    if not network.manifest.l2.enabled:
        raise CommandFailed("this devnet has no L2 (l2.enabled = false)")
    if sender >= len(network.accounts):
        raise WrongUse(f"--from: found {sender}, wanted less than {len(network.accounts)}")
    try:
        arrived = _deposit(network, sender, to, value_wei)
    except (DepositFailed, RpcRefused, RpcUnavailable) as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        print_json(
            {
                "l1Transaction": arrived.l1_transaction,
                "l1Block": arrived.l1_block,
                "l2Transaction": arrived.l2_transaction,
                "l2Block": arrived.l2_block,
                "succeeded": arrived.succeeded,
            }
        )
    elif arrived.succeeded:
        click.echo(f"Arrived in L2 block {arrived.l2_block}.")
    else:
        click.echo(
            f"Arrived in L2 block {arrived.l2_block}, but the receiver refused it: "
            "the amount is the depositor's on L2."
        )


def _deposit(network: Network, sender: int, to: str | None, value_wei: int) -> Arrived:
    portal = contracts(with_l2=True)["l1"]["portal"]
    l1, l2 = _chain(network, "l1"), _chain(network, "l2")
    account = network.accounts[sender]
    transaction = send(l1, portal, account, to or account.address, value_wei)
    _tell(f"Sent to L1 as {transaction}.")
    return follow(l1, l2, transaction, portal, _tell)


def _chain(network: Network, layer: Layer) -> Chain:
    return Chain([network.rpc_url(plan) for plan in network.of_layer(layer)])


def _tell(line: str) -> None:
    """Progress goes to standard error, so that what a program reads stays alone."""
    click.echo(line, err=True)


COMMANDS: Final = {"deposit": deposit}
"""What this module holds."""
