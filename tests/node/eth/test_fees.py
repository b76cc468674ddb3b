"""Fees of the next block follow the EIPs and agree with a chain that other clients built."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from node.eth.fees import (
    BPO1,
    BPO2,
    GAS_PER_BLOB,
    OSAKA,
    blob_base_fee,
    fake_exponential,
    next_base_fee,
    next_excess_blob_gas,
)
from node.eth.headers import header_of_block
from tests.node.eth.test_headers import HEADER, _header_items, chain_blocks


@pytest.mark.parametrize(
    ("parent_fee", "gas_used", "expected"),
    [
        (1_000_000_000, 10_000_000, 1_000_000_000),
        (1_000_000_000, 20_000_000, 1_125_000_000),
        (1_000_000_000, 0, 875_000_000),
        (1_000_000_000, 10_000_001, 1_000_000_012),
        (1, 10_000_001, 2),
        (7, 0, 7),
        (8, 0, 7),
    ],
)
def test_base_fee_moves_by_an_eighth_at_most(parent_fee: int, gas_used: int, expected: int) -> None:
    parent = replace(HEADER, gas_limit=20_000_000, gas_used=gas_used, base_fee_per_gas=parent_fee)
    assert next_base_fee(parent) == expected


def test_both_fees_agree_with_a_chain_of_other_clients() -> None:
    schedules = {480: OSAKA, 510: BPO1, 540: BPO2}
    blocks = [block for block in chain_blocks() if len(_header_items(block)) == 21]
    checked = 0
    for block, following in pairwise(blocks):
        parent, child = header_of_block(block), header_of_block(following)
        assert next_base_fee(parent) == child.base_fee_per_gas
        started = [fork for fork in schedules if fork <= child.timestamp]
        if started:
            schedule = schedules[max(started)]
            assert next_excess_blob_gas(parent, schedule) == child.excess_blob_gas
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("factor", "numerator", "denominator", "expected"),
    [
        (1, 0, 1, 1),
        (38493, 0, 1000, 38493),
        (1, 2, 1, 6),
        (1, 4, 2, 6),
        (2, 5, 2, 23),
        (1, 50000000, 2225652, 5709098764),
    ],
)
def test_fake_exponential_vectors(
    factor: int, numerator: int, denominator: int, expected: int
) -> None:
    assert fake_exponential(factor, numerator, denominator) == expected


def test_blob_gas_below_the_target_leaves_no_excess() -> None:
    target = BPO2.target * GAS_PER_BLOB
    assert next_excess_blob_gas(replace(HEADER, blob_gas_used=target - GAS_PER_BLOB)) == 0
    assert next_excess_blob_gas(replace(HEADER, excess_blob_gas=target - 1)) == 0


def test_a_cheap_blob_keeps_its_floor() -> None:
    """EIP-7918: while execution outweighs the blob, excess grows by the share above the target."""
    full = BPO2.maximum * GAS_PER_BLOB
    dear = replace(HEADER, blob_gas_used=full, base_fee_per_gas=10**9)
    assert next_excess_blob_gas(dear) == full * (BPO2.maximum - BPO2.target) // BPO2.maximum
    cheap = replace(HEADER, blob_gas_used=full, base_fee_per_gas=1)
    assert next_excess_blob_gas(cheap) == full - BPO2.target * GAS_PER_BLOB


def test_blob_base_fee_starts_at_one_wei() -> None:
    assert blob_base_fee(0) == 1
    assert blob_base_fee(BPO2.update_fraction * 10) > 20_000
