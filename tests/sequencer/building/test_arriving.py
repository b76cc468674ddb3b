"""Arrivals: nobody is left behind, whatever interleaves; the order stays; there are bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock

from node.runtime.worker import Answer
from node.txpool.intake import Decoded
from sequencer.building import arriving
from sequencer.building.arriving import FEW_BYTES_MAX, FEW_MAX, HELD_MAX, Arrivals, Arrived
from sequencer.building.waiting import Submission

LONG = bytes(FEW_BYTES_MAX + 1)
SHORT = b"\x02"


class Decoder:
    """Decodes nothing and says how much it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def decode(self, transactions: Sequence[bytes]) -> Sequence[Decoded]:
        self.sizes.append(len(transactions))
        return []


class Paused:
    """A worker that begins when it is let."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.let = trio.Event()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Wait, then run it in place."""
        self.begun.set()
        await self.let.wait()
        self.begun, self.let = trio.Event(), trio.Event()
        return work()


class Desk:
    """Arrivals, a builder that decodes few whenever it is woken, and what was admitted."""

    def __init__(self) -> None:
        self.worker = Paused()
        self.decoder = Decoder()
        self.admitted: list[bytes] = []
        self.work = trio.Event()
        self.arrivals = Arrivals(self.decoder, self.worker, admit=self._admit, wake=self._wake)

    def add(self, *raws: bytes) -> list[bool]:
        """Let transactions arrive."""
        return [self.arrivals.add(raw, _ignore) for raw in raws]

    async def build(self) -> None:
        """As the builder's task."""
        while True:
            await self.work.wait()
            self.work = trio.Event()
            self.arrivals.decode_few()

    def _wake(self) -> None:
        self.work.set()

    def _admit(self, arrived: Sequence[Arrived], decoded: Sequence[Decoded]) -> None:
        self.admitted += [raw for raw, _ in arrived]


def _ignore(submission: Submission) -> None:
    """Hear nothing."""


async def test_few_are_decoded_at_once_and_many_beside_the_loop(autojump_clock: MockClock) -> None:
    desk = Desk()
    desk.add(*[SHORT] * FEW_MAX)
    desk.arrivals.decode_few()
    assert len(desk.admitted) == FEW_MAX
    desk.add(*[SHORT] * (FEW_MAX + 1))
    desk.arrivals.decode_few()
    assert len(desk.admitted) == FEW_MAX


async def test_a_short_one_after_two_long_ones_is_not_left_behind(
    autojump_clock: MockClock,
) -> None:
    """Given a long one that comes while another is decoded, and a short one while both tasks are awake, all are admitted."""
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.build)
        nursery.start_soon(desk.arrivals.decode_many)
        second, third = b"\x01" + LONG, b"\x02" + LONG
        desk.add(LONG)
        await desk.worker.begun.wait()
        desk.add(second)
        desk.worker.let.set()
        await trio.testing.wait_all_tasks_blocked()
        # `many` is set though all that it was set for is being decoded.
        desk.add(third)
        desk.worker.let.set()
        await trio.testing.wait_all_tasks_blocked()
        desk.worker.let.set()
        while not desk.arrivals._many.is_set() or len(desk.admitted) < 3:
            await trio.lowlevel.checkpoint()
        desk.add(SHORT)
        await trio.testing.wait_all_tasks_blocked()
        assert desk.admitted == [LONG, second, third, SHORT]
        nursery.cancel_scope.cancel()


async def test_bounds_hold(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "ARRIVED_MAX", 2)
    desk = Desk()
    assert desk.add(SHORT, SHORT, SHORT) == [True, True, False]
    monkeypatch.setattr(arriving, "ARRIVED_BYTES_MAX", len(LONG))
    desk = Desk()
    assert desk.add(LONG, SHORT) == [True, False]


async def test_what_comes_while_company_is_awaited_is_decoded_together(
    autojump_clock: MockClock,
) -> None:
    desk = Desk()
    desk.worker.let.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.arrivals.decode_many)
        with desk.arrivals.held():
            for _ in range(3):
                desk.add(*[SHORT] * (FEW_MAX + 1))
                await trio.testing.wait_all_tasks_blocked()
            assert desk.decoder.sizes == []
        await trio.testing.wait_all_tasks_blocked()
        assert desk.decoder.sizes == [3 * (FEW_MAX + 1)]
        nursery.cancel_scope.cancel()


async def test_those_that_wait_already_are_held_too(autojump_clock: MockClock) -> None:
    desk = Desk()
    desk.add(*[SHORT] * (FEW_MAX + 1))
    async with trio.open_nursery() as nursery:
        with desk.arrivals.held():
            nursery.start_soon(desk.arrivals.decode_many)
            await trio.testing.wait_all_tasks_blocked()
            assert desk.decoder.sizes == []
        desk.worker.let.set()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.decoder.sizes == [FEW_MAX + 1]
        nursery.cancel_scope.cancel()


async def test_a_full_block_is_not_held(autojump_clock: MockClock) -> None:
    desk = Desk()
    desk.worker.let.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.arrivals.decode_many)
        with desk.arrivals.held():
            desk.add(*[SHORT] * HELD_MAX)
            await trio.testing.wait_all_tasks_blocked()
            assert desk.decoder.sizes == [HELD_MAX]
        nursery.cancel_scope.cancel()


async def test_those_that_are_being_decoded_count(autojump_clock: MockClock) -> None:
    """Given a builder that counts who waits, when a thread decodes them, then they do not seem to have gone."""
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.arrivals.decode_many)
        with desk.arrivals.held():
            desk.add(*[SHORT] * HELD_MAX)
            await desk.worker.begun.wait()
            desk.add(SHORT)
            assert len(desk.arrivals) == HELD_MAX + 1
            desk.worker.let.set()
            await trio.testing.wait_all_tasks_blocked()
            assert (len(desk.arrivals), len(desk.admitted)) == (1, HELD_MAX)
        nursery.cancel_scope.cancel()
