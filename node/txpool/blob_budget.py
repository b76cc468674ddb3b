"""How many blobs peers may have us check: valid ones cost as well, and whoever has ether can sign as many as he likes. PURE.

    answer of a peer -> charge -> its account -> open_at_s: when it may be asked again

What an answer holds is known when it is here, so an account may be overdrawn by what was under way; its owner is then asked later, and not
blamed: it sent what it was asked for. Strangers share one account, for identities are free.
Deliberately absent: blobs that blocks wait for (node.sync), bounded by the blocks, and those of this node's users (node.blobs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.eth.blobs import BLOB_BYTES, BLOB_KIND

CONFIGURED_PER_S: Final = 12.0
"""Blobs a second of one configured peer: full blocks (21 in 2 s) may all come from one; checking them takes 0.3 of a core."""

STRANGERS_PER_S: Final = 6.0
"""Blobs a second of all strangers: 0.15 of a core."""

BURST_S: Final = 4.0
"""An account that was not used holds so many seconds' worth: two full blocks of a configured peer, four of the largest transactions of strangers."""


class BlobBudget:
    """Accounts of peers; times are arguments."""

    def __init__(self, configured: frozenset[str]) -> None:
        self._configured: Final = configured
        self._spent_until_s: dict[str, float] = {}
        """Until when each account's income is spent; strangers' is the empty name's."""

    def open_at_s(self, peer: str) -> float:
        """From when on a peer may be asked; minus infinity if it never sent a blob."""
        return self._spent_until_s.get(self._account(peer), -float("inf")) - BURST_S

    def charge(self, peer: str, raws: Sequence[bytes], now_s: float) -> None:
        """Note what a peer sent: blob transactions in their network form count, by their size."""
        blobs = sum(len(raw) // BLOB_BYTES for raw in raws if raw[:1] == bytes((BLOB_KIND,)))
        if blobs:
            rate = CONFIGURED_PER_S if peer in self._configured else STRANGERS_PER_S
            account = self._account(peer)
            begin_s = max(now_s, self._spent_until_s.get(account, now_s))
            self._spent_until_s[account] = begin_s + blobs / rate

    def _account(self, peer: str) -> str:
        return peer if peer in self._configured else ""
