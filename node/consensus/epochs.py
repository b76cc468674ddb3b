"""What happens once in an epoch, in the chain's first block of it: the registry, the set versions and the leak.

    process_epoch = count the stall -> admit deposits -> schedule a joint version -> leak -> drop old versions

An epoch without a block does nothing, so a gap of any length is one call.
A version starts at least two epochs ahead, so no target up to the next epoch depends on it.
Source: node/README.md section 6.
"""

from __future__ import annotations

from dataclasses import replace

from node.consensus.containers import members
from node.consensus.parameters import STAKE_GWEI, Parameters, Rules
from node.consensus.state import (
    FAR_FUTURE_EPOCH,
    ConsensusState,
    PendingDeposit,
    SetVersion,
    Validator,
)
from node.eth.primitives import ZERO_HASH, Epoch, ValidatorIndex

SCHEDULED_CHANGES_ARE_JOINT = True
"""A scheduled change needs the old quorum and the new one; after a plain switch a conflict may have nobody to blame."""


def process_epoch(rules: Rules, state: ConsensusState, epoch: Epoch) -> ConsensusState:
    """Run the work of an epoch on the state before its first block."""
    state = count_stall(rules, state, epoch)
    state = admit_deposits(rules, state)
    state = count_presence(state)
    state = schedule_changes(rules, state, epoch)
    state = leak(rules.parameters, state, epoch)
    return replace(state, sets=drop_superseded(state.sets, state.finalized.epoch))


def count_stall(rules: Rules, state: ConsensusState, epoch: Epoch) -> ConsensusState:
    """Count one more epoch with a block without finality; start over if everybody slept."""
    if everybody_slept(rules, state, epoch):
        return replace(state, stall=0, active=0, calm=state.calm + 1)
    return replace(state, stall=state.stall + 1, calm=state.calm + 1)


def everybody_slept(rules: Rules, state: ConsensusState, epoch: Epoch) -> bool:
    """Tell whether nobody extended this chain for longer than the leak waits: such a chain does not leak."""
    leak_after = rules.parameters.leak_after_epochs
    return leak_after > 0 and epoch - rules.epoch_of(state.slot) > leak_after


def admit_deposits(rules: Rules, state: ConsensusState) -> ConsensusState:
    """Give the next indexes to deposits of finalized blocks, in chain order and without weight.

    Only finality makes the order the same on every fork, and indexes with it. A key that is in the registry is never
    added again; a full registry takes nobody in.
    """
    finalized_slot = rules.epoch_start(state.finalized.epoch)
    admitted = [deposit for deposit in state.deposits if is_admissible(deposit, finalized_slot)]
    if not admitted:
        return state
    known = {validator.public_key for validator in state.validators}
    fresh = [deposit for deposit in admitted if deposit.public_key not in known]
    room = rules.parameters.max_validators - len(state.validators)
    newcomers = tuple(_candidate(deposit) for deposit in fresh[: max(0, room)])
    waiting = tuple(deposit for deposit in state.deposits if deposit not in admitted)
    return replace(state, validators=state.validators + newcomers, deposits=waiting)


def is_admissible(deposit: PendingDeposit, finalized_slot: int) -> bool:
    """Tell whether a deposit's block is finalized."""
    return deposit.slot <= finalized_slot


def count_presence(state: ConsensusState) -> ConsensusState:
    """Close the epoch's roll call: one more in a row for who was there, none for who was not."""
    if not any(entry.present or entry.present_epochs for entry in state.validators):
        return state
    return replace(state, validators=tuple(map(_close_roll_call, state.validators)))


def schedule_changes(rules: Rules, state: ConsensusState, epoch: Epoch) -> ConsensusState:
    """Schedule one joint version of exits, slashings and joins, one transition at a time and only while finality works."""
    parameters = rules.parameters
    if joint_in_flight(state) or state.stall > parameters.leak_period_epochs:
        return state
    weights = state.sets[-1].weights
    finalized_slot = rules.epoch_start(state.finalized.epoch)
    leaving = select_exits(parameters, state, weights, finalized_slot)
    joining = select_joins(parameters, state, weights)
    start = Epoch(epoch + parameters.schedule_delay_epochs)
    state = _settle_exits(parameters, state, leaving, weights, epoch, start)
    if not leaving and not joining:
        return state
    changed = weights & ~_mask(leaving) | _mask(joining)
    version = SetVersion(start_epoch=start, weights=changed, joint=SCHEDULED_CHANGES_ARE_JOINT)
    return replace(state, sets=(*state.sets, version))


def joint_in_flight(state: ConsensusState) -> bool:
    """Tell whether a joint version still waits for an epoch of its own to be finalized."""
    return any(
        version.joint and state.finalized.epoch < version.start_epoch for version in state.sets
    )


def churn(parameters: Parameters, weights: int) -> int:
    """Compute how many validators one version may add, and how many it may let go."""
    return max(1, weights.bit_count() // parameters.churn_divisor)


def select_exits(
    parameters: Parameters, state: ConsensusState, weights: int, finalized_slot: int
) -> list[ValidatorIndex]:
    """Choose who loses weight: all slashed, then as many leavers as the churn allows, never the last validator."""
    ready = [pending.validator_index for pending in state.exits if pending.slot <= finalized_slot]
    slashed = [index for index in ready if state.validators[index].slashed]
    others = [index for index in ready if not state.validators[index].slashed]
    chosen = slashed + others[: churn(parameters, weights)]
    return [index for index in chosen if weights >> index & 1][: weights.bit_count() - 1]


def select_joins(
    parameters: Parameters, state: ConsensusState, weights: int
) -> list[ValidatorIndex]:
    """Choose who gains weight: ready candidates by index, none soon after a step of the leak."""
    if state.calm <= parameters.join_pause_epochs:
        return []
    leaving = {pending.validator_index for pending in state.exits}
    ready = [
        ValidatorIndex(index)
        for index, validator in enumerate(state.validators)
        if not weights >> index & 1
        and index not in leaving
        and validator.exit_epoch == FAR_FUTURE_EPOCH
        and is_ready(parameters, validator)
    ]
    room = parameters.max_validators - weights.bit_count()
    return ready[: min(churn(parameters, weights), room)]


def is_ready(parameters: Parameters, candidate: Validator) -> bool:
    """Tell whether a candidate has shown that its key votes."""
    return candidate.present_epochs >= parameters.tryout_epochs


def leak(parameters: Parameters, state: ConsensusState, epoch: Epoch) -> ConsensusState:
    """Take weight from validators that did not vote in this leak period, once finality has stood still too long.

    Highest index first, never all of them. The version is not joint: it gives up safety across itself for liveness.
    """
    if not state.stall or state.stall % parameters.leak_period_epochs:
        return state
    idle = select_idle(parameters, state) if leak_is_due(parameters, state) else 0
    if not idle:
        return replace(state, active=0)
    newest = state.sets[-1]
    start = max(Epoch(epoch + parameters.schedule_delay_epochs), newest.start_epoch)
    version = SetVersion(start_epoch=start, weights=newest.weights & ~idle, joint=False)
    return replace(state, sets=(*state.sets, version), calm=0, active=0)


def leak_is_due(parameters: Parameters, state: ConsensusState) -> bool:
    """Tell whether the leak is on and finality has stood still for longer than it waits."""
    return 0 < parameters.leak_after_epochs < state.stall


def select_idle(parameters: Parameters, state: ConsensusState) -> int:
    """Choose whom a step of the leak takes, a mask; empty if everybody was idle within the churn."""
    weights = state.sets[-1].weights
    idle = list(reversed(members(weights & ~state.active)))[: churn(parameters, weights)]
    return _mask(idle) if len(idle) < weights.bit_count() else 0


def drop_superseded(sets: tuple[SetVersion, ...], finalized_epoch: Epoch) -> tuple[SetVersion, ...]:
    """Drop the versions that no target above finality can need."""
    needed = max(
        (place for place in range(1, len(sets)) if sets[place].start_epoch <= finalized_epoch),
        default=0,
    )
    return sets[needed:]


def _candidate(deposit: PendingDeposit) -> Validator:
    assert deposit.amount_gwei >= STAKE_GWEI
    return Validator(
        public_key=deposit.public_key,
        withdrawal_address=deposit.withdrawal_address,
        balance_gwei=deposit.amount_gwei,
        commitment=deposit.commitment,
        next_commitment=ZERO_HASH,
    )


def _close_roll_call(validator: Validator) -> Validator:
    if validator.present:
        return replace(validator, present=False, present_epochs=validator.present_epochs + 1)
    return replace(validator, present_epochs=0) if validator.present_epochs else validator


def _settle_exits(
    parameters: Parameters,
    state: ConsensusState,
    leaving: list[ValidatorIndex],
    weights: int,
    epoch: Epoch,
    start: Epoch,
) -> ConsensusState:
    """Take from the queue who leaves with this version, and who had no weight to lose; both start to unbond."""
    ends = dict.fromkeys(leaving, start)
    for pending in state.exits:
        if not weights >> pending.validator_index & 1:
            ends[pending.validator_index] = epoch
    if not ends:
        return state
    validators = list(state.validators)
    for index, exit_epoch in ends.items():
        if validators[index].exit_epoch == FAR_FUTURE_EPOCH:
            withdrawable = Epoch(exit_epoch + parameters.unbond_epochs)
            validators[index] = replace(
                validators[index], exit_epoch=exit_epoch, withdrawable_epoch=withdrawable
            )
    exits = tuple(pending for pending in state.exits if pending.validator_index not in ends)
    return replace(state, validators=tuple(validators), exits=exits)


def _mask(indexes: list[ValidatorIndex]) -> int:
    mask = 0
    for index in indexes:
        mask |= 1 << index
    return mask
