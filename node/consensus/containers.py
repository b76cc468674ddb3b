"""The messages of consensus and their one encoding each: RLP for what is hashed or signed, CBOR for the wire.

    Vote (gossip) -> AggregateVote (in a Payload) -> Payload root (in a header's extra_data) -> block hash

Decoders bound what they read and raise nothing but Rejected.
Deliberately absent: whether a message is allowed (state_transition, fork_choice, slashing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from node.consensus.limits import MAX_EVIDENCE, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_VOTES
from node.consensus.reasons import Reason
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex

PAYLOAD_VERSION = 1
"""The only version of Payload."""

SIGNATURE_BYTES = 64
"""Length of an Ed25519 signature."""

MAX_BITLIST_BYTES = 32
"""A bit for each of at most 256 validators."""

VOTE_EVIDENCE_KIND = 1
"""Marks evidence made of two votes."""

PROPOSAL_EVIDENCE_KIND = 2
"""Marks evidence made of two proposals."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Checkpoint:
    """A block as the last one with slot <= epoch * E of its chain; the pair is one unit."""

    epoch: Epoch
    """Absolute epoch."""
    block_hash: Hash32
    """The block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteData:
    """What a validator signs once per slot: a head and, unless head-only, a link between two checkpoints."""

    slot: Slot
    """When it is cast."""
    head_hash: Hash32
    """What the fork choice gives at that moment."""
    source: Checkpoint | None
    """A justified checkpoint; None in a head-only vote."""
    target: Checkpoint | None
    """The checkpoint to justify; None in a head-only vote."""

    def root(self) -> Hash32:
        """Hash the RLP; the identity of a vote (a signature is not unique)."""
        return _vote_data_root(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One validator's vote, as it is gossiped."""

    validator_index: ValidatorIndex
    """Who votes."""
    data: VoteData
    """For what."""
    signature: bytes
    """Ed25519 over `signing.vote_message`; 64 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateVote:
    """All votes of a payload that share one VoteData."""

    data: VoteData
    """For what."""
    voters: tuple[ValidatorIndex, ...]
    """Who, ascending."""
    signatures: tuple[bytes, ...]
    """64 bytes each, in the order of `voters`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposer's signed claim to a block."""

    slot: Slot
    """The block's slot."""
    proposer_index: ValidatorIndex
    """Who proposes."""
    block_hash: Hash32
    """What it proposes."""
    signature: bytes
    """Ed25519 over `signing.proposal_message`; 64 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteEvidence:
    """Two votes of one validator that it may not both cast."""

    first: Vote
    """One of them."""
    second: Vote
    """The other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalEvidence:
    """Two proposals of one validator for one slot."""

    first: Proposal
    """One of them."""
    second: Proposal
    """The other."""


Evidence: TypeAlias = VoteEvidence | ProposalEvidence
"""Proof that a validator broke a slashing rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a block says to consensus; its root is the header's extra_data."""

    version: int = PAYLOAD_VERSION
    """Always PAYLOAD_VERSION."""
    slot: Slot
    """The block's slot."""
    proposer_index: ValidatorIndex
    """Who made it."""
    reveal: Hash32
    """The proposer's next RANDAO layer."""
    renewal: Hash32
    """Tip of its next onion; counts only half an onion ahead."""
    votes: tuple[AggregateVote, ...] = ()
    """Votes, by target epoch, slot and root of their data."""
    evidence: tuple[Evidence, ...] = ()
    """Proofs of slashable offences."""

    def encode(self) -> bytes:
        """Encode in RLP."""
        return rlp.encode(
            (
                self.version,
                self.slot,
                self.proposer_index,
                self.reveal,
                self.renewal,
                [aggregate_fields(aggregate) for aggregate in self.votes],
                [evidence_fields(piece) for piece in self.evidence],
            )
        )

    def root(self) -> Hash32:
        """Hash the RLP."""
        return keccak256(self.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The unit that is gossiped and stored; `wire` has its CBOR, `proposals.open_envelope` reads it."""

    block: bytes
    """RLP of the EVM block."""
    payload: bytes
    """RLP of the payload."""
    proposal_signature: bytes
    """Ed25519 over `signing.proposal_message`; 64 bytes."""


# -- RLP, writing


def checkpoint_fields(checkpoint: Checkpoint | None) -> tuple[rlp.Encodable, ...]:
    """List a checkpoint's fields; empty for None."""
    return () if checkpoint is None else (checkpoint.epoch, checkpoint.block_hash)


def vote_data_fields(data: VoteData) -> tuple[rlp.Encodable, ...]:
    """List the fields of vote data."""
    return (
        data.slot,
        data.head_hash,
        checkpoint_fields(data.source),
        checkpoint_fields(data.target),
    )


def vote_fields(vote: Vote) -> tuple[rlp.Encodable, ...]:
    """List a vote's fields."""
    return (vote.validator_index, vote_data_fields(vote.data), vote.signature)


def proposal_fields(proposal: Proposal) -> tuple[rlp.Encodable, ...]:
    """List a proposal's fields."""
    return (proposal.slot, proposal.proposer_index, proposal.block_hash, proposal.signature)


def aggregate_fields(aggregate: AggregateVote) -> tuple[rlp.Encodable, ...]:
    """List the fields of votes that share their data."""
    mask = 0
    for index in aggregate.voters:
        mask |= 1 << index
    return (vote_data_fields(aggregate.data), encode_bitlist(mask), list(aggregate.signatures))


def evidence_fields(piece: Evidence) -> tuple[rlp.Encodable, ...]:
    """List the fields of evidence: its kind and the two messages."""
    match piece:
        case VoteEvidence():
            return (VOTE_EVIDENCE_KIND, vote_fields(piece.first), vote_fields(piece.second))
        case ProposalEvidence():
            return (
                PROPOSAL_EVIDENCE_KIND,
                proposal_fields(piece.first),
                proposal_fields(piece.second),
            )


def encode_bitlist(mask: int) -> bytes:
    """Encode a set of indexes: index i is bit i % 8 of byte i // 8; no zero byte at the end."""
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def encode_vote(vote: Vote) -> bytes:
    """Encode a vote in RLP."""
    return rlp.encode(vote_fields(vote))


def encode_proposal(proposal: Proposal) -> bytes:
    """Encode a proposal in RLP."""
    return rlp.encode(proposal_fields(proposal))


def encode_evidence(piece: Evidence) -> bytes:
    """Encode evidence in RLP."""
    return rlp.encode(evidence_fields(piece))


# -- RLP, reading: each raises Rejected


def decode_payload(encoded: bytes) -> Payload:
    """Decode a payload of at most MAX_PAYLOAD_BYTES, MAX_PAYLOAD_VOTES and MAX_EVIDENCE."""
    if len(encoded) > MAX_PAYLOAD_BYTES:
        raise Rejected(
            Reason.PAYLOAD_TOO_LARGE, f"{len(encoded)} bytes, at most {MAX_PAYLOAD_BYTES}"
        )
    item = rlp.decode(encoded, max_bytes=MAX_PAYLOAD_BYTES, max_items=16 * MAX_PAYLOAD_VOTES)
    version, slot, proposer_index, reveal, renewal, votes, evidence = rlp.as_list(item, 7)
    if (found := rlp.as_integer(version)) != PAYLOAD_VERSION:
        raise Rejected(Reason.PAYLOAD_VERSION, f"version {found}, want {PAYLOAD_VERSION}")
    aggregates = tuple(read_aggregate(aggregate) for aggregate in rlp.as_list(votes))
    if (count := sum(len(aggregate.voters) for aggregate in aggregates)) > MAX_PAYLOAD_VOTES:
        raise Rejected(Reason.PAYLOAD_TOO_LARGE, f"{count} votes, at most {MAX_PAYLOAD_VOTES}")
    pieces = rlp.as_list(evidence)
    if len(pieces) > MAX_EVIDENCE:
        raise Rejected(Reason.EVIDENCE_COUNT, f"{len(pieces)} pieces, at most {MAX_EVIDENCE}")
    return Payload(
        slot=Slot(rlp.as_integer(slot)),
        proposer_index=ValidatorIndex(rlp.as_integer(proposer_index)),
        reveal=Hash32(rlp.as_bytes(reveal, 32)),
        renewal=Hash32(rlp.as_bytes(renewal, 32)),
        votes=aggregates,
        evidence=tuple(read_evidence(piece) for piece in pieces),
    )


def decode_vote(encoded: bytes) -> Vote:
    """Decode a vote."""
    return read_vote(rlp.decode(encoded, max_bytes=512, max_items=32))


def decode_proposal(encoded: bytes) -> Proposal:
    """Decode a proposal."""
    return read_proposal(rlp.decode(encoded, max_bytes=256, max_items=8))


def decode_evidence(encoded: bytes) -> Evidence:
    """Decode evidence."""
    return read_evidence(rlp.decode(encoded, max_bytes=1_024, max_items=64))


def read_checkpoint(item: rlp.Item) -> Checkpoint:
    """Read a decoded item as a checkpoint."""
    epoch, block_hash = rlp.as_list(item, 2)
    return Checkpoint(
        epoch=Epoch(rlp.as_integer(epoch)), block_hash=Hash32(rlp.as_bytes(block_hash, 32))
    )


def read_vote_data(item: rlp.Item) -> VoteData:
    """Read a decoded item as vote data: both checkpoints or neither."""
    slot, head_hash, source, target = rlp.as_list(item, 4)
    sources, targets = rlp.as_list(source), rlp.as_list(target)
    if bool(sources) != bool(targets):
        raise Rejected(Reason.MALFORMED_VOTE, "one of source and target is empty")
    return VoteData(
        slot=Slot(rlp.as_integer(slot)),
        head_hash=Hash32(rlp.as_bytes(head_hash, 32)),
        source=read_checkpoint(sources) if sources else None,
        target=read_checkpoint(targets) if targets else None,
    )


def read_vote(item: rlp.Item) -> Vote:
    """Read a decoded item as a vote."""
    index, data, signature = rlp.as_list(item, 3)
    return Vote(
        validator_index=ValidatorIndex(rlp.as_integer(index)),
        data=read_vote_data(data),
        signature=rlp.as_bytes(signature, SIGNATURE_BYTES),
    )


def read_proposal(item: rlp.Item) -> Proposal:
    """Read a decoded item as a proposal."""
    slot, index, block_hash, signature = rlp.as_list(item, 4)
    return Proposal(
        slot=Slot(rlp.as_integer(slot)),
        proposer_index=ValidatorIndex(rlp.as_integer(index)),
        block_hash=Hash32(rlp.as_bytes(block_hash, 32)),
        signature=rlp.as_bytes(signature, SIGNATURE_BYTES),
    )


def read_aggregate(item: rlp.Item) -> AggregateVote:
    """Read a decoded item as votes that share their data."""
    data, bits, signatures = rlp.as_list(item, 3)
    voters = members(read_bitlist(bits))
    signed = tuple(rlp.as_bytes(entry, SIGNATURE_BYTES) for entry in rlp.as_list(signatures))
    if not voters or len(voters) != len(signed):
        raise Rejected(
            Reason.MALFORMED_AGGREGATE, f"{len(voters)} voters and {len(signed)} signatures"
        )
    return AggregateVote(data=read_vote_data(data), voters=voters, signatures=signed)


def read_bitlist(item: rlp.Item) -> int:
    """Read a decoded item as a set of indexes, a mask."""
    encoded = rlp.as_bytes(item)
    if len(encoded) > MAX_BITLIST_BYTES or encoded[-1:] == b"\x00":
        raise Rejected(Reason.MALFORMED_AGGREGATE, "a bitlist too long or padded")
    return int.from_bytes(encoded, "little")


def read_evidence(item: rlp.Item) -> Evidence:
    """Read a decoded item as evidence."""
    kind, first, second = rlp.as_list(item, 3)
    match rlp.as_integer(kind):
        case 1:
            return VoteEvidence(first=read_vote(first), second=read_vote(second))
        case 2:
            return ProposalEvidence(first=read_proposal(first), second=read_proposal(second))
        case unknown:
            raise Rejected(Reason.MALFORMED_EVIDENCE, f"kind {unknown}")


def members(mask: int) -> tuple[ValidatorIndex, ...]:
    """List the indexes in a mask, ascending."""
    return tuple(ValidatorIndex(index) for index in range(mask.bit_length()) if mask >> index & 1)


def votes_of(aggregates: Sequence[AggregateVote]) -> list[Vote]:
    """Take aggregates apart, in order."""
    return [
        Vote(validator_index=index, data=aggregate.data, signature=signature)
        for aggregate in aggregates
        for index, signature in zip(aggregate.voters, aggregate.signatures, strict=True)
    ]


@lru_cache(maxsize=4_096)
def _vote_data_root(data: VoteData) -> Hash32:
    return keccak256(rlp.encode(vote_data_fields(data)))
