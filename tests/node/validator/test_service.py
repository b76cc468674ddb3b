"""Validators on real chains: what they propose and vote, what faults do to them, and that slashing follows."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from node.consensus.parameters import Parameters
from node.consensus.wire import decode_envelope, decode_votes
from node.eth.headers import header_of_block
from node.p2p.network import Topic
from node.storage.chain_database import Conflict
from tests.kit.fake_engine import INVALID_PREFIX
from tests.node.validator.network import Network, running

Mock = trio.testing.MockClock


def slots_with_blocks(network: Network) -> list[int]:
    """Slots of the canonical chain of the first process."""
    chain = network.processes[0].chain
    slots: list[int] = []
    for number in range(1, chain.head.header.number + 1):
        block = chain.block_by_number(number)
        assert block is not None
        slot = chain.rules.slot_at(block.header.timestamp)
        assert slot is not None
        slots.append(slot)
    return slots


def is_agreed(network: Network) -> bool:
    return len({process.chain.head.hash for process in network.processes}) == 1


async def test_every_slot_has_a_block_and_finality_follows(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(20)
        assert slots_with_blocks(network) == list(range(4, 21))
        assert is_agreed(network)
        head_epoch = network.processes[0].chain.rules.epoch_of(20)
        for process in network.processes:
            assert process.chain.finalized_checkpoint.epoch >= head_epoch - 2
            assert process.duties("vote", "done") + process.duties("vote", "head_only") == 17
            assert process.duties("vote", "refused") == 0
        assert sum(process.duties("propose", "done") for process in network.processes) == 17


async def test_votes_leave_when_the_block_is_there(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(8, 0.2)
        voted = [decode_votes(network.messages(n, Topic.L1_VOTE)[-1])[0] for n in range(4)]
        assert {vote.data.slot for vote in voted} == {8}
        assert {vote.data.head_hash for vote in voted} == {network.processes[0].chain.head.hash}


async def test_many_keys_vote_in_one_message(autojump_clock: Mock) -> None:
    async with running(2, keys_each=3) as network:
        await network.until_slot(9)
        messages = network.messages(1, Topic.L1_VOTE)
        assert [len(decode_votes(message)) for message in messages] == [3] * 6
        assert is_agreed(network)


async def test_a_block_holds_the_pools_transactions(autojump_clock: Mock) -> None:
    async with running(1) as network:
        process = network.processes[0]
        process.pool.add(b"transaction 1")
        process.pool.add(INVALID_PREFIX + b"2")
        process.pool.add(b"transaction 3")
        await network.until_slot(4)
        block = process.chain.block_by_number(1)
        assert block is not None
        engine = process.machine.engine
        assert engine is not None
        assert engine.raw_transactions(block.rlp) == [b"transaction 1", b"transaction 3"]
        assert process.pool.refused == [b"2" * 20]
        assert process.pool.discarded == [b"2" * 32]


async def test_votes_wait_no_longer_than_they_may(autojump_clock: Mock) -> None:
    async with running() as network:
        for process in network.processes:
            await process.faults.inject("miss-slots", {"slots": [9]})
        await network.until_slot(9, 0.39)
        last = [decode_votes(network.messages(n, Topic.L1_VOTE)[-1])[0] for n in range(4)]
        assert {vote.data.slot for vote in last} == {8}
        await network.until_slot(9, 0.45)
        last = [decode_votes(network.messages(n, Topic.L1_VOTE)[-1])[0] for n in range(4)]
        assert {vote.data.slot for vote in last} == {9}
        await network.until_slot(14)
        assert slots_with_blocks(network) == [4, 5, 6, 7, 8, 10, 11, 12, 13, 14]
        assert sum(process.duties("propose", "withheld") for process in network.processes) == 1


# -- nothing is signed


async def test_nothing_is_signed_while_syncing(autojump_clock: Mock) -> None:
    async with running() as network:
        resting = network.processes[3]
        resting.is_syncing = True
        await network.until_slot(10)
        assert network.messages(3, Topic.L1_VOTE) == []
        assert network.messages(3, Topic.L1_BLOCK) == []
        assert resting.duties("vote", "rested") == 7
        resting.is_syncing = False
        await network.until_slot(12)
        assert len(network.messages(3, Topic.L1_VOTE)) == 2


async def test_nothing_is_signed_after_a_safety_fault(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(6)
        stopped = network.processes[1]
        justified = stopped.chain.justified_checkpoint
        stopped.chain._store.conflict = Conflict(
            first=justified, second=justified, block_hash=stopped.chain.head.hash
        )
        before = len([1 for number, _, _ in network.sent if number == 1])
        await network.until_slot(16)
        assert len([1 for number, _, _ in network.sent if number == 1]) == before
        assert stopped.duties("vote", "rested") == 10


async def test_nothing_is_signed_before_the_first_slot(autojump_clock: Mock) -> None:
    async with running(slot=0.5) as network:
        await network.until_slot(3)
        assert network.sent == []
        await network.until_slot(4)
        assert len([1 for _, topic, _ in network.sent if topic is Topic.L1_BLOCK]) == 1


async def test_a_slot_that_was_slept_through_is_not_made_up_for(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(7)
        for process in network.processes:
            process.clock.skew_ms = 7_200_000
        await network.until_slot(3_607 + 12)
        slots = slots_with_blocks(network)
        assert slots[:4] == [4, 5, 6, 7]
        assert slots[4] >= 3_607
        for process in network.processes:
            assert process.chain.finalized_checkpoint.epoch >= process.chain.rules.epoch_of(3_607)


async def test_a_lost_database_is_noticed(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(30)
        process = next(one for one in network.processes if one.duties("propose", "done"))
        before = len(network.messages(process.number, Topic.L1_VOTE))
        service = process.service
        assert service is not None

        # Given the same keys with a fresh row, as after losing the database alone
        service._unvetted = set(process.signer.public_keys)
        await network.until_slot(40)

        # Then the chain's own record of their blocks keeps them from signing
        assert len(network.messages(process.number, Topic.L1_VOTE)) == before
        assert process.duties("vote", "refused") == 10
        assert process.duties("vote", "unknown") == 0


async def test_two_processes_with_one_database_never_contradict(autojump_clock: Mock) -> None:
    """A restart in the middle of a slot: the row of the process before stands."""
    async with running() as network:
        await network.until_slot(9, 0.5)
        process = network.processes[0]
        first = decode_votes(network.messages(0, Topic.L1_VOTE)[-1])[0]
        again = await process.chain.on_votes([first], origin="")
        assert [str(one) for one in again] == ["ignore"]
        service = process.service
        assert service is not None
        await service._vote(first.data.slot)
        resent = decode_votes(network.messages(0, Topic.L1_VOTE)[-1])
        assert resent == [first] or process.duties("vote", "refused") == 1


# -- faults


async def test_one_equivocation_costs_one_stake_and_no_finality(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(6)
        culprit = network.processes[2]
        healed = trio.Event()
        culprit.faults.on_change(lambda: None if culprit.faults.active() else healed.set())
        await culprit.faults.inject("equivocate", {})
        with trio.fail_after(120):
            await healed.wait()
        slot = culprit.clock.current_slot()
        await network.until_slot(slot + 16)
        assert [one.slashed for one in network.processes[0].validators()] == [
            False, False, True, False,
        ]  # fmt: skip
        assert is_agreed(network)
        for process in network.processes:
            assert process.chain.finalized_checkpoint.epoch >= process.chain.rules.epoch_of(
                slot + 8
            )
        assert network.processes[0].validators()[2].balance_gwei == 16_000_000_000


async def test_equivocating_voters_are_slashed(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(8)
        culprit = network.processes[1]
        await culprit.faults.inject("vote-equivocate", {"count": 1})
        await network.until_slot(20)
        slashed = [one.slashed for one in network.processes[0].validators()]
        assert slashed == [False, True, False, False]
        assert culprit.faults.active() == []
        assert is_agreed(network)


async def test_a_process_of_many_keys_is_slashed_whole_and_finality_goes_on(
    autojump_clock: Mock,
) -> None:
    async with running(keys_each=8) as network:
        await network.until_slot(8)
        await network.processes[1].faults.inject("vote-equivocate", {"count": 1})
        await network.until_slot(30)
        state = network.processes[0].chain.consensus_state(network.processes[0].chain.head.hash)
        assert state is not None
        ours = range(8, 16)
        assert [i for i, one in enumerate(state.validators) if one.slashed] == list(ours)
        assert state.sets[-1].weights == sum(1 << i for i in range(32) if i not in ours)
        assert is_agreed(network)
        chain = network.processes[0].chain
        assert chain.finalized_checkpoint.epoch >= chain.rules.epoch_of(chain.head_slot) - 3


async def test_withheld_votes_end_by_themselves(autojump_clock: Mock) -> None:
    async with running() as network:
        await network.until_slot(8)
        before = len(network.messages(1, Topic.L1_VOTE))
        await network.processes[1].faults.inject("withhold-votes", {"slots": 3})
        await network.until_slot(11)
        assert len(network.messages(1, Topic.L1_VOTE)) == before
        await network.until_slot(13)
        assert len(network.messages(1, Topic.L1_VOTE)) == before + 2
        assert network.processes[1].duties("vote", "withheld") == 3


@pytest.mark.parametrize(("delay_ms", "stays"), [(700, True), (1_400, True), (2_300, False)])
async def test_a_block_later_than_its_slot_is_left_out(
    autojump_clock: Mock, delay_ms: int, *, stays: bool
) -> None:
    async with running() as network:
        await network.until_slot(8)
        for process in network.processes:
            await process.faults.inject("late-block", {"delay_ms": delay_ms, "duration": 2})
        await network.until_slot(16)
        chain = network.processes[0].chain
        blocks = [message for _, topic, message in network.sent if topic is Topic.L1_BLOCK]
        headers = [header_of_block(decode_envelope(message).block) for message in blocks]
        late = next(one for one in headers if chain.rules.slot_at(one.timestamp) == 9)
        assert chain.has_block(late.hash())
        assert chain.is_canonical(late.hash()) is stays
        assert slots_with_blocks(network) == [slot for slot in range(4, 17) if stays or slot != 9]
        assert is_agreed(network)
        assert not any(one.slashed for one in network.processes[0].validators())


async def test_a_skewed_clock_slashes_nobody(autojump_clock: Mock) -> None:
    async with running() as network:
        skewed = network.processes[3]
        await network.until_slot(8)
        for skew_ms in (3_000, 0, -5_000, 0):
            skewed.clock.skew_ms = skew_ms
            await trio.sleep(10)
        await trio.sleep(30)
        assert not any(one.slashed for one in network.processes[0].validators())
        chain = network.processes[0].chain
        assert chain.finalized_checkpoint.epoch >= chain.rules.epoch_of(chain.head_slot) - 3


@pytest.mark.parametrize("slots_per_epoch", [1, 2, 4])
async def test_other_epochs_work_too(autojump_clock: Mock, slots_per_epoch: int) -> None:
    parameters = Parameters(
        slots_per_epoch=slots_per_epoch, lookahead_slots=max(4, 2 * slots_per_epoch)
    )
    async with running(parameters=parameters) as network:
        await network.until_slot(8 * max(2, slots_per_epoch))
        chain = network.processes[0].chain
        assert chain.finalized_checkpoint.epoch >= chain.rules.epoch_of(chain.head_slot) - 3
        assert is_agreed(network)
