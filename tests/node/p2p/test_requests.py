"""Requests among real hosts on loopback."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack, suppress
from enum import StrEnum

import pytest
import trio

from node.errors import Corruption, Rejected
from node.p2p import requests
from node.p2p.host import Host
from node.p2p.network import LinkFault, PeerId, RequestFailed, RequestKind
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork
from node.p2p.streams import StreamReset
from node.p2p.wire import encode_prefix
from tests.node.p2p.nodes import (
    GENESIS,
    PATIENCE_S,
    Node,
    known,
    settle,
    start_mesh,
    start_node,
    still_serves,
    stranger_host,
    until,
)

PROTOCOL = f"/faultline/{GENESIS[:4].hex()}/status/1"


class Reason(StrEnum):
    """A rule set's rejections."""

    NONSENSE = "nonsense"


async def pair(nursery: trio.Nursery, kind: RequestKind, answer: object) -> tuple[Node, Node]:
    """A node that answers a kind of request so, and one that asks."""

    def prepare(network: Libp2pNetwork) -> None:
        async def handle(peer: PeerId, body: bytes) -> bytes:
            assert callable(answer)
            result = await answer(peer, body)
            assert isinstance(result, bytes)
            return result

        network.serve(kind, handle)

    server = await start_node(nursery, "server", prepare=prepare)
    client = await start_node(nursery, "client", (server.as_peer(),))
    await settle([server, client])
    return server, client


@pytest.mark.parametrize("size", [0, 1, 4 * 1024])
async def test_an_answer_comes_back(nursery: trio.Nursery, size: int) -> None:
    one, other = await start_mesh(nursery, 2)
    body = os.urandom(size)

    assert await one.network.request(other.peer_id, RequestKind.STATUS, body) == body


async def test_a_large_answer_comes_back(nursery: trio.Nursery) -> None:
    blocks = os.urandom(16 * 1024 * 1024)

    async def answer(_: PeerId, __: bytes) -> bytes:
        return blocks

    server, client = await pair(nursery, RequestKind.BLOCKS_BY_RANGE, answer)

    assert await client.network.request(server.peer_id, RequestKind.BLOCKS_BY_RANGE, b"") == blocks


async def test_many_requests_at_once_are_all_answered(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)
    answers: list[bytes] = []

    async def ask(index: int) -> None:
        body = b"%d" % index
        assert await one.network.request(other.peer_id, RequestKind.STATUS, body) == body
        answers.append(body)

    async with trio.open_nursery() as asking:
        for index in range(requests.IN_FLIGHT_PER_PEER_MAX):
            asking.start_soon(ask, index)

    assert len(answers) == requests.IN_FLIGHT_PER_PEER_MAX
    assert other.blamed(Misbehaviour.REQUEST_FLOOD) == 0


async def test_what_is_not_served_fails(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    with pytest.raises(RequestFailed, match="state to "):
        await one.network.request(other.peer_id, RequestKind.STATE, b"")


async def test_a_peer_that_is_not_connected_fails(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)
    other.scope.cancel()
    await until("its end", lambda: not one.network.peers())

    with pytest.raises(RequestFailed, match="not connected"):
        await one.network.request(other.peer_id, RequestKind.STATUS, b"")


async def test_a_slow_answer_fails_in_time(nursery: trio.Nursery) -> None:
    async def never(_: PeerId, __: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    server, client = await pair(nursery, RequestKind.STATE, never)
    started_s = time.monotonic()

    with pytest.raises(RequestFailed, match="TooSlowError"):
        await client.network.request(server.peer_id, RequestKind.STATE, b"", timeout_s=0.5)

    assert 0.4 < time.monotonic() - started_s < 5.0
    await still_serves(server, client)


async def test_a_handler_that_rejects_blames_the_asker(nursery: trio.Nursery) -> None:
    async def reject(_: PeerId, __: bytes) -> bytes:
        raise Rejected(Reason.NONSENSE, "of all things")

    server, client = await pair(nursery, RequestKind.STATE, reject)

    with pytest.raises(RequestFailed):
        await client.network.request(server.peer_id, RequestKind.STATE, b"")

    assert server.blamed(Misbehaviour.REJECTED_REQUEST) == 1
    await still_serves(server, client)


async def test_a_handler_with_a_bug_is_counted_and_survived(nursery: trio.Nursery) -> None:
    async def broken(_: PeerId, __: bytes) -> bytes:
        raise ZeroDivisionError("a bug")

    server, client = await pair(nursery, RequestKind.STATE, broken)

    with pytest.raises(RequestFailed):
        await client.network.request(server.peer_id, RequestKind.STATE, b"")

    assert server.metric("faultline_p2p_handler_bugs_total") == 1
    assert await client.network.request(server.peer_id, RequestKind.STATUS, b"x") == b"x"
    assert [info.score for info in server.network.peers()] == [0.0]


async def test_too_long_a_question_is_our_own_bug(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    with pytest.raises(AssertionError, match="status: 4097 bytes"):
        await one.network.request(other.peer_id, RequestKind.STATUS, bytes(4 * 1024 + 1))


async def test_a_strangers_huge_length_is_rejected_before_its_body(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        stream = await stranger.open_stream(victim.peer_id, PROTOCOL)
        await stream.write(encode_prefix(0xFFFF_FFFF))
        await until("the blame", lambda: victim.blamed(Misbehaviour.OVERSIZED) == 1)
        await still_serves(victim, friend)


async def test_a_flood_of_requests_is_refused(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async def ask(stranger: Host) -> None:
        try:
            stream = await stranger.open_stream(victim.peer_id, PROTOCOL)
        except StreamReset:
            return
        await stream.reset()

    async with stranger_host(victim) as host:
        for _ in range(40):
            async with trio.open_nursery() as asking:
                for _ in range(20):
                    asking.start_soon(ask, host)
            if victim.blamed(Misbehaviour.REQUEST_FLOOD):
                break

    assert victim.blamed(Misbehaviour.REQUEST_FLOOD) > 0
    await still_serves(victim, friend)


async def test_strangers_that_never_finish_a_request_do_not_stop_others(
    nursery: trio.Nursery,
) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        for _ in range(requests.IN_FLIGHT_PER_PEER_MAX):
            stream = await stranger.open_stream(victim.peer_id, PROTOCOL)
            await stream.write(encode_prefix(100)[:3])
        await still_serves(victim, friend)


async def test_strangers_leave_room_for_the_requests_of_configured_peers(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given as many strangers as could hold all that is served at once, each with questions it never ends, then a configured peer is answered."""
    monkeypatch.setattr(requests, "IO_TIMEOUT_S", 2 * PATIENCE_S)
    victim = await start_node(nursery, "victim", (known("friend"),))
    friend = await start_node(nursery, "friend", (victim.as_peer(),))
    await settle([victim, friend])
    count = requests.IN_FLIGHT_MAX // requests.IN_FLIGHT_PER_PEER_MAX
    async with AsyncExitStack() as stack:
        for number in range(count):
            stranger = await stack.enter_async_context(stranger_host(victim, f"stranger {number}"))
            for _ in range(requests.IN_FLIGHT_PER_PEER_MAX):
                stream = await stranger.open_stream(victim.peer_id, PROTOCOL)
                with suppress(StreamReset):  # a refusal may come before the question is written
                    await stream.write(encode_prefix(100)[:3])
        served = victim.network._requests._serving_by_peer
        await until("their share", lambda: sum(served.values()) >= requests.STRANGERS_IN_FLIGHT_MAX)
        await still_serves(victim, friend)
        assert sum(served.values()) == requests.STRANGERS_IN_FLIGHT_MAX


async def test_what_strangers_are_sent_keeps_no_configured_peer_waiting(
    nursery: trio.Nursery,
) -> None:
    """Given strangers that have used up what they are sent, then one of them waits, before any work is done, and a configured peer does not."""
    served: list[PeerId] = []

    def prepare(network: Libp2pNetwork) -> None:
        async def answer(peer: PeerId, _: bytes) -> bytes:
            served.append(peer)
            return bytes(1_000)

        network.serve(RequestKind.BLOBS, answer)

    victim = await start_node(nursery, "victim", (known("friend"),), prepare)
    friend = await start_node(nursery, "friend", (victim.as_peer(),))
    stranger = await start_node(nursery, "stranger", (victim.as_peer(),))
    await until("both", lambda: len(victim.network.peers()) == 2)
    victim.network._requests._allowance.settle(2**40)

    with pytest.raises(RequestFailed):
        await stranger.network.request(victim.peer_id, RequestKind.BLOBS, b"", timeout_s=0.5)
    await friend.network.request(victim.peer_id, RequestKind.BLOBS, b"")
    assert served == [friend.peer_id]


async def test_a_fault_delays_requests(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)
    other.network.set_fault(LinkFault(delay_ms=400))
    started_s = trio.current_time()

    await one.network.request(other.peer_id, RequestKind.STATUS, b"")

    assert trio.current_time() - started_s >= 0.4


async def test_a_damaged_store_that_an_answer_meets_stops_the_node() -> None:
    async def meet_damage(_: PeerId, __: bytes) -> bytes:
        raise Corruption("a block is missing")

    async def ask_and_wait() -> None:
        async with trio.open_nursery() as nursery:
            server, client = await pair(nursery, RequestKind.STATE, meet_damage)
            with suppress(RequestFailed):
                await client.network.request(server.peer_id, RequestKind.STATE, b"")
            await trio.sleep_forever()

    with trio.fail_after(PATIENCE_S), pytest.raises(ExceptionGroup) as failure:
        await ask_and_wait()
    assert failure.group_contains(Corruption, match="a block is missing")
