"""What becomes of transactions whose blocks are dropped, and of those whose block is being built meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
from trio.testing import MockClock

from node.eth.hashing import keccak256
from node.rollup.deposits import DEPOSIT_TYPE
from node.runtime.worker import Answer
from sequencer.building.limits import SealingLimits
from sequencer.building.waiting import Submission
from tests.kit.building import building, transfer
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import CHAIN_ID
from tests.kit.transfers import sender, sign_transfer
from tests.sequencer.building.sealed import sealed


async def test_dropped_transactions_are_included_again_in_their_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        raws = [transfer(user, nonce) for nonce in range(3) for user in (0, 1)]
        for raw in raws:
            await site.builder.submit(raw)
        assert site.chain.head.header.number == 6
        site.chain.reset_to(1)
        new = transfer(1, 3)
        assert await site.builder.submit(new) == Submission(keccak256(new))
        assert sealed(site) == [*raws, new]
        assert site.metric("faultline_sequencer_transactions_returned_total") == 5


async def test_what_comes_back_waits_for_the_deposit_that_pays_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Given a sender funded by the second of two origins, a reset to before both loses nothing of it."""
    poor = sender("has nothing on L2")
    spend = sign_transfer(poor, nonce=0, to=b"\x52" * 20, chain_id=CHAIN_ID, value=1)
    async with building(tmp_path) as site:
        site.l1.advance()
        log = portal_log(0, to=poor.address, mint=10**18, value=10**18, gas=50_000)
        site.l1.advance([bytes((DEPOSIT_TYPE,)) + log])
        await trio.testing.wait_all_tasks_blocked()
        assert (await site.builder.submit(spend)).refusal is None
        assert (await site.builder.submit(transfer(0, 0))).refusal is None

        site.chain.reset_to(0)
        await trio.testing.wait_all_tasks_blocked()

        assert sealed(site) == [spend, transfer(0, 0)]
        assert site.chain.head_origin.number == 2


class Interrupted:
    """A worker in which something happens before its work is done."""

    def __init__(self) -> None:
        self.happens: list[Callable[[], object]] = []

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run it in place, and let things happen."""
        answer = work()
        await trio.lowlevel.checkpoint()
        while self.happens:
            self.happens.pop()()
        return answer


async def test_a_block_begun_on_a_head_that_is_gone_is_thrown_away(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Given a reset while a block is sealed, its transactions and the dropped ones are included, each once."""
    worker = Interrupted()
    async with building(tmp_path, sealing_worker=worker) as site:
        first = [transfer(user, 0) for user in range(3)]
        for raw in first:
            await site.builder.submit(raw)
        worker.happens.append(lambda: site.chain.reset_to(1))
        answers: list[Submission] = []
        more = [transfer(user % 8, 1 + user // 8 - (user % 8 > 2)) for user in range(20)]
        for raw in more:
            site.builder.offer(raw, answers.append)
        await trio.testing.wait_all_tasks_blocked()
        assert worker.happens == []
        assert sorted(sealed(site)) == sorted(first + more)
        assert [answer.refusal for answer in answers] == [None] * 20


async def test_whoever_loses_its_place_unheard_is_told_so(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Given no ration, a waiting transaction is replaced, and a reset brings back what has the place of its replacement."""
    async with building(
        tmp_path, sealing=SealingLimits(burst_blocks=1, refill_per_second=1)
    ) as site:
        await site.builder.submit(transfer(0, 0))
        heard: list[Submission] = []
        site.builder.offer(transfer(0, 1), heard.append)
        site.builder.offer(transfer(0, 1, tip=10**9), heard.append)
        other = transfer(0, 0, value=2)
        site.builder.offer(other, heard.append)
        site.builder.offer(transfer(1, 0), heard.append)
        await trio.testing.wait_all_tasks_blocked()
        words = "replacement transaction underpriced: another one with this nonce pays more"
        assert heard == [Submission(keccak256(transfer(0, 1)), words)]
        site.chain.reset_to(0)
        await trio.sleep(1.5)
        assert heard[1:] == [
            Submission(keccak256(other), "nonce too low: next nonce 1, tx nonce 0"),
            Submission(keccak256(transfer(0, 1, tip=10**9))),
            Submission(keccak256(transfer(1, 0))),
        ]
