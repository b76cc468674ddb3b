"""Gossip among real hosts on loopback."""

from __future__ import annotations

import os

import pytest
import trio

from node.errors import Corruption
from node.p2p.network import LinkFault, PeerId, Topic, Verdict
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork
from tests.node.p2p.nodes import (
    PATIENCE_S,
    Node,
    settle,
    start_mesh,
    start_node,
    still_serves,
    until,
)


async def test_everybody_else_hears_a_message_once(nursery: trio.Nursery) -> None:
    nodes = await start_mesh(nursery, 4)

    nodes[0].network.publish(Topic.L1_VOTE, b"vote")
    await until("the vote everywhere", lambda: all(node.messages() for node in nodes[1:]))
    nodes[1].network.publish(Topic.L1_VOTE, b"another")
    await until("the other vote", lambda: b"another" in nodes[0].messages())

    assert nodes[0].messages() == [b"another"]
    assert nodes[2].messages() == [b"vote", b"another"]


async def test_topics_are_kept_apart(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    for topic in Topic:
        one.network.publish(topic, topic.encode())
    await until("all topics", lambda: len(other.received) == len(Topic))

    assert sorted(other.received) == sorted((t, one.peer_id, t.encode()) for t in Topic)


async def test_a_burst_arrives_whole_and_in_order(nursery: trio.Nursery) -> None:
    nodes = await start_mesh(nursery, 3)
    burst = [b"%03d" % index + os.urandom(2_000) for index in range(200)]

    for message in burst:
        nodes[0].network.publish(Topic.L1_TX, message)
    await until("the burst", lambda: all(len(n.messages(Topic.L1_TX)) == 200 for n in nodes[1:]))

    assert all(node.messages(Topic.L1_TX) == burst for node in nodes[1:])


@pytest.mark.parametrize("size", [0, 1, 255 * 1024, 256 * 1024 + 1, 2_000_000, 7 * 1024 * 1024])
async def test_a_message_of_any_size_arrives_whole(nursery: trio.Nursery, size: int) -> None:
    nodes, body = await start_mesh(nursery, 3), os.urandom(size)

    nodes[0].network.publish(Topic.L1_BLOCK, body)
    await until("the block", lambda: all(n.messages(Topic.L1_BLOCK) for n in nodes[1:]))

    assert all(node.messages(Topic.L1_BLOCK) == [body] for node in nodes[1:])


async def test_too_large_a_message_is_our_own_bug(nursery: trio.Nursery) -> None:
    node = await start_node(nursery, "alone")

    with pytest.raises(AssertionError, match=r"l1\.block: 7340033 bytes"):
        node.network.publish(Topic.L1_BLOCK, bytes(7 * 1024 * 1024 + 1))


async def chain_of_three(nursery: trio.Nursery) -> list[Node]:
    """The first and the last are connected through the one between only."""
    first = await start_node(nursery, "first")
    middle = await start_node(nursery, "middle", (first.as_peer(),))
    last = await start_node(nursery, "last", (middle.as_peer(),))
    await settle([first, middle])
    await settle([last, middle])
    return [first, middle, last]


@pytest.mark.parametrize("size", [100, 1_000_000])
async def test_accepted_messages_are_forwarded(nursery: trio.Nursery, size: int) -> None:
    first, middle, last = await chain_of_three(nursery)
    body = os.urandom(size)

    first.network.publish(Topic.L1_BLOCK, body)
    await until("the block", lambda: bool(last.messages(Topic.L1_BLOCK)))

    assert last.received == [(Topic.L1_BLOCK, middle.peer_id, body)]


@pytest.mark.parametrize("size", [100, 1_000_000])
@pytest.mark.parametrize("verdict", [Verdict.IGNORE, Verdict.REJECT])
async def test_other_messages_are_not_forwarded(
    nursery: trio.Nursery, size: int, verdict: Verdict
) -> None:
    # Given a node between that does not accept blocks
    first, middle, last = await chain_of_three(nursery)
    middle.verdict = lambda message: verdict if len(message) == size else Verdict.ACCEPT

    # When a block is followed by a vote
    first.network.publish(Topic.L1_BLOCK, os.urandom(size))
    await until("the block", lambda: bool(middle.messages(Topic.L1_BLOCK)))
    first.network.publish(Topic.L1_VOTE, b"vote")
    await until("the vote", lambda: bool(last.messages()))

    # Then only the vote has come through, and only REJECT is held against the sender
    assert last.messages(Topic.L1_BLOCK) == []
    (blamed,) = [i.score for i in middle.network.peers() if i.peer_id == first.peer_id]
    assert (blamed < 0) == (verdict is Verdict.REJECT)


async def test_a_peer_whose_messages_are_rejected_is_disconnected(nursery: trio.Nursery) -> None:
    nodes = await start_mesh(nursery, 3)
    victim, bad, friend = nodes
    victim.verdict = lambda m: Verdict.REJECT if m.startswith(b"bad") else Verdict.ACCEPT
    friend.verdict = lambda m: Verdict.IGNORE if m.startswith(b"bad") else Verdict.ACCEPT

    for index in range(5):
        bad.network.publish(Topic.L1_VOTE, b"bad %d" % index)

    await until("the ban", lambda: bad.name not in victim.peer_names() and _absent(victim, bad))
    assert victim.blamed(Misbehaviour.REJECTED_MESSAGE) == 5
    await still_serves(victim, friend)
    assert _absent(victim, bad)


def _absent(node: Node, other: Node) -> bool:
    return other.peer_id not in {info.peer_id for info in node.network.peers()}


async def test_a_restarted_publisher_is_heard(nursery: trio.Nursery) -> None:
    # Given a publisher whose messages were heard
    listener = await start_node(nursery, "listener")
    publisher = await start_node(nursery, "publisher", (listener.as_peer(),))
    await settle([listener, publisher])
    for index in range(20):
        publisher.network.publish(Topic.L1_VOTE, b"before %d" % index)
    await until("the first life", lambda: len(listener.messages()) == 20)

    # When it stops and starts again with the same key
    publisher.scope.cancel()
    await until("its end", lambda: not listener.network.peers())
    publisher = await start_node(nursery, "publisher", (listener.as_peer(),))
    await settle([listener, publisher])
    for index in range(20):
        publisher.network.publish(Topic.L1_VOTE, b"after %d" % index)

    # Then nothing is taken for a duplicate
    await until("the second life", lambda: len(listener.messages()) == 40)


async def test_joining_while_much_gossip_is_in_flight(nursery: trio.Nursery) -> None:
    nodes = await start_mesh(nursery, 3)

    async def gossip() -> None:
        while True:
            nodes[0].network.publish(Topic.L2_BLOCK, os.urandom(200_000))
            await trio.sleep(0.02)

    async with trio.open_nursery() as publishing:
        publishing.start_soon(gossip)
        await until("gossip", lambda: len(nodes[1].messages(Topic.L2_BLOCK)) > 5)
        peers = tuple(node.as_peer() for node in nodes)
        late = await start_node(nursery, "late", peers)
        await until("the late one's share", lambda: len(late.messages(Topic.L2_BLOCK)) > 20)
        publishing.cancel_scope.cancel()

    assert all(len(message) == 200_000 for message in late.messages(Topic.L2_BLOCK))
    assert late.metric("faultline_p2p_handler_bugs_total") == 0


async def test_a_raising_handler_is_logged_counted_and_survived(nursery: trio.Nursery) -> None:
    def prepare(network: Libp2pNetwork) -> None:
        network._gossip._handlers.pop(Topic.L1_EVIDENCE)

        async def broken(_: PeerId, message: bytes) -> Verdict:
            raise RuntimeError(f"a bug, met by {message!r}")

        network.subscribe(Topic.L1_EVIDENCE, broken)

    node = await start_node(nursery, "buggy", prepare=prepare)
    friend = await start_node(nursery, "friend", (node.as_peer(),))
    await settle([node, friend])

    friend.network.publish(Topic.L1_EVIDENCE, b"evidence")
    await until("the bug", lambda: node.metric("faultline_p2p_handler_bugs_total") == 1)
    friend.network.publish(Topic.L1_VOTE, b"vote")
    await until("the vote", lambda: node.messages() == [b"vote"])

    assert _outcome(node, Topic.L1_EVIDENCE, "failed") == 1
    assert [info.score for info in node.network.peers()] == [0.0]


async def test_a_damaged_store_that_a_handler_meets_stops_the_node() -> None:
    async def meet_damage(_: PeerId, __: bytes) -> Verdict:
        raise Corruption("a block is missing")

    def prepare(network: Libp2pNetwork) -> None:
        network._gossip._handlers.pop(Topic.L1_EVIDENCE)
        network.subscribe(Topic.L1_EVIDENCE, meet_damage)

    async def publish_and_wait() -> None:
        async with trio.open_nursery() as nursery:
            node = await start_node(nursery, "damaged", prepare=prepare)
            friend = await start_node(nursery, "friend", (node.as_peer(),))
            await settle([node, friend])
            friend.network.publish(Topic.L1_EVIDENCE, b"evidence")
            await trio.sleep_forever()

    with trio.fail_after(PATIENCE_S), pytest.raises(ExceptionGroup) as failure:
        await publish_and_wait()
    assert failure.group_contains(Corruption, match="a block is missing")


def _outcome(node: Node, topic: Topic, outcome: str, direction: str = "in") -> float:
    labels = {"topic": topic, "direction": direction, "outcome": outcome}
    return node.metric("faultline_p2p_messages_total", **labels)


async def test_metrics_count_what_happens(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    one.network.publish(Topic.L1_VOTE, b"vote")
    await until("the vote", lambda: _outcome(other, Topic.L1_VOTE, "accepted") == 1)

    assert _outcome(one, Topic.L1_VOTE, "sent", "out") == 1
    assert one.metric("faultline_p2p_peers") == 1
    await until("bytes", lambda: one.metric("faultline_p2p_bytes_total", direction="out") > 500)


async def test_a_fault_drops_gossip_and_heals(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    one.network.set_fault(LinkFault(drop_ratio=1.0))
    for _ in range(10):
        one.network.publish(Topic.L1_VOTE, b"lost")
    await until("the losses", lambda: _outcome(one, Topic.L1_VOTE, "dropped", "out") == 10)
    one.network.set_fault(LinkFault())
    one.network.publish(Topic.L1_EVIDENCE, b"arrives")
    await until("the last", lambda: other.messages(Topic.L1_EVIDENCE) == [b"arrives"])

    assert b"lost" not in other.messages()


async def test_a_fault_delays_gossip_in_both_directions(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)
    one.network.set_fault(LinkFault(delay_ms=300, jitter_ms=50))

    for sender, receiver in ((one, other), (other, one)):
        started_s = trio.current_time()
        sender.network.publish(Topic.L1_VOTE, sender.name.encode())
        await until("the vote", lambda r=receiver: bool(r.messages()))  # type: ignore[misc]
        assert trio.current_time() - started_s >= 0.3
