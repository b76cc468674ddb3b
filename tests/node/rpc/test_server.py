"""The server over real sockets: who is served, what is bounded, what slow clients get."""

from __future__ import annotations

import socket
from typing import Final

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.rpc.dispatch import Method
from node.rpc.jsonrpc import BODY_BYTES_MAX
from node.rpc.limits import ServerLimits
from node.rpc.server import is_loopback
from node.rpc.service import RpcSettings
from tests.node.rpc.clients import HttpClient, call_text, http_post, running
from tests.node.rpc.fakes import Backend, FakeResult

NUMBER: Final = call_text("eth_blockNumber")
ANSWER: Final = {"jsonrpc": "2.0", "id": 1, "result": "0x3"}


async def test_a_call_is_answered_and_the_connection_stays() -> None:
    async with running() as server:
        client = await server.http()
        for _ in range(3):
            reply = await client.post(NUMBER)
            assert (reply.status, reply.json()) == (200, ANSWER)
            assert reply.headers["content-type"] == "application/json"


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running() as server:
        client = await server.http()
        methods = ["eth_chainId", "eth_getProof", "net_version", "no_such", "eth_blockNumber"]
        await client.send(
            b"".join(
                http_post(call_text(name, identity=index)) for index, name in enumerate(methods)
            )
        )
        answers = [(await client.reply()).json() for _ in methods]
        assert [answer["id"] for answer in answers if isinstance(answer, dict)] == [0, 1, 2, 3, 4]


async def test_a_half_closed_client_still_gets_its_answers() -> None:
    async with running() as server:
        client = await server.http()
        await client.send(http_post(NUMBER) + http_post(call_text("eth_call", {}, "latest")))
        await client.stream.send_eof()
        assert (await client.reply()).json() == ANSWER
        assert (await client.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": "0x2a"}
        assert await client.ended()


async def test_batches_are_answered_in_order_and_notifications_not_at_all() -> None:
    async with running() as server:
        client = await server.http()
        batch = [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{}, "latest"]},
            {"jsonrpc": "2.0", "method": "eth_blockNumber"},
            5,
            {"jsonrpc": "2.0", "id": "x", "method": "nope"},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId"},
        ]
        answers = (await client.post(orjson.dumps(batch))).json()
        assert answers == [
            {"jsonrpc": "2.0", "id": 1, "result": "0x2a"},
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "invalid request"}},
            {
                "jsonrpc": "2.0",
                "id": "x",
                "error": {
                    "code": -32601,
                    "message": "the method nope does not exist/is not available",
                },
            },
            {"jsonrpc": "2.0", "id": 2, "result": "0x384"},
        ]
        only_notes = orjson.dumps([{"jsonrpc": "2.0", "method": "eth_blockNumber"}])
        assert (await client.post(only_notes)).body == b""


async def test_a_batch_of_a_thousand_is_answered_and_a_longer_one_refused() -> None:
    async with running() as server:
        client = await server.http()
        call = orjson.loads(NUMBER)
        answers = (await client.post(orjson.dumps([call] * 1_000))).json()
        assert answers == [ANSWER] * 1_000
        assert (await client.post(orjson.dumps([call] * 1_001))).json() == [
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "batch too large"}}
        ]
        assert (await client.post(b"[]")).json() == {
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": -32600, "message": "empty batch"},
        }


async def test_what_is_no_json_is_a_parse_error() -> None:
    async with running() as server:
        client = await server.http()
        reply = await client.post(b"{nope")
        assert (reply.status, reply.json()) == (
            200,
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}},
        )
        assert (await client.post(b"")).body == b""


@pytest.mark.parametrize(
    ("request_bytes", "status", "message", "ends"),
    [
        (http_post(NUMBER, headers=["Host: evil.example"]), 403, "invalid host specified", False),
        (
            http_post(NUMBER, headers=["Content-Type: text/plain"]),
            415,
            "invalid content type, only application/json is supported",
            False,
        ),
        (b"PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method not allowed", False),
        (b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "404 page not found", False),
        (
            b"GET /?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            415,
            "invalid content type, only application/json is supported",
            False,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % (BODY_BYTES_MAX + 1),
            413,
            f"content length too large ({BODY_BYTES_MAX + 1}>{BODY_BYTES_MAX})",
            True,
        ),
        (b"POST / HTTP/1.1\r\nX: " + b"a" * 20_000, 431, "request header too large", True),
    ],
)
async def test_requests_that_are_not_served(
    request_bytes: bytes, status: int, message: str, ends: bool
) -> None:
    async with running() as server:
        client = await server.http()
        await client.send(request_bytes)
        reply = await client.reply()
        assert (reply.status, reply.body) == (status, message.encode() + b"\n")
        if ends:
            assert reply.headers["connection"] == "close"
            assert await client.ended()
        else:
            assert (await client.post(NUMBER)).json() == ANSWER


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_health_check_gets_an_empty_answer(method: str) -> None:
    async with running() as server:
        client = await server.http()
        await client.send(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reply = await client.reply(method)
        assert (reply.status, reply.body) == (200, b"")


async def test_a_body_of_full_length_is_taken_whole() -> None:
    async with running() as server:
        client = await server.http()
        padding = BODY_BYTES_MAX - len(call_text("web3_sha3", "0x"))
        body = call_text("web3_sha3", "0x" + "ab" * (padding // 2))
        assert BODY_BYTES_MAX - 1 <= len(body) <= BODY_BYTES_MAX
        answer = (await client.post(body)).json()
        assert isinstance(answer, dict)
        assert len(answer["result"]) == 66


async def test_a_client_that_expects_to_be_asked_is_asked() -> None:
    async with running() as server:
        stream = await server.stream()
        await stream.send_all(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(NUMBER)
        )
        assert await stream.receive_some(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client = HttpClient(stream)
        await client.send(NUMBER)
        assert (await client.reply()).json() == ANSWER


async def test_a_page_may_read_answers_on_loopback() -> None:
    async with running() as server:
        client = await server.http()
        reply = await client.post(NUMBER, headers=["Origin: https://app.example"])
        assert reply.headers["access-control-allow-origin"] == "*"
        await client.send(
            b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\n"
            b"Access-Control-Request-Method: POST\r\n\r\n"
        )
        preflight = await client.reply()
        assert preflight.status == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"]
        assert allowed.split(", ") == ["content-type", "authorization", "*"]


async def test_other_pages_than_the_listed_ones_are_refused() -> None:
    settings = RpcSettings(
        port=0,
        chain_id=900,
        client_version="faultline/test",
        allowed_origins=("https://App.example",),
    )
    async with running(settings=settings) as server:
        client = await server.http()
        reply = await client.post(NUMBER, headers=["Origin: https://app.example"])
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        reply = await client.post(NUMBER, headers=["Origin: https://evil.example"])
        assert (reply.status, reply.body) == (403, b"origin not allowed\n")


async def test_http_1_0_connections_end_unless_asked_to_stay() -> None:
    async with running() as server:
        client = await server.http()
        body = (
            b"POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
        )
        await client.send(body % (len(NUMBER), b"Connection: keep-alive\r\n", NUMBER))
        reply = await client.reply()
        assert reply.headers["connection"] == "keep-alive"
        await client.send(body % (len(NUMBER), b"", NUMBER))
        assert (await client.reply()).headers["connection"] == "close"
        assert await client.ended()


async def test_a_slow_sender_is_cut_off(mock_clock: MockClock) -> None:
    async with running() as server:
        slow = await server.http()
        request = http_post(NUMBER)
        for byte in request[:20]:
            await slow.send(bytes([byte]))
            await wait_all_tasks_blocked()
            mock_clock.jump(1.4)
            await wait_all_tasks_blocked()
        mock_clock.jump(5)
        assert await slow.ended()


async def test_an_idle_connection_is_cut_off_later_than_a_slow_one(mock_clock: MockClock) -> None:
    async with running() as server:
        idle = await server.http()
        await idle.post(NUMBER)
        await wait_all_tasks_blocked()
        mock_clock.jump(60)
        await wait_all_tasks_blocked()
        await idle.post(NUMBER)
        await wait_all_tasks_blocked()
        mock_clock.jump(125)
        assert await idle.ended()


async def test_a_client_that_does_not_read_is_cut_off(mock_clock: MockClock) -> None:
    backend = Backend()
    backend.engine.result = FakeResult("success", bytes(8 << 20))
    async with running(backend) as server:
        deaf = await server.http()
        await deaf.send(http_post(call_text("eth_call", {}, "latest")))
        while server.service.server.untaken.used == 0:
            await wait_all_tasks_blocked()
        mock_clock.jump(35)
        while server.service.server.connections() != (0, 0):
            await wait_all_tasks_blocked()
            mock_clock.jump(1)
        assert server.service.server.untaken.used == 0


async def test_a_long_call_does_not_hold_up_others() -> None:
    backend = Backend()
    started, gate = trio.Event(), trio.Event()

    async def wait(_: object, __: object) -> str:
        started.set()
        await gate.wait()
        return "late"

    async with running(backend) as server:
        server.service.server.dispatcher._methods["test_wait"] = Method(wait, 0)  # type: ignore[index]
        slow, quick = await server.http(), await server.http()
        await slow.send(http_post(call_text("test_wait")))
        await started.wait()
        assert (await quick.post(NUMBER)).json() == ANSWER
        gate.set()
        assert (await slow.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": "late"}


async def test_connections_over_the_limit_are_turned_away() -> None:
    async with running(limits=ServerLimits(connections_max=2)) as server:
        first, second = await server.http(), await server.http()
        await first.post(NUMBER)
        await second.post(NUMBER)
        third = await server.http()
        reply = await third.reply()
        assert (reply.status, reply.body) == (503, b"too many connections\n")
        await trio.aclose_forcefully(first.stream)
        while server.service.server.connections()[0] > 1:
            await wait_all_tasks_blocked()
        fourth = await server.http()
        assert (await fourth.post(NUMBER)).json() == ANSWER


async def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    async with running() as server:
        for _ in range(20):
            stream = await server.stream()
            await stream.send_all(http_post(NUMBER) * 50 + b"POST / HTTP/1.1\r\nContent-Le")
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            stream.socket.close()
        client = await server.http()
        assert (await client.post(NUMBER)).json() == ANSWER
        while server.service.server.connections() != (1, 0):
            await wait_all_tasks_blocked()
        assert server.service.server.untaken.used == 0


async def test_a_bug_in_a_handler_is_told_and_counted_and_does_not_stop_the_server() -> None:
    backend = Backend()
    backend.engine.error = KeyError("a bug")
    async with running(backend) as server:
        client = await server.http()
        assert await client.error("eth_call", {}, "latest") == (-32603, "method handler crashed")
        assert (await client.post(NUMBER)).json() == ANSWER
        crashes = server.registry.get_sample_value(
            "faultline_rpc_requests_total", {"method": "eth_call", "outcome": "crash"}
        )
        assert crashes == 1


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104  # that is the point
        ("192.168.1.4", False),
        ("example.org", False),
    ],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
