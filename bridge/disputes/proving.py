"""From a wrong link to the call that proves it.

    game, L2 block -> StepMaker.gather (loop), prove (Worker) -> STEP's input, once for all games that err there
                   -> the game's roots -> branches of the roots before and after it -> call of `proveFault`

Making an input executes the block once more, so inputs are remembered: by the block that they prove and the record that yields it, for L1 may
reorganise one without the other.
Deliberately absent: sending, and whether it is worth it (planning).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from node.contracts.disputes import prove_fault
from node.errors import Temporary
from node.eth.primitives import Hash32
from node.rollup.claims import RootTree
from node.runtime.worker import Worker
from sequencer.deriving.book import Placed
from sequencer.deriving.proving import Gathered, StepMaker

Key = TypeVar("Key")
Kept = TypeVar("Kept")

INPUTS_MAX: Final = 32
"""Inputs in memory, 352 KiB each at most."""

TREES_MAX: Final = 8
"""Trees of roots in memory: 10 MiB with its roots for the widest claim."""


class HashedBlocks(Protocol):
    """What of the L2's chain is read."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the block of a number."""

    def batch_of(self, number: int) -> int | None:
        """Index of the record that holds a safe block."""


class Records(Protocol):
    """What of `sequencer.deriving.book.RecordBook` is read."""

    @property
    def count(self) -> int:
        """How many there are; after a reorganisation for a moment fewer than the chain speaks of."""

    def placed(self, index: int) -> Placed:
        """A record that was derived. Raises KeyError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A wrong link of a game."""

    roots_id: Hash32
    """Name of the game's roots."""
    roots: Sequence[Hash32]
    """They themselves."""
    start_block: int
    """L2 block before the first of them."""
    wrong_block: int
    """L2 block whose root is wrong, after a right one."""


class ProofMaker:
    """Makes calls of `proveFault` for one process."""

    def __init__(
        self, steps: StepMaker, chain: HashedBlocks, records: Records, worker: Worker
    ) -> None:
        self._steps = steps
        self._chain = chain
        self._records = records
        self._worker = worker
        self._inputs: OrderedDict[bytes, bytes] = OrderedDict()
        self._trees: OrderedDict[Hash32, RootTree] = OrderedDict()

    async def call_data(self, fault: Fault) -> bytes:
        """The call that proves a fault. Raises Temporary, MissingState where the block cannot be proven now."""
        step_input = await self._input(fault.wrong_block)
        tree = await self._tree(fault)
        place = fault.wrong_block - fault.start_block - 1
        return prove_fault(
            fault.roots[place],
            tree.branch(place - 1) if place else (),
            tree.branch(place),
            step_input,
        )

    async def _input(self, number: int) -> bytes:
        key = self._named(number)
        found = self._inputs.get(key)
        if found is None:
            gathered = self._steps.gather(number)
            found = await self._worker.run(partial(self._encoded, gathered))
            _remember(self._inputs, key, found, INPUTS_MAX)
        return found

    def _named(self, number: int) -> bytes:
        """What an input follows from: the block, and the record that yields it on this L1. Raises Temporary."""
        block_hash, index = self._chain.canonical_hash(number), self._chain.batch_of(number)
        if block_hash is None or index is None or index >= self._records.count:
            raise Temporary(f"L2 block {number} is not derived from L1 yet")
        return block_hash + self._records.placed(index).tip.accumulator

    def _encoded(self, gathered: Gathered) -> bytes:
        return self._steps.prove(gathered).encode()

    async def _tree(self, fault: Fault) -> RootTree:
        found = self._trees.get(fault.roots_id)
        if found is None:
            found = await self._worker.run(partial(RootTree, tuple(fault.roots)))
            _remember(self._trees, fault.roots_id, found, TREES_MAX)
        return found


def _remember(kept: OrderedDict[Key, Kept], key: Key, value: Kept, bound: int) -> None:
    kept[key] = value
    while len(kept) > bound:
        kept.popitem(last=False)
