"""Blobs and the transactions that carry them, as they travel outside blocks (EIP-4844, EIP-7594).

    wallet, peer -> 0x03 || rlp([transaction, 1, blobs, commitments, cell proofs]) -> decode_network_form
                 -> what a block holds: 0x03 || rlp(transaction)  +  Blob, Blob, ...

A blob is named by its versioned hash, which stands in the transaction: whoever knows the hash can tell the blob.
Version 0 of the form (one proof for a whole blob, before Osaka) is read too; only version 1 is written.
Deliberately absent: whether blob, commitment and proofs hold together (the engine), fees (node.eth.fees).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.errors import Rejected
from node.eth import rlp
from node.eth.primitives import Hash32
from node.eth.reasons import EncodingReason

BLOB_KIND: Final = 3
"""EIP-2718 type of transactions that carry blobs."""

BLOB_BYTES: Final = 131_072
"""4,096 field elements of 32 bytes."""

COMMITMENT_BYTES: Final = 48
"""A compressed point of G1; a proof has as many."""

CELLS: Final = 128
"""Cells of an extended blob (EIP-7594); each has a proof."""

PROOFS_BYTES: Final = CELLS * COMMITMENT_BYTES
"""The proofs of all cells of one blob."""

BLOBS_PER_TRANSACTION_MAX: Final = 6
"""EIP-7594: no transaction carries more."""

WHOLE_BLOB_PROOFS: Final = 0
"""Version of the form that EIP-4844 brought."""

CELL_PROOFS: Final = 1
"""Version of the form that EIP-7594 brought: the one of Osaka."""

READ_BLOBS_MAX: Final = 8
"""So many are read from one form, so that one too many can be named in the refusal."""


class UnknownForm(Rejected):
    """A form of a version that is not known here."""

    def __init__(self, version: int) -> None:
        super().__init__(EncodingReason.OUT_OF_RANGE, f"version {version} of a sidecar")
        self.version = version


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob with all that shows what it is."""

    data: bytes
    """131,072 bytes."""
    commitment: bytes
    """48 bytes."""
    proofs: bytes
    """The proofs of its 128 cells; 6,144 bytes."""

    @property
    def versioned_hash(self) -> Hash32:
        """What a transaction calls it."""
        return versioned_hash(self.commitment)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkForm:
    """A blob transaction on its way to a block; lists are as they came, nothing is compared yet."""

    raw: bytes
    """The transaction as a block holds it, its type before it."""
    version: int
    """WHOLE_BLOB_PROOFS or CELL_PROOFS."""
    blobs: tuple[bytes, ...]
    """131,072 bytes each."""
    commitments: tuple[bytes, ...]
    """48 bytes each."""
    proofs: tuple[bytes, ...]
    """48 bytes each."""

    def sidecar(self) -> tuple[Blob, ...]:
        """Its blobs with the proofs of their cells; for a form of CELL_PROOFS whose numbers were checked."""
        assert self.version == CELL_PROOFS
        assert len(self.proofs) == CELLS * len(self.blobs)
        return tuple(
            Blob(
                data=data,
                commitment=commitment,
                proofs=b"".join(self.proofs[CELLS * place : CELLS * (place + 1)]),
            )
            for place, (data, commitment) in enumerate(
                zip(self.blobs, self.commitments, strict=True)
            )
        )


def versioned_hash(commitment: bytes) -> Hash32:
    """Name a blob by its commitment: SHA-256 with 0x01 in place of the first byte."""
    return Hash32(b"\x01" + hashlib.sha256(commitment).digest()[1:])


def decode_network_form(raw: bytes) -> NetworkForm | None:
    """Take a blob transaction apart; None for one that comes as a block holds it, without its blobs.

    Raises Rejected with an EncodingReason. The transaction itself is not judged.
    """
    assert raw[:1] == bytes((BLOB_KIND,))
    body = raw[1:]
    items = rlp.spans(body)
    if not items or not items[0][0]:
        return None
    parts = [body[start:end] for _, start, _, end in items]
    if len(items) == 5 and not items[1][0]:
        version = rlp.as_integer(rlp.decode(parts[1]), bits=8)
    elif len(items) == 4:
        version = WHOLE_BLOB_PROOFS
    else:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(items)} items around a transaction")
    if len(items) == 5 and version != CELL_PROOFS:
        raise UnknownForm(version)
    proofs_max = READ_BLOBS_MAX * (CELLS if version == CELL_PROOFS else 1)
    return NetworkForm(
        raw=raw[:1] + parts[0],
        version=version,
        blobs=_strings(parts[-3], BLOB_BYTES, READ_BLOBS_MAX),
        commitments=_strings(parts[-2], COMMITMENT_BYTES, READ_BLOBS_MAX),
        proofs=_strings(parts[-1], COMMITMENT_BYTES, proofs_max),
    )


def encode_network_form(raw: bytes, blobs: Sequence[Blob]) -> bytes:
    """Put a transaction (as a block holds it) and its blobs together, as CELL_PROOFS."""
    proofs = [
        one.proofs[start : start + COMMITMENT_BYTES]
        for one in blobs
        for start in range(0, PROOFS_BYTES, COMMITMENT_BYTES)
    ]
    return raw[:1] + rlp.encode_list(
        (
            raw[1:],
            rlp.encode(CELL_PROOFS),
            rlp.encode([one.data for one in blobs]),
            rlp.encode([one.commitment for one in blobs]),
            rlp.encode(proofs),
        )
    )


def _strings(data: bytes, length: int, items_max: int) -> tuple[bytes, ...]:
    items = rlp.spans(data, max_items=items_max)
    found = tuple(data[start:end] for _, _, start, end in items)
    for (is_list, *_), one in zip(items, found, strict=True):
        if is_list:
            raise Rejected(EncodingReason.WRONG_TYPE, "a list where bytes belong")
        if len(one) != length:
            raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(one)} bytes, want {length}")
    return found
