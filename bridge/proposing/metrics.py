"""Metrics of proposing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ProposingMetrics:
    """One set for a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outputs = Counter(
            "faultline_bridge_outputs",
            "Outputs of this proposer that L1 was first seen to hold as a game.",
            registry=registry,
        )
        self.claimed_block = Gauge(
            "faultline_bridge_claimed_block",
            "Last L2 block that a true game of L1's head claims.",
            registry=registry,
        )
        self.unclaimed_age_seconds = Gauge(
            "faultline_bridge_unclaimed_age_seconds",
            "How long the safe L2 blocks after it have waited for a claim.",
            registry=registry,
        )
        self.interval_seconds = Gauge(
            "faultline_bridge_output_interval_seconds",
            "Time between two outputs at least.",
            registry=registry,
        )
        self.bond_wei = Gauge(
            "faultline_bridge_bond_wei",
            "What a game costs until its end, as L1 said when one was to be made last.",
            registry=registry,
        )
        self.waiting_games = Gauge(
            "faultline_bridge_waiting_games",
            "True games that wait for their outcome.",
            registry=registry,
        )
        self.anchor_block = Gauge(
            "faultline_bridge_anchor_block",
            "L2 block of the anchor.",
            registry=registry,
        )
