"""Every rule of a block before and after execution: what passes, what is refused and by which name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from node.consensus import state_transition
from node.consensus.containers import (
    AggregateVote,
    Envelope,
    Evidence,
    Payload,
    ProposalEvidence,
    VoteData,
    VoteEvidence,
)
from node.consensus.limits import MAX_BLOCK_BYTES, MAX_PAYLOAD_BYTES
from node.consensus.reasons import Reason
from node.consensus.state_transition import Proposed
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.headers import Header, Withdrawal
from node.eth.primitives import Address, Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import (
    Chain,
    block_rlp,
    checkpoint,
    network,
)

OTHER_HASH = Hash32(b"\xee" * 32)


def chain(count: int = 4, last: int = 12, *, real: bool = False) -> Chain:
    """A chain with finality, its next block due at slot last + 1."""
    grown = Chain(network=network(count, real=real))
    grown.run(4, last)
    return grown


def refusal(grown: Chain, proposed: Proposed) -> Rejected:
    before = grown.state().encode()
    with pytest.raises(Rejected) as caught:
        grown.judge(proposed)
    assert grown.state().encode() == before
    return caught.value


def with_header(grown: Chain, proposed: Proposed, **changes: object) -> Proposed:
    """Change the header, and sign what comes out."""
    header = replace(proposed.header, **changes)  # type: ignore[arg-type]
    return signed(grown, replace(proposed, header=header, block_hash=header.hash()))


def with_payload(grown: Chain, proposed: Proposed, payload: Payload) -> Proposed:
    """Change the payload, commit to it and sign."""
    changed = replace(proposed, payload=payload, payload_root=payload.root())
    return with_header(grown, changed, extra_data=payload.root())


def signed(grown: Chain, proposed: Proposed) -> Proposed:
    payload = proposed.payload
    claim = grown.network.proposal(
        grown.state(), payload.proposer_index, payload.slot, proposed.block_hash
    )
    return replace(proposed, signature=claim.signature)


def head_vote(
    grown: Chain, slot: int, voters: Sequence[int], head: Hash32 | None = None
) -> AggregateVote:
    data = VoteData(slot=Slot(slot), head_hash=head or grown.tip, source=None, target=None)
    return grown.network.aggregate(grown.state(), voters, data)


def link_vote(grown: Chain, slot: int, source: int, target: int, voter: int = 0) -> AggregateVote:
    data = VoteData(
        slot=Slot(slot),
        head_hash=grown.tip,
        source=checkpoint(source, OTHER_HASH),
        target=checkpoint(target, OTHER_HASH),
    )
    return grown.network.aggregate(grown.state(), [voter], data)


# -- what passes


@pytest.mark.parametrize("count", [1, 4, 16])
def test_a_chain_of_real_signatures_finalizes(count: int) -> None:
    """Given everybody votes, when blocks follow each other, then finality is at most four slots behind."""
    grown = Chain(network=network(count, real=True))
    finalized_slots = []
    for slot in range(4, 15):
        grown.run(slot, slot)
        finalized_slots.append(grown.view.finalized.epoch * 2)
    assert finalized_slots[3] >= 4
    assert all(
        slot - final <= 4 for slot, final in zip(range(7, 15), finalized_slots[3:], strict=True)
    )


def test_an_envelope_opens_to_what_was_proposed() -> None:
    grown = chain()
    proposed = grown.propose(13)
    envelope = grown.network.envelope(grown.state(), proposed.header, proposed.payload)
    assert state_transition.open_envelope(envelope) == proposed
    assert proposed.proposal.block_hash == proposed.header.hash()


def test_the_same_block_gives_the_same_state() -> None:
    grown = chain()
    proposed = grown.propose(13)
    first, second = grown.judge(proposed), grown.judge(proposed)
    assert first == second
    assert first.root() == second.root()
    assert first.encode() == second.encode()


def test_the_attributes_of_a_block_are_what_the_rules_ask_for() -> None:
    grown = chain()
    attributes = state_transition.block_attributes(grown.network.rules, grown.state(), Slot(20))
    header = grown.propose(20).header
    assert attributes.timestamp == header.timestamp == grown.network.genesis.time + 40
    assert attributes.prev_randao == header.mix_hash == grown.state().mix
    assert attributes.parent_beacon_block_root == header.parent_beacon_block_root


def test_a_gap_of_any_length_is_one_step() -> None:
    grown = chain()
    grown.extend(13 + 30 * 1_800)
    assert grown.state().slot == 54_013


# -- the header


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": 1_700_000_027}, Reason.TIMESTAMP),
        ({"timestamp": 1_699_999_998}, Reason.TIMESTAMP),
        ({"timestamp": 1_700_000_024}, Reason.SLOT_NOT_AFTER_PARENT),
        ({"timestamp": 1_700_000_028}, Reason.PAYLOAD_SLOT),
        ({"extra_data": OTHER_HASH}, Reason.EXTRA_DATA),
        ({"extra_data": b""}, Reason.EXTRA_DATA),
        ({"parent_beacon_block_root": OTHER_HASH}, Reason.PARENT_STATE_ROOT),
        ({"mix_hash": OTHER_HASH}, Reason.MIX_HASH),
        ({"difficulty": 1}, Reason.POST_MERGE),
        ({"nonce": b"\x01" * 8}, Reason.POST_MERGE),
        ({"ommers_hash": OTHER_HASH}, Reason.POST_MERGE),
    ],
)
def test_a_wrong_header_field_is_refused(changes: dict[str, object], reason: Reason) -> None:
    grown = chain()
    assert refusal(grown, with_header(grown, grown.propose(13), **changes)).reason is reason


def test_withdrawals_nobody_is_owed_are_refused() -> None:
    grown = chain()
    paid = Withdrawal(index=0, validator_index=0, address=Address(bytes(20)), amount_gwei=1)
    proposed = replace(grown.propose(13), withdrawals=(paid,))
    assert refusal(grown, proposed).reason is Reason.WITHDRAWALS


# -- the proposer


def test_only_the_slots_proposer_may_propose() -> None:
    grown = chain()
    proposed = grown.propose(13)
    other = ValidatorIndex((proposed.payload.proposer_index + 1) % 4)
    payload = replace(proposed.payload, proposer_index=other)
    error = refusal(grown, with_payload(grown, proposed, payload))
    assert error.reason is Reason.PROPOSER
    assert error.message == f"validator {other}, want {proposed.payload.proposer_index}"


def test_a_proposers_index_outside_the_registry_is_only_a_wrong_proposer() -> None:
    grown = chain()
    proposed = grown.propose(13)
    payload = replace(proposed.payload, proposer_index=ValidatorIndex(1 << 60))
    changed = replace(proposed, payload=payload, payload_root=payload.root())
    header = replace(changed.header, extra_data=payload.root())
    assert refusal(grown, replace(changed, header=header)).reason is Reason.PROPOSER


def test_somebody_elses_signature_is_refused() -> None:
    grown = chain(real=True)
    proposed = replace(grown.propose(13), signature=bytes(64))
    assert refusal(grown, proposed).reason is Reason.PROPOSAL_SIGNATURE


def test_a_reveal_must_open_the_commitment() -> None:
    grown = chain()
    proposed = grown.propose(13)
    payload = replace(proposed.payload, reveal=OTHER_HASH)
    assert refusal(grown, with_payload(grown, proposed, payload)).reason is Reason.REVEAL


def test_the_mix_takes_in_the_reveal() -> None:
    grown = chain()
    before = grown.state().mix
    proposed = grown.propose(13)
    state = grown.judge(proposed)
    assert state.mix == keccak256(before + proposed.payload.reveal)
    assert state.recent_mixes[-1] == (13, state.mix)


# -- votes


VoteCase = Callable[[Chain], tuple[AggregateVote, ...]]


def unsigned(vote: AggregateVote) -> AggregateVote:
    return replace(vote, signatures=(bytes(64),) * len(vote.signatures))


VOTE_CASES: list[tuple[Reason, VoteCase]] = [
    (Reason.VOTE_INDEX, lambda c: (replace(head_vote(c, 12, [3]), voters=(ValidatorIndex(4),)),)),
    (Reason.VOTE_SLOT, lambda c: (head_vote(c, 13, [0]),)),
    (Reason.VOTE_SLOT, lambda c: (head_vote(c, 99, [0]),)),
    (Reason.VOTE_DUPLICATE, lambda c: (head_vote(c, 12, [0]), head_vote(c, 12, [1]))),
    (Reason.VOTE_EPOCHS, lambda c: (link_vote(c, 12, 6, 6),)),
    (Reason.VOTE_EPOCHS, lambda c: (link_vote(c, 12, 7, 6),)),
    (Reason.VOTE_EPOCHS, lambda c: (link_vote(c, 12, 5, 7),)),
    (Reason.VOTE_STALE, lambda c: (head_vote(c, 4, [0]),)),
    (Reason.VOTE_SIGNATURE, lambda c: (unsigned(head_vote(c, 12, [0, 1])),)),
]


@pytest.mark.parametrize(("reason", "case"), VOTE_CASES)
def test_a_vote_no_honest_builder_includes_makes_the_block_invalid(
    reason: Reason, case: VoteCase
) -> None:
    grown = chain()
    assert refusal(grown, grown.propose(13, votes=case(grown))).reason is reason


@pytest.mark.parametrize(
    "case",
    [
        lambda c: (head_vote(c, 12, [3]),),
        lambda c: (head_vote(c, 5, [3]),),
        lambda c: (head_vote(c, 12, [0]), head_vote(c, 12, [0], OTHER_HASH)),
        lambda c: (link_vote(c, 12, 5, 6),),
        lambda c: (link_vote(c, 2, 0, 1),),
    ],
    ids=[
        "newest",
        "at the expiry",
        "both of an equivocator",
        "unknown checkpoints",
        "below finality",
    ],
)
def test_a_useless_vote_is_ignored(case: VoteCase) -> None:
    grown = chain()
    proposed = grown.propose(13, votes=case(grown))
    state = grown.judge(proposed)
    assert state.tallies == {
        link: voters for link, voters in grown.state().tallies.items() if voters
    }
    assert state.justified == grown.state().justified


# -- evidence


def double_vote(grown: Chain, voter: int = 2, slot: int = 9) -> VoteEvidence:
    state = grown.state()
    first, second = (
        grown.network.vote(
            state, voter, VoteData(slot=Slot(slot), head_hash=head, source=None, target=None)
        )
        for head in (grown.tip, OTHER_HASH)
    )
    return VoteEvidence(first=first, second=second)


def double_proposal(grown: Chain, proposer: int = 2, slot: int = 9) -> ProposalEvidence:
    state = grown.state()
    return ProposalEvidence(
        first=grown.network.proposal(state, proposer, slot, grown.tip),
        second=grown.network.proposal(state, proposer, slot, OTHER_HASH),
    )


@pytest.mark.parametrize("make", [double_vote, double_proposal])
def test_evidence_slashes(make: Callable[[Chain], Evidence]) -> None:
    """Given proof, when it is included, then a share is lost and the validator waits to leave."""
    grown = chain(real=True)
    state = grown.judge(grown.propose(13, evidence=(make(grown),)))
    assert [entry.slashed for entry in state.validators] == [False, False, True, False]
    assert state.validators[2].balance_gwei == 16 * 10**9
    assert [(entry.validator_index, entry.slot) for entry in state.exits] == [(2, 13)]


EvidenceCase = Callable[[Chain], tuple[Evidence, ...]]


def same_vote_twice(grown: Chain) -> VoteEvidence:
    piece = double_vote(grown)
    return replace(piece, second=replace(piece.first, signature=bytes(64)))


def different_validators(grown: Chain) -> VoteEvidence:
    piece = double_vote(grown)
    return replace(piece, second=replace(piece.second, validator_index=ValidatorIndex(1)))


def forged(grown: Chain) -> VoteEvidence:
    piece = double_vote(grown)
    return replace(piece, second=replace(piece.second, signature=bytes(64)))


def unregistered(grown: Chain) -> ProposalEvidence:
    piece = double_proposal(grown)
    index = ValidatorIndex(4)
    return ProposalEvidence(
        first=replace(piece.first, proposer_index=index),
        second=replace(piece.second, proposer_index=index),
    )


EVIDENCE_CASES: list[tuple[Reason, EvidenceCase]] = [
    (Reason.EVIDENCE_NOT_SLASHABLE, lambda c: (same_vote_twice(c),)),
    (Reason.EVIDENCE_NOT_SLASHABLE, lambda c: (different_validators(c),)),
    (Reason.EVIDENCE_INDEX, lambda c: (unregistered(c),)),
    (Reason.EVIDENCE_SIGNATURE, lambda c: (forged(c),)),
]


@pytest.mark.parametrize(("reason", "case"), EVIDENCE_CASES)
def test_bad_evidence_makes_the_block_invalid(reason: Reason, case: EvidenceCase) -> None:
    grown = chain()
    assert refusal(grown, grown.propose(13, evidence=case(grown))).reason is reason


def test_a_block_holds_eight_pieces_of_evidence() -> None:
    grown = chain()
    eight = tuple(double_vote(grown, 1, slot) for slot in range(1, 9))
    assert grown.judge(grown.propose(13, evidence=eight)).validators[1].slashed
    proposed = grown.propose(13)
    nine = replace(proposed.payload, evidence=(*eight, double_vote(grown, 1, 9)))
    assert refusal(grown, with_payload(grown, proposed, nine)).reason is Reason.EVIDENCE_COUNT
    with pytest.raises(Rejected) as caught:
        grown.propose(13, evidence=nine.evidence)
    assert caught.value.reason is Reason.EVIDENCE_COUNT


def test_evidence_expires_with_the_stake_that_could_pay() -> None:
    grown = chain()
    last = 2 * (256 + 4) + 1
    old = double_vote(grown, slot=9)
    assert grown.judge(grown.propose(last, evidence=(old,))).validators[2].slashed
    error = refusal(grown, grown.propose(last + 1, evidence=(old,)))
    assert error.reason is Reason.EVIDENCE_TOO_OLD


# -- what does not even open


def test_oversized_parts_do_not_open() -> None:
    grown = chain()
    proposed = grown.propose(13)
    good = grown.network.envelope(grown.state(), proposed.header, proposed.payload)
    for envelope, reason in (
        (replace(good, block=bytes(MAX_BLOCK_BYTES + 1)), Reason.BLOCK_TOO_LARGE),
        (replace(good, payload=bytes(MAX_PAYLOAD_BYTES + 1)), Reason.PAYLOAD_TOO_LARGE),
    ):
        with pytest.raises(Rejected) as caught:
            state_transition.open_envelope(envelope)
        assert caught.value.reason is reason


def with_known_parent(proposed: Proposed) -> Proposed:
    """Undo what a mutation did to the parent's hash: the chain, not this package, refuses unknown parents."""
    return replace(proposed, header=replace(proposed.header, parent_hash=GROWN.tip))


GROWN = chain()
PROPOSED = GROWN.propose(
    13, votes=(head_vote(GROWN, 12, [0, 1, 2, 3]),), evidence=(double_vote(GROWN),)
)
ENVELOPE = GROWN.network.envelope(GROWN.state(), PROPOSED.header, PROPOSED.payload)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_envelopes_are_judged_or_rejected(data: st.DataObject) -> None:
    """Whatever a peer changes in an envelope, the answer is a state or a rejection."""
    parts = [bytearray(ENVELOPE.block), bytearray(ENVELOPE.payload)]
    for _ in range(data.draw(st.integers(1, 3))):
        part = parts[data.draw(st.integers(0, 1))]
        place = data.draw(st.integers(0, len(part) - 1))
        if data.draw(st.booleans()):
            part[place] = data.draw(st.integers(0, 255))
        else:
            del part[place]
    envelope = Envelope(
        block=bytes(parts[0]),
        payload=bytes(parts[1]),
        proposal_signature=ENVELOPE.proposal_signature,
    )
    with suppress(Rejected):
        proposed = state_transition.open_envelope(envelope)
        GROWN.judge(with_known_parent(proposed))


SMALL = st.integers(0, 20)
HASHES = st.sampled_from([GROWN.tip, GROWN.network.genesis_hash, OTHER_HASH])
INDEXES = st.one_of(st.integers(0, 5), st.integers(0, (1 << 64) - 1)).map(ValidatorIndex)
CHECKPOINTS = st.builds(checkpoint, SMALL, HASHES)
SLOTS = st.one_of(SMALL, st.integers(0, (1 << 64) - 1)).map(Slot)
HEAD_ONLY = st.builds(VoteData, slot=SLOTS, head_hash=HASHES, source=st.none(), target=st.none())
LINKS = st.builds(VoteData, slot=SLOTS, head_hash=HASHES, source=CHECKPOINTS, target=CHECKPOINTS)


@st.composite
def aggregates(draw: st.DrawFn) -> AggregateVote:
    voters = sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=5)))
    known = [index for index in voters if index < 4] or [0]
    vote = GROWN.network.aggregate(GROWN.state(), known, draw(st.one_of(HEAD_ONLY, LINKS)))
    if draw(st.booleans()):
        return vote
    return replace(
        vote,
        voters=tuple(ValidatorIndex(index) for index in voters),
        signatures=(bytes(64),) * len(voters),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(aggregates(), max_size=5), SLOTS, INDEXES)
def test_hostile_payloads_are_judged_or_rejected(
    votes: list[AggregateVote], slot: Slot, proposer: ValidatorIndex
) -> None:
    """A proposer that signs anything at all gets a state or a rejection."""
    payload = replace(PROPOSED.payload, votes=tuple(votes))
    with suppress(Rejected):
        GROWN.judge(with_payload(GROWN, PROPOSED, payload))
    hostile = replace(payload, slot=slot, proposer_index=proposer)
    changed = replace(PROPOSED, payload=hostile, payload_root=hostile.root())
    header: Header = replace(changed.header, extra_data=hostile.root())
    with suppress(Rejected):
        GROWN.judge(replace(changed, header=header))


def test_block_rlp_of_the_kit_is_what_the_rules_read() -> None:
    assert block_rlp(PROPOSED.header) == ENVELOPE.block
