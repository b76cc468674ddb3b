"""Gossip: every message judged once by its topic's handler before anybody hears of it from us.

    RPC -> rate -> duplicate? -> signature -> [fetch body] -> topic queue -> handler -> ACCEPT -> mesh peers
    publish -> sign -> every subscriber's outbox

pubsub.py keeps streams and mesh, rpc.py says what the bytes mean; here are the topics' queues, judges and deadlines.
Own messages go to every subscriber at once (flood publishing), others' to the mesh.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.tools.anyio_service import background_trio_service

from node.errors import Corruption
from node.p2p import pubsub
from node.p2p.bodies import Bodies
from node.p2p.faults import LinkFaults
from node.p2p.host import Host
from node.p2p.limits import FreshQueue, TokenBucket
from node.p2p.metrics import Direction, Metrics, Outcome
from node.p2p.network import GossipHandler, PeerId, Topic, Verdict
from node.p2p.pubsub import Outbox, Outgoing, PatchedGossipSub, PatchedPubsub
from node.p2p.rpc import (
    INLINE,
    Announcement,
    SignedMessage,
    decode_payload,
    encode_announcement,
    encode_publish,
    message_id_of,
    sign_message,
    verify_message,
)
from node.p2p.scores import Misbehaviour

log = structlog.get_logger()
pubsub.apply()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRule:
    """Bounds of one topic."""

    inline_bytes_max: int
    """A longer message is announced and fetched by stream."""
    bytes_max: int
    """A longer message is not carried at all."""


TOPIC_RULES: Final[Mapping[Topic, TopicRule]] = {
    Topic.L1_BLOCK: TopicRule(inline_bytes_max=256 * 1024, bytes_max=7 * 1024 * 1024),
    Topic.L1_VOTE: TopicRule(inline_bytes_max=64 * 1024, bytes_max=64 * 1024),
    Topic.L1_EVIDENCE: TopicRule(inline_bytes_max=64 * 1024, bytes_max=64 * 1024),
    Topic.L1_TX: TopicRule(inline_bytes_max=64 * 1024, bytes_max=1024 * 1024),
    Topic.L2_BLOCK: TopicRule(inline_bytes_max=256 * 1024, bytes_max=4 * 1024 * 1024),
    Topic.L2_TX: TopicRule(inline_bytes_max=64 * 1024, bytes_max=1024 * 1024),
}
"""An L1 block's RLP is at most 4 MiB and its payload 2 MiB; a seventh MiB leaves room for encoding.
Transactions are flushed every 32 KB, so only a single large one (a batch, a STEP) is announced."""

TOPIC_QUEUE_MAX: Final = 1_024
"""Messages that wait for their topic's handler."""

TOPIC_QUEUE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes that wait for their topic's handler: three of the largest blocks."""

HANDLER_TIMEOUT_S: Final = 10.0
"""A handler that has not judged by then is cancelled and its message dropped."""

MESSAGE_RATE_PER_S: Final = 250.0
"""Messages a peer may send each second, duplicates included: five times the whole network's."""

MESSAGE_BURST: Final = 2_000.0
"""Messages it may send at once after a pause."""

BYTE_RATE_PER_S: Final = 8.0 * 1024 * 1024
"""Bytes a peer may send each second, duplicates included."""

BYTE_BURST: Final = 64.0 * 1024 * 1024
"""Bytes it may send at once after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    """A message that waits for its handler."""

    message: SignedMessage
    forwarder: PeerId
    body: bytes
    due_s: float


class _Budget:
    """How much a peer may send."""

    def __init__(self) -> None:
        self.messages = TokenBucket(rate_per_s=MESSAGE_RATE_PER_S, burst=MESSAGE_BURST)
        self.bytes = TokenBucket(rate_per_s=BYTE_RATE_PER_S, burst=BYTE_BURST)

    def take(self, now_s: float, size: int) -> bool:
        """Take one message of so many bytes."""
        return self.messages.take(now_s) and self.bytes.take(now_s, float(size))


class Gossip:
    """All topics of one process."""

    def __init__(
        self,
        host: Host,
        bodies: Bodies,
        topic_names: Mapping[Topic, str],
        faults: LinkFaults,
        metrics: Metrics,
        *,
        first_sequence: int,
    ) -> None:
        """`first_sequence` exceeds every sequence number of earlier runs.

        Upstream starts at whole seconds since 1970, so that a restarted publisher's messages were taken for duplicates.
        """
        self._host = host
        self._bodies = bodies
        self._names = dict(topic_names)
        self._topics = {name: topic for topic, name in topic_names.items()}
        self._faults = faults
        self._metrics = metrics
        self._sequence = first_sequence
        self._handlers: dict[Topic, GossipHandler] = {}
        self._queues: dict[Topic, FreshQueue[_Received]] = {}
        self._budgets: dict[PeerId, _Budget] = {}
        self._router = PatchedGossipSub()
        self._pubsub = PatchedPubsub(host.libp2p, self._router, frozenset(self._topics), self)
        self._nursery: trio.Nursery | None = None

    def subscribe(self, topic: Topic, handler: GossipHandler) -> None:
        """Judge a topic's messages, one at a time; before `running`."""
        assert topic not in self._handlers
        self._handlers[topic] = handler
        self._queues[topic] = FreshQueue(items_max=TOPIC_QUEUE_MAX, bytes_max=TOPIC_QUEUE_BYTES_MAX)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Pubsub's tasks, and a judge for each topic."""
        async with (
            background_trio_service(self._pubsub),
            background_trio_service(self._router),
            trio.open_nursery() as nursery,
        ):
            self._nursery = nursery
            await self._pubsub.wait_until_ready()
            for topic in self._handlers:
                await self._pubsub.subscribe(self._names[topic])
                nursery.start_soon(self._judge_topic, topic)
            yield
            nursery.cancel_scope.cancel()

    def disconnected(self, peer: PeerId) -> None:
        """A peer is gone."""
        self._budgets.pop(peer, None)
        self._pubsub.forget_peer(ID.from_base58(peer))

    def publish(self, topic: Topic, message: bytes) -> None:
        """Send a message of ours to every subscriber; never waits."""
        rule = TOPIC_RULES[topic]
        assert len(message) <= rule.bytes_max, f"{topic}: {len(message)} bytes"
        payload = INLINE + message
        if len(message) > rule.inline_bytes_max:
            announcement, payload = encode_announcement(message)
            self._bodies.store.add(announcement.body_hash, message)
        self._sequence += 1
        name = self._names[topic]
        signed = sign_message(self._host.key_pair, self._sequence, name, payload)
        self._pubsub.seen.add(signed.message_id, trio.current_time())
        subscribers = self._pubsub.peer_topics.get(name, set())
        self._spread(topic, signed, [peer for peer in self._pubsub.peers if peer in subscribers])

    # What pubsub tells

    def received(self, peer: PeerId, message: rpc_pb2.Message) -> None:
        """A peer sent a message. Raises Rejected for what it did wrong."""
        topic = self._topics.get(message.topicIDs[0]) if message.topicIDs else None
        if topic is None or topic not in self._handlers:
            return
        now_s = trio.current_time()
        if not self._budgets.setdefault(peer, _Budget()).take(now_s, len(message.data)):
            self._count(topic, Direction.IN, Outcome.DROPPED)
            self._host.blame(peer, Misbehaviour.GOSSIP_FLOOD, topic)
            return
        message_id = message_id_of(message)
        if self._pubsub.seen.has(message_id):
            self._received_again(topic, peer, message)
            return
        if self._faults.drops():
            self._count(topic, Direction.IN, Outcome.DROPPED)
            return
        content = decode_payload(message.data, TOPIC_RULES[topic].bytes_max)
        signed = verify_message(message)
        self._pubsub.seen.add(message_id, now_s)
        if isinstance(content, Announcement):
            assert self._nursery is not None
            self._nursery.start_soon(self._fetch, topic, peer, signed, content)
        else:
            self._enqueue(topic, peer, signed, content)

    def dropped(self, topic: Topic, count: int) -> None:
        """Messages were pushed out of a full outbox."""
        for _ in range(count):
            self._count(topic, Direction.OUT, Outcome.DROPPED)

    def sent(self, topic: Topic) -> None:
        """A message was handed to a peer's stream."""
        self._count(topic, Direction.OUT, Outcome.SENT)

    def misbehaved(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """A peer broke the protocol."""
        self._host.blame(peer, reason, detail)

    def _count(self, topic: Topic, direction: Direction, outcome: Outcome) -> None:
        self._metrics.count_message(topic, direction, outcome)

    def _received_again(self, topic: Topic, peer: PeerId, message: rpc_pb2.Message) -> None:
        """A duplicate tells one thing: who else has an announced body."""
        self._count(topic, Direction.IN, Outcome.DUPLICATE)
        if message.data[:1] == INLINE:
            return
        content = decode_payload(message.data, TOPIC_RULES[topic].bytes_max)
        if isinstance(content, Announcement):
            self._bodies.add_source(content, peer)

    async def _fetch(
        self, topic: Topic, peer: PeerId, message: SignedMessage, announcement: Announcement
    ) -> None:
        """Get the body of an announced message and have it judged."""
        body = await self._bodies.fetch(announcement, message.author, peer)
        if body is None:
            # The next who announces it may have it
            self._pubsub.seen.forget(message.message_id)
            self._count(topic, Direction.IN, Outcome.DROPPED)
            log.info("body_not_found", topic=topic, peer=peer, size=announcement.size)
            return
        self._enqueue(topic, peer, message, body)

    # Judging

    def _enqueue(self, topic: Topic, peer: PeerId, message: SignedMessage, body: bytes) -> None:
        due_s = trio.current_time() + self._faults.delay_s()
        received = _Received(message=message, forwarder=peer, body=body, due_s=due_s)
        for _ in self._queues[topic].put(received, len(body)):
            self._count(topic, Direction.IN, Outcome.DROPPED)

    async def _judge_topic(self, topic: Topic) -> None:
        """Have a topic's messages judged one after the other, and forward the accepted ones."""
        queue = self._queues[topic]
        while True:
            received = await queue.get()
            await trio.sleep_until(max(received.due_s, trio.current_time()))
            match await self._judge(topic, received):
                case Verdict.ACCEPT:
                    self._count(topic, Direction.IN, Outcome.ACCEPTED)
                    self._forward(topic, received)
                case Verdict.IGNORE:
                    self._count(topic, Direction.IN, Outcome.IGNORED)
                case Verdict.REJECT:
                    self._count(topic, Direction.IN, Outcome.REJECTED)
                    self._host.blame(received.forwarder, Misbehaviour.REJECTED_MESSAGE, topic)
                case None:
                    self._count(topic, Direction.IN, Outcome.FAILED)

    async def _judge(self, topic: Topic, received: _Received) -> Verdict | None:
        """The handler's verdict; None if it failed, which is our bug and nobody's fault. Raises Corruption."""
        try:
            with trio.fail_after(HANDLER_TIMEOUT_S):
                return await self._handlers[topic](received.forwarder, received.body)
        except trio.TooSlowError:
            log.warning("gossip_handler_timed_out", topic=topic)
        except Corruption:
            raise
        except Exception:
            self._metrics.handler_bugs.inc()
            log.exception("gossip_handler_raised", topic=topic, peer=received.forwarder)
        return None

    def _forward(self, topic: Topic, received: _Received) -> None:
        signed = received.message
        content = decode_payload(signed.payload, TOPIC_RULES[topic].bytes_max)
        if isinstance(content, Announcement):
            self._bodies.store.add(content.body_hash, received.body)
        forwarder, author = ID.from_base58(received.forwarder), ID.from_base58(signed.author)
        self._spread(topic, signed, self._router.mesh_targets(signed.topic, forwarder, author))

    def _spread(self, topic: Topic, signed: SignedMessage, peers: list[ID]) -> None:
        """Put a message into the outboxes of peers, and keep it for those who ask."""
        self._router.mcache.put(signed.message)
        frame = encode_publish(signed.message)
        for peer in peers:
            outbox = self._pubsub.peer_queues.get(peer)
            if outbox is None:
                continue
            assert isinstance(outbox, Outbox)
            if self._faults.drops():
                self._count(topic, Direction.OUT, Outcome.DROPPED)
                continue
            due_s = trio.current_time() + self._faults.delay_s()
            outgoing = Outgoing(topic=topic, frame=frame, due_s=due_s)
            self.dropped(topic, len(outbox.push_message(outgoing)))
