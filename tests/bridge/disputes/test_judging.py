"""What is said of a claim, whatever it claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from bridge.disputes.judging import (
    ClaimedRoots,
    Judgement,
    OwnChain,
    Verdict,
    first_wrong_link,
    judge,
)
from node.eth.primitives import Hash32
from tests.kit.model_games import ACCUMULATOR, true_root, wrong_root

START, COUNT = 10, 8
RIGHT = tuple(true_root(START + place) for place in range(COUNT + 1))


def claim_of(roots: tuple[Hash32, ...]) -> ClaimedRoots:
    """A claim with these roots, its start's first."""
    return ClaimedRoots(
        start_block=START,
        start_root=roots[0],
        l2_block=START + len(roots) - 1,
        root_claim=roots[-1],
        accumulator=ACCUMULATOR,
        roots=roots[1:],
    )


def own(*, safe: int = 1_000) -> OwnChain:
    return OwnChain(safe_block=safe, accumulator=ACCUMULATOR, roots=RIGHT)


def with_wrong(*places: int) -> tuple[Hash32, ...]:
    """The right roots but for some."""
    return tuple(
        wrong_root(START + place) if place in places else root for place, root in enumerate(RIGHT)
    )


def test_an_honest_claim_has_no_wrong_link() -> None:
    assert judge(claim_of(RIGHT), own()) == Judgement(verdict=Verdict.HONEST)


@pytest.mark.parametrize("place", range(1, COUNT + 1))
def test_every_wrong_root_is_found_even_if_the_last_one_is_right(place: int) -> None:
    found = judge(claim_of(with_wrong(place)), own())
    assert found == Judgement(verdict=Verdict.FALSE, wrong_block=START + place)


def test_the_first_of_several_wrong_links_is_named() -> None:
    found = judge(claim_of(with_wrong(3, 4, 7)), own())
    assert found == Judgement(verdict=Verdict.FALSE, wrong_block=START + 3)


def test_a_claim_that_starts_wrong_and_stays_wrong_falls_with_its_parent() -> None:
    assert judge(claim_of(with_wrong(*range(COUNT + 1))), own()).verdict is Verdict.ORPHAN


def test_a_claim_that_starts_wrong_and_returns_to_the_truth_falls_with_its_parent() -> None:
    assert judge(claim_of(with_wrong(0, 1)), own()).verdict is Verdict.ORPHAN


def test_a_claim_that_starts_wrong_returns_and_errs_again_can_be_proven() -> None:
    found = judge(claim_of(with_wrong(0, 1, 5)), own())
    assert found == Judgement(verdict=Verdict.FALSE, wrong_block=START + 5)


@pytest.mark.parametrize("missing", [1, 3])
def test_a_claim_beyond_the_safe_head_waits(missing: int) -> None:
    safe = START + COUNT - missing
    assert judge(claim_of(RIGHT), own(safe=safe)).verdict is Verdict.EARLY
    assert judge(claim_of(RIGHT), own(safe=START + COUNT)).verdict is Verdict.HONEST


@pytest.mark.parametrize("accumulator", [None, Hash32(b"\x11" * 32)])
def test_a_claim_on_another_inbox_is_not_judged(accumulator: Hash32 | None) -> None:
    found = judge(claim_of(with_wrong(2)), replace(own(), accumulator=accumulator))
    assert found.verdict is Verdict.FOREIGN


@pytest.mark.parametrize("roots", [None, (), RIGHT[1:-1], RIGHT[1:] + RIGHT[-1:]])
def test_roots_that_are_missing_or_of_another_number_are_unreadable(
    roots: tuple[Hash32, ...] | None,
) -> None:
    found = judge(replace(claim_of(RIGHT), roots=roots), own())
    assert found.verdict is Verdict.UNREADABLE


def test_a_claim_that_is_not_its_last_root_is_unreadable() -> None:
    found = judge(replace(claim_of(RIGHT), root_claim=wrong_root(1)), own())
    assert found.verdict is Verdict.UNREADABLE


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_may_change_without_the_own_chain_changing_is_not_settled(verdict: Verdict) -> None:
    waits = verdict in {Verdict.EARLY, Verdict.FOREIGN, Verdict.UNREADABLE}
    assert Judgement(verdict=verdict).is_settled is not waits


roots_of_claims = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2)), min_size=2, max_size=COUNT + 1
)


@given(roots_of_claims)
def test_a_fault_is_named_exactly_where_it_can_be_proven(marks: list[tuple[bool, int]]) -> None:
    """Given any roots, then the named link is wrong after a right root, no earlier one is, and honest claims have none."""
    claimed = tuple(
        true_root(START + place) if is_right else wrong_root(START + place, salt)
        for place, (is_right, salt) in enumerate(marks)
    )
    rights = [is_right for is_right, _ in marks]
    links = [place for place in range(1, len(marks)) if rights[place - 1] and not rights[place]]
    assert first_wrong_link(claimed, RIGHT[: len(marks)]) == (links[0] if links else None)
    found = judge(claim_of(claimed), replace(own(), roots=RIGHT[: len(marks)]))
    if links:
        assert found == Judgement(verdict=Verdict.FALSE, wrong_block=START + links[0])
    else:
        assert found.verdict is (Verdict.HONEST if all(rights) else Verdict.ORPHAN)
