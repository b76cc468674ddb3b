"""Blocks in memory, least recently used first out, over the database.

    head, RPC, logs -> BlockCache.get -> (memory | BlockSource.load_block)
    HeadChanged     -> BlockRun       -> one block after the other through the cache

Bounded by bytes, because a full block is a thousand times an empty one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, overload

from node.eth.blocks import Block
from node.eth.primitives import Hash32

CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bodies and receipts that stay in memory: about a hundred full blocks."""

CACHE_BLOCKS_MAX: Final = 2_048
"""Blocks that stay in memory: more than an hour of empty ones."""

_OVERHEAD_BYTES: Final = 2_048
"""What a decoded header costs beside its bytes, about."""


class BlockSource(Protocol):
    """What lies below."""

    def load_block(self, block_hash: Hash32) -> Block | None:
        """A block that was saved."""


class BlockCache:
    """Blocks by hash."""

    def __init__(self, database: BlockSource) -> None:
        self._database = database
        self._blocks: OrderedDict[Hash32, Block] = OrderedDict()
        self._bytes = 0

    def get(self, block_hash: Hash32) -> Block | None:
        """A block that was saved; a short look-up."""
        block = self._blocks.get(block_hash)
        if block is not None:
            self._blocks.move_to_end(block_hash)
            return block
        block = self._database.load_block(block_hash)
        if block is not None:
            self.put(block)
        return block

    def put(self, block: Block) -> None:
        """Remember a block that is in the database, or about to be."""
        if block.hash in self._blocks:
            return
        self._blocks[block.hash] = block
        self._bytes += _size(block)
        while len(self._blocks) > 1 and (
            self._bytes > CACHE_BYTES_MAX or len(self._blocks) > CACHE_BLOCKS_MAX
        ):
            self._bytes -= _size(self._blocks.popitem(last=False)[1])

    def forget(self, block_hash: Hash32) -> None:
        """Drop a block that left the database."""
        if (block := self._blocks.pop(block_hash, None)) is not None:
            self._bytes -= _size(block)


class BlockRun(Sequence[Block]):
    """Blocks of a change of the head, each read when it is looked at: hundreds of full ones are never in memory together.

    A block that finality has removed from disk meanwhile is left out of an iteration.
    """

    def __init__(self, hashes: Sequence[Hash32], cache: BlockCache) -> None:
        self.hashes = tuple(hashes)
        """Their ids, in order."""
        self._cache = cache

    def __len__(self) -> int:
        return len(self.hashes)

    def __iter__(self) -> Iterator[Block]:
        return (block for one in self.hashes if (block := self._cache.get(one)) is not None)

    @overload
    def __getitem__(self, place: int) -> Block: ...

    @overload
    def __getitem__(self, place: slice[int | None, int | None, int | None]) -> BlockRun: ...

    def __getitem__(
        self, place: int | slice[int | None, int | None, int | None]
    ) -> Block | BlockRun:
        """A block, or a part of the run. Raises IndexError, and KeyError for a block that is gone."""
        if isinstance(place, slice):
            return BlockRun(self.hashes[place], self._cache)
        block = self._cache.get(self.hashes[place])
        if block is None:
            raise KeyError(self.hashes[place])
        return block

    def __reversed__(self) -> Iterator[Block]:
        return iter(BlockRun(self.hashes[::-1], self._cache))


def _size(block: Block) -> int:
    return len(block.rlp) + len(block.receipts) + _OVERHEAD_BYTES
