"""The builder over the native engine: answers, origins, resets, faults, bounds; in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rollup.deposits import DEPOSIT_TYPE
from node.runtime.worker import Answer, InlineWorker
from sequencer.building import arriving, service
from sequencer.building.company import QUIET_S, SHARED_FROM, SHARED_S
from sequencer.building.limits import SealingLimits, WaitingLimits
from sequencer.building.service import STOPPED
from sequencer.building.waiting import Submission
from tests.kit.building import PARAMETERS, ListedL1, building, transfer, users
from tests.kit.rollup import GENESIS_TIME, portal_log
from tests.kit.rollup_chain import CHAIN_ID
from tests.kit.simulation import run_seeded
from tests.kit.transfers import sender, sign_transfer
from tests.sequencer.building.sealed import sealed


async def answered(answers: list[Submission], count: int) -> None:
    """Wait until so many are answered."""
    while len(answers) < count:  # noqa: ASYNC110  # virtual time is what is measured
        await trio.sleep(0.001)


async def test_a_transaction_s_receipt_is_there_when_the_answer_comes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        raw = transfer(0, 0)
        assert await site.builder.submit(raw) == Submission(keccak256(raw))
        found = site.chain.transaction_block(keccak256(raw))
        assert found is not None
        block, index = found
        assert (block.header.number, index) == (1, 0)
        assert b'"status":"0x1"' in site.engine.receipt_json(block.rlp, block.receipts, index)
        assert site.builder.get(keccak256(raw)) is None
        assert site.metric("faultline_sequencer_transactions_total") == 1


async def test_many_at_once_share_a_block_and_are_answered_in_its_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        answers: list[Submission] = []
        raws = [transfer(number % 8, number // 8) for number in range(64)]
        for raw in raws:
            site.builder.offer(raw, answers.append)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [Submission(keccak256(raw)) for raw in raws]
        assert sealed(site) == raws
        assert site.chain.head.header.number == 1


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"\xc0", None),
        (b"", None),
        (b"\x00" * 30_721, "oversized data: transaction size 30721, limit 30720"),
        (transfer(0, 0, gas_limit=8_000_000), "exceeds block gas limit"),
        (
            transfer(0, 0, gas_limit=20_000),
            "intrinsic gas too low: gas 20000, minimum needed 21000",
        ),
        (
            transfer(0, 0, value=10**25),
            "insufficient funds for gas * price + value: balance 1000000000000000000000000, ",
        ),
        (transfer(0, 0, to=b"\x01" * 20, chain=1), "invalid sender: invalid chain id"),
    ],
)
async def test_what_can_never_be_included_is_refused_at_once(
    tmp_path: Path, autojump_clock: MockClock, raw: bytes, refusal: str | None
) -> None:
    async with building(tmp_path) as site:
        answer = await site.builder.submit(raw)
        assert answer.refusal
        if refusal is not None:
            assert answer.refusal.startswith(refusal)
        assert site.chain.head.header.number == 0
        assert site.builder.counts() == (0, 0)


async def test_a_used_nonce_is_refused_in_geth_s_words(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        await site.builder.submit(transfer(0, 0))
        await site.builder.submit(transfer(0, 1))
        again = await site.builder.submit(transfer(0, 0))
        assert again.refusal == "nonce too low: next nonce 2, tx nonce 0"


async def test_a_gap_is_answered_at_once_shown_and_closed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        later = [transfer(0, nonce) for nonce in (2, 1)]
        for raw in later:
            assert await site.builder.submit(raw) == Submission(keccak256(raw))
        assert site.builder.counts() == (0, 2)
        address = users()[0].address
        assert [one.nonce for one in site.builder.queued()[address]] == [1, 2]  # type: ignore[index]
        assert site.builder.executable() == {}
        assert site.builder.next_nonce(address) is None
        assert site.builder.explain(keccak256(later[0])) == "an earlier nonce than 2 is missing"
        label = {"state": "nonce_gap"}
        assert site.metric("faultline_sequencer_waiting_transactions", **label) == 2
        await site.builder.submit(transfer(0, 0))
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == [transfer(0, nonce) for nonce in range(3)]
        assert site.builder.explain(keccak256(later[0])) is None


async def test_a_gap_is_not_acknowledged_to_whoever_could_not_pay(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        pauper = sender("a pauper")
        raw = sign_transfer(
            pauper, nonce=1, to=b"\x77" * 20, max_fee_per_gas=10**9, chain_id=CHAIN_ID
        )
        words = "insufficient funds for gas * price + value: balance 0, tx cost 21000000000001, "
        refusal = (await site.builder.submit(raw)).refusal
        assert refusal is not None
        assert refusal.startswith(words)
        half = 6 * 10**23
        assert (await site.builder.submit(transfer(0, 1, value=half))).refusal is None
        refusal = (await site.builder.submit(transfer(0, 2, value=half))).refusal
        assert refusal is not None
        assert "queued cost 600000000021000000000000, tx cost 600000000021000000000000" in refusal
        assert site.builder.counts() == (0, 1)


async def test_what_waits_for_a_nonce_makes_room_for_what_can_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path, limits=WaitingLimits(bytes_max=300)) as site:
        for nonce in (5, 6):
            assert (await site.builder.submit(transfer(0, nonce))).refusal is None
        raw = transfer(1, 0)
        assert await site.builder.submit(raw) == Submission(keccak256(raw))
        assert sealed(site) == [raw]
        assert site.builder.counts() == (0, 1)


async def test_nonces_in_any_order_all_get_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with building(tmp_path) as site:
        answers: list[Submission] = []
        for nonce in (5, 3, 4, 0, 2, 1, 9, 8, 7, 6):
            site.builder.offer(transfer(0, nonce), answers.append)
            await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == [transfer(0, nonce) for nonce in range(10)]
        assert [answer.refusal for answer in answers] == [None] * 10


# -- origins


async def test_the_origin_advances_without_transactions(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        for number in (1, 2):
            site.l1.advance()
            await trio.testing.wait_all_tasks_blocked()
            assert site.chain.head.header.number == number
            assert site.chain.head_origin == site.l1.confirmed
        site.l1.advance(confirmed=False)
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.number == 2


async def test_votes_confirm_an_origin_while_l1_stands_still(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        site.l1.advance(confirmed=False)
        await trio.testing.wait_all_tasks_blocked()
        site.l1.confirmed_number = 1
        await trio.sleep(2 * service.LOOK_EVERY_S)
        assert site.chain.head_origin.number == 1


async def test_a_backlog_of_origins_is_worked_off_one_a_block(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    l1 = ListedL1()
    for _ in range(20):
        l1.advance()
    async with building(tmp_path, l1=l1) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.number == 20
        assert site.chain.head_origin.number == 20


async def test_a_deposit_is_in_the_first_block_of_its_origin(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        target = b"\x51" * 20
        log = portal_log(0, to=target, mint=5, value=5, gas=50_000)
        site.l1.advance([bytes((DEPOSIT_TYPE,)) + log])
        await trio.testing.wait_all_tasks_blocked()
        head = site.chain.head
        raws = site.engine.raw_transactions(head.rlp)
        assert [raw[0] for raw in raws] == [DEPOSIT_TYPE, DEPOSIT_TYPE]
        account = site.engine.account(head.header.state_root, target)
        assert account is not None
        assert account.balance == 5


async def test_a_deposit_that_moves_its_sender_s_nonce_lets_go_what_waited_for_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        await site.builder.submit(transfer(0, 1))
        assert site.builder.counts() == (0, 1)
        log = portal_log(0, sender=users()[0].address, gas=50_000)
        site.l1.advance([bytes((DEPOSIT_TYPE,)) + log])
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == [transfer(0, 1)]


async def test_timestamps_follow_the_clock_up_to_the_drift(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        await trio.sleep(10)
        await site.builder.submit(transfer(0, 0))
        assert site.chain.head.header.timestamp == GENESIS_TIME + 10
        await trio.sleep(10_000)
        await site.builder.submit(transfer(0, 1))
        latest = GENESIS_TIME + PARAMETERS.max_drift_seconds
        assert site.chain.head.header.timestamp == latest
        site.l1.advance()
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.timestamp == latest + 2


async def test_nothing_is_built_on_an_origin_that_l1_left(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        site.l1.advance()
        site.l1.advance()
        await trio.testing.wait_all_tasks_blocked()
        await site.builder.submit(transfer(0, 0))
        answers: list[Submission] = []
        site.l1.reorganise(1)
        site.builder.offer(transfer(0, 1), answers.append)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        assert site.metric("faultline_sequencer_origin_lost") == 1
        waits = site.builder.explain(keccak256(transfer(0, 1)))
        assert waits == "the head's L1 origin is not on L1's chain; a reset is due"
        site.chain.reset_to(0)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == [Submission(keccak256(transfer(0, 1)))]
        assert sealed(site) == [transfer(0, 0), transfer(0, 1)]
        assert site.metric("faultline_sequencer_origin_lost") == 0


# -- the ration


async def test_blocks_are_rationed_after_the_burst(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(
        tmp_path, sealing=SealingLimits(burst_blocks=3, refill_per_second=200)
    ) as site:
        began = trio.current_time()
        for nonce in range(3):
            await site.builder.submit(transfer(0, nonce))
        assert trio.current_time() == began
        answers: list[Submission] = []
        for nonce in range(3, 6):
            site.builder.offer(transfer(0, nonce), answers.append)
            await trio.sleep(0.001)
        while len(answers) < 3:  # noqa: ASYNC110  # virtual time is what is measured
            await trio.sleep(0.001)
        # Five milliseconds of transactions share one block.
        assert site.chain.head.header.number == 4
        assert trio.current_time() - began == pytest.approx(0.005, abs=0.0011)


async def test_many_that_keep_coming_share_a_block(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        began, answers = trio.current_time(), list[Submission]()
        for start in range(0, 5 * SHARED_FROM, SHARED_FROM):
            for nonce in range(start, start + SHARED_FROM):
                site.builder.offer(transfer(0, nonce), answers.append)
            await trio.sleep(0.9 * QUIET_S)
        await answered(answers, 5 * SHARED_FROM)
        # The first block waits for nobody.
        assert site.chain.head.header.number == 2
        assert trio.current_time() - began == pytest.approx(SHARED_S, abs=0.003)


class SlowWorker(InlineWorker):
    """Takes longer than anybody may stay away who is waited for."""

    async def run(self, work: Callable[[], Answer]) -> Answer:
        await trio.sleep(1.5 * QUIET_S)
        return await super().run(work)


async def test_those_that_are_being_decoded_are_waited_for(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given so many that they are decoded while company is awaited, when more keep coming, then all share a block."""
    monkeypatch.setattr(arriving, "HELD_MAX", 2 * SHARED_FROM)
    async with building(tmp_path, worker=SlowWorker()) as site:
        answers, nonces = list[Submission](), iter(range(1_000))

        def offer(count: int) -> None:
            for _ in range(count):
                site.builder.offer(transfer(0, next(nonces)), answers.append)

        offer(SHARED_FROM)
        await answered(answers, SHARED_FROM)
        offer(2 * SHARED_FROM)
        for _ in range(3):
            await trio.sleep(0.9 * QUIET_S)
            offer(SHARED_FROM)
        await answered(answers, 6 * SHARED_FROM)
        assert site.chain.head.header.number == 2


async def test_many_who_wait_for_answers_wait_only_for_each_other(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        began = trio.current_time()
        for turn in range(12):
            answers: list[Submission] = []
            for nonce in range(turn * SHARED_FROM, (turn + 1) * SHARED_FROM):
                site.builder.offer(transfer(0, nonce), answers.append)
            await answered(answers, SHARED_FROM)
        # In vain before the second block, the fourth, the seventh and the twelfth: longer and longer it does not try.
        assert trio.current_time() - began == pytest.approx(4 * QUIET_S, abs=0.012)
        assert site.chain.head.header.number == 12


async def test_few_share_no_block_that_is_not_rationed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        began, answers = trio.current_time(), list[Submission]()
        for nonce in range(3 * (SHARED_FROM - 1)):
            site.builder.offer(transfer(0, nonce), answers.append)
            if nonce % (SHARED_FROM - 1) == SHARED_FROM - 2:
                await trio.testing.wait_all_tasks_blocked()
        assert len(answers) == 3 * (SHARED_FROM - 1)
        assert site.chain.head.header.number == 3
        assert trio.current_time() == began


async def test_what_is_refused_takes_nothing_from_the_ration(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(
        tmp_path, sealing=SealingLimits(burst_blocks=1, refill_per_second=1)
    ) as site:
        began = trio.current_time()
        assert (await site.builder.submit(transfer(0, 0, value=10**25))).refusal is not None
        assert (await site.builder.submit(transfer(0, 0))).refusal is None
        assert trio.current_time() == began


async def test_blocks_with_deposits_are_not_rationed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(
        tmp_path, sealing=SealingLimits(burst_blocks=1, refill_per_second=1)
    ) as site:
        await site.builder.submit(transfer(0, 0))
        for _ in range(5):
            site.l1.advance()
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head_origin.number == 5


# -- faults


async def test_a_stopped_sequencer_refuses_and_builds_nothing_until_it_is_healed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        await site.faults.inject("sequencer-stop", {})
        site.l1.advance()
        assert (await site.builder.submit(transfer(0, 0))).refusal == STOPPED
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.number == 0
        await site.faults.heal("sequencer-stop")
        assert (await site.builder.submit(transfer(0, 0))).refusal is None
        assert site.chain.head_origin.number == 1


async def test_a_censored_sender_is_told_nothing_and_waits(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        victim = users()[1].address
        await site.faults.inject("censor-sender", {"address": "0x" + victim.hex()})
        censored = transfer(1, 0)
        assert await site.builder.submit(censored) == Submission(keccak256(censored))
        await site.builder.submit(transfer(0, 0))
        assert sealed(site) == [transfer(0, 0)]
        assert [one.nonce for one in site.builder.executable()[victim]] == [0]  # type: ignore[index]
        assert site.builder.next_nonce(victim) == 1
        await site.faults.heal()
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == [transfer(0, 0), censored]


# -- determinism


async def build_history(folder: Path) -> list[Hash32]:
    """Offers, origins and rationed blocks; gives the chain."""
    async with building(folder, sealing=SealingLimits(burst_blocks=2)) as site:
        heard: list[Submission] = []
        for number in range(60):
            site.builder.offer(transfer(number % 5, number // 5), heard.append)
            if number % 7 == 0:
                await trio.sleep(0.002)
            if number % 20 == 0:
                site.l1.advance()
        await trio.sleep(1)
        assert [answer.refusal for answer in heard] == [None] * 60
        count = site.chain.head.header.number + 1
        hashes = [site.chain.canonical_hash(number) for number in range(count)]
        return [one for one in hashes if one is not None]


def test_one_seed_gives_one_chain(tmp_path: Path) -> None:
    first = run_seeded(7, lambda _: build_history(tmp_path / "first"))
    assert len(first) > 5
    assert run_seeded(7, lambda _: build_history(tmp_path / "second")) == first
