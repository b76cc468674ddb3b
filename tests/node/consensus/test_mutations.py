"""Do our tests notice broken rules? Each of the reference model's mutations is made to our code, and its detector must see it.

A detector is a small scenario on the real rules; unmutated, all of them are quiet.
`signer without FFG checks` mutates node.validator's rules, where signing lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from node.consensus import epochs, finality, quorums, randao, vote_pool
from node.consensus.containers import AggregateVote, VoteData
from node.consensus.fork_choice import ForkChoice
from node.consensus.parameters import Parameters, Rules
from node.consensus.reasons import Reason
from node.consensus.state import ConsensusState, Link, QuorumSpan, SetVersion, Validator
from node.errors import Rejected
from node.eth.primitives import Epoch, Hash32, Slot
from node.validator import protection_rules
from tests.node.consensus.network import (
    Chain,
    Keys,
    checkpoint,
    deposit_request,
    network,
)
from tests.node.consensus.reference_model import load_model
from tests.node.consensus.test_differential import fuzz
from tests.node.consensus.test_finality import NETWORK, base, block, count, vote

Detector = Callable[[], bool]
Mutation = Callable[[pytest.MonkeyPatch], None]


# -- detectors: True if something is wrong


def half_justifies() -> bool:
    counted = count(base())
    counted.add(vote(0, 5), 0b0011)
    return counted.justified.epoch == 5


def mixed_sources_justify() -> bool:
    counted = count(base(1, 2))
    counted.add(vote(1, 5), 0b0011)
    counted.add(vote(2, 5), 0b1100)
    return counted.justified.epoch == 5


def signer_surrounds_itself() -> bool:
    """A signer that voted 3 -> 4 is asked for 2 -> 5."""
    signed = protection_rules.after_vote(
        protection_rules.SigningRecord(), vote(3, 4, 38), bytes(64)
    )
    asked = protection_rules.judge_vote(signed, vote(2, 5, 39))
    return asked is protection_rules.Permission.SIGN


def old_votes_never_justify() -> bool:
    """Given three votes that no block took for ten slots, when an honest proposer builds, then they justify."""
    grown = Chain(network=network(4))
    grown.extend(4)
    grown.vote_all(4, [0, 1, 2])
    grown.vote_all(5, [0, 1, 2])
    for slot in range(6, 16):
        grown.extend(slot, votes=())
    grown.extend(16)
    return grown.state().justified.epoch != 2


def head_leaves_the_justified_chain() -> bool:
    """A fork with a justified block and no recent vote, against one with every recent vote."""
    grown = Chain(network=network(4, Parameters(slots_per_epoch=1)))
    view, genesis = grown.view, grown.tip
    first = grown.extend(1)

    def link(slot: int, source: tuple[int, Hash32], target: tuple[int, Hash32]) -> AggregateVote:
        data = VoteData(
            slot=Slot(slot),
            head_hash=target[1],
            source=checkpoint(*source),
            target=checkpoint(*target),
        )
        return grown.network.aggregate(grown.state(), [0, 1, 2], data)

    second = grown.extend(2, votes=(link(1, (0, genesis), (1, first)),))
    other = grown.add(grown.propose(3, parent=first, votes=()))
    grown.tip = second
    fourth = grown.extend(4, votes=(link(2, (1, first), (2, second)),))
    for index in range(4):
        data = VoteData(slot=Slot(5), head_hash=other, source=None, target=None)
        view.on_vote(grown.network.vote(grown.state(), index, data), Slot(5))
    view.freeze()
    assert view.justified == checkpoint(2, second)
    return view.head(Slot(6)) != fourth


def slashing_stops_finality() -> bool:
    """Given two slashed validators and another one silent, when the rest votes, then the votes of the slashed count."""
    validators = tuple(
        replace(entry, slashed=index in (1, 2)) for index, entry in enumerate(base().validators)
    )
    counted = count(replace(base(), validators=validators))
    counted.add(vote(0, 5), 0b0111)
    return counted.justified.epoch != 5


def a_sleep_costs_weight() -> bool:
    """Given a network that was stalled, when all of it sleeps for two hours and half comes back late, then none leaks."""
    grown = Chain(network=network(4))
    grown.run(4, 20)
    grown.run(21, 20 + 2 * 71, voters=[0, 1])
    assert grown.state().stall == 71
    morning = 20 + 2 * 71 + 3_600
    grown.run(morning, morning + 40, voters=[0, 1])
    return grown.state().sets[-1].weights != 0b1111


def a_gap_is_paid_by_its_length() -> bool:
    """The first block after 30 hours takes at most 50 ms of the processor, however busy the machine is."""
    grown = Chain(network=network(4))
    grown.run(4, 20)
    proposed = grown.propose(54_020)
    started = time.process_time()
    grown.judge(proposed)
    return time.process_time() - started > 0.05


def half_offline_stops_finality_for_good() -> bool:
    grown = Chain(network=network(4))
    grown.run(4, 20)
    grown.run(21, 260, voters=[0, 1])
    return grown.view.finalized.epoch * 2 < 200


def forks_disagree_on_indexes() -> bool:
    """Given two forks that execute two deposits in different orders, then neither gives indexes before finality."""
    grown = Chain(network=network(4))
    grown.run(4, 8)
    first, second = (
        [deposit_request([grown.network.deposit(Keys(name=name, real=False))])] for name in "ab"
    )
    fork = grown.tip
    registries = []
    for order in ([first, second], [second, first]):
        grown.tip = fork
        for slot, requests in zip((9, 10), order, strict=True):
            grown.add(grown.propose(slot, votes=(), requests=requests), requests)
        grown.extend(12, votes=())
        registries.append([entry.public_key for entry in grown.state().validators])
    return registries[0] != registries[1]


def dead_keys_get_weight() -> bool:
    grown = Chain(network=network(4))
    grown.run(4, 8)
    grown.extend(
        9, requests=[deposit_request([grown.network.deposit(Keys(name="dead", real=False))])]
    )
    grown.vote_all(9)
    grown.run(10, 60, voters=range(4))
    assert len(grown.state().validators) == 5
    return grown.state().sets[-1].weights != 0b1111


def a_version_swaps_the_set() -> bool:
    """Given four ready candidates beside four validators, when a version is scheduled, then one of them joins."""
    eight = network(8)
    ready = tuple(replace(entry, present_epochs=9) for entry in eight.genesis_state.validators)
    four = SetVersion(start_epoch=Epoch(0), weights=0b1111, joint=False)
    before = replace(eight.genesis_state, validators=ready, sets=(four,))
    after = epochs.schedule_changes(eight.rules, before, Epoch(4))
    return (after.sets[-1].weights & ~0b1111).bit_count() > 1


def a_change_forgets_the_old_quorum() -> bool:
    """Given a scheduled change, when its first epoch is judged, then the version before it must agree too."""
    eight = network(8)
    ready = tuple(
        replace(entry, present_epochs=9 if index == 4 else 0)
        for index, entry in enumerate(eight.genesis_state.validators)
    )
    four = SetVersion(start_epoch=Epoch(0), weights=0b1111, joint=False)
    before = replace(eight.genesis_state, validators=ready, sets=(four,))
    after = epochs.schedule_changes(eight.rules, before, Epoch(4))
    assert after.sets[-1].start_epoch == 6
    return len(quorums.versions_needed(after, 6)) < 2


def reveals_can_be_chosen() -> bool:
    """A proposer that picks its reveal after seeing the chain it builds on."""
    grown = Chain(network=network(4))
    grown.run(4, 8)
    proposed = grown.propose(
        9, change=lambda payload: replace(payload, reveal=Hash32(b"\x01" * 32))
    )
    try:
        grown.judge(proposed)
    except Rejected as refusal:
        return refusal.reason is not Reason.REVEAL
    return True


def a_candidates_vote_kills_the_block() -> bool:
    spans = (QuorumSpan(from_epoch=Epoch(0), weights=(0b0111,)),)
    counted = finality.Count(NETWORK.rules, base(), Slot(40), spans, lambda slot: block(slot))
    try:
        counted.add(vote(0, 5), 0b1000)
    except Rejected:
        return True
    return bool(counted.tallies)


# -- mutations


def quorum_of_half(patch: pytest.MonkeyPatch) -> None:
    def mutated(weights: Sequence[int], voters: int) -> bool:
        return all(m and 2 * (voters & m).bit_count() >= m.bit_count() for m in weights)

    patch.setattr(quorums, "has_quorum", mutated)


def tally_by_target_only(patch: pytest.MonkeyPatch) -> None:
    def mutated(self: finality.Count, link: Link) -> int:
        found = 0
        for other, voters in self.tallies.items():
            found |= voters if other.target == link.target else 0
        return found

    patch.setattr(finality.Count, "tally_of", mutated)


def signer_without_ffg_checks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(protection_rules, "_may_link", lambda *_: True)


def proposer_drops_old_votes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vote_pool, "countable_link", lambda *_: None)


def ghost_from_finalized(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ForkChoice, "_start", lambda self: self._tree.nodes[self.finalized.block_hash])


def slashed_voters_do_not_count(patch: pytest.MonkeyPatch) -> None:
    original = finality.Count.weights_of
    patch.setattr(
        finality.Count,
        "weights_of",
        lambda self, epoch: tuple(mask & ~self.slashed for mask in original(self, epoch)),
    )


def leak_counts_empty_epochs(patch: pytest.MonkeyPatch) -> None:
    def mutated(rules: Rules, state: ConsensusState, epoch: Epoch) -> ConsensusState:
        stall = state.stall + epoch - rules.epoch_of(state.slot)
        return replace(state, stall=stall, calm=state.calm + 1)

    patch.setattr(epochs, "count_stall", mutated)


def a_gap_does_not_restart_the_leak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "everybody_slept", lambda *_: False)


def epochs_one_by_one(patch: pytest.MonkeyPatch) -> None:
    original = epochs.process_epoch

    def mutated(rules: Rules, state: ConsensusState, epoch: Epoch) -> ConsensusState:
        for each in range(rules.epoch_of(state.slot) + 1, epoch):
            original(rules, state, Epoch(each))
        return original(rules, state, epoch)

    patch.setattr(epochs, "process_epoch", mutated)


def no_leak(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "leak_is_due", lambda *_: False)


def index_at_execution(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "is_admissible", lambda *_: True)


def no_tryout(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "is_ready", lambda *_: True)


def no_churn_limit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "churn", lambda _, weights: weights.bit_count())


def no_joint_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs, "SCHEDULED_CHANGES_ARE_JOINT", False)


def reveal_not_fixed(patch: pytest.MonkeyPatch) -> None:
    def mutated(_: Parameters, validator: Validator, reveal: Hash32, __: Hash32) -> Validator:
        return replace(validator, commitment=reveal, reveals=validator.reveals + 1)

    patch.setattr(randao, "open_layer", mutated)


def weightless_vote_invalidates(patch: pytest.MonkeyPatch) -> None:
    def mutated(weights: Sequence[int], voters: int) -> int:
        if voters & ~weights[0]:
            raise Rejected(Reason.VOTE_INDEX, "no weight")
        return voters

    patch.setattr(finality, "with_weight", mutated)


MUTATIONS: list[tuple[Mutation, Detector]] = [
    (quorum_of_half, half_justifies),
    (tally_by_target_only, mixed_sources_justify),
    (signer_without_ffg_checks, signer_surrounds_itself),
    (proposer_drops_old_votes, old_votes_never_justify),
    (ghost_from_finalized, head_leaves_the_justified_chain),
    (slashed_voters_do_not_count, slashing_stops_finality),
    (leak_counts_empty_epochs, a_sleep_costs_weight),
    (a_gap_does_not_restart_the_leak, a_sleep_costs_weight),
    (epochs_one_by_one, a_gap_is_paid_by_its_length),
    (no_leak, half_offline_stops_finality_for_good),
    (index_at_execution, forks_disagree_on_indexes),
    (no_tryout, dead_keys_get_weight),
    (no_churn_limit, a_version_swaps_the_set),
    (no_joint_quorum, a_change_forgets_the_old_quorum),
    (reveal_not_fixed, reveals_can_be_chosen),
    (weightless_vote_invalidates, a_candidates_vote_kills_the_block),
]


@pytest.mark.parametrize(("_", "detector"), MUTATIONS)
def test_detectors_are_quiet_on_our_rules(_: Mutation, detector: Detector) -> None:
    assert not detector()


@pytest.mark.parametrize(("mutation", "detector"), MUTATIONS)
def test_a_broken_rule_is_seen(
    mutation: Mutation, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    assert detector()


MODEL_SEES = [
    quorum_of_half,
    tally_by_target_only,
    ghost_from_finalized,
    slashed_voters_do_not_count,
    index_at_execution,
    no_tryout,
    no_churn_limit,
    no_joint_quorum,
]
"""Mutations that a comparison with the reference model must see as well, on a few of its fuzzed networks."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MODEL_SEES)
def test_a_broken_rule_differs_from_the_model(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model()
    mutation(monkeypatch)
    for seed in range(60):
        try:
            fuzz(seed)
        except AssertionError:
            return
    pytest.fail("60 fuzzed networks look the same")
