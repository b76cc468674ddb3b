"""What deriving counts, under names that dashboards rely on."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

from node.chain.metrics import layer_metrics


class ResetReason(StrEnum):
    """Why unsafe blocks were dropped."""

    ORIGIN_REORGANISED = "origin_reorganised"
    """L1 no longer has the block they were built from."""
    DERIVATION_DIFFERS = "derivation_differs"
    """L1's records say otherwise."""


class DerivingMetrics:
    """One process's deriver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._heads = layer_metrics(registry, "l2")
        self.l1_number = Gauge(
            "faultline_deriving_l1_number",
            "L1 block up to which records have been derived.",
            registry=registry,
        )
        self.l1_reorgs = Counter(
            "faultline_deriving_l1_reorgs",
            "Times L1 left the path that had been derived from.",
            registry=registry,
        )
        self.resets = Counter(
            "faultline_deriving_resets",
            "Times unsafe blocks were dropped, by why.",
            ["reason"],
            registry=registry,
        )
        for reason in ResetReason:
            self.resets.labels(reason=reason)
        self.records = Counter(
            "faultline_deriving_records", "Records derived, by kind.", ["kind"], registry=registry
        )
        self.records_without_content = Counter(
            "faultline_deriving_records_without_content",
            "Records read that are empty or whose batch has the wrong shape.",
            registry=registry,
        )
        self._blocks = Counter(
            "faultline_deriving_blocks",
            "Blocks derived: matched (the unsafe block was the same) or executed.",
            ["outcome"],
            registry=registry,
        )
        self._stripped = Counter(
            "faultline_deriving_blocks_stripped",
            "Blocks whose transactions were not executable in full, so that they hold their deposits only.",
            registry=registry,
        )

    def count(self, *, is_here: bool, is_full: bool) -> None:
        """Count a derived block."""
        self._blocks.labels(outcome="matched" if is_here else "executed").inc()
        if not is_full:
            self._stripped.inc()

    def show(self, *, head: int, safe: int, finalized: int) -> None:
        """Set the heads."""
        self._heads.head_number.set(head)
        self._heads.safe_number.set(safe)
        self._heads.finalized_number.set(finalized)

    def dropped(self, count: int) -> None:
        """Count a reorganisation of the L2."""
        self._heads.reorgs.inc()
        self._heads.reorg_depth_blocks.observe(count)
