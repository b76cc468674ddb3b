"""What this process derived itself, as a claim says it: the only thing a proposer signs for, and builds on.

    L2Chain (safe blocks) + RecordBook -> OwnClaims.tree(start, last), is_true(game)

A game is true when every root it names is our own: a claim that is true at its end and false in the middle will be lost, and
whoever has built on it with it.
Deliberately absent: why a game is false (disputes).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Final, Protocol

import trio

from bridge.games.reading import Game
from node.eth.blocks import Block
from node.eth.primitives import Address, Hash32
from node.rollup.claims import MAX_CLAIM_BLOCKS, RootTree
from node.rollup.outputs import output_of
from node.runtime.worker import Worker
from sequencer.deriving.book import Placed

VERDICTS_MAX: Final = 16_384
"""Games whose truth is remembered: more than `GameBook` holds, or each turn would judge all of them again."""

TREES_MAX: Final = 4
"""Trees in memory; the largest weighs 4 MiB."""

STEP_BLOCKS: Final = 64
"""Blocks that are read before others on the loop get their turn."""


class SafeChain(Protocol):
    """What of `sequencer.heads.L2Chain` is read."""

    @property
    def safe(self) -> Block:
        """The last block derived from L1."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the block of a number."""

    def batch_of(self, number: int) -> int | None:
        """Index of the record that holds a safe block."""


class Records(Protocol):
    """What of `sequencer.deriving.book.RecordBook` is read."""

    @property
    def count(self) -> int:
        """Records in the book."""

    def placed(self, index: int) -> Placed:
        """A record that was derived. Raises KeyError."""


class OwnClaims:
    """Claims about one process's safe chain."""

    def __init__(self, chain: SafeChain, records: Records, worker: Worker) -> None:
        self._chain = chain
        self._records = records
        self._worker = worker
        self._verdicts: OrderedDict[Address, tuple[Hash32, bool]] = OrderedDict()
        self._trees: OrderedDict[tuple[int, Hash32], RootTree] = OrderedDict()

    @property
    def safe_block(self) -> int:
        """Number of the safe head."""
        return self._chain.safe.header.number

    def root(self, number: int) -> Hash32 | None:
        """The output root after a safe block; None above."""
        block = self._chain.block_by_number(number) if number <= self.safe_block else None
        return None if block is None else output_of(block.header).root()

    def accumulator(self, number: int) -> Hash32 | None:
        """The Inbox's after the record that holds a safe block; None for genesis and above."""
        placed = self._placed(number)
        return None if placed is None else placed.tip.accumulator

    def last_within(self, start: int) -> int | None:
        """The last safe block that ends a record and that one claim from a start can reach; None where there is none."""
        last = min(self.safe_block, start + MAX_CLAIM_BLOCKS)
        placed = self._placed(last) if last > start else None
        if placed is None:
            return None
        end = placed.last_block if placed.last_block <= last else placed.first_block - 1
        return end if end > start else None

    async def tree(self, start: int, last: int) -> RootTree | None:
        """The output roots after the blocks above one and up to another; None where they are not all safe."""
        last_hash = self._chain.canonical_hash(last)
        if last_hash is None or not start < last <= min(self.safe_block, start + MAX_CLAIM_BLOCKS):
            return None
        name = start, last_hash
        found = self._trees.get(name)
        if found is None:
            roots: list[Hash32] = []
            for number in range(start + 1, last + 1):
                if number % STEP_BLOCKS == 0:
                    await trio.lowlevel.checkpoint()
                root = self.root(number)
                if root is None:
                    return None
                roots.append(root)
            if self._chain.canonical_hash(last) != last_hash:
                return None  # The chain was reset while it was read.
            found = await self._worker.run(partial(RootTree, tuple(roots)))
            self._trees[name] = found
            while len(self._trees) > TREES_MAX:
                self._trees.popitem(last=False)
        return found

    async def is_true(self, game: Game) -> bool:
        """Whether everything that a game claims is what this process derived; what is not derived yet is not."""
        last_hash = self._chain.canonical_hash(game.l2_block)
        if last_hash is None or game.l2_block > self.safe_block:
            return False
        known = self._verdicts.get(game.address)
        if known is not None and known[0] == last_hash:
            return known[1]
        is_true = await self._judge(game)
        if is_true is None:
            return False
        self._verdicts[game.address] = last_hash, is_true
        self._verdicts.move_to_end(game.address)
        while len(self._verdicts) > VERDICTS_MAX:
            self._verdicts.popitem(last=False)
        return is_true

    async def _judge(self, game: Game) -> bool | None:
        """Whether it is true; None where that cannot be told just now."""
        accumulator = self.accumulator(game.l2_block)
        if accumulator != game.accumulator:
            return None if accumulator is None else False
        ends = self.root(game.start_block), self.root(game.l2_block)
        if ends != (game.start_root, game.root_claim):
            return None if None in ends else False
        tree = await self.tree(game.start_block, game.l2_block)
        return None if tree is None else tree.id == game.roots_id

    def _placed(self, number: int) -> Placed | None:
        index = self._chain.batch_of(number)
        if index is None or index >= self._records.count:
            return None  # The book is written a moment after the heads move.
        return self._records.placed(index)
