"""What the next block costs: base fee (EIP-1559) and excess blob gas (EIP-4844 with EIP-7918).

The engine applies the same rules when it judges a block; these serve the environment of a block that does not exist yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.eth.headers import Header

ELASTICITY_MULTIPLIER = 2
"""Gas limit divided by gas target (EIP-1559)."""

BASE_FEE_CHANGE_DENOMINATOR = 8
"""A block moves the base fee by at most this part of it (EIP-1559)."""

GAS_PER_BLOB = 1 << 17
"""EIP-4844."""

MIN_BLOB_BASE_FEE = 1
"""Wei (EIP-4844)."""

BLOB_BASE_COST = 1 << 13
"""Execution gas that a blob is worth at least (EIP-7918)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSchedule:
    """The blob parameters of one fork (EIP-7892)."""

    target: int
    """Blobs in a block that leave the price alone."""
    maximum: int
    """Most blobs in a block."""
    update_fraction: int
    """How slowly the price moves."""


OSAKA = BlobSchedule(target=6, maximum=9, update_fraction=5_007_716)
"""Osaka, as Prague (EIP-7691)."""

BPO1 = BlobSchedule(target=10, maximum=15, update_fraction=8_346_193)
"""First blob-parameter-only fork (EIP-7892)."""

BPO2 = BlobSchedule(target=14, maximum=21, update_fraction=11_684_671)
"""Second blob-parameter-only fork (EIP-7892); what this devnet runs at."""


def next_base_fee(parent: Header) -> int:
    """Compute the base fee of a block on this parent, wei a unit of gas (EIP-1559)."""
    target = parent.gas_limit // ELASTICITY_MULTIPLIER
    base_fee = parent.base_fee_per_gas
    if parent.gas_used == target:
        return base_fee
    distance = abs(parent.gas_used - target)
    change = base_fee * distance // target // BASE_FEE_CHANGE_DENOMINATOR
    return base_fee + max(change, 1) if parent.gas_used > target else base_fee - change


def next_excess_blob_gas(parent: Header, schedule: BlobSchedule = BPO2) -> int:
    """Compute the excess blob gas of a block on this parent (EIP-4844, EIP-7918).

    While a blob's execution costs more than the blob, the excess shrinks no further: blobs keep a floor price.
    """
    total = parent.excess_blob_gas + parent.blob_gas_used
    target_gas = schedule.target * GAS_PER_BLOB
    if total < target_gas:
        return 0
    blob_price = GAS_PER_BLOB * blob_base_fee(parent.excess_blob_gas, schedule)
    if BLOB_BASE_COST * parent.base_fee_per_gas > blob_price:
        above = schedule.maximum - schedule.target
        return parent.excess_blob_gas + parent.blob_gas_used * above // schedule.maximum
    return total - target_gas


def blob_base_fee(excess_blob_gas: int, schedule: BlobSchedule = BPO2) -> int:
    """Compute the price of blob gas, wei a unit (EIP-4844)."""
    return fake_exponential(MIN_BLOB_BASE_FEE, excess_blob_gas, schedule.update_fraction)


def fake_exponential(factor: int, numerator: int, denominator: int) -> int:
    """Approximate factor * e ** (numerator / denominator) with integers, by Taylor expansion (EIP-4844)."""
    place, output = 1, 0
    term = factor * denominator
    while term > 0:
        output += term
        term = term * numerator // (denominator * place)
        place += 1
    return output // denominator
