"""`faultline withdraw` and `faultline withdrawals`: from L2 to L1, with every stage shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.chains import json_object, quantity
from deploy.commands.bridging import (
    account_of,
    amount_of,
    chain_of,
    checked_address,
    failing,
    found_token,
    from_option,
    games_of,
    network_with_l2,
    progressing,
    seconds_until,
    token_option,
)
from deploy.commands.options import CommandFailed, WrongUse, data_option, json_option, print_json
from deploy.network import Network
from deploy.progress import Progress
from deploy.withdrawing import (
    STAGES,
    Chains,
    Report,
    WithdrawalFailed,
    ask_relayer,
    initiate,
    initiate_token,
    recent,
    settle,
    standing,
    waits_of,
)

HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
"""A withdrawal, or the L2 transaction that sent it."""

LISTED: Final = 20
"""Withdrawals that are listed unless asked for more."""

WORDS: Final = {
    "data": "for L1 to hold its L2 block's data",
    "game": "for an output that covers its L2 block to be proposed",
    "proof": "for its proof",
    "challenge": "for L1 block {block} to be final: until then anybody may disprove the output",
    "resolution": "for the game to be resolved",
    "air_gap": "for the air gap behind the game",
    "maturity": "for the proof to mature",
    "unpause": "for the guardian to lift the pause",
    "finalization": "to be finalized",
}
"""What is waited for, in words."""


OUTCOMES: Final = {
    "in_progress": "its game is open",
    "defender_wins": "its game stands",
    "challenger_wins": "its game is lost",
}
"""What has become of a game, in words."""


@dataclass(slots=True)
class _Shown:
    """Turns reports into steps that pass, each told once; a stage that was passed unseen is told with the next."""

    progress: Progress
    reached: int = -1

    def __call__(self, report: Report) -> None:
        stage = STAGES.index(str(report["state"]))
        if stage < self.reached:
            self.progress.passed("fell back", f"to {_named(STAGES[stage])}: {_why(report)}")
        for passed in range(self.reached + 1, stage + 1):
            self.progress.passed(_named(STAGES[passed]), _told(STAGES[passed], report))
        self.reached = stage
        waits = waits_of(report)
        if waits:
            left = seconds_until(
                None if report["expectedAt"] is None else quantity(report["expectedAt"])
            )
            self.progress.waits("waits", _waiting(waits[0]), left)


@click.command("withdraw")
@click.argument("amount")
@click.option("--to", metavar="ADDRESS", help="Who gets it on L1; the sender unless said.")
@click.option(
    "--wait",
    is_flag=True,
    help="Prove and finalize it with the account's own key, and wait until it is settled.",
)
@token_option
@from_option
@data_option
@json_option
def withdraw(
    amount: str,
    to: str | None,
    token: str | None,
    sender: int,
    data: Path | None,
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Withdraw AMOUNT ETH, or of a token, from L2 to L1.

    Without --wait the bridge's relayer is asked to settle it.
    """
    units = amount_of(amount) if token is None else 0
    receiver = None if to is None else checked_address("--to", to)
    network = network_with_l2(data)
    account = account_of(network, sender)
    chains = _chains(network)
    found = None if token is None else found_token(network, token)
    with failing(), progressing(is_quiet=False) as progress:
        if found is None:
            initiated = initiate(chains.l2, account, receiver or account.address, units)
        else:
            if found.on_l2 is None:
                raise WrongUse(
                    f"--token: {found.symbol} ({found.on_l1}) was never deposited, so L2 has none of it"
                )
            units = amount_of(amount, found)
            initiated = initiate_token(
                chains.l2, account, receiver or account.address, found, units
            )
        shown = _Shown(progress, reached=0)
        progress.passed(
            "initiated", f"in L2 block {initiated.l2_block}, withdrawal {initiated.name}"
        )
        if wait:
            report = _settled(chains, initiated.name, account, shown)
            relayed: str | None = None
        else:
            report = _known(chains, initiated.name)
            relayed = ask_relayer(chains.games, initiated.name)
    if as_json:
        _print_json(report, progress, relayer=None if wait else relayed or "asked")
    elif wait:
        click.echo(f"Settled by {json_object(report['settlement'])['transactionHash']}.")
    elif relayed is None:
        click.echo(
            f"The bridge's relayer settles it; `faultline withdrawals {initiated.name}` shows how far it is."
        )
    else:
        click.echo(
            f"Nobody settles it yet ({relayed}); `faultline withdrawals {initiated.name} --wait` does."
        )


@click.command("withdrawals")
@click.argument("name", metavar="[HASH]", required=False)
@click.option(
    "--wait",
    is_flag=True,
    help="Prove and finalize it with the account's own key, and wait until it is settled.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=LISTED,
    show_default=True,
    metavar="N",
    help="How many are listed.",
)
@from_option
@data_option
@json_option
def withdrawals(
    name: str | None, limit: int, sender: int, data: Path | None, *, wait: bool, as_json: bool
) -> None:
    """Show where a withdrawal stands, or the newest ones.

    HASH is the withdrawal's, or that of the L2 transaction that sent it.
    """
    if name is not None and not HASH.fullmatch(name):
        raise WrongUse(f"HASH: found {name!r}, wanted 0x and 64 hex digits")
    if wait and name is None:
        raise WrongUse("--wait: wants a HASH")
    network = network_with_l2(data)
    chains = _chains(network)
    with failing():
        if name is None:
            _list(chains, limit, as_json=as_json)
        elif wait:
            with progressing(is_quiet=False) as progress:
                report = _settled(chains, name, account_of(network, sender), _Shown(progress))
            _show(report, progress, as_json=as_json)
        else:
            _show(_known(chains, name), None, as_json=as_json)


def _chains(network: Network) -> Chains:
    return Chains(l1=chain_of(network, "l1"), l2=chain_of(network, "l2"), games=games_of(network))


def _known(chains: Chains, name: str) -> Report:
    try:
        return standing(chains.games, name)
    except WithdrawalFailed as error:
        raise CommandFailed(str(error)) from error


def _settled(chains: Chains, name: str, account: FundedAccount, shown: _Shown) -> Report:
    try:
        return settle(chains, name, account, shown)
    except WithdrawalFailed as error:
        raise CommandFailed(str(error)) from error


# -- showing


def _list(chains: Chains, limit: int, *, as_json: bool) -> None:
    reports = [_known(chains, name) for name in recent(chains.l2, limit)]
    if as_json:
        print_json(reports)
        return
    if not reports:
        click.echo("No withdrawals yet.")
    for report in reports:
        waits = waits_of(report)
        value = quantity(json_object(report["message"])["value"])
        waiting = f", waits {_waiting(waits[0])}" if waits else ""
        click.echo(
            f"{report['withdrawalHash']}  {_ether(value):>12} ETH  {_named(str(report['state']))}{waiting}"
        )


def _show(report: Report, progress: Progress | None, *, as_json: bool) -> None:
    if as_json:
        _print_json(report, progress)
        return
    stage = STAGES.index(str(report["state"]))
    message = json_object(report["message"])
    click.echo(f"Withdrawal {report['withdrawalHash']}")
    click.echo(f"  {_ether(quantity(message['value']))} ETH to {message['target']}")
    for place, name in enumerate(STAGES):
        mark = "✓" if place <= stage else " "
        told = _told(name, report) if place <= stage else ""
        click.echo(f"  {mark} {_named(name):<15} {told}".rstrip())
    for wait in waits_of(report):
        click.echo(f"  waits {_waiting(wait)}")
    fallen = report["fallen"]
    if fallen:
        click.echo(f"  {_why(report)}")


def _print_json(report: Report, progress: Progress | None, *, relayer: str | None = None) -> None:
    steps: list[JsonValue] = [
        {"step": one.step, "seconds": one.seconds} for one in (progress.steps if progress else ())
    ]
    print_json(report | {"steps": steps} | ({"relayer": relayer} if relayer else {}))


def _told(stage: str, report: Report) -> str:
    """What is known of a stage that was reached."""
    match stage:
        case "initiated":
            return f"in L2 block {quantity(json_object(report['l2'])['blockNumber'])}"
        case "provable" if report["game"] is not None:
            game = json_object(report["game"])
            return (
                f"game {quantity(game['index'])} claims L2 block {quantity(game['l2BlockNumber'])}"
            )
        case "proven" if report["proof"] is not None:
            proof = json_object(report["proof"])
            return f"by {proof['submitter']} against game {quantity(proof['gameIndex'])}"
        case "in_challenge" if report["game"] is not None:
            return OUTCOMES[str(json_object(report["game"])["status"])]
        case "settled" if report["settlement"] is not None:
            settlement = json_object(report["settlement"])
            refused = "" if settlement["succeeded"] else ", but its target refused the call"
            return f"in L1 block {quantity(settlement['blockNumber'])}{refused}"
        case _:
            return ""


def _why(report: Report) -> str:
    fallen = report["fallen"]
    assert isinstance(fallen, list)
    if not fallen:
        return "L1 was reorganised, or a stranger's proof began anew"
    indexes = ", ".join(str(quantity(json_object(one)["gameIndex"])) for one in fallen)
    return f"the game that it was proven against can hold nothing any more ({indexes})"


def _waiting(wait: dict[str, JsonValue]) -> str:
    block = "" if wait["block"] is None else str(quantity(wait["block"]))
    return WORDS[str(wait["for"])].format(block=block)


def _named(stage: str) -> str:
    return stage.replace("_", " ")


def _ether(wei: int) -> str:
    return f"{wei // 10**18}.{wei % 10**18:018d}".rstrip("0").rstrip(".")


COMMANDS: Final = {"withdraw": withdraw, "withdrawals": withdrawals}
"""What this module holds."""
