"""Where long work runs: a thread beside trio's loop, or in place in a simulation.

MockClock's autojump leaps while a thread works, so a simulated network must work inline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

Answer = TypeVar("Answer")


class Worker(Protocol):
    """Where long work runs; whoever does some is given one and does not know which."""

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` and give what it gives."""


class ThreadWorker:
    """Runs work in at most so many threads; the native engine releases the interpreter there."""

    def __init__(self, *, threads_max: int) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` in a thread and give what it gives; not abandoned on cancellation."""
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


class InlineWorker:
    """Runs work in place."""

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` and give what it gives."""
        await trio.lowlevel.checkpoint()
        return work()
