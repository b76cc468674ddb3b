"""One SQLite file that one process holds: locked, judged when it is opened, on the platter when a commit returns.

    SqliteFile(path, name=..., schema=...) -> transaction() -> ... -> close

WAL mode; with synchronous=FULL a commit has outlived a power loss when it returns. The lock lies beside the file and ends
with the process, however that ends.
Deliberately absent: whose file it is (its owner compares what it wrote into it), and what its rows mean.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from node.errors import Corruption


class HeldElsewhere(Exception):
    """Another process holds the file; the message names it."""

    def __init__(self, name: str, holder: str = "") -> None:
        super().__init__(f"{name} is held by another process")
        self.holder: Final = holder
        """Its process id; empty where it wrote none."""


class SqliteFile:
    """The open file; usable from any thread, locked until `close`."""

    def __init__(self, path: Path | None, *, name: str, schema: str, durable: bool = True) -> None:
        """Open or create it; None keeps it in memory.

        Args:
            path: where it lies; readable by its owner only.
            name: what messages call it.
            schema: statements that create its tables where they are missing.
            durable: a commit waits for the platter; otherwise a power loss may undo the last ones.

        Raises:
            HeldElsewhere: another process has it.
            Corruption: it is damaged.
        """
        self.name: Final = name if path is None else f"{name} {path}"
        """What messages call it, with its place."""
        self._mutex = threading.Lock()
        with ExitStack() as opening:
            if path is not None:
                opening.callback(os.close, _lock_beside(path, self.name))
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path,
                isolation_level=None,
                check_same_thread=False,
                timeout=0.0,
            )
            opening.callback(self._connection.close)
            self._prepare(path, schema, "FULL" if durable else "NORMAL")
            self._held = opening.pop_all()

    def close(self) -> None:
        """Let go of the file and its lock; a second time nothing happens."""
        self._held.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and write as one; committed when the block ends, undone if it raises. Raises Corruption."""
        with self._mutex:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                raise Corruption(f"{self.name} cannot be used: {error}") from error
            finally:
                self._undo()

    def _undo(self) -> None:
        # What failed is raised already; whether undoing fails as well changes nothing for whoever hears of it.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _prepare(self, path: Path | None, schema: str, synchronous: str) -> None:
        connection = self._connection
        try:
            if path is not None:
                path.chmod(0o600)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA trusted_schema = OFF")
            found = connection.execute("PRAGMA quick_check").fetchone()
            if found != ("ok",):
                raise Corruption(f"{self.name} is damaged: {found}")
            connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise HeldElsewhere(self.name) from error
            raise Corruption(f"{self.name} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Corruption(f"{self.name} is damaged: {error}") from error


def _lock_beside(path: Path, name: str) -> int:
    """Take the lock beside a file and write who has it; gives its descriptor."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode("ascii", "replace")
        os.close(lock)
        raise HeldElsewhere(name, holder) from error
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock
