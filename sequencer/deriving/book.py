"""Which records have been derived, where on L1 they lie, and what L2 block each ended with: on disk, for the next process.

    Deriver -> RecordBook.append (a record was derived), save (now and then), cut (L1 has dropped it), settle (it is final)
    restart -> RecordBook.placed (newest first) -> where deriving goes on
    RPC     -> RecordBook.placed -> which L1 block holds the data of an L2 block

A row weighs about 250 bytes and is never removed once final: a day of a record every two seconds is 11 MB.
What was not saved when a process died is found on L1 again, and matched instead of executed.
Deliberately absent: batches. They lie on L1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.errors import Corruption, Rejected
from node.eth import rlp
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.records import GENESIS_TIP, InboxTip
from sequencer.l1.places import L1Ref

_PLACED: Final = "placed_records"
_META: Final = "placed_records_meta"
_FINAL_COUNT: Final = b"final"

CACHED_MAX: Final = 1_024
"""Rows in memory."""

UNSAVED_MAX: Final = 64
"""Rows that wait for a write: catching up must not wait for the disk at every record."""


class BookTables(Protocol):
    """What of the tables on disk is used."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value."""

    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None:
        """One atomic transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A record that was derived."""

    index: int
    """Records before it."""
    block: L1Ref
    """The L1 block that holds it."""
    log_index: int
    """Of its log in that block."""
    first_block: int
    """Number of its first L2 block."""
    last_hash: Hash32
    """Hash of its last L2 block."""
    tip: InboxTip
    """The Inbox after it."""

    @property
    def last_block(self) -> int:
        """Number of its last L2 block."""
        return self.tip.next_block - 1


class RecordBook:
    """The records of one chain that this node has derived; `save`, `cut` and `settle` may run beside the loop, one at a time."""

    def __init__(self, tables: BookTables) -> None:
        """Open what the last process left. Raises Corruption."""
        self._tables = tables
        self._cache: OrderedDict[int, Placed] = OrderedDict()
        self._unsaved: dict[int, Placed] = {}
        self._count = self._find_count()
        final = tables.get(_META, _FINAL_COUNT)
        self._final_count = 0 if final is None else int.from_bytes(final)
        if self._final_count > self._count:
            raise Corruption(
                f"{self._final_count} records were final, {self._count} are in the book"
            )

    @property
    def count(self) -> int:
        """Records in the book; the last one's index is one less."""
        return self._count

    @property
    def final_count(self) -> int:
        """How many of them lie in final L1 blocks."""
        return self._final_count

    @property
    def is_full(self) -> bool:
        """Whether so many rows wait that they should be saved."""
        return len(self._unsaved) >= UNSAVED_MAX

    @property
    def tip(self) -> InboxTip:
        """The Inbox after the last of them."""
        return self.placed(self._count - 1).tip if self._count else GENESIS_TIP

    def placed(self, index: int) -> Placed:
        """A record of the book. Raises KeyError outside it, Corruption."""
        if not 0 <= index < self._count:
            raise KeyError(index)
        found = self._unsaved.get(index) or self._cache.get(index)
        if found is None:
            value = self._tables.get(_PLACED, _key(index))
            if value is None:
                raise Corruption(f"record {index} is missing from the book")
            found = _decode(index, value)
            self._remember(found)
        return found

    def append(self, placed: Placed) -> None:
        """Note a record that was derived; in memory until `save`."""
        assert placed.index == self._count, "records are derived in order"
        self._unsaved[placed.index] = placed
        self._count += 1

    def save(self) -> None:
        """Write what was appended."""
        saved = list(self._unsaved.values())
        if not saved:
            return
        self._tables.write([(_PLACED, _key(one.index), _encode(one)) for one in saved], [])
        for one in saved:
            self._remember(one)
            self._unsaved.pop(one.index, None)

    def cut(self, count: int) -> None:
        """Forget the records from this index on. Raises Corruption where one of them was final."""
        if count < self._final_count:
            raise Corruption(
                f"L1 has dropped record {count}, but {self._final_count} records were final"
            )
        self.truncate(count)

    def truncate(self, count: int) -> None:
        """Forget the records from this index on, final or not: their blocks are lost and will be derived again."""
        final_count = min(self._final_count, count)
        self.save()
        indexes = range(count, self._count)
        self._tables.write(
            [(_META, _FINAL_COUNT, final_count.to_bytes(8))],
            [(_PLACED, _key(index)) for index in indexes],
        )
        for index in indexes:
            self._cache.pop(index, None)
        self._count = min(self._count, count)
        self._final_count = final_count

    def settle(self, count: int) -> None:
        """Write that so many records are final; never fewer than before."""
        assert self._final_count <= count <= self._count, "finality never moves back"
        self.save()
        self._tables.write([(_META, _FINAL_COUNT, count.to_bytes(8))], [])
        self._final_count = count

    def _remember(self, placed: Placed) -> None:
        self._cache[placed.index] = placed
        self._cache.move_to_end(placed.index)
        if len(self._cache) > CACHED_MAX:
            self._cache.popitem(last=False)

    def _find_count(self) -> int:
        """Find the first index without a row: rows are written and removed at the end only."""
        present, absent = 0, 1
        while self._tables.get(_PLACED, _key(absent - 1)) is not None:
            present, absent = absent, 2 * absent
        while absent - present > 1:
            middle = (present + absent) // 2
            if self._tables.get(_PLACED, _key(middle - 1)) is not None:
                present = middle
            else:
                absent = middle
        return present


def _key(index: int) -> bytes:
    return index.to_bytes(8)


def _encode(placed: Placed) -> bytes:
    tip = placed.tip
    return rlp.encode(
        (
            placed.block.number,
            placed.block.hash,
            placed.log_index,
            placed.first_block,
            placed.last_hash,
            tip.next_block,
            tip.last_origin,
            tip.accumulator,
        )
    )


def _decode(index: int, value: bytes) -> Placed:
    try:
        fields = rlp.as_list(rlp.decode(value), 8)
        return Placed(
            index=index,
            block=L1Ref(number=rlp.as_integer(fields[0]), hash=Hash32(rlp.as_bytes(fields[1], 32))),
            log_index=rlp.as_integer(fields[2]),
            first_block=rlp.as_integer(fields[3]),
            last_hash=Hash32(rlp.as_bytes(fields[4], 32)),
            tip=InboxTip(
                record_count=index + 1,
                next_block=BlockNumber(rlp.as_integer(fields[5])),
                last_origin=BlockNumber(rlp.as_integer(fields[6])),
                accumulator=Hash32(rlp.as_bytes(fields[7], 32)),
            ),
        )
    except Rejected as error:
        raise Corruption(f"record {index} of the book is damaged: {error}") from error
