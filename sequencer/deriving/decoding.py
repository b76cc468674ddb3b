"""The engine's batch codec in the words of the rules.

record's batch -> read_batch (native: streamed, bounded, iterative) -> node.rollup.batches.content_of
"""

from __future__ import annotations

from node.execution.adapter import decode_batch
from node.rollup.batches import DecodedBlock


def read_batch(data: bytes, decompressed_limit: int, block_count: int) -> list[DecodedBlock] | None:
    """Satisfy `node.rollup.batches.BatchDecoder`."""
    blocks = decode_batch(data, decompressed_limit, block_count)
    if blocks is None:
        return None
    return [(one.timestamp, one.advances_origin, list(one.transactions)) for one in blocks]
