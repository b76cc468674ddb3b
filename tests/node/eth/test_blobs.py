"""The network form of blob transactions, and names of blobs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth import rlp
from node.eth.blobs import (
    BLOB_BYTES,
    CELL_PROOFS,
    CELLS,
    WHOLE_BLOB_PROOFS,
    Blob,
    decode_network_form,
    encode_network_form,
    versioned_hash,
)

TRANSACTION = b"\x03" + rlp.encode([900, 0, b"field"])
ZEROS = bytes(BLOB_BYTES)
POINT = b"\xc0" + bytes(47)


def form(version: int | None, blobs: int, commitments: int, proofs: int) -> bytes:
    """A form of these numbers of parts."""
    head = [] if version is None else [rlp.encode(version)]
    return b"\x03" + rlp.encode_list(
        [
            TRANSACTION[1:],
            *head,
            rlp.encode([ZEROS] * blobs),
            rlp.encode([POINT] * commitments),
            rlp.encode([POINT] * proofs),
        ]
    )


def test_a_blob_is_named_by_its_commitment() -> None:
    """The vector of EIP-4844's point at infinity."""
    assert versioned_hash(POINT).hex() == (
        "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014"
    )


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=4), st.binary(max_size=2)), max_size=3))
def test_what_is_put_together_comes_apart(parts: list[tuple[bytes, bytes]]) -> None:
    """Given a transaction and blobs, when encoded and decoded, then they are the same."""
    blobs = [
        Blob(
            data=data.ljust(BLOB_BYTES, b"\x01"),
            commitment=commitment.ljust(48, b"\x02"),
            proofs=data.ljust(48 * CELLS, b"\x03"),
        )
        for data, commitment in parts
    ]
    found = decode_network_form(encode_network_form(TRANSACTION, blobs))
    assert found is not None
    assert found.raw == TRANSACTION
    assert found.version == CELL_PROOFS
    assert found.sidecar() == tuple(blobs)


def test_without_blobs_there_is_no_form() -> None:
    assert decode_network_form(TRANSACTION) is None


def test_the_older_form_is_read() -> None:
    found = decode_network_form(form(None, 2, 2, 2))
    assert found is not None
    assert (found.version, len(found.blobs), len(found.proofs)) == (WHOLE_BLOB_PROOFS, 2, 2)


@pytest.mark.parametrize(
    "raw",
    [
        form(0, 1, 1, 1),
        form(2, 1, 1, 128),
        form(1, 9, 1, 128),
        form(1, 1, 9, 128),
        form(1, 1, 1, 8 * 128 + 1),
        form(None, 1, 1, 9),
        form(1, 1, 1, 128) + b"\x00",
        form(1, 1, 1, 128)[:-1],
        b"\x03" + rlp.encode([[1], 1, [ZEROS[:-1]], [POINT], [POINT]]),
        b"\x03" + rlp.encode([[1], 1, [ZEROS], [POINT[:-1]], [POINT]]),
        b"\x03" + rlp.encode([[1], 1, [[ZEROS]], [POINT], [POINT]]),
        b"\x03" + rlp.encode([[1], 1, ZEROS, [POINT], [POINT]]),
        b"\x03" + rlp.encode([[1], [], [], []]) + b"\x01",
        b"\x03" + rlp.encode([[1], 1, [], [], [], []]),
        b"\x03" + rlp.encode([[1]]),
        b"\x03",
    ],
)
def test_what_is_no_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected):
        decode_network_form(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Rejected):
        decode_network_form(b"\x03" + data)
