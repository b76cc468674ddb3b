"""Sync's messages have one encoding each, and hostile bytes are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import cbor2
import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.eth.reasons import EncodingReason
from node.sync.messages import (
    ANSWER_BYTES_MAX,
    BLOCKS_MAX,
    ENVELOPE_BYTES_MAX,
    Status,
    SyncReason,
    decode_blocks,
    decode_range_request,
    decode_root_request,
    decode_status,
    encode_blocks,
    encode_range_request,
    encode_root_request,
    encode_status,
    fit,
)

Decoded = TypeVar("Decoded")

hashes = st.binary(min_size=32, max_size=32).map(Hash32)
integers = st.integers(min_value=0, max_value=(1 << 64) - 1)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    finalized_number, head_number, head_slot = sorted(draw(st.tuples(integers, integers, integers)))
    finalized_epoch, justified_epoch = sorted(draw(st.tuples(integers, integers)))
    return Status(
        genesis_hash=draw(hashes),
        finalized_epoch=finalized_epoch,
        finalized_hash=draw(hashes),
        finalized_number=finalized_number,
        justified_epoch=justified_epoch,
        justified_hash=draw(hashes),
        head_hash=draw(hashes),
        head_number=head_number,
        head_slot=head_slot,
    )


def unless_refused(decode: Callable[[bytes], Decoded], data: bytes) -> Decoded | None:
    """What the bytes say, or None when they are refused; any other exception is a bug."""
    try:
        return decode(data)
    except Rejected:
        return None


@given(statuses())
def test_a_status_survives_the_wire(status: Status) -> None:
    assert decode_status(encode_status(status)) == status


@given(statuses())
def test_a_status_is_deterministic_cbor(status: Status) -> None:
    encoded = encode_status(status)

    assert cbor2.dumps(cbor2.loads(encoded), canonical=True) == encoded


@given(integers.filter(bool), st.integers(min_value=1, max_value=BLOCKS_MAX))
def test_a_range_request_survives_the_wire(first: int, count: int) -> None:
    assert decode_range_request(encode_range_request(first, count)) == (first, count)


@given(hashes, st.integers(min_value=1, max_value=BLOCKS_MAX))
def test_a_root_request_survives_the_wire(root: Hash32, depth: int) -> None:
    assert decode_root_request(encode_root_request(root, depth)) == (root, depth)


@given(st.lists(st.binary(max_size=300), max_size=BLOCKS_MAX))
def test_an_answer_survives_the_wire(envelopes: list[bytes]) -> None:
    assert decode_blocks(encode_blocks(envelopes)) == envelopes


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_are_the_one_encoding(data: bytes) -> None:
    envelopes = unless_refused(decode_blocks, data)

    assert envelopes is None or encode_blocks(envelopes) == data


@given(statuses(), st.data())
def test_a_damaged_status_is_refused_or_says_something_else(
    status: Status, data: st.DataObject
) -> None:
    encoded = bytearray(encode_status(status))
    position = data.draw(st.integers(min_value=0, max_value=len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(min_value=1, max_value=255))

    decoded = unless_refused(decode_status, bytes(encoded))

    assert decoded is None or (decoded != status and encode_status(decoded) == bytes(encoded))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", EncodingReason.TRUNCATED),
        (b"\x82\x01", EncodingReason.TRUNCATED),
        (b"\x82\x18\x05\x01", EncodingReason.NOT_CANONICAL),
        (b"\x82\x19\x00\xff\x01", EncodingReason.NOT_CANONICAL),
        (b"\x9f\x01\x01\xff", EncodingReason.NOT_CANONICAL),
        (b"\x82\x01\x01\x00", EncodingReason.TRAILING),
        (b"\x82\x20\x01", EncodingReason.WRONG_TYPE),
        (b"\x82\x41\x01\x01", EncodingReason.WRONG_TYPE),
        (b"\xa1\x01\x01", EncodingReason.WRONG_TYPE),
        (b"\x83\x01\x01\x01", EncodingReason.WRONG_LENGTH),
        (b"\x82\x01\x00", SyncReason.OUT_OF_RANGE),
        (b"\x82\x00\x01", SyncReason.OUT_OF_RANGE),
        (b"\x82\x01\x18\x41", SyncReason.OUT_OF_RANGE),
        (b"\x00" * 65, EncodingReason.TOO_LARGE),
    ],
)
def test_a_bad_range_request_is_refused_by_name(
    data: bytes, reason: SyncReason | EncodingReason
) -> None:
    with pytest.raises(Rejected) as caught:
        decode_range_request(data)

    assert caught.value.reason == reason


def test_a_short_hash_and_a_deep_request_are_refused() -> None:
    with pytest.raises(Rejected, match="31 bytes, want 32"):
        decode_root_request(cbor2.dumps([bytes(31), 1]))
    with pytest.raises(Rejected, match="depth 65, from 1 to 64"):
        decode_root_request(cbor2.dumps([bytes(32), 65]))


def test_a_status_that_contradicts_itself_is_refused() -> None:
    status = Status(
        genesis_hash=Hash32(bytes(32)),
        finalized_epoch=1,
        finalized_hash=Hash32(bytes(32)),
        finalized_number=2,
        justified_epoch=2,
        justified_hash=Hash32(bytes(32)),
        head_hash=Hash32(bytes(32)),
        head_number=5,
        head_slot=7,
    )
    for wrong in (
        replace(status, head_number=8),
        replace(status, finalized_number=6),
        replace(status, finalized_epoch=3),
    ):
        with pytest.raises(Rejected) as caught:
            decode_status(encode_status(wrong))
        assert caught.value.reason == SyncReason.OUT_OF_RANGE


def test_an_answer_of_too_many_or_too_large_blocks_is_refused() -> None:
    for answer, reason in (
        ([b""] * 65, EncodingReason.TOO_MANY_ITEMS),
        ([bytes(ENVELOPE_BYTES_MAX + 1)], EncodingReason.TOO_LARGE),
        ([7], EncodingReason.WRONG_TYPE),
    ):
        with pytest.raises(Rejected) as caught:
            decode_blocks(cbor2.dumps(answer))
        assert caught.value.reason is reason


def test_an_answer_is_cut_at_its_bound_but_holds_one_block_at_least() -> None:
    half = bytes(ANSWER_BYTES_MAX // 2)

    assert fit([half, half, b"x"]) == [half, half]
    assert fit([bytes(ANSWER_BYTES_MAX + 1), b"x"]) == [bytes(ANSWER_BYTES_MAX + 1)]
    assert fit([b"x"] * 70) == [b"x"] * BLOCKS_MAX
    assert fit([]) == []
