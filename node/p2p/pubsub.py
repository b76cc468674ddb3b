"""py-libp2p's Pubsub and GossipSub, driven by gossip.py: they keep mesh and control, messages are ours.

    stream -> PatchedPubsub.read_rpcs -> control -> GossipSub;  messages -> GossipEvents
    PatchedGossipSub.spread -> Outbox of each peer -> PatchedPubsub.handle_sending_messages -> stream

Each override says which problem of 0.8.1 it answers; patches.py has those below pubsub.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.peer.id import ID
from libp2p.pubsub import gossipsub, pubsub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import RpcQueue

from node.errors import Rejected
from node.p2p.limits import FreshQueue, TokenBucket
from node.p2p.network import PeerId, Topic
from node.p2p.rpc import RPC_BYTES_MAX, decode_rpc
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset
from node.p2p.wire import frame_uvarint, split_uvarint_frame

log = structlog.get_logger()

MESHSUB: Final = TProtocol("/meshsub/1.1.0")
"""gossipsub 1.1, which every libp2p speaks."""

PRUNE_BACKOFF_S: Final = 10
"""Seconds a pruned peer may not come back; the specification's 60 outlive most experiments on a devnet."""

OUTBOX_MAX: Final = 1_024
"""Messages that wait for one peer's connection: 20 seconds of the busiest network."""

OUTBOX_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes that wait for one peer's connection."""

CONTROLS_MAX: Final = 64
"""Control RPCs that wait for one peer's connection; the oldest is dropped."""

WRITE_BATCH_BYTES: Final = 128 * 1024
"""Messages written to a stream at once."""

WRITE_TIMEOUT_S: Final = 10.0
"""Deadline of one write; a peer that lets it pass is blamed."""

READ_BYTES: Final = 256 * 1024
"""Read from a gossip stream at once."""

CONTROL_RATE_PER_S: Final = 200.0
"""Control entries a peer may send each second, subscriptions included."""

CONTROL_BURST: Final = 1_000.0
"""Control entries it may send at once after a pause."""

SEEN_S: Final = 120.0
"""Seconds a message is known as a duplicate."""

SEEN_MAX: Final = 65_536
"""Message ids remembered; 50 messages/s for SEEN_S are 6,000."""


class GossipEvents(Protocol):
    """What pubsub tells gossip."""

    def received(self, peer: PeerId, message: rpc_pb2.Message) -> None:
        """A peer sent a message. Raises Rejected for what it did wrong."""

    def dropped(self, topic: Topic, count: int) -> None:
        """Messages were pushed out of a full outbox."""

    def sent(self, topic: Topic) -> None:
        """A message was handed to a peer's stream."""

    def misbehaved(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """A peer broke the protocol."""


class SeenMessages:
    """Ids of messages that were handled, for SEEN_S and at most SEEN_MAX.

    Upstream's cache starts a thread for each pubsub and has no bound.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def has(self, message_id: bytes) -> bool:
        """Whether a message was handled."""
        return message_id in self._seen

    def add(self, message_id: bytes, now_s: float) -> None:
        """Remember a message."""
        self._seen[message_id] = now_s
        while True:
            oldest = next(iter(self._seen))
            if len(self._seen) <= SEEN_MAX and now_s - self._seen[oldest] <= SEEN_S:
                return
            del self._seen[oldest]

    def forget(self, message_id: bytes) -> None:
        """Handle a message anew if it comes again."""
        self._seen.pop(message_id, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message that waits for a peer."""

    topic: Topic
    """Whose message it is."""
    frame: bytes
    """Its RPC, framed."""
    due_s: float
    """When a fault in force lets it leave, in trio's time."""


class Outbox(RpcQueue):
    """What waits for one peer.

    Upstream's queue holds 32 RPCs and refuses the newest without a word: bursts over 32 vanished.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: FreshQueue[Outgoing] = FreshQueue(
            items_max=OUTBOX_MAX, bytes_max=OUTBOX_BYTES_MAX
        )
        """Messages, the oldest first."""
        self._controls: deque[bytes] = deque(maxlen=CONTROLS_MAX)
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._controls) + len(self.messages)

    def push(self, rpc: rpc_pb2.RPC, priority: bool = False) -> bool:
        """Queue an RPC of control; upstream's priority is implied, since control goes before messages."""
        del priority
        self._controls.append(frame_uvarint(rpc.SerializeToString()))
        self._changed.set()
        return True

    def push_message(self, outgoing: Outgoing) -> list[Outgoing]:
        """Queue a message; returns what it pushed out."""
        dropped = self.messages.put(outgoing, len(outgoing.frame))
        self._changed.set()
        return dropped

    def close(self) -> None:
        """The peer is gone."""
        super().close()
        self._changed.set()

    async def wait(self) -> bool:
        """Wait until something can be sent; False once the peer is gone."""
        while not len(self) and not self.closed:
            self._changed = trio.Event()
            await self._changed.wait()
        return not self.closed

    def take_controls(self) -> bytes:
        """All control RPCs."""
        taken = b"".join(self._controls)
        self._controls.clear()
        return taken


class PatchedGossipSub(gossipsub.GossipSub):
    """Mesh and control of gossipsub 1.1."""

    def __init__(self) -> None:
        super().__init__(
            protocols=[MESHSUB],
            degree=8,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=1,
            prune_back_off=PRUNE_BACKOFF_S,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
        )

    async def heartbeat(self) -> None:
        """Mend the mesh every second; upstream's error in one heartbeat ends the process."""
        while True:
            try:
                await super().heartbeat()
            except Exception:
                log.exception("gossip_heartbeat_raised")
                await trio.sleep(self.heartbeat_interval)

    async def send_recent_messages(self, peer_id: ID, topic: str) -> None:
        """Nothing: upstream pushes the whole message cache at every new subscriber, past its queue."""

    async def flush_pending_messages(self, peer_id: ID) -> None:
        """Nothing: upstream keeps messages for peers that never subscribe."""

    def mesh_targets(self, topic: str, forwarder: ID, author: ID) -> list[ID]:
        """Whom to forward a message to."""
        return sorted(
            self._get_peers_to_send([topic], msg_forwarder=forwarder, origin=author),
            key=lambda peer: peer.to_bytes(),
        )


class PatchedPubsub(pubsub.Pubsub):
    """Streams, subscriptions and outboxes."""

    def __init__(
        self,
        host: BasicHost,
        router: PatchedGossipSub,
        topics: frozenset[str],
        events: GossipEvents,
    ) -> None:
        """Upstream's `seen_messages` starts a thread; it is stopped, and replaced by ours."""
        super().__init__(
            host,
            router,
            strict_signing=True,
            max_inbound_rpc_size=RPC_BYTES_MAX,
            max_subscriptions_per_peer=len(topics),
            allowed_topics=topics,
        )
        self.seen_messages.stop()
        self.seen = SeenMessages()
        """Messages that were handled."""
        self.seen_messages = self.seen  # type: ignore[assignment]  # GossipSub only asks `has`
        self._topics = topics
        self._gossipsub = router
        self._gossip = events
        self._inbound: dict[ID, Stream] = {}
        self._control_budgets: dict[ID, TokenBucket] = {}

    def get_hello_packet(self) -> rpc_pb2.RPC:
        """Our subscriptions; upstream adds a signed record of our addresses to every RPC, and verifies everybody's."""
        entries = [
            rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic) for topic in sorted(self.topic_ids)
        ]
        return rpc_pb2.RPC(subscriptions=entries)

    async def stream_handler(self, stream: INetStream) -> None:
        """Read a peer's RPCs to the end of its stream; a second stream replaces the first.

        Upstream reads lengths byte by byte, and an RPC that does not parse ends the process.
        """
        peer: ID = stream.muxed_conn.peer_id
        wrapped = Stream(stream)
        older = self._inbound.get(peer)
        if older is not None:
            await older.reset()
        self._inbound[peer] = wrapped
        try:
            await self._read_rpcs(peer, wrapped)
        except StreamReset as error:
            log.debug("gossip_stream_reset", peer=wrapped.peer_id, error=str(error))
        except Rejected as error:
            self._gossip.misbehaved(wrapped.peer_id, Misbehaviour(error.reason), error.message)
        finally:
            if self._inbound.get(peer) is wrapped:
                del self._inbound[peer]
            await wrapped.reset()

    def forget_peer(self, peer: ID) -> None:
        """A peer is gone."""
        self._control_budgets.pop(peer, None)

    async def handle_sending_messages(
        self, peer_id: ID, stream: INetStream, queue: RpcQueue
    ) -> None:
        """Write what waits for a peer, several RPCs at once; upstream waits for a peer that reads no more for ever."""
        assert isinstance(queue, Outbox)
        wrapped = Stream(stream)
        try:
            while await queue.wait():
                batch = await self._next_batch(queue)
                with trio.fail_after(WRITE_TIMEOUT_S):
                    await wrapped.write(batch)
        except StreamReset as error:
            log.debug("gossip_stream_reset", peer=wrapped.peer_id, error=str(error))
        except trio.TooSlowError:
            detail = "a gossip write timed out"
            self._gossip.misbehaved(wrapped.peer_id, Misbehaviour.NOT_READING, detail)
        finally:
            await wrapped.reset()
        if self.peers.get(peer_id) is stream:
            self._handle_dead_peer(peer_id)

    async def _next_batch(self, outbox: Outbox) -> bytes:
        """Control first, then messages in their order, each when it is due."""
        batch = bytearray(outbox.take_controls())
        while len(batch) < WRITE_BATCH_BYTES:
            outgoing = outbox.messages.take()
            if outgoing is None:
                break
            if outgoing.due_s > trio.current_time():
                await trio.sleep_until(outgoing.due_s)
            self._gossip.sent(outgoing.topic)
            batch += outgoing.frame
        return bytes(batch)

    async def _read_rpcs(self, peer: ID, stream: Stream) -> None:
        buffer = bytearray()
        while data := await stream.read(READ_BYTES):
            buffer += data
            offset = 0
            while (split := split_uvarint_frame(buffer, offset, RPC_BYTES_MAX)) is not None:
                frame, offset = split
                await self._handle_rpc(peer, stream.peer_id, decode_rpc(frame))
                # Signatures of a full RPC take 40 ms: let others run between two of them.
                await trio.lowlevel.checkpoint()
            del buffer[:offset]

    async def _handle_rpc(self, peer: ID, name: PeerId, rpc: rpc_pb2.RPC) -> None:
        for message in rpc.publish:
            self._gossip.received(name, message)
        entries = len(rpc.subscriptions) + _control_entries(rpc.control)
        if not entries:
            return
        budget = self._control_budgets.setdefault(
            peer, TokenBucket(rate_per_s=CONTROL_RATE_PER_S, burst=CONTROL_BURST)
        )
        if not budget.take(trio.current_time(), float(entries)):
            self._gossip.misbehaved(name, Misbehaviour.GOSSIP_FLOOD, "control")
            return
        for entry in rpc.subscriptions:
            self.handle_subscription(peer, entry)
        if rpc.HasField("control"):
            control = rpc_pb2.RPC(control=self._known_control(rpc.control))
            await self._gossipsub.handle_rpc(control, peer)

    def _known_control(self, control: rpc_pb2.ControlMessage) -> rpc_pb2.ControlMessage:
        """Control of topics that are ours: upstream keeps state for any topic that a peer names."""
        prunes = [entry for entry in control.prune if entry.topicID in self._topics]
        return rpc_pb2.ControlMessage(
            graft=[entry for entry in control.graft if entry.topicID in self._topics],
            prune=[
                rpc_pb2.ControlPrune(
                    topicID=entry.topicID, backoff=min(entry.backoff, PRUNE_BACKOFF_S)
                )
                for entry in prunes
            ],
            ihave=[entry for entry in control.ihave if entry.topicID in self._topics],
            iwant=control.iwant,
        )


def _control_entries(control: rpc_pb2.ControlMessage) -> int:
    return len(control.graft) + len(control.prune) + len(control.ihave) + len(control.iwant)


def apply() -> None:
    """Put our outbox in upstream's place, and stop the signed records that upstream puts into every RPC of control."""
    assert hasattr(pubsub, "RpcQueue")
    assert hasattr(gossipsub, "env_to_send_in_RPC")
    for module in (pubsub, gossipsub):
        for name, replacement in _SWAPS.items():
            if hasattr(module, name):
                setattr(module, name, replacement)


def _no_record(_: object) -> tuple[bytes, bool]:
    return b"", False


def _any_record(*_: object) -> bool:
    return True


_SWAPS: Final[dict[str, object]] = {
    "RpcQueue": Outbox,
    "env_to_send_in_RPC": _no_record,
    "maybe_consume_signed_record": _any_record,
}
