"""The four rules on pairs of messages, against brute force and by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from node.consensus import slashing
from node.consensus.containers import (
    Proposal,
    ProposalEvidence,
    Vote,
    VoteData,
    VoteEvidence,
)
from node.consensus.state import PendingExit
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import checkpoint, network

HASHES = [Hash32(bytes((number,)) * 32) for number in range(3)]


def vote(
    slot: int, source: int, target: int, *, head: int = 0, voter: int = 1, block: int = 0
) -> Vote:
    data = VoteData(
        slot=Slot(slot),
        head_hash=HASHES[head],
        source=checkpoint(source, HASHES[0]),
        target=checkpoint(target, HASHES[block]),
    )
    return Vote(validator_index=ValidatorIndex(voter), data=data, signature=bytes(64))


def head_only(slot: int, head: int) -> Vote:
    data = VoteData(slot=Slot(slot), head_hash=HASHES[head], source=None, target=None)
    return Vote(validator_index=ValidatorIndex(1), data=data, signature=bytes(64))


@pytest.mark.parametrize(
    ("first", "second", "slashable"),
    [
        (vote(9, 3, 4), vote(9, 3, 4, head=1), True),
        (vote(9, 3, 4), vote(9, 3, 4), False),
        (vote(9, 3, 4), vote(9, 3, 4, head=1, voter=2), False),
        (head_only(9, 0), head_only(9, 1), True),
        (head_only(9, 0), head_only(10, 1), False),
        (head_only(9, 0), vote(9, 3, 4), True),
        (head_only(9, 0), vote(8, 3, 4), False),
        (vote(8, 3, 4), vote(9, 3, 4), False),
        (vote(8, 3, 4), vote(9, 3, 4, block=1), True),
        (vote(8, 3, 4), vote(9, 2, 4), True),
        (vote(8, 2, 5), vote(9, 3, 4), True),
        (vote(8, 3, 4), vote(9, 2, 5), True),
        (vote(8, 2, 5), vote(9, 2, 4), False),
        (vote(8, 2, 4), vote(9, 3, 5), False),
        (vote(8, 2, 3), vote(9, 3, 4), False),
    ],
)
def test_pairs_of_votes(first: Vote, second: Vote, slashable: bool) -> None:
    assert slashing.is_slashable_vote_pair(first, second) is slashable
    assert slashing.is_slashable_vote_pair(second, first) is slashable


LINKS = st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(0, 1), st.integers(0, 3))


@given(LINKS, LINKS)
def test_pairs_agree_with_ethereums_definition(
    one: tuple[int, int, int, int], two: tuple[int, int, int, int]
) -> None:
    """is_slashable_attestation_data, plus one vote a slot."""
    first, second = (
        vote(slot + 20, source, source + length, block=block)
        for source, length, block, slot in (one, two)
    )
    (s1, l1, b1, at1), (s2, l2, b2, at2) = one, two
    t1, t2 = s1 + l1, s2 + l2
    double = t1 == t2 and (s1, b1) != (s2, b2)
    surround = (s1 < s2 and t2 < t1) or (s2 < s1 and t1 < t2)
    same_slot = at1 == at2 and one != two
    assert slashing.is_slashable_vote_pair(first, second) is (double or surround or same_slot)


def proposal(slot: int = 9, block: int = 0, proposer: int = 1) -> Proposal:
    return Proposal(
        slot=Slot(slot),
        proposer_index=ValidatorIndex(proposer),
        block_hash=HASHES[block],
        signature=bytes(64),
    )


@pytest.mark.parametrize(
    ("second", "slashable"),
    [
        (proposal(block=1), True),
        (proposal(), False),
        (replace(proposal(), signature=b"\x01" * 64), False),
        (proposal(slot=10, block=1), False),
        (proposal(block=1, proposer=2), False),
    ],
)
def test_pairs_of_proposals(second: Proposal, slashable: bool) -> None:
    assert slashing.is_slashable_proposal_pair(proposal(), second) is slashable
    piece = ProposalEvidence(first=proposal(), second=second)
    assert slashing.is_slashable(piece) is slashable


def test_an_offence_is_as_old_as_its_second_message() -> None:
    rules = network(4).rules
    piece = VoteEvidence(first=vote(8, 2, 4), second=vote(600, 3, 4))
    assert slashing.offence_slot(piece) == 600
    last = 2 * (300 + 256) + 1
    assert not slashing.is_too_old(rules, Slot(last), piece)
    assert slashing.is_too_old(rules, Slot(last + 1), piece)


def test_slashing_twice_costs_once() -> None:
    state = network(4).genesis_state
    once = slashing.slash(state, ValidatorIndex(2), Slot(9))
    assert slashing.slash(once, ValidatorIndex(2), Slot(10)) == once
    assert once.validators[2].balance_gwei == 16 * 10**9


def test_a_leaver_that_is_slashed_waits_as_slashed() -> None:
    state = network(4).genesis_state
    leaving = PendingExit(validator_index=ValidatorIndex(2), slot=Slot(3))
    after = slashing.slash(replace(state, exits=(leaving,)), ValidatorIndex(2), Slot(9))
    assert after.exits == (PendingExit(validator_index=ValidatorIndex(2), slot=Slot(9)),)
