"""What the pool of a node stands between: the engine below it, the network beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from node.txpool.fetching import RequestTransactions
from node.txpool.intake import Decoded


class Account(Protocol):
    """An account of a state."""

    @property
    def nonce(self) -> int:
        """Its next nonce."""

    @property
    def balance(self) -> int:
        """Wei."""

    @property
    def code_hash(self) -> bytes:
        """keccak-256 of its code."""


class PoolEngine(Protocol):
    """What the pool asks of execution."""

    def decode(self, transactions: Sequence[bytes]) -> Sequence[Decoded]:
        """Decodes and recovers, in order."""

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account of a state, or None where there is none."""

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        """(nonce, balance in wei) of each; zeros where there is none."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of an RLP block."""


class GossipVerdict(StrEnum):
    """What becomes of a message; the values are p2p's."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolNetwork:
    """What the pool does on the network."""

    publish: Callable[[bytes], None]
    """Gossip a message of the transactions' topic."""
    request: RequestTransactions
    """Ask one peer for transactions; raises what the network raises, `failures` of it."""
    failures: tuple[type[Exception], ...]
    """What a request that got no answer raises."""
    blame: Callable[[str, str], None]
    """Score a peer down: who and why."""
    configured: frozenset[str] = frozenset()
    """Peers that we were told of; the rest are strangers."""
