"""Which chain a data folder holds, and in which layout: the first rows of a database, and what every start checks.

    a new folder -> FolderMark.puts  -> in its first batch
    an old one   -> FolderMark.check -> UnusableFolder

Three databases begin so: the L1's (`chain_database`), the L2's (`sequencer.store`) and a foreign chain's (`node.standalone.database`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from node.eth.primitives import Hash32

_LAYOUT: Final = b"layout"
_GENESIS: Final = b"genesis"


class Rows(Protocol):
    """What is read of the store."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value."""


class UnusableFolder(Exception):
    """A data folder that belongs to another program version or another network; the user must choose."""

    def __init__(self, folder: str, what: str, found: str, wanted: str) -> None:
        super().__init__(f"{folder}: {what} is {found}, this process wants {wanted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMark:
    """The mark of one kind of database."""

    table: str
    """Where its rows stand."""
    layout: int
    """Version of its tables; another one is refused, never guessed at."""
    of: str = ""
    """Whose layout and genesis these are, where a folder has two."""

    def is_new(self, rows: Rows) -> bool:
        """Whether nothing was ever saved here."""
        return rows.get(self.table, _LAYOUT) is None

    def puts(self, genesis_hash: Hash32) -> list[tuple[str, bytes, bytes]]:
        """What the first batch writes."""
        layout = self.layout.to_bytes(4)
        return [(self.table, _LAYOUT, layout), (self.table, _GENESIS, genesis_hash)]

    def check(self, rows: Rows, folder: str, genesis_hash: Hash32) -> None:
        """Raise UnusableFolder unless this folder holds that chain in this layout."""
        layout = rows.get(self.table, _LAYOUT)
        if layout is None or int.from_bytes(layout) != self.layout:
            found = "missing" if layout is None else str(int.from_bytes(layout))
            raise UnusableFolder(folder, f"layout version{self.of}", found, str(self.layout))
        genesis = rows.get(self.table, _GENESIS)
        if genesis != genesis_hash:
            found = "missing" if genesis is None else f"0x{genesis.hex()}"
            wanted = f"0x{genesis_hash.hex()}"
            raise UnusableFolder(folder, f"genesis hash{self.of}", found, wanted)
