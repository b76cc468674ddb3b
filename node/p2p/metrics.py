"""What the network counts; every label comes from an enum, never from a peer.

HELP texts are the documentation; dashboards rely on the names.
"""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

from node.p2p.network import RequestKind, Topic
from node.p2p.scores import Misbehaviour


class Direction(StrEnum):
    """Which way."""

    IN = "in"
    OUT = "out"


class Outcome(StrEnum):
    """What became of a gossip message or a request."""

    ACCEPTED = "accepted"
    """Judged good and forwarded."""
    IGNORED = "ignored"
    """Judged neither good nor bad."""
    REJECTED = "rejected"
    """Judged bad, sender blamed."""
    DUPLICATE = "duplicate"
    """Seen before."""
    DROPPED = "dropped"
    """Pushed out of a full queue, beyond a rate, or lost to a fault."""
    FAILED = "failed"
    """Our handler raised, or its deadline passed."""
    SENT = "sent"
    """Handed to a peer's connection."""
    ANSWERED = "answered"
    """A request that got its answer."""


class Metrics:
    """The network's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.peers = Gauge("faultline_p2p_peers", "Connected peers.", registry=registry)
        self.messages = Counter(
            "faultline_p2p_messages",
            "Gossip messages by topic, direction and what became of them.",
            ["topic", "direction", "outcome"],
            registry=registry,
        )
        self.bytes = Counter(
            "faultline_p2p_bytes",
            "Bytes on peers' sockets by direction.",
            ["direction"],
            registry=registry,
        )
        self.requests = Counter(
            "faultline_p2p_requests",
            "Requests by kind, direction and what became of them.",
            ["kind", "direction", "outcome"],
            registry=registry,
        )
        self.misbehaviour = Counter(
            "faultline_p2p_misbehaviour",
            "Times that a peer was blamed, by reason.",
            ["reason"],
            registry=registry,
        )
        self.handler_bugs = Counter(
            "faultline_p2p_handler_bugs",
            "Exceptions that one of our own handlers raised and that are bugs; each is logged.",
            registry=registry,
        )
        # From 0 on, so that the first of each is an increase.
        for direction in Direction:
            self.bytes.labels(direction)
        for reason in Misbehaviour:
            self.misbehaviour.labels(reason)

    def count_message(self, topic: Topic, direction: Direction, outcome: Outcome) -> None:
        """One gossip message."""
        self.messages.labels(topic, direction, outcome).inc()

    def count_request(self, kind: RequestKind, direction: Direction, outcome: Outcome) -> None:
        """One request."""
        self.requests.labels(kind, direction, outcome).inc()

    def count_misbehaviour(self, reason: Misbehaviour) -> None:
        """One blame."""
        self.misbehaviour.labels(reason).inc()
