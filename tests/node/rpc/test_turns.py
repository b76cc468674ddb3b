"""Turns of traces: threads of their own, in order, waited for only so long; calls never wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from node.rpc.jsonrpc import LIMIT_EXCEEDED, RpcError
from node.rpc.simulation import IN_PLACE_US, TRACE_US
from node.rpc.turns import TURNS, WAIT_S, WAITING_MAX, Turns
from node.runtime.worker import ThreadWorker
from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend

Answer = TypeVar("Answer")


class Held:
    """A worker whose work is done when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.let_go = trio.Event()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        self.begun += 1
        await self.let_go.wait()
        return work()


async def refusals(turns: Turns, told: list[RpcError]) -> None:
    try:
        await turns.run(lambda: None)
    except RpcError as error:
        told.append(error)


async def test_a_turn_is_not_waited_for_for_ever(autojump_clock: MockClock) -> None:
    """Given as many traces as there are turns, none of which ends, when another is asked for, then it is refused in time."""
    worker, told = Held(), list[RpcError]()
    turns = Turns(worker)
    async with trio.open_nursery() as nursery:
        for _ in range(TURNS):
            nursery.start_soon(turns.run, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()

        await refusals(turns, told)

        assert trio.current_time() - begun == WAIT_S
        assert (told[0].code, str(told[0])) == (
            LIMIT_EXCEEDED,
            "too many traces and searches at once: none has ended within 30s",
        )
        assert worker.begun == TURNS
        worker.let_go.set()
    assert await turns.run(lambda: 7) == 7


async def test_so_many_may_wait(autojump_clock: MockClock) -> None:
    """Given as many that wait as may, when one more is asked for, then it is refused at once."""
    worker, told = Held(), list[RpcError]()
    turns = Turns(worker)
    async with trio.open_nursery() as nursery:
        for _ in range(TURNS + WAITING_MAX):
            nursery.start_soon(refusals, turns, [])
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()
        await refusals(turns, told)
        assert trio.current_time() == begun
        assert str(told[0]).endswith(f"{WAITING_MAX} wait already")
        worker.let_go.set()


async def test_a_turn_goes_on_when_work_fails(autojump_clock: MockClock) -> None:
    """Given work that raises and work whose caller went away, when more is asked for, then it still has its turns."""
    worker = Held()
    turns = Turns(worker)
    with trio.move_on_after(1):
        await turns.run(lambda: None)
    worker.let_go.set()
    for _ in range(2 * TURNS):
        with pytest.raises(ZeroDivisionError):
            await turns.run(lambda: 1 // 0)
    assert await turns.run(lambda: 7) == 7


async def test_calls_are_answered_while_traces_hold_all_their_threads() -> None:
    """Given more traces without end than there are turns, when a long call comes, then it is answered before any of them."""
    backend = Backend(
        worker=ThreadWorker(threads_max=1), trace_worker=ThreadWorker(threads_max=TURNS)
    )
    backend.engine.takes_us = IN_PLACE_US + 1  # Too long to be answered in place.
    begun, end = threading.Semaphore(0), threading.Event()

    def trace() -> None:
        begun.release()
        end.wait()

    backend.engine.on_trace = trace
    answers: list[object] = []

    async def ask_for_trace() -> None:
        client = await server.http()
        answers.append(await client.result("debug_traceCall", {}, "latest"))

    async with running(backend) as server, trio.open_nursery() as nursery:
        for _ in range(2 * TURNS):
            nursery.start_soon(ask_for_trace)
        try:
            for _ in range(TURNS):
                await trio.to_thread.run_sync(partial(begun.acquire, timeout=20))
            client = await server.http()
            assert await client.result("eth_call", {}, "latest") == "0x2a"
            assert answers == []
        finally:
            end.set()
    assert answers == [{"failed": False}] * 2 * TURNS
    limits = [limit for limit in backend.engine.trace_limits_us if limit is not None]
    assert len(limits) == 2 * TURNS
    assert all(0 < limit <= TRACE_US for limit in limits)
