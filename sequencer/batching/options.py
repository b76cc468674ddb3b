"""What an operator decides about posting batches."""

from __future__ import annotations

from dataclasses import dataclass, field

from sequencer.batching.fees import FeeLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """How batches are posted."""

    interval_ms: int = 2_000
    """A batch is posted after so long though it has room left: one in an L1 slot."""
    in_flight_max: int = 64
    """Batches on their way at once, 2 MiB: 4,000 transfers a second fill 22 to 28 in a slot, and L1 may need two to take them."""
    patience_blocks: int = 4
    """L1 blocks after which a batch that none of them holds is sent again for more."""
    fees: FeeLimits = field(default_factory=FeeLimits)
    """What it may cost."""
