"""Requests for blobs and answers on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth import cbor
from node.eth.blobs import BLOB_BYTES, CELLS, Blob
from node.eth.primitives import Hash32
from node.p2p.network import RequestKind
from node.p2p.requests import REQUEST_RULES
from node.sync.blob_messages import (
    ANSWER_BYTES_MAX,
    BLOBS_MAX,
    REQUEST_BYTES_MAX,
    decode_blob_request,
    decode_blobs,
    encode_blob_request,
    encode_blobs,
)


def blob(number: int) -> Blob:
    """Shaped like one."""
    return Blob(
        data=bytes([number]) * BLOB_BYTES,
        commitment=bytes([number]) * 48,
        proofs=bytes([number]) * 48 * CELLS,
    )


BLOBS = [blob(number) for number in range(BLOBS_MAX)]
NAMES = [one.versioned_hash for one in BLOBS]


def test_the_largest_messages_fit() -> None:
    rule = REQUEST_RULES[RequestKind.BLOBS]
    assert len(encode_blob_request(NAMES)) <= REQUEST_BYTES_MAX <= rule.request_bytes_max
    assert len(encode_blobs(BLOBS)) <= ANSWER_BYTES_MAX <= rule.answer_bytes_max


@given(st.sets(st.integers(0, BLOBS_MAX - 1)))
def test_an_answer_holds_some_of_what_was_asked(present: set[int]) -> None:
    given_blobs = [BLOBS[place] for place in sorted(present)]
    assert decode_blobs(encode_blobs(given_blobs), NAMES) == tuple(given_blobs)


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (encode_blobs(BLOBS[:1]), NAMES[1:]),
        (encode_blobs(BLOBS[:2]), NAMES[:1]),
        (encode_blobs([BLOBS[1], BLOBS[0]]), NAMES),
        (encode_blobs([BLOBS[0], BLOBS[0]]), NAMES),
        (cbor.byte_strings([b"\x00" * BLOB_BYTES, b"\x00" * 48]), NAMES),
        (cbor.byte_strings([b""] * 19), NAMES),
        (cbor.byte_strings([b"\x00" * (BLOB_BYTES + 1), b"", b""]), NAMES),
        (b"\x00" * (ANSWER_BYTES_MAX + 1), NAMES),
        (b"", NAMES),
    ],
)
def test_an_answer_to_another_question_is_refused(answer: bytes, asked: list[Hash32]) -> None:
    with pytest.raises(Rejected):
        decode_blobs(answer, asked)


@pytest.mark.parametrize(
    "request_body",
    [
        cbor.byte_strings([]),
        cbor.byte_strings([NAMES[0], NAMES[0]]),
        cbor.byte_strings([bytes([number]) * 32 for number in range(BLOBS_MAX + 1)]),
        cbor.byte_strings([b"\x01" * 31]),
        encode_blob_request(NAMES) + b"\x00",
        b"",
    ],
)
def test_a_request_out_of_bounds_is_refused(request_body: bytes) -> None:
    with pytest.raises(Rejected):
        decode_blob_request(request_body)


def test_a_request_is_read_back() -> None:
    assert decode_blob_request(encode_blob_request(NAMES)) == tuple(NAMES)
