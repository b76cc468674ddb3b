"""A parent's state and a proposed block give the state after it, or one typed rejection.

    envelope -> open_envelope -> check (all that needs no execution) -> engine executes -> finish (requests) -> new state

`check` stands before execution so that a bad block costs signatures, not gas, and may be forwarded to peers after it.
The result depends on the chain alone, never on what else a node has seen.
Source: node/README.md section 3; the parts live in epochs, finality, quorums, randao, registry and slashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.consensus import epochs, finality, quorums, randao, registry, slashing
from node.consensus.containers import (
    Envelope,
    Payload,
    Proposal,
    decode_payload,
)
from node.consensus.finality import BlockAt
from node.consensus.limits import MAX_BLOCK_BYTES, MAX_EVIDENCE
from node.consensus.parameters import Rules
from node.consensus.reasons import Reason
from node.consensus.signing import SignatureVerifier, SignedMessage, vote_message
from node.consensus.state import ConsensusState
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.headers import (
    EMPTY_OMMERS_HASH,
    ZERO_NONCE,
    Header,
    Withdrawal,
    decode_header,
    header_bytes_of_block,
    withdrawals_of_block,
)
from node.eth.primitives import Hash32, Slot, ValidatorIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """An envelope, opened: what consensus reads of a block."""

    block_hash: Hash32
    """keccak-256 of the header."""
    header: Header
    """The EVM block's header."""
    withdrawals: tuple[Withdrawal, ...]
    """The EVM block's withdrawals."""
    payload_root: Hash32
    """keccak-256 of the payload as it came."""
    payload: Payload
    """The consensus payload."""
    signature: bytes
    """The proposer's; 64 bytes."""

    @property
    def proposal(self) -> Proposal:
        """The proposer's claim, as evidence would hold it."""
        return Proposal(
            slot=self.payload.slot,
            proposer_index=self.payload.proposer_index,
            block_hash=self.block_hash,
            signature=self.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBlock:
    """A block that only execution can still refuse."""

    proposed: Proposed
    """The block."""
    slot: Slot
    """Its slot."""
    state: ConsensusState
    """The state after it, without its execution requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What consensus dictates to the builder of a block."""

    slot: Slot
    """The block's slot."""
    proposer_index: ValidatorIndex
    """Who may propose it."""
    timestamp: int
    """Seconds since the epoch of Unix."""
    prev_randao: Hash32
    """The header's mix_hash."""
    parent_beacon_block_root: Hash32
    """Root of the parent's consensus state."""
    withdrawals: tuple[Withdrawal, ...]
    """EIP-4895 list."""


def block_attributes(rules: Rules, parent: ConsensusState, slot: Slot) -> Attributes:
    """List what a block at `slot` on this parent must hold."""
    return Attributes(
        slot=slot,
        proposer_index=randao.proposer_index(rules, parent, slot),
        timestamp=rules.timestamp_of(slot),
        prev_randao=parent.mix,
        parent_beacon_block_root=parent.root(),
        withdrawals=registry.expected_withdrawals(rules, parent),
    )


def open_envelope(envelope: Envelope) -> Proposed:
    """Decode all of an envelope but its transactions. Raises Rejected."""
    if len(envelope.block) > MAX_BLOCK_BYTES:
        raise Rejected(Reason.BLOCK_TOO_LARGE, f"{len(envelope.block)} bytes")
    header_bytes = header_bytes_of_block(envelope.block)
    return Proposed(
        block_hash=keccak256(header_bytes),
        header=decode_header(header_bytes),
        withdrawals=withdrawals_of_block(envelope.block),
        payload_root=keccak256(envelope.payload),
        payload=decode_payload(envelope.payload),
        signature=envelope.proposal_signature,
    )


def check(
    rules: Rules,
    parent: ConsensusState,
    proposed: Proposed,
    block_at: BlockAt,
    verify: SignatureVerifier,
) -> CheckedBlock:
    """Judge a block on its parent's state by every rule that needs no execution. Raises Rejected.

    `block_at(slot)` names the last block of the parent's chain with slot <= the one given.
    """
    slot = check_slot(rules, parent, proposed)
    check_header(rules, parent, proposed)
    spans = quorums.extend_spans(rules, parent, slot)
    state = registry.apply_withdrawals(parent, proposed.withdrawals)
    epoch = rules.epoch_of(slot)
    if epoch > rules.epoch_of(parent.slot):
        state = epochs.process_epoch(rules, state, epoch)
    messages = [check_proposer(rules, state, proposed)]
    state = mix_in(rules, state, proposed.payload)
    evidence = check_evidence(rules, state, proposed.payload)
    votes = check_votes(rules, state, proposed.payload)
    check_signatures(verify, messages, evidence, votes)
    for piece in proposed.payload.evidence:
        state = slashing.slash(state, slashing.accused(piece), slot)
    count = finality.Count(rules, state, slot, spans, block_at)
    for aggregate in proposed.payload.votes:
        count.add(aggregate.data, finality.mask_of(aggregate))
    state = replace(count.result(state), slot=slot)
    return CheckedBlock(proposed=proposed, slot=slot, state=state)


def finish(
    rules: Rules, checked: CheckedBlock, requests: Sequence[bytes], verify: SignatureVerifier
) -> ConsensusState:
    """Add what the block's execution asked of consensus (EIP-7685): the state after the block. Raises Rejected."""
    return registry.apply_requests(rules, checked.state, checked.slot, requests, verify)


def check_slot(rules: Rules, parent: ConsensusState, proposed: Proposed) -> Slot:
    """Derive the block's slot from its timestamp: after the parent's, and the payload's own."""
    slot = rules.slot_at(proposed.header.timestamp)
    if slot is None:
        raise Rejected(Reason.TIMESTAMP, f"{proposed.header.timestamp} starts no slot")
    if slot <= parent.slot:
        raise Rejected(Reason.SLOT_NOT_AFTER_PARENT, f"slot {slot}, parent's {parent.slot}")
    if slot != proposed.payload.slot:
        raise Rejected(Reason.PAYLOAD_SLOT, f"slot {slot}, payload says {proposed.payload.slot}")
    return slot


def check_header(rules: Rules, parent: ConsensusState, proposed: Proposed) -> None:
    """Compare the header's consensus fields with what they must be."""
    header = proposed.header
    if header.extra_data != proposed.payload_root:
        raise Rejected(Reason.EXTRA_DATA, f"{header.extra_data.hex()}, want the payload's root")
    if header.parent_beacon_block_root != (root := parent.root()):
        raise Rejected(
            Reason.PARENT_STATE_ROOT, f"{header.parent_beacon_block_root.hex()}, want {root.hex()}"
        )
    if header.mix_hash != parent.mix:
        raise Rejected(Reason.MIX_HASH, f"{header.mix_hash.hex()}, want {parent.mix.hex()}")
    merged = (header.difficulty, header.nonce, header.ommers_hash)
    if merged != (0, ZERO_NONCE, EMPTY_OMMERS_HASH):
        raise Rejected(Reason.POST_MERGE, "difficulty, nonce and ommers must be empty")
    if proposed.withdrawals != registry.expected_withdrawals(rules, parent):
        raise Rejected(Reason.WITHDRAWALS, "not what the parent's state pays out")


def check_proposer(rules: Rules, state: ConsensusState, proposed: Proposed) -> SignedMessage:
    """Compare the proposer with the slot's; give the signature to verify."""
    payload = proposed.payload
    drawn = randao.proposer_index(rules, state, payload.slot)
    if payload.proposer_index != drawn:
        raise Rejected(Reason.PROPOSER, f"validator {payload.proposer_index}, want {drawn}")
    message = slashing.proposal_message(rules, proposed.proposal)
    return state.validators[drawn].public_key, message, proposed.signature


def mix_in(rules: Rules, state: ConsensusState, payload: Payload) -> ConsensusState:
    """Open the proposer's next RANDAO layer and stir it in."""
    validators = list(state.validators)
    validators[payload.proposer_index] = randao.open_layer(
        rules.parameters, validators[payload.proposer_index], payload.reveal, payload.renewal
    )
    mix = randao.next_mix(state.mix, payload.reveal)
    kept = randao.keep_mixes(rules.parameters, state.recent_mixes, payload.slot)
    return replace(
        state,
        validators=tuple(validators),
        mix=mix,
        recent_mixes=(*kept, (payload.slot, mix)),
    )


def check_evidence(rules: Rules, state: ConsensusState, payload: Payload) -> list[SignedMessage]:
    """Judge the evidence; give the signatures to verify."""
    if len(payload.evidence) > MAX_EVIDENCE:
        raise Rejected(Reason.EVIDENCE_COUNT, f"{len(payload.evidence)}, at most {MAX_EVIDENCE}")
    return [
        message
        for piece in payload.evidence
        for message in slashing.check_evidence(rules, state, payload.slot, piece)
    ]


def check_votes(rules: Rules, state: ConsensusState, payload: Payload) -> list[SignedMessage]:
    """Judge the votes; give the signatures to verify."""
    messages: list[SignedMessage] = []
    seen = set()
    for aggregate in payload.votes:
        if aggregate.data in seen:
            raise Rejected(Reason.VOTE_DUPLICATE, f"vote data of slot {aggregate.data.slot} twice")
        seen.add(aggregate.data)
        finality.check_vote(rules, state, payload.slot, aggregate.data, finality.mask_of(aggregate))
        message = vote_message(rules.domains.vote, aggregate.data)
        messages.extend(
            (state.validators[index].public_key, message, signature)
            for index, signature in zip(aggregate.voters, aggregate.signatures, strict=True)
        )
    return messages


def check_signatures(
    verify: SignatureVerifier,
    proposal: list[SignedMessage],
    evidence: list[SignedMessage],
    votes: list[SignedMessage],
) -> None:
    """Verify all signatures of a block in one list."""
    answers = verify([*proposal, *evidence, *votes])
    if not all(answers[: len(proposal)]):
        raise Rejected(Reason.PROPOSAL_SIGNATURE, "the proposal's signature does not verify")
    if not all(answers[len(proposal) : len(proposal) + len(evidence)]):
        raise Rejected(Reason.EVIDENCE_SIGNATURE, "a signature in the evidence does not verify")
    if not all(answers[len(proposal) + len(evidence) :]):
        raise Rejected(Reason.VOTE_SIGNATURE, "a vote's signature does not verify")
