"""Which two messages of one validator contradict each other, and what that costs.

R1 two different votes in one slot; R2 two different links with one target epoch; R3 one link surrounds the other;
R4 two different proposals for one slot.
An honest validator's signer refuses to make such a pair (EIP-3076), restarts included.
Source: node/README.md section 5.
"""

from __future__ import annotations

from dataclasses import replace

from node.consensus import signing
from node.consensus.containers import Evidence, Proposal, Vote, VoteData, VoteEvidence
from node.consensus.parameters import SLASHED_SHARE_DIVISOR, Rules
from node.consensus.reasons import Reason
from node.consensus.signing import SignedMessage
from node.consensus.state import ConsensusState, PendingExit
from node.errors import Rejected
from node.eth.primitives import Gwei, Slot, ValidatorIndex


def is_slashable_vote_pair(first: Vote, second: Vote) -> bool:
    """Tell whether two votes are of one validator and break R1, R2 or R3."""
    if first.validator_index != second.validator_index or first.data == second.data:
        return False
    return (
        is_double_vote(first.data, second.data)
        or is_double_target(first.data, second.data)
        or surrounds(first.data, second.data)
        or surrounds(second.data, first.data)
    )


def is_double_vote(first: VoteData, second: VoteData) -> bool:
    """R1: two different votes in one slot."""
    return first.slot == second.slot and first != second


def is_double_target(first: VoteData, second: VoteData) -> bool:
    """R2: one target epoch, different links."""
    if first.target is None or second.target is None:
        return False
    same_link = first.source == second.source and first.target == second.target
    return first.target.epoch == second.target.epoch and not same_link


def surrounds(outer: VoteData, inner: VoteData) -> bool:
    """R3: the outer link starts before the inner one and ends after it, by epoch."""
    if outer.source is None or outer.target is None or inner.source is None or inner.target is None:
        return False
    return outer.source.epoch < inner.source.epoch and inner.target.epoch < outer.target.epoch


def is_slashable_proposal_pair(first: Proposal, second: Proposal) -> bool:
    """R4: one proposer, one slot, two blocks."""
    return (
        first.slot == second.slot
        and first.proposer_index == second.proposer_index
        and first.block_hash != second.block_hash
    )


def accused(piece: Evidence) -> ValidatorIndex:
    """Name the validator that evidence is about (the first message's, if the two differ)."""
    if isinstance(piece, VoteEvidence):
        return piece.first.validator_index
    return piece.first.proposer_index


def check_evidence(
    rules: Rules, state: ConsensusState, slot: Slot, piece: Evidence
) -> list[SignedMessage]:
    """Judge evidence in a block at `slot`, all but its signatures, which it returns. Raises Rejected."""
    if accused(piece) >= len(state.validators):
        raise Rejected(Reason.EVIDENCE_INDEX, f"validator {accused(piece)} is not registered")
    if not is_slashable(piece):
        raise Rejected(Reason.EVIDENCE_NOT_SLASHABLE, "the messages do not contradict each other")
    if is_too_old(rules, slot, piece):
        raise Rejected(
            Reason.EVIDENCE_TOO_OLD, f"offence at slot {offence_slot(piece)}, block slot {slot}"
        )
    return evidence_messages(rules, state.validators[accused(piece)].public_key, piece)


def is_slashable(piece: Evidence) -> bool:
    """Tell whether the pair breaks a rule."""
    if isinstance(piece, VoteEvidence):
        return is_slashable_vote_pair(piece.first, piece.second)
    return is_slashable_proposal_pair(piece.first, piece.second)


def is_about_votes(piece: Evidence) -> bool:
    """Tell whether evidence shows contradicting votes, not contradicting proposals."""
    return isinstance(piece, VoteEvidence)


def is_too_old(rules: Rules, slot: Slot, piece: Evidence) -> bool:
    """Tell whether the offence is older, for a block at `slot`, than the stake that could pay for it."""
    offence = rules.epoch_of(offence_slot(piece))
    return offence + rules.parameters.unbond_epochs < rules.epoch_of(slot)


def offence_slot(piece: Evidence) -> Slot:
    """Find when the second message, which makes the offence, was signed."""
    if isinstance(piece, VoteEvidence):
        return max(piece.first.data.slot, piece.second.data.slot)
    return piece.first.slot


def evidence_messages(rules: Rules, public_key: bytes, piece: Evidence) -> list[SignedMessage]:
    """List the two signatures of evidence for the verifier."""
    if isinstance(piece, VoteEvidence):
        return [
            (public_key, signing.vote_message(rules.domains.vote, vote.data), vote.signature)
            for vote in (piece.first, piece.second)
        ]
    return [
        (public_key, proposal_message(rules, proposal), proposal.signature)
        for proposal in (piece.first, piece.second)
    ]


def proposal_message(rules: Rules, proposal: Proposal) -> bytes:
    """Build what a proposal's signature covers."""
    return signing.proposal_message(
        rules.domains.proposal, proposal.slot, proposal.proposer_index, proposal.block_hash
    )


def slash(state: ConsensusState, index: ValidatorIndex, slot: Slot) -> ConsensusState:
    """Mark a validator slashed: a fixed share is lost, the next version removes it, it never returns."""
    validator = state.validators[index]
    if validator.slashed:
        return state
    lost = Gwei(validator.balance_gwei // SLASHED_SHARE_DIVISOR)
    validators = list(state.validators)
    validators[index] = replace(
        validator, slashed=True, balance_gwei=Gwei(validator.balance_gwei - lost)
    )
    others = tuple(pending for pending in state.exits if pending.validator_index != index)
    exits = (*others, PendingExit(validator_index=index, slot=slot))
    return replace(state, validators=tuple(validators), exits=exits)
