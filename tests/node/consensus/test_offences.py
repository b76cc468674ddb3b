"""Contradictions are found among what was said lately, in bounded memory."""

from __future__ import annotations

from node.consensus.containers import Proposal, ProposalEvidence, Vote, VoteEvidence
from node.consensus.offences import (
    MAX_REMEMBERED_PROPOSALS,
    MAX_REMEMBERED_VOTES,
    OffenceWatch,
)
from node.eth.primitives import Slot, ValidatorIndex
from tests.node.consensus.test_slashing import HASHES, head_only, vote

VALIDATOR = ValidatorIndex(1)


def see(watch: OffenceWatch, *votes: Vote) -> list[bool]:
    return [watch.see_vote(VALIDATOR, one.data, bytes(64)) is not None for one in votes]


def proposal(slot: int, block: int) -> Proposal:
    return Proposal(
        slot=Slot(slot), proposer_index=VALIDATOR, block_hash=HASHES[block], signature=bytes(64)
    )


def test_an_honest_history_is_clean() -> None:
    watch = OffenceWatch()
    honest = [vote(slot, slot // 2 - 1, slot // 2) for slot in range(4, 60)]
    assert not any(see(watch, *honest, *honest))
    assert watch.evidence == {}


def test_a_second_vote_in_a_slot_is_kept_as_evidence_once() -> None:
    watch = OffenceWatch()
    assert see(watch, head_only(9, 0), head_only(9, 1), head_only(9, 2)) == [False, True, False]
    piece = watch.evidence[VALIDATOR]
    assert isinstance(piece, VoteEvidence)
    assert (piece.first.data, piece.second.data) == (head_only(9, 0).data, head_only(9, 1).data)


def test_a_late_arrival_is_compared_with_all_before() -> None:
    watch = OffenceWatch()
    assert see(watch, vote(8, 3, 4), vote(20, 9, 10), vote(22, 10, 11)) == [False] * 3
    assert see(watch, vote(12, 4, 6)) == [False]
    assert see(watch, vote(15, 3, 7)) == [True]


def test_votes_after_a_double_proposal_are_still_watched() -> None:
    watch = OffenceWatch()
    assert watch.see_proposal(proposal(9, 0)) is None
    assert watch.see_proposal(proposal(9, 0)) is None
    assert isinstance(watch.see_proposal(proposal(9, 1)), ProposalEvidence)
    assert watch.see_proposal(proposal(9, 2)) is None
    assert see(watch, head_only(9, 0), head_only(9, 1)) == [False, True]
    assert isinstance(watch.evidence[VALIDATOR], VoteEvidence)


def test_what_is_far_below_finality_is_forgotten() -> None:
    watch = OffenceWatch()
    see(watch, head_only(9, 0), head_only(10, 0))
    watch.see_proposal(proposal(9, 0))
    watch.prune(9)
    assert see(watch, head_only(9, 1), head_only(10, 1)) == [False, True]
    assert watch.see_proposal(proposal(9, 1)) is None


def test_memory_is_bounded_for_each_validator() -> None:
    watch = OffenceWatch()
    for slot in range(MAX_REMEMBERED_VOTES + 10):
        assert see(watch, vote(slot, slot, slot + 1)) == [False]
    record = watch._records[VALIDATOR]
    assert len(record.by_slot) == len(record.links) == MAX_REMEMBERED_VOTES
    assert min(record.by_slot) == 10
    for slot in range(MAX_REMEMBERED_PROPOSALS + 10):
        assert watch.see_proposal(proposal(slot, 0)) is None
    assert len(watch._proposals) == MAX_REMEMBERED_PROPOSALS
    assert watch.see_proposal(proposal(MAX_REMEMBERED_PROPOSALS, 1)) is not None
