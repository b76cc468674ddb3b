"""Random histories of games under the plan: no lie stands, no truth falls, nothing is paid for twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import event, given, settings, strategies as st

from bridge.disputes.judging import Judgement, OwnChain, judge
from bridge.disputes.planning import Action, Case, Now, Prove, Terms, plan
from node.contracts.disputes import GameStatus
from tests.kit.model_games import (
    ACCUMULATOR,
    QUIET,
    WINDOW,
    Call,
    ModelGame,
    ModelL1,
    create,
    prove,
    resolve,
    true_root,
    wrong_root,
)

LAG = 2
"""L1 blocks from the head to the final one."""

AWAY_MAX = WINDOW - 2
"""L1 blocks that the challenger may miss: the window counts final ones, a proof needs two blocks more."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Somebody makes a game; `wrong` are places among its roots."""

    parent: int | None
    count: int
    wrong: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pass:
    """Blocks pass with what the challenger wants, while everybody resolves what can be."""

    blocks: int
    finalizes: bool
    room: int


@dataclass(frozen=True, slots=True)
class Away:
    """The challenger misses some blocks."""

    blocks: int


@dataclass(frozen=True, slots=True)
class Reorganise:
    """L1 drops blocks."""

    depth: int


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody else proves one of the faults."""

    choice: int


Step = Propose | Pass | Away | Reorganise | Rival

proposals = st.builds(
    Propose,
    st.none() | st.integers(0, 12),
    st.integers(1, 6),
    st.frozensets(st.integers(0, 5), max_size=3),
)
steps = st.one_of(
    proposals,
    proposals,
    st.builds(Pass, st.integers(1, 4), st.booleans(), st.integers(1, 8)),
    st.builds(Away, st.integers(1, AWAY_MAX)),
    st.builds(Reorganise, st.integers(1, 4)),
    st.builds(Rival, st.integers(0, 20)),
)


@dataclass(slots=True)
class History:
    """One L1 and one challenger."""

    l1: ModelL1 = field(default_factory=ModelL1)
    proofs: int = 0

    def take(self, step: Step) -> None:
        match step:
            case Propose(parent, count, wrong):
                self.propose(parent, count, wrong)
            case Pass(blocks, finalizes, room):
                for _ in range(blocks):
                    self.turn(finalizes=finalizes, room=room)
            case Away(blocks):
                for _ in range(blocks):
                    self.l1.mine(self.resolutions(), lag=LAG)
                self.turn(finalizes=False, room=100)
            case Reorganise(depth):
                self.l1.reorg(depth)
                self.turn(finalizes=False, room=100)
            case Rival(choice):
                self.rival(choice)

    def propose(self, parent: int | None, count: int, wrong: frozenset[int]) -> None:
        games = self.l1.head.games
        above = parent % len(games) if parent is not None and games else None
        start = 0 if above is None else games[above].claim.l2_block
        roots = [
            wrong_root(start + place + 1) if place in wrong else true_root(start + place + 1)
            for place in range(count)
        ]
        self.l1.mine([create(above, roots)], finalizes=False)
        self.turn(finalizes=True, room=100)

    def rival(self, choice: int) -> None:
        faults = [
            prove(index, game.wrong_links[-1])
            for index, game in enumerate(self.l1.head.games)
            if game.status is GameStatus.IN_PROGRESS and game.wrong_links
        ]
        if faults:
            self.l1.mine([faults[choice % len(faults)]], lag=LAG)

    def resolutions(self) -> list[Call]:
        """Anybody tries to resolve everything, children after parents."""
        return [resolve(index) for index in range(len(self.l1.head.games))]

    def turn(self, *, finalizes: bool, room: int) -> None:
        """The challenger looks at the head; the next block takes as much of what it wants as there is room for."""
        wanted = self.wanted()
        head = self.l1.head
        for one in wanted:
            game = head.games[one.index]
            assert game.status is GameStatus.IN_PROGRESS, "wants what is decided"
            if isinstance(one, Prove):
                assert game.is_wrong_link(one.wrong_block), "wants to prove what holds"
        calls = [
            prove(one.index, one.wrong_block) if isinstance(one, Prove) else resolve(one.index)
            for one in wanted[:room]
        ]
        self.proofs += len(calls)
        before = self.l1.reverted
        self.l1.mine(calls, finalizes=finalizes, lag=LAG)
        assert self.l1.reverted == before, "paid for nothing"
        self.l1.mine(self.resolutions(), finalizes=False)

    def wanted(self) -> tuple[Action, ...]:
        head = self.l1.head
        cases = {index: case_of(index, game) for index, game in enumerate(head.games)}
        now = Now(head=head.number, finalized=self.l1.finalized)
        return plan(cases, now, Terms(window_blocks=WINDOW))

    def check(self) -> None:
        for index, game in enumerate(self.l1.head.games):
            above = None if game.parent is None else self.l1.head.games[game.parent]
            if game.status is GameStatus.DEFENDER_WINS:
                assert not game.wrong_links, f"game {index} is false and stands"
                assert game.claim.root_claim == true_root(game.claim.l2_block)
            if game.status is GameStatus.CHALLENGER_WINS and not game.wrong_links:
                assert above is not None, f"game {index} was true and fell"
                assert above.status is GameStatus.CHALLENGER_WINS

    def settle(self) -> None:
        """Let everything end."""
        for _ in range(4 * (WINDOW + QUIET + len(self.l1.head.games))):
            if all(one.status is not GameStatus.IN_PROGRESS for one in self.l1.head.games):
                break
            self.turn(finalizes=True, room=8)
        assert all(one.status is not GameStatus.IN_PROGRESS for one in self.l1.head.games)


def case_of(index: int, game: ModelGame) -> Case:
    """As a challenger that has derived everything sees a game."""
    claim = game.claim
    own = OwnChain(
        safe_block=10_000,
        accumulator=ACCUMULATOR,
        roots=[true_root(number) for number in range(claim.start_block, claim.l2_block + 1)],
    )
    judgement: Judgement | None = judge(claim, own)
    return Case(
        index=index,
        parent=game.parent,
        status=game.status,
        created_block=game.created_block,
        resolved_block=game.resolved_block,
        judgement=judgement,
        grace=0,
    )


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=25))
def test_no_lie_stands_and_no_truth_falls(history: list[Step]) -> None:
    """Given any games, rivals, reorganisations and absences shorter than the window, when all has passed, then lies are lost."""
    run = History()
    for step in history:
        run.take(step)
        run.check()
    run.settle()
    run.check()
    event(f"{min(run.proofs, 5)} proofs")


def test_a_hundred_false_games_at_once_fall_in_time() -> None:
    """Given a hundred false games in one block, half of them with one fault, when a block has room for eight, then none stands."""
    run = History()
    calls: list[Call] = []
    for number in range(100):
        place = 5 if number % 2 else 1 + number // 2
        roots = [
            wrong_root(one, number) if one == place else true_root(one) for one in range(1, 61)
        ]
        calls.append(create(None, roots))
    run.l1.mine(calls)
    run.settle()
    run.check()
    assert {one.status for one in run.l1.head.games} == {GameStatus.CHALLENGER_WINS}
    assert run.proofs == 100
