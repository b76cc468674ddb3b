"""Blocks by hash and number: which of them are canonical, and how that changes.

    import -> add; fork choice's answer -> set_head -> (added, dropped); what the fork choice let go -> prune

It holds the same blocks as the fork choice's own tree, whose root lies a little below finality, and below that root the
last RECENT_MAX canonical ones, for BLOCKHASH.
Deliberately absent: blocks' contents, states, weights, and the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from node.eth.primitives import Hash32
from node.storage.chain_database import TreeEntry

ANCESTORS_MAX: Final = 256
"""Hashes that BLOCKHASH can reach (EIP-2935 keeps more, in state)."""

RECENT_MAX: Final = 2 * ANCESTORS_MAX
"""Canonical blocks remembered below the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadMove:
    """How the canonical chain changed."""

    added: tuple[Hash32, ...]
    """New canonical blocks, ascending."""
    dropped: tuple[Hash32, ...]
    """Blocks that stopped being canonical, descending from the old head."""


class BlockTree:
    """Every block above a root, and the canonical chain through them."""

    def __init__(self, root: TreeEntry, recent: Sequence[TreeEntry] = ()) -> None:
        self._entries: dict[Hash32, TreeEntry] = {root.block_hash: root}
        self._recent: dict[Hash32, TreeEntry] = {one.block_hash: one for one in recent}
        self._canonical: dict[int, Hash32] = {one.number: one.block_hash for one in recent}
        self._canonical[root.number] = root.block_hash
        self._head = root
        self._root_number: int = root.number

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._entries

    @property
    def head(self) -> TreeEntry:
        """The last canonical block."""
        return self._head

    @property
    def root_number(self) -> int:
        """Number of the lowest block of the tree."""
        return self._root_number

    def entry(self, block_hash: Hash32) -> TreeEntry | None:
        """A block of the tree."""
        return self._entries.get(block_hash)

    def entries(self) -> tuple[TreeEntry, ...]:
        """Every block of the tree."""
        return tuple(self._entries.values())

    def is_recent(self, block_hash: Hash32) -> bool:
        """Whether this is one of the canonical blocks remembered below the root."""
        return block_hash in self._recent

    def add(self, entry: TreeEntry) -> None:
        """Put a block on its parent, which must be in the tree."""
        assert entry.parent_hash in self._entries
        self._entries[entry.block_hash] = entry

    def canonical_hash(self, number: int) -> Hash32 | None:
        """The canonical block of that number, if it is in the tree or recent."""
        return self._canonical.get(number)

    def canonical_entry(self, number: int) -> TreeEntry:
        """The canonical block of that number, which must be in the tree or recent."""
        block_hash = self._canonical[number]
        return self._entries.get(block_hash) or self._recent[block_hash]

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

    def prune(
        self, block_hashes: Iterable[Hash32], *, indexed_number: int
    ) -> tuple[list[TreeEntry], list[TreeEntry]]:
        """Let go of blocks: (canonical ones below the new root, ascending; forks).

        Only numbers up to `indexed_number` are forgotten altogether: the rest is nowhere else yet.
        """
        gone = [self._entries.pop(block_hash) for block_hash in block_hashes]
        gone.sort(key=lambda one: (one.slot, one.block_hash))
        canonical = [one for one in gone if self.is_canonical(one)]
        forks = [one for one in gone if not self.is_canonical(one)]
        if canonical:
            self._root_number = canonical[-1].number + 1
        self._recent.update((one.block_hash, one) for one in canonical)
        for entry in list(self._recent.values())[:-RECENT_MAX]:
            if entry.number > indexed_number:
                break
            del self._recent[entry.block_hash]
            del self._canonical[entry.number]
        return canonical, forks

    def ancestors(self, block_hash: Hash32) -> bytes | None:
        """Up to 256 hashes from this block down, newest first; None if it is not in the tree."""
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
