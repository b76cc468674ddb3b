"""A certificate that a block is final: signatures of two thirds over one link, without the chain in between.

    CertificateParts (a node has them) -> build -> bytes -> verify (anyone who knows the validators' keys) -> ProvenFinality

A link S -> T one epoch long finalizes S. The certificate holds both headers, the votes for the link, and the set versions
with a Merkle branch to the state root in T's header, which is the state after T's parent; versions start at least two
epochs after they are scheduled, so those that T needs are in there.
What the verifier must bring is trust: the keys by index and the weights it believed in before (from genesis, or from the
certificate before this one). Two certificates that contradict each other name a third of a set that lied.
Deliberately absent: links two epochs long, which need a second certificate for their middle.
Source: node/README.md section 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.consensus import quorums, signing
from node.consensus.containers import (
    AggregateVote,
    Checkpoint,
    aggregate_fields,
    read_aggregate,
)
from node.consensus.finality import mask_of
from node.consensus.merkle import root_of_branch
from node.consensus.parameters import Rules
from node.consensus.reasons import Reason
from node.consensus.signing import SignatureVerifier, SignedMessage
from node.consensus.state import (
    FIELD_ORDER,
    ConsensusState,
    Link,
    SetVersion,
    StateField,
    decode_sets,
    encode_sets,
)
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import Header, decode_header
from node.eth.primitives import Epoch, Hash32

MAX_CERTIFICATE_BYTES = 256 * 1024
"""Bytes of a certificate: two headers, 256 signatures, a few aggregates and versions; ten times what that takes."""

_BRANCH_LENGTH = (len(FIELD_ORDER) - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalityCertificate:
    """Proof that the source's block is final."""

    source_header: Header
    """Header of S."""
    target_header: Header
    """Header of T."""
    source_epoch: Epoch
    """Epoch of S; T's is one more."""
    votes: tuple[AggregateVote, ...]
    """Votes for the link S -> T, whatever their heads."""
    sets: tuple[SetVersion, ...]
    """Set versions in the state after T's parent."""
    branch: tuple[Hash32, ...]
    """From the root of `sets` to T's parent_beacon_block_root, lowest first."""

    @property
    def link(self) -> Link:
        """What the votes vote for."""
        return Link(
            source=Checkpoint(epoch=self.source_epoch, block_hash=self.source_header.hash()),
            target=Checkpoint(
                epoch=Epoch(self.source_epoch + 1), block_hash=self.target_header.hash()
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenFinality:
    """What a valid certificate shows."""

    checkpoint: Checkpoint
    """What is final."""
    voters: int
    """Who signed, a mask."""
    weights: tuple[int, ...]
    """The versions whose quorums were met, masks, newest first: trust for the next certificate."""


def votes_for_link(
    payload_votes: Iterable[Sequence[AggregateVote]], link: Link
) -> tuple[AggregateVote, ...]:
    """Gather the votes for one link out of payloads, each validator once."""
    seen = 0
    chosen: list[AggregateVote] = []
    for aggregate in (aggregate for votes in payload_votes for aggregate in votes):
        if (aggregate.data.source, aggregate.data.target) != (link.source, link.target):
            continue
        pairs = [
            (index, signature)
            for index, signature in zip(aggregate.voters, aggregate.signatures, strict=True)
            if not seen >> index & 1
        ]
        if pairs:
            seen |= mask_of(aggregate)
            chosen.append(
                AggregateVote(
                    data=aggregate.data,
                    voters=tuple(index for index, _ in pairs),
                    signatures=tuple(signature for _, signature in pairs),
                )
            )
    return tuple(chosen)


def build_certificate(
    *,
    source_header: Header,
    target_header: Header,
    source_epoch: Epoch,
    target_parent_state: ConsensusState,
    votes: tuple[AggregateVote, ...],
) -> FinalityCertificate:
    """Put a certificate together; `votes` comes from `votes_for_link`. The result is only as good as `verify` finds it."""
    return FinalityCertificate(
        source_header=source_header,
        target_header=target_header,
        source_epoch=source_epoch,
        votes=votes,
        sets=target_parent_state.sets,
        branch=target_parent_state.branch(StateField.SETS),
    )


def verify_certificate(
    rules: Rules,
    certificate: FinalityCertificate,
    *,
    public_keys: Sequence[bytes],
    trusted_weights: Sequence[int],
    verify: SignatureVerifier,
) -> ProvenFinality:
    """Check a certificate against keys and weights the verifier trusts. Raises Rejected."""
    check_headers(rules, certificate)
    check_branch(certificate)
    voters = check_votes(certificate, len(public_keys))
    weights = weights_needed(certificate.sets, certificate.link.target.epoch)
    if not quorums.has_quorum((*weights, *trusted_weights), voters):
        raise Rejected(Reason.CERTIFICATE_QUORUM, f"{voters.bit_count()} voters are no two thirds")
    if not all(verify(signed_messages(rules, certificate, public_keys))):
        raise Rejected(Reason.CERTIFICATE_SIGNATURE, "a signature does not verify")
    return ProvenFinality(checkpoint=certificate.link.source, voters=voters, weights=weights)


def check_headers(rules: Rules, certificate: FinalityCertificate) -> None:
    """Refuse headers that cannot stand for their epochs: each is a block with slot <= epoch * E, T not before S."""
    source_slot = rules.slot_at(certificate.source_header.timestamp)
    target_slot = rules.slot_at(certificate.target_header.timestamp)
    if source_slot is None or target_slot is None or source_slot > target_slot:
        raise Rejected(Reason.CERTIFICATE_CHECKPOINT, "the headers' times are not in order")
    if source_slot > rules.epoch_start(certificate.source_epoch) or target_slot > rules.epoch_start(
        certificate.link.target.epoch
    ):
        raise Rejected(Reason.CERTIFICATE_CHECKPOINT, "a block lies above its epoch")


def check_branch(certificate: FinalityCertificate) -> None:
    """Refuse set versions that are not in the state that T's header commits to."""
    leaf = keccak256(encode_sets(certificate.sets))
    index = FIELD_ORDER.index(StateField.SETS)
    root = root_of_branch(leaf, index, certificate.branch)
    if (
        len(certificate.branch) != _BRANCH_LENGTH
        or root != certificate.target_header.parent_beacon_block_root
    ):
        raise Rejected(Reason.CERTIFICATE_BRANCH, "the branch does not lead to T's state root")


def check_votes(certificate: FinalityCertificate, registered: int) -> int:
    """Refuse votes for anything else or of nobody; gives who voted, a mask."""
    link, voters = certificate.link, 0
    for aggregate in certificate.votes:
        if (aggregate.data.source, aggregate.data.target) != (link.source, link.target):
            raise Rejected(Reason.CERTIFICATE_CHECKPOINT, "a vote for another link")
        voters |= mask_of(aggregate)
    if voters.bit_length() > registered:
        raise Rejected(Reason.VOTE_INDEX, f"index {voters.bit_length() - 1} of {registered}")
    return voters


def weights_needed(sets: Sequence[SetVersion], epoch: Epoch) -> tuple[int, ...]:
    """List the versions that a target of this epoch may need, without knowing what its state had finalized."""
    started = [version for version in sets if version.start_epoch <= epoch]
    if not started:
        raise Rejected(Reason.CERTIFICATE_QUORUM, "no set version has started")
    needed = [started.pop()]
    while needed[-1].joint and started:
        needed.append(started.pop())
    return tuple(version.weights for version in needed)


def signed_messages(
    rules: Rules, certificate: FinalityCertificate, public_keys: Sequence[bytes]
) -> list[SignedMessage]:
    """List the signatures of a certificate for the verifier."""
    return [
        (public_keys[index], signing.vote_message(rules.domains.vote, aggregate.data), signature)
        for aggregate in certificate.votes
        for index, signature in zip(aggregate.voters, aggregate.signatures, strict=True)
    ]


def encode_certificate(certificate: FinalityCertificate) -> bytes:
    """Encode in RLP."""
    return rlp.encode(
        (
            certificate.source_header.encode(),
            certificate.target_header.encode(),
            certificate.source_epoch,
            [aggregate_fields(aggregate) for aggregate in certificate.votes],
            encode_sets(certificate.sets),
            certificate.branch,
        )
    )


def decode_certificate(encoded: bytes) -> FinalityCertificate:
    """Decode a certificate. Raises Rejected."""
    item = rlp.decode(encoded, max_bytes=MAX_CERTIFICATE_BYTES, max_items=1 << 14)
    source, target, epoch, votes, sets, branch = rlp.as_list(item, 6)
    return FinalityCertificate(
        source_header=decode_header(rlp.as_bytes(source)),
        target_header=decode_header(rlp.as_bytes(target)),
        source_epoch=Epoch(rlp.as_integer(epoch)),
        votes=tuple(read_aggregate(entry) for entry in rlp.as_list(votes)),
        sets=decode_sets(rlp.as_bytes(sets)),
        branch=tuple(
            Hash32(rlp.as_bytes(entry, 32)) for entry in rlp.as_list(branch, _BRANCH_LENGTH)
        ),
    )
