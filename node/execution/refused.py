"""Blocks that execution refused, a few of them, for whoever wants to know why: `debug_getBadBlocks`.

    import fails -> refused_block (rendered once, beside the loop) -> RefusedBlocks -> highest_first

Whoever makes them must not fill memory with them: they are counted as long as an answer with them would be. A copy whose body
is not its header's is not kept, else anybody could push the others out with copies of sound blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.errors import InvalidBlock
from node.eth.hashing import keccak256
from node.eth.headers import any_header_of_block
from node.eth.primitives import Hash32

BLOCKS_MAX: Final = 10
"""Blocks that are kept: as many as geth keeps."""

BYTES_MAX: Final = 32 << 20
"""Bytes of an answer with all of them: half of what a response may have. Whatever is longer alone is not kept."""


class RefusedEngine(Protocol):
    """What rendering asks of execution."""

    def refused_block_json(self, block: bytes) -> bytes:
        """A whole block that was refused, with its transactions. Raises InvalidBlock if its body is not its header's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBlock:
    """A block that was refused."""

    number: int
    """As its header has it."""
    hash: Hash32
    """Of its header."""
    rlp: bytes
    """The whole block."""
    json: bytes
    """As JSON-RPC prints it, with its transactions."""

    @property
    def size(self) -> int:
        """Bytes that it takes in an answer."""
        return len(self.json) + 2 * len(self.rlp)


def refused_block(engine: RefusedEngine, rlp: bytes) -> RefusedBlock | None:
    """What is kept of a block that was refused; None of what is no block, or another's body."""
    try:
        json = engine.refused_block_json(rlp)
    except InvalidBlock:
        return None
    header, encoded = any_header_of_block(rlp)
    return RefusedBlock(number=header.number, hash=keccak256(encoded), rlp=rlp, json=json)


class RefusedBlocks:
    """The last blocks that were refused, each once."""

    def __init__(self) -> None:
        self._blocks: dict[Hash32, RefusedBlock] = {}

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._blocks

    def __iter__(self) -> Iterator[RefusedBlock]:
        """The oldest first."""
        return iter(self._blocks.values())

    def put(self, block: RefusedBlock) -> None:
        """Keep a block; the oldest give way."""
        if block.size > BYTES_MAX or block.hash in self._blocks:
            return
        self._blocks[block.hash] = block
        while len(self._blocks) > BLOCKS_MAX or self._size() > BYTES_MAX:
            del self._blocks[next(iter(self._blocks))]

    def highest_first(self) -> Sequence[RefusedBlock]:
        """All of them, as geth sorts them."""
        return sorted(self._blocks.values(), key=lambda one: one.number, reverse=True)

    def _size(self) -> int:
        return sum(one.size for one in self._blocks.values())
