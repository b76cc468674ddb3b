"""Transactions without signatures, for the pool's tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from node.eth import rlp
from node.eth.primitives import Address
from node.txpool.transaction import AccountFacts

GWEI = 10**9
ETHER = 10**18

SENDER = Address(b"\x01" * 20)
OTHER = Address(b"\x02" * 20)

RICH = AccountFacts(nonce=0, balance=1_000 * ETHER, has_code=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeTransaction:
    """What the engine would give for a signed transaction."""

    sender: bytes = SENDER
    to: bytes | None = b"\x99" * 20
    kind: int = 2
    nonce: int = 0
    gas_limit: int = 21_000
    value: int = 0
    max_fee_per_gas: int = 10 * GWEI
    max_priority_fee_per_gas: int = 1 * GWEI
    max_fee_per_blob_gas: int = 0
    blob_hashes: list[bytes] = field(default_factory=list)
    authorities: list[bytes] = field(default_factory=list)
    intrinsic_gas: int = 21_000
    size: int = 110
    salt: int = 0

    @property
    def raw(self) -> bytes:
        """Bytes that stand for it: its fields as text, padded to its size; those of a blob transaction are a list."""
        if self.kind == 3:
            return b"\x03" + rlp.encode([repr(self).encode()])
        return repr(self).encode().ljust(self.size, b".")

    @property
    def hash(self) -> bytes:
        """Identity."""
        return sha256(repr(self).encode()).digest()
