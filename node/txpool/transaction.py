"""What the pool keeps of a transaction, and what it must know of the account that sends it.

    raw bytes -> engine.decode -> Transaction -> PooledTransaction -> builder

A pooled transaction copies the fields that rules read often: a field of the native engine's object costs a call.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the head's state says of a sender."""

    nonce: int
    """Its next nonce."""
    balance: int
    """Wei."""
    has_code: bool
    """Whether it holds code: for a sender, that is a delegation (EIP-7702)."""


@dataclass(slots=True, eq=False)
class PooledTransaction:
    """A transaction in the pool; never changed after it was made (not frozen: making one must be cheap)."""

    hash: Hash32
    """keccak-256 of `raw`."""
    sender: Address
    """Who signed it."""
    nonce: int
    """The sender's transaction count it needs."""
    gas_limit: int
    """Most gas it may use."""
    max_fee_per_gas: int
    """Wei a unit of gas, base fee included."""
    max_priority_fee_per_gas: int
    """Wei a unit of gas for the proposer."""
    cost: int
    """Most wei it may take: gas limit times fee, blob gas times its fee, and value."""
    size: int
    """Length of `raw` in bytes."""
    raw: bytes
    """EIP-2718 bytes."""
    authorities: tuple[Address, ...]
    """Signers of its EIP-7702 authorisations."""
    arrival: int
    """Counts admissions; of two equal tips the earlier goes first."""
    added_ms: int
    """When it was admitted, milliseconds since the epoch of Unix."""
    decoded: Transaction
    """What the engine decoded."""
    blob_hashes: tuple[Hash32, ...] = ()
    """Versioned hashes of its blobs (EIP-4844)."""
    max_fee_per_blob_gas: int = 0
    """Wei a unit of blob gas."""

    @property
    def to(self) -> Address | None:
        """Callee; None creates a contract."""
        callee = self.decoded.to
        return None if callee is None else Address(callee)

    @property
    def value(self) -> int:
        """Wei sent along."""
        return self.decoded.value

    @property
    def price(self) -> tuple[int, ...]:
        """What it is kept for when room is short: tip, then fee, then that of blob gas where there is any."""
        if self.blob_hashes:
            return self.max_priority_fee_per_gas, self.max_fee_per_gas, self.max_fee_per_blob_gas
        return self.max_priority_fee_per_gas, self.max_fee_per_gas
