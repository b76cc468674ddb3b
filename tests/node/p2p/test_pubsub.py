"""Strangers that break gossipsub, stock py-libp2p as a peer, and the parts of pubsub."""

from __future__ import annotations

import os

import pytest
import trio
import trio.lowlevel
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.pubsub.pb import rpc_pb2

from node.p2p.gossip import MESSAGE_BURST
from node.p2p.host import Host
from node.p2p.network import Topic, Verdict
from node.p2p.pubsub import (
    CONTROLS_MAX,
    MESHSUB,
    OUTBOX_MAX,
    SEEN_MAX,
    SEEN_S,
    Outbox,
    Outgoing,
    SeenMessages,
)
from node.p2p.rpc import INLINE, encode_publish, sign_message
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset
from node.p2p.wire import encode_uvarint, frame_uvarint
from tests.node.p2p.nodes import (
    GENESIS,
    Node,
    seed_of,
    start_mesh,
    still_serves,
    stranger_host,
    until,
)

VOTES = f"/faultline/{GENESIS[:4].hex()}/{Topic.L1_VOTE}"
KEYS = create_new_key_pair(seed_of("stranger"))


async def gossip_stream(stranger: Host, victim: Node) -> Stream:
    """A stream on which the victim expects RPCs."""
    return await stranger.open_stream(victim.peer_id, MESHSUB)


def framed(rpc: rpc_pb2.RPC) -> bytes:
    """An RPC on the wire."""
    return frame_uvarint(rpc.SerializeToString())


def vote(sequence: int, body: bytes = b"vote") -> rpc_pb2.Message:
    """A message of the stranger's."""
    return sign_message(KEYS, sequence, VOTES, INLINE + body).message


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        (b"\xff" * 20, Misbehaviour.MALFORMED_FRAME),
        (encode_uvarint(2**30), Misbehaviour.OVERSIZED),
        (frame_uvarint(b"\xff\xff\xff"), Misbehaviour.MALFORMED_MESSAGE),
        (
            framed(rpc_pb2.RPC(publish=[rpc_pb2.Message(topicIDs=[VOTES])])),
            Misbehaviour.MALFORMED_MESSAGE,
        ),
        (framed(rpc_pb2.RPC(publish=[rpc_pb2.Message()] * 300)), Misbehaviour.OVERSIZED),
        (encode_publish(vote(1, bytes(70_000))), Misbehaviour.OVERSIZED),
        (
            encode_publish(
                rpc_pb2.Message(
                    from_id=vote(1).from_id,
                    seqno=vote(1).seqno,
                    topicIDs=[VOTES],
                    data=INLINE,
                    signature=bytes(64),
                )
            ),
            Misbehaviour.BAD_SIGNATURE,
        ),
        (
            encode_publish(sign_message(KEYS, 1, VOTES, b"\x09?").message),
            Misbehaviour.MALFORMED_MESSAGE,
        ),
    ],
)
async def test_junk_rpcs_are_blamed_and_survived(
    nursery: trio.Nursery, junk: bytes, reason: Misbehaviour
) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        await stream.write(junk)
        await until("the blame", lambda: victim.blamed(reason) == 1)
        await still_serves(victim, friend)

    assert len(victim.received) == 1


async def test_control_of_any_topic_is_survived_and_forgotten(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    pubsub, router = victim.network._gossip._pubsub, victim.network._gossip._router

    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        for index in range(10):
            names = [f"{index}/{number}" for number in range(30)]
            control = rpc_pb2.ControlMessage(
                graft=[rpc_pb2.ControlGraft(topicID=name) for name in names],
                prune=[rpc_pb2.ControlPrune(topicID=name, backoff=2**40) for name in names],
                ihave=[rpc_pb2.ControlIHave(topicID=n, messageIDs=[b"?"]) for n in names],
                iwant=[rpc_pb2.ControlIWant(messageIDs=[os.urandom(20)])],
            )
            subscriptions = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=name) for name in names]
            await stream.write(framed(rpc_pb2.RPC(subscriptions=subscriptions, control=control)))
        await still_serves(victim, friend)

    ours = set(victim.network._gossip._topics)
    assert set(pubsub.peer_topics) <= ours
    assert set(router.back_off) <= ours
    assert not router.ihave_message_limits.keys() - set(pubsub.peers)


async def test_a_flood_of_gossip_is_dropped_and_blamed(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    victim.verdict = lambda m: Verdict.IGNORE if m.startswith(b"flood") else Verdict.ACCEPT
    flood = [encode_publish(vote(index, b"flood")) for index in range(500)]

    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        try:
            for _ in range(20):
                await stream.write(b"".join(flood))
        except StreamReset:
            assert victim.blamed(Misbehaviour.GOSSIP_FLOOD) > 0
        await until("the flood", lambda: victim.blamed(Misbehaviour.GOSSIP_FLOOD) > 200)
        await until("the ban", lambda: len(victim.network.peers()) == 1)

    assert len(victim.messages()) <= MESSAGE_BURST + 1_000
    await still_serves(victim, friend)


async def test_a_flood_of_control_is_dropped_and_blamed(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    entries = [rpc_pb2.RPC.SubOpts(subscribe=bool(i % 2), topicid=VOTES) for i in range(60)]
    flip = framed(rpc_pb2.RPC(subscriptions=entries))

    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        await stream.write(flip * 200)
        await until("the blame", lambda: victim.blamed(Misbehaviour.GOSSIP_FLOOD) > 100)
        await still_serves(victim, friend)


async def test_a_message_replayed_by_strangers_is_a_duplicate(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        await stream.write(encode_publish(vote(7)) * 50)
        await until("the vote", lambda: victim.messages() == [b"vote"])
        await still_serves(victim, friend)

    assert victim.messages().count(b"vote") == 1


async def test_a_peer_that_reads_no_gossip_does_not_stop_others(nursery: trio.Nursery) -> None:
    # Given a stranger that subscribes and then reads nothing at all
    victim, friend = await start_mesh(nursery, 2)
    async with stranger_host(victim) as stranger:
        stream = await gossip_stream(stranger, victim)
        entry = rpc_pb2.RPC.SubOpts(subscribe=True, topicid=VOTES.replace("l1.vote", "l2.block"))
        await stream.write(framed(rpc_pb2.RPC(subscriptions=[entry])))
        pubsub = victim.network._gossip._pubsub
        await until(
            "its subscription", lambda: stranger.id in pubsub.peer_topics.get(entry.topicid, ())
        )
        (connection,) = stranger._swarm.get_connections()
        stranger._nursery.start_soon(_hold_reading, connection)  # type: ignore[union-attr]

        # When more is published than its connection holds
        for _ in range(300):
            victim.network.publish(Topic.L2_BLOCK, os.urandom(250_000))
            await trio.lowlevel.checkpoint()

        # Then the friend hears it and the stranger's outbox stays within its bound
        await until("the friend's share", lambda: len(friend.messages(Topic.L2_BLOCK)) > 20)
        outboxes = [box for box in pubsub.peer_queues.values() if isinstance(box, Outbox)]
        assert all(box.messages._bytes <= 16 * 1024 * 1024 for box in outboxes)
        await still_serves(victim, friend)


async def _hold_reading(connection: object) -> None:
    """Keep the stranger's reader from reading."""
    secured = connection.muxed_conn.secured_conn  # type: ignore[attr-defined]
    tcp = secured.conn.read_writer.read_write_closer.stream
    async with tcp.read_lock:
        await trio.sleep_forever()


def test_outbox_is_bounded_and_keeps_the_newest() -> None:
    outbox, dropped = Outbox(), 0

    for index in range(OUTBOX_MAX + 5):
        outgoing = Outgoing(topic=Topic.L1_VOTE, frame=b"%d" % index, due_s=0.0)
        dropped += len(outbox.push_message(outgoing))
    for _ in range(CONTROLS_MAX + 5):
        assert outbox.push(rpc_pb2.RPC(control=rpc_pb2.ControlMessage()))

    assert dropped == 5
    assert len(outbox) == OUTBOX_MAX + CONTROLS_MAX
    oldest = outbox.messages.take()
    assert oldest is not None
    assert oldest.frame == b"5"


def test_seen_messages_are_bounded_in_number_and_time() -> None:
    seen = SeenMessages()

    for index in range(SEEN_MAX + 1):
        seen.add(b"%d" % index, 0.0)
    assert not seen.has(b"0")
    assert seen.has(b"1")

    seen.add(b"late", SEEN_S + 0.1)
    assert not seen.has(b"1")
    assert seen.has(b"late")
