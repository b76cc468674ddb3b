"""Votes and proofs from peers: who is let through, who is blamed, what is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from node.chain.ballots import LAG_SLOTS_MAX
from node.chain.events import BlocksWanted, EvidenceFound
from node.chain.judging import Judgement
from node.consensus.containers import ProposalEvidence, VoteEvidence
from node.consensus.state_transition import open_envelope
from node.consensus.wire import decode_envelope
from node.eth.primitives import Address, Hash32, Slot, ValidatorIndex
from tests.kit.chain_builder import BuiltBlock, with_signature
from tests.kit.chain_harness import Machine, make_network

OTHER = Address(b"\x0f" * 20)


@pytest.fixture
def machine() -> Machine:
    return Machine(network=make_network())


def fork(machine: Machine) -> tuple[BuiltBlock, BuiltBlock, BuiltBlock]:
    """A base with two blocks on it, both of slot 5."""
    builder = machine.network.builder
    (base,) = builder.extend(builder.genesis_hash, range(4, 5))
    left, right = (
        builder.build(base.hash, 5, fee_recipient=one) for one in (OTHER, Address(bytes(20)))
    )
    return base, left, right


async def test_a_good_vote_is_forwarded_once(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, _, _ = fork(machine)
    vote = builder.vote(1, 4, base.hash)

    async with machine.running(4.5) as chain:
        await chain.import_envelope(base.envelope, origin="peer")

        assert await chain.on_votes([vote], origin="peer") == [Judgement.FORWARD]
        assert await chain.on_votes([vote], origin="peer") == [Judgement.IGNORE]


async def test_votes_of_one_message_are_judged_one_by_one(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, _, _ = fork(machine)
    good = builder.vote(0, 4, base.hash)
    forged = with_signature(builder.vote(1, 4, base.hash), bytes(64))
    stranger = replace(good, validator_index=ValidatorIndex(256))
    early = builder.sign(2, replace(good.data, slot=Slot(9)))
    backwards = builder.sign(
        3, replace(good.data, source=good.data.target, target=good.data.target)
    )

    async with machine.running(4.5) as chain:
        await chain.import_envelope(base.envelope, origin="peer")
        judgements = await chain.on_votes([good, forged, stranger, early, backwards], origin="peer")

        assert judgements == [
            Judgement.FORWARD,
            Judgement.REJECT,
            Judgement.REJECT,
            Judgement.IGNORE,
            Judgement.REJECT,
        ]
        assert machine.metric("faultline_consensus_votes_total", outcome="reject") == 3


async def test_an_index_that_nobody_has_yet_is_nobodys_fault(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)
    newcomer = replace(builder.vote(0, 4, base.hash), validator_index=ValidatorIndex(4))
    beyond = replace(newcomer, validator_index=ValidatorIndex(256))
    votes = [
        replace(builder.vote(1, 5, one.hash), validator_index=ValidatorIndex(4))
        for one in (left, right)
    ]
    proof = VoteEvidence(first=votes[0], second=votes[1])

    async with machine.running(5.5) as chain:
        assert await chain.on_votes([newcomer, beyond], origin="peer") == [
            Judgement.UNKNOWN,
            Judgement.REJECT,
        ]
        assert await chain.on_evidence(proof) is Judgement.UNKNOWN


async def test_what_goes_on_to_others_is_verified_whole(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, _, _ = fork(machine)
    known, news = (builder.vote(index, 4, base.hash) for index in (0, 1))
    forged = with_signature(known, bytes(64))

    async with machine.running(4.5) as chain:
        await chain.on_votes([known], origin="peer")

        assert await chain.on_votes([forged], origin="peer") == [Judgement.IGNORE]
        assert await chain.on_votes([forged, news], origin="peer") == [
            Judgement.REJECT,
            Judgement.FORWARD,
        ]


async def test_votes_that_contradict_are_evidence_beside_two_blocks_of_a_slot(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)
    proposals = [open_envelope(decode_envelope(one.envelope)).proposal for one in (left, right)]
    offender = proposals[0].proposer_index
    votes = [builder.vote(offender, 5, one.hash) for one in (left, right)]
    proof = VoteEvidence(first=votes[0], second=votes[1])

    async with machine.running(5.5) as chain:
        for block in (base, left, right):
            await chain.import_envelope(block.envelope, origin="peer")
        assert [type(one) for one in chain.evidence] == [ProposalEvidence]
        with chain.subscribe() as subscription:
            assert await chain.on_evidence(proof) is Judgement.FORWARD
            assert await subscription.receive() == EvidenceFound(evidence=proof)
        assert await chain.on_evidence(proof) is Judgement.IGNORE

    async with machine.running(6) as chain:
        assert list(chain.evidence) == [proof]
        assert offender in chain._store.fork_choice.equivocators


async def test_an_expired_vote_is_ignored_without_verifying_it(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    vote = builder.vote(0, 4, builder.genesis_hash)

    async with machine.running(13) as chain:
        asked = machine.verifier.asked

        assert await chain.on_votes([vote], origin="peer") == [Judgement.IGNORE]
        assert machine.verifier.asked == asked


async def test_a_message_is_verified_in_one_call(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, _, _ = fork(machine)
    votes = [builder.vote(index, 4, base.hash) for index in range(4)]

    async with machine.running(4.5) as chain:
        await chain.import_envelope(base.envelope, origin="peer")
        calls = machine.verifier.calls
        await chain.on_votes(votes, origin="peer")

        assert machine.verifier.calls == calls + 1


async def test_the_second_vote_is_evidence_and_the_third_is_not_needed(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)
    voter = 1  # Not the proposer of slot 5, who is caught for its two blocks.
    votes = [builder.vote(voter, 5, one.hash) for one in (left, right, base)]

    async with machine.running(5.5) as chain:
        for block in (base, left):
            await chain.import_envelope(block.envelope, origin="peer")
        with chain.subscribe() as subscription:
            judgements = [(await chain.on_votes([vote], origin="p"))[0] for vote in votes]
            events = [await subscription.receive() for _ in range(2)]

        assert judgements == [Judgement.FORWARD, Judgement.FORWARD, Judgement.IGNORE]
        assert events == [
            BlocksWanted(roots=(right.hash,)),
            EvidenceFound(evidence=VoteEvidence(first=votes[0], second=votes[1])),
        ]
        assert machine.disk.tables["evidence"].keys() == {voter.to_bytes(4)}


async def test_votes_move_the_head_at_the_freeze_and_not_before(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)

    async with machine.running(5.5) as chain:
        for block in (base, left, right):
            await chain.import_envelope(block.envelope, origin="peer")
        other = next(one for one in (left, right) if one.hash != chain.head.hash)
        votes = [builder.vote(index, 5, other.hash) for index in range(3)]
        await chain.on_votes(votes, origin="peer")
        assert chain.head.hash != other.hash
        assert chain.confirmed.hash == other.hash

        await chain.clock.sleep_until_slot(5, 0.81)

        assert chain.head.hash == other.hash
        assert machine.metric("faultline_consensus_participation_ratio") == 0.75
        assert machine.metric("faultline_consensus_silent_slots") == 0

        # Given one vote of four in the next slots, when they are frozen, then each counts as silent.
        for slot in (6, 7):
            await chain.clock.sleep_until_slot(slot, 0.5)
            await chain.on_votes([builder.vote(0, slot, other.hash)], origin="peer")
            await chain.clock.sleep_until_slot(slot, 0.81)
            assert machine.metric("faultline_consensus_participation_ratio") == 0.25
            assert machine.metric("faultline_consensus_silent_slots") == slot - 5


SILENT = "faultline_consensus_silent_slots"


async def test_slots_that_a_pause_skips_are_silent_unless_votes_of_them_came(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a loop that stood still for some slots, then they count by what has been heard of them since."""
    builder = machine.network.builder
    base, left, _ = fork(machine)

    async with machine.running(5.5) as chain:
        for block in (base, left):
            await chain.import_envelope(block.envelope, origin="peer")
        await chain.on_votes([builder.vote(one, 5, left.hash) for one in range(3)], origin="peer")
        await chain.clock.sleep_until_slot(5, 0.81)
        assert machine.metric(SILENT) == 0

        chain.clock.skew_ms += 3 * chain.clock.slot_duration_ms
        await chain.clock.sleep_until_slot(9, 0.81)
        assert machine.metric(SILENT) == 4

        chain.clock.skew_ms += 2 * chain.clock.slot_duration_ms
        await chain.clock.sleep_until_slot(12, 0.5)
        await chain.on_votes([builder.vote(one, 11, left.hash) for one in range(3)], origin="peer")
        await chain.clock.sleep_until_slot(12, 0.81)
        assert machine.metric(SILENT) == 1


async def test_who_is_far_behind_counts_no_silence(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a node that joins late, then silence counts once its head is of now: before, it may not know who votes."""
    builder = machine.network.builder
    (late,) = builder.extend(builder.genesis_hash, range(52, 53))

    async with machine.running(50.5) as chain:
        await chain.clock.sleep_until_slot(51, 0.81)
        assert machine.metric(SILENT) == 0
        await chain.clock.sleep_until_slot(52, 0.5)
        await chain.import_envelope(late.envelope, origin="peer")
        await chain.clock.sleep_until_slot(52, 0.81)
        assert machine.metric(SILENT) == 1


async def test_a_network_that_ended_stays_silent(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    """Given no votes and no blocks any more, then the number stands where the head got too old, until votes are heard."""
    builder = machine.network.builder
    base, left, _ = fork(machine)

    async with machine.running(5.5) as chain:
        for block in (base, left):
            await chain.import_envelope(block.envelope, origin="peer")
        for slot in (5 + LAG_SLOTS_MAX, 20, 40):
            await chain.clock.sleep_until_slot(slot, 0.81)
            assert machine.metric(SILENT) == LAG_SLOTS_MAX + 1
        await chain.clock.sleep_until_slot(41, 0.5)
        await chain.on_votes([builder.vote(one, 41, left.hash) for one in range(3)], origin="peer")
        await chain.clock.sleep_until_slot(41, 0.81)
        assert machine.metric(SILENT) == 0


async def test_preparing_a_block_counts_the_votes_first(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)

    async with machine.running(5.5) as chain:
        for block in (base, left, right):
            await chain.import_envelope(block.envelope, origin="peer")
        other = next(one for one in (left, right) if one.hash != chain.head.hash)
        votes = [builder.vote(index, 5, other.hash) for index in range(3)]
        await chain.on_votes(votes, origin="peer")

        inputs = chain.prepare(Slot(6))

        assert inputs is not None
        assert inputs.parent.hash == other.hash
        assert inputs.ancestors == other.hash + chain.ancestors(other.hash)
        assert sum(len(one.voters) for one in inputs.votes) == 3
        assert inputs.attributes.slot == 6
        assert chain.prepare(Slot(5)) is None


async def test_an_own_block_is_imported_without_executing_it(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    block = builder.build(builder.genesis_hash, 4)

    async with machine.running(4) as chain:
        await chain.import_own(block.envelope, block.result)

        assert chain.head.hash == block.hash
        assert machine.engine is not None
        assert machine.engine.executed == []
        assert machine.engine.has_state(chain.head.header.state_root)


async def test_a_vote_for_an_unknown_head_waits_for_it(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, _ = fork(machine)
    vote = builder.vote(1, 5, left.hash)

    async with machine.running(5.5) as chain:
        await chain.import_envelope(base.envelope, origin="peer")
        with chain.subscribe() as subscription:
            assert await chain.on_votes([vote], origin="voter") == [Judgement.FORWARD]
            assert await subscription.receive() == BlocksWanted(roots=(left.hash,))
        assert chain.wanted == {left.hash: "voter"}
        assert await chain.on_votes([vote], origin="voter") == [Judgement.IGNORE]

        await chain.import_envelope(left.envelope, origin="peer")

        assert chain.wanted == {}
        inputs = chain.prepare(Slot(6))
        assert inputs is not None
        assert [one.data for one in inputs.votes] == [vote.data]


async def test_a_candidate_without_weight_gets_one_vote_a_slot(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)

    async with machine.running(5.5) as chain:
        for block in (base, left, right):
            await chain.import_envelope(block.envelope, origin="peer")
        chain._ballots._weighted = lambda: 0b0111  # type: ignore[method-assign]

        first, second = (builder.vote(3, 5, one.hash, head_only=True) for one in (left, right))
        assert await chain.on_votes([first], origin="peer") == [Judgement.FORWARD]
        assert await chain.on_votes([second], origin="peer") == [Judgement.IGNORE]


async def test_a_proof_is_taken_once_and_a_false_one_is_blamed(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base, left, right = fork(machine)
    votes = [builder.vote(2, 5, one.hash) for one in (left, right)]
    proof = VoteEvidence(first=votes[0], second=votes[1])
    same = VoteEvidence(first=votes[0], second=votes[0])
    forged = VoteEvidence(first=votes[0], second=with_signature(votes[1], bytes(64)))
    proposals = [open_envelope(decode_envelope(one.envelope)).proposal for one in (left, right)]
    proposed = ProposalEvidence(first=proposals[0], second=proposals[1])
    accused = proposals[0].proposer_index

    async with machine.running(5.5) as chain:
        await chain.import_envelope(base.envelope, origin="peer")

        assert await chain.on_evidence(same) is Judgement.REJECT
        assert await chain.on_evidence(forged) is Judgement.REJECT
        assert await chain.on_evidence(proof) is Judgement.FORWARD
        assert await chain.on_evidence(proof) is Judgement.IGNORE
        wanted = Judgement.IGNORE if accused == 2 else Judgement.FORWARD
        assert await chain.on_evidence(proposed) is wanted

        inputs = chain.prepare(Slot(6))
        assert inputs is not None
        assert proof in inputs.evidence


async def test_unknown_heads_do_not_pile_up(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder

    async with machine.running(5.5) as chain:
        for number in range(40):
            head = Hash32(number.to_bytes(32))
            data = replace(builder.vote(0, 4, builder.genesis_hash).data, head_hash=head)
            for index in range(4):
                await chain.on_votes([builder.sign(index, data)], origin="peer")

        assert len(chain.wanted) <= 8
