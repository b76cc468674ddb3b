"""What the relayer counts."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from bridge.withdrawals.stages import Stage


class RelayingMetrics:
    """Registered once a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._withdrawals: Final = Gauge(
            "faultline_bridge_withdrawals",
            "Withdrawals that the relayer was asked to settle and that are not settled for good, by state.",
            ["state"],
            registry=registry,
        )
        self.show(())

    def show(self, stages: Iterable[Stage]) -> None:
        """Show how many stand where."""
        counted = Tally(stages)
        for stage in Stage:
            self._withdrawals.labels(stage).set(counted[stage])
