"""What an operator decides about transactions on L1."""

from __future__ import annotations

from dataclasses import dataclass, field

from sequencer.batching.fees import FeeLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingOptions:
    """How wants become transactions."""

    in_flight_max: int = 16
    """Nonces on their way at once: two L1 blocks full of fault proofs."""
    patience_blocks: int = 2
    """L1 blocks after which a transaction that none of them holds is offered again for more."""
    fees: FeeLimits = field(default_factory=FeeLimits)
    """What it may cost."""
