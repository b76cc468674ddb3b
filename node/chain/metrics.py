"""What the chain counts, under names that dashboards rely on.

Labels are bounded: layers, outcomes and rejection reasons, never a hash or a peer.
"""

from __future__ import annotations

from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAYER: Final = "l1"
"""This chain's value of the label `layer`."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Histogram bounds: an empty block takes milliseconds, a slot is one to twelve seconds."""


class LayerMetrics:
    """Heads of one chain; an L2 process follows an L1 and an L2, and both tell of theirs under one name."""

    def __init__(self, families: _Families, layer: str) -> None:
        self.head_number = families.head.labels(layer=layer)
        self.safe_number = families.safe.labels(layer=layer)
        self.finalized_number = families.finalized.labels(layer=layer)
        self.reorgs = families.reorgs.labels(layer=layer)
        self.reorg_depth_blocks = families.depth.labels(layer=layer)


class _Families:
    """What a registry takes once, however many layers there are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.head = Gauge(
            "faultline_chain_head_number", "Number of the head.", ["layer"], registry=registry
        )
        self.safe = Gauge(
            "faultline_chain_safe_number",
            "Number of the safe block: on L1 the head's justified one, on L2 the last that L1 holds.",
            ["layer"],
            registry=registry,
        )
        self.finalized = Gauge(
            "faultline_chain_finalized_number",
            "Number of the finalized block.",
            ["layer"],
            registry=registry,
        )
        self.reorgs = Counter(
            "faultline_chain_reorgs_total",
            "Times the head moved to another branch.",
            ["layer"],
            registry=registry,
        )
        self.depth = Histogram(
            "faultline_chain_reorg_depth_blocks",
            "Blocks that a reorganisation dropped.",
            ["layer"],
            registry=registry,
            buckets=(1, 2, 3, 4, 6, 8, 16, 32, 64, 128),
        )


_families: Final[WeakKeyDictionary[CollectorRegistry, _Families]] = WeakKeyDictionary()


def layer_metrics(registry: CollectorRegistry, layer: str) -> LayerMetrics:
    """The heads of one layer, `l1` or `l2`, in a registry that may tell of both."""
    families = _families.get(registry)
    if families is None:
        families = _families[registry] = _Families(registry)
    return LayerMetrics(families, layer)


class ChainMetrics:
    """One process's chain."""

    def __init__(self, registry: CollectorRegistry) -> None:
        heads = layer_metrics(registry, LAYER)
        self.head_number = heads.head_number
        self.safe_number = heads.safe_number
        self.finalized_number = heads.finalized_number
        self.reorgs = heads.reorgs
        self.reorg_depth_blocks = heads.reorg_depth_blocks
        gauge, counter = partial(Gauge, registry=registry), partial(Counter, registry=registry)
        self.slot = gauge("faultline_consensus_slot", "The slot that the clock says.")
        self.epoch = gauge("faultline_consensus_epoch", "The epoch that the clock says.")
        self.head_slot = gauge("faultline_consensus_head_slot", "Slot of the head.")
        self.justified_epoch = gauge(
            "faultline_consensus_justified_epoch", "Highest justified epoch seen."
        )
        self.finalized_epoch = gauge("faultline_consensus_finalized_epoch", "The finalized epoch.")
        self.participation_ratio = gauge(
            "faultline_consensus_participation_ratio",
            "Share of the weight whose vote of the last frozen slot was heard.",
        )
        self.silent_slots = gauge(
            "faultline_consensus_silent_slots",
            "Slots in a row up to the last frozen one whose votes were heard of less than two thirds of the weight;"
            " stands while the head is too old to tell.",
        )
        self.blobs_awaited_slots = gauge(
            "faultline_chain_blobs_awaited_slots",
            "For how many slots a block has waited for its blobs, the one that waits longest; 0 where none waits.",
        )
        self.safety_faults = counter(
            "faultline_consensus_safety_faults", "Conflicting finality that this process has seen."
        )
        self.evidence = counter(
            "faultline_consensus_evidence", "Validators caught breaking a rule."
        )
        self.votes = counter(
            "faultline_consensus_votes", "Votes heard, by what became of them.", ["outcome"]
        )
        self.imports = counter(
            "faultline_chain_imports", "Envelopes offered, by what became of them.", ["outcome"]
        )
        self.rejected = counter(
            "faultline_chain_rejected", "Envelopes refused, by rule.", ["reason"]
        )
        seconds = partial(Histogram, registry=registry, buckets=_SECONDS)
        self.import_seconds = seconds(
            "faultline_chain_import_seconds",
            "From the start of a block's import to the new head.",
        )
        self.check_seconds = seconds(
            "faultline_consensus_check_seconds",
            "Judging a block by the rules of consensus, signatures included.",
        )
        self.execute_seconds = seconds("faultline_engine_execute_seconds", "Executing a block.")
        self.save_seconds = seconds(
            "faultline_storage_save_seconds",
            "Writing a block, its state and its indexes.",
        )
