"""The output roots that this process derived itself: what every claim is held against.

    L2Chain (safe blocks) + RecordBook (which record holds them) -> OwnRoots.upto(claim) -> judge

A hundred games over the same blocks read each block once. What is remembered goes when the chain drops the block.
Deliberately absent: anything that is not safe. An unsafe block is the sequencer's word, and no ground to judge anybody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from bridge.disputes.judging import ClaimedRoots, OwnChain
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rollup.claims import MAX_CLAIM_BLOCKS
from node.rollup.outputs import output_of
from sequencer.deriving.book import Placed

REMEMBERED_MAX: Final = 1 << 17
"""Roots in memory: twice what one game can claim; 23 MiB at most, usually a tenth."""

STEP_BLOCKS: Final = 64
"""Blocks that are read before others on the loop get their turn."""


class SafeChain(Protocol):
    """What of `sequencer.heads.L2Chain` is read."""

    @property
    def safe(self) -> Block:
        """The last block derived from L1."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""

    def batch_of(self, number: int) -> int | None:
        """Index of the record that holds a safe block."""

    def on_reset(self, callback: Callable[[Sequence[Block]], None]) -> None:
        """Tells of blocks that are dropped, from the head down."""


class Records(Protocol):
    """What of `sequencer.deriving.book.RecordBook` is read."""

    @property
    def count(self) -> int:
        """How many there are; after a reorganisation for a moment fewer than the chain speaks of."""

    def placed(self, index: int) -> Placed:
        """A record that was derived. Raises KeyError."""


class OwnRoots:
    """Output roots of one process's safe chain."""

    def __init__(self, chain: SafeChain, records: Records) -> None:
        self._chain = chain
        self._records = records
        self._roots: OrderedDict[int, Hash32] = OrderedDict()
        self._resets = 0
        chain.on_reset(self._forget)

    @property
    def resets(self) -> int:
        """How often the chain dropped blocks: what was judged before is judged again."""
        return self._resets

    @property
    def safe_block(self) -> int:
        """Number of the safe head."""
        return self._chain.safe.header.number

    async def upto(self, claim: ClaimedRoots) -> OwnChain:
        """What this process derived, from a claim's start to its last block; no roots where that is not all safe."""
        first, last = claim.start_block, claim.l2_block
        resets = self._resets
        roots: list[Hash32] = []
        is_readable = 0 <= first < last <= self.safe_block and last - first <= MAX_CLAIM_BLOCKS
        if is_readable:
            for number in range(first, last + 1):
                if number % STEP_BLOCKS == 0:
                    await trio.lowlevel.checkpoint()
                if resets != self._resets or number > self.safe_block:
                    roots = []
                    break
                roots.append(self._root(number))
        return OwnChain(
            safe_block=self.safe_block, accumulator=self._accumulator(last), roots=roots
        )

    def _root(self, number: int) -> Hash32:
        found = self._roots.get(number)
        if found is None:
            block = self._chain.block_by_number(number)
            assert block is not None, "a safe block that the chain does not have"
            found = self._roots[number] = output_of(block.header).root()
            if len(self._roots) > REMEMBERED_MAX:
                self._roots.popitem(last=False)
        return found

    def _accumulator(self, number: int) -> Hash32 | None:
        """The Inbox's after the record that holds a block; None for one that is not safe."""
        index = self._chain.batch_of(number)
        if index is None or index >= self._records.count:
            return None
        return self._records.placed(index).tip.accumulator

    def _forget(self, dropped: Sequence[Block]) -> None:
        self._resets += 1
        for block in dropped:
            self._roots.pop(block.header.number, None)
