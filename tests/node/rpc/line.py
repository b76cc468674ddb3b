"""Blocks in a line, as JSON-RPC asks for them: what chains of tests have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from node.eth.blocks import Block
from node.eth.primitives import Hash32


@dataclass(slots=True)
class Line:
    """A chain without forks, from genesis to its head; who extends it adds to both."""

    blocks: list[Block] = field(default_factory=list)
    """By number."""
    transactions: dict[bytes, tuple[Block, int]] = field(default_factory=dict)
    """Where each transaction stands."""
    safety_fault: str | None = None
    """What is wrong with finality."""

    def add(self, block: Block, transaction_hashes: Sequence[bytes]) -> None:
        """The next block."""
        self.blocks.append(block)
        for index, transaction_hash in enumerate(transaction_hashes):
            self.transactions[transaction_hash] = (block, index)

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    @property
    def safe(self) -> Block:
        return self.blocks[-1]

    @property
    def finalized(self) -> Block:
        return self.blocks[-1]

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        return next((block for block in self.blocks if block.hash == block_hash), None)

    def block_by_number(self, number: int) -> Block | None:
        return self.blocks[number] if number < len(self.blocks) else None

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        return self.transactions.get(transaction_hash)

    def is_canonical(self, block_hash: Hash32) -> bool:
        return self.block_by_hash(block_hash) is not None

    def ancestors(self, block_hash: Hash32) -> bytes:
        block = self.block_by_hash(block_hash)
        assert block is not None
        below = self.blocks[: block.header.number]
        return b"".join(one.hash for one in reversed(below[-256:]))

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        return [(block.hash, block.header.logs_bloom) for block in self.blocks[first : last + 1]]
