"""Set changes, tryout, churn and leak, rule by rule, each at the turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus import epochs, quorums
from node.consensus.parameters import Parameters, Rules
from node.consensus.state import (
    FAR_FUTURE_EPOCH,
    ConsensusState,
    PendingDeposit,
    PendingExit,
    SetVersion,
)
from node.eth.primitives import Address, Epoch, Gwei, Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import checkpoint, network

NETWORK = network(16)
RULES = NETWORK.rules
EVERYBODY = 0xFFFF


def state(**changes: object) -> ConsensusState:
    """A healthy state at slot 19, finalized to epoch 8."""
    final = checkpoint(8, Hash32(b"\x08" * 32))
    base = replace(NETWORK.genesis_state, slot=Slot(19), finalized=final, justified=final)
    return replace(base, **changes)  # type: ignore[arg-type]


def rules(**changes: int) -> Rules:
    return replace(RULES, parameters=replace(RULES.parameters, **changes))


def deposit(number: int, slot: int) -> PendingDeposit:
    return PendingDeposit(
        public_key=bytes((number,)) * 32,
        withdrawal_address=Address(bytes((number,)) * 20),
        amount_gwei=Gwei(33 * 10**9),
        commitment=Hash32(bytes((number,)) * 32),
        slot=Slot(slot),
    )


def exits(*pairs: tuple[int, int]) -> tuple[PendingExit, ...]:
    return tuple(
        PendingExit(validator_index=ValidatorIndex(index), slot=Slot(slot)) for index, slot in pairs
    )


def with_validators(
    before: ConsensusState, changes: dict[int, dict[str, object]]
) -> ConsensusState:
    validators = list(before.validators)
    for index, change in changes.items():
        validators[index] = replace(validators[index], **change)  # type: ignore[arg-type]
    return replace(before, validators=tuple(validators))


# -- registry


def test_deposits_enter_when_their_block_is_final_in_chain_order() -> None:
    after = epochs.admit_deposits(
        RULES, state(deposits=(deposit(2, 15), deposit(1, 16), deposit(3, 17)))
    )
    assert [entry.public_key[0] for entry in after.validators[16:]] == [2, 1]
    assert [entry.public_key[0] for entry in after.deposits] == [3]
    assert after.validators[16].balance_gwei == 33 * 10**9
    assert after.sets[-1].weights == EVERYBODY


def test_a_known_key_is_never_added_again() -> None:
    again = replace(deposit(1, 10), public_key=NETWORK.genesis_state.validators[3].public_key)
    after = epochs.admit_deposits(RULES, state(deposits=(again,)))
    assert len(after.validators) == 16
    assert after.deposits == ()


def test_a_full_registry_takes_nobody_in() -> None:
    full = rules(max_validators=17)
    after = epochs.admit_deposits(full, state(deposits=(deposit(1, 10), deposit(2, 10))))
    assert len(after.validators) == 17
    assert after.deposits == ()


# -- tryout


def test_presence_counts_only_in_a_row() -> None:
    before = with_validators(
        state(),
        {
            0: {"present": True, "present_epochs": 3},
            1: {"present": False, "present_epochs": 3},
            2: {"present": True},
        },
    )
    after = epochs.count_presence(before)
    assert [entry.present_epochs for entry in after.validators[:4]] == [4, 0, 1, 0]
    assert not any(entry.present for entry in after.validators)


@pytest.mark.parametrize(
    ("change", "joins"),
    [
        ({"present_epochs": 4}, [15]),
        ({"present_epochs": 3}, []),
        ({"present_epochs": 4, "exit_epoch": Epoch(3)}, []),
    ],
)
def test_a_candidate_joins_after_its_tryout(change: dict[str, object], joins: list[int]) -> None:
    before = with_validators(state(), {15: change})
    assert epochs.select_joins(RULES.parameters, before, 0x7FFF) == joins


def test_nobody_joins_soon_after_a_leak() -> None:
    before = with_validators(state(), {15: {"present_epochs": 9}})
    for calm, joins in ((256, []), (257, [15])):
        assert epochs.select_joins(RULES.parameters, replace(before, calm=calm), 0x7FFF) == joins


def test_nobody_joins_who_is_leaving() -> None:
    before = with_validators(state(exits=exits((15, 3))), {15: {"present_epochs": 9}})
    assert epochs.select_joins(RULES.parameters, before, 0x7FFF) == []


# -- versions


def test_a_version_takes_all_slashed_and_as_many_leavers_and_joiners_as_the_churn_allows() -> None:
    before = with_validators(
        state(exits=exits((0, 2), (1, 2), (2, 2), (3, 16), (4, 17))),
        {3: {"slashed": True}, **{index: {"present_epochs": 9} for index in (13, 14, 15)}},
    )
    before = replace(before, sets=(SetVersion(start_epoch=Epoch(0), weights=0x1FFF, joint=False),))
    after = epochs.schedule_changes(RULES, before, Epoch(10))
    version = after.sets[-1]
    assert (version.start_epoch, version.joint) == (12, True)
    assert 0x1FFF & ~version.weights == 0b1001
    assert version.weights & ~0x1FFF == 1 << 13
    assert [entry.validator_index for entry in after.exits] == [1, 2, 4]
    assert after.validators[0].exit_epoch == 12
    assert after.validators[0].withdrawable_epoch == 12 + 256
    assert after.validators[1].exit_epoch == FAR_FUTURE_EPOCH


def test_the_last_validator_stays() -> None:
    alone = network(1)
    before = replace(alone.genesis_state, exits=exits((0, 0)))
    after = epochs.schedule_changes(alone.rules, before, Epoch(1))
    assert after.sets == before.sets
    assert after.exits == before.exits


@pytest.mark.parametrize(("finalized", "scheduled"), [(8, False), (9, True)])
def test_one_joint_transition_at_a_time(finalized: int, scheduled: bool) -> None:
    joint = SetVersion(start_epoch=Epoch(9), weights=EVERYBODY, joint=True)
    before = state(
        sets=(*state().sets, joint),
        finalized=checkpoint(finalized, Hash32(b"\x08" * 32)),
        exits=exits((1, 2)),
    )
    after = epochs.schedule_changes(RULES, before, Epoch(10))
    assert (len(after.sets) == 3) is scheduled


@pytest.mark.parametrize(("stall", "scheduled"), [(8, True), (9, False)])
def test_no_change_while_finality_stands_still(stall: int, scheduled: bool) -> None:
    before = state(stall=stall, exits=exits((1, 2)))
    after = epochs.schedule_changes(RULES, before, Epoch(10))
    assert (len(after.sets) == 2) is scheduled


def test_who_leaves_without_weight_unbonds_at_once() -> None:
    before = state(
        exits=exits((15, 2)),
        sets=(SetVersion(start_epoch=Epoch(0), weights=0x7FFF, joint=False),),
    )
    after = epochs.schedule_changes(RULES, before, Epoch(10))
    assert after.exits == ()
    assert after.sets == before.sets
    assert after.validators[15].exit_epoch == 10
    assert after.validators[15].withdrawable_epoch == 266


def test_superseded_versions_are_dropped_at_finality() -> None:
    versions = tuple(
        SetVersion(start_epoch=Epoch(start), weights=EVERYBODY, joint=False) for start in (0, 5, 9)
    )
    assert epochs.drop_superseded(versions, Epoch(4)) == versions
    assert epochs.drop_superseded(versions, Epoch(5)) == versions[1:]
    assert epochs.drop_superseded(versions, Epoch(20)) == versions[2:]


# -- leak


@pytest.mark.parametrize(
    ("stall", "leaks"),
    [(63, False), (64, False), (65, False), (71, False), (72, True), (73, False)],
)
def test_the_leak_starts_after_64_epochs_and_steps_every_8(stall: int, leaks: bool) -> None:
    after = epochs.leak(RULES.parameters, state(stall=stall, active=0x00FF), Epoch(90))
    assert (len(after.sets) == 2) is leaks
    assert (after.active == 0) is (stall % 8 == 0)
    if leaks:
        assert after.sets[-1] == SetVersion(start_epoch=Epoch(92), weights=0x3FFF, joint=False)
        assert after.calm == 0


def test_the_leak_never_takes_everybody() -> None:
    two = network(2)
    stalled = replace(two.genesis_state, stall=72)
    assert epochs.select_idle(two.rules.parameters, replace(stalled, active=0b01)) == 0b10
    assert epochs.select_idle(two.rules.parameters, replace(stalled, active=0)) == 0b10
    one = network(1)
    assert epochs.select_idle(one.rules.parameters, replace(one.genesis_state, stall=72)) == 0


def test_the_leak_can_be_off() -> None:
    off = replace(RULES.parameters, leak_after_epochs=0)
    after = epochs.leak(off, state(stall=800), Epoch(900))
    assert len(after.sets) == 1
    assert not epochs.everybody_slept(rules(leak_after_epochs=0), state(), Epoch(10_000))


def test_a_leaking_version_never_starts_before_the_one_before_it() -> None:
    late = SetVersion(start_epoch=Epoch(99), weights=EVERYBODY, joint=True)
    after = epochs.leak(RULES.parameters, state(stall=72, sets=(*state().sets, late)), Epoch(90))
    assert after.sets[-1].start_epoch == 99


def test_a_long_sleep_of_everybody_is_no_stall() -> None:
    before = state(stall=70, active=0b1)
    short = epochs.count_stall(RULES, before, Epoch(9 + 64))
    assert (short.stall, short.active) == (71, 0b1)
    long = epochs.count_stall(RULES, before, Epoch(9 + 65))
    assert (long.stall, long.active) == (0, 0)
    assert long.calm == before.calm + 1


# -- quorums


def test_a_joint_version_needs_both_until_an_epoch_of_its_own_is_final() -> None:
    old = SetVersion(start_epoch=Epoch(0), weights=0b01111, joint=False)
    new = SetVersion(start_epoch=Epoch(9), weights=0b11110, joint=True)
    before = state(sets=(old, new))
    assert quorums.versions_needed(before, 8) == [old]
    assert quorums.versions_needed(before, 9) == [new, old]
    settled = replace(before, finalized=checkpoint(9, Hash32(b"\x08" * 32)))
    assert quorums.versions_needed(settled, 9) == [new]
    assert quorums.weights_in_force(before, 9) == 0b11110


@pytest.mark.parametrize(
    ("weights", "voters", "enough"),
    [
        ([0b1111], 0b0111, True),
        ([0b1111], 0b0011, False),
        ([0b111], 0b011, True),
        ([0b111], 0b001, False),
        ([0b111111], 0b001111, True),
        ([0b111111], 0b110000111, False),
        ([0b0111, 0b1110], 0b0110, True),
        ([0b0111, 0b1110], 0b0011, False),
        ([0], 0b1111, False),
    ],
)
def test_a_quorum_is_two_thirds_of_every_version(
    weights: list[int], voters: int, enough: bool
) -> None:
    assert quorums.has_quorum(weights, voters) is enough


def test_spans_cost_nothing_over_a_gap() -> None:
    assert quorums.extend_spans(RULES, state(), Slot(10**12)) == state().quorum_spans


def test_spans_record_a_version_that_starts_inside_a_gap() -> None:
    new = SetVersion(start_epoch=Epoch(50), weights=0b111, joint=True)
    spans = quorums.extend_spans(RULES, state(sets=(*state().sets, new)), Slot(200))
    assert quorums.weights_of_target(spans, 49) == (EVERYBODY,)
    assert quorums.weights_of_target(spans, 50) == (0b111, EVERYBODY)
    assert quorums.weights_of_target(quorums.trim_spans(spans, 60), 61) == (0b111, EVERYBODY)
    assert len(quorums.trim_spans(spans, 60)) == 1


def test_the_defaults_are_the_designs() -> None:
    assert Parameters() == RULES.parameters
    assert (RULES.parameters.leak_after_epochs, RULES.parameters.churn_divisor) == (64, 8)
    assert RULES.parameters.clock_disparity_seconds == 0.5
    assert replace(RULES.parameters, slot_seconds=1).clock_disparity_seconds == 0.25
