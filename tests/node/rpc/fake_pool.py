"""A pool that answers from dictionaries, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

RICH: Final = Address(b"\x11" * 20)
"""The account that has something."""


CONTRACT: Final = Address(b"\xcc" * 20)
"""The account that has code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakePooled:
    """A waiting transaction."""

    raw: bytes
    sender: Address = RICH
    to: Address | None = CONTRACT
    nonce: int = 0
    value: int = 1
    gas_limit: int = 21_000
    max_fee_per_gas: int = 7

    @property
    def hash(self) -> Hash32:
        return keccak256(self.raw)


@dataclass(frozen=True, slots=True)
class FakeSubmission:
    """What became of a transaction."""

    hash: Hash32
    refusal: str | None


@dataclass(slots=True, kw_only=True)
class FakePool:
    """Takes everything unless told to refuse."""

    refusal: str | None = None
    ready: dict[Address, list[FakePooled]] = field(default_factory=dict)
    waiting: dict[Address, list[FakePooled]] = field(default_factory=dict)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Prices of gas and of blob gas, and room for blobs, of each block that was offered something."""

    async def submit(self, raw: bytes) -> FakeSubmission:
        await trio.lowlevel.checkpoint()
        return FakeSubmission(keccak256(raw), self.refusal)

    def get(self, transaction_hash: Hash32) -> FakePooled | None:
        for row in (*self.ready.values(), *self.waiting.values()):
            for one in row:
                if one.hash == transaction_hash:
                    return one
        return None

    def next_nonce(self, address: Address) -> int | None:
        row = self.ready.get(address)
        return row[-1].nonce + 1 if row else None

    def executable(self) -> Mapping[Address, Sequence[FakePooled]]:
        return self.ready

    def queued(self) -> Mapping[Address, Sequence[FakePooled]]:
        return self.waiting

    def of_sender(self, address: Address) -> tuple[Sequence[FakePooled], Sequence[FakePooled]]:
        return self.ready.get(address, ()), self.waiting.get(address, ())

    def upcoming(
        self, *, base_fee: int, gas: int, count: int, blob_base_fee: int, blobs: int
    ) -> Sequence[FakePooled]:
        self.asked.append((base_fee, blob_base_fee, blobs))
        return [one for row in self.ready.values() for one in row][:count]

    def counts(self) -> tuple[int, int]:
        return sum(map(len, self.ready.values())), sum(map(len, self.waiting.values()))
