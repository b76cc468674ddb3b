"""Slots follow wall time."""

from __future__ import annotations

import trio
import trio.testing

from node.runtime.clock import SlotClock, SystemClock, TrioClock

GENESIS_MS = 1_700_000_000_000


class JumpingClock:
    """A wall clock that tests set."""

    def __init__(self, now_ms: int) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


def clock_at(now_ms: int) -> tuple[SlotClock, JumpingClock]:
    wall = JumpingClock(now_ms)
    return SlotClock(genesis_time_ms=GENESIS_MS, slot_duration_ms=2_000, wall=wall), wall


def test_slots_are_counted_from_genesis() -> None:
    clock, wall = clock_at(GENESIS_MS)
    assert clock.current_slot() == 0
    wall.now += 1_999
    assert clock.current_slot() == 0
    wall.now += 1
    assert clock.current_slot() == 1


def test_before_genesis_slots_are_negative() -> None:
    clock, _ = clock_at(GENESIS_MS - 1)
    assert clock.current_slot() == -1


def test_a_skewed_clock_believes_in_another_slot() -> None:
    clock, _ = clock_at(GENESIS_MS + 1_500)
    clock.skew_ms = 600
    assert clock.current_slot() == 1


async def test_sleeping_ends_at_the_fraction(autojump_clock: trio.testing.MockClock) -> None:
    wall = TrioClock(started_at_ms=GENESIS_MS)
    clock = SlotClock(genesis_time_ms=GENESIS_MS, slot_duration_ms=2_000, wall=wall)
    await clock.sleep_until_slot(3, 0.4)
    assert clock.now_ms() == GENESIS_MS + 6_800
    await clock.sleep_until_slot(1)
    assert clock.now_ms() == GENESIS_MS + 6_800


async def test_a_jump_of_the_wall_clock_ends_the_sleep(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock, wall = clock_at(GENESIS_MS)

    async with trio.open_nursery() as nursery:

        async def wake_from_laptop_sleep() -> None:
            await trio.sleep(3)
            wall.now = GENESIS_MS + 3_600_000

        nursery.start_soon(wake_from_laptop_sleep)
        await clock.sleep_until_slot(1_000)
    assert trio.current_time() <= 5


def test_the_system_clock_moves_forward() -> None:
    first = SystemClock().now_ms()
    assert first > GENESIS_MS
    assert SystemClock().now_ms() >= first
