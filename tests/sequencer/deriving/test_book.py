"""The book of derived records, and what a crash leaves of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from node.errors import Corruption
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.records import GENESIS_TIP, InboxTip
from sequencer.deriving.book import CACHED_MAX, UNSAVED_MAX, Placed, RecordBook
from sequencer.l1.places import L1Ref
from tests.kit.memory_tables import Disk, Killed, MemoryTables


def word(number: int) -> Hash32:
    return Hash32(number.to_bytes(32))


def placed(index: int) -> Placed:
    return Placed(
        index=index,
        block=L1Ref(number=10 + index, hash=word(index)),
        log_index=index % 3,
        first_block=5 * index + 1,
        last_hash=word(1_000 + index),
        tip=InboxTip(
            record_count=index + 1,
            next_block=BlockNumber(5 * index + 6),
            last_origin=BlockNumber(index),
            accumulator=word(2_000 + index),
        ),
    )


def add_all(book: RecordBook, count: int) -> None:
    for index in range(count):
        book.append(placed(index))


def filled(count: int, disk: Disk | None = None) -> RecordBook:
    book = RecordBook(MemoryTables(disk))
    add_all(book, count)
    book.save()
    return book


@given(st.integers(0, 70))
def test_the_next_process_reads_what_was_saved(count: int) -> None:
    disk = Disk()
    filled(count, disk)
    book = RecordBook(MemoryTables(disk))
    assert book.count == count
    assert [book.placed(index) for index in range(count)] == [placed(one) for one in range(count)]
    assert book.tip == (placed(count - 1).tip if count else GENESIS_TIP)
    assert placed(3).last_block == 20


def test_what_was_not_saved_is_forgotten_with_the_process() -> None:
    disk = Disk()
    book = filled(3, disk)
    book.append(placed(3))
    assert book.count == 4
    assert book.placed(3) == placed(3)
    assert RecordBook(MemoryTables(disk)).count == 3


def test_rows_that_wait_for_a_write_are_bounded() -> None:
    book = RecordBook(MemoryTables())
    fullness: list[bool] = []
    for index in range(UNSAVED_MAX):
        fullness.append(book.is_full)
        book.append(placed(index))
    fullness.append(book.is_full)
    book.save()
    assert [*fullness, book.is_full] == [False] * UNSAVED_MAX + [True, False]
    assert book.placed(UNSAVED_MAX - 1) == placed(UNSAVED_MAX - 1)


def test_rows_in_memory_are_bounded_and_old_ones_are_read_again() -> None:
    book = filled(CACHED_MAX + 5)
    assert len(book._cache) == CACHED_MAX
    assert book.placed(0) == placed(0)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_nothing_outside_the_book(index: int) -> None:
    with pytest.raises(KeyError):
        filled(3).placed(index)


def test_records_that_l1_dropped_are_forgotten_unless_they_were_final() -> None:
    disk = Disk()
    book = filled(5, disk)
    book.settle(2)
    book.cut(3)
    assert book.count == 3
    assert RecordBook(MemoryTables(disk)).count == 3
    with pytest.raises(Corruption, match="L1 has dropped record 1, but 2 records were final"):
        book.cut(1)
    book.append(placed(3))
    assert book.tip == placed(3).tip


def test_blocks_that_were_lost_take_finality_along() -> None:
    disk = Disk()
    book = filled(5, disk)
    book.settle(4)
    book.truncate(1)
    again = RecordBook(MemoryTables(disk))
    assert (again.count, again.final_count) == (1, 1)


def test_damage_stops_the_process() -> None:
    disk = Disk()
    filled(3, disk).settle(3)
    del disk.tables["placed_records"][(2).to_bytes(8)]
    with pytest.raises(Corruption, match="3 records were final, 2 are in the book"):
        RecordBook(MemoryTables(disk))
    disk.tables["placed_records"][(2).to_bytes(8)] = b"\xc1\x01"
    book = RecordBook(MemoryTables(disk))
    with pytest.raises(Corruption, match="record 2 of the book is damaged"):
        book.placed(2)


@given(st.integers(0, 8), st.booleans())
def test_a_crash_at_any_write_leaves_a_book_that_opens(write: int, after: bool) -> None:
    disk = Disk()
    book = RecordBook(MemoryTables(disk, dies_at=(write, after)))
    steps: tuple[Callable[[], None], ...] = (
        lambda: add_all(book, 4),
        book.save,
        lambda: book.settle(2),
        lambda: book.append(placed(4)),
        lambda: book.cut(3),
        lambda: book.append(placed(3)),
        lambda: book.settle(4),
        lambda: book.truncate(1),
    )
    try:
        for step in steps:
            step()
    except Killed:
        pass
    again = RecordBook(MemoryTables(disk))
    assert again.final_count <= again.count
    assert [again.placed(index).index for index in range(again.count)] == list(range(again.count))
