"""Lengths on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.p2p.scores import Misbehaviour
from node.p2p.wire import (
    decode_prefix,
    encode_prefix,
    encode_uvarint,
    frame_uvarint,
    split_uvarint,
    split_uvarint_frame,
)
from tests.node.p2p.nodes import reason_of


@given(st.integers(min_value=0, max_value=2**35 - 1))
def test_uvarint_survives(value: int) -> None:
    encoded = encode_uvarint(value)

    assert split_uvarint(encoded) == (value, len(encoded))
    assert all(split_uvarint(encoded[:cut]) is None for cut in range(len(encoded)))


def test_uvarint_known_encodings() -> None:
    assert encode_uvarint(0) == b"\x00"
    assert encode_uvarint(127) == b"\x7f"
    assert encode_uvarint(300) == b"\xac\x02"


def test_endless_uvarint_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        split_uvarint(b"\xff" * 100)

    assert caught.value.reason is Misbehaviour.MALFORMED_FRAME
    assert str(caught.value) == "malformed_frame: a length takes more than 5 bytes"


@given(st.lists(st.binary(max_size=40), max_size=5), st.data())
def test_frames_are_split_wherever_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    # Given frames that arrive in two pieces
    stream = b"".join(frame_uvarint(message) for message in messages)
    cut = data.draw(st.integers(min_value=0, max_value=len(stream)))
    buffer, found = bytearray(), []

    # When each piece is split as far as it goes
    for piece in (stream[:cut], stream[cut:]):
        buffer += piece
        offset = 0
        while (split := split_uvarint_frame(buffer, offset, 100)) is not None:
            message, offset = split
            found.append(message)
        del buffer[:offset]

    # Then every frame is found once
    assert found == messages
    assert not buffer


def test_huge_frame_is_rejected_before_its_body_arrives() -> None:
    with pytest.raises(Rejected) as caught:
        split_uvarint_frame(bytearray(encode_uvarint(2**30)), 0, 1_000)

    assert str(caught.value) == "oversized: a message of 1073741824 bytes, at most 1000 are read"


@given(st.binary(max_size=64))
def test_any_bytes_split_or_are_rejected(junk: bytes) -> None:
    reason = reason_of(lambda: split_uvarint_frame(bytearray(junk), 0, 32))

    assert reason in (None, Misbehaviour.MALFORMED_FRAME, Misbehaviour.OVERSIZED)


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_prefix_survives_within_its_bound(length: int) -> None:
    assert decode_prefix(encode_prefix(length), length) == length
    if length:
        with pytest.raises(Rejected, match="oversized"):
            decode_prefix(encode_prefix(length), length - 1)
