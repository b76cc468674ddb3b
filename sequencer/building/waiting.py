"""A transaction of the L2's pool, and where it stands.

offer -> READY -> TAKEN (by the block that is being built) -> included | refused
           ^        |-> READY (that block was full, or was built on a head that is gone)
           |        |-> GAPPED (an earlier nonce is missing) -> READY
           |-- HELD (its sender is censored: a fault)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a transaction that was handed in."""

    hash: Hash32
    """Its hash; 32 zero bytes if it could not be decoded."""
    refusal: str | None = None
    """Why it was not taken, as geth words it."""


Told = Callable[[Submission], None]
"""Hears once what became of a transaction."""


class Standing(IntEnum):
    """Where a transaction stands."""

    READY = 0
    """It is offered to the next block."""
    TAKEN = 1
    """The block that is being built has it."""
    GAPPED = 2
    """It waits for an earlier nonce of its sender."""
    HELD = 3
    """It is left out on purpose."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A waiting transaction; only `standing`, `why` and `told` change. Not frozen: making one must be cheap."""

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
    """Wei a unit of gas for the fee vault."""
    size: int
    """Length of `raw` in bytes."""
    raw: bytes
    """EIP-2718 bytes."""
    added_ms: int
    """When it came, milliseconds since the epoch of Unix."""
    decoded: Transaction
    """What the engine decoded."""
    told: Told | None
    """Who has not heard yet; None once told."""
    standing: Standing = Standing.READY
    """Where it stands."""
    why: str = ""
    """The limit that it met in the last block it was offered to; empty if none."""

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
    def cost(self) -> int:
        """Most it may cost the sender, in wei, without the fee for L1's data."""
        return self.gas_limit * self.max_fee_per_gas + self.decoded.value

    @property
    def price(self) -> tuple[int, int]:
        """What a replacement must beat: tip, then fee."""
        return self.max_priority_fee_per_gas, self.max_fee_per_gas

    def tell(self, submission: Submission) -> None:
        """Tell whoever has not heard."""
        told, self.told = self.told, None
        if told is not None:
            told(submission)
