"""Filling a block: in chunks, until it is full, time is up or nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import trio.testing

from node.eth.primitives import Address, Hash32
from node.execution.engine import PushOutcome
from node.runtime.worker import InlineWorker
from node.validator.building import CHUNK, _fill


@dataclass(slots=True)
class Offered:
    """A transaction."""

    number: int

    @property
    def hash(self) -> Hash32:
        return Hash32(self.number.to_bytes(32))

    @property
    def sender(self) -> Address:
        return Address(self.number.to_bytes(20))

    @property
    def raw(self) -> bytes:
        return self.number.to_bytes(8)


@dataclass(slots=True)
class Builder:
    """Takes transactions; refuses those it has a reason for."""

    reasons: dict[int, str] = field(default_factory=dict)
    gas_left: int = 30_000_000
    bytes_left: int = 1 << 20
    blobs_left: int = 0
    blob_base_fee: int = 1
    pushed: list[int] = field(default_factory=list)

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        outcomes = []
        for raw in transactions:
            number = int.from_bytes(raw)
            reason = self.reasons.get(number, "")
            if not reason:
                self.pushed.append(number)
                self.gas_left -= 21_000
            outcomes.append(PushOutcome(included=not reason, reason=reason, message=""))
        return outcomes

    def seal(self, extra_data: bytes) -> None:
        raise AssertionError(f"sealed with {extra_data!r}: these tests only push")


@dataclass(slots=True)
class Pool:
    """Offers numbers."""

    left: list[int]
    refused: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    quarantined: list[int] = field(default_factory=list)
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def select(self, base_fee: int, blob_base_fee: int = 0) -> Pool:
        return self

    def take(self, *, gas: int, size: int, count: int, blobs: int = 0) -> list[Offered]:
        self.asked.append((gas, size, count))
        fits = min(count, gas // 21_000)
        taken, self.left = self.left[:fits], self.left[fits:]
        return [Offered(number) for number in taken]

    def refuse(self, sender: Address) -> None:
        self.refused.append(int.from_bytes(sender))

    def discard(self, transaction_hash: bytes) -> None:
        self.discarded.append(int.from_bytes(transaction_hash))

    def quarantine(self, transaction_hash: bytes) -> None:
        self.quarantined.append(int.from_bytes(transaction_hash))


async def fill(builder: Builder, pool: Pool, chunks_before_time_is_up: int = 1_000) -> None:
    def is_time_up() -> bool:
        return len(pool.asked) >= chunks_before_time_is_up

    await _fill(builder, pool, 7, InlineWorker(), is_time_up)  # type: ignore[arg-type]


async def test_everything_goes_in_while_there_is_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    builder, pool = Builder(), Pool(list(range(1, 1_201)))
    await fill(builder, pool)
    assert builder.pushed == list(range(1, 1_201))
    assert [count for _, _, count in pool.asked] == [CHUNK] * 4
    assert [gas for gas, _, _ in pool.asked] == [
        30_000_000,
        30_000_000 - 512 * 21_000,
        30_000_000 - 1_024 * 21_000,
        30_000_000 - 1_200 * 21_000,
    ]


async def test_a_full_block_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    builder, pool = Builder(gas_left=10 * 21_000 + 20_999), Pool(list(range(1, 100)))
    await fill(builder, pool)
    assert len(builder.pushed) == 10


async def test_the_deadline_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    builder, pool = Builder(gas_left=1 << 40), Pool(list(range(1, 5_000)))
    await fill(builder, pool, chunks_before_time_is_up=2)
    assert len(builder.pushed) == 2 * CHUNK
    builder = Builder()
    await fill(builder, Pool([1]), chunks_before_time_is_up=0)
    assert builder.pushed == []


async def test_what_can_never_be_included_leaves_the_pool(
    autojump_clock: trio.testing.MockClock,
) -> None:
    reasons = {
        1: "nonce_too_low", 2: "nonce_too_high", 3: "balance", 4: "block_full", 5: "fee",
        6: "invalid", 7: "fault", 8: "gas_limit",
    }  # fmt: skip
    builder, pool = Builder(reasons=reasons), Pool(list(range(1, 10)))
    await fill(builder, pool)
    assert builder.pushed == [9]
    assert pool.refused == [1, 2, 3, 4, 5, 6, 7, 8]
    assert pool.discarded == [6, 8]
    assert pool.quarantined == [7]
