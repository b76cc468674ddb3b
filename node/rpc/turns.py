"""Whose turn it is to run something long: traces, witnesses and searches that execute blocks again.

    debug_trace*, debug_executionWitness, ots_* -> Turns.run -> a turn, in the order of asking -> threads of their own

Whatever they do, threads are left for calls, which take milliseconds. Nobody waits for a turn for ever, and what is left of a
minute when it comes is what the work may take: an answer comes within the time that a batch or a connection gives it.
Deliberately absent: priorities. A trace is stopped by the engine at its deadline, never from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from node.rpc import simulation
from node.rpc.jsonrpc import LIMIT_EXCEEDED, RpcError
from node.rpc.simulation import TRACE_US, Work
from node.runtime.worker import Worker

TURNS: Final = 2
"""So many go on beside each other: as many threads as they have."""

WAIT_S: Final = 30.0
"""How long a turn is waited for: half of what a trace may take."""

WAITING_MAX: Final = 64
"""So many may wait, each with its request, which may have 5 MiB."""

Answer = TypeVar("Answer")


class Turns:
    """Runs long work in its turn."""

    def __init__(self, worker: Worker, *, wait_s: float = WAIT_S) -> None:
        """`worker` has TURNS threads that nobody else uses."""
        self._worker: Final = worker
        self._wait_s: Final = wait_s
        self._turns: Final = trio.Semaphore(TURNS)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` when its turn has come. Raises RpcError if it does not come in time, and what `work` raises."""
        if self._turns.statistics().tasks_waiting >= WAITING_MAX:
            raise _refused(f"{WAITING_MAX} wait already")
        with trio.move_on_after(self._wait_s) as waiting:
            await self._turns.acquire()
        if waiting.cancelled_caught:
            raise _refused(f"none has ended within {self._wait_s:.0f}s")
        try:
            return await self._worker.run(work)
        finally:
            self._turns.release()

    async def simulate(self, root: bytes, work: Work[Answer]) -> Answer:
        """Run engine work that reads the state of `root`; waiting counts as part of its minute. Raises RpcError, InvalidCall."""
        asked = time.monotonic()

        def within(limit_us: int) -> Answer:
            return work(max(1, limit_us - int((time.monotonic() - asked) * 1e6)))

        return await simulation.run(self, root, within, limit_us=TRACE_US)


def _refused(why: str) -> RpcError:
    return RpcError(LIMIT_EXCEEDED, f"too many traces and searches at once: {why}")
