"""WebSockets over real sockets: calls, subscriptions, limits, and peers that do not keep up."""

from __future__ import annotations

import random

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto import events as ws_events
from wsproto.connection import CLIENT, SERVER, Connection

from node.eth.hashing import keccak256
from node.rpc.dispatch import Method
from node.rpc.events import WAITING_BLOCKS_MAX
from node.rpc.jsonrpc import BODY_BYTES_MAX
from node.rpc.service import RpcSettings
from node.rpc.websocket import QUEUED_MESSAGES_MAX, text_frame
from node.sync.service import Progress
from tests.node.rpc.clients import Running, WebSocketClient, call_text, http_post, running
from tests.node.rpc.fakes import TOPIC, Backend, FakeResult, GatedWorker, make_block


async def test_calls_are_answered_and_matched_by_id() -> None:
    async with running() as server:
        client = await server.websocket()
        for identity, method in enumerate(["eth_blockNumber", "eth_chainId", "nope"]):
            await client.send(call_text(method, identity=identity))
        answers = [await client.message() for _ in range(3)]
        assert [answer["id"] for answer in answers] == [0, 1, 2]
        assert [answer.get("result") for answer in answers] == ["0x3", "0x384", None]
        assert server.service.server.connections() == (0, 1)


async def test_a_message_in_fragments_and_a_binary_one_are_taken() -> None:
    async with running() as server:
        client = await server.websocket()
        text = call_text("eth_blockNumber").decode()
        for position in range(len(text)):
            last = position == len(text) - 1
            await client.stream.send_all(
                client.protocol.send(
                    ws_events.TextMessage(data=text[position], message_finished=last)
                )
            )
        assert (await client.message())["result"] == "0x3"
        await client.stream.send_all(
            client.protocol.send(ws_events.BytesMessage(data=text.encode()))
        )
        assert (await client.message())["result"] == "0x3"


async def test_a_long_call_does_not_hold_up_the_next_ones() -> None:
    gate = trio.Event()

    async def wait(_: object, __: object) -> str:
        await gate.wait()
        return "late"

    async with running() as server:
        server.service.server.dispatcher._methods["test_wait"] = Method(wait, 0)  # type: ignore[index]
        client = await server.websocket()
        await client.send(call_text("test_wait", identity="slow"))
        assert await client.result("eth_blockNumber") == "0x3"
        gate.set()
        assert await client.message() == {"jsonrpc": "2.0", "id": "slow", "result": "late"}


async def test_new_heads_and_logs_are_sent_and_taken_back() -> None:
    async with running() as server:
        chain = server.backend.chain
        client = await server.websocket()
        heads = await client.result("eth_subscribe", "newHeads")
        logs = await client.result("eth_subscribe", "logs", {"topics": ["0x" + TOPIC.hex()]})
        assert heads != logs
        # When a block arrives
        first = make_block(4, chain.head, logs=True)
        chain.append(first)
        await server.service.head_changed([first], [])
        head_event, log_event = await client.message(), await client.message()
        assert head_event["params"] == {
            "subscription": heads,
            "result": orjson.loads(server.backend.engine.header_json(first.header.encode())),
        }
        assert _result(log_event)["removed"] is False
        # When another takes its place
        other = make_block(4, chain.canonical[-2], logs=True, salt=b"other")
        dropped = chain.replace_head(other)
        await server.service.head_changed([other], [dropped])
        taken_back, head_event, log_event = [await client.message() for _ in range(3)]
        assert _result(taken_back) == _result_of_log(dropped.rlp) | {"removed": True}
        assert _result(head_event)["hash"] == "0x" + other.hash.hex()
        assert _result(log_event) == _result_of_log(other.rlp)
        # When nobody listens any more
        assert await client.result("eth_unsubscribe", heads) is True
        assert await client.result("eth_unsubscribe", logs) is True
        await server.service.head_changed([first], [other])
        assert await client.result("eth_chainId") == "0x384"


def _result(event: dict[str, object]) -> dict[str, object]:
    params = event["params"]
    assert isinstance(params, dict)
    result = params["result"]
    assert isinstance(result, dict)
    return result


def _result_of_log(block_rlp: bytes) -> dict[str, object]:
    return {"logOf": keccak256(block_rlp).hex(), "removed": False}


async def test_waiting_transactions_are_sent_as_hashes_or_whole() -> None:
    async with running() as server:
        hashes, bodies = await server.websocket(), await server.websocket()
        await hashes.result("eth_subscribe", "newPendingTransactions")
        await bodies.result("eth_subscribe", "newPendingTransactions", True)
        server.service.pending_arrived([(b"\x01" * 32, b"raw")])
        event = await hashes.message()
        assert event["params"] == {
            "subscription": _subscription(event),
            "result": "0x" + "01" * 32,
        }
        assert _result(await bodies.message()) == {"pending": b"raw".hex()}


def _subscription(event: dict[str, object]) -> object:
    params = event["params"]
    assert isinstance(params, dict)
    return params["subscription"]


async def test_catching_up_is_told_when_it_begins_and_ends() -> None:
    async with running() as server:
        client = await server.websocket()
        await client.result("eth_subscribe", "syncing")
        progress = Progress(starting_block=1, current_block=2, highest_block=16)
        server.service.sync_changed(progress)
        server.service.sync_changed(None)
        assert _result(await client.message()) == {
            "syncing": True,
            "status": {"startingBlock": "0x1", "currentBlock": "0x2", "highestBlock": "0x10"},
        }
        params = (await client.message())["params"]
        assert isinstance(params, dict)
        assert params["result"] is False


async def test_what_cannot_be_subscribed_to_is_refused() -> None:
    async with running() as server:
        client, plain = await server.websocket(), await server.http()

        async def refusal(*params: object) -> object:
            await client.send(call_text("eth_subscribe", *params))
            return (await client.message())["error"]

        assert await refusal("weather") == {
            "code": -32601,
            "message": 'no "weather" subscription in eth namespace',
        }
        assert await refusal() == {
            "code": -32602,
            "message": "expected subscription name as first argument",
        }
        assert await plain.error("eth_subscribe", "newHeads") == (
            -32601,
            "notifications not supported",
        )
        assert await plain.error("eth_unsubscribe", "0x1") == (-32000, "subscription not found")
        other = await server.websocket()
        mine = await client.result("eth_subscribe", "newHeads")
        await other.send(call_text("eth_unsubscribe", mine))
        assert (await other.message())["error"] == {
            "code": -32000,
            "message": "subscription not found",
        }


async def _until_closed(client: WebSocketClient) -> ws_events.CloseConnection:
    while True:
        event = await client.event()
        if isinstance(event, ws_events.CloseConnection):
            return event


async def test_a_message_that_is_too_long_closes_with_its_reason() -> None:
    async with running() as server:
        client = await server.websocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_quietly, client, b"x" * (BODY_BYTES_MAX + 1))
            assert (await _until_closed(client)).code == 1009
            nursery.cancel_scope.cancel()


async def _send_quietly(client: WebSocketClient, message: bytes) -> None:
    try:
        await client.send(message)
    except trio.BrokenResourceError:
        return  # the server has ended the connection, as it should


async def test_a_broken_frame_closes_with_its_reason() -> None:
    async with running() as server:
        client = await server.websocket()
        await client.stream.send_all(b"\xff\xff\xff\xff\xff\xff\xff\xff")
        assert (await _until_closed(client)).code == 1002


async def test_a_close_is_answered() -> None:
    async with running() as server:
        client = await server.websocket()
        await client.stream.send_all(client.protocol.send(ws_events.CloseConnection(code=1000)))
        assert (await _until_closed(client)).code == 1000
        await _until_gone(server)


async def _until_gone(server: Running[Backend]) -> None:
    with trio.fail_after(20):
        while server.service.server.connections() != (0, 0):
            await wait_all_tasks_blocked()


async def test_a_subscriber_that_does_not_read_is_cut_off_and_others_are_not() -> None:
    async with running() as server:
        deaf, listening = await server.websocket(), await server.websocket()
        await deaf.result("eth_subscribe", "newPendingTransactions")
        await listening.result("eth_subscribe", "newHeads")
        batch = [(bytes([index % 256]) * 32, b"raw") for index in range(1_000)]
        while server.service.server.connections() == (0, 2):
            server.service.pending_arrived(batch)
            await wait_all_tasks_blocked()
        assert server.service.server.connections() == (0, 1)
        head = server.backend.chain.head
        await server.service.head_changed([head], [])
        assert _result(await listening.message())["hash"] == "0x" + head.hash.hex()
        assert len(server.service._hub) == 1
        assert QUEUED_MESSAGES_MAX > 1_000


async def test_subscribers_never_hold_up_the_chain_and_never_miss_a_block_silently() -> None:
    """Given a busy machine, when more heads come than may wait, then who listens is cut off and filters are gone."""
    worker = GatedWorker()
    async with running(Backend(event_worker=worker)) as server:
        head = server.backend.chain.head
        listening, other = await server.websocket(), await server.websocket()
        polling = await server.http()
        await listening.result("eth_subscribe", "logs", {})
        await other.result("eth_subscribe", "newPendingTransactions")
        logs = await polling.result("eth_newFilter", {})
        waiting = await polling.result("eth_newPendingTransactionFilter")
        await server.service.head_changed([head], [])
        await wait_all_tasks_blocked()
        for _ in range(WAITING_BLOCKS_MAX):
            await server.service.head_changed([head], [])
        await wait_all_tasks_blocked()
        assert server.service.server.connections() == (1, 2)
        await server.service.head_changed([head], [])
        await wait_all_tasks_blocked()
        assert server.service.server.connections() == (1, 1)
        assert await polling.error("eth_getFilterChanges", logs) == (-32000, "filter not found")
        assert await polling.result("eth_getFilterChanges", waiting) == []
        # When the machine has time again, then the newest head is told.
        await other.result("eth_subscribe", "newHeads")
        worker.gate.set()
        assert _result(await other.message())["hash"] == "0x" + head.hash.hex()


async def test_a_quiet_peer_is_pinged_and_a_dead_one_dropped(mock_clock: MockClock) -> None:
    async with running() as server:
        client = await server.websocket()
        await wait_all_tasks_blocked()
        mock_clock.jump(31)
        ping = await client.event()
        assert isinstance(ping, ws_events.Ping)
        await client.stream.send_all(client.protocol.send(ping.response()))
        await wait_all_tasks_blocked()
        mock_clock.jump(31)
        assert isinstance(await client.event(), ws_events.Ping)
        await wait_all_tasks_blocked()
        mock_clock.jump(32)
        await _until_gone(server)


async def test_a_message_that_does_not_end_is_cut_off(mock_clock: MockClock) -> None:
    async with running() as server:
        client = await server.websocket()
        for _ in range(40):
            if server.service.server.connections() == (0, 0):
                break
            await _send_fragment(client)
            await wait_all_tasks_blocked()
            mock_clock.jump(1)
        await _until_gone(server)
        assert server.service.server.budget.used == 0


async def _send_fragment(client: WebSocketClient) -> None:
    try:
        await client.stream.send_all(
            client.protocol.send(ws_events.TextMessage(data="x", message_finished=False))
        )
    except trio.BrokenResourceError:
        return  # cut off, as it should be


async def test_a_large_answer_arrives_whole() -> None:
    backend = Backend()
    backend.engine.result = FakeResult("success", bytes(4 << 20))
    async with running(backend) as server:
        client = await server.websocket()
        answer = await client.result("eth_call", {}, "latest")
        assert isinstance(answer, str)
        assert len(answer) == 2 + (8 << 20)
        assert await client.result("eth_chainId") == "0x384"
        assert server.service.server.untaken.used == 0


@pytest.mark.parametrize(
    ("headers", "origins", "accepted"),
    [
        ([], (), True),
        ([(b"Origin", b"https://app.example")], (), True),
        ([(b"Origin", b"https://app.example")], ("https://app.example",), True),
        ([(b"Origin", b"https://evil.example")], ("https://app.example",), False),
    ],
)
async def test_pages_must_be_allowed(
    headers: list[tuple[bytes, bytes]], origins: tuple[str, ...], accepted: bool
) -> None:
    settings = RpcSettings(
        port=0, chain_id=900, client_version="faultline/test", allowed_origins=origins
    )
    async with running(settings=settings) as server:
        client = WebSocketClient(await server.stream())
        event = await client.handshake(headers=headers)
        assert isinstance(event, ws_events.AcceptConnection) is accepted
        if not accepted:
            assert isinstance(event, ws_events.RejectConnection)
            assert event.status_code == 403


KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (VERSION, 400),
        (VERSION + b"Sec-WebSocket-Key: short\r\n", 400),
        (VERSION + b"Sec-WebSocket-Key: \xff\xfe\r\n", 400),
        (KEY, 426),
        (b"Sec-WebSocket-Version: 8\r\n" + KEY, 426),
        (VERSION + KEY + b"Sec-WebSocket-Extensions: \xff\r\n", 101),
        (VERSION + KEY + b"Sec-WebSocket-Protocol: \xff, \xfe\r\n", 101),
    ],
)
async def test_a_malformed_handshake_is_refused(handshake: bytes, status: int) -> None:
    async with running() as server:
        stream = await server.stream()
        await stream.send_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, \xff\r\n"
            b"Upgrade: websocket\r\n" + handshake + b"\r\n"
        )
        with trio.fail_after(20):
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 %d " % status)
        await trio.aclose_forcefully(stream)
        await _until_gone(server)


@pytest.mark.parametrize("seed", range(8))
async def test_hostile_bytes_stop_only_their_own_connection(seed: int) -> None:
    """Random frames and requests, well-formed beginnings included; the server answers others as before."""
    dice = random.Random(seed)
    async with running() as server:
        for _ in range(40):
            if dice.random() < 0.5:
                stream = (await server.websocket()).stream
                beginnings = [
                    b"\x81\x80",
                    b"\x88\x82",
                    b"\x89\x85",
                    b"\x01\x83",
                    b"\x80\x80",
                    b"\x82\xfe",
                ]
            else:
                stream = await server.stream()
                beginnings = [
                    http_post(call_text("eth_chainId")),
                    b"GET / HTTP/1.1\r\n",
                    b"\r\n\r\n",
                ]
            parts = [
                dice.choice([*beginnings, dice.randbytes(dice.randrange(1, 40))])
                for _ in range(dice.randrange(1, 8))
            ]
            try:
                await stream.send_all(b"".join(parts))
                if dice.random() < 0.5:
                    await stream.send_eof()
            except trio.BrokenResourceError:
                pass  # the server ended it first
            await wait_all_tasks_blocked()
            await trio.aclose_forcefully(stream)
        client = await server.http()
        assert await client.result("eth_chainId") == "0x384"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_is_what_a_client_reads(size: int) -> None:
    client, server = Connection(CLIENT), Connection(SERVER)
    client.receive_data(text_frame(b"x" * size) + server.send(ws_events.Ping()))
    *parts, ping = client.events()
    assert all(isinstance(part, ws_events.TextMessage) for part in parts)
    assert "".join(part.data for part in parts if isinstance(part, ws_events.TextMessage)) == (
        "x" * size
    )
    assert isinstance(ping, ws_events.Ping)


async def test_blocks_in_quick_succession_are_told_together(mock_clock: MockClock) -> None:
    settings = RpcSettings(port=0, chain_id=900, client_version="test", events_apart_s=0.02)
    async with running(settings=settings) as server:
        client, head = await server.websocket(), server.backend.chain.head
        await client.result("eth_subscribe", "newHeads")
        await server.service.head_changed([head], [])
        await client.message()
        for _ in range(5):
            await server.service.head_changed([head], [])
        await wait_all_tasks_blocked()
        assert len(server.service._changes) == 5
        mock_clock.jump(0.03)
        assert [_result(await client.message())["hash"] for _ in range(5)] == [
            "0x" + head.hash.hex()
        ] * 5
        assert len(server.service._changes) == 0


async def test_nothing_waits_where_nobody_listens() -> None:
    settings = RpcSettings(port=0, chain_id=900, client_version="test", tip_wei=1)
    async with running(settings=settings) as server:
        head = server.backend.chain.head
        server.service.head_moved([head], [])
        assert len(server.service._changes) == 0
        client = await server.websocket()
        await client.result("eth_subscribe", "newHeads")
        server.service.head_moved([head], [])
        assert len(server.service._changes) == 1
        await client.message()
