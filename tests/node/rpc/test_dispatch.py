"""The dispatcher against every method and any arguments: callers are told, nothing crashes."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from types import CoroutineType

import orjson
import pytest
import structlog
import trio
from hypothesis import HealthCheck, given, settings, strategies as st
from prometheus_client import CollectorRegistry
from trio.testing import wait_all_tasks_blocked

from node.errors import StorageError
from node.rpc import dispatch, jsonrpc
from node.rpc.dispatch import LARGE_BATCHES_AT_ONCE, Answer, Caller, Dispatcher, Method
from node.rpc.later import Later
from node.rpc.metrics import RpcMetrics
from node.rpc.service import RpcService, RpcSettings
from tests.node.rpc.fake_pool import CONTRACT, RICH
from tests.node.rpc.fakes import TOPIC, Backend

CALLER = Caller()

VALUES = st.recursive(
    st.sampled_from(
        [
            None,
            True,
            0,
            1,
            -1,
            1.5,
            2**70,
            "",
            "0x",
            "0x0",
            "0x1",
            "latest",
            "pending",
            "safe",
            "0x" + RICH.hex(),
            "0x" + CONTRACT.hex(),
            "0x" + TOPIC.hex(),
            "0x" + "ff" * 32,
            "newHeads",
            "logs",
            "\ud83d\ude00",
            "0x" + "zz" * 20,
        ]
    )
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "fromBlock",
                    "toBlock",
                    "blockHash",
                    "blockNumber",
                    "requireCanonical",
                    "address",
                    "topics",
                    "data",
                    "to",
                    "tracer",
                    "0x" + CONTRACT.hex(),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)

METHODS = sorted(
    RpcService(
        RpcSettings(port=0, chain_id=900, client_version="faultline/test"),
        Backend().parts(),
        registry=CollectorRegistry(),
    ).methods
)


class Sink:
    """A session that takes everything."""

    def push(self, message: bytes) -> None:
        """Drop it."""

    def cut_off(self) -> None:
        """There is nothing to end."""


async def settle(answer: Answer) -> bytes:
    if isinstance(answer, Coroutine):
        return await answer
    return await answer.wait() if isinstance(answer, Later) else answer


def make(methods: dict[str, Method]) -> tuple[Dispatcher, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = RpcMetrics(tuple(methods), lambda: (0, 0))
    registry.register(metrics)
    return Dispatcher(methods, metrics), registry


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(METHODS), st.lists(VALUES, max_size=4) | VALUES)
def test_no_arguments_crash_a_method(method: str, params: object) -> None:
    async def ask() -> None:
        service = RpcService(
            RpcSettings(port=0, chain_id=900, client_version="faultline/test"),
            Backend().parts(),
            registry=CollectorRegistry(),
        )
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        body = json.dumps(message).encode()
        with trio.move_on_after(0.05):  # those that wait for a receipt
            text = await settle(service.server.dispatcher.answer(body, Caller(session=Sink())))
            answer = orjson.loads(text)
            assert answer.get("error", {}).get("code") != jsonrpc.INTERNAL_ERROR, answer

    trio.run(ask)


@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_any_body_is_answered(body: bytes) -> None:
    dispatcher, _ = make({"a": Method(lambda _, __: "b", 9)})
    text = trio.run(settle, dispatcher.answer(body, CALLER))
    assert not text or orjson.loads(text)


def test_a_method_is_answered_in_place_or_later() -> None:
    async def later(_: object, __: object) -> str:
        await trio.lowlevel.checkpoint()
        return "later"

    dispatcher, _ = make({"now": Method(lambda _, __: "now", 0), "later": Method(later, 0)})
    at_once = dispatcher.answer(b'{"jsonrpc":"2.0","id":1,"method":"now"}', CALLER)
    assert at_once == b'{"jsonrpc":"2.0","id":1,"result":"now"}'
    not_yet = dispatcher.answer(b'{"jsonrpc":"2.0","id":1,"method":"later"}', CALLER)
    assert type(not_yet) is CoroutineType
    assert trio.run(settle, not_yet) == b'{"jsonrpc":"2.0","id":1,"result":"later"}'


def test_notifications_run_and_are_not_answered() -> None:
    ran: list[object] = []
    dispatcher, _ = make({"note": Method(lambda params, _: ran.append(params), 1)})
    assert dispatcher.answer(b'{"jsonrpc":"2.0","method":"note","params":[1]}', CALLER) == b""
    assert dispatcher.answer(b'{"jsonrpc":"2.0","method":"missing"}', CALLER) == b""
    assert ran == [[1]]


def test_outcomes_are_counted_by_method_and_unknown_ones_together() -> None:
    def fail(_: object, __: object) -> None:
        raise RuntimeError("a bug")

    dispatcher, registry = make({"good": Method(lambda _, __: 1, 0), "bad": Method(fail, 0)})
    with structlog.testing.capture_logs() as logs:
        for method in ("good", "good", "bad", "x", "y"):
            dispatcher.answer(jsonrpc_call(method), CALLER)

    def count(method: str, outcome: str) -> float | None:
        return registry.get_sample_value(
            "faultline_rpc_requests_total", {"method": method, "outcome": outcome}
        )

    assert count("good", "success") == 2
    assert count("bad", "crash") == 1
    assert count("unknown", "error") == 2
    assert count("x", "error") is None
    assert [(line["event"], line["method"]) for line in logs] == [("rpc_handler_crashed", "bad")]


def jsonrpc_call(method: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method})


def test_corruption_passes_through_and_stops_the_process() -> None:
    def corrupt(_: object, __: object) -> None:
        raise StorageError("state.redb: checksum")

    async def corrupt_later(_: object, __: object) -> None:
        await trio.lowlevel.checkpoint()
        raise StorageError("state.redb: checksum")

    dispatcher, _ = make({"now": Method(corrupt, 0), "later": Method(corrupt_later, 0)})
    with pytest.raises(StorageError):
        dispatcher.answer(jsonrpc_call("now"), CALLER)
    with pytest.raises(StorageError):
        trio.run(settle, dispatcher.answer(jsonrpc_call("later"), CALLER))


def test_answers_that_are_too_long_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrpc, "RESPONSE_BYTES_MAX", 200)
    dispatcher, _ = make(
        {"a": Method(lambda _, __: "a" * 100, 0), "b": Method(lambda _, __: "b" * 200, 0)}
    )
    too_large = {"code": -32003, "message": "response too large"}
    single = trio.run(settle, dispatcher.answer(jsonrpc_call("b"), CALLER))
    assert orjson.loads(single)["error"] == too_large
    batch = b"[" + b",".join([jsonrpc_call("a")] * 3) + b"]"
    answers = orjson.loads(trio.run(settle, dispatcher.answer(batch, CALLER)))
    assert [answer.get("error") for answer in answers] == [None, too_large, too_large]


async def test_a_batch_that_takes_too_long_begins_no_further_call() -> None:
    """Given calls of 20 s each, when the time of a batch is over, then the others are told so, in order."""
    now, begun = 0.0, 0

    async def slow() -> int:
        nonlocal now, begun
        begun += 1
        now += 20
        await trio.lowlevel.checkpoint()
        return begun

    methods = {"a": Method(lambda _, __: slow(), 0)}
    dispatcher = Dispatcher(methods, RpcMetrics(("a",), lambda: (0, 0)), timer=lambda: now)
    notification = b'{"jsonrpc":"2.0","method":"a"}'
    batch = b"[" + b",".join([jsonrpc_call("a")] * 4 + [notification, b"5"]) + b"]"
    answers = orjson.loads(await settle(dispatcher.answer(batch, CALLER)))
    assert [one.get("result") for one in answers] == [1, 2, 3, None, None]
    assert answers[3]["error"] == {"code": -32002, "message": "request timed out"}
    assert answers[4]["error"] == {"code": -32600, "message": "invalid request"}
    assert begun == 3


async def test_large_batches_go_on_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given five batches of long answers, then two are put together and the others wait; small ones do not."""
    monkeypatch.setattr(dispatch, "LARGE_BATCH_BYTES", 1_000)
    gate = trio.Event()
    begun: list[None] = []

    async def long() -> str:
        begun.append(None)
        await gate.wait()
        return ""

    dispatcher, _ = make(
        {
            "large": Method(lambda _, __: "a" * 2_000, 0),
            "long": Method(lambda _, __: long(), 0),
            "short": Method(lambda _, __: 1, 0),
        }
    )
    large = b"[%b,%b]" % (jsonrpc_call("large"), jsonrpc_call("long"))
    answers: list[bytes] = []

    async def ask() -> None:
        answers.append(await settle(dispatcher.answer(large, CALLER)))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert len(begun) == LARGE_BATCHES_AT_ONCE
        small = await settle(dispatcher.answer(b"[%b]" % jsonrpc_call("short"), CALLER))
        assert len(orjson.loads(small)) == 1
        gate.set()
    assert [len(orjson.loads(answer)) for answer in answers] == [2] * 5


async def test_a_long_batch_gives_way_to_others() -> None:
    moments = iter(range(1_000_000))
    metrics = RpcMetrics(("a",), lambda: (0, 0))
    methods = {"a": Method(lambda _, __: len(turns), 0)}
    dispatcher = Dispatcher(methods, metrics, timer=lambda: next(moments) / 100)
    turns: list[None] = []

    async def other() -> None:
        while True:
            turns.append(None)
            await trio.lowlevel.checkpoint()

    batch = b"[" + b",".join([jsonrpc_call("a")] * 50) + b"]"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        answers = orjson.loads(await settle(dispatcher.answer(batch, CALLER)))
        nursery.cancel_scope.cancel()
    assert answers[-1]["result"] > answers[0]["result"] + 10
