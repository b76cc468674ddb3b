"""What proposers include: all that their chain can still count, each link once, within bounds."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.containers import Checkpoint, VoteData
from node.consensus.limits import MAX_PAYLOAD_VOTES
from node.consensus.state import ConsensusState, Link
from node.consensus.vote_pool import VotePool
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from tests.node.consensus.test_finality import NETWORK, base, block, cp, vote

SLOT = Slot(40)


def pool(*votes: tuple[VoteData, list[int]]) -> VotePool:
    filled = VotePool()
    for data, voters in votes:
        for index in voters:
            filled.add(ValidatorIndex(index), data, data.root(), bytes((index,)) * 64)
    return filled


def head_only(slot: int) -> VoteData:
    return VoteData(slot=Slot(slot), head_hash=block(slot), source=None, target=None)


def select(
    filled: VotePool, state: ConsensusState | None = None, included: dict[Hash32, int] | None = None
) -> list[tuple[VoteData, tuple[int, ...]]]:
    chosen = filled.select(
        NETWORK.rules, state or base(), SLOT, lambda slot: block(slot), included or {}
    )
    for aggregate in chosen:
        assert aggregate.signatures == tuple(bytes((index,)) * 64 for index in aggregate.voters)
    return [(aggregate.data, aggregate.voters) for aggregate in chosen]


def test_votes_are_grouped_and_sorted_by_target_slot_and_root() -> None:
    filled = pool(
        (vote(0, 6), [2]), (vote(0, 5, 38), [1, 0]), (head_only(39), [3]), (vote(0, 6), [0])
    )
    assert select(filled) == [
        (head_only(39), (3,)),
        (vote(0, 5, 38), (0, 1)),
        (vote(0, 6), (0, 2)),
    ]


def test_old_head_votes_stay_out_and_old_ffg_votes_go_in() -> None:
    filled = pool((head_only(31), [0]), (head_only(32), [1]), (vote(0, 5, 11), [2]))
    assert select(filled) == [(head_only(32), (1,)), (vote(0, 5, 11), (2,))]


def test_old_votes_that_the_chain_cannot_count_stay_out() -> None:
    elsewhere = replace(vote(0, 5, 11), target=Checkpoint(epoch=cp(5).epoch, block_hash=block(9)))
    filled = pool((elsewhere, [0]), (vote(0, 2, 11), [1]), (vote(0, 5, 11), [2, 3]))
    state = replace(base(1, finalized=2), tallies={Link(source=cp(0), target=cp(5)): 0b1000})
    assert select(filled, state) == [(vote(0, 5, 11), (2,))]


def test_each_validator_goes_in_once_for_an_old_link() -> None:
    filled = pool((vote(0, 5, 10), [0, 1]), (vote(0, 5, 11), [0, 1, 2]))
    assert select(filled) == [(vote(0, 5, 10), (0, 1)), (vote(0, 5, 11), (2,))]


def test_what_the_chain_holds_and_who_it_does_not_know_stay_out() -> None:
    filled = pool((vote(0, 6), [0, 1, 200]), (vote(0, 20, 40), [2]))
    assert select(filled, included={vote(0, 6).root(): 0b1}) == [(vote(0, 6), (1,))]


def test_a_block_holds_as_many_votes_as_a_payload_may() -> None:
    """Given more than a payload holds, then the lowest targets go in first and the rest follows in the next block."""
    wide = replace(base(), validators=base().validators * 64)
    everybody = list(range(256))
    filled = pool(*((vote(0, epoch, 31 + epoch % 8), everybody) for epoch in range(1, 18)))
    for slot in range(32, 40):
        for salt in range(3):
            data = replace(head_only(slot), head_hash=block(1_000 + salt))
            for index in everybody:
                filled.add(ValidatorIndex(index), data, data.root(), bytes((index,)) * 64)
    chosen = select(filled, wide)
    assert sum(len(voters) for _, voters in chosen) == MAX_PAYLOAD_VOTES
    assert [data.target for data, _ in chosen[:24]] == [None] * 24
    assert [data.target for data, _ in chosen[24:]] == [cp(epoch) for epoch in range(1, 9)]


def test_pruning_keeps_what_can_still_count() -> None:
    filled = pool(
        (vote(0, 5, 10), [0]), (head_only(12), [1]), (head_only(13), [2]), (vote(0, 7, 14), [3])
    )
    filled.prune(cp(6), Slot(12))
    assert len(filled) == 2
    assert filled.has(ValidatorIndex(2), head_only(13).root())
    assert filled.has(ValidatorIndex(3), vote(0, 7, 14).root())
    assert filled.distinct(ValidatorIndex(0), Slot(10)) == 0
    assert filled.distinct(ValidatorIndex(3), Slot(14)) == 1


def test_the_oldest_target_gives_way_when_the_pool_is_full() -> None:
    small = VotePool(max_votes=3)
    for epoch in (5, 4, 6, 7):
        data = vote(0, epoch)
        small.add(ValidatorIndex(0), data, data.root(), bytes(64))
        small.add(ValidatorIndex(0), data, data.root(), b"\x01" * 64)
    assert len(small) == 3
    assert not small.has(ValidatorIndex(0), vote(0, 4).root())
    assert small.distinct(ValidatorIndex(0), Slot(39)) == 3
