"""What one node believes: heads, confirmed blocks, finality, and what strangers can make it hold."""

from __future__ import annotations

import time

import pytest

from node.consensus.containers import (
    AggregateVote,
    Proposal,
    ProposalEvidence,
    Vote,
    VoteData,
    VoteEvidence,
)
from node.consensus.fork_choice import ForkChoice, Limits, SafetyFault
from node.consensus.parameters import Parameters
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import Chain, checkpoint, network

UNKNOWN = Hash32(b"\xee" * 32)


def grown(last: int = 12, count: int = 4, limits: Limits | None = None) -> Chain:
    chain = Chain(network=network(count), limits=limits)
    chain.run(4, last)
    return chain


def head_vote(chain: Chain, index: int, slot: int, head: Hash32) -> Vote:
    data = VoteData(slot=Slot(slot), head_hash=head, source=None, target=None)
    return chain.network.vote(chain.network.genesis_state, index, data)


def fork(chain: Chain, slot: int) -> tuple[Hash32, Hash32]:
    """Two blocks of one proposer on the tip, none timely."""
    base = chain.tip
    blocks = []
    for salt in (b"one", b"two"):
        proposed = chain.propose(slot, parent=base, salt=salt)
        blocks.append(chain.add(proposed, timely=False))
        chain.tip = base
    return min(blocks), max(blocks)


# -- head


def test_the_heavier_branch_wins_whatever_its_hash() -> None:
    chain = grown()
    low, high = fork(chain, 13)
    assert chain.view.head(Slot(13)) == high
    for index in (0, 1, 2):
        chain.view.on_vote(head_vote(chain, index, 13, low), Slot(13))
    chain.view.freeze()
    assert chain.view.head(Slot(14)) == low


def test_a_vote_counts_for_the_head_from_the_freeze_on_and_for_confirmation_at_once() -> None:
    chain = grown()
    low, high = fork(chain, 13)
    for index in (0, 1, 2):
        chain.view.on_vote(head_vote(chain, index, 13, low), Slot(13))
    assert chain.view.head(Slot(13)) == high
    assert chain.view.confirmed(Slot(13)) == low
    chain.view.freeze()
    assert chain.view.head(Slot(13)) == low


def test_votes_in_a_block_count_at_once() -> None:
    chain = grown()
    base = chain.tip
    low, high = fork(chain, 13)
    data = VoteData(slot=Slot(13), head_hash=low, source=None, target=None)
    votes = (chain.network.aggregate(chain.state(base), [0, 1, 2], data),)
    above = chain.add(chain.propose(14, parent=high, votes=votes), timely=False)
    assert chain.view.head(Slot(14)) == low
    assert above in chain.view


def test_a_timely_block_wins_ties_in_its_own_slot_only() -> None:
    chain = grown()
    base = chain.tip
    one = chain.propose(13, parent=base, salt=b"one")
    two = chain.propose(13, parent=base, salt=b"two")
    timely, late = sorted((one, two), key=lambda proposed: proposed.block_hash)
    chain.add(timely, timely=True)
    chain.tip = base
    chain.add(late, timely=False)
    assert chain.view.head(Slot(13)) == timely.block_hash
    assert chain.view.head(Slot(14)) == late.block_hash


def test_the_second_timely_block_of_a_slot_wins_nothing() -> None:
    chain = grown()
    base = chain.tip
    one = chain.propose(13, parent=base, salt=b"one")
    two = chain.propose(13, parent=base, salt=b"two")
    low, high = sorted((one, two), key=lambda proposed: proposed.block_hash)
    for proposed in (low, high):
        chain.tip = base
        chain.add(proposed, timely=True)
    assert chain.view.head(Slot(13)) == low.block_hash


def test_votes_expire_after_eight_slots() -> None:
    chain = grown()
    low, high = fork(chain, 13)
    for index in (0, 1, 2):
        chain.view.on_vote(head_vote(chain, index, 13, low), Slot(13))
    chain.view.freeze()
    assert chain.view.head(Slot(21)) == low
    assert chain.view.confirmed(Slot(21)) == low
    assert chain.view.head(Slot(22)) == high
    assert chain.view.confirmed(Slot(22)) != low


def test_an_equivocators_votes_weigh_nothing() -> None:
    chain = grown()
    low, high = fork(chain, 13)
    chain.view.on_vote(head_vote(chain, 0, 13, low), Slot(13))
    chain.view.freeze()
    assert chain.view.head(Slot(14)) == low
    piece = chain.view.on_vote(head_vote(chain, 0, 13, high), Slot(13))
    assert isinstance(piece, VoteEvidence)
    assert chain.view.equivocators == {0}
    assert chain.view.head(Slot(14)) == high
    assert chain.view.evidence[ValidatorIndex(0)] == piece


def test_a_block_between_checkpoint_block_and_its_epoch_contradicts_the_checkpoint() -> None:
    """Given (epoch 8, block of slot 12) is justified, then a block of slot 15 on it cannot be in the head's chain."""
    chain = grown(12)
    base, state = chain.tip, chain.state()
    early = chain.add(chain.propose(15, parent=base), timely=False)
    data = VoteData(
        slot=Slot(17),
        head_hash=base,
        source=state.justified,
        target=checkpoint(8, base),
    )
    votes = (chain.network.aggregate(state, [0, 1, 2], data),)
    chain.tip = base
    later = chain.add(chain.propose(18, parent=base, votes=votes), timely=False)
    assert chain.view.justified == checkpoint(8, base)
    for index in range(4):
        chain.view.on_vote(head_vote(chain, index, 18, early), Slot(18))
    chain.view.freeze()
    assert chain.view.head(Slot(18)) == later


# -- confirmed and finality


def test_confirmed_follows_two_thirds() -> None:
    chain = grown()
    tip = chain.tip
    above = chain.extend(13)
    assert chain.view.confirmed(Slot(13)) == tip
    for index, expected in ((0, tip), (1, tip), (2, above)):
        chain.view.on_vote(head_vote(chain, index, 13, above), Slot(13))
        assert chain.view.confirmed(Slot(13)) == expected


def test_finality_moves_up_and_settles_what_it_leaves_behind() -> None:
    chain = Chain(network=network(4), limits=Limits(retained_slots=0))
    final = []
    for slot in range(4, 60):
        chain.run(slot, slot)
        final.append(chain.view.finalized.epoch)
        assert chain.view.extends(chain.view.justified.block_hash, chain.view.finalized.block_hash)
        assert chain.view.extends(chain.view.head(Slot(slot)), chain.view.justified.block_hash)
    assert final == sorted(final)
    assert final[-1] >= 27
    assert chain.network.genesis_hash not in chain.view
    assert chain.view.is_settled(chain.network.genesis_hash)
    assert len(chain.view._tree.nodes) < 30


def test_a_view_restarts_from_its_finalized_block() -> None:
    """Given a finalized state, the way below it and the blocks above, then a new view gives the same answers."""
    chain = Chain(network=network(4))
    blocks = []
    for slot in range(4, 31):
        chain.tip = chain.view.head(Slot(slot))
        blocks.append(chain.propose(slot))
        chain.add(blocks[-1])
        chain.vote_all(slot)
    final = chain.view.finalized
    state = chain.state(final.block_hash)
    trunk = [
        (proposed.payload.slot, proposed.block_hash)
        for proposed in blocks
        if chain.view.slot(state.finalized.block_hash) <= proposed.payload.slot < state.slot
    ]
    again = Chain(network=chain.network)
    again.view = ForkChoice(chain.network.rules, final, state, trunk=trunk)
    for proposed in blocks:
        if proposed.payload.slot > state.slot:
            again.add(proposed)
    assert again.view.head(Slot(30)) == chain.view.head(Slot(30))
    assert (again.view.justified, again.view.finalized) == (chain.view.justified, final)
    assert again.state() == chain.state()


def test_two_conflicting_final_checkpoints_are_a_fault() -> None:
    """Given two thirds that finalize both sides of a fork, when a view sees both, then it says which two."""
    chain = Chain(network=network(4, Parameters(slots_per_epoch=1)))
    genesis = chain.tip

    def side(salt: bytes) -> None:
        chain.tip = genesis
        for slot in (1, 2, 3):
            votes = votes_for_tip(chain, slot) if slot > 1 else ()
            chain.add(chain.propose(slot, salt=salt, votes=votes), timely=False)

    side(b"left")
    assert chain.view.finalized.epoch == 1
    left = chain.view.finalized
    with pytest.raises(SafetyFault) as fault:
        side(b"right")
    assert fault.value.first == left
    assert fault.value.second.epoch == 1
    assert fault.value.second != left
    assert chain.view.finalized == left


def test_a_justified_checkpoint_against_finality_is_a_fault() -> None:
    """Given a final block, when another branch justifies a higher epoch, then nothing of the view moves."""
    chain = Chain(network=network(4, Parameters(slots_per_epoch=1)))
    genesis = chain.tip
    for slot in (1, 2, 3):
        votes = votes_for_tip(chain, slot) if slot > 1 else ()
        chain.add(chain.propose(slot, votes=votes), timely=False)
    before = (chain.view.justified, chain.view.finalized, chain.view.head(Slot(9)))
    chain.tip = genesis
    chain.add(chain.propose(8, votes=()), timely=False)
    with pytest.raises(SafetyFault) as fault:
        chain.add(chain.propose(9, votes=votes_for_tip(chain, 9)), timely=False)
    assert fault.value.first == chain.view.finalized
    assert fault.value.second.epoch == 8
    assert (chain.view.justified, chain.view.finalized, chain.view.head(Slot(9))) == before


def votes_for_tip(chain: Chain, slot: int) -> tuple[AggregateVote, ...]:
    """Three of four vote for the tip as the checkpoint of its own slot."""
    state = chain.state()
    data = VoteData(
        slot=Slot(slot - 1),
        head_hash=chain.tip,
        source=state.justified,
        target=checkpoint(slot - 1, chain.tip),
    )
    return (chain.network.aggregate(state, [0, 1, 2], data),)


def test_a_certificate_against_the_own_chain_is_a_fault() -> None:
    chain = grown(20)
    final = chain.view.finalized
    chain.view.on_proven_finality(final)
    chain.view.on_proven_finality(checkpoint(final.epoch + 1, UNKNOWN))
    with pytest.raises(SafetyFault) as fault:
        chain.view.on_proven_finality(checkpoint(final.epoch, UNKNOWN))
    assert fault.value.second == final
    with pytest.raises(SafetyFault):
        chain.view.on_proven_finality(checkpoint(final.epoch - 1, UNKNOWN))


# -- votes from strangers


def test_keys_are_looked_up_in_the_registry() -> None:
    chain = grown()
    view = chain.view
    assert view.public_key(ValidatorIndex(4)) is None
    assert view.public_key(ValidatorIndex(3)) == chain.state().validators[3].public_key


def test_votes_for_unknown_heads_wait_two_of_each_validator_for_one_slot() -> None:
    chain = grown()
    heads = [Hash32(bytes((number,)) * 32) for number in range(3)]
    for slot, head in zip((13, 14, 14), heads, strict=True):
        chain.view.on_vote(head_vote(chain, 1, slot, head), Slot(14))
    assert chain.view.missing_heads() == heads[:2]
    chain.view.on_vote(head_vote(chain, 2, 15, heads[2]), Slot(15))
    assert chain.view.missing_heads() == heads
    chain.view.on_vote(head_vote(chain, 3, 16, heads[2]), Slot(16))
    assert chain.view.missing_heads() == [heads[2]]


def test_a_waiting_vote_counts_when_its_block_comes() -> None:
    chain = grown()
    base = chain.tip
    low, _ = fork(chain, 13)
    proposed = chain.propose(14, parent=low)
    for index in (0, 1, 2):
        chain.view.on_vote(head_vote(chain, index, 14, proposed.block_hash), Slot(14))
    assert chain.view.missing_heads() == [proposed.block_hash]
    chain.add(proposed)
    chain.view.freeze()
    assert chain.view.missing_heads() == []
    assert chain.view.head(Slot(15)) == proposed.block_hash
    assert base in chain.view


def test_a_vote_against_finality_supersedes_an_older_one_and_weighs_nothing() -> None:
    chain = grown(30, limits=Limits(retained_slots=0))
    low, high = fork(chain, 31)
    chain.view.on_vote(head_vote(chain, 0, 31, low), Slot(31))
    chain.view.freeze()
    assert chain.view.head(Slot(32)) == low
    chain.view.on_conflicting_block(UNKNOWN, Slot(32))
    chain.view.on_vote(head_vote(chain, 0, 32, UNKNOWN), Slot(32))
    chain.view.freeze()
    assert chain.view.head(Slot(33)) == high


# -- offences


def test_surrounding_votes_and_double_targets_are_found_across_slots() -> None:
    chain = grown(20)
    state = chain.state()

    def link(slot: int, source: int, target: int, block: Hash32) -> Vote:
        data = VoteData(
            slot=Slot(slot),
            head_hash=chain.tip,
            source=checkpoint(source, UNKNOWN),
            target=checkpoint(target, block),
        )
        return chain.network.vote(state, 1 if block == UNKNOWN else 2, data)

    view = Chain(network=chain.network).view
    assert view.on_vote(link(13, 4, 5, UNKNOWN), Slot(20)) is None
    assert view.on_vote(link(14, 5, 6, UNKNOWN), Slot(20)) is None
    assert view.on_vote(link(16, 3, 8, UNKNOWN), Slot(20)) is not None
    other = Hash32(b"\x01" * 32)
    again = Hash32(b"\x02" * 32)
    assert view.on_vote(link(13, 4, 5, other), Slot(20)) is None
    assert view.on_vote(link(14, 4, 5, again), Slot(20)) is not None
    assert view.equivocators == {1, 2}


def test_two_proposals_of_a_slot_are_evidence_but_no_reason_to_ignore_votes() -> None:
    chain = grown()
    fork(chain, 13)
    proposer = chain.propose(13).payload.proposer_index
    piece = chain.view.evidence[proposer]
    assert isinstance(piece, ProposalEvidence)
    assert chain.view.equivocators == set()
    chain.tip = chain.view.head(Slot(14))
    assert chain.view.evidence_for_block(chain.tip, Slot(14)) == (piece,)
    chain.extend(14, evidence=(piece,))
    assert chain.state().validators[proposer].slashed
    assert chain.view.evidence_for_block(chain.tip, Slot(15)) == ()
    assert chain.view.evidence_for_block(chain.network.genesis_hash, Slot(2_000)) == ()


def test_gossiped_evidence_is_taken_once() -> None:
    chain = grown()
    piece = ProposalEvidence(
        first=Proposal(
            slot=Slot(9), proposer_index=ValidatorIndex(2), block_hash=UNKNOWN, signature=bytes(64)
        ),
        second=Proposal(
            slot=Slot(9),
            proposer_index=ValidatorIndex(2),
            block_hash=chain.tip,
            signature=bytes(64),
        ),
    )
    assert chain.view.on_evidence(piece)
    assert not chain.view.on_evidence(piece)


# -- voting


def test_the_first_slot_of_an_epoch_waits_for_its_block() -> None:
    chain = grown(13)
    early = chain.view.vote_data(Slot(14), ValidatorIndex(0))
    assert early is not None
    assert (early.source, early.target) == (None, None)
    block = chain.extend(14)
    prompt = chain.view.vote_data(Slot(14), ValidatorIndex(0))
    assert prompt is not None
    assert prompt.target == checkpoint(7, block)
    assert prompt.source == chain.state().justified
    later = chain.view.vote_data(Slot(15), ValidatorIndex(0))
    assert later is not None
    assert (later.source, later.target) == (prompt.source, prompt.target)
    assert chain.view.vote_data(Slot(14), ValidatorIndex(9)) is None


def test_a_missed_first_slot_is_made_up_for_in_the_same_epoch() -> None:
    chain = grown(13)
    tip = chain.tip
    chain.extend(15)
    late = chain.view.vote_data(Slot(15), ValidatorIndex(0))
    assert late is not None
    assert late.target == checkpoint(7, tip)


# -- cost


def long_stall(count: int, slots: int) -> Chain:
    """Validators of whom too few vote: a chain that grows without finality."""
    chain = Chain(network=network(count, Parameters(leak_after_epochs=0)))
    chain.run(4, 12)
    state = chain.state()
    for slot in range(13, 13 + slots):
        data = VoteData(slot=Slot(slot - 1), head_hash=chain.tip, source=None, target=None)
        chain.extend(slot, votes=(chain.network.aggregate(state, range(count // 2), data),))
    return chain


@pytest.mark.slow
def test_the_head_costs_less_than_a_millisecond_with_a_thousand_open_blocks() -> None:
    chain = long_stall(256, 1_000)
    last = 1_012
    assert len(chain.view._tree.nodes) > 1_000
    best: list[float] = []
    for slot in range(last + 1, last + 11):
        chain.extend(slot, votes=())
        for index in range(256):
            chain.view.on_vote(head_vote(chain, index, slot, chain.tip), Slot(slot))
        chain.view.freeze()
        started = time.process_time()
        assert chain.view.head(Slot(slot)) == chain.tip
        best.append(time.process_time() - started)
    assert sorted(best)[5] < 0.001
    assert chain.view.finalized.epoch == 4
