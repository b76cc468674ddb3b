"""What a sequencer's chain holds of its users."""

from __future__ import annotations

from node.eth.blocks import Block
from node.rollup.deposits import DEPOSIT_TYPE
from tests.kit.building import Site


def transactions(site: Site, block: Block) -> list[bytes]:
    """A block's user transactions."""
    raws = site.engine.raw_transactions(block.rlp)
    return [raw for raw in raws if raw[0] != DEPOSIT_TYPE]


def sealed(site: Site) -> list[bytes]:
    """Every user transaction of the chain, in order."""
    found: list[bytes] = []
    for number in range(1, site.chain.head.header.number + 1):
        block = site.chain.block_by_number(number)
        assert block is not None
        found += transactions(site, block)
    return found
