"""What blobs cost and how many there may be, by the schedule of a genesis file (EIP-7840, EIP-7892)."""

from __future__ import annotations

from node.eth.fees import GAS_PER_BLOB, blob_base_fee, next_base_fee
from node.eth.forks import ChainConfig
from node.eth.headers import Header
from node.txpool.blob_room import Prices


def blob_fee(forks: ChainConfig, header: Header) -> int:
    """Wei a unit of blob gas in a block with this header; 0 where there are no blobs."""
    blobs = forks.blob_parameters(header.timestamp)
    return 0 if blobs is None else blob_base_fee(header.excess_blob_gas, blobs.update_fraction)


def prices_after(forks: ChainConfig, header: Header) -> Prices:
    """What the block after one with this header asks for; blob gas moves by an eighth at most, so this one's price will do."""
    return Prices(next_base_fee(header), blob_fee(forks, header))


def blob_gas_max(forks: ChainConfig, header: Header) -> int:
    """Most blob gas of a block with this header."""
    blobs = forks.blob_parameters(header.timestamp)
    return 0 if blobs is None else blobs.max * GAS_PER_BLOB
