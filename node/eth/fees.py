"""What gas costs: the next block's base fee (EIP-1559), and blob gas (EIP-4844).

The engine applies the same rules when it judges a block; these serve whoever asks before there is one.
"""

from __future__ import annotations

from node.eth.headers import Header

ELASTICITY_MULTIPLIER = 2
"""Gas limit divided by gas target (EIP-1559)."""

BASE_FEE_CHANGE_DENOMINATOR = 8
"""A block moves the base fee by at most this part of it (EIP-1559)."""

MIN_BLOB_BASE_FEE = 1
"""Wei (EIP-4844)."""

GAS_PER_BLOB = 1 << 17
"""Blob gas of one blob (EIP-4844)."""

BLOB_UPDATE_FRACTION = 11_684_671
"""How slowly the price of blob gas moves: BPO2's (EIP-7892), the schedule that this devnet runs at."""


def next_base_fee(parent: Header) -> int:
    """Compute the base fee of a block on this parent, wei a unit of gas (EIP-1559)."""
    target = parent.gas_limit // ELASTICITY_MULTIPLIER
    base_fee = parent.base_fee_per_gas
    if parent.gas_used == target:
        return base_fee
    distance = abs(parent.gas_used - target)
    change = base_fee * distance // target // BASE_FEE_CHANGE_DENOMINATOR
    return base_fee + max(change, 1) if parent.gas_used > target else base_fee - change


def blob_base_fee(excess_blob_gas: int, update_fraction: int = BLOB_UPDATE_FRACTION) -> int:
    """Compute the price of blob gas, wei a unit (EIP-4844), where its schedule has this update fraction."""
    return fake_exponential(MIN_BLOB_BASE_FEE, excess_blob_gas, update_fraction)


def fake_exponential(factor: int, numerator: int, denominator: int) -> int:
    """Approximate factor * e ** (numerator / denominator) with integers, by Taylor expansion (EIP-4844)."""
    place, output = 1, 0
    term = factor * denominator
    while term > 0:
        output += term
        term = term * numerator // (denominator * place)
        place += 1
    return output // denominator
