"""Blocks that wait are bounded by number, bytes and sender."""

from __future__ import annotations

from node.chain.waiting import (
    FUTURES_MAX,
    ORPHAN_BYTES_MAX,
    ORPHANS_MAX,
    ORPHANS_PER_ORIGIN_MAX,
    FutureQueue,
    OrphanPool,
    WaitingBlock,
)
from node.eth.primitives import Hash32, Slot


def make_waiting(
    number: int, *, parent: int = 0, origin: str = "peer", size: int = 1
) -> WaitingBlock:
    return WaitingBlock(
        block_hash=Hash32(number.to_bytes(32)),
        parent_hash=Hash32(parent.to_bytes(32)),
        slot=Slot(number),
        envelope=bytes(size),
        origin=origin,
    )


def test_children_are_taken_in_order_of_slot() -> None:
    pool = OrphanPool()
    for number in (5, 3, 4):
        pool.add(make_waiting(number, parent=2))
    pool.add(make_waiting(9, parent=5))

    taken = pool.take_children(Hash32((2).to_bytes(32)))

    assert [one.slot for one in taken] == [3, 4, 5]
    assert len(pool) == 1


def test_one_sender_keeps_only_its_newest() -> None:
    pool = OrphanPool()
    for number in range(1, ORPHANS_PER_ORIGIN_MAX + 3):
        pool.add(make_waiting(number, parent=1_000 + number))
    pool.add(make_waiting(99, parent=2_000, origin="other"))

    assert len(pool) == ORPHANS_PER_ORIGIN_MAX + 1
    assert Hash32((2).to_bytes(32)) not in pool
    assert Hash32((3).to_bytes(32)) in pool


def test_the_pool_is_bounded_by_number_and_by_bytes() -> None:
    pool = OrphanPool()
    for number in range(ORPHANS_MAX + 10):
        pool.add(make_waiting(number, parent=1_000, origin=f"peer {number}"))
    assert len(pool) == ORPHANS_MAX

    pool.add(make_waiting(500, parent=1_000, origin="big", size=ORPHAN_BYTES_MAX))
    assert len(pool) == 1
    pool.add(make_waiting(501, parent=1_000, origin="too big", size=ORPHAN_BYTES_MAX + 1))
    assert len(pool) == 1


def test_what_is_missing_is_the_lowest_unknown_parent() -> None:
    pool = OrphanPool()
    pool.add(make_waiting(3, parent=2, origin="a"))
    pool.add(make_waiting(4, parent=3, origin="b"))

    assert pool.missing() == {Hash32((2).to_bytes(32)): "a"}


def test_dropping_a_block_drops_what_waits_for_it() -> None:
    pool = OrphanPool()
    for number in (3, 4, 5):
        pool.add(make_waiting(number, parent=number - 1))
    pool.add(make_waiting(9, parent=8))

    pool.drop(Hash32((3).to_bytes(32)))

    assert len(pool) == 1


def test_blocks_at_or_below_finality_are_forgotten() -> None:
    pool = OrphanPool()
    for number in (3, 4, 5):
        pool.add(make_waiting(number, parent=number + 100))

    pool.prune(4)

    assert [one.slot for one in pool.take_children(Hash32((105).to_bytes(32)))] == [5]
    assert len(pool) == 0


def test_future_blocks_come_out_when_their_slot_begins() -> None:
    queue = FutureQueue()
    for number in (8, 7, 9):
        queue.add(make_waiting(number))

    assert queue.take_due(6) == []
    assert [one.slot for one in queue.take_due(8)] == [7, 8]
    assert len(queue) == 1


def test_a_full_future_queue_takes_nothing_more() -> None:
    queue = FutureQueue()
    for number in range(FUTURES_MAX + 5):
        queue.add(make_waiting(number))

    assert len(queue) == FUTURES_MAX
