"""A decoded transaction as the engine gives it and the pool keeps it.

    raw bytes -> engine.decode -> Transaction -> pool -> builder

Deliberately absent: decoding and recovery; the native engine does both, for many at once.
"""

from __future__ import annotations

from typing import Protocol


class Transaction(Protocol):
    """A decoded transaction with its recovered sender."""

    @property
    def hash(self) -> bytes:
        """keccak-256 of its EIP-2718 bytes; 32 bytes."""

    @property
    def sender(self) -> bytes:
        """Recovered from the signature; 20 bytes."""

    @property
    def to(self) -> bytes | None:
        """Callee, 20 bytes; None creates a contract."""

    @property
    def kind(self) -> int:
        """EIP-2718 type; 0 for legacy."""

    @property
    def nonce(self) -> int:
        """The sender's transaction count it needs."""

    @property
    def gas_limit(self) -> int:
        """Most gas it may use."""

    @property
    def value(self) -> int:
        """Wei sent along."""

    @property
    def max_fee_per_gas(self) -> int:
        """Wei a unit of gas, base fee included; gas price of types 0 and 1."""

    @property
    def max_priority_fee_per_gas(self) -> int:
        """Wei a unit of gas for the proposer; gas price of types 0 and 1."""

    @property
    def max_fee_per_blob_gas(self) -> int:
        """Wei a unit of blob gas; 0 for other types than 3."""

    @property
    def blob_hashes(self) -> list[bytes]:
        """Versioned hashes of its blobs, 32 bytes each; none for other types than 3."""

    @property
    def authorities(self) -> list[bytes]:
        """Recovered signers of its EIP-7702 authorisations, 20 bytes each; those that do not recover are left out."""

    @property
    def intrinsic_gas(self) -> int:
        """Least gas limit it may have, EIP-7623 floor included."""

    @property
    def size(self) -> int:
        """Length of `raw` in bytes."""

    @property
    def raw(self) -> bytes:
        """EIP-2718 bytes."""
