"""Blocks in memory, least recently used first out, over the database.

    head, RPC, logs -> BlockCache.get -> (memory | ChainDatabase.load_block)

Bounded by bytes, because a full block is a thousand times an empty one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.storage.chain_database import ChainDatabase

CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bodies and receipts that stay in memory: about a hundred full blocks."""

CACHE_BLOCKS_MAX: Final = 2_048
"""Blocks that stay in memory: more than an hour of empty ones."""

_OVERHEAD_BYTES: Final = 2_048
"""What a decoded header costs beside its bytes, about."""


class BlockCache:
    """Blocks by hash."""

    def __init__(self, database: ChainDatabase) -> None:
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


def _size(block: Block) -> int:
    return len(block.rlp) + len(block.receipts) + _OVERHEAD_BYTES
