"""What of the L2's chain is not in the tables yet, and what in the tables is no longer true.

    L2Chain.append, reset_to, set_safe -> Unsaved -> batch (a moment of the chain) -> L2Store.save -> saved

Rows up to `saved_to` are the chain's; rows above it, if there are any, are those of dropped blocks, until a batch removes them.
A batch may be on its way while the chain goes on, and back: what it saved counts as far as it is still true when it is done.
Mutable, owned by `L2Chain`; one batch at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from sequencer.journal import Position
from sequencer.store import Batch, Doomed, Heads, Kept
from sequencer.window import weight

UNSAVED_BLOCKS_MAX: Final = 4_096
"""Blocks in memory alone; `L2Chain.room` holds producers back beyond that."""

UNSAVED_BYTES_MAX: Final = 64 << 20
"""Their bytes."""


class Unsaved:
    """The difference between a chain and its tables."""

    def __init__(self, heads: Heads) -> None:
        """`heads` are what the tables hold."""
        self.saved_to = heads.head
        """Rows of blocks up to here are the chain's."""
        self.written_to = heads.head
        """There are no rows of blocks above this one; a batch on its way is counted."""
        self._blocks: dict[int, Kept] = {}
        self._bytes = 0
        self._heads = heads
        self._doomed: list[Doomed] = []
        self._reset_to: int | None = None
        """The lowest reset since the last batch was taken."""
        self._records: list[tuple[int, int]] = []
        self._records_above: int | None = None
        self._records_saved_to = heads.safe
        self._records_forgotten = False
        """Whether records were taken back since the last batch was taken."""

    @property
    def blocks_count(self) -> int:
        """Blocks that only memory and the journal hold."""
        return len(self._blocks)

    @property
    def has_room(self) -> bool:
        """Whether memory takes more of them."""
        return len(self._blocks) < UNSAVED_BLOCKS_MAX and self._bytes < UNSAVED_BYTES_MAX

    # -- changes of the chain

    def add(self, kept: Kept, position: Position) -> None:
        """A block was put on the head; the journal now ends at `position`."""
        number: int = kept.block.header.number
        assert number == self.saved_to + len(self._blocks) + 1, "a gap"
        self._blocks[number] = kept
        self._bytes += weight(kept)
        self._move(head=number, position=position)

    def reset(self, number: int, doomed: Sequence[Doomed], position: Position) -> None:
        """The blocks above a number were dropped; `doomed` are those of them up to `written_to`."""
        for gone in [one for one in self._blocks if one > number]:
            self._bytes -= weight(self._blocks.pop(gone))
        self.saved_to = min(self.saved_to, number)
        self._doomed += doomed
        self._reset_to = number if self._reset_to is None else min(self._reset_to, number)
        self._move(head=number, position=position)

    def set_safe(self, number: int, record_index: int | None) -> None:
        """The safe head moved; forward over a record that ends there, if one is named."""
        if number < self._heads.safe:
            self._records = [one for one in self._records if one[0] <= number]
            above = self._records_above
            self._records_above = number if above is None else min(above, number)
            self._records_saved_to = min(self._records_saved_to, number)
            self._records_forgotten = True
        elif number > self._heads.safe and record_index is not None:
            self._records.append((number, record_index))
        self._move(safe=number)

    def set_finalized(self, number: int) -> None:
        """The finalized head moved."""
        self._move(finalized=number)

    def record_of(self, number: int) -> int | None:
        """Index of the record that holds a safe block, if the tables do not know."""
        if number <= self._records_saved_to:
            return None
        place = bisect_left(self._records, (number, -1))
        return self._records[place][1] if place < len(self._records) else None

    # -- saving

    def batch(self) -> Batch:
        """Take what has to be saved; `saved` must follow before the next one."""
        self._reset_to = None
        self._records_forgotten = False
        self.written_to = max(self.written_to, self._heads.head)
        return Batch(
            heads=self._heads,
            blocks=tuple(self._blocks.values()),
            doomed=tuple(self._doomed),
            records=tuple(self._records),
            records_above=self._records_above,
        )

    def saved(self, batch: Batch) -> None:
        """The tables hold a batch."""
        head = batch.heads.head
        self.written_to = head
        self.saved_to = head if self._reset_to is None else min(head, self._reset_to)
        for number in [one for one in self._blocks if one <= self.saved_to]:
            self._bytes -= weight(self._blocks.pop(number))
        del self._doomed[: len(batch.doomed)]
        if not self._records_forgotten:
            del self._records[: len(batch.records)]
            self._records_above = None
            self._records_saved_to = batch.heads.safe

    def _move(
        self,
        *,
        head: int | None = None,
        safe: int | None = None,
        finalized: int | None = None,
        position: Position | None = None,
    ) -> None:
        old = self._heads
        self._heads = Heads(
            old.head if head is None else head,
            old.safe if safe is None else safe,
            old.finalized if finalized is None else finalized,
            old.position if position is None else position,
        )
