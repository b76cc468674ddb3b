"""What the local validators owe at a slot, and when. PURE.

    state after the head, own keys -> local_validators -> who votes
    slot, clock                    -> Moments          -> until when a block is filled, when votes are due
    parts of the node              -> reason_to_rest   -> sign nothing

What a vote says (head, source, target, patience) is `ForkChoice.vote_data`: it is a rule of consensus, not of this node.
Deliberately absent: waiting, keys, and anything that remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from node.consensus.containers import VoteData
from node.consensus.parameters import Parameters
from node.consensus.state import Validator
from node.eth.primitives import Hash32, Slot, ValidatorIndex

FILL_SHARE: Final = 0.4
"""Share of the time until votes are due in which a block is filled; the rest is for sealing, saving, gossip and imports."""


class Rest(StrEnum):
    """Why nothing is signed."""

    BEFORE_START = "before_start"
    """The chain's first slot for blocks has not come."""
    SYNCING = "syncing"
    """Peers have a chain that is not here yet."""
    SAFETY_FAULT = "safety_fault"
    """Two conflicting checkpoints were seen: whatever is signed could make it worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalValidator:
    """One of this process's validators."""

    index: ValidatorIndex
    """Its place in the registry."""
    public_key: bytes
    """Ed25519; 32 bytes."""
    validator: Validator
    """Its entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When things are due in a slot; milliseconds since the epoch of Unix."""

    start_ms: int
    """The slot begins: propose."""
    fill_until_ms: int
    """A block takes no more transactions."""
    vote_due_ms: int
    """Votes leave, block or no block."""
    freeze_ms: int
    """Too late for a block to be of use."""


def moments(parameters: Parameters, *, start_ms: int, slot_duration_ms: int) -> Moments:
    """The moments of a slot that begins at `start_ms`."""
    until_vote_ms = slot_duration_ms * parameters.vote_due_permille // 1_000
    return Moments(
        start_ms=start_ms,
        fill_until_ms=start_ms + round(FILL_SHARE * until_vote_ms),
        vote_due_ms=start_ms + until_vote_ms,
        freeze_ms=start_ms + slot_duration_ms * parameters.freeze_permille // 1_000,
    )


def reason_to_rest(
    parameters: Parameters, slot: int, *, is_syncing: bool, safety_fault: str | None
) -> Rest | None:
    """Why nothing may be signed at a slot; None if there is no reason."""
    if safety_fault is not None:
        return Rest.SAFETY_FAULT
    if slot < parameters.first_proposal_slot:
        return Rest.BEFORE_START
    return Rest.SYNCING if is_syncing else None


def local_validators(
    validators: Sequence[Validator], public_keys: frozenset[bytes], epoch: int
) -> tuple[LocalValidator, ...]:
    """Those of the registry whose keys are here and who have not left for good."""
    return tuple(
        LocalValidator(
            index=ValidatorIndex(index), public_key=validator.public_key, validator=validator
        )
        for index, validator in enumerate(validators)
        if validator.public_key in public_keys and epoch < validator.exit_epoch
    )


def has_signed_before(validator: Validator) -> bool:
    """Whether the chain shows that this key has proposed: then a signer without history must not use it."""
    return validator.reveals > 0


def contradiction(data: VoteData, other_head: Hash32) -> VoteData:
    """A vote that may not be cast beside this one: the same slot, another head (rule R1)."""
    assert other_head != data.head_hash
    return replace(data, head_hash=other_head, source=None, target=None)


def is_worth_proposing(now_ms: int, due: Moments) -> bool:
    """Whether a block that is begun now can still be voted for by anybody."""
    return now_ms < due.freeze_ms


def next_slot(current: Slot, done: Slot) -> Slot:
    """The slot to wait for: the one after what is done, or the current one if time has jumped past that."""
    return Slot(max(current, done + 1))
