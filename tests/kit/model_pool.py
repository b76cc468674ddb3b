"""A pool over a model L1: waits, replaces for 10 % more, forgets what the head's chain holds, offers the next block.

ModelPool.submit(raw) -> waiting -> ModelPool.offered(most) -> ModelL1.mine
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from node.eth.primitives import Address
from tests.kit.model_l1 import APPENDS_MAX, SignedCall, decode_call


class HeadWithNonces(Protocol):
    """A head and what it has taken."""

    @property
    def nonces(self) -> Mapping[Address, int]:
        """Of accounts that sent something."""


class Headed(Protocol):
    """What a pool asks of its L1."""

    @property
    def tip_block(self) -> HeadWithNonces:
        """The head."""


class Dropped(Protocol):
    """A block that left the chain."""

    @property
    def calls(self) -> Sequence[SignedCall]:
        """Its transactions."""


@dataclass(frozen=True, slots=True)
class ModelSubmission:
    """What became of a transaction."""

    refusal: str | None = None


@dataclass(slots=True)
class ModelPool:
    """A pool over a model L1."""

    l1: Headed
    """Whose head decides nonces."""
    waiting: dict[tuple[Address, int], SignedCall] = field(default_factory=dict)
    """By sender and nonce."""
    refuses: str | None = None
    """What everything is refused with, if anything."""
    submitted: list[SignedCall] = field(default_factory=list)
    """All that was taken."""

    async def submit(self, raw: bytes) -> ModelSubmission:
        call = decode_call(raw)
        if self.refuses is not None:
            return ModelSubmission(self.refuses)
        if call.nonce < self.l1.tip_block.nonces.get(call.sender, 0):
            return ModelSubmission("nonce too low")
        old = self.waiting.get((call.sender, call.nonce))
        if old is not None:
            if old.hash == call.hash:
                return ModelSubmission("already known")
            pairs = (
                (old.max_fee_per_gas, call.max_fee_per_gas),
                (old.max_priority_fee_per_gas, call.max_priority_fee_per_gas),
            )
            if any(new * 100 < before * 110 for before, new in pairs):
                return ModelSubmission("replacement transaction underpriced")
        self.waiting[call.sender, call.nonce] = call
        self.submitted.append(call)
        return ModelSubmission()

    def get(self, transaction_hash: bytes) -> SignedCall | None:
        return next((one for one in self.waiting.values() if one.hash == transaction_hash), None)

    def of_sender(self, address: bytes) -> tuple[Sequence[SignedCall], Sequence[SignedCall]]:
        self.update()
        found = [one for (sender, _), one in self.waiting.items() if sender == address]
        return sorted(found, key=lambda one: one.nonce), ()

    def update(self) -> None:
        """Forget what the head's chain holds."""
        nonces = self.l1.tip_block.nonces
        self.waiting = {
            (sender, nonce): one
            for (sender, nonce), one in self.waiting.items()
            if nonce >= nonces.get(sender, 0)
        }

    def take_back(self, dropped: Iterable[Dropped]) -> None:
        """Blocks left the chain: what they held waits again."""
        for block in dropped:
            for call in block.calls:
                self.waiting.setdefault((call.sender, call.nonce), call)
        self.update()

    def offered(self, most: int = APPENDS_MAX) -> list[bytes]:
        """What the next block is offered, each sender's nonces ascending."""
        self.update()
        ordered = sorted(self.waiting.values(), key=lambda one: (one.sender, one.nonce))
        return [one.raw for one in ordered][:most]

    def lose(self) -> None:
        """Forget everything, as a restart without a journal does."""
        self.waiting.clear()
