"""CBOR accepts one encoding of each message and refuses everything else by name."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth import cbor
from node.eth.reasons import EncodingReason

BOUND = 1 << 20

numbers = st.integers(0, (1 << 64) - 1)


def reader(message: bytes) -> cbor.Reader:
    return cbor.Reader(message, bytes_max=BOUND)


@given(numbers)
@pytest.mark.parametrize("edge", [0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32])
def test_numbers_round_trip_in_the_cbor_of_a_general_encoder(edge: int, number: int) -> None:
    for value in (edge, number):
        encoded = cbor.unsigned(value)
        assert encoded == cbor2.dumps(value, canonical=True)
        assert reader(encoded).unsigned() == value


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_byte_strings_round_trip_in_the_cbor_of_a_general_encoder(items: list[bytes]) -> None:
    encoded = cbor.byte_strings(items)
    read = reader(encoded)
    assert encoded == cbor2.dumps(items, canonical=True)
    assert encoded == cbor.array_head(len(items)) + b"".join(map(cbor.byte_string, items))
    assert read.byte_strings(items_max=30, bytes_max=300) == tuple(items)
    read.end()


@given(st.binary(max_size=70_000))
def test_long_byte_strings_round_trip(value: bytes) -> None:
    assert reader(cbor.byte_string(value)).bytes_upto(70_000) == value


@pytest.mark.parametrize(
    ("message", "read", "reason", "said"),
    [
        (b"", lambda it: it.unsigned(), EncodingReason.TRUNCATED, "1 bytes are missing"),
        (b"\x19\x01", lambda it: it.unsigned(), EncodingReason.TRUNCATED, "1 bytes are missing"),
        (b"\x43ab", lambda it: it.bytes_upto(9), EncodingReason.TRUNCATED, "1 bytes are missing"),
        (b"\x00", lambda it: it.end(), EncodingReason.TRAILING, "1 bytes too many"),
        (b"\x40", lambda it: it.unsigned(), EncodingReason.WRONG_TYPE, "CBOR type 2, want 0"),
        (b"\x20", lambda it: it.unsigned(), EncodingReason.WRONG_TYPE, "CBOR type 1, want 0"),
        (b"\xa0", lambda it: it.array(0), EncodingReason.WRONG_TYPE, "CBOR type 5, want 4"),
        (b"\x60", lambda it: it.bytes_upto(9), EncodingReason.WRONG_TYPE, "CBOR type 3, want 2"),
        (
            b"\x18\x17",
            lambda it: it.unsigned(),
            EncodingReason.NOT_CANONICAL,
            "a number longer than it needs to be",
        ),
        (
            b"\x1b" + bytes(4) + b"\xff" * 4,
            lambda it: it.unsigned(),
            EncodingReason.NOT_CANONICAL,
            "a number longer than it needs to be",
        ),
        (
            b"\x5f\xff",
            lambda it: it.bytes_upto(9),
            EncodingReason.NOT_CANONICAL,
            "an indefinite or reserved length",
        ),
        (b"\x81", lambda it: it.array(2), EncodingReason.WRONG_LENGTH, "1 items, want 2"),
        (
            b"\x9b" + b"\xff" * 8,
            lambda it: it.array_upto(3),
            EncodingReason.TOO_MANY_ITEMS,
            f"{(1 << 64) - 1} items, at most 3",
        ),
        (
            b"\x5a\xff\xff\xff\xff",
            lambda it: it.bytes_upto(3),
            EncodingReason.TOO_LARGE,
            f"{(1 << 32) - 1} bytes, at most 3",
        ),
        (b"\x42ab", lambda it: it.bytes_of(3), EncodingReason.WRONG_LENGTH, "2 bytes, want 3"),
        (b"\x41a", lambda it: it.hash(), EncodingReason.WRONG_LENGTH, "1 bytes, want 32"),
        (
            b"\x81\x41a",
            lambda it: it.hashes(items_max=1),
            EncodingReason.WRONG_LENGTH,
            "1 bytes, want 32",
        ),
    ],
)
def test_another_message_than_was_asked_for_is_refused_by_name(
    message: bytes, read: Callable[[cbor.Reader], object], reason: EncodingReason, said: str
) -> None:
    with pytest.raises(Rejected) as refusal:
        read(reader(message))
    assert (refusal.value.reason, refusal.value.message) == (reason, said)


def test_a_message_above_its_bound_is_not_looked_at() -> None:
    with pytest.raises(Rejected) as refusal:
        cbor.Reader(bytes(9), bytes_max=8)
    assert refusal.value.reason is EncodingReason.TOO_LARGE
    assert refusal.value.message == "9 bytes, at most 8"
