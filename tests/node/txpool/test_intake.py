"""Decoding in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
import trio
import trio.testing

from node.txpool.intake import BATCH_MAX, IN_PLACE_MAX, WAITING_MAX, Intake, Overloaded
from tests.node.txpool.fakes import FakeTransaction

Answer = TypeVar("Answer")


class SlowWorker:
    """Takes a second."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[[], Answer]) -> Answer:
        self.runs += 1
        await trio.sleep(1)
        return work()


def decode(batches: list[int]) -> Callable[[Sequence[bytes]], list[FakeTransaction]]:
    def decode_batch(raws: Sequence[bytes]) -> list[FakeTransaction]:
        batches.append(len(raws))
        return [FakeTransaction(nonce=int.from_bytes(raw)) for raw in raws]

    return decode_batch


def numbers(first: int, count: int) -> list[bytes]:
    return [number.to_bytes(4) for number in range(first, first + count)]


async def test_each_caller_gets_its_own_answers(autojump_clock: trio.testing.MockClock) -> None:
    batches: list[int] = []
    worker = SlowWorker()
    intake = Intake(decode(batches), worker)
    found: dict[int, list[int]] = {}

    async def ask(first: int, count: int) -> None:
        answers = await intake.decode(numbers(first, count))
        found[first] = [one.nonce for one in answers if isinstance(one, FakeTransaction)]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        async with trio.open_nursery() as callers:
            for first, count in ((0, 3), (100, 40), (200, 1), (300, 0)):
                callers.start_soon(ask, first, count)
        nursery.cancel_scope.cancel()
    assert found == {
        0: [0, 1, 2], 100: list(range(100, 140)), 200: [200], 300: [],
    }  # fmt: skip
    assert (batches, worker.runs) == ([44], 1)


async def test_a_few_are_decoded_in_place(autojump_clock: trio.testing.MockClock) -> None:
    batches: list[int] = []
    worker = SlowWorker()
    intake = Intake(decode(batches), worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        await intake.decode(numbers(0, IN_PLACE_MAX))
        assert worker.runs == 0
        await intake.decode(numbers(0, IN_PLACE_MAX + 1))
        assert worker.runs == 1
        await intake.decode([bytes(100_000)])
        assert worker.runs == 2
        nursery.cancel_scope.cancel()


async def test_batches_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    batches: list[int] = []
    intake = Intake(decode(batches), SlowWorker())
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(intake.decode, numbers(0, 500))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(intake.run)
        nursery.cancel_scope.cancel()
    assert sum(batches) == 5_000
    assert max(batches) <= BATCH_MAX


async def test_too_many_are_turned_away(autojump_clock: trio.testing.MockClock) -> None:
    intake = Intake(decode([]), SlowWorker())
    with pytest.raises(Overloaded):
        await intake.decode([b""] * (WAITING_MAX + 1))
    with pytest.raises(Overloaded):
        await intake.decode([bytes(1 << 20)] * 33)
