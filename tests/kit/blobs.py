"""Blobs and signed blob transactions, from small numbers: the same number gives the same blob.

Committing to a blob takes a third of a second, so a process makes each one once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from node.eth import rlp
from node.eth.blobs import BLOB_BYTES, COMMITMENT_BYTES, Blob, encode_network_form
from node.eth.hashing import keccak256
from node.execution.adapter import commit_blob
from tests.kit.transfers import CHAIN_ID, Sender

INFINITY = b"\xc0" + bytes(COMMITMENT_BYTES - 1)
"""The point at infinity: commitment and proof of a blob of zeros."""


def empty_blob() -> Blob:
    """131,072 zeros; it costs nothing to make."""
    return Blob(data=bytes(BLOB_BYTES), commitment=INFINITY, proofs=INFINITY * 128)


@cache
def make_blob(number: int) -> Blob:
    """A blob whose first element tells its number."""
    digest = sha256(number.to_bytes(8)).digest()[:31]
    data = (b"\x00" + digest).ljust(BLOB_BYTES, b"\x00")
    found = commit_blob(data)
    assert found is not None
    return Blob(data=data, commitment=found[0], proofs=found[1])


def damaged(blob: Blob) -> Blob:
    """The same blob with the proofs of two cells exchanged."""
    first, second, rest = blob.proofs[:48], blob.proofs[48:96], blob.proofs[96:]
    assert first != second
    return Blob(data=blob.data, commitment=blob.commitment, proofs=second + first + rest)


def sign_blobs(
    by: Sender,
    blobs: Sequence[Blob],
    *,
    nonce: int,
    to: bytes = b"\x77" * 20,
    value: int = 1,
    gas_limit: int = 21_000,
    max_fee_per_gas: int = 100 * 10**9,
    max_priority_fee_per_gas: int = 10**9,
    max_fee_per_blob_gas: int = 10**9,
    chain_id: int = CHAIN_ID,
) -> bytes:
    """An EIP-4844 transaction as a block holds it."""
    body: list[rlp.Encodable] = [
        chain_id,
        nonce,
        max_priority_fee_per_gas,
        max_fee_per_gas,
        gas_limit,
        to,
        value,
        b"",
        [],
        max_fee_per_blob_gas,
        [one.versioned_hash for one in blobs],
    ]
    digest = keccak256(b"\x03" + rlp.encode(body))
    signature = by.key.sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return b"\x03" + rlp.encode([*body, signature[64], r, s])


def sign_network_form(by: Sender, blobs: Sequence[Blob], *, nonce: int, **fields: int) -> bytes:
    """The same as a wallet sends it."""
    return encode_network_form(sign_blobs(by, blobs, nonce=nonce, **fields), blobs)  # type: ignore[arg-type]
