"""What a user is told whose transaction the engine has refused: geth's words, because wallets read them.

    engine's reason and message, the sender's account -> word -> "nonce too low: ...", "insufficient funds ..."
    what waits for a nonce, its sender's balance      -> unpayable -> those that it could not pay for

Deliberately absent: refusals that need no state; the pool has those (`node.txpool.refusals`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from node.txpool import refusals
from node.txpool.refusals import RefusalReason, Refused
from sequencer.building.sealing import Refusal
from sequencer.building.waiting import Waiting

REPLACED: Final = Refused(
    RefusalReason.REPLACEMENT_UNDERPRICED,
    "replacement transaction underpriced: another one with this nonce pays more",
)
"""Said of a transaction whose place a later one has taken."""

_NUMBERS: Final = re.compile(r"\((\d+)\)")


class Account(Protocol):
    """An account of a state."""

    @property
    def nonce(self) -> int:
        """Its next nonce."""

    @property
    def balance(self) -> int:
        """Wei."""


class RefusingEngine(Protocol):
    """What finds the facts."""

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account, or None where there is none."""

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        """(nonce, balance in wei) of each; zeros where there is none."""


def word(engine: RefusingEngine, root: bytes, refusal: Refusal) -> str:
    """Say why, given the state after the block that refused."""
    one = refusal.one
    match refusal.reason:
        case "nonce_too_low":
            account = engine.account(root, one.sender)
            following = one.nonce + 1 if account is None else account.nonce
            return refusals.nonce_too_low(following, one.nonce).message
        case "balance":
            account = engine.account(root, one.sender)
            balance = 0 if account is None else account.balance
            return refusals.insufficient_funds(balance, _cost(refusal, balance)).message
        case _:
            return refusal.message


def unpayable(
    engine: RefusingEngine,
    root: bytes,
    early: Sequence[Waiting],
    queued_cost: Callable[[bytes], int],
) -> list[Refusal]:
    """Find what is not to wait for a nonce: its sender cannot pay for it beside what waits already (`queued_cost`, wei)."""
    senders = list({one.sender for one in early})
    accounts = engine.accounts(root, senders)
    balances = {one: balance for one, (_, balance) in zip(senders, accounts, strict=True)}
    spent = {one: queued_cost(one) for one in senders}
    found: list[Refusal] = []
    for one in early:
        balance, queued = balances[one.sender], spent[one.sender]
        if one.cost > balance:
            refused = refusals.insufficient_funds(balance, one.cost)
        elif queued + one.cost > balance:
            refused = refusals.overdraft(balance, queued, one.cost)
        else:
            spent[one.sender] += one.cost
            continue
        found.append(Refusal(one, refused.reason, refused.message))
    return found


def _cost(refusal: Refusal, balance: int) -> int:
    """What it may cost, in wei: as the engine says, which knows the fee for L1's data."""
    numbers = [int(number) for number in _NUMBERS.findall(refusal.message)]
    one = refusal.one
    least = one.gas_limit * one.max_fee_per_gas + one.value
    return max([least, *(number for number in numbers if number > balance)])
