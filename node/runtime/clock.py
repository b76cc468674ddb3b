"""Wall time and slots; the only module that reads the machine's clock.

    WallClock -> SlotClock -> validator, chain, sync

Slots follow wall time, not a monotonic clock: a monotonic clock stops while a laptop sleeps, and the slots do not.
Rules never see a clock; shells take one, so that a simulation can hand them trio's virtual time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from node.eth.primitives import Slot

LONGEST_NAP_S: Final = 1.0
"""A sleep is cut into naps of this length, so that a jump of the wall clock is noticed."""


class WallClock(Protocol):
    """Tells the time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch of Unix."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch of Unix."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class TrioClock:
    """Trio's clock, shifted: with MockClock, virtual time."""

    started_at_ms: int
    """What time of day trio's time zero is; milliseconds since the epoch of Unix."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch of Unix."""
        return self.started_at_ms + round(trio.current_time() * 1_000)


class SlotClock:
    """Slots as one process sees them."""

    def __init__(self, *, genesis_time_ms: int, slot_duration_ms: int, wall: WallClock) -> None:
        assert slot_duration_ms > 0
        self.genesis_time_ms: Final = genesis_time_ms
        """When slot 0 begins; milliseconds since the epoch of Unix."""
        self.slot_duration_ms: Final = slot_duration_ms
        """Length of a slot."""
        self.skew_ms = 0
        """How far this process believes to be ahead of its wall clock: a fault's doing."""
        self._wall = wall

    def now_ms(self) -> int:
        """Milliseconds since the epoch of Unix, skew included."""
        return self._wall.now_ms() + self.skew_ms

    def current_slot(self) -> Slot:
        """The slot that has begun last; negative before genesis."""
        return Slot((self.now_ms() - self.genesis_time_ms) // self.slot_duration_ms)

    def start_ms(self, slot: int, fraction: float = 0.0) -> int:
        """When a slot, or a fraction of it, is reached; milliseconds since the epoch of Unix."""
        offset_ms = round(fraction * self.slot_duration_ms)
        return self.genesis_time_ms + slot * self.slot_duration_ms + offset_ms

    async def sleep_until_slot(self, slot: int, fraction: float = 0.0) -> None:
        """Return once a slot, or a fraction of it, is reached; at once if it has passed."""
        due_ms = self.start_ms(slot, fraction)
        while (left_ms := due_ms - self.now_ms()) > 0:  # noqa: ASYNC110  # wall time has no event
            await trio.sleep(min(left_ms / 1_000, LONGEST_NAP_S))
        await trio.lowlevel.checkpoint()
