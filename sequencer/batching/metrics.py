"""What posting batches costs and how it goes, under names that dashboards rely on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class BatchingMetrics:
    """One process's batcher."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._batches = Counter(
            "faultline_sequencer_batches", "Batches handed to L1's pool.", registry=registry
        )
        self._bytes = Counter(
            "faultline_sequencer_batch_bytes", "Their bytes, compressed.", registry=registry
        )
        self._transactions = Counter(
            "faultline_sequencer_batch_transactions",
            "User transactions in them.",
            registry=registry,
        )
        self._bytes_per_transaction = Gauge(
            "faultline_sequencer_bytes_per_transaction",
            "Bytes of the last batch that held user transactions, divided among them.",
            registry=registry,
        )
        self.in_flight = Gauge(
            "faultline_sequencer_batches_in_flight",
            "Batches that L1 does not hold yet.",
            registry=registry,
        )
        self.unposted_blocks = Gauge(
            "faultline_sequencer_unposted_blocks",
            "Unsafe blocks that no batch carries yet.",
            registry=registry,
        )
        self.unposted_age_seconds = Gauge(
            "faultline_sequencer_unposted_age_seconds",
            "How long the oldest of them has been the next to be posted.",
            registry=registry,
        )
        self.interval_seconds = Gauge(
            "faultline_sequencer_batch_interval_seconds",
            "How long blocks are gathered for a batch that is not full.",
            registry=registry,
        )
        self.resent = Counter(
            "faultline_sequencer_batches_resent",
            "Batches sent again because L1 did not take them.",
            registry=registry,
        )
        self.abandoned = Counter(
            "faultline_sequencer_batches_abandoned",
            "Batches given up because L1 or the L2 went another way.",
            registry=registry,
        )
        self.refused = Counter(
            "faultline_sequencer_batches_refused",
            "Batches that the own L1 node's pool did not take.",
            registry=registry,
        )
        self.forced = Counter(
            "faultline_sequencer_forced_records",
            "Times this process moved the Inbox on because it was overdue.",
            registry=registry,
        )

    def posted(self, size: int, transactions: int) -> None:
        """Count a batch."""
        self._batches.inc()
        self._bytes.inc(size)
        self._transactions.inc(transactions)
        if transactions:
            self._bytes_per_transaction.set(size / transactions)
