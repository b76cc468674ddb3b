"""Batches: what a record's bytes hold, if they hold anything.

    brotli(rlp[version, [[timestamp, originAdvance, [raw transaction, ...]], ...]])    version 1, originAdvance 0 or 1

The *shape* of a batch is right or wrong as a whole; nothing else is judged for the whole of it, so that STEP can judge
one block alone. Decompressing and cutting is the engine's (`BatchDecoder`): streamed, bounded, iterative.
Deliberately absent: what transactions are. A batch may hold any bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from node.rollup.parameters import RollupParameters
from node.rollup.records import Record, RecordKind, is_batch_of

BATCH_VERSION: Final = 1
"""The only version of a batch."""

DecodedBlock: TypeAlias = tuple[int, bool, list[bytes]]
"""Claimed timestamp, whether it advances the origin, raw transactions."""


class BatchDecoder(Protocol):
    """Cuts a batch into its blocks; total, and the same for everyone who reads."""

    def __call__(
        self, data: bytes, decompressed_limit: int, block_count: int
    ) -> Sequence[DecodedBlock] | None:
        """Give exactly `block_count` blocks, or None.

        None for: no complete brotli stream, bytes after it, more than `decompressed_limit` bytes out of it, RLP that is
        not canonical or has bytes after it, another version, another number of blocks, a block that is not
        [timestamp below 2^64, 0 or 1, list of byte strings].
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBlock:
    """One block of a batch."""

    timestamp: int
    """Claimed; seconds since the epoch of Unix, below 2^64."""
    advances_origin: bool
    """Whether its L1 origin is the one after its parent's."""
    transactions: tuple[bytes, ...]
    """Raw; any bytes."""


Content: TypeAlias = tuple[BatchBlock, ...] | None
"""What a record's batch holds; None if it is an empty record or its batch has the wrong shape."""


def content_of(
    parameters: RollupParameters, record: Record, batch: bytes, decode: BatchDecoder
) -> Content:
    """Read the batch of a record: `block_count` blocks whose advances sum to the record's, or None."""
    assert is_batch_of(record, batch), "another batch than the record's"
    if record.kind is RecordKind.EMPTY or len(batch) > parameters.batch_limit_bytes:
        return None
    decoded = decode(batch, parameters.decompressed_limit_bytes, record.block_count)
    if decoded is None or sum(advances for _, advances, _ in decoded) != record.advances:
        return None
    assert len(decoded) == record.block_count, "a decoder that counts wrong"
    return tuple(
        BatchBlock(timestamp=timestamp, advances_origin=advances, transactions=tuple(transactions))
        for timestamp, advances, transactions in decoded
    )
