"""Networks on loopback, and strangers that speak to them at any layer."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import trio
from libp2p.abc import ISecureConn
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as Noise
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from prometheus_client import CollectorRegistry

from node.errors import Rejected
from node.p2p.host import Connection, Host
from node.p2p.metrics import Metrics
from node.p2p.network import PeerId, RequestKind, Topic, Verdict
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork, NetworkSettings, StaticPeer, peer_id_of
from node.p2p.streams import OVER

GENESIS = bytes(range(32))
PATIENCE_S = 30.0


def seed_of(name: str) -> bytes:
    """A node's key."""
    return hashlib.sha256(name.encode()).digest()


@dataclass(kw_only=True)
class Node:
    """A network and what it received."""

    name: str
    network: Libp2pNetwork
    registry: CollectorRegistry
    scope: trio.CancelScope
    received: list[tuple[Topic, PeerId, bytes]] = field(default_factory=list)
    verdict: Callable[[bytes], Verdict] = lambda _: Verdict.ACCEPT

    @property
    def peer_id(self) -> PeerId:
        return self.network.peer_id

    def messages(self, topic: Topic = Topic.L1_VOTE) -> list[bytes]:
        """What was received of a topic."""
        return [message for of_topic, _, message in self.received if of_topic is topic]

    def peer_names(self) -> set[str]:
        """Names of connected peers."""
        return {info.name for info in self.network.peers()}

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def blamed(self, reason: Misbehaviour) -> float:
        """How often peers were blamed for this."""
        return self.metric("faultline_p2p_misbehaviour_total", reason=reason)

    def as_peer(self) -> StaticPeer:
        """How others find it."""
        address = f"/ip4/127.0.0.1/tcp/{self.network.port}"
        return StaticPeer(name=self.name, peer_id=self.peer_id, address=address)


def known(name: str) -> StaticPeer:
    """A configured peer that answers no dial: it comes by itself."""
    peer_id = peer_id_of(seed_of(name))
    return StaticPeer(name=name, peer_id=peer_id, address="/ip4/127.0.0.1/tcp/1")


async def start_node(
    nursery: trio.Nursery,
    name: str,
    peers: tuple[StaticPeer, ...] = (),
    prepare: Callable[[Libp2pNetwork], None] | None = None,
) -> Node:
    """A network that listens on a free port, records all gossip and echoes STATUS requests."""
    registry = CollectorRegistry()
    settings = NetworkSettings(name=name, seed=seed_of(name), genesis_hash=GENESIS, peers=peers)
    network = Libp2pNetwork(settings, registry)
    node = Node(name=name, network=network, registry=registry, scope=trio.CancelScope())

    def recorder(topic: Topic) -> None:
        async def handle(peer: PeerId, message: bytes) -> Verdict:
            node.received.append((topic, peer, message))
            return node.verdict(message)

        network.subscribe(topic, handle)

    async def echo(_: PeerId, body: bytes) -> bytes:
        return body

    for topic in Topic:
        recorder(topic)
    network.serve(RequestKind.STATUS, echo)
    if prepare is not None:
        prepare(network)

    async def run(task_status: trio.TaskStatus[None]) -> None:
        with node.scope:
            await network.run(task_status)

    await nursery.start(run)
    return node


async def start_mesh(nursery: trio.Nursery, count: int) -> list[Node]:
    """Nodes that are all connected, and subscribed to each other's topics."""
    nodes: list[Node] = []
    for index in range(count):
        peers = tuple(node.as_peer() for node in nodes)
        nodes.append(await start_node(nursery, f"node-{index}", peers))
    await settle(nodes)
    return nodes


async def settle(nodes: list[Node]) -> None:
    """Wait until everybody knows everybody's subscriptions."""

    def is_settled(node: Node) -> bool:
        pubsub = node.network._gossip._pubsub
        topics = node.network._gossip._names.values()
        others = len(nodes) - 1
        return all(
            len(pubsub.peer_topics.get(topic, ())) >= others and len(pubsub.peers) >= others
            for topic in topics
        )

    await until("everybody to be connected", lambda: all(map(is_settled, nodes)))


async def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait for a condition, generously."""
    deadline_s = trio.current_time() + PATIENCE_S
    while not condition():
        assert trio.current_time() < deadline_s, f"waited {PATIENCE_S} s for {what}"
        await trio.sleep(0.01)


async def still_serves(victim: Node, friend: Node) -> None:
    """The node answers requests and carries gossip as before."""
    await until("the friend to be connected", lambda: friend.network.peer_id in _peers(victim))
    answer = await friend.network.request(victim.peer_id, RequestKind.STATUS, b"alive?")
    assert answer == b"alive?"
    word = b"from a friend %d" % len(victim.received)
    friend.network.publish(Topic.L1_VOTE, word)
    await until("the friend's gossip", lambda: word in victim.messages())
    assert victim.metric("faultline_p2p_handler_bugs_total") == 0


def _peers(node: Node) -> set[PeerId]:
    return {info.peer_id for info in node.network.peers()}


class _Silent:
    """A stranger's own side: admits everybody, remembers nothing."""

    def admits(self, peer: PeerId, *, inbound: bool) -> bool:
        return True

    def connected(self, connection: Connection) -> None:
        """Nothing."""

    def disconnected(self, peer: PeerId) -> None:
        """Nothing."""

    def misbehaved(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """Nothing."""


@asynccontextmanager
async def stranger_host(victim: Node, name: str = "stranger") -> AsyncIterator[Host]:
    """A libp2p host of somebody else, connected to the victim."""
    host = Host(seed_of(name), Metrics(CollectorRegistry()))
    async with host.running(_Silent()):
        await host.dial(victim.peer_id, f"/ip4/127.0.0.1/tcp/{victim.network.port}")
        await until("the stranger", lambda: host.is_connected(victim.peer_id))
        yield host


@asynccontextmanager
async def stranger_tcp(victim: Node) -> AsyncIterator[trio.SocketStream]:
    """A bare TCP connection to the victim."""
    stream = await trio.open_tcp_stream("127.0.0.1", victim.network.port)
    async with stream:
        yield stream


@asynccontextmanager
async def stranger_noise(victim: Node, name: str = "stranger") -> AsyncIterator[ISecureConn]:
    """A secured connection on which yamux was agreed and nothing sent."""
    keys = create_new_key_pair(seed_of(name))
    async with stranger_tcp(victim) as tcp:
        raw = RawConnection(TrioTCPStream(tcp), True)
        client = MultiselectClient()
        await client.select_one_of([NOISE], MultiselectCommunicator(raw))
        noise = Noise(keys, noise_privkey=create_noise_key_pair().private_key)
        secured = await noise.secure_outbound(raw, ID.from_base58(victim.peer_id))
        await client.select_one_of([TProtocol(YAMUX)], MultiselectCommunicator(secured))
        yield secured


async def is_cut_off(connection: ISecureConn) -> bool:
    """Whether the victim closes a connection."""
    with trio.move_on_after(PATIENCE_S):
        while True:
            try:
                if not await connection.read(1):
                    return True
            except OVER:
                return True
    return False


def reason_of(decode: Callable[[], object]) -> StrEnum | None:
    """Why something is rejected; None if it is not."""
    try:
        decode()
    except Rejected as error:
        return error.reason
    return None
