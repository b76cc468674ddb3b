"""The relayer's list: the withdrawals that somebody asked it to settle, on disk before anybody is told so.

    rollup_settle -> add -> SQLite -> Relayer goes through it at every L1 block -> drop, once the settlement is final

Bounded: whoever asks pays nothing, so there is room for so many and no more.
Deliberately absent: what was sent for them; L1 says that.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from bridge.relaying.planning import refusal_of
from bridge.withdrawals.finding import Sent
from node.errors import Corruption
from node.eth.primitives import Hash32

ASKED_MAX: Final = 512
"""Withdrawals on the list."""

FULL: Final = (
    f"the relayer has {ASKED_MAX} withdrawals to settle already: prove and finalize it yourself"
)
"""What is said when there is no room."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS asked (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    number INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS chain (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    genesis BLOB NOT NULL
);
"""


class AskedList:
    """The open list; the oldest question first."""

    def __init__(self, path: Path | None, *, genesis_hash: Hash32) -> None:
        """Open or create the file; None keeps it in memory. A list of another L2 is begun anew. Raises Corruption."""
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, timeout=0.0
        )
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            self._names = self._load(genesis_hash)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise Corruption(f"the relayer's list {path} is damaged: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __contains__(self, name: object) -> bool:
        """Whether a withdrawal is on the list."""
        return name in self._names

    @property
    def names(self) -> tuple[Hash32, ...]:
        """The withdrawals, in the order in which they were asked for."""
        return tuple(self._names)

    def number_of(self, name: Hash32) -> int:
        """The L2 block in which a withdrawal of the list stood when it was asked for."""
        return self._names[name]

    def add(self, sent: Sent) -> str | None:
        """Put a withdrawal on the list; gives why not. One that is there already stays where it is."""
        name = sent.message.withdrawal_hash
        refusal = refusal_of(sent.message.gas_limit)
        if refusal is not None or name in self._names:
            return refusal
        if len(self._names) >= ASKED_MAX:
            return FULL
        row = (bytes(name), sent.number)
        self._connection.execute("INSERT INTO asked (hash, number) VALUES (?, ?)", row)
        self._names[name] = sent.number
        return None

    def drop(self, name: Hash32) -> None:
        """Take a withdrawal off the list."""
        self._connection.execute("DELETE FROM asked WHERE hash = ?", (bytes(name),))
        self._names.pop(name, None)

    def _load(self, genesis_hash: Hash32) -> dict[Hash32, int]:
        row = self._connection.execute("SELECT genesis FROM chain").fetchone()
        if row is None or row[0] != genesis_hash:
            self._connection.execute("DELETE FROM asked")
            self._connection.execute(
                "INSERT OR REPLACE INTO chain VALUES (1, ?)", (bytes(genesis_hash),)
            )
        rows = self._connection.execute("SELECT hash, number FROM asked ORDER BY place").fetchall()
        return {Hash32(found): number for found, number in rows}
