"""What one block, the pool and one sender may take; free runs and who makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.runtime.worker import Answer, InlineWorker
from sequencer.building import arriving, misfits, service
from sequencer.building.limits import WaitingLimits
from sequencer.building.waiting import Submission
from tests.kit.building import building, genesis_document, transfer
from tests.kit.rollup_chain import REVERTER
from tests.sequencer.building.sealed import sealed, transactions

BIG = [bytes([0xB1, number]) * 10 for number in range(12)]
"""Contracts whose codes are more than one block's witness holds."""


class Counting(InlineWorker):
    """Counts what it was given."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Count and run."""
        self.runs += 1
        return await super().run(work)


def genesis_of_big_contracts() -> bytes:
    document = json.loads(genesis_document())
    for address in BIG:
        document["alloc"]["0x" + address.hex()] = {
            "balance": "0x0",
            "code": "0x" + (address[:2] * 12_000).hex(),
        }
    return json.dumps(document).encode()


def reads_all(user: int, nonce: int) -> bytes:
    """A creation that asks for the length of every big contract."""
    data = b"".join(b"\x73" + address + b"\x3b\x50" for address in BIG)
    return transfer(user, nonce, to=b"", value=0, data=data, gas_limit=300_000)


async def test_what_fits_into_no_block_is_run_once_and_its_sender_pauses(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path, genesis=genesis_of_big_contracts()) as site:
        label = {"outcome": "never_fits"}
        offered = "faultline_sequencer_transactions_offered_total"
        words = "touches more than a block's witness"
        for _ in range(2):
            refusal = (await site.builder.submit(reads_all(0, 0))).refusal
            assert refusal is not None
            assert refusal.startswith(words)
        assert site.metric(offered, **label) == 1
        refusal = (await site.builder.submit(transfer(0, 0))).refusal
        assert refusal == "sender has sent what fits into no block: try again in 1000 ms"
        assert (await site.builder.submit(transfer(1, 0))).refusal is None
        await trio.sleep(misfits.PAUSE_MS / 1_000)
        assert (await site.builder.submit(transfer(0, 0))).refusal is None
        assert sealed(site) == [transfer(1, 0), transfer(0, 0)]


async def test_what_may_take_long_is_not_sealed_on_the_loop(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    worker = Counting()
    async with building(tmp_path, sealing_worker=worker) as site:
        for user in range(8):
            assert (await site.builder.submit(transfer(user, 0))).refusal is None
        assert worker.runs == 0
        raw = transfer(0, 1, gas_limit=service.IN_PLACE_GAS_MAX + 1)
        assert (await site.builder.submit(raw)).refusal is None
        assert worker.runs == 1


async def test_a_block_s_bytes_make_the_rest_wait_for_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        answers: list[Submission] = []
        raws = [transfer(user, 0, data=bytes(12_000), gas_limit=600_000) for user in range(5)]
        for raw in raws:
            site.builder.offer(raw, answers.append)
        await trio.testing.wait_all_tasks_blocked()
        assert [answer.refusal for answer in answers] == [None] * 5
        assert sealed(site) == raws
        sizes = [
            len(transactions(site, block))
            for number in range(1, site.chain.head.header.number + 1)
            if (block := site.chain.block_by_number(number)) is not None
        ]
        assert sizes == [2, 2, 1]


async def test_a_block_s_gas_makes_the_rest_wait_for_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        answers: list[Submission] = []
        for user in range(3):
            raw = transfer(user, 0, to=REVERTER, gas_limit=6_990_000)
            site.builder.offer(raw, answers.append)
        await trio.testing.wait_all_tasks_blocked()
        assert [answer.refusal for answer in answers] == [None] * 3
        assert site.chain.head.header.number == 3
        assert site.metric("faultline_sequencer_limits_met_total", limit="block_full") == 2


async def test_a_full_pool_refuses(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with building(tmp_path, limits=WaitingLimits(transactions_max=2)) as site:
        for nonce in (5, 6):
            await site.builder.submit(transfer(0, nonce))
        assert (await site.builder.submit(transfer(0, 7))).refusal == "txpool is full"


async def test_more_arrivals_than_there_is_room_for_are_refused(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "ARRIVED_MAX", 4)
    async with building(tmp_path) as site:
        answers: list[Submission] = []
        for nonce in range(6):
            site.builder.offer(transfer(0, nonce), answers.append)
        assert [answer.refusal for answer in answers] == ["txpool is full"] * 2
        await trio.testing.wait_all_tasks_blocked()
        assert len(sealed(site)) == 4
