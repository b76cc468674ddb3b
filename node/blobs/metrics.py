"""What is counted of blobs, under names that dashboards rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class BlobMetrics:
    """One process's blobs."""

    def __init__(self, registry: CollectorRegistry, kept_bytes: Callable[[], int]) -> None:
        Gauge(
            "faultline_blobs_kept_bytes", "Files of blobs that are kept.", registry=registry
        ).set_function(kept_bytes)
        checked = Counter(
            "faultline_blobs_checked",
            "Blobs whose commitment and proofs were checked, by what came of it.",
            ["outcome"],
            registry=registry,
        )
        self._held: Final = checked.labels(outcome="held")
        self._wrong: Final = checked.labels(outcome="wrong")
        self.check_seconds: Final = Histogram(
            "faultline_blobs_check_seconds",
            "Time to check a list of blobs, or to prove the cells of one: the first proofs load the trusted setup.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=registry,
        )

    def checked(self, held: int, wrong: int) -> None:
        """Blobs were checked."""
        self._held.inc(held)
        self._wrong.inc(wrong)
