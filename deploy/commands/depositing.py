"""`faultline deposit`: moves ETH or tokens from L1 to L2, and shows how they get there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from deploy.commands.bridging import (
    account_of,
    amount_of,
    chain_of,
    checked_address,
    failing,
    found_token,
    from_option,
    network_with_l2,
    progressing,
    token_option,
)
from deploy.commands.options import CommandFailed, data_option, json_option, print_json
from deploy.depositing import Arrived, DepositFailed, follow, gas_for, send, send_token
from deploy.network import Network
from deploy.progress import Progress
from deploy.published import contracts
from deploy.tokens import Token, create_twin


@click.command("deposit")
@click.argument("amount")
@click.option("--to", metavar="ADDRESS", help="Who gets it on L2; the depositor unless said.")
@token_option
@from_option
@data_option
@json_option
def deposit(
    amount: str,
    to: str | None,
    token: str | None,
    sender: int,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """Deposit AMOUNT ETH, or of a token, from L1 to L2 and wait until L2 holds it.

    A token that has no twin on L2 yet gets one.
    """
    units = amount_of(amount) if token is None else 0
    receiver = None if to is None else checked_address("--to", to)
    network = network_with_l2(data)
    account = account_of(network, sender)
    found = None if token is None else found_token(network, token)
    if found is not None:
        units = amount_of(amount, found)
    with failing(), progressing(is_quiet=False) as progress:
        if found is not None and found.on_l2 is None:
            found = create_twin(chain_of(network, "l2"), account, found)
            progress.passed("twin", f"{found.symbol} is {found.on_l2} on L2")
        arrived = _deposit(network, sender, receiver, found, units, progress)
    if as_json:
        print_json(
            {
                "l1Transaction": arrived.l1_transaction,
                "l1Block": arrived.l1_block,
                "l2Transaction": arrived.l2_transaction,
                "l2Block": arrived.l2_block,
                "succeeded": arrived.succeeded,
                "l2Token": None if found is None else found.on_l2,
                "steps": [{"step": one.step, "seconds": one.seconds} for one in progress.steps],
            }
        )
    elif arrived.succeeded:
        click.echo(f"Arrived in L2 block {arrived.l2_block}.")
    elif found is None:
        click.echo(
            f"Arrived in L2 block {arrived.l2_block}, but the receiver refused it: "
            "the amount is the depositor's on L2."
        )
    else:
        click.echo(
            f"Arrived in L2 block {arrived.l2_block}, but could not be minted there: "
            "the messenger on L2 keeps the message, and anybody may replay it."
        )


def _deposit(
    network: Network,
    sender: int,
    to: str | None,
    token: Token | None,
    units: int,
    progress: Progress,
) -> Arrived:
    portal = contracts(with_l2=True)["l1"]["portal"]
    l1, l2 = chain_of(network, "l1"), chain_of(network, "l2")
    account = network.accounts[sender]
    receiver = to or account.address
    if token is None:
        transaction = send(l1, portal, account, receiver, units, gas_for(l2, receiver))
    else:
        transaction = send_token(l1, account, receiver, token, units)
    progress.passed("sent", f"to L1 as {transaction}")
    try:
        arrived = follow(l1, l2, transaction, portal, lambda line: progress.waits("in L1", line))
    except DepositFailed as error:
        raise CommandFailed(str(error)) from error
    progress.passed("on L2", f"block {arrived.l2_block}, {arrived.l2_transaction}")
    return arrived


COMMANDS: Final = {"deposit": deposit}
"""What this module holds."""
