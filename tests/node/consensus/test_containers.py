"""Every message has one encoding: what is written is read back, what is not that encoding is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given, strategies as st

from node.consensus import wire
from node.consensus.containers import (
    AggregateVote,
    Checkpoint,
    Envelope,
    Evidence,
    Payload,
    Proposal,
    ProposalEvidence,
    Vote,
    VoteData,
    VoteEvidence,
    decode_evidence,
    decode_payload,
    decode_proposal,
    decode_vote,
    encode_bitlist,
    encode_evidence,
    encode_proposal,
    encode_vote,
    members,
    votes_of,
)
from node.consensus.limits import MAX_PAYLOAD_BYTES, MAX_PAYLOAD_VOTES
from node.consensus.reasons import Reason
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex
from node.eth.reasons import EncodingReason

NUMBERS = st.integers(0, (1 << 64) - 1)
HASHES = st.binary(min_size=32, max_size=32).map(Hash32)
SIGNATURES = st.binary(min_size=64, max_size=64)
INDEXES = NUMBERS.map(ValidatorIndex)
CHECKPOINTS = st.builds(Checkpoint, epoch=NUMBERS.map(Epoch), block_hash=HASHES)
VOTE_DATA = st.one_of(
    st.builds(
        VoteData,
        slot=NUMBERS.map(Slot),
        head_hash=HASHES,
        source=CHECKPOINTS,
        target=CHECKPOINTS,
    ),
    st.builds(
        VoteData, slot=NUMBERS.map(Slot), head_hash=HASHES, source=st.none(), target=st.none()
    ),
)
VOTES = st.builds(Vote, validator_index=INDEXES, data=VOTE_DATA, signature=SIGNATURES)
PROPOSALS = st.builds(
    Proposal,
    slot=NUMBERS.map(Slot),
    proposer_index=INDEXES,
    block_hash=HASHES,
    signature=SIGNATURES,
)
EVIDENCE = st.one_of(
    st.builds(VoteEvidence, first=VOTES, second=VOTES),
    st.builds(ProposalEvidence, first=PROPOSALS, second=PROPOSALS),
)


@st.composite
def aggregate_votes(draw: st.DrawFn) -> AggregateVote:
    voters = sorted(draw(st.sets(st.integers(0, 255), min_size=1, max_size=4)))
    return AggregateVote(
        data=draw(VOTE_DATA),
        voters=tuple(map(ValidatorIndex, voters)),
        signatures=tuple(draw(SIGNATURES) for _ in voters),
    )


PAYLOADS = st.builds(
    Payload,
    version=st.just(1),
    slot=NUMBERS.map(Slot),
    proposer_index=INDEXES,
    reveal=HASHES,
    renewal=HASHES,
    votes=st.lists(aggregate_votes(), max_size=4).map(tuple),
    evidence=st.lists(EVIDENCE, max_size=3).map(tuple),
)

HEAD_ONLY = VoteData(slot=Slot(9), head_hash=Hash32(b"\x01" * 32), source=None, target=None)
FULL = replace(
    HEAD_ONLY,
    source=Checkpoint(epoch=Epoch(3), block_hash=Hash32(b"\x02" * 32)),
    target=Checkpoint(epoch=Epoch(4), block_hash=Hash32(b"\x03" * 32)),
)
VOTE = Vote(validator_index=ValidatorIndex(7), data=FULL, signature=b"\x04" * 64)
PAYLOAD = Payload(
    slot=Slot(9),
    proposer_index=ValidatorIndex(1),
    reveal=Hash32(bytes(32)),
    renewal=Hash32(bytes(32)),
)


@given(VOTES)
def test_votes_round_trip(vote: Vote) -> None:
    assert decode_vote(encode_vote(vote)) == vote


@given(PROPOSALS)
def test_proposals_round_trip(proposal: Proposal) -> None:
    assert decode_proposal(encode_proposal(proposal)) == proposal


@given(EVIDENCE)
def test_evidence_round_trips(piece: Evidence) -> None:
    assert decode_evidence(encode_evidence(piece)) == piece
    assert wire.decode_evidence_message(wire.encode_evidence_message(piece)) == piece


@given(PAYLOADS)
def test_payloads_round_trip(payload: Payload) -> None:
    assert decode_payload(payload.encode()) == payload
    assert payload.root() == keccak256(payload.encode())


@given(st.lists(VOTES, max_size=64))
def test_vote_lists_round_trip_in_the_cbor_of_a_general_encoder(votes: list[Vote]) -> None:
    encoded = wire.encode_votes(votes)
    assert wire.decode_votes(encoded) == votes
    assert encoded == cbor2.dumps([_as_lists(vote) for vote in votes], canonical=True)


def _as_lists(vote: Vote) -> list[object]:
    pairs = [
        [] if point is None else [point.epoch, point.block_hash]
        for point in (vote.data.source, vote.data.target)
    ]
    return [vote.validator_index, vote.data.slot, vote.data.head_hash, *pairs, vote.signature]


@given(st.binary(max_size=70_000), st.binary(max_size=300), SIGNATURES)
def test_envelopes_round_trip_in_the_cbor_of_a_general_encoder(
    block: bytes, payload: bytes, signature: bytes
) -> None:
    envelope = Envelope(block=block, payload=payload, proposal_signature=signature)
    encoded = wire.encode_envelope(envelope)
    assert wire.decode_envelope(encoded) == envelope
    assert encoded == cbor2.dumps([block, payload, signature], canonical=True)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_rejection(data: bytes) -> None:
    for read in (
        decode_vote,
        decode_proposal,
        decode_evidence,
        decode_payload,
        wire.decode_envelope,
        wire.decode_votes,
        wire.decode_evidence_message,
    ):
        with suppress(Rejected):
            read(data)


@given(PAYLOADS, st.data())
def test_whatever_decodes_is_the_one_encoding(payload: Payload, data: st.DataObject) -> None:
    encoded = bytearray(payload.encode())
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_payload(bytes(encoded))
    except Rejected:
        return
    assert decoded.encode() == bytes(encoded)


@given(st.lists(VOTES, min_size=1, max_size=3), st.data())
def test_whatever_cbor_decodes_is_the_one_encoding(votes: list[Vote], data: st.DataObject) -> None:
    encoded = bytearray(wire.encode_votes(votes))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    try:
        decoded = wire.decode_votes(bytes(encoded))
    except Rejected:
        return
    assert wire.encode_votes(decoded) == bytes(encoded)


def _vote_fields(source: rlp.Encodable, target: rlp.Encodable) -> bytes:
    return rlp.encode((7, (9, b"\x01" * 32, source, target), b"\x04" * 64))


def _payload_with(
    *, version: int = 1, votes: rlp.Encodable = (), evidence: rlp.Encodable = ()
) -> bytes:
    return rlp.encode((version, 9, 1, bytes(32), bytes(32), votes, evidence))


def _aggregate(bits: bytes, signatures: int) -> list[rlp.Encodable]:
    return [[9, b"\x01" * 32, [], []], bits, [b"\x04" * 64] * signatures]


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (_payload_with(version=0), Reason.PAYLOAD_VERSION),
        (_payload_with(version=2), Reason.PAYLOAD_VERSION),
        (_payload_with(votes=[_aggregate(b"", 0)]), Reason.MALFORMED_AGGREGATE),
        (_payload_with(votes=[_aggregate(b"\x01\x00", 1)]), Reason.MALFORMED_AGGREGATE),
        (_payload_with(votes=[_aggregate(b"\x03", 1)]), Reason.MALFORMED_AGGREGATE),
        (_payload_with(votes=[_aggregate(b"\x01", 2)]), Reason.MALFORMED_AGGREGATE),
        (_payload_with(votes=[_aggregate(b"\x01" * 33, 33)]), Reason.MALFORMED_AGGREGATE),
        (_payload_with(evidence=[[3, [], []]]), Reason.MALFORMED_EVIDENCE),
        (_payload_with(evidence=[[0, [], []]]), Reason.MALFORMED_EVIDENCE),
        (_payload_with(evidence=[[]] * 9), Reason.EVIDENCE_COUNT),
        (bytes(MAX_PAYLOAD_BYTES + 1), Reason.PAYLOAD_TOO_LARGE),
        (rlp.encode([b""] * 8), EncodingReason.WRONG_LENGTH),
        (rlp.encode(b"payload"), EncodingReason.WRONG_TYPE),
    ],
)
def test_a_malformed_payload_is_refused_by_name(
    encoded: bytes, reason: Reason | EncodingReason
) -> None:
    with pytest.raises(Rejected) as refusal:
        decode_payload(encoded)
    assert refusal.value.reason is reason


def test_a_payload_holds_so_many_votes_and_no_more() -> None:
    everybody = tuple(map(ValidatorIndex, range(256)))
    full = tuple(
        AggregateVote(
            data=replace(HEAD_ONLY, slot=Slot(slot)),
            voters=everybody,
            signatures=(bytes(64),) * 256,
        )
        for slot in range(MAX_PAYLOAD_VOTES // 256)
    )
    largest = replace(PAYLOAD, votes=full)
    assert len(largest.encode()) < MAX_PAYLOAD_BYTES
    assert decode_payload(largest.encode()) == largest
    one_more = AggregateVote(data=FULL, voters=(ValidatorIndex(0),), signatures=(bytes(64),))
    with pytest.raises(Rejected) as refusal:
        decode_payload(replace(PAYLOAD, votes=(*full, one_more)).encode())
    assert refusal.value.reason is Reason.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize(("source", "target"), [([], [4, b"\x03" * 32]), ([3, b"\x02" * 32], [])])
def test_half_a_link_is_no_vote(source: rlp.Encodable, target: rlp.Encodable) -> None:
    with pytest.raises(Rejected) as refusal:
        decode_vote(_vote_fields(source, target))
    assert refusal.value.reason is Reason.MALFORMED_VOTE
    lists = cbor2.dumps([[7, 9, b"\x01" * 32, source, target, b"\x04" * 64]], canonical=True)
    with pytest.raises(Rejected) as refusal:
        wire.decode_votes(lists)
    assert refusal.value.reason is Reason.MALFORMED_VOTE


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", EncodingReason.TRUNCATED),
        (b"\x81", EncodingReason.TRUNCATED),
        (b"\x80\x00", EncodingReason.TRAILING),
        (b"\x9f\xff", EncodingReason.NOT_CANONICAL),
        (b"\x98\x00", EncodingReason.NOT_CANONICAL),
        (b"\x98\x41", EncodingReason.TOO_MANY_ITEMS),
        (b"\x9b" + b"\xff" * 8, EncodingReason.TOO_MANY_ITEMS),
        (b"\xa0", EncodingReason.WRONG_TYPE),
        (b"\xc0\x80", EncodingReason.WRONG_TYPE),
        (b"\x81\x85", EncodingReason.WRONG_LENGTH),
        (b"\x81\x86\x07\x09\x41\x01", EncodingReason.WRONG_LENGTH),
        (b"\x81\x86\x07\x09\x58\x21", EncodingReason.TOO_LARGE),
        (b"\x81\x86\x07\x09\x58\x20" + b"\x01" * 32 + b"\x81\x00", EncodingReason.WRONG_LENGTH),
        (bytes(16_385), EncodingReason.TOO_LARGE),
    ],
)
def test_votes_in_any_other_cbor_are_refused(encoded: bytes, reason: EncodingReason) -> None:
    with pytest.raises(Rejected) as refusal:
        wire.decode_votes(encoded)
    assert refusal.value.reason is reason


def test_more_votes_than_a_message_holds_are_our_own_bug() -> None:
    assert len(wire.decode_votes(wire.encode_votes([VOTE] * 64))) == 64
    with pytest.raises(ValueError, match="65 votes, at most 64"):
        wire.encode_votes([VOTE] * 65)


def test_an_oversized_envelope_is_refused_before_it_is_read() -> None:
    with pytest.raises(Rejected) as refusal:
        wire.decode_envelope(bytes(7 * 1024 * 1024))
    assert refusal.value.reason is EncodingReason.TOO_LARGE


@given(st.sets(st.integers(0, 255)))
def test_bitlists_name_their_members(indexes: set[int]) -> None:
    mask = sum(1 << index for index in indexes)
    assert members(mask) == tuple(sorted(indexes))
    assert int.from_bytes(encode_bitlist(mask), "little") == mask
    assert encode_bitlist(mask)[-1:] != b"\x00"


def test_votes_are_taken_apart_in_order() -> None:
    both = AggregateVote(
        data=FULL,
        voters=(ValidatorIndex(2), ValidatorIndex(5)),
        signatures=(b"\x01" * 64, b"\x02" * 64),
    )
    assert votes_of([both]) == [
        Vote(validator_index=ValidatorIndex(2), data=FULL, signature=b"\x01" * 64),
        Vote(validator_index=ValidatorIndex(5), data=FULL, signature=b"\x02" * 64),
    ]


def test_the_root_of_vote_data_is_fixed() -> None:
    """Signatures cover it: a change of encoding is a change of protocol."""
    assert HEAD_ONLY.root() == keccak256(rlp.encode([9, b"\x01" * 32, [], []]))
    assert FULL.root() == keccak256(
        rlp.encode([9, b"\x01" * 32, [3, b"\x02" * 32], [4, b"\x03" * 32]])
    )
