"""Transactions that came before the block they follow: a sender that has a receipt is ahead of whoever lacks that block yet. PURE.

    refused for its account -> note -> the next head -> retry -> admitted, or kept for one head more, or forgotten

Kept for peers that we were told of: what strangers send that no account can pay is not worth a place. Deliberately absent: what is
fetched instead of gossiped, which is fetched again (`fetching`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.eth.transactions import Transaction

EARLY_MAX: Final = 64
"""Transactions that wait for a head, of 16 KiB at most; more are forgotten, as all are that their senders offer again after a while."""

HEADS_MAX: Final = 2
"""Heads that one waits for."""


class Early:
    """What the next head may admit."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, tuple[Transaction, int]] = {}
        """By hash, with the heads that each has left."""

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, one: Transaction) -> None:
        """Keep a transaction for the next heads, if there is room."""
        if len(self._waiting) < EARLY_MAX:
            self._waiting.setdefault(one.hash, (one, HEADS_MAX))

    def retry(self, is_early: Callable[[Transaction], bool]) -> None:
        """Offer all of them after a new head; `is_early` offers one, and tells whether it was too early again."""
        waiting, self._waiting = self._waiting, {}
        for key, (one, heads) in waiting.items():
            if is_early(one) and heads > 1:
                self._waiting[key] = (one, heads - 1)
