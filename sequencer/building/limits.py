"""What the L2's pool holds at most, and how blocks are rationed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from node.txpool.limits import PoolLimits

TRANSACTION_BYTES_MAX: Final = 30 * 1024
"""One transaction: a block holds 31 KiB, and its batch must fit one L1 transaction (ROLLUP.md 1.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLimits:
    """Bounds of the L2's pool: what waits for a block, and what waits for an earlier nonce."""

    transactions_max: int = 65_536
    """All of them: a burst of 50,000 is worked off, more is refused."""
    bytes_max: int = 64 * 1024 * 1024
    """Their raw bytes."""
    sender_max: int = 16_384
    """Those of one sender: a load test may send from one account."""
    gapped_max: int = 8_192
    """Those that wait for an earlier nonce."""
    gapped_bytes_max: int = 8 * 1024 * 1024
    """Their raw bytes: a small part of all, because nobody has paid for them."""
    sender_gapped_max: int = 1_024
    """Those of one sender."""
    gapped_lifetime_ms: int = 3 * 60 * 60 * 1_000
    """A sender's are dropped when nothing of it came for so long."""
    replacement_percent: int = 10
    """A replacement pays so much more, tip and fee."""
    alone: PoolLimits = field(
        default_factory=lambda: PoolLimits(
            transaction_bytes_max=TRANSACTION_BYTES_MAX,
            transaction_gas_max=1 << 63,
            tip_min_wei=0,
        )
    )
    """What is asked of a transaction by itself: no cap on gas but the block's (Prague), and no tip, for who comes first
    goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingLimits:
    """The ration of blocks."""

    burst_blocks: int = 2_000
    """Blocks that may be sealed at once."""
    refill_per_second: int = 200
    """How fast the ration grows back; the transactions of so many parts of a second share a block then."""
