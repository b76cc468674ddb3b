"""How many calls there were, how they ended and how long they took.

    Dispatcher -> RpcMetrics.record -> (a scrape) -> collect

Counted in plain lists and turned into metrics only when somebody scrapes: prometheus_client's own counters take a lock
and cost more than a short call does. Methods come from the method table, anything else is `unknown`, so labels are bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BUCKETS_S: Final = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""From a look-up in memory to the longest trace."""

OUTCOMES: Final = ("success", "error", "crash")
"""A result, an error the caller is told, a bug of ours."""

SUCCESS: Final = 0
ERROR: Final = 1
CRASH: Final = 2

UNKNOWN: Final = "unknown"
"""Label of every method that is not in the table."""


class _Tally:
    """Counts of one method."""

    __slots__ = ("buckets", "outcomes", "seconds")

    def __init__(self) -> None:
        self.outcomes = [0] * len(OUTCOMES)
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0


class RpcMetrics(Collector):
    """The metrics of one JSON-RPC server."""

    def __init__(self, methods: Sequence[str], connections: Callable[[], tuple[int, int]]) -> None:
        """`connections` gives how many HTTP and WebSocket connections are open."""
        self._tallies = {method: _Tally() for method in (*methods, UNKNOWN)}
        self._connections = connections

    def record(self, method: str, outcome: int, seconds: float) -> None:
        """Count a call that has ended."""
        tally = self._tallies.get(method) or self._tallies[UNKNOWN]
        tally.outcomes[outcome] += 1
        tally.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        tally.seconds += seconds

    def collect(self) -> Iterable[Metric]:
        """What a scrape sees: only methods that have been called."""
        requests = CounterMetricFamily(
            "faultline_rpc_requests",
            "JSON-RPC calls answered, by method and by how they ended.",
            labels=["method", "outcome"],
        )
        durations = HistogramMetricFamily(
            "faultline_rpc_request_seconds",
            "Time from a decoded call to its encoded answer, by method.",
            labels=["method"],
        )
        for method, tally in self._tallies.items():
            if not any(tally.outcomes):
                continue
            for outcome, count in zip(OUTCOMES, tally.outcomes, strict=True):
                requests.add_metric([method, outcome], count)
            durations.add_metric([method], _cumulative(tally.buckets), tally.seconds)
        yield requests
        yield durations
        open_connections = GaugeMetricFamily(
            "faultline_rpc_connections",
            "Connections that are open, by transport.",
            labels=["transport"],
        )
        for transport, count in zip(("http", "websocket"), self._connections(), strict=True):
            open_connections.add_metric([transport], count)
        yield open_connections


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    """Counts at or below each bound, as Prometheus wants them."""
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
        total += count
        found.append((bound, total))
    return found
