"""What a key may sign after what it signed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from node.consensus.containers import Checkpoint, VoteData
from node.eth.primitives import Epoch, Hash32, Slot
from node.validator.protection_rules import (
    Permission,
    SigningRecord,
    after_block,
    after_vote,
    head_only,
    judge_block,
    judge_vote,
)


def block_hash(number: int) -> Hash32:
    return Hash32(bytes([number]) * 32)


def checkpoint(epoch: int, number: int = 0) -> Checkpoint:
    return Checkpoint(epoch=Epoch(epoch), block_hash=block_hash(number))


def vote(slot: int, source: int | None = None, target: int = 0, head: int = 0) -> VoteData:
    if source is None:
        return VoteData(slot=Slot(slot), head_hash=block_hash(head), source=None, target=None)
    return VoteData(
        slot=Slot(slot),
        head_hash=block_hash(head),
        source=checkpoint(source),
        target=checkpoint(target),
    )


VOTED = after_vote(SigningRecord(), vote(9, 3, 4), b"s" * 64)


@pytest.mark.parametrize(
    ("data", "permission"),
    [
        (vote(9, 3, 4), Permission.RESEND),
        (vote(9, 3, 4, head=1), Permission.REFUSE),
        (vote(9), Permission.REFUSE),
        (vote(8, 3, 5), Permission.REFUSE),
        (vote(10), Permission.SIGN),
        (vote(10, 3, 4), Permission.SIGN),
        (vote(10, 3, 5), Permission.SIGN),
        (vote(10, 2, 5), Permission.HEAD_ONLY),
        (vote(10, 2, 4), Permission.HEAD_ONLY),
        (vote(10, 3, 3), Permission.HEAD_ONLY),
        (vote(10, 6, 5), Permission.HEAD_ONLY),
        (replace(vote(10, 3, 4), target=checkpoint(4, 7)), Permission.HEAD_ONLY),
        (replace(vote(10, 3, 4), source=checkpoint(3, 7)), Permission.HEAD_ONLY),
    ],
)
def test_votes_after_a_vote(data: VoteData, permission: Permission) -> None:
    assert judge_vote(VOTED, data) is permission


def test_a_downgraded_vote_is_sent_again_as_it_was_signed() -> None:
    wanted = vote(10, 2, 5)
    downgraded = after_vote(VOTED, head_only(wanted), b"t" * 64)
    assert judge_vote(downgraded, wanted) is Permission.RESEND
    assert judge_vote(downgraded, vote(10, 2, 5, head=1)) is Permission.REFUSE


def test_head_only_votes_leave_the_link_alone() -> None:
    record = after_vote(VOTED, vote(10), b"t" * 64)
    assert judge_vote(record, vote(11, 3, 4)) is Permission.SIGN


def test_proposals_only_move_on() -> None:
    record = after_block(SigningRecord(), 5)
    assert [judge_block(record, slot) for slot in (4, 5, 6)] == [False, False, True]


checkpoints = st.builds(checkpoint, st.integers(0, 6), st.integers(0, 1))
votes = st.builds(
    lambda slot, head, link: VoteData(
        slot=slot,
        head_hash=block_hash(head),
        source=link[0] if link else None,
        target=link[1] if link else None,
    ),
    st.integers(0, 12),
    st.integers(0, 2),
    st.one_of(st.none(), st.tuples(checkpoints, checkpoints)),
)


def slashable(first: VoteData, second: VoteData) -> bool:
    """The rules R1 to R3, written the slow way."""
    if first == second:
        return False
    if first.slot == second.slot:
        return True
    if not (first.source and first.target and second.source and second.target):
        return False
    if first.target.epoch == second.target.epoch:
        return (first.source, first.target) != (second.source, second.target)
    return any(
        outer_source.epoch < inner_source.epoch and inner_target.epoch < outer_target.epoch
        for outer_source, outer_target, inner_source, inner_target in (
            (first.source, first.target, second.source, second.target),
            (second.source, second.target, first.source, first.target),
        )
    )


@given(st.lists(votes, max_size=25), st.integers(0, 24), st.booleans())
def test_nothing_signed_is_ever_slashable(
    wanted: list[VoteData],
    cut: int,
    restored: bool,  # hypothesis gives it by place
) -> None:
    record = SigningRecord()
    signed: list[VoteData] = []
    for number, data in enumerate(wanted):
        if number == cut and restored:
            record = record.merged(SigningRecord())
        permission = judge_vote(record, data)
        if permission in (Permission.REFUSE, Permission.RESEND):
            continue
        allowed = data if permission is Permission.SIGN else head_only(data)
        record = after_vote(record, allowed, b"s" * 64)
        assert not any(slashable(allowed, earlier) for earlier in signed)
        signed.append(allowed)


def test_merging_keeps_the_stricter_mark_of_each() -> None:
    other = SigningRecord(
        last_block_slot=7, last_vote_slot=3, max_source_epoch=5, last_target_epoch=4
    )
    merged = VOTED.merged(other)
    assert merged == replace(VOTED, last_block_slot=7, max_source_epoch=5, last_link=None)
    assert other.merged(VOTED) == merged
    assert VOTED.merged(VOTED) == VOTED
    assert VOTED.merged(SigningRecord()) == VOTED == SigningRecord().merged(VOTED)
