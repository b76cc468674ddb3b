"""Envelopes and lists of votes as they travel and rest: deterministic CBOR (RFC 8949, section 4.2), a strict subset.

Only what these messages are made of is read: unsigned integers, byte strings and arrays of known length, each in its
shortest form. A general decoder would accept tags, floats and maps only to refuse them later.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.containers import (
    SIGNATURE_BYTES,
    Checkpoint,
    Envelope,
    Evidence,
    Vote,
    VoteData,
    decode_evidence,
    encode_evidence,
)
from node.consensus.limits import (
    MAX_BLOCK_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_VOTES_IN_MESSAGE,
)
from node.consensus.reasons import Reason
from node.errors import Rejected
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex
from node.eth.reasons import EncodingReason

_UNSIGNED, _BYTES, _ARRAY = 0, 2, 4


def encode_envelope(envelope: Envelope) -> bytes:
    """Encode an envelope in CBOR."""
    return _head(_ARRAY, 3) + b"".join(
        _bytes(part) for part in (envelope.block, envelope.payload, envelope.proposal_signature)
    )


def decode_envelope(encoded: bytes) -> Envelope:
    """Decode an envelope. Raises Rejected."""
    if len(encoded) > MAX_ENVELOPE_BYTES:
        raise Rejected(EncodingReason.TOO_LARGE, f"{len(encoded)} bytes")
    reader = _Reader(encoded)
    reader.array(3)
    block, payload = reader.bytes_upto(MAX_BLOCK_BYTES), reader.bytes_upto(MAX_PAYLOAD_BYTES)
    signature = reader.bytes_of(SIGNATURE_BYTES)
    reader.end()
    return Envelope(block=block, payload=payload, proposal_signature=signature)


def encode_votes(votes: Sequence[Vote]) -> bytes:
    """Encode at most MAX_VOTES_IN_MESSAGE votes in CBOR."""
    if len(votes) > MAX_VOTES_IN_MESSAGE:
        raise ValueError(f"{len(votes)} votes, at most {MAX_VOTES_IN_MESSAGE}")
    return _head(_ARRAY, len(votes)) + b"".join(_vote(vote) for vote in votes)


def decode_votes(encoded: bytes) -> list[Vote]:
    """Decode a list of votes. Raises Rejected."""
    if len(encoded) > 256 * MAX_VOTES_IN_MESSAGE:
        raise Rejected(EncodingReason.TOO_LARGE, f"{len(encoded)} bytes")
    reader = _Reader(encoded)
    votes = [_read_vote(reader) for _ in range(reader.array_upto(MAX_VOTES_IN_MESSAGE))]
    reader.end()
    return votes


def encode_evidence_message(piece: Evidence) -> bytes:
    """Encode evidence for gossip: its RLP, in CBOR."""
    return _bytes(encode_evidence(piece))


def decode_evidence_message(encoded: bytes) -> Evidence:
    """Decode gossiped evidence. Raises Rejected."""
    reader = _Reader(encoded)
    piece = reader.bytes_upto(1_024)
    reader.end()
    return decode_evidence(piece)


def _vote(vote: Vote) -> bytes:
    data = vote.data
    return (
        _head(_ARRAY, 6)
        + _head(_UNSIGNED, vote.validator_index)
        + _head(_UNSIGNED, data.slot)
        + _bytes(data.head_hash)
        + _checkpoint(data.source)
        + _checkpoint(data.target)
        + _bytes(vote.signature)
    )


def _checkpoint(checkpoint: Checkpoint | None) -> bytes:
    if checkpoint is None:
        return _head(_ARRAY, 0)
    return _head(_ARRAY, 2) + _head(_UNSIGNED, checkpoint.epoch) + _bytes(checkpoint.block_hash)


def _read_vote(reader: _Reader) -> Vote:
    reader.array(6)
    index, slot = reader.unsigned(), reader.unsigned()
    head_hash = reader.bytes_of(32)
    source, target = _read_checkpoint(reader), _read_checkpoint(reader)
    signature = reader.bytes_of(SIGNATURE_BYTES)
    if (source is None) != (target is None):
        raise Rejected(Reason.MALFORMED_VOTE, "one of source and target is empty")
    data = VoteData(slot=Slot(slot), head_hash=Hash32(head_hash), source=source, target=target)
    return Vote(validator_index=ValidatorIndex(index), data=data, signature=signature)


def _read_checkpoint(reader: _Reader) -> Checkpoint | None:
    length = reader.array_upto(2)
    if length == 0:
        return None
    if length != 2:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a checkpoint of {length} items")
    epoch = reader.unsigned()
    return Checkpoint(epoch=Epoch(epoch), block_hash=Hash32(reader.bytes_of(32)))


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major << 5 | value,))
    width = next(width for width in (1, 2, 4, 8) if value < 1 << 8 * width)
    return bytes((major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width],)) + value.to_bytes(width)


def _bytes(value: bytes) -> bytes:
    return _head(_BYTES, len(value)) + value


class _Reader:
    """A cursor over CBOR that knows what it wants next."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def unsigned(self) -> int:
        return self._read_head(_UNSIGNED)

    def array(self, length: int) -> None:
        if (found := self._read_head(_ARRAY)) != length:
            raise Rejected(EncodingReason.WRONG_LENGTH, f"{found} items, want {length}")

    def array_upto(self, most: int) -> int:
        if (found := self._read_head(_ARRAY)) > most:
            raise Rejected(EncodingReason.TOO_MANY_ITEMS, f"{found} items, at most {most}")
        return found

    def bytes_of(self, length: int) -> bytes:
        found = self.bytes_upto(length)
        if len(found) != length:
            raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(found)} bytes, want {length}")
        return found

    def bytes_upto(self, most: int) -> bytes:
        length = self._read_head(_BYTES)
        if length > most:
            raise Rejected(EncodingReason.TOO_LARGE, f"{length} bytes, at most {most}")
        return self._take(length)

    def end(self) -> None:
        if self._position != len(self._data):
            raise Rejected(EncodingReason.TRAILING, f"{len(self._data) - self._position} bytes")

    def _take(self, length: int) -> bytes:
        start, end = self._position, self._position + length
        if end > len(self._data):
            raise Rejected(EncodingReason.TRUNCATED, f"{end - len(self._data)} bytes missing")
        self._position = end
        return self._data[start:end]

    def _read_head(self, major: int) -> int:
        first = self._take(1)[0]
        if first >> 5 != major:
            raise Rejected(EncodingReason.WRONG_TYPE, f"CBOR type {first >> 5}, want {major}")
        short = first & 31
        if short < 24:
            return short
        if short > 27:
            raise Rejected(EncodingReason.NOT_CANONICAL, "an indefinite or reserved length")
        width = 1 << short - 24
        value = int.from_bytes(self._take(width))
        if value < (24 if width == 1 else 1 << 4 * width):
            raise Rejected(EncodingReason.NOT_CANONICAL, "a number longer than it needs to be")
        return value
