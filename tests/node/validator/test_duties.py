"""Who owes what at a slot, and when."""

from __future__ import annotations

import pytest

from node.consensus.containers import Checkpoint, VoteData
from node.consensus.parameters import Parameters
from node.consensus.state import FAR_FUTURE_EPOCH, Validator
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Epoch, Gwei, Hash32, Slot
from node.validator.duties import (
    Moments,
    Rest,
    contradiction,
    has_signed_before,
    is_worth_proposing,
    local_validators,
    moments,
    next_slot,
    reason_to_rest,
)

PARAMETERS = Parameters()


def validator(number: int, *, exit_epoch: int = FAR_FUTURE_EPOCH, reveals: int = 0) -> Validator:
    return Validator(
        public_key=bytes([number]) * 32,
        withdrawal_address=ZERO_ADDRESS,
        balance_gwei=Gwei(32_000_000_000),
        commitment=ZERO_HASH,
        next_commitment=ZERO_HASH,
        exit_epoch=Epoch(exit_epoch),
        reveals=reveals,
    )


def test_moments_follow_the_parameters() -> None:
    assert moments(PARAMETERS, start_ms=10_000, slot_duration_ms=2_000) == Moments(
        start_ms=10_000, fill_until_ms=10_320, vote_due_ms=10_800, freeze_ms=11_600
    )


@pytest.mark.parametrize(("now_ms", "worth"), [(10_000, True), (11_599, True), (11_600, False)])
def test_a_block_nobody_could_vote_for_is_not_begun(now_ms: int, *, worth: bool) -> None:
    due = moments(PARAMETERS, start_ms=10_000, slot_duration_ms=2_000)
    assert is_worth_proposing(now_ms, due) is worth


@pytest.mark.parametrize(
    ("slot", "is_syncing", "fault", "reason"),
    [
        (3, False, None, Rest.BEFORE_START),
        (4, False, None, None),
        (4, True, None, Rest.SYNCING),
        (3, True, None, Rest.BEFORE_START),
        (9, True, "conflict", Rest.SAFETY_FAULT),
        (9, False, "conflict", Rest.SAFETY_FAULT),
    ],
)
def test_when_nothing_is_signed(
    slot: int, fault: str | None, reason: Rest | None, *, is_syncing: bool
) -> None:
    found = reason_to_rest(PARAMETERS, slot, is_syncing=is_syncing, safety_fault=fault)
    assert found is reason


def test_ours_are_those_whose_keys_are_here_and_who_have_not_left() -> None:
    registry = [validator(7), validator(8), validator(9, exit_epoch=5), validator(7)]
    keys = frozenset([bytes([7]) * 32, bytes([9]) * 32])
    assert [one.index for one in local_validators(registry, keys, 4)] == [0, 2, 3]
    assert [one.index for one in local_validators(registry, keys, 5)] == [0, 3]
    assert local_validators(registry, frozenset(), 4) == ()


def test_a_reveal_shows_that_a_key_has_signed() -> None:
    assert not has_signed_before(validator(1))
    assert has_signed_before(validator(1, reveals=1))


def test_a_contradiction_names_another_head_of_the_same_slot() -> None:
    checkpoint = Checkpoint(epoch=Epoch(1), block_hash=ZERO_HASH)
    data = VoteData(slot=Slot(4), head_hash=ZERO_HASH, source=checkpoint, target=checkpoint)
    other = Hash32(b"\x01" * 32)
    assert contradiction(data, other) == VoteData(
        slot=Slot(4), head_hash=other, source=None, target=None
    )


@pytest.mark.parametrize(
    ("current", "done", "expected"),
    [(5, 5, 6), (5, 4, 5), (9, 4, 9), (3, 5, 6), (-2, -2, -1)],
)
def test_slots_are_neither_repeated_nor_made_up_for(current: int, done: int, expected: int) -> None:
    assert next_slot(Slot(current), Slot(done)) == expected
