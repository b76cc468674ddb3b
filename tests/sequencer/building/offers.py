"""Transactions as the pool sees them, without signatures, and a judge in place of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from sequencer.building.sealing import Refusal, Sealed
from sequencer.building.waiting import Waiting

GAS_LIMIT = 7_000_000
BASE_FEE = 1_000_000


@dataclass(slots=True)
class Offered:
    """A decoded transfer."""

    sender: bytes
    nonce: int
    max_priority_fee_per_gas: int = 0
    max_fee_per_gas: int = 10**9
    gas_limit: int = 21_000
    size: int = 110
    value: int = 1
    to: bytes | None = bytes(20)
    kind: int = 2
    authorities: list[bytes] = field(default_factory=list)
    intrinsic_gas: int = 21_000
    blob_hashes: list[bytes] = field(default_factory=list)
    max_fee_per_blob_gas: int = 0

    @property
    def raw(self) -> bytes:
        """Stands for its bytes."""
        text = f"{self.sender.hex()} {self.nonce} {self.max_priority_fee_per_gas}"
        return text.encode()

    @property
    def hash(self) -> bytes:
        """Of `raw`."""
        return hashlib.sha256(self.raw).digest()


def account(number: int) -> bytes:
    """An address."""
    return bytes([number]) * 20


class Judge:
    """Nonces of a chain, as an engine keeps them."""

    def __init__(self) -> None:
        self.nonces: dict[bytes, int] = {}
        self.chain: list[Waiting] = []

    def seal(self, candidates: Sequence[Waiting], room: int) -> Sealed:
        """Put as many into a block as there is room for."""
        sealed = Sealed()
        for one in candidates:
            following = self.nonces.get(one.sender, 0)
            if one.nonce < following:
                sealed.refused.append(Refusal(one, "nonce_too_low", ""))
            elif one.nonce > following:
                sealed.early.append(one)
            elif len(sealed.included) == room:
                sealed.limit = "block_full"
                sealed.later.append(one)
            else:
                self.nonces[one.sender] = following + 1
                sealed.included.append(one)
        self.chain += sealed.included
        return sealed


__all__ = ["BASE_FEE", "GAS_LIMIT", "Judge", "Offered", "account"]
