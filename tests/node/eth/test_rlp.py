"""RLP accepts one encoding of each value and refuses everything else by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth import rlp
from node.eth.reasons import EncodingReason

ITEMS = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=40
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b"", "80"),
        (b"\x00", "00"),
        (b"\x7f", "7f"),
        (b"\x80", "8180"),
        (b"dog", "83646f67"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        ([], "c0"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (
            b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
            "b838" + b"Lorem ipsum dolor sit amet, consectetur adipisicing elit".hex(),
        ),
    ],
)
def test_known_encodings_round_trip(value: rlp.Item, encoded: str) -> None:
    assert rlp.encode(value).hex() == encoded
    assert rlp.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "80"), (15, "0f"), (127, "7f"), (128, "8180"), (1024, "820400"), (True, "01")],
)
def test_integers_are_big_endian_without_leading_zeros(number: int, encoded: str) -> None:
    assert rlp.encode(number).hex() == encoded
    assert rlp.as_integer(rlp.decode(bytes.fromhex(encoded))) == number


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("", EncodingReason.TRUNCATED),
        ("83646f", EncodingReason.TRUNCATED),
        ("b8", EncodingReason.TRUNCATED),
        ("c883636174", EncodingReason.TRUNCATED),
        ("c2", EncodingReason.TRUNCATED),
        ("c18363", EncodingReason.TRAILING),
        ("8000", EncodingReason.TRAILING),
        ("8100", EncodingReason.NOT_CANONICAL),
        ("817f", EncodingReason.NOT_CANONICAL),
        ("b800", EncodingReason.NOT_CANONICAL),
        ("b90038" + "00" * 56, EncodingReason.NOT_CANONICAL),
        ("b837" + "00" * 55, EncodingReason.NOT_CANONICAL),
        ("f800", EncodingReason.NOT_CANONICAL),
        ("c1b8", EncodingReason.TRUNCATED),
        ("bfffffffffffffffff", EncodingReason.TRUNCATED),
        ("c3c58080", EncodingReason.TRUNCATED),
    ],
)
def test_bytes_that_are_no_encoding_are_refused(encoded: str, reason: EncodingReason) -> None:
    with pytest.raises(Rejected) as refusal:
        rlp.decode(bytes.fromhex(encoded))
    assert refusal.value.reason is reason


def test_depth_is_bounded_at_the_turn() -> None:
    deepest = b"\xc0"
    for _ in range(rlp.MAX_DEPTH - 1):
        deepest = rlp.encode_list([deepest])
    assert rlp.encode(rlp.decode(deepest)) == deepest
    with pytest.raises(Rejected) as refusal:
        rlp.decode(rlp.encode_list([deepest]))
    assert refusal.value.reason is EncodingReason.TOO_DEEP


def test_a_million_brackets_cost_no_stack() -> None:
    brackets = b"\xc0"
    for _ in range(2_000):
        brackets = rlp.encode_list([brackets])
    with pytest.raises(Rejected) as refusal:
        rlp.decode(brackets)
    assert refusal.value.reason is EncodingReason.TOO_DEEP


def test_encoding_refuses_what_decoding_would() -> None:
    nested: list[rlp.Encodable] = []
    for _ in range(rlp.MAX_DEPTH):
        nested = [nested]
    with pytest.raises(ValueError, match="nested deeper"):
        rlp.encode(nested)
    with pytest.raises(ValueError, match="negative"):
        rlp.encode(-1)


def test_bytes_and_items_are_bounded() -> None:
    three = rlp.encode([b"", b"", b""])
    assert rlp.decode(three, max_bytes=4, max_items=3) == [b"", b"", b""]
    with pytest.raises(Rejected) as refusal:
        rlp.decode(three, max_items=2)
    assert refusal.value.reason is EncodingReason.TOO_MANY_ITEMS
    with pytest.raises(Rejected) as refusal:
        rlp.decode(three, max_bytes=3)
    assert refusal.value.reason is EncodingReason.TOO_LARGE
    with pytest.raises(Rejected) as refusal:
        rlp.spans(three, max_items=2)
    assert refusal.value.reason is EncodingReason.TOO_MANY_ITEMS


def test_items_are_read_by_type_length_and_range() -> None:
    refusals: list[tuple[Callable[[], object], EncodingReason]] = [
        (lambda: rlp.as_list(b""), EncodingReason.WRONG_TYPE),
        (lambda: rlp.as_list([b""], 2), EncodingReason.WRONG_LENGTH),
        (lambda: rlp.as_bytes([]), EncodingReason.WRONG_TYPE),
        (lambda: rlp.as_bytes(b"ab", 3), EncodingReason.WRONG_LENGTH),
        (lambda: rlp.as_integer([]), EncodingReason.WRONG_TYPE),
        (lambda: rlp.as_integer(b"\x00"), EncodingReason.NOT_CANONICAL),
        (lambda: rlp.as_integer(b"\x01" * 9), EncodingReason.OUT_OF_RANGE),
        (lambda: rlp.spans(b"\x80"), EncodingReason.WRONG_TYPE),
        (lambda: rlp.spans(b"\xc0\x00"), EncodingReason.TRAILING),
    ]
    for read, reason in refusals:
        with pytest.raises(Rejected) as refusal:
            read()
        assert refusal.value.reason is reason
    assert rlp.as_integer(b"\xff" * 8) == (1 << 64) - 1


@given(ITEMS)
def test_every_item_round_trips(item: rlp.Item) -> None:
    assert rlp.decode(rlp.encode(item)) == item


@given(st.binary(max_size=200))
def test_whatever_decodes_has_this_one_encoding(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except Rejected:
        return
    assert rlp.encode(item) == data


@given(st.lists(ITEMS, max_size=8))
def test_spans_cut_a_list_at_its_items(items: list[rlp.Item]) -> None:
    encoded = rlp.encode(items)
    cut = [encoded[start:end] for _, start, _, end in rlp.spans(encoded)]
    assert cut == [rlp.encode(item) for item in items]
    assert [is_list for is_list, *_ in rlp.spans(encoded)] == [isinstance(i, list) for i in items]
