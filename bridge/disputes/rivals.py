"""Whose proof of a fault is on its way, so that two do not pay for the same thing. PURE.

    L1 pool: calls of `proveFault` to games -> Rivals.seen -> which games are left to somebody else for now

Of two who see each other's proofs exactly one gives way: who is first is decided by both addresses and the game's.
Nobody is given way to for longer than RIVAL_BLOCKS, once for each game: a call that only looks like a proof, or one that pays too
little, must not hold a proof back until its deadline.
Deliberately absent: whether the other's proof is right. L1 says so in the next block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.eth.hashing import keccak256
from node.eth.primitives import Address

RIVAL_BLOCKS: Final = 2
"""L1 blocks that a rival's proof is waited for, from the first that was seen."""

REMEMBERED_MAX: Final = 4_096
"""Games whose rivals are remembered; the oldest are forgotten, and would be given way to once more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody's call of `proveFault` that waits in the pool."""

    sender: Address
    """Who."""
    game: Address
    """About what."""


class Rivals:
    """What one challenger knows of others."""

    def __init__(self, own: Address) -> None:
        self._own = own
        self._since: dict[Address, int] = {}

    def leads(self, attempts: Iterable[Attempt], number: int) -> frozenset[Address]:
        """The games to leave to others on L1's head with this number."""
        found: set[Address] = set()
        for attempt in attempts:
            if attempt.sender == self._own or not self._is_before(attempt):
                continue
            since = self._since.setdefault(attempt.game, number)
            if number < since + RIVAL_BLOCKS:
                found.add(attempt.game)
        while len(self._since) > REMEMBERED_MAX:
            del self._since[next(iter(self._since))]
        return frozenset(found)

    def _is_before(self, attempt: Attempt) -> bool:
        """Whether its sender goes first."""
        return _rank(attempt.sender, attempt.game) < _rank(self._own, attempt.game)


def grace_of(own: Address, game: Address, spread: int) -> int:
    """How many L1 blocks, below `spread`, a node leaves to others before it ends a game that presses nobody."""
    return int.from_bytes(_rank(own, game)[:8]) % spread


def _rank(sender: Address, game: Address) -> bytes:
    return keccak256(sender + game)
