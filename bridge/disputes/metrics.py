"""What a challenger counts, under names that dashboards rely on."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.disputes.judging import Verdict


class DisputeMetrics:
    """One process's challenger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.faults_proven = Counter(
            "faultline_bridge_faults_proven",
            "False games that this process has shown to be false on L1.",
            registry=registry,
        )
        self.faults_stuck = Gauge(
            "faultline_bridge_faults_stuck",
            "False games whose proof could not be made or did not arrive for several L1 blocks.",
            registry=registry,
        )
        self.lies_that_stand = Gauge(
            "faultline_bridge_lies_that_stand",
            "False games that were resolved for their proposer nevertheless. Anything but 0 is an emergency.",
            registry=registry,
        )
        self._open = Gauge(
            "faultline_bridge_open_games",
            "Games in progress on L1's head, by what this node's own chain says of them.",
            ["verdict"],
            registry=registry,
        )
        self._oldest_lie_blocks = Gauge(
            "faultline_bridge_oldest_lie_blocks",
            "L1 blocks since the oldest open game that is false was made; 0 where there is none.",
            registry=registry,
        )
        self.judged_l1_number = Gauge(
            "faultline_bridge_judged_l1_number",
            "L1 block whose games were judged last.",
            registry=registry,
        )

    def show_oldest_lie(self, made_in: int | None, head: int) -> None:
        """Set the age of the oldest lie by the L1 block that made it and L1's head; None where nobody lies."""
        self._oldest_lie_blocks.set(0 if made_in is None else max(0, head - made_in))

    def show_open(self, verdicts: Iterable[Verdict]) -> None:
        """Set how many open games there are of each kind."""
        counts = dict.fromkeys(Verdict, 0)
        for verdict in verdicts:
            counts[verdict] += 1
        for verdict, count in counts.items():
            self._open.labels(verdict=verdict.value).set(count)
