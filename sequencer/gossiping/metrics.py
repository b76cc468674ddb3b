"""What following and publishing unsafe blocks count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class GossipMetrics:
    """One process's counters of unsafe blocks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter(
            "faultline_unsafe_runs",
            "Signed runs of unsafe blocks received, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.blocks = Counter(
            "faultline_unsafe_blocks",
            "Unsafe blocks, by what became of them: followed, published, differs.",
            ["outcome"],
            registry=registry,
        )
        self.equivocations = Counter(
            "faultline_unsafe_equivocations",
            "Times the sequencer's key signed two blocks of one number in one generation.",
            registry=registry,
        )
        for outcome in ("followed", "known", "stale", "refused", "gap", "waited"):
            self.runs.labels(outcome=outcome)
        for outcome in ("followed", "published", "differs"):
            self.blocks.labels(outcome=outcome)
