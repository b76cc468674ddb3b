"""The relayer's list: the withdrawals that somebody asked it to settle, on disk before anybody is told so.

    rollup_settle -> add -> SQLite -> Relayer goes through it at every L1 block -> drop, once the settlement is final

Bounded: whoever asks pays nothing, so there is room for so many and no more.
Deliberately absent: what was sent for them; L1 says that.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bridge.relaying.planning import refusal_of
from bridge.withdrawals.finding import Sent
from node.eth.primitives import Hash32
from node.storage.sqlite_file import SqliteFile

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
        """Open or create the file; None keeps it in memory. A list of another L2 is begun anew.

        Raises:
            HeldElsewhere: another process has it.
            Corruption: it is damaged.
        """
        with ExitStack() as opening:
            self._file = SqliteFile(path, name="the relayer's list", schema=_SCHEMA)
            opening.callback(self._file.close)
            self._names = self._load(genesis_hash)
            opening.pop_all()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

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
        with self._file.transaction() as connection:
            connection.execute("INSERT INTO asked (hash, number) VALUES (?, ?)", row)
        self._names[name] = sent.number
        return None

    def drop(self, name: Hash32) -> None:
        """Take a withdrawal off the list."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM asked WHERE hash = ?", (bytes(name),))
        self._names.pop(name, None)

    def _load(self, genesis_hash: Hash32) -> dict[Hash32, int]:
        genesis = bytes(genesis_hash)
        with self._file.transaction() as connection:
            if connection.execute("SELECT genesis FROM chain").fetchone() != (genesis,):
                connection.execute("DELETE FROM asked")
                connection.execute("INSERT OR REPLACE INTO chain VALUES (1, ?)", (genesis,))
            rows = connection.execute("SELECT hash, number FROM asked ORDER BY place").fetchall()
        return {Hash32(found): number for found, number in rows}
