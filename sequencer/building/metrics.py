"""What building counts, under names that dashboards rely on."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sequencer.building.pool import L2Pool

STATES: Final = ("ready", "next_block", "nonce_gap", "held")
"""Where a transaction may stand; `next_block` met a limit of the block it was offered to."""

_SECONDS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
_PER_BLOCK: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class BuildingMetrics:
    """One sequencer's builder."""

    def __init__(
        self, registry: CollectorRegistry, pool: L2Pool, ration: Callable[[], float]
    ) -> None:
        self.blocks = Counter(
            "faultline_sequencer_blocks", "Blocks sealed by this sequencer.", registry=registry
        )
        self.transactions = Counter(
            "faultline_sequencer_transactions",
            "User transactions sealed by this sequencer.",
            registry=registry,
        )
        self.seal_seconds = Histogram(
            "faultline_sequencer_seal_seconds",
            "From the choice of an L1 origin to the journaled block.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.block_transactions = Histogram(
            "faultline_sequencer_block_transactions",
            "User transactions of a sealed block.",
            registry=registry,
            buckets=_PER_BLOCK,
        )
        self.limits = Counter(
            "faultline_sequencer_limits_met",
            "Blocks that were closed because a limit of the block was met, by which.",
            ["limit"],
            registry=registry,
        )
        self.returned = Counter(
            "faultline_sequencer_transactions_returned",
            "Transactions of dropped blocks that went back to the pool.",
            registry=registry,
        )
        self.lost_origin = Gauge(
            "faultline_sequencer_origin_lost",
            "1 while the head's L1 origin is not on L1's chain, so that nothing can be built.",
            registry=registry,
        )
        self._offered = Counter(
            "faultline_sequencer_transactions_offered",
            "Transactions that were offered, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._outcomes: Final[dict[str, Counter]] = {}
        waiting = Gauge(
            "faultline_sequencer_waiting_transactions",
            "Transactions that wait for a block, by where they stand.",
            ["state"],
            registry=registry,
        )
        for state in STATES:
            waiting.labels(state=state).set_function(partial(standing_count, pool, state))
        Gauge(
            "faultline_sequencer_ration_blocks",
            "Blocks that may be sealed at once.",
            registry=registry,
        ).set_function(ration)

    def offered(self, outcome: str, number: int = 1) -> None:
        """Transactions were taken or refused."""
        found = self._outcomes.get(outcome)
        if found is None:
            found = self._outcomes[outcome] = self._offered.labels(outcome=outcome)
        found.inc(number)


def standing_count(pool: L2Pool, state: str) -> int:
    """How many stand so."""
    return standings(pool)[state]


def standings(pool: L2Pool) -> Tally[str]:
    """How many wait, by where they stand."""
    found = Tally[str](nonce_gap=pool.gapped_count, held=pool.held_count)
    found["next_block"] = sum(1 for one in pool.in_order() if one.why)
    found["ready"] = len(pool) - found.total()
    return found
