"""Fees of the next block follow the EIPs and agree with a chain that other clients built."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from node.eth.fees import (
    BLOB_UPDATE_FRACTION,
    blob_base_fee,
    fake_exponential,
    next_base_fee,
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


def test_the_base_fee_agrees_with_a_chain_of_other_clients() -> None:
    blocks = [block for block in chain_blocks() if len(_header_items(block)) == 21]
    pairs = [(header_of_block(one), header_of_block(other)) for one, other in pairwise(blocks)]
    assert len(pairs) >= 3
    for parent, child in pairs:
        assert next_base_fee(parent) == child.base_fee_per_gas


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


def test_blob_base_fee_starts_at_one_wei() -> None:
    assert blob_base_fee(0) == 1
    assert blob_base_fee(BLOB_UPDATE_FRACTION * 10) > 20_000
