"""Tables of bytes in memory that behave as the ones on disk, and die when told to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field


class Killed(BaseException):
    """The process died here; not an Exception, so that nobody handles it by accident."""


@dataclass(slots=True, kw_only=True)
class Disk:
    """What outlives a process: every row of every table."""

    tables: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    """Rows by table and key."""
    writes: int = 0
    """Transactions that were committed."""


class MemoryTables:
    """A `ChainTables` over a `Disk` that is shared with whoever is started next on it."""

    def __init__(
        self, disk: Disk | None = None, *, dies_at: tuple[int, bool] | None = None
    ) -> None:
        self.disk = disk if disk is not None else Disk()
        self._dies_at = dies_at
        self._closed = False

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value."""
        assert not self._closed
        return self.disk.tables.get(table, {}).get(key)

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Several values."""
        return [self.get(table, key) for key in keys]

    def scan(self, table: str, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries with start <= key < end, ascending."""
        assert not self._closed
        rows = self.disk.tables.get(table, {})
        keys = sorted(rows)
        first, last = bisect_left(keys, start), bisect_left(keys, end)
        return [(key, rows[key]) for key in keys[first : min(last, first + limit)]]

    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None:
        """One atomic transaction; `dies_at` (n, after) kills before or after the n-th of this disk."""
        assert not self._closed
        if self._dies_at == (self.disk.writes, False):
            raise Killed
        for table, key, value in puts:
            self.disk.tables.setdefault(table, {})[bytes(key)] = bytes(value)
        for table, key in deletes:
            self.disk.tables.setdefault(table, {}).pop(key, None)
        self.disk.writes += 1
        if self._dies_at == (self.disk.writes - 1, True):
            raise Killed

    def close(self) -> None:
        """Refuse everything from now on; the disk stays."""
        self._closed = True
