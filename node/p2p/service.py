"""The network of one process: parts wired together behind `node.p2p.network.Network`.

    Libp2pNetwork(settings, registry) -> subscribe, serve, on_connect -> run in a nursery -> publish, request, ...

This is the module that imports libp2p (half a second); node.p2p.network, which everybody imports, does not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from prometheus_client import CollectorRegistry

from node.p2p.bodies import Bodies
from node.p2p.faults import LinkFaults
from node.p2p.gossip import Gossip
from node.p2p.host import Host
from node.p2p.limits import Allowance
from node.p2p.metrics import Metrics
from node.p2p.network import (
    GossipHandler,
    LinkFault,
    PeerId,
    PeerInfo,
    RequestHandler,
    RequestKind,
    Topic,
)
from node.p2p.peers import Peers, StaticPeer
from node.p2p.requests import Requests

__all__ = ["Libp2pNetwork", "NetworkSettings", "StaticPeer", "peer_id_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What a process's network needs to know."""

    name: str
    """The process's name in the manifest."""
    seed: bytes
    """Ed25519 seed of its identity, 32 bytes; secret."""
    genesis_hash: bytes
    """Keeps networks apart: its first four bytes are in every topic and protocol name."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 0
    """TCP port to listen on; 0 lets the system choose."""
    peers: tuple[StaticPeer, ...] = ()
    """Peers to stay connected to; our own entry is ignored."""


class Libp2pNetwork:
    """`Network` over libp2p: TCP, noise, yamux, gossipsub 1.1."""

    def __init__(self, settings: NetworkSettings, registry: CollectorRegistry) -> None:
        prefix = f"/faultline/{settings.genesis_hash[:4].hex()}"
        self._settings = settings
        self._faults = LinkFaults(random.SystemRandom())
        metrics = Metrics(registry)
        self._host = Host(settings.seed, metrics)
        configured = frozenset(peer.peer_id for peer in settings.peers)
        allowance = Allowance()
        body = f"{prefix}/body/1"
        self._bodies = Bodies(self._host, body, self._faults, configured, allowance)
        self._gossip = Gossip(
            self._host,
            self._bodies,
            {topic: f"{prefix}/{topic}" for topic in Topic},
            self._faults,
            metrics,
            first_sequence=time.time_ns(),
        )
        kinds = {kind: f"{prefix}/{kind}/1" for kind in RequestKind}
        self._requests = Requests(self._host, kinds, self._faults, metrics, configured, allowance)
        self._peers = Peers(self._host, settings.peers, self._faults, metrics)
        self._peers.listeners += [self._gossip, self._bodies, self._requests]
        self._port = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen, dial and carry until cancelled; started once the port is bound.

        Raises:
            OSError: the address cannot be bound.
        """
        async with (
            self._host.running(self._peers),
            self._gossip.running(),
            trio.open_nursery() as nursery,
        ):
            await nursery.start(self._peers.run)
            self._port = await self._host.listen(self._settings.host, self._settings.port)
            task_status.started()

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        return self._host.peer_id

    @property
    def port(self) -> int:
        """The TCP port that is bound, once `run` has started."""
        return self._port

    def subscribe(self, topic: Topic, handler: GossipHandler) -> None:
        """Receive a topic; before `run`."""
        self._gossip.subscribe(topic, handler)

    def serve(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Answer a kind of request; before `run`."""
        self._requests.serve(kind, handler)

    def on_connect(self, callback: Callable[[PeerId], Awaitable[None]]) -> None:
        """Called in a task of its own for every peer that connects; before `run`."""
        self._peers.on_connect.append(callback)

    def publish(self, topic: Topic, message: bytes) -> None:
        """Gossip a message to everybody else; never blocks."""
        self._gossip.publish(topic, message)

    async def request(
        self, peer: PeerId, kind: RequestKind, body: bytes, *, timeout_s: float = 10.0
    ) -> bytes:
        """Ask one peer. Raises RequestFailed."""
        return await self._requests.request(peer, kind, body, timeout_s=timeout_s)

    def peers(self) -> Sequence[PeerInfo]:
        """Who is connected."""
        return self._peers.infos()

    def report(self, peer: PeerId, reason: str, *, severe: bool = False) -> None:
        """Blame a peer for what it sent; severe disconnects at once."""
        self._peers.report(peer, reason, severe=severe)

    def set_fault(self, fault: LinkFault) -> None:
        """Replace the fault in force; LinkFault() heals."""
        self._faults.set(fault)
        self._peers.apply_fault()

    def names(self) -> Mapping[str, PeerId]:
        """Identities of the manifest's processes, by name; our own included."""
        return {**self._peers.names(), self._settings.name: self.peer_id}


def peer_id_of(seed: bytes) -> PeerId:
    """The identity that a 32-byte Ed25519 seed stands for."""
    return PeerId(ID.from_pubkey(create_new_key_pair(seed).public_key).to_base58())
