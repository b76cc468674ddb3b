"""What a batch offers to L1's proposers. PURE.

    base fee of the next block -> suggested -> Fee -> (waits too long, or has to replace another) -> raised -> Fee

A replacement pays 10 % more of both, as every pool of the network asks; an eighth more leaves room for rounding.
Deliberately absent: a market. Tips are constant until something waits too long.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE_FEE_MULTIPLE = 2
"""A fee that still pays when six full blocks in a row have raised the base fee by an eighth each."""

RAISE_DENOMINATOR = 8
"""A raise adds this part; pools ask for a tenth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """What a transaction pays at most for a unit of gas."""

    max_fee_wei: int
    """Base fee and tip together."""
    tip_wei: int
    """For the proposer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeLimits:
    """What an operator is willing to pay."""

    tip_wei: int = 10**9
    """The first offer's tip."""
    max_fee_wei: int = 10**13
    """No offer goes beyond this; 10,000 gwei buy an append for 13 ETH, more than any devnet's own traffic can ask for."""


def suggested(base_fee_wei: int, limits: FeeLimits) -> Fee:
    """Choose the first offer for a block with this base fee."""
    wanted = BASE_FEE_MULTIPLE * base_fee_wei + limits.tip_wei
    max_fee = min(wanted, limits.max_fee_wei)
    return Fee(max_fee_wei=max_fee, tip_wei=min(limits.tip_wei, max_fee))


def raised(old: Fee, base_fee_wei: int, limits: FeeLimits) -> Fee | None:
    """Choose an offer that every pool takes in place of an older one; None where it would go beyond the limit."""
    fresh = suggested(base_fee_wei, limits)
    max_fee = max(fresh.max_fee_wei, _more(old.max_fee_wei))
    if max_fee > limits.max_fee_wei:
        return None
    return Fee(max_fee_wei=max_fee, tip_wei=max(fresh.tip_wei, _more(old.tip_wei)))


def _more(wei: int) -> int:
    return wei + wei // RAISE_DENOMINATOR + 1
