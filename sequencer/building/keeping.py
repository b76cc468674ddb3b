"""Transactions that somebody was told are taken and that are in no block, on disk, so that a restart does not lose them.

    told while it waits for a nonce -> Keeper.keep -> [crash, restart] -> Keeper.open -> the front of the pool
    dropped by a reset              -> Keeper.keep, before the reset is journaled
    is_long -> rewrite: what waits into a file beside it (a Worker), what came meanwhile after it, renamed into place

The file is `node.txpool.journal`'s. What the chain holds by the time of a restart finds its nonce used up, and leaves in silence.
Deliberately absent: transactions that are sealed before anybody hears of them, which is nearly all. They are in the chain's journal.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from node.runtime.worker import Worker
from node.txpool.journal import Journal, open_journal

ROTATE_BYTES: Final = 4 * 1024 * 1024
"""A longer file is rewritten with what still waits, once it is twice as long as it was after the last time."""

_log = structlog.get_logger()


class Keeper:
    """The file of one builder; None for a path keeps nothing (a simulation)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._journal: Journal | None = None
        self._rewritten_size = 0
        self._since: list[bytes] | None = None
        """What was written since a rewrite began; None while there is none."""

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
            kept = list(transactions)
            self._journal.append(kept)
            if self._since is not None:
                self._since += kept

    @property
    def is_long(self) -> bool:
        """Whether the file should be rewritten."""
        bound = max(ROTATE_BYTES, 2 * self._rewritten_size)
        return self._journal is not None and self._journal.size > bound

    async def rewrite(self, waiting: Sequence[bytes], worker: Worker) -> None:
        """Keep only these, and what is kept from now on. One at a time; the disk is waited for beside the loop. Raises OSError."""
        if self._path is None or self._journal is None:
            return
        path, self._since = self._path, []
        try:
            fresh = await worker.run(partial(_write_beside, path, waiting))
            # Until the name changes, the old file holds everything; from then on the new one does.
            fresh.append(self._since)
            fresh.path.replace(path)
        finally:
            self._since = None
        old, self._journal = self._journal, fresh
        self._rewritten_size = fresh.size
        await worker.run(partial(_retire, old))

    def sync(self) -> None:
        """Wait for the disk, if anything was written. Raises OSError."""
        if self._journal is not None:
            self._journal.sync()

    def close(self) -> None:
        """Sync and close."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _write_beside(path: Path, transactions: Sequence[bytes]) -> Journal:
    """Write a synced file beside another; one that a crash left there is no more than half of one."""
    beside = path.with_name(path.name + ".next")
    beside.unlink(missing_ok=True)
    fresh, _, _ = open_journal(beside)
    fresh.append(transactions)
    fresh.sync()
    return fresh


def _retire(old: Journal) -> None:
    """Close a file that has lost its name, and make the loss of its name last."""
    old.close()
    folder = os.open(old.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
