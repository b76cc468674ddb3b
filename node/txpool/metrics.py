"""What the pool counts, under names that dashboards rely on."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from node.txpool.pool import Pool


class PoolMetrics:
    """One process's pool."""

    def __init__(self, registry: CollectorRegistry, pool: Pool) -> None:
        transactions = Gauge(
            "faultline_txpool_transactions",
            "Transactions that could run now (executable) or wait for an earlier nonce (queued).",
            ["state"],
            registry=registry,
        )
        transactions.labels(state="executable").set_function(lambda: pool.executable_count)
        transactions.labels(state="queued").set_function(lambda: pool.queued_count)
        Gauge(
            "faultline_txpool_bytes", "Raw bytes of all transactions.", registry=registry
        ).set_function(lambda: pool.bytes_total)
        Gauge(
            "faultline_txpool_blobs", "Blobs of all transactions.", registry=registry
        ).set_function(lambda: pool.blob_count)
        self._outcomes: Final[dict[tuple[str, str], Counter]] = {}
        self._offered: Final = Counter(
            "faultline_txpool_offered_total",
            "Transactions that were offered, by where from and by what became of them.",
            ["source", "outcome"],
            registry=registry,
        )
        self._gossip: Final = Counter(
            "faultline_txpool_gossip_dropped_total",
            "Own transactions that were not gossiped because too many were waiting.",
            registry=registry,
        )

    def counted(self, source: str, outcome: str, number: int = 1) -> None:
        """Transactions were offered."""
        outcomes = self._outcomes.get((source, outcome))
        if outcomes is None:
            outcomes = self._offered.labels(source=source, outcome=outcome)
            self._outcomes[source, outcome] = outcomes
        outcomes.inc(number)

    def gossip_dropped(self, number: int) -> None:
        """Transactions were taken out of the queue for gossip."""
        self._gossip.inc(number)
