"""The journal of what the roles have signed: a row is on the platter before its transaction leaves the process.

    Sender: save(slot) -> submit -> ... -> L1 has made the nonce final -> forget

SQLite in WAL mode with synchronous=FULL: what was saved outlives a power loss. One process holds the file, for all of its accounts.
After kill -9 the same transactions are given away again, under the nonces they had: L1 takes each nonce once.
Deliberately absent: what is wanted, which each role reads from L1 again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.sending.slots import Slot, Version
from node.errors import Corruption
from node.eth.primitives import Address, Hash32

SCHEMA_VERSION: Final = 1
"""Of the tables below."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chain (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    schema_version INTEGER NOT NULL,
    genesis_hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS slots (
    account BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    raw BLOB NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (account, nonce)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    account BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (account, nonce, place)
) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal may not be used as it is; the message says what to do."""


class Journal:
    """The open file; usable from any thread, locked until `close`."""

    def __init__(self, path: Path | None, *, genesis_hash: Hash32) -> None:
        """Open or create it; None keeps it in memory.

        Raises:
            JournalError: another process holds it, or it belongs to another chain.
            Corruption: it is damaged.
        """
        self._name = "the bridge's journal" if path is None else f"the bridge's journal {path}"
        self._mutex = threading.Lock()
        self._lock = None if path is None else self._lock_file(path)
        try:
            self._connection = self._open(path, genesis_hash)
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._connection.close()
        self._unlock()

    def load(self, account: Address) -> tuple[Slot, ...]:
        """The slots of an account, ascending. Raises Corruption."""
        with self._mutex:
            try:
                rows = self._connection.execute(
                    "SELECT nonce, raw, sent_at FROM slots WHERE account = ? ORDER BY nonce",
                    (account,),
                ).fetchall()
                found = self._connection.execute(
                    "SELECT nonce, hash, key FROM versions WHERE account = ? ORDER BY nonce, place",
                    (account,),
                ).fetchall()
            except sqlite3.DatabaseError as error:
                raise Corruption(f"{self._name} cannot be read: {error}") from error
        versions: dict[int, list[Version]] = {}
        for nonce, transaction_hash, key in found:
            versions.setdefault(nonce, []).append(Version(hash=Hash32(transaction_hash), key=key))
        if set(versions) != {nonce for nonce, _, _ in rows}:
            raise Corruption(f"{self._name} is damaged: slots and versions disagree")
        return tuple(
            Slot(nonce=nonce, versions=tuple(versions[nonce]), raw=raw, sent_at=sent_at)
            for nonce, raw, sent_at in rows
        )

    def save(self, account: Address, slots: Sequence[Slot]) -> None:
        """Write slots as they are now, in place of what stood there. Raises Corruption."""
        versions = [
            (account, slot.nonce, place, version.hash, version.key)
            for slot in slots
            for place, version in enumerate(slot.versions)
        ]
        rows = [(account, slot.nonce, slot.raw, slot.sent_at) for slot in slots]
        with self._mutex, self._writing():
            self._connection.executemany("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?)", rows)
            self._connection.executemany(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?)", versions
            )

    def forget(self, account: Address, final_nonce: int) -> None:
        """Drop what L1 has made final: every slot below a nonce. Raises Corruption."""
        with self._mutex, self._writing():
            for table in ("slots", "versions"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE account = ? AND nonce < ?",  # noqa: S608  # constant names
                    (account, final_nonce),
                )

    # -- inside

    def _writing(self) -> _Writing:
        return _Writing(self._connection, self._name)

    def _open(self, path: Path | None, genesis_hash: Hash32) -> sqlite3.Connection:
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            isolation_level=None,
            check_same_thread=False,
            timeout=0.0,
        )
        try:
            if path is not None:
                path.chmod(0o600)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA trusted_schema = OFF")
            self._check(connection, genesis_hash)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise Corruption(f"{self._name} is damaged: {error}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection, genesis_hash: Hash32) -> None:
        found = connection.execute("PRAGMA quick_check").fetchone()
        if found != ("ok",):
            raise Corruption(f"{self._name} is damaged: {found}")
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        want = (SCHEMA_VERSION, bytes(genesis_hash))
        connection.execute("INSERT OR IGNORE INTO chain VALUES (1, ?, ?)", want)
        version, found_hash = connection.execute(
            "SELECT schema_version, genesis_hash FROM chain"
        ).fetchone()
        if (version, found_hash) != want:
            raise JournalError(
                f"{self._name} belongs to the L1 of genesis 0x{found_hash.hex()} (schema {version}); "
                f"this one's genesis is 0x{genesis_hash.hex()} (schema {SCHEMA_VERSION})"
            )

    def _lock_file(self, path: Path) -> int:
        """Take the lock beside the file; it ends with the process, however it ends."""
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise JournalError(
                f"{self._name} is held by another process: two senders of one account "
                "would take each other's nonces"
            ) from error
        return lock

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class _Writing:
    """One transaction: committed and synced at the end, undone if anything raises."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def __enter__(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._execute("COMMIT")
            return
        # A failed statement may have ended the transaction already; what failed is reported either way.
        with suppress(sqlite3.DatabaseError):
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.DatabaseError):
            raise Corruption(f"{self._name} cannot be written: {error}") from error

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            raise Corruption(f"{self._name} cannot be written: {error}") from error
