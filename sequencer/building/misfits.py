"""Who has sent what fits into no block: such a run is free for the sender, and the longest there is. PURE.

    seal_block refuses it (never_fits) -> note -> find: the same one, or another of its sender's within the pause, is refused unrun

A transaction that crosses a block's witness limit by itself was executed up to there and pays nothing. So a sender pauses after
each one, twice as long as the time before; a wallet that meets the limit once waits a second.
Deliberately absent: the bound of one block's free runs, which holds for many senders together (`sealing`).
"""

from __future__ import annotations

from typing import Final

PAUSE_MS: Final = 1_000
"""A sender's first pause; doubled with each further one."""

PAUSE_MAX_MS: Final = 64_000
"""The longest."""

MEMORY_MS: Final = 600_000
"""So long is a transaction refused by memory, for the state may change; and a sender's last one counts."""

MISFITS_MAX: Final = 4_096
"""Transactions, and senders, that are remembered; the oldest of more are forgotten."""


class Misfits:
    """What one builder remembers; time is an argument, milliseconds of any steady clock."""

    def __init__(self) -> None:
        self._transactions: dict[bytes, tuple[int, str]] = {}
        """When it was run, and what the engine said."""
        self._senders: dict[bytes, tuple[int, int]] = {}
        """When its last one was run, and the pause after it."""

    def __len__(self) -> int:
        return len(self._transactions)

    def note(self, transaction_hash: bytes, sender: bytes, message: str, *, now_ms: int) -> None:
        """Remember a transaction that fits into no block."""
        self._transactions.pop(transaction_hash, None)
        self._transactions[transaction_hash] = (now_ms, message)
        last_ms, pause_ms = self._senders.pop(sender, (now_ms, 0))
        is_new = not pause_ms or now_ms - last_ms > MEMORY_MS
        pause_ms = PAUSE_MS if is_new else min(2 * pause_ms, PAUSE_MAX_MS)
        self._senders[sender] = (now_ms, pause_ms)
        if len(self._transactions) > MISFITS_MAX:
            del self._transactions[next(iter(self._transactions))]
        if len(self._senders) > MISFITS_MAX:
            del self._senders[next(iter(self._senders))]

    def find(self, transaction_hash: bytes, sender: bytes, *, now_ms: int) -> str | None:
        """Why a transaction is not run; None if it may be."""
        ran = self._transactions.get(transaction_hash)
        if ran is not None and now_ms - ran[0] <= MEMORY_MS:
            return ran[1]
        last = self._senders.get(sender)
        if last is not None and (left_ms := last[0] + last[1] - now_ms) > 0:
            return f"sender has sent what fits into no block: try again in {left_ms} ms"
        return None
