"""Under load, the transactions of a moment share a block: a block costs what dozens of them cost.

    enough to share -> wait while more keep coming -> seal
                       nobody came: the next ones wait for nobody

Whoever waits for an answer sends nothing, so a wait in which nobody came makes the next ones rarer.
Deliberately absent: what goes into the block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from sequencer.building.arriving import Arrivals

SHARED_FROM: Final = 16
"""So many waiting transactions wait for more. Fewer never wait."""

SHARED_S: Final = 0.025
"""Time between two blocks of many."""

QUIET_S: Final = 0.006
"""When nobody has come for so long, all who wait may be waiting for an answer first."""

ALONE_MAX: Final = 64
"""Blocks of many that wait for nobody, at most, after waits in which nobody came."""


class Company:
    """Holds a block back while others come to share it."""

    def __init__(self, arrivals: Arrivals, *, ready: Callable[[], int], full: int) -> None:
        """`ready` tells how many could go into a block, decoded already; `full` of them wait for nobody."""
        self._arrivals = arrivals
        self._ready = ready
        self._full = full
        self._shared_at = float("-inf")
        self._lonely = 0
        """Waits in a row in which nobody came, doubled."""
        self._unshared = 0
        """Blocks of many before the next wait."""

    def sealed(self, count: int, begun: float) -> None:
        """Note a block of so many, whose making began then; trio's time."""
        if count >= SHARED_FROM:
            self._shared_at = begun

    async def gather(self) -> None:
        """Wait for more, if there are many and as long as they keep coming."""
        first = self._waiting
        until, before = self._shared_at + SHARED_S, 0
        if not SHARED_FROM <= first < self._full or until <= trio.current_time():
            return
        if self._unshared:
            self._unshared -= 1
            return
        with self._arrivals.held():
            while self._waiting > before and self._waiting < self._full:
                left_s = until - trio.current_time()
                if left_s <= 0:
                    break
                before = self._waiting
                await trio.sleep(min(QUIET_S, left_s))
        self._lonely = 0 if self._waiting > first else min(ALONE_MAX, 2 * self._lonely or 1)
        self._unshared = self._lonely

    @property
    def _waiting(self) -> int:
        return self._ready() + len(self._arrivals)
