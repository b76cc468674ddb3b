"""Envelopes, lists of votes and evidence as they travel and rest: deterministic CBOR (`node.eth.cbor`).

    envelope  [block RLP, payload RLP, proposal signature]
    votes     [[validator index, slot, head, source, target, signature], ...]    source and target: [epoch, hash] or []
    evidence  its RLP

Deliberately absent: what is hashed or signed; that is RLP, in `containers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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
from node.eth import cbor
from node.eth.primitives import Epoch, Slot, ValidatorIndex
from node.eth.reasons import EncodingReason

VOTE_BYTES_MAX: Final = 256
"""A vote has under 190."""

EVIDENCE_BYTES_MAX: Final = 1_024
"""Two votes or proposals with their signatures have under 400."""


def encode_envelope(envelope: Envelope) -> bytes:
    """Encode an envelope in CBOR."""
    return cbor.byte_strings((envelope.block, envelope.payload, envelope.proposal_signature))


def decode_envelope(encoded: bytes) -> Envelope:
    """Decode an envelope. Raises Rejected."""
    reader = cbor.Reader(encoded, bytes_max=MAX_ENVELOPE_BYTES)
    reader.array(3)
    block, payload = reader.bytes_upto(MAX_BLOCK_BYTES), reader.bytes_upto(MAX_PAYLOAD_BYTES)
    signature = reader.bytes_of(SIGNATURE_BYTES)
    reader.end()
    return Envelope(block=block, payload=payload, proposal_signature=signature)


def encode_votes(votes: Sequence[Vote]) -> bytes:
    """Encode at most MAX_VOTES_IN_MESSAGE votes in CBOR."""
    if len(votes) > MAX_VOTES_IN_MESSAGE:
        raise ValueError(f"{len(votes)} votes, at most {MAX_VOTES_IN_MESSAGE}")
    return cbor.array_head(len(votes)) + b"".join(_vote(vote) for vote in votes)


def decode_votes(encoded: bytes) -> list[Vote]:
    """Decode a list of votes. Raises Rejected."""
    reader = cbor.Reader(encoded, bytes_max=VOTE_BYTES_MAX * MAX_VOTES_IN_MESSAGE)
    votes = [_read_vote(reader) for _ in range(reader.array_upto(MAX_VOTES_IN_MESSAGE))]
    reader.end()
    return votes


def encode_evidence_message(piece: Evidence) -> bytes:
    """Encode evidence for gossip: its RLP, in CBOR."""
    return cbor.byte_string(encode_evidence(piece))


def decode_evidence_message(encoded: bytes) -> Evidence:
    """Decode gossiped evidence. Raises Rejected."""
    reader = cbor.Reader(encoded, bytes_max=EVIDENCE_BYTES_MAX)
    piece = reader.bytes_upto(EVIDENCE_BYTES_MAX)
    reader.end()
    return decode_evidence(piece)


def _vote(vote: Vote) -> bytes:
    data = vote.data
    return (
        cbor.array_head(6)
        + cbor.unsigned(vote.validator_index)
        + cbor.unsigned(data.slot)
        + cbor.byte_string(data.head_hash)
        + _checkpoint(data.source)
        + _checkpoint(data.target)
        + cbor.byte_string(vote.signature)
    )


def _checkpoint(checkpoint: Checkpoint | None) -> bytes:
    if checkpoint is None:
        return cbor.array_head(0)
    return (
        cbor.array_head(2)
        + cbor.unsigned(checkpoint.epoch)
        + cbor.byte_string(checkpoint.block_hash)
    )


def _read_vote(reader: cbor.Reader) -> Vote:
    reader.array(6)
    index, slot = reader.unsigned(), reader.unsigned()
    head_hash = reader.hash()
    source, target = _read_checkpoint(reader), _read_checkpoint(reader)
    signature = reader.bytes_of(SIGNATURE_BYTES)
    if (source is None) != (target is None):
        raise Rejected(Reason.MALFORMED_VOTE, "one of source and target is empty")
    data = VoteData(slot=Slot(slot), head_hash=head_hash, source=source, target=target)
    return Vote(validator_index=ValidatorIndex(index), data=data, signature=signature)


def _read_checkpoint(reader: cbor.Reader) -> Checkpoint | None:
    length = reader.array_upto(2)
    if length == 0:
        return None
    if length != 2:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a checkpoint of {length} items")
    epoch = reader.unsigned()
    return Checkpoint(epoch=Epoch(epoch), block_hash=reader.hash())
