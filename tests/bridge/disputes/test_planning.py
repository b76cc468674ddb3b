"""What is wanted about the games of one L1 block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.disputes.judging import Judgement, Verdict
from bridge.disputes.planning import (
    ACTIONS_MAX,
    Action,
    Case,
    Now,
    Prove,
    Resolve,
    Terms,
    falling,
    plan,
)
from node.contracts.disputes import GameStatus

TERMS = Terms(window_blocks=20, urgent_blocks=3)
NOW = Now(head=12, finalized=10)
HONEST = Judgement(verdict=Verdict.HONEST)
ORPHAN = Judgement(verdict=Verdict.ORPHAN)


def wrong_in(block: int) -> Judgement:
    return Judgement(verdict=Verdict.FALSE, wrong_block=block)


def case(index: int, judgement: Judgement | None = HONEST, *, parent: int | None = None) -> Case:
    return Case(
        index=index,
        parent=parent,
        status=GameStatus.IN_PROGRESS,
        created_block=10,
        resolved_block=0,
        judgement=judgement,
        grace=0,
    )


def lost(index: int, *, parent: int | None = None, at: int = 11) -> Case:
    status = GameStatus.CHALLENGER_WINS
    return replace(case(index, None, parent=parent), status=status, resolved_block=at)


def planned(*cases: Case, now: Now = NOW, stuck: Sequence[int] = ()) -> tuple[Action, ...]:
    return plan({one.index: one for one in cases}, now, TERMS, stuck=set(stuck))


def proof(index: int, block: int, *, deadline: int = 30, is_urgent: bool = False) -> Prove:
    return Prove(index=index, wrong_block=block, deadline=deadline, is_urgent=is_urgent)


def indexes(actions: Sequence[Action]) -> list[int]:
    return [one.index for one in actions]


@pytest.mark.parametrize("verdict", [one for one in Verdict if one is not Verdict.FALSE])
def test_nothing_is_done_about_a_game_without_a_fault(verdict: Verdict) -> None:
    assert planned(case(0, Judgement(verdict=verdict))) == ()


def test_nothing_is_done_about_a_game_that_was_not_looked_at() -> None:
    assert planned(case(0, None)) == ()


def test_a_false_game_is_proven() -> None:
    assert planned(case(0, wrong_in(5))) == (proof(0, 5),)


@pytest.mark.parametrize("status", [GameStatus.CHALLENGER_WINS, GameStatus.DEFENDER_WINS])
def test_a_decided_game_is_left_alone(status: GameStatus) -> None:
    assert planned(replace(case(0, wrong_in(5)), status=status)) == ()


def test_a_child_falls_with_its_parent_and_is_not_proven_itself() -> None:
    family = (
        case(0, wrong_in(5)),
        case(1, wrong_in(9), parent=0),
        case(2, ORPHAN, parent=1),
        case(3, wrong_in(20), parent=2),
    )
    assert planned(*family) == (proof(0, 5),)
    assert falling({one.index: one for one in family}, set()) == {0, 1, 2, 3}


def test_the_children_of_a_parent_whose_proof_cannot_be_made_are_proven_first() -> None:
    family = (case(0, wrong_in(5)), case(1, wrong_in(9), parent=0))
    assert planned(*family, stuck=[0]) == (proof(1, 9), proof(0, 5))


def test_a_false_child_of_an_honest_parent_is_proven() -> None:
    assert planned(case(0), case(1, wrong_in(9), parent=0)) == (proof(1, 9),)


def test_a_false_child_of_a_false_parent_that_stands_is_proven() -> None:
    stands = replace(case(0, wrong_in(5)), status=GameStatus.DEFENDER_WINS)
    assert planned(stands, case(1, wrong_in(9), parent=0)) == (proof(1, 9),)


def test_a_child_of_a_lost_game_is_resolved_and_not_proven() -> None:
    assert planned(lost(0), case(1, wrong_in(9), parent=0)) == (Resolve(index=1, parent=0),)


def test_grandchildren_follow_once_their_parent_is_lost() -> None:
    family = (lost(0), case(1, ORPHAN, parent=0), case(2, ORPHAN, parent=1))
    assert planned(*family) == (Resolve(index=1, parent=0),)
    assert planned(lost(0), lost(1, parent=0), family[2]) == (Resolve(index=2, parent=1),)


@pytest.mark.parametrize(("grace", "is_wanted"), [(0, True), (1, True), (2, False)])
def test_a_lost_child_is_left_to_others_for_a_while(grace: int, is_wanted: bool) -> None:
    child = replace(case(1, ORPHAN, parent=0), grace=grace)
    assert bool(planned(lost(0, at=11), child)) is is_wanted


def test_the_earliest_deadline_comes_first() -> None:
    late, early = case(0, wrong_in(5)), replace(case(1, wrong_in(6)), created_block=8)
    assert indexes(planned(late, early)) == [1, 0]


@pytest.mark.parametrize(("finalized", "is_urgent"), [(26, False), (27, True), (1_000, True)])
def test_a_proof_is_urgent_once_its_deadline_is_near(finalized: int, is_urgent: bool) -> None:
    found = planned(case(0, wrong_in(5)), now=Now(head=finalized + 2, finalized=finalized))
    assert found == (proof(0, 5, is_urgent=is_urgent),)


def test_what_a_rival_is_about_to_prove_is_left_to_it_until_it_is_urgent() -> None:
    cases = {0: case(0, wrong_in(5)), 1: case(1, wrong_in(6))}
    assert indexes(plan(cases, NOW, TERMS, rivals={0})) == [1]
    late = Now(head=29, finalized=27)
    assert indexes(plan(cases, late, TERMS, rivals={0})) == [0, 1]


def test_a_plan_is_bounded_and_keeps_what_presses_most() -> None:
    cases = [
        replace(case(index, wrong_in(index + 1)), created_block=1_000 - index)
        for index in range(500)
    ]
    found = planned(*cases)
    assert indexes(found) == list(range(499, 499 - ACTIONS_MAX, -1))
