"""Metering of deposits in exact integers, and as the OP Stack's Solidity computes it in fixed point.

Source: ResourceMetering.sol, Arithmetic.sol and SystemConfig's defaults of the OP Stack, with its limit at 3M gas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Final

MAX_GAS: Final = 3_000_000
TARGET: Final = MAX_GAS // 10
DENOMINATOR: Final = 8
MIN_BASE_FEE: Final = 10**9
MAX_BASE_FEE: Final = 2**128 - 1
WAD: Final = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What the portal's `params` answers."""

    base_fee: int = 0
    """Wei."""
    bought: int = 0
    """Gas."""
    number: int = 0
    """Of the block."""


def clamp(base_fee: int) -> int:
    """Within the bounds."""
    return min(max(base_fee, MIN_BASE_FEE), MAX_BASE_FEE)


def moved(params: Params) -> int:
    """The base fee one block later."""
    product = params.base_fee * (params.bought - TARGET)
    # Solidity rounds towards zero.
    change = abs(product) // (TARGET * DENOMINATOR)
    return clamp(params.base_fee + (change if product > 0 else -change))


def decayed(base_fee: int, blocks: int) -> int:
    """After empty blocks, by squaring in fixed point, as the contract does it."""
    retained, factor = WAD, WAD - WAD // DENOMINATOR
    while blocks:
        if blocks & 1:
            retained = retained * factor // WAD
        factor = factor * factor // WAD
        blocks >>= 1
    return base_fee * retained // WAD


def exactly_decayed(base_fee: int, blocks: int) -> Decimal:
    """After empty blocks, with as many digits as it takes."""
    with localcontext() as context:
        context.prec = 120
        return Decimal(base_fee) * (Decimal(7) / Decimal(8)) ** blocks


def bought(params: Params, number: int, amount: int) -> Params | None:
    """After a deposit in some block; None if it does not fit."""
    if number > params.number or params.base_fee == 0:
        elapsed = number - params.number
        base_fee = moved(params)
        if elapsed > 1:
            base_fee = clamp(decayed(base_fee, elapsed - 1))
        params = Params(base_fee=base_fee, number=number)
    if params.bought + amount > MAX_GAS:
        return None
    return replace(params, bought=params.bought + amount)


def burnt(params: Params, amount: int, l1_base_fee: int) -> int:
    """L1 gas that an amount of L2 gas costs."""
    return amount * params.base_fee // max(l1_base_fee, MIN_BASE_FEE)
