"""PURE: what sync's requests and answers look like on the wire.

| kind | request | answer |
|---|---|---|
| status | Status | Status |
| blocks_by_range | [first number, count] | [envelope, ...] ascending, canonical, cut at ANSWER_BYTES_MAX |
| blocks_by_root | [root, depth] | [envelope, ...] ascending, the block last, its kept ancestors before it |

All are deterministic CBOR (RFC 8949 section 4.2.1) made of unsigned integers, byte strings and arrays; one encoding for
each value is accepted and nothing else, and every size is bounded before it is read.
Deliberately absent: whether what they say is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.consensus.limits import MAX_ENVELOPE_BYTES
from node.errors import Rejected
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

    MALFORMED = "sync_malformed"
    """Not the one encoding of a message of that kind."""
    TOO_LARGE = "sync_too_large"
    """More bytes or blocks than allowed."""
    OUT_OF_RANGE = "sync_out_of_range"
    """A number that no honest node sends."""
    OTHER_NETWORK = "sync_other_network"
    """A status from a chain with another genesis."""
    UNASKED = "sync_unasked"
    """An answer that is not what was asked for."""
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
    return _encode_array(
        [
            status.genesis_hash,
            status.finalized_epoch,
            status.finalized_hash,
            status.finalized_number,
            status.justified_epoch,
            status.justified_hash,
            status.head_hash,
            status.head_number,
            status.head_slot,
        ]
    )


def decode_status(data: bytes) -> Status:
    """Decode a status. Raises Rejected with a SyncReason, also where its numbers contradict each other."""
    fields = _decode_array(data, bytes_max=STATUS_BYTES_MAX, items_max=9, items_min=9)
    status = Status(
        genesis_hash=_hash(fields[0]),
        finalized_epoch=_integer(fields[1]),
        finalized_hash=_hash(fields[2]),
        finalized_number=_integer(fields[3]),
        justified_epoch=_integer(fields[4]),
        justified_hash=_hash(fields[5]),
        head_hash=_hash(fields[6]),
        head_number=_integer(fields[7]),
        head_slot=_integer(fields[8]),
    )
    if not status.finalized_number <= status.head_number <= status.head_slot:
        raise Rejected(SyncReason.OUT_OF_RANGE, "numbers of finalized, head and slot do not ascend")
    if status.finalized_epoch > status.justified_epoch:
        raise Rejected(SyncReason.OUT_OF_RANGE, "finalized is above justified")
    return status


def encode_range_request(first: int, count: int) -> bytes:
    """Ask for so many canonical blocks from a number on."""
    return _encode_array([first, count])


def decode_range_request(data: bytes) -> tuple[int, int]:
    """(first number, count) with 1 <= first and 1 <= count <= 64. Raises Rejected with a SyncReason."""
    fields = _decode_array(data, bytes_max=REQUEST_BYTES_MAX, items_max=2, items_min=2)
    first, count = _integer(fields[0]), _integer(fields[1])
    if not 1 <= count <= BLOCKS_MAX:
        raise Rejected(SyncReason.OUT_OF_RANGE, f"{count} blocks, from 1 to {BLOCKS_MAX}")
    if first == 0:
        raise Rejected(SyncReason.OUT_OF_RANGE, "the genesis block is nobody's to send")
    return first, count


def encode_root_request(root: Hash32, depth: int) -> bytes:
    """Ask for a block and its ancestors, so many blocks in all."""
    return _encode_array([root, depth])


def decode_root_request(data: bytes) -> tuple[Hash32, int]:
    """(root, depth) with 1 <= depth <= 64. Raises Rejected with a SyncReason."""
    fields = _decode_array(data, bytes_max=REQUEST_BYTES_MAX, items_max=2, items_min=2)
    depth = _integer(fields[1])
    if not 1 <= depth <= BLOCKS_MAX:
        raise Rejected(SyncReason.OUT_OF_RANGE, f"depth {depth}, from 1 to {BLOCKS_MAX}")
    return _hash(fields[0]), depth


def encode_blocks(envelopes: Sequence[bytes]) -> bytes:
    """Encode an answer of at most 64 envelopes."""
    assert len(envelopes) <= BLOCKS_MAX
    return _encode_array(envelopes)


def decode_blocks(data: bytes) -> list[bytes]:
    """Decode an answer into envelopes that are not decoded yet. Raises Rejected with a SyncReason."""
    bytes_max = ANSWER_BYTES_MAX + ENVELOPE_BYTES_MAX
    fields = _decode_array(data, bytes_max=bytes_max, items_max=BLOCKS_MAX)
    envelopes: list[bytes] = []
    for item in fields:
        if not isinstance(item, bytes) or len(item) > ENVELOPE_BYTES_MAX:
            raise Rejected(SyncReason.MALFORMED, "an envelope that is no byte string of its size")
        envelopes.append(item)
    return envelopes


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


# -- the part of CBOR that is used: unsigned integers (major type 0), byte strings (2), one outer array (4)


def _encode_array(items: Sequence[bytes | int]) -> bytes:
    parts = [_head(4, len(items))]
    for item in items:
        if isinstance(item, int):
            parts.append(_head(0, item))
        else:
            parts += [_head(2, len(item)), item]
    return b"".join(parts)


def _head(major: int, argument: int) -> bytes:
    assert 0 <= argument < 1 << 64
    if argument < 24:
        return bytes([major << 5 | argument])
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << 8 * width)
    return bytes([major << 5 | 23 + width.bit_length()]) + argument.to_bytes(width)


def _decode_array(
    data: bytes, *, bytes_max: int, items_max: int, items_min: int = 0
) -> list[bytes | int]:
    if len(data) > bytes_max:
        raise Rejected(SyncReason.TOO_LARGE, f"{len(data)} bytes, at most {bytes_max}")
    major, count, position = _read_head(data, 0)
    if major != 4:
        raise Rejected(SyncReason.MALFORMED, "no array")
    if not items_min <= count <= items_max:
        raise Rejected(SyncReason.TOO_LARGE, f"{count} items, from {items_min} to {items_max}")
    items: list[bytes | int] = []
    for _ in range(count):
        major, argument, position = _read_head(data, position)
        if major == 0:
            items.append(argument)
        elif major == 2 and argument <= len(data) - position:
            items.append(data[position : position + argument])
            position += argument
        else:
            raise Rejected(SyncReason.MALFORMED, "an item that is neither number nor whole bytes")
    if position != len(data):
        raise Rejected(SyncReason.MALFORMED, f"{len(data) - position} bytes after the message")
    return items


def _read_head(data: bytes, position: int) -> tuple[int, int, int]:
    """(major type, argument, position after it); the argument in its shortest form only."""
    if position >= len(data):
        raise Rejected(SyncReason.MALFORMED, "the message is cut off")
    major, code = data[position] >> 5, data[position] & 31
    position += 1
    if code < 24:
        return major, code, position
    if code > 27:
        raise Rejected(SyncReason.MALFORMED, "indefinite or reserved length")
    width = 1 << (code - 24)
    argument = int.from_bytes(data[position : position + width])
    least = 24 if width == 1 else 1 << 4 * width
    if len(data) - position < width or argument < least:
        raise Rejected(SyncReason.MALFORMED, "a number that is cut off or longer than needed")
    return major, argument, position + width


def _hash(item: bytes | int) -> Hash32:
    if not isinstance(item, bytes) or len(item) != 32:
        raise Rejected(SyncReason.MALFORMED, "no hash of 32 bytes")
    return Hash32(item)


def _integer(item: bytes | int) -> int:
    if not isinstance(item, int):
        raise Rejected(SyncReason.MALFORMED, "bytes where a number belongs")
    return item
