"""The network as the rest of the node speaks to it; the simulation answers the same Protocol with seeded delays.

    gossip in :  peer -> decode limits -> GossipHandler (verdict) -> forwarded on ACCEPT
    gossip out:  publish() -> bounded queue -> every peer
    request   :  request() -> one stream -> the peer's RequestHandler -> answer

Deliberately absent: what messages mean. Handlers judge; this layer carries, counts and punishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol

PeerId = NewType("PeerId", str)
"""A peer's libp2p identity, base58."""


class Topic(StrEnum):
    """What is gossiped; on the wire `/faultline/<genesis8>/<topic>`."""

    L1_BLOCK = "l1.block"
    L1_VOTE = "l1.vote"
    L1_EVIDENCE = "l1.evidence"
    L1_TX = "l1.tx"
    L2_BLOCK = "l2.block"
    L2_TX = "l2.tx"


class RequestKind(StrEnum):
    """What is asked for; on the wire `/faultline/<genesis8>/<kind>/1`."""

    STATUS = "status"
    BLOCKS_BY_RANGE = "blocks_by_range"
    BLOCKS_BY_ROOT = "blocks_by_root"
    TRANSACTIONS = "transactions"
    BLOBS = "blobs"
    STATE = "state"
    L2_BLOCKS = "l2_blocks"
    L2_SUBMIT = "l2_submit"


class Verdict(StrEnum):
    """What a gossip handler says of a message."""

    ACCEPT = "accept"
    """Forward it."""
    IGNORE = "ignore"
    """Neither forward it nor blame the sender."""
    REJECT = "reject"
    """Do not forward it, and blame the sender."""


GossipHandler = Callable[[PeerId, bytes], Awaitable[Verdict]]
"""Judges one message. A topic's messages are judged one after the other, so return soon: start long work elsewhere.

A handler that raises has a bug: it is logged and counted, the message is dropped and nobody is blamed; so it is after 10 s."""

RequestHandler = Callable[[PeerId, bytes], Awaitable[bytes]]
"""Answers one request within 10 s; raising node.errors.Rejected blames the peer and refuses the answer."""


class RequestFailed(Exception):
    """No answer: the peer is gone, slow, refused, or answered nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerInfo:
    """A connected peer."""

    peer_id: PeerId
    """Its identity."""
    name: str
    """Its name in the manifest; empty if it is not in there."""
    address: str
    """Where it is connected, a multiaddr."""
    inbound: bool
    """Whether it dialled us."""
    score: float
    """0 is neutral; below the bound it is disconnected."""
    round_trip_ms: float
    """Of the last ping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault:
    """A fault that this process applies to its own links, in both directions."""

    blocked: frozenset[PeerId] = frozenset()
    """Peers that are cut off entirely: disconnected, refused, not dialled."""
    delay_ms: int = 0
    """Added to every gossip message, request and answer, sent or received."""
    jitter_ms: int = 0
    """Random part on top, uniform."""
    drop_ratio: float = 0.0
    """Share of gossip messages that vanish, 0..1, of those sent and of those received."""


class Network(Protocol):
    """What a process may do on the network."""

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""

    def subscribe(self, topic: Topic, handler: GossipHandler) -> None:
        """Receive a topic; once for each topic, before `run`."""

    def serve(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Answer a kind of request; before `run`."""

    def on_connect(self, callback: Callable[[PeerId], Awaitable[None]]) -> None:
        """Called in a task of its own for every peer that connects; before `run`."""

    def publish(self, topic: Topic, message: bytes) -> None:
        """Gossip a message to everybody else; never waits.

        A message too large to gossip is announced and fetched by stream; nobody needs to care. When a peer's queue is full
        its oldest message is dropped and counted. Longer than its topic allows (gossip.TOPIC_RULES) is a bug of ours.
        """

    async def request(
        self, peer: PeerId, kind: RequestKind, body: bytes, *, timeout_s: float = 10.0
    ) -> bytes:
        """Ask one peer. Raises RequestFailed."""

    def peers(self) -> Sequence[PeerInfo]:
        """Who is connected."""

    def report(self, peer: PeerId, reason: str, *, severe: bool = False) -> None:
        """Blame a peer for what it sent; severe disconnects at once."""

    def set_fault(self, fault: LinkFault) -> None:
        """Replaces the fault in force; LinkFault() heals."""

    def names(self) -> Mapping[str, PeerId]:
        """Identities of the manifest's processes, by name."""
