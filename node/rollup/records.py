"""Records: what L1's Inbox keeps of every batch, and the log by which nodes learn of it.

    Inbox.append / forceEmpty -> log RecordAppended -> decode_record_log -> follows -> batches, derivation

The log, of the contract `parameters.inbox`, its only one:

    RecordAppended(uint64 indexed index, bytes32 indexed accumulator, uint8 kind, bytes32 batchHash, uint64 firstBlock,
                   uint32 blockCount, uint64 previousOrigin, uint64 origin, bytes32 originsHash, bytes batch)

`index` counts from 0; `accumulator` is the one *after* this record:

    accumulator' = keccak(accumulator || keccak(abi.encode(kind, batchHash, firstBlock, blockCount, previousOrigin, origin, originsHash)))

from 32 zero bytes on. `originsHash` is keccak of the concatenated hashes of every L1 block that can be an origin in
this record: previousOrigin's, then those newly reached, oldest first (1 + advances hashes).
Nodes read logs, never calldata, so an append through any contract counts.
Deliberately absent: what a batch holds; the Inbox does not look into it and neither does this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, BlockNumber, Hash32
from node.rollup.limits import MAX_RECORD_ADVANCES, MAX_RECORD_BLOCKS, MAX_UINT64

RECORD_APPENDED: Final = keccak256(
    b"RecordAppended(uint64,bytes32,uint8,bytes32,uint64,uint32,uint64,uint64,bytes32,bytes)"
)
"""First topic of the Inbox's log: 0xc3121d3e28f15b204a9aeb7e2fc725b568ece5b575b2b58dcb32daa4e2058ddf."""

_WORD = 32
_FIELD_WORDS = 7
_HEAD_BYTES = (_FIELD_WORDS + 1) * _WORD


class RecordKind(IntEnum):
    """Who appended a record."""

    BATCH = 0
    """The batcher, with a batch."""
    EMPTY = 1
    """Anyone, once the sequencing window has passed; moves the origin on and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the accumulator commits to: enough, with the batch, to derive each of its blocks."""

    kind: RecordKind
    """Batch or empty."""
    batch_hash: Hash32
    """keccak-256 of the batch; zero if empty."""
    first_block: BlockNumber
    """L2 number of its first block."""
    block_count: int
    """How many blocks it yields, 1..512, whatever the batch holds."""
    previous_origin: BlockNumber
    """L1 origin of the block before its first."""
    origin: BlockNumber
    """L1 origin of its last block."""
    origins_hash: Hash32
    """keccak-256 of the hashes of all origins from `previous_origin` to `origin`, both included."""

    @property
    def advances(self) -> int:
        """How many of its blocks advance the origin."""
        return self.origin - self.previous_origin

    def words(self) -> bytes:
        """Encode in the ABI: seven words of 32 bytes, in the order of the fields."""
        numbers = (self.first_block, self.block_count, self.previous_origin, self.origin)
        return b"".join(
            (
                self.kind.to_bytes(_WORD),
                self.batch_hash,
                *(number.to_bytes(_WORD) for number in numbers),
                self.origins_hash,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRecord:
    """A record as the Inbox logged it."""

    index: int
    """Records before it."""
    accumulator: Hash32
    """The Inbox's accumulator after it."""
    record: Record
    """What it says."""
    batch: bytes
    """Its batch; nothing if it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxTip:
    """State of the Inbox after some record."""

    record_count: int
    """Records so far; the next one's index."""
    next_block: BlockNumber
    """L2 number of the next record's first block."""
    last_origin: BlockNumber
    """L1 origin of the last record's last block."""
    accumulator: Hash32
    """Commits to every record so far."""


GENESIS_TIP: Final = InboxTip(
    record_count=0,
    next_block=BlockNumber(1),
    last_origin=BlockNumber(0),
    accumulator=ZERO_HASH,
)
"""The Inbox in L1's genesis: both genesis blocks need no record."""


def next_accumulator(accumulator: Hash32, record: Record) -> Hash32:
    """Add a record to the accumulator."""
    return keccak256(accumulator + keccak256(record.words()))


def origins_hash(hashes: Sequence[Hash32]) -> Hash32:
    """Commit to the origins of a record: previous origin's hash first, then the new ones, oldest first."""
    return keccak256(b"".join(hashes))


def record_of_words(words: bytes) -> Record | None:
    """Read seven ABI words as a record; None if no Inbox could have kept it."""
    if len(words) != _FIELD_WORDS * _WORD:
        return None
    parts = [words[start : start + _WORD] for start in range(0, len(words), _WORD)]
    kind, first_block, block_count, previous_origin, origin = (
        int.from_bytes(parts[place]) for place in (0, 2, 3, 4, 5)
    )
    advances = origin - previous_origin
    is_possible = (
        kind in (RecordKind.BATCH, RecordKind.EMPTY)
        and 1 <= block_count <= MAX_RECORD_BLOCKS
        and 1 <= first_block <= MAX_UINT64 - block_count
        and origin <= MAX_UINT64
        and 0 <= advances <= min(block_count, MAX_RECORD_ADVANCES)
    )
    if not is_possible:
        return None
    if kind == RecordKind.EMPTY and (parts[1] != ZERO_HASH or block_count != advances):
        return None
    return Record(
        kind=RecordKind(kind),
        batch_hash=Hash32(parts[1]),
        first_block=BlockNumber(first_block),
        block_count=block_count,
        previous_origin=BlockNumber(previous_origin),
        origin=BlockNumber(origin),
        origins_hash=Hash32(parts[6]),
    )


def decode_record_log(topics: Sequence[bytes], data: bytes) -> LoggedRecord | None:
    """Read a log of the Inbox; None if it is no RecordAppended that an Inbox could have written."""
    if (
        len(topics) != 3
        or topics[0] != RECORD_APPENDED
        or any(len(topic) != _WORD for topic in topics)
    ):
        return None
    index = int.from_bytes(topics[1])
    batch = _trailing_bytes(data)
    record = record_of_words(data[: _FIELD_WORDS * _WORD])
    if index > MAX_UINT64 or batch is None or record is None or not is_batch_of(record, batch):
        return None
    return LoggedRecord(index=index, accumulator=Hash32(topics[2]), record=record, batch=batch)


def is_batch_of(record: Record, batch: bytes) -> bool:
    """Tell whether these are the bytes that a record names; an empty record names none."""
    if record.kind is RecordKind.EMPTY:
        return not batch
    return keccak256(batch) == record.batch_hash


def follows(tip: InboxTip, logged: LoggedRecord) -> bool:
    """Tell whether a record is the next one of the Inbox: no gap, no overlap, and the accumulator agrees."""
    record = logged.record
    return (
        logged.index == tip.record_count
        and record.first_block == tip.next_block
        and record.previous_origin == tip.last_origin
        and logged.accumulator == next_accumulator(tip.accumulator, record)
    )


def tip_after(tip: InboxTip, logged: LoggedRecord) -> InboxTip:
    """Move the tip past a record that follows it."""
    assert follows(tip, logged), f"record {logged.index} does not follow {tip.record_count} records"
    return InboxTip(
        record_count=tip.record_count + 1,
        next_block=BlockNumber(logged.record.first_block + logged.record.block_count),
        last_origin=logged.record.origin,
        accumulator=logged.accumulator,
    )


def _trailing_bytes(data: bytes) -> bytes | None:
    """Read the one dynamic argument behind the seven words; None unless it is encoded as the ABI has it."""
    if len(data) < _HEAD_BYTES + _WORD:
        return None
    offset = int.from_bytes(data[_HEAD_BYTES - _WORD : _HEAD_BYTES])
    length = int.from_bytes(data[_HEAD_BYTES : _HEAD_BYTES + _WORD])
    start = _HEAD_BYTES + _WORD
    padded = -(-length // _WORD) * _WORD
    if offset != _HEAD_BYTES or len(data) != start + padded or any(data[start + length :]):
        return None
    return data[start : start + length]
