"""Which votes count, when a link has its quorum, and what that finalizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus import finality
from node.consensus.containers import Checkpoint, VoteData
from node.consensus.state import ConsensusState, Link, QuorumSpan
from node.eth.primitives import Epoch, Hash32, Slot
from tests.node.consensus.network import network

NETWORK = network(4)


def block(slot: int) -> Hash32:
    """The chain's block of a slot: each slot has one."""
    return Hash32(slot.to_bytes(32))


def cp(epoch: int) -> Checkpoint:
    return Checkpoint(epoch=Epoch(epoch), block_hash=block(2 * epoch))


def base(*justified: int, finalized: int = 0) -> ConsensusState:
    """A state at slot 39 of a chain with a block in every slot."""
    epochs = sorted({finalized, *justified})
    return replace(
        NETWORK.genesis_state,
        slot=Slot(39),
        justified=cp(epochs[-1]),
        finalized=cp(finalized),
        justified_blocks={Epoch(epoch): cp(epoch).block_hash for epoch in epochs},
    )


def count(state: ConsensusState, spans: tuple[QuorumSpan, ...] | None = None) -> finality.Count:
    return finality.Count(
        NETWORK.rules, state, Slot(40), spans or state.quorum_spans, lambda slot: block(slot)
    )


def vote(source: int, target: int, slot: int = 39) -> VoteData:
    return VoteData(slot=Slot(slot), head_hash=block(slot), source=cp(source), target=cp(target))


def test_three_of_four_justify_and_two_do_not() -> None:
    counted = count(base())
    counted.add(vote(0, 5), 0b0011)
    assert counted.justified == cp(0)
    counted.add(vote(0, 5), 0b0010)
    assert counted.justified == cp(0)
    counted.add(vote(0, 5), 0b1000)
    assert counted.justified == cp(5)
    assert counted.justified_blocks[Epoch(5)] == block(10)
    assert counted.finalized == cp(0)


def test_votes_of_different_sources_do_not_add_up() -> None:
    counted = count(base(1, 2))
    counted.add(vote(1, 5), 0b0011)
    counted.add(vote(2, 5), 0b1100)
    assert counted.links == set()
    assert counted.justified == cp(2)


@pytest.mark.parametrize(
    ("justified", "source", "target", "final"),
    [((4,), 4, 5, 4), ((4, 5), 4, 6, 4), ((4,), 4, 6, 0), ((4, 5, 6), 4, 7, 0)],
)
def test_a_link_finalizes_its_source_over_one_epoch_or_two(
    justified: tuple[int, ...], source: int, target: int, final: int
) -> None:
    counted = count(base(*justified))
    counted.add(vote(source, target), 0b0111)
    assert counted.finalized == cp(final)
    assert counted.justified == cp(target)


def test_the_middle_may_be_justified_after_the_long_link() -> None:
    counted = count(base(4))
    counted.add(vote(4, 6), 0b0111)
    assert counted.finalized == cp(0)
    counted.add(vote(0, 5), 0b0111)
    assert counted.finalized == cp(4)


def test_a_whole_history_is_caught_up_in_one_block() -> None:
    counted = count(base())
    for epoch in range(1, 19):
        counted.add(vote(epoch - 1, epoch), 0b1110)
    assert (counted.justified, counted.finalized) == (cp(18), cp(17))
    state = counted.result(base())
    assert set(state.justified_blocks) == {17, 18}
    assert list(state.tallies) == list(state.links) == [Link(source=cp(17), target=cp(18))]
    assert state.stall == 0


@pytest.mark.parametrize(
    "data",
    [
        vote(3, 5),
        replace(vote(0, 5), source=Checkpoint(epoch=Epoch(0), block_hash=block(9))),
        replace(vote(0, 5), target=Checkpoint(epoch=Epoch(5), block_hash=block(9))),
        vote(0, 2),
    ],
    ids=["source not justified", "another source", "another block", "target below finality"],
)
def test_a_link_that_is_not_of_this_chain_is_ignored(data: VoteData) -> None:
    state = base(1, finalized=2) if data == vote(0, 2) else base()
    counted = count(state)
    counted.add(data, 0b1111)
    assert (counted.tallies, counted.active, counted.links) == ({}, 0, set())


def test_the_checkpoint_of_an_epoch_is_the_last_block_up_to_its_first_slot() -> None:
    gappy = {0: block(0), 7: block(7)}
    counted = finality.Count(
        NETWORK.rules,
        base(),
        Slot(40),
        base().quorum_spans,
        lambda slot: gappy[max(at for at in gappy if at <= slot)],
    )
    target = Checkpoint(epoch=Epoch(5), block_hash=block(7))
    counted.add(replace(vote(0, 5), target=target), 0b0111)
    assert counted.justified == target


def test_weights_are_those_of_the_targets_epoch() -> None:
    spans = (
        QuorumSpan(from_epoch=Epoch(0), weights=(0b1111,)),
        QuorumSpan(from_epoch=Epoch(6), weights=(0b1110, 0b0111)),
    )
    counted = count(base(), spans)
    counted.add(vote(0, 5), 0b0111)
    assert counted.justified == cp(5)
    counted.add(vote(5, 6), 0b0111)
    assert counted.finalized == cp(5)
    counted.add(vote(6, 7), 0b0011)
    assert counted.finalized == cp(5)
    counted.add(vote(6, 7), 0b1000)
    assert counted.finalized == cp(6)


def test_votes_without_weight_are_presence_only() -> None:
    spans = (QuorumSpan(from_epoch=Epoch(0), weights=(0b0111,)),)
    state = replace(base(), sets=(replace(base().sets[0], weights=0b0111),), quorum_spans=spans)
    counted = count(state)
    counted.add(vote(0, 5), 0b1000)
    assert (counted.tallies, counted.active) == ({}, 0)
    assert [entry.present for entry in counted.result(state).validators] == [False] * 3 + [True]


@pytest.mark.parametrize(("slot", "present"), [(32, True), (31, False)])
def test_presence_needs_a_vote_within_the_expiry(slot: int, present: bool) -> None:
    state = replace(base(), sets=(replace(base().sets[0], weights=0b0111),))
    counted = count(state)
    counted.add(VoteData(slot=Slot(slot), head_hash=block(1), source=None, target=None), 0b1000)
    assert (counted.present == 0b1000) is present


def test_the_slashed_count_for_the_quorum_but_are_not_active() -> None:
    validators = tuple(
        replace(entry, slashed=index == 0) for index, entry in enumerate(base().validators)
    )
    counted = count(replace(base(), validators=validators))
    counted.add(vote(0, 5), 0b0111)
    assert counted.justified == cp(5)
    assert counted.active == 0b0110


def test_nothing_moves_without_votes() -> None:
    assert count(base(1)).result(base(1)) == base(1)
