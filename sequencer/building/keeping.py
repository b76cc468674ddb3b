"""Transactions that somebody was told are taken and that are in no block, on disk, so that a restart does not lose them.

    told while it waits for a nonce -> Keeper.keep -> [crash, restart] -> Keeper.open -> the front of the pool
    dropped by a reset              -> Keeper.keep, before the reset is journaled

The file is `node.txpool.journal`'s. What the chain holds by the time of a restart finds its nonce used up, and leaves in silence.
Deliberately absent: transactions that are sealed before anybody hears of them, which is nearly all. They are in the chain's journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import structlog

from node.txpool.journal import Journal, open_journal

ROTATE_BYTES: Final = 4 * 1024 * 1024
"""A longer file is rewritten with what still waits."""

_log = structlog.get_logger()


class Keeper:
    """The file of one builder; None for a path keeps nothing (a simulation)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._journal: Journal | None = None

    def open(self) -> Sequence[bytes]:
        """Open the file; gives what it holds, oldest first. Raises OSError."""
        if self._path is None:
            return ()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._journal, transactions, cut = open_journal(self._path)
        if cut:
            _log.warning("waiting_transactions_cut", file=str(self._path), bytes=cut)
        return transactions

    @property
    def is_open(self) -> bool:
        """Whether what is kept outlives this process, or need not."""
        return self._path is None or self._journal is not None

    def keep(self, transactions: Iterable[bytes]) -> None:
        """Write transactions; they outlive this process. Raises OSError."""
        assert self.is_open, "a transaction that would be lost by a crash"
        if self._journal is not None:
            self._journal.append(transactions)

    @property
    def is_long(self) -> bool:
        """Whether the file should be rewritten."""
        return self._journal is not None and self._journal.size > ROTATE_BYTES

    def rewrite(self, waiting: Iterable[bytes]) -> None:
        """Keep only these. Raises OSError."""
        if self._journal is not None:
            self._journal.rotate(waiting)

    def sync(self) -> None:
        """Wait for the disk, if anything was written. Raises OSError."""
        if self._journal is not None:
            self._journal.sync()

    def close(self) -> None:
        """Sync and close."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
