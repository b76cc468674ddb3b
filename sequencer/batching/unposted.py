"""L2 blocks that no batch carries yet, as a batch writes them.

    L2 chain, from the number after the last post -> Unposted.read -> blocks in order, until there is plenty for one batch

What was read stays until it is posted or the chain has dropped it, so that a look at an unchanged chain costs nothing.
Deliberately absent: when to post (service), and how much fits (packing).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.engine import PackedBlock
from node.rollup.deposits import DEPOSIT_TYPE
from sequencer.batching.packing import Packer, size_of
from sequencer.l1.places import L1Ref


class L2Blocks(Protocol):
    """What of the L2's chain is read."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the head's chain."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a kept block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBlock:
    """A block by name."""

    hash: Hash32
    """Its hash."""
    origin: L1Ref
    """Its L1 origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpostedBlock:
    """A block that waits for a batch."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""
    origin: L1Ref
    """Its L1 origin."""
    packed: PackedBlock
    """As a batch holds it."""
    size: int
    """Bytes before compression, at most."""


class Unposted:
    """The blocks after the last post."""

    def __init__(
        self, chain: L2Blocks, transactions_of: Callable[[bytes], list[bytes]], packer: Packer
    ) -> None:
        """`transactions_of` gives the EIP-2718 transactions of an RLP block."""
        self._chain = chain
        self._transactions_of = transactions_of
        self._packer = packer
        self._blocks: deque[UnpostedBlock] = deque()
        self._total = 0

    def read(self, first: int) -> Sequence[UnpostedBlock]:
        """The blocks from a number on: up to the head, or plenty for one batch."""
        self._forget(first)
        number = self._blocks[-1].number + 1 if self._blocks else first
        head = self._chain.head.header.number
        while number <= head and not self._packer.is_plenty(len(self._blocks), self._total):
            found = self._read_one(number)
            if found is None:
                break
            self._blocks.append(found)
            self._total += found.size
            number += 1
        return tuple(self._blocks)

    def count(self, first: int) -> int:
        """How many blocks there are from a number on, read or not."""
        return max(0, self._chain.head.header.number - first + 1)

    def fill_a_batch(self) -> bool:
        """Whether what was read last probably fills one."""
        return self._packer.fills(len(self._blocks), self._total)

    def holds(self, number: int, block_hash: Hash32) -> bool:
        """Whether the chain holds a block."""
        block = self._chain.block_by_number(number)
        return block is not None and block.hash == block_hash

    def named(self, number: int) -> NamedBlock | None:
        """A block of the chain by name."""
        block = self._chain.block_by_number(number)
        origin = None if block is None else self._chain.origin_of(block.hash)
        if block is None or origin is None:
            return None
        return NamedBlock(hash=block.hash, origin=origin)

    def _forget(self, first: int) -> None:
        """Drop what is posted, what the chain has dropped, and everything if it does not begin there."""
        while self._blocks and self._blocks[0].number < first:
            self._total -= self._blocks.popleft().size
        while self._blocks and not self.holds(self._blocks[-1].number, self._blocks[-1].hash):
            self._total -= self._blocks.pop().size
        if self._blocks and self._blocks[0].number != first:
            self._blocks.clear()
            self._total = 0

    def _read_one(self, number: int) -> UnpostedBlock | None:
        block = self._chain.block_by_number(number)
        parent = self.named(number - 1)
        origin = None if block is None else self._chain.origin_of(block.hash)
        if block is None or origin is None or parent is None:
            return None
        raws = self._transactions_of(block.rlp)
        packed = PackedBlock(
            timestamp=block.header.timestamp,
            advances_origin=origin.number != parent.origin.number,
            transactions=tuple(raw for raw in raws if raw[0] != DEPOSIT_TYPE),
        )
        return UnpostedBlock(
            number=number, hash=block.hash, origin=origin, packed=packed, size=size_of(packed)
        )
