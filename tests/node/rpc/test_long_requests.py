"""Long requests that wait or run: bounded in bytes together, whatever becomes of them; short ones go on."""

from __future__ import annotations

from collections.abc import Coroutine

import orjson
import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import MockClock, wait_all_tasks_blocked

from node.rpc import dispatch
from node.rpc.dispatch import COUNTED_BYTES_MIN, Caller, Dispatcher, Method
from node.rpc.metrics import RpcMetrics
from node.rpc.parameters import Params

CALLER = Caller()
BUSY = {"code": -32005, "message": "too many long requests in progress"}


class Gate:
    """A method that answers when it is let."""

    def __init__(self) -> None:
        self.opened = trio.Event()
        metrics = RpcMetrics(("wait", "fail"), lambda: (0, 0))
        CollectorRegistry().register(metrics)
        self.dispatcher = Dispatcher(
            {"wait": Method(self._handler, 2), "fail": Method(self._failing, 2)}, metrics
        )

    def _handler(self, _: Params, __: Caller) -> Coroutine[object, object, str]:
        return self._wait()

    async def _wait(self) -> str:
        await self.opened.wait()
        return "done"

    def _failing(self, _: Params, __: Caller) -> Coroutine[object, object, str]:
        return self._fail()

    async def _fail(self) -> str:
        await self.opened.wait()
        raise ZeroDivisionError

    async def ask(self, body: bytes) -> object:
        answer = self.dispatcher.answer(body, CALLER)
        assert isinstance(answer, Coroutine)
        return orjson.loads(await answer)

    async def ask_into(self, body: bytes, told: list[object]) -> None:
        told.append(await self.ask(body))


def call(size: int, method: str = "wait") -> bytes:
    """A call of some bytes more than `size`."""
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": ["x" * size]})


@pytest.mark.parametrize("method", ["wait", "fail"])
async def test_long_requests_share_a_bound(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Given as many long calls as have room, when more come, then they are refused, short ones are not, and room comes back."""
    monkeypatch.setattr(dispatch, "HELD_BYTES_MAX", 3 * COUNTED_BYTES_MIN)
    gate, told = Gate(), list[object]()
    batch = b"[%b]" % call(COUNTED_BYTES_MIN, method)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.ask_into, call(COUNTED_BYTES_MIN, method), told)
        nursery.start_soon(gate.ask_into, batch, told)
        await wait_all_tasks_blocked()

        assert await gate.ask(call(COUNTED_BYTES_MIN)) == {
            "jsonrpc": "2.0",
            "id": 1,
            "error": BUSY,
        }
        assert await gate.ask(b"[%b]" % call(COUNTED_BYTES_MIN)) == {
            "jsonrpc": "2.0",
            "id": None,
            "error": BUSY,
        }
        nursery.start_soon(gate.ask_into, call(10), told)
        await wait_all_tasks_blocked()
        assert told == []
        gate.opened.set()
    assert len(told) == 3
    for _ in range(5):
        assert await gate.ask(call(COUNTED_BYTES_MIN)) == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": "done",
        }


async def test_a_caller_who_goes_away_gives_its_room_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Given long calls whose callers go away while they wait, when others come, then they have room."""
    monkeypatch.setattr(dispatch, "HELD_BYTES_MAX", 2 * COUNTED_BYTES_MIN)
    gate = Gate()
    for body in [call(COUNTED_BYTES_MIN), b"[%b]" % call(COUNTED_BYTES_MIN)] * 3:
        with trio.move_on_after(1) as waiting:
            await gate.ask(body)
        assert waiting.cancelled_caught
