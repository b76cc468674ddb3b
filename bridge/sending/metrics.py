"""Metrics of what the roles send to L1."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class SendingMetrics:
    """One set for a process; the label `role` names who sends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = Gauge(
            "faultline_bridge_transactions_in_flight",
            "Transactions on their way to L1.",
            ["role"],
            registry=registry,
        )
        self.wanted = Gauge(
            "faultline_bridge_transactions_wanted",
            "What a role wants to happen on L1 now.",
            ["role"],
            registry=registry,
        )
        self.sent = Counter(
            "faultline_bridge_transactions",
            "Transactions signed for L1: first offers, raised or repeated ones, and empty ones that take a nonce back.",
            ["role", "kind"],
            registry=registry,
        )
        self.refused = Counter(
            "faultline_bridge_transactions_refused",
            "Attempts that were not made: the simulation failed, or the own L1 node's pool took nothing.",
            ["role", "by"],
            registry=registry,
        )
        self.balance_wei = Gauge(
            "faultline_bridge_account_wei",
            "What a role's account holds on L1.",
            ["role"],
            registry=registry,
        )
