"""The blocks above finality as a tree of hashes, and which of them are canonical.

    import -> add; fork choice's answer -> set_head -> (added, dropped); finality -> finalize -> (made final, forks)

Below the finalized block it remembers the canonical blocks that BLOCKHASH and the votes of the next blocks can reach:
RECENT_MAX of them, or as many as lie above the finality that the finalized block itself has seen.
Deliberately absent: blocks' contents, weights, and the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.eth.primitives import Hash32
from node.storage.chain_database import TreeEntry

ANCESTORS_MAX: Final = 256
"""Hashes that BLOCKHASH can reach (EIP-2935 keeps more, in state)."""

RECENT_MAX: Final = 2 * ANCESTORS_MAX
"""Canonical hashes kept below the finalized block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadMove:
    """How the canonical chain changed."""

    added: tuple[Hash32, ...]
    """New canonical blocks, ascending."""
    dropped: tuple[Hash32, ...]
    """Blocks that stopped being canonical, descending from the old head."""


class BlockTree:
    """Every block above the finalized one, and the canonical chain through them."""

    def __init__(self, root: TreeEntry, recent: Sequence[TreeEntry] = ()) -> None:
        self._root = root
        self._entries: dict[Hash32, TreeEntry] = {root.block_hash: root}
        self._recent: dict[Hash32, TreeEntry] = {one.block_hash: one for one in recent}
        self._canonical: dict[int, Hash32] = {one.number: one.block_hash for one in recent}
        self._canonical[root.number] = root.block_hash
        self._head = root

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._entries

    @property
    def root(self) -> TreeEntry:
        """The finalized block."""
        return self._root

    @property
    def head(self) -> TreeEntry:
        """The last canonical block."""
        return self._head

    def entry(self, block_hash: Hash32) -> TreeEntry | None:
        """A block of the tree."""
        return self._entries.get(block_hash)

    def is_recent(self, block_hash: Hash32) -> bool:
        """Whether this is one of the canonical blocks remembered below the finalized one."""
        return block_hash in self._recent

    def add(self, entry: TreeEntry) -> None:
        """Put a block on its parent, which must be in the tree."""
        assert entry.parent_hash in self._entries
        self._entries[entry.block_hash] = entry

    def canonical_hash(self, number: int) -> Hash32 | None:
        """The canonical block of that number, if it is above finality or recent."""
        return self._canonical.get(number)

    def is_canonical(self, entry: TreeEntry) -> bool:
        """Whether the head descends from this block, or is it."""
        return self._canonical.get(entry.number) == entry.block_hash

    def set_head(self, block_hash: Hash32) -> HeadMove:
        """Make the chain up to this block canonical."""
        head = self._entries[block_hash]
        added: list[TreeEntry] = []
        entry = head
        while not self.is_canonical(entry):
            added.append(entry)
            entry = self._entries[entry.parent_hash]
        dropped = [
            self._canonical.pop(number) for number in range(self._head.number, entry.number, -1)
        ]
        for one in added:
            self._canonical[one.number] = one.block_hash
        self._head = head
        ascending = tuple(one.block_hash for one in reversed(added))
        return HeadMove(added=ascending, dropped=tuple(dropped))

    def finalize(
        self, block_hash: Hash32, keep_from_slot: int
    ) -> tuple[list[TreeEntry], list[TreeEntry]]:
        """Move the root up to a canonical block: (blocks made final, ascending; forks that are gone).

        Canonical blocks from `keep_from_slot` on, and RECENT_MAX in any case, stay known below the new root.
        """
        root = self._entries[block_hash]
        assert self.is_canonical(root), "the head descends from the finalized block"
        final = [
            self._entries[self._canonical[number]]
            for number in range(self._root.number + 1, root.number + 1)
        ]
        gone = {entry.block_hash for entry in final} | {self._root.block_hash}
        kept = {root.block_hash: root}
        forks: list[TreeEntry] = []
        for entry in sorted(self._entries.values(), key=lambda one: (one.slot, one.block_hash)):
            if entry.parent_hash in kept:
                kept[entry.block_hash] = entry
            elif entry.block_hash not in gone:
                forks.append(entry)
        self._recent[self._root.block_hash] = self._root
        self._recent.update((one.block_hash, one) for one in final[:-1])
        self._recent.pop(root.block_hash, None)
        self._entries, self._root = kept, root
        self._forget_recent(root.number - RECENT_MAX, keep_from_slot)
        return final, forks

    def block_at(self, block_hash: Hash32, slot: int) -> Hash32:
        """The last block with a slot not above this one, on the chain that ends with a block of the tree."""
        entry = self._entries[block_hash]
        while entry.slot > slot:
            parent = entry.parent_hash
            entry = self._entries.get(parent) or self._recent[parent]
        return entry.block_hash

    def ancestors(self, block_hash: Hash32) -> bytes | None:
        """Up to 256 hashes below and including this block, newest first; None if it is not here."""
        entry = self._entries.get(block_hash)
        if entry is None:
            return None
        hashes: list[bytes] = []
        while not self.is_canonical(entry) and len(hashes) < ANCESTORS_MAX:
            hashes.append(entry.block_hash)
            entry = self._entries[entry.parent_hash]
        number: int = entry.number
        while len(hashes) < ANCESTORS_MAX and (found := self._canonical.get(number)) is not None:
            hashes.append(found)
            number -= 1
        return b"".join(hashes)

    def descends(self, block_hash: Hash32, from_hash: Hash32) -> bool:
        """Whether a block of the tree is this other one or lies above it."""
        base = self._entries.get(from_hash)
        entry = self._entries.get(block_hash)
        while base is not None and entry is not None and entry.number > base.number:
            entry = self._entries.get(entry.parent_hash)
        return base is not None and entry == base

    def _forget_recent(self, from_number: int, from_slot: int) -> None:
        for entry in list(self._recent.values()):
            if entry.number >= from_number or entry.slot >= from_slot:
                return
            del self._recent[entry.block_hash]
            del self._canonical[entry.number]

    def entries(self) -> list[TreeEntry]:
        """All blocks of the tree, by slot."""
        return sorted(self._entries.values(), key=lambda one: (one.slot, one.block_hash))
