"""Large messages: announced, fetched, served, and what strangers do to them."""

from __future__ import annotations

import contextlib
import hashlib
import os

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair

from node.p2p import bodies
from node.p2p.bodies import (
    FETCH_TIMEOUT_S,
    FETCHES_MAX,
    FETCHES_OF_STRANGERS_MAX,
    FETCHES_PER_SOURCE_MAX,
    KEPT_BYTES_MAX,
    SERVES_PER_PEER_MAX,
    BodyStore,
)
from node.p2p.host import Host
from node.p2p.network import Topic
from node.p2p.pubsub import MESHSUB
from node.p2p.rpc import encode_announcement, encode_publish, sign_message
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset
from node.p2p.wire import encode_prefix
from tests.node.p2p.nodes import (
    GENESIS,
    Node,
    known,
    seed_of,
    settle,
    start_mesh,
    start_node,
    still_serves,
    stranger_host,
    until,
)

PREFIX = f"/faultline/{GENESIS[:4].hex()}"
BODY = f"{PREFIX}/body/1"
BLOCKS = f"{PREFIX}/{Topic.L1_BLOCK}"


async def announce(
    stranger: Host, victim: Node, body: bytes, sequence: int = 1, author: str = "stranger"
) -> None:
    """Announce a body in somebody's name."""
    _, payload = encode_announcement(body)
    keys = create_new_key_pair(seed_of(author))
    stream = await stranger.open_stream(victim.peer_id, MESHSUB)
    await stream.write(encode_publish(sign_message(keys, sequence, BLOCKS, payload).message))


def serve(stranger: Host, answer: bytes) -> list[bytes]:
    """Have the stranger answer whoever asks for a body; what it is asked for."""
    asked: list[bytes] = []

    async def handle(stream: Stream) -> None:
        asked.append(await stream.read_exactly(32))
        await stream.write(answer)
        await stream.close_write()

    stranger.serve(BODY, handle)
    return asked


async def test_a_body_is_fetched_once_from_whoever_announced_it(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    body = os.urandom(300_000)

    async with stranger_host(victim) as stranger:
        asked = serve(stranger, encode_prefix(len(body)) + body)
        await announce(stranger, victim, body)
        await until("the body", lambda: victim.messages(Topic.L1_BLOCK) == [body])
        await until("the friend's copy", lambda: friend.messages(Topic.L1_BLOCK) == [body])

    assert asked == [hashlib.sha256(body).digest()]


@pytest.mark.parametrize(
    "answer",
    [
        encode_prefix(300_000) + bytes(300_000),
        encode_prefix(299_999) + bytes(299_999),
        encode_prefix(0xFFFF_FFFF),
    ],
    ids=["another body", "a shorter body", "a huge length"],
)
async def test_a_wrong_body_is_blamed(nursery: trio.Nursery, answer: bytes) -> None:
    victim, friend = await start_mesh(nursery, 2)
    labels = {"topic": Topic.L1_BLOCK, "direction": "in", "outcome": "dropped"}

    def blamed() -> float:
        return victim.blamed(Misbehaviour.BAD_BODY) + victim.blamed(Misbehaviour.OVERSIZED)

    async def announce_and_answer() -> None:
        before = victim.metric("faultline_p2p_messages_total", **labels)
        async with stranger_host(victim) as stranger:
            serve(stranger, answer)
            await announce(stranger, victim, os.urandom(300_000))
            await until(
                "the end of it",
                lambda: victim.metric("faultline_p2p_messages_total", **labels) > before,
            )
            await still_serves(victim, friend)

    while not blamed():
        # Whose connection ended on a slow machine before it answered comes again
        await announce_and_answer()
    assert blamed() == 1

    assert victim.messages(Topic.L1_BLOCK) == friend.messages(Topic.L1_BLOCK) == []


async def test_a_body_that_nobody_serves_is_given_up(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        await announce(stranger, victim, os.urandom(300_000))
        labels = {"topic": Topic.L1_BLOCK, "direction": "in", "outcome": "dropped"}
        await until(
            "the end of it", lambda: victim.metric("faultline_p2p_messages_total", **labels) == 1
        )
        await still_serves(victim, friend)


async def test_the_next_announcer_helps_when_the_first_stalls(nursery: trio.Nursery) -> None:
    # Given one stranger that announces and stalls, and another that announces the same and serves
    victim, friend = await start_mesh(nursery, 2)
    body = os.urandom(300_000)
    stalled = trio.Event()

    async def begin_and_stall(stream: Stream) -> None:
        await stream.read_exactly(32)
        await stream.write(encode_prefix(len(body)) + body[:100])
        stalled.set()
        await trio.sleep_forever()

    async with (
        stranger_host(victim, "stalling") as first,
        stranger_host(victim, "helping") as second,
    ):
        first.serve(BODY, begin_and_stall)
        serve(second, encode_prefix(len(body)) + body)
        await announce(first, victim, body)
        await stalled.wait()
        await announce(second, victim, body)

        # Then the body arrives all the same
        await until("the body", lambda: victim.messages(Topic.L1_BLOCK) == [body])
        await until("the friend's copy", lambda: friend.messages(Topic.L1_BLOCK) == [body])


async def test_many_announcements_of_one_author_are_bounded(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        stranger.serve(BODY, stall)
        for sequence in range(1, 41):
            await announce(stranger, victim, os.urandom(300_000), sequence)
        await still_serves(victim, friend)
        assert len(victim.network._bodies._fetches) <= 4
        body = os.urandom(300_000)
        friend.network.publish(Topic.L1_BLOCK, body)
        await until("the friend's block", lambda: victim.messages(Topic.L1_BLOCK) == [body])


async def stall(stream: Stream) -> None:
    """Take a question and never answer."""
    await stream.read_exactly(32)
    await trio.sleep_forever()


async def hold_all(strangers: list[Host], victim: Node) -> None:
    """Have strangers announce, each in many names, what none of them sends."""
    for place, stranger in enumerate(strangers):
        stranger.serve(BODY, stall)
        for number in range(FETCHES_MAX):
            await announce(stranger, victim, os.urandom(300_000), author=f"{place} {number}")
    expected = min(FETCHES_OF_STRANGERS_MAX, FETCHES_PER_SOURCE_MAX * len(strangers))
    await until("their share", lambda: len(victim.network._bodies._fetches) >= expected)


async def test_strangers_that_send_no_body_leave_room_for_those_of_configured_peers(
    nursery: trio.Nursery,
) -> None:
    """Given strangers that announce bodies under any number of names and send none, then a configured peer's is fetched."""
    victim = await start_node(nursery, "victim", (known("friend"),))
    friend = await start_node(nursery, "friend", (victim.as_peer(),))
    await settle([victim, friend])
    async with (
        stranger_host(victim, "first") as first,
        stranger_host(victim, "second") as second,
        stranger_host(victim, "third") as third,
    ):
        await hold_all([first, second, third], victim)
        body = os.urandom(300_000)
        friend.network.publish(Topic.L1_BLOCK, body)
        await until("the friend's block", lambda: victim.messages(Topic.L1_BLOCK) == [body])
        assert len(victim.network._bodies._fetches) == FETCHES_OF_STRANGERS_MAX


async def test_what_had_no_room_is_fetched_from_the_next_who_announces_it(
    nursery: trio.Nursery,
) -> None:
    """Given a stranger that has no room left and passes an honest block on, then a configured peer that does too is asked for it."""
    victim = await start_node(nursery, "victim", (known("helping"),))
    body = os.urandom(300_000)
    async with (
        stranger_host(victim, "stalling") as stranger,
        stranger_host(victim, "helping") as friend,
    ):
        await hold_all([stranger], victim)
        asked = serve(friend, encode_prefix(len(body)) + body)
        labels = {"topic": Topic.L1_BLOCK, "direction": "in", "outcome": "dropped"}
        dropped = victim.metric("faultline_p2p_messages_total", **labels)
        await announce(stranger, victim, body, author="proposer")
        await until(
            "its refusal",
            lambda: victim.metric("faultline_p2p_messages_total", **labels) > dropped,
        )
        await announce(friend, victim, body, author="proposer")
        await until("the body", lambda: victim.messages(Topic.L1_BLOCK) == [body])
    assert len(asked) == 1


async def test_a_configured_peer_is_asked_however_slowly_strangers_send(
    nursery: trio.Nursery,
) -> None:
    """Given a stranger that was first and sends a byte now and then, then the configured peer's body comes all the same."""
    victim = await start_node(nursery, "victim", (known("helping"),))
    body = os.urandom(300_000)
    begun = trio.Event()

    async def drip(stream: Stream) -> None:
        await stream.read_exactly(32)
        await stream.write(encode_prefix(len(body)))
        for byte in body:
            await stream.write(bytes([byte]))
            begun.set()
            await trio.sleep(0.1)

    async with (
        stranger_host(victim, "dripping") as stranger,
        stranger_host(victim, "helping") as friend,
    ):
        stranger.serve(BODY, drip)
        serve(friend, encode_prefix(len(body)) + body)
        await announce(stranger, victim, body)
        await begun.wait()
        await announce(friend, victim, body)
        with trio.fail_after(FETCH_TIMEOUT_S / 2):
            await until("the body", lambda: victim.messages(Topic.L1_BLOCK) == [body])


@pytest.mark.parametrize(("name", "blames"), [("stranger", 1), ("friend", 0)])
async def test_a_stranger_that_never_sends_a_body_is_blamed(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, name: str, blames: int
) -> None:
    """A configured peer is not: it is late because the machine is."""
    monkeypatch.setattr(bodies, "FETCH_TIMEOUT_S", 0.3)
    victim = await start_node(nursery, "victim", (known("friend"),))
    async with stranger_host(victim, name) as host:
        host.serve(BODY, stall)
        await announce(host, victim, os.urandom(300_000))
        labels = {"topic": Topic.L1_BLOCK, "direction": "in", "outcome": "dropped"}
        await until(
            "the end of it", lambda: victim.metric("faultline_p2p_messages_total", **labels) == 1
        )
        assert victim.blamed(Misbehaviour.BAD_BODY) == blames


async def test_askers_that_do_not_read_are_bounded(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    body = os.urandom(5_000_000)
    victim.network.publish(Topic.L1_BLOCK, body)
    await until("the friend's copy", lambda: friend.messages(Topic.L1_BLOCK) == [body])

    async with stranger_host(victim) as stranger:
        for _ in range(SERVES_PER_PEER_MAX + 3):
            with contextlib.suppress(
                StreamReset
            ):  # a refusal may come before the question is written
                stream = await stranger.open_stream(victim.peer_id, BODY)
                await stream.write(hashlib.sha256(body).digest())
        await until("the refusal", lambda: victim.blamed(Misbehaviour.REQUEST_FLOOD) >= 3)
        await still_serves(victim, friend)


def test_kept_bodies_are_bounded() -> None:
    store = BodyStore()
    body = bytes(5_000_000)

    for index in range(10):
        store.add(b"%d" % index, body)
    store.add(b"9", body)

    assert store.get(b"0") is None
    assert store.get(b"9") == body
    kept = sum(store.get(b"%d" % index) is not None for index in range(10))
    assert kept == KEPT_BYTES_MAX // len(body)
