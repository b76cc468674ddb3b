"""Sends on the L2: the hash comes when the receipt can be read, in order, beside each other, without waiting for others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.eth.hashing import keccak256
from node.rpc.connection import OWED_MAX
from node.rpc.dispatch import BATCH_WITHIN_S
from node.rpc.jsonrpc import RpcError
from node.rpc.limits import ServerLimits
from node.rpc.sends import LOOKED_FOR_MAX, WAITING_MAX, Sends
from tests.node.rpc.clients import Running, call_text, http_post, running_with
from tests.node.rpc.fake_pool import FakePooled
from tests.node.rpc.l2 import SETTINGS, L2Backend, raws

SEND = "eth_sendRawTransaction"
SYNC = "eth_sendRawTransactionSync"


def l2(backend: L2Backend | None = None) -> AbstractAsyncContextManager[Running[L2Backend]]:
    return running_with(backend or L2Backend(), settings=SETTINGS)


def held() -> L2Backend:
    """An L2 that seals when it is told to."""
    backend = L2Backend()
    backend.intake.seals_at_once = False
    return backend


def quoted(raw: bytes) -> str:
    return "0x" + raw.hex()


def name(raw: bytes) -> str:
    return "0x" + keccak256(raw).hex()


def receipt(raw: bytes) -> dict[str, object]:
    return {"transactionHash": "0x" + keccak256(raw).hex()}


async def test_the_hash_comes_once_the_receipt_can_be_read() -> None:
    backend = held()
    raw = raws(1)[0]
    async with l2(backend) as server:
        client, other = await server.http(), await server.http()
        await client.send(http_post(call_text(SEND, quoted(raw))))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        assert await other.result("eth_getTransactionReceipt", name(raw)) is None
        backend.intake.seal()
        assert (await client.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": name(raw)}
        assert await other.result("eth_getTransactionReceipt", name(raw)) == receipt(raw)


async def test_a_refusal_comes_at_once_in_the_pools_words() -> None:
    backend = L2Backend()
    backend.intake.refusal = "nonce too low: next nonce 5, tx nonce 4"
    async with l2(backend) as server:
        client = await server.http()
        for method in (SEND, SYNC):
            assert await client.error(method, "0x0102") == (-32000, backend.intake.refusal)
        assert (await client.error(SEND, "0102"))[0] == -32602


async def test_sends_of_a_batch_are_in_one_block_and_answered_in_order() -> None:
    backend, given = held(), raws(100)
    async with l2(backend) as server:
        client = await server.http()
        calls = [call_text(SEND, quoted(raw), identity=at) for at, raw in enumerate(given)]
        await client.send(http_post(b"[" + b",".join(calls) + b"]"))
        while len(backend.intake.waiting) < len(given):
            await wait_all_tasks_blocked()
        assert backend.intake.offered == list(given)
        backend.intake.seal()
        assert (await client.reply()).json() == [
            {"jsonrpc": "2.0", "id": at, "result": name(raw)} for at, raw in enumerate(given)
        ]


async def test_what_follows_sends_in_a_batch_sees_what_they_did() -> None:
    backend, (first, second) = held(), raws(2)
    async with l2(backend) as server:
        client = await server.http()
        calls = [
            call_text(SEND, quoted(first), identity=0),
            call_text("eth_getTransactionReceipt", name(first), identity=1),
            orjson.dumps({"jsonrpc": "2.0", "method": SEND, "params": [quoted(second)]}),
            call_text(SYNC, quoted(second), identity=2),
        ]
        await client.send(http_post(b"[" + b",".join(calls) + b"]"))
        while backend.intake.offered != [first]:
            await wait_all_tasks_blocked()
        backend.intake.seal()
        while backend.intake.offered != [first, second, second]:
            await wait_all_tasks_blocked()
        backend.intake.seal()
        assert (await client.reply()).json() == [
            {"jsonrpc": "2.0", "id": 0, "result": name(first)},
            {"jsonrpc": "2.0", "id": 1, "result": receipt(first)},
            {"jsonrpc": "2.0", "id": 2, "result": receipt(second)},
        ]


async def test_sends_of_a_batch_that_are_never_sealed_time_out(mock_clock: MockClock) -> None:
    backend, given = held(), raws(2)
    async with l2(backend) as server:
        client = await server.http()
        calls = [call_text(SEND, quoted(raw), identity=at) for at, raw in enumerate(given)]
        await client.send(http_post(b"[" + b",".join(calls) + b"]"))
        while len(backend.intake.waiting) < 2:
            await wait_all_tasks_blocked()
        raw, told = backend.intake.waiting.pop(0)
        backend.intake.waiting, rest = [(raw, told)], backend.intake.waiting
        backend.intake.seal()
        mock_clock.jump(BATCH_WITHIN_S + 1)
        answers = (await client.reply()).json()
        assert answers == [
            {"jsonrpc": "2.0", "id": 0, "result": name(raw)},
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32002, "message": "request timed out"}},
        ]
        backend.intake.waiting = rest
        backend.intake.seal()  # too late, and nobody minds
        assert await client.result("eth_chainId") == "0x385"


async def test_pipelined_sends_are_in_one_block_and_what_follows_waits_for_them() -> None:
    backend, given = held(), raws(40)
    async with l2(backend) as server:
        client = await server.http()
        bodies = [call_text(SEND, quoted(raw), identity=at) for at, raw in enumerate(given)]
        after = call_text("eth_getTransactionReceipt", name(given[-1]), identity="after")
        await client.send(b"".join(map(http_post, (*bodies, after, bodies[0]))))
        while len(backend.intake.waiting) < len(given):
            await wait_all_tasks_blocked()
        backend.intake.seal()
        for at, raw in enumerate(given):
            assert (await client.reply()).json() == {
                "jsonrpc": "2.0",
                "id": at,
                "result": name(raw),
            }
        assert (await client.reply()).json() == {
            "jsonrpc": "2.0",
            "id": "after",
            "result": receipt(given[-1]),
        }
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        backend.intake.seal()
        assert (await client.reply()).json() == {
            "jsonrpc": "2.0",
            "id": 0,
            "result": name(given[0]),
        }


async def test_answers_keep_the_order_of_their_requests_whatever_is_settled_first() -> None:
    backend, given = held(), raws(3)
    async with l2(backend) as server:
        client = await server.http()
        for at, raw in enumerate(given):
            await client.send(http_post(call_text(SEND, quoted(raw), identity=at)))
            while len(backend.intake.waiting) <= at:
                await wait_all_tasks_blocked()
        backend.intake.waiting.reverse()
        backend.intake.refusal = "no room"
        await client.send(http_post(call_text(SEND, "0x00", identity=3)))
        await wait_all_tasks_blocked()
        backend.intake.seal()
        answers = [(await client.reply()).json() for _ in range(4)]
        assert [one["id"] for one in answers if isinstance(one, dict)] == [0, 1, 2, 3]


async def test_more_sends_than_may_be_owed_are_read_when_there_is_room() -> None:
    backend, given = held(), raws(3 * OWED_MAX)
    async with l2(backend) as server:
        client = await server.http()
        wanted = b"".join(
            http_post(call_text(SEND, quoted(raw), identity=at)) for at, raw in enumerate(given)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, wanted)
            nursery.start_soon(_seal_all, backend, len(given))
            for at in range(len(given)):
                answer = (await client.reply()).json()
                assert isinstance(answer, dict)
                assert answer["id"] == at
        assert backend.intake.offered == list(given)


async def _seal_all(backend: L2Backend, count: int) -> None:
    while len(backend.intake.offered) < count or backend.intake.waiting:
        await wait_all_tasks_blocked()
        assert len(backend.intake.waiting) <= 2 * OWED_MAX
        backend.intake.seal()


async def test_a_client_that_vanishes_or_closes_its_half_while_it_is_owed_harms_nobody() -> None:
    backend, (first, second) = held(), raws(2)
    async with l2(backend) as server:
        vanishing, closing = await server.http(), await server.http()
        await vanishing.send(http_post(call_text(SEND, quoted(first))))
        await closing.send(http_post(call_text(SEND, quoted(second))))
        await closing.stream.send_eof()
        while len(backend.intake.waiting) < 2:
            await wait_all_tasks_blocked()
        await trio.aclose_forcefully(vanishing.stream)
        await wait_all_tasks_blocked()
        backend.intake.seal()
        assert (await closing.reply()).json() == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": name(second),
        }
        assert await closing.ended()
        while server.service.server.connections() != (0, 0):
            await wait_all_tasks_blocked()


async def test_a_connection_that_is_to_close_gets_its_answer_first() -> None:
    backend, raw = held(), raws(1)[0]
    async with l2(backend) as server:
        client = await server.http()
        await client.send(http_post(call_text(SEND, quoted(raw)), headers=["Connection: close"]))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        backend.intake.seal()
        assert (await client.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": name(raw)}
        assert await client.ended()


async def test_sends_over_a_websocket_are_begun_side_by_side() -> None:
    backend, given = held(), raws(50)
    async with l2(backend) as server:
        client = await server.websocket()
        for at, raw in enumerate(given):
            await client.send(call_text(SEND, quoted(raw), identity=at))
        while len(backend.intake.waiting) < len(given):
            await wait_all_tasks_blocked()
        backend.intake.seal()
        answers = [await client.message() for _ in given]
        assert answers == [
            {"jsonrpc": "2.0", "id": at, "result": name(raw)} for at, raw in enumerate(given)
        ]


async def test_a_receipt_comes_with_the_block() -> None:
    backend, raw = held(), raws(1)[0]
    async with l2(backend) as server:
        client = await server.http()
        await client.send(http_post(call_text(SYNC, quoted(raw))))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        backend.intake.seal()
        assert (await client.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": receipt(raw)}


async def test_a_receipt_that_comes_later_is_found(mock_clock: MockClock) -> None:
    """Given a transaction with a later nonce, or one that was handed on, when its block comes, then so does its receipt."""
    backend, raw = held(), raws(1)[0]
    async with l2(backend) as server:
        client = await server.http()
        await client.send(http_post(call_text(SYNC, quoted(raw), "0x3e8")))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        later = list(backend.intake.waiting)
        backend.intake.queue()
        mock_clock.jump(0.5)
        await wait_all_tasks_blocked()
        backend.intake.waiting = [(raw, lambda _: None) for raw, _ in later]
        backend.intake.seal()
        mock_clock.jump(0.1)
        assert (await client.reply()).json() == {"jsonrpc": "2.0", "id": 1, "result": receipt(raw)}


async def test_whoever_waited_too_long_is_told_the_hash(mock_clock: MockClock) -> None:
    backend, raw = held(), raws(1)[0]
    async with l2(backend) as server:
        client = await server.http()
        await client.send(http_post(call_text(SYNC, quoted(raw), 1_500)))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        mock_clock.jump(1)
        await wait_all_tasks_blocked()
        mock_clock.jump(1)
        answer = (await client.reply()).json()
        assert isinstance(answer, dict)
        assert answer["error"] == {
            "code": 4,
            "message": "The transaction was added to the transaction pool but wasn't processed in "
            "1.5s.",
            "data": name(raw),
        }
        backend.intake.seal()
        assert await client.result("eth_getTransactionReceipt", name(raw)) == receipt(raw)


async def test_whoever_waits_for_an_earlier_nonce_is_told_so(mock_clock: MockClock) -> None:
    backend, raw = held(), raws(1)[0]
    pooled = FakePooled(raw=raw, nonce=7)
    backend.pool.waiting[pooled.sender] = [pooled]
    async with l2(backend) as server:
        client = await server.http()
        await client.send(http_post(call_text(SYNC, quoted(raw), 1_500)))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        backend.intake.queue()
        mock_clock.jump(2)
        answer = (await client.reply()).json()
        assert isinstance(answer, dict)
        assert answer["error"]["code"] == 5
        assert answer["error"]["data"] == name(raw)


class Silence:
    """Nobody listens."""

    listens = False

    def pending_arrived(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        raise AssertionError("nobody listens")


async def test_listeners_hear_of_what_was_taken_and_could_be_in_a_block(
    mock_clock: MockClock,
) -> None:
    backend, (mined, synced, queued, refused) = held(), raws(4)
    pooled = FakePooled(raw=queued)
    backend.pool.waiting[pooled.sender] = [pooled]
    async with l2(backend) as server:
        client, listener, full = (
            await server.http(),
            await server.websocket(),
            await server.websocket(),
        )
        await listener.result("eth_subscribe", "newPendingTransactions")
        await full.result("eth_subscribe", "newPendingTransactions", True)
        calls = [
            call_text(method, quoted(raw))
            for method, raw in ((SEND, mined), (SYNC, synced), (SEND, queued))
        ]
        await client.send(http_post(b"[" + b",".join(calls) + b"]"))
        while len(backend.intake.waiting) < 3:
            await wait_all_tasks_blocked()
        gapped = backend.intake.waiting.pop()
        backend.intake.seal()
        backend.intake.waiting = [gapped]
        backend.intake.queue()
        await client.reply()
        backend.intake.refusal = "no"
        await client.error(SEND, quoted(refused))
        mock_clock.jump(0.1)
        for raw in (mined, synced):
            assert _event(await listener.message()) == name(raw)
            assert _event(await full.message()) == {"pending": raw.hex()}
        backend.intake.refusal, backend.intake.seals_at_once = None, True
        await client.result(SEND, quoted(refused))
        mock_clock.jump(0.1)
        assert _event(await listener.message()) == name(refused)


def _event(message: dict[str, object]) -> object:
    params = message["params"]
    assert isinstance(params, dict)
    return params["result"]


async def test_those_who_wait_are_bounded() -> None:
    backend = held()
    sends = Sends(backend.intake, backend.pool, lambda _: None, Silence())
    for raw in raws(WAITING_MAX):
        sends.send_for_receipt(raw, 60_000)
    with pytest.raises(RpcError, match="too many callers wait for receipts"):
        sends.send_for_receipt(b"one more", 60_000)
    backend.intake.queue()
    sends.look(trio.current_time() + 61)
    assert len(sends) == 0
    for _ in range(WAITING_MAX // LOOKED_FOR_MAX + 1):
        sends.look(trio.current_time())
    assert len(sends._late) == 0
    await trio.lowlevel.checkpoint()


async def test_answers_that_wait_for_an_earlier_one_are_counted_and_bounded() -> None:
    """Given answers that are settled out of order, when they are too many bytes, then their connection is ended."""
    backend, (first, *others) = held(), raws(6)
    backend.engine.receipt_padding = 4 << 20
    limits = ServerLimits(answer_bytes_max=14 << 20)
    async with running_with(backend, settings=SETTINGS, limits=limits) as server:
        untaken = server.service.server.untaken
        client = await server.http()
        for raw in (first, *others):
            await client.send(http_post(call_text(SYNC, quoted(raw))))
        while len(backend.intake.waiting) < 6:
            await wait_all_tasks_blocked()
        earliest = backend.intake.waiting.pop(0)
        for waiting, expected in zip(list(backend.intake.waiting), range(1, 6), strict=True):
            backend.intake.waiting = [waiting]
            backend.intake.seal()
            if expected <= 3:
                assert expected * (4 << 20) < untaken.used <= limits.answer_bytes_max
        assert untaken.used == 0
        backend.intake.waiting = [earliest]
        backend.intake.seal()
        assert await client.ended()
        while server.service.server.connections() != (0, 0):
            await wait_all_tasks_blocked()
        assert untaken.used == 0
