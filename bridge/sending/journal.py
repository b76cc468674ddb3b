"""The journal of what the roles have signed: a row is on the platter before its transaction leaves the process.

    Sender: save(slot) -> submit -> ... -> L1 has made the nonce final -> forget

What was saved outlives a power loss (`node.storage.sqlite_file`). One process holds the file, for all of its accounts.
After kill -9 the same transactions are given away again, under the nonces they had: L1 takes each nonce once.
Deliberately absent: what is wanted, which each role reads from L1 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bridge.sending.slots import Slot, Version
from node.errors import Corruption
from node.eth.primitives import Address, Hash32
from node.storage.sqlite_file import HeldElsewhere, SqliteFile

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
        with ExitStack() as opening:
            self._file = _opened(path)
            opening.callback(self._file.close)
            self._check(genesis_hash)
            opening.pop_all()

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()

    def load(self, account: Address) -> tuple[Slot, ...]:
        """The slots of an account, ascending. Raises Corruption."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT nonce, raw, sent_at FROM slots WHERE account = ? ORDER BY nonce",
                (account,),
            ).fetchall()
            found = connection.execute(
                "SELECT nonce, hash, key FROM versions WHERE account = ? ORDER BY nonce, place",
                (account,),
            ).fetchall()
        versions: dict[int, list[Version]] = {}
        for nonce, transaction_hash, key in found:
            versions.setdefault(nonce, []).append(Version(hash=Hash32(transaction_hash), key=key))
        if set(versions) != {nonce for nonce, _, _ in rows}:
            raise Corruption(f"{self._file.name} is damaged: slots and versions disagree")
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
        with self._file.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?)", versions
            )

    def forget(self, account: Address, final_nonce: int) -> None:
        """Drop what L1 has made final: every slot below a nonce. Raises Corruption."""
        with self._file.transaction() as connection:
            for table in ("slots", "versions"):
                connection.execute(
                    f"DELETE FROM {table} WHERE account = ? AND nonce < ?",  # noqa: S608  # constant names
                    (account, final_nonce),
                )

    # -- inside

    def _check(self, genesis_hash: Hash32) -> None:
        want = (SCHEMA_VERSION, bytes(genesis_hash))
        with self._file.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO chain VALUES (1, ?, ?)", want)
            version, found_hash = connection.execute(
                "SELECT schema_version, genesis_hash FROM chain"
            ).fetchone()
        if (version, found_hash) != want:
            raise JournalError(
                f"{self._file.name} belongs to the L1 of genesis 0x{found_hash.hex()} (schema {version}); "
                f"this one's genesis is 0x{genesis_hash.hex()} (schema {SCHEMA_VERSION})"
            )


def _opened(path: Path | None) -> SqliteFile:
    try:
        return SqliteFile(path, name="the bridge's journal", schema=_SCHEMA)
    except HeldElsewhere as held:
        raise JournalError(
            f"{held}: two senders of one account would take each other's nonces"
        ) from held
