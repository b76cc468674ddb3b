"""Signed transfers by the thousand, cheaply: for load and for benchmarks.

Deliberately absent: anything a wallet needs; tests about wallets use wallets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from coincurve import PrivateKey

from node.eth import rlp
from node.eth.hashing import keccak256

CHAIN_ID = 900
"""The L1's."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A key that signs."""

    key: PrivateKey
    """secp256k1."""
    address: bytes
    """20 bytes."""


def sender(seed: str) -> Sender:
    """The sender that a word gives; the same word gives the same sender."""
    key = PrivateKey(hashlib.sha256(seed.encode()).digest())
    return Sender(key, keccak256(key.public_key.format(compressed=False)[1:])[12:])


def sign_transfer(
    by: Sender,
    *,
    nonce: int,
    to: bytes,
    value: int = 1,
    gas_limit: int = 21_000,
    max_fee_per_gas: int = 100 * 10**9,
    max_priority_fee_per_gas: int = 10**9,
    data: bytes = b"",
    chain_id: int = CHAIN_ID,
) -> bytes:
    """An EIP-1559 transaction; EIP-2718 bytes."""
    body: list[rlp.Encodable] = [
        chain_id,
        nonce,
        max_priority_fee_per_gas,
        max_fee_per_gas,
        gas_limit,
        to,
        value,
        data,
        [],
    ]
    digest = keccak256(b"\x02" + rlp.encode(body))
    signature = by.key.sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return b"\x02" + rlp.encode([*body, signature[64], r, s])


def funding(by: Sender, receivers: list[Sender], *, nonce: int, value: int) -> Iterator[bytes]:
    """One transfer to each receiver, nonces ascending."""
    for place, receiver in enumerate(receivers):
        yield sign_transfer(by, nonce=nonce + place, to=receiver.address, value=value)
