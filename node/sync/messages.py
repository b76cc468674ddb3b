"""PURE: what sync's requests and answers look like on the wire.

| kind | request | answer |
|---|---|---|
| status | Status | Status |
| blocks_by_range | [first number, count] | [envelope, ...] ascending, canonical, cut at ANSWER_BYTES_MAX |
| blocks_by_root | [root, depth] | [envelope, ...] ascending, the block last, its kept ancestors before it |

All are deterministic CBOR (`node.eth.cbor`). Decoders raise Rejected with an EncodingReason where the bytes are wrong, with
a SyncReason where what they say cannot be.
Deliberately absent: whether what they say is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.consensus.limits import MAX_ENVELOPE_BYTES
from node.errors import Rejected
from node.eth import cbor
from node.eth.primitives import Hash32

BLOCKS_MAX: Final = 64
"""Blocks in one answer."""

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""An answer stops before the block that would exceed this, but never before its first."""

ENVELOPE_BYTES_MAX: Final = MAX_ENVELOPE_BYTES
"""The longest block that the rules allow, with every vote and proof that its payload may hold."""

STATUS_BYTES_MAX: Final = 256
"""A status has under 190."""

REQUEST_BYTES_MAX: Final = 64
"""A request for blocks has under 50."""


class SyncReason(StrEnum):
    """Why a sync message is refused."""

    OUT_OF_RANGE = "sync_out_of_range"
    """A number that no honest node sends."""
    OTHER_NETWORK = "sync_other_network"
    """A status from a chain with another genesis."""
    UNASKED = "sync_unasked"
    """An answer that is not what was asked for."""
    WRONG_BLOB = "sync_wrong_blob"
    """A blob that is not what its commitment or its proofs say."""
    NOTHING = "sync_nothing"
    """An empty answer from a peer that claims to have the blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a node says of its chain."""

    genesis_hash: Hash32
    """Which network."""
    finalized_epoch: int
    """Of the finalized checkpoint."""
    finalized_hash: Hash32
    """Its block."""
    finalized_number: int
    """Number of that block."""
    justified_epoch: int
    """Of the justified checkpoint."""
    justified_hash: Hash32
    """Its block."""
    head_hash: Hash32
    """The fork choice's answer."""
    head_number: int
    """Its number."""
    head_slot: int
    """Its slot."""


def encode_status(status: Status) -> bytes:
    """Encode a status, as request and as answer."""
    return b"".join(
        (
            cbor.array_head(9),
            cbor.byte_string(status.genesis_hash),
            cbor.unsigned(status.finalized_epoch),
            cbor.byte_string(status.finalized_hash),
            cbor.unsigned(status.finalized_number),
            cbor.unsigned(status.justified_epoch),
            cbor.byte_string(status.justified_hash),
            cbor.byte_string(status.head_hash),
            cbor.unsigned(status.head_number),
            cbor.unsigned(status.head_slot),
        )
    )


def decode_status(data: bytes) -> Status:
    """Decode a status. Raises Rejected, also where its numbers contradict each other."""
    reader = cbor.Reader(data, bytes_max=STATUS_BYTES_MAX)
    reader.array(9)
    status = Status(
        genesis_hash=reader.hash(),
        finalized_epoch=reader.unsigned(),
        finalized_hash=reader.hash(),
        finalized_number=reader.unsigned(),
        justified_epoch=reader.unsigned(),
        justified_hash=reader.hash(),
        head_hash=reader.hash(),
        head_number=reader.unsigned(),
        head_slot=reader.unsigned(),
    )
    reader.end()
    if not status.finalized_number <= status.head_number <= status.head_slot:
        raise Rejected(SyncReason.OUT_OF_RANGE, "numbers of finalized, head and slot do not ascend")
    if status.finalized_epoch > status.justified_epoch:
        raise Rejected(SyncReason.OUT_OF_RANGE, "finalized is above justified")
    return status


def encode_range_request(first: int, count: int) -> bytes:
    """Ask for so many canonical blocks from a number on."""
    return cbor.array_head(2) + cbor.unsigned(first) + cbor.unsigned(count)


def decode_range_request(data: bytes) -> tuple[int, int]:
    """(first number, count) with 1 <= first and 1 <= count <= 64. Raises Rejected."""
    reader = cbor.Reader(data, bytes_max=REQUEST_BYTES_MAX)
    reader.array(2)
    first, count = reader.unsigned(), reader.unsigned()
    reader.end()
    if not 1 <= count <= BLOCKS_MAX:
        raise Rejected(SyncReason.OUT_OF_RANGE, f"{count} blocks, from 1 to {BLOCKS_MAX}")
    if first == 0:
        raise Rejected(SyncReason.OUT_OF_RANGE, "the genesis block is nobody's to send")
    return first, count


def encode_root_request(root: Hash32, depth: int) -> bytes:
    """Ask for a block and its ancestors, so many blocks in all."""
    return cbor.array_head(2) + cbor.byte_string(root) + cbor.unsigned(depth)


def decode_root_request(data: bytes) -> tuple[Hash32, int]:
    """(root, depth) with 1 <= depth <= 64. Raises Rejected."""
    reader = cbor.Reader(data, bytes_max=REQUEST_BYTES_MAX)
    reader.array(2)
    root, depth = reader.hash(), reader.unsigned()
    reader.end()
    if not 1 <= depth <= BLOCKS_MAX:
        raise Rejected(SyncReason.OUT_OF_RANGE, f"depth {depth}, from 1 to {BLOCKS_MAX}")
    return root, depth


def encode_blocks(envelopes: Sequence[bytes]) -> bytes:
    """Encode an answer of at most 64 envelopes."""
    assert len(envelopes) <= BLOCKS_MAX
    return cbor.byte_strings(envelopes)


def decode_blocks(data: bytes) -> list[bytes]:
    """Decode an answer into envelopes that are not decoded yet. Raises Rejected."""
    reader = cbor.Reader(data, bytes_max=ANSWER_BYTES_MAX + ENVELOPE_BYTES_MAX)
    envelopes = reader.byte_strings(items_max=BLOCKS_MAX, bytes_max=ENVELOPE_BYTES_MAX)
    reader.end()
    return list(envelopes)


def fit(envelopes: Sequence[bytes]) -> list[bytes]:
    """The first envelopes that an answer may hold; always at least one."""
    chosen: list[bytes] = []
    size = 0
    for envelope in envelopes[:BLOCKS_MAX]:
        size += len(envelope)
        if chosen and size > ANSWER_BYTES_MAX:
            break
        chosen.append(envelope)
    return chosen
