"""What deposits and withdrawals have in common on the command line: which network, whose account, how much of what."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from deploy.accounts import FundedAccount
from deploy.chains import Chain, TransactionFailed, refusal_of, units_of
from deploy.commands.options import CommandFailed, WrongUse, layout_of
from deploy.commands.running import running
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.network import Network
from deploy.progress import Progress
from deploy.published import Layer, checksummed
from deploy.tokens import NoToken, Token, token_of
from node.eth.primitives import Address

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
"""An account or a contract."""

FOLLOWS_GAMES: Final = frozenset({"bridge", "watchtower"})
"""Roles whose processes answer for games and withdrawals, the bridge first."""

from_option = click.option(
    "--from",
    "sender",
    type=click.IntRange(0, 999),
    default=0,
    show_default=True,
    metavar="INDEX",
    help="Which of the funded accounts pays.",
)
"""--from INDEX"""

token_option = click.option(
    "--token",
    metavar="ADDRESS",
    help="Move this ERC-20 token instead of ETH; its address on either layer.",
)
"""--token ADDRESS"""


def network_with_l2(data: Path | None) -> Network:
    """The devnet that is meant. Raises CommandFailed where it does not run or has no L2."""
    network = running(layout_of(data))
    if not network.manifest.l2.enabled:
        raise CommandFailed("this devnet has no L2 (l2.enabled = false)")
    return network


def account_of(network: Network, index: int) -> FundedAccount:
    """One of the funded accounts. Raises WrongUse."""
    if index >= len(network.accounts):
        raise WrongUse(f"--from: found {index}, wanted less than {len(network.accounts)}")
    return network.accounts[index]


def checked_address(option: str, address: str) -> str:
    """An address that somebody typed. Raises WrongUse."""
    if not ADDRESS.fullmatch(address):
        raise WrongUse(f"{option}: found {address!r}, wanted an address as 0x and 40 hex digits")
    digits = address[2:]
    wanted = checksummed(Address(bytes.fromhex(digits)))
    if digits not in (digits.lower(), digits.upper()) and address != wanted:
        raise WrongUse(
            f"{option}: found {address}, whose capitals are no checksum (EIP-55), "
            f"wanted {wanted} or small letters if it is right"
        )
    return address


def amount_of(amount: str, token: Token | None = None) -> int:
    """An amount that somebody typed, in its smallest units. Raises WrongUse."""
    try:
        if token is None:
            return units_of(amount)
        return units_of(amount, token.decimals, token.symbol)
    except ValueError as error:
        raise WrongUse(f"AMOUNT: {error}") from error


def chain_of(network: Network, layer: Layer) -> Chain:
    """One of the chains, through every process that serves it."""
    return Chain([network.rpc_url(plan) for plan in network.of_layer(layer)])


def games_of(network: Network) -> Chain:
    """The processes that follow games. Raises CommandFailed where there are none."""
    plans = [plan for plan in network.of_layer("l2") if plan.role in FOLLOWS_GAMES]
    if not plans:
        raise CommandFailed("this devnet has no bridge and no watchtower")
    return Chain([network.rpc_url(plan) for plan in plans])


def found_token(network: Network, address: str) -> Token:
    """The token of an address. Raises WrongUse, CommandFailed."""
    checked = checked_address("--token", address)
    with failing():
        return token_of(chain_of(network, "l1"), chain_of(network, "l2"), checked)


@contextmanager
def failing() -> Iterator[None]:
    """Turn what goes wrong on the chains into a failed command."""
    try:
        yield
    except RpcRefused as error:
        raise CommandFailed(refusal_of(error)) from error
    except (NoToken, RpcUnavailable, TransactionFailed) as error:
        raise CommandFailed(str(error)) from error


@contextmanager
def progressing(*, is_quiet: bool) -> Iterator[Progress]:
    """Progress on standard error."""
    progress = Progress(out=sys.stderr, is_quiet=is_quiet)
    try:
        yield progress
    finally:
        progress.close()


def seconds_until(moment: int | None) -> float | None:
    """Seconds to a moment of L1's clock, which is this machine's on a devnet; None for no moment."""
    return None if moment is None else moment - time.time()  # noqa: TID251  # a command
