"""Certificates convince who trusts the keys, and nothing else does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from node.consensus import finality_proof
from node.consensus.containers import AggregateVote
from node.consensus.finality_proof import FinalityCertificate, ProvenFinality
from node.consensus.reasons import Reason
from node.consensus.state import Link, SetVersion
from node.consensus.state_transition import Proposed
from node.errors import Rejected
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import Chain, network

NETWORK = network(4, real=True)
KEYS = [entry.public_key for entry in NETWORK.genesis_state.validators]


def history() -> tuple[Chain, dict[Hash32, Proposed]]:
    chain = Chain(network=NETWORK)
    blocks = {}
    for slot in range(4, 21):
        chain.tip = chain.view.head(Slot(slot))
        proposed = chain.propose(slot)
        blocks[chain.add(proposed)] = proposed
        chain.vote_all(slot)
    return chain, blocks


CHAIN, BLOCKS = history()
LINK = max(link for link in CHAIN.state().links if link.target.epoch == link.source.epoch + 1)
VOTES = finality_proof.votes_for_link((block.payload.votes for block in BLOCKS.values()), LINK)
TARGET = BLOCKS[LINK.target.block_hash]
CERTIFICATE = finality_proof.build_certificate(
    source_header=BLOCKS[LINK.source.block_hash].header,
    target_header=TARGET.header,
    source_epoch=LINK.source.epoch,
    target_parent_state=CHAIN.state(TARGET.header.parent_hash),
    votes=VOTES,
)


def verify(certificate: FinalityCertificate, *, trusted: int = 0b1111) -> ProvenFinality:
    return finality_proof.verify_certificate(
        NETWORK.rules,
        certificate,
        public_keys=KEYS,
        trusted_weights=[trusted],
        verify=NETWORK.verify,
    )


def refusal(certificate: FinalityCertificate, *, trusted: int = 0b1111) -> Reason:
    with pytest.raises(Rejected) as caught:
        verify(certificate, trusted=trusted)
    assert isinstance(caught.value.reason, Reason)
    return caught.value.reason


def test_a_certificate_proves_its_source_final() -> None:
    proven = verify(CERTIFICATE)
    assert proven.checkpoint == LINK.source
    assert proven.checkpoint.epoch <= CHAIN.view.finalized.epoch
    assert proven.weights == (0b1111,)
    assert proven.voters.bit_count() >= 3
    CHAIN.view.on_proven_finality(proven.checkpoint)


def test_it_travels() -> None:
    encoded = finality_proof.encode_certificate(CERTIFICATE)
    assert finality_proof.decode_certificate(encoded) == CERTIFICATE
    assert len(encoded) < 4_096


def test_each_validator_is_gathered_once() -> None:
    gathered = [index for vote in VOTES for index in vote.voters]
    assert sorted(gathered) == sorted(set(gathered))


def fewer(votes: tuple[AggregateVote, ...], count: int) -> tuple[AggregateVote, ...]:
    """Keep the votes of the first validators."""
    kept = []
    for vote in votes:
        pairs = [
            (index, signature)
            for index, signature in zip(vote.voters, vote.signatures, strict=True)
            if index < count
        ]
        if pairs:
            indexes, signatures = zip(*pairs, strict=True)
            kept.append(replace(vote, voters=indexes, signatures=signatures))
    return tuple(kept)


def test_three_of_four_are_enough_and_two_are_not() -> None:
    assert verify(replace(CERTIFICATE, votes=fewer(VOTES, 3))).voters == 0b0111
    two = replace(CERTIFICATE, votes=fewer(VOTES, 2))
    assert refusal(two) is Reason.CERTIFICATE_QUORUM


def test_the_verifiers_own_weights_count_too() -> None:
    assert (
        refusal(replace(CERTIFICATE, votes=fewer(VOTES, 3)), trusted=0b11000)
        is Reason.CERTIFICATE_QUORUM
    )


def test_forged_signatures_are_refused() -> None:
    forged = (replace(VOTES[0], signatures=(bytes(64),) * len(VOTES[0].voters)), *VOTES[1:])
    assert refusal(replace(CERTIFICATE, votes=forged)) is Reason.CERTIFICATE_SIGNATURE


def test_unknown_voters_are_refused() -> None:
    stranger = replace(
        VOTES[0],
        voters=(*VOTES[0].voters, ValidatorIndex(9)),
        signatures=(*VOTES[0].signatures, bytes(64)),
    )
    assert refusal(replace(CERTIFICATE, votes=(stranger,))) is Reason.VOTE_INDEX


def test_votes_for_another_link_are_refused() -> None:
    other: Link = min(CHAIN.state().links | {LINK})
    data = replace(VOTES[0].data, source=other.source, target=None)
    assert (
        refusal(replace(CERTIFICATE, votes=(replace(VOTES[0], data=data),)))
        is Reason.CERTIFICATE_CHECKPOINT
    )


def test_another_set_is_refused() -> None:
    mine = (SetVersion(start_epoch=Epoch(0), weights=0b0001, joint=False),)
    assert refusal(replace(CERTIFICATE, sets=mine)) is Reason.CERTIFICATE_BRANCH
    short = replace(CERTIFICATE, branch=CERTIFICATE.branch[:-1])
    assert refusal(short) is Reason.CERTIFICATE_BRANCH


def test_headers_must_stand_for_their_epochs() -> None:
    swapped = replace(
        CERTIFICATE,
        source_header=CERTIFICATE.target_header,
        target_header=CERTIFICATE.source_header,
    )
    assert refusal(swapped) is Reason.CERTIFICATE_CHECKPOINT
    early = replace(CERTIFICATE, source_epoch=Epoch(CERTIFICATE.source_epoch - 1))
    assert refusal(early) is Reason.CERTIFICATE_CHECKPOINT
    between = replace(CERTIFICATE, source_header=replace(CERTIFICATE.source_header, timestamp=1))
    assert refusal(between) is Reason.CERTIFICATE_CHECKPOINT


def test_a_joint_version_needs_the_one_before_it() -> None:
    versions = [
        SetVersion(start_epoch=Epoch(start), weights=1 << start, joint=joint)
        for start, joint in ((0, False), (3, True), (5, True), (9, True))
    ]
    assert finality_proof.weights_needed(versions, Epoch(2)) == (1,)
    assert finality_proof.weights_needed(versions, Epoch(5)) == (1 << 5, 1 << 3, 1)
    with pytest.raises(Rejected) as caught:
        finality_proof.weights_needed(versions[1:], Epoch(2))
    assert caught.value.reason is Reason.CERTIFICATE_QUORUM


@given(st.data())
def test_mutated_certificates_prove_nothing_else(data: st.DataObject) -> None:
    encoded = bytearray(finality_proof.encode_certificate(CERTIFICATE))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    with suppress(Rejected):
        proven = verify(finality_proof.decode_certificate(bytes(encoded)))
        assert proven.checkpoint == LINK.source
