"""What a block of proof of work is paid: its miner, and the miners of its ommers. Nothing since the merge.

The engine pays it when it executes a block; this is for whoever tells people.

Source: Yellow Paper 11.3; EIP-649, EIP-1234.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.eth.forks import ChainConfig
from node.eth.headers import Header, decode_any_header, ommers_of_block

ETHER: Final = 10**18
"""Wei."""

BASE_REWARDS: Final = (("constantinopleBlock", 2), ("byzantiumBlock", 3))
"""Ether for a block since a fork, the newest first; 5 before."""

BASE_REWARD_FIRST: Final = 5
"""Ether for a block at the beginning."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """What a block created, wei."""

    miner: int
    """For its beneficiary, what it gets for naming ommers included."""
    ommers: int
    """For the beneficiaries of its ommers, together."""


def rewards(config: ChainConfig, header: Header, ommer_numbers: Sequence[int]) -> Rewards:
    """Compute what a block is paid.

    Args:
        config: its chain's forks.
        header: its header.
        ommer_numbers: the numbers of the ommers that it names.
    """
    if header.number == 0 or header.difficulty == 0:
        return Rewards(0, 0)
    active = (
        ether
        for fork, ether in BASE_REWARDS
        if config.is_active(fork, number=header.number, timestamp=header.timestamp)
    )
    base = next(active, BASE_REWARD_FIRST) * ETHER
    paid = [(8 + number - header.number) * base // 8 for number in ommer_numbers]
    return Rewards(base + len(paid) * (base // 32), sum(paid))


def ommer_numbers(block: bytes) -> list[int]:
    """Read the numbers of the ommers of a block's RLP. Raises Rejected with an EncodingReason."""
    return [decode_any_header(one).number for one in ommers_of_block(block)]
