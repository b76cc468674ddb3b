"""Rewards of proof of work, and the ommers that a block names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.eth.forks import read_chain_config
from node.eth.headers import any_header_of_block
from node.eth.rewards import Rewards, ommer_numbers, rewards
from tests.kit.foreign_chain import blocks, ommers_of

CONFIG = read_chain_config(
    {
        "config": {
            "chainId": 1,
            "homesteadBlock": 0,
            "eip150Block": 0,
            "eip155Block": 0,
            "eip158Block": 0,
            "byzantiumBlock": 10,
            "constantinopleBlock": 20,
        }
    }
)
HEADER, _ = any_header_of_block(blocks()[0])


@pytest.mark.parametrize(
    ("number", "ommers", "miner", "paid"),
    [
        (0, [], 0, 0),
        (9, [], 5 * 10**18, 0),
        (9, [8], 5_156_250_000_000_000_000, 4_375_000_000_000_000_000),
        (10, [9, 4], 3_187_500_000_000_000_000, 3_375_000_000_000_000_000),
        (20, [14], 2_062_500_000_000_000_000, 500_000_000_000_000_000),
    ],
)
def test_rewards(number: int, ommers: list[int], miner: int, paid: int) -> None:
    assert rewards(CONFIG, replace(HEADER, number=number), ommers) == Rewards(miner, paid)


def test_nothing_is_paid_since_the_merge() -> None:
    assert rewards(CONFIG, replace(HEADER, number=30, difficulty=0), []) == Rewards(0, 0)


def test_ommers_are_read_from_a_block() -> None:
    """Given EELS's chain, when its ommers are read, then they are siblings of the six blocks below."""
    for number, block in enumerate(blocks(), 1):
        found = ommer_numbers(block)
        assert len(found) == len(ommers_of(block))
        assert all(1 <= number - one <= 6 for one in found)
