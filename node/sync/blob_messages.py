"""PURE: requests for blobs and their answers on the wire, in deterministic CBOR (`node.eth.cbor`).

    request [versioned hash, ...] (at most 6)  ->  answer [blob, commitment, proofs, blob, ...]

An answer has the blobs in the order asked for, without those that the peer does not have. The longest is 0.8 MB.
Decoders raise Rejected with an EncodingReason where the bytes are wrong, with a SyncReason where they are not what was
asked for. Deliberately absent: whether a blob is what its commitment says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.errors import Rejected
from node.eth import cbor
from node.eth.blobs import BLOB_BYTES, COMMITMENT_BYTES, PROOFS_BYTES, Blob
from node.eth.primitives import Hash32
from node.sync.messages import SyncReason

BLOBS_MAX: Final = 6
"""Blobs of one answer: those of the largest transaction."""

REQUEST_BYTES_MAX: Final = 256
"""A request has under 210."""

ANSWER_BYTES_MAX: Final = BLOBS_MAX * (BLOB_BYTES + COMMITMENT_BYTES + PROOFS_BYTES) + 1_024
"""The longest answer."""

_PARTS: Final = 3


def encode_blob_request(hashes: Sequence[Hash32]) -> bytes:
    """Ask for blobs."""
    assert 0 < len(hashes) <= BLOBS_MAX
    return cbor.byte_strings(hashes)


def decode_blob_request(data: bytes) -> tuple[Hash32, ...]:
    """Read a request of 1 to 6 hashes. Raises Rejected."""
    reader = cbor.Reader(data, bytes_max=REQUEST_BYTES_MAX)
    hashes = reader.hashes(items_max=BLOBS_MAX)
    reader.end()
    if not hashes or len(set(hashes)) != len(hashes):
        raise Rejected(SyncReason.OUT_OF_RANGE, "no blob, or one twice")
    return hashes


def encode_blobs(blobs: Sequence[Blob]) -> bytes:
    """Answer with blobs."""
    assert len(blobs) <= BLOBS_MAX
    return cbor.byte_strings(
        [part for one in blobs for part in (one.data, one.commitment, one.proofs)]
    )


def decode_blobs(data: bytes, asked: Sequence[Hash32]) -> tuple[Blob, ...]:
    """Read an answer: some of the blobs asked for, in their order. Raises Rejected."""
    reader = cbor.Reader(data, bytes_max=ANSWER_BYTES_MAX)
    parts = reader.byte_strings(items_max=_PARTS * BLOBS_MAX, bytes_max=BLOB_BYTES)
    reader.end()
    if len(parts) % _PARTS:
        raise Rejected(SyncReason.OUT_OF_RANGE, f"{len(parts)} parts of blobs")
    blobs = [
        Blob(data=parts[place], commitment=parts[place + 1], proofs=parts[place + 2])
        for place in range(0, len(parts), _PARTS)
    ]
    left = iter(asked)
    if not all(one.versioned_hash in left for one in blobs):
        raise Rejected(SyncReason.UNASKED, "a blob that was not asked for")
    return tuple(blobs)
