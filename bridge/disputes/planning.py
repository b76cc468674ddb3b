"""What to do about the games that are open on one L1 block, the most pressing first. PURE.

    cases (status, judgement, parent) + L1's head and finality -> plan -> Prove, Resolve -> service

- A false game is proven unless an ancestor of it is: a child falls with its parent, for the price of a `resolve`.
  An ancestor whose proof this node cannot make saves nobody.
- Earliest deadline first; a game may be resolved once finality passes it, and until then a proof is in time.
- What somebody else has under way is left to them for a few blocks, unless the deadline is near; and a lost game's children to whoever
  is quicker: how many blocks is decided by addresses, so that two challengers seldom pay for the same thing.
- What a plan does not name any more is not wanted any more: everything follows from the state of one L1 block, so a reorganisation,
  a restart and a rival need no rule of their own.
Deliberately absent: honest games (their proposer resolves them), fees, nonces, and what is on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from bridge.disputes.judging import Judgement, Verdict
from node.contracts.disputes import GameStatus

ACTIONS_MAX: Final = 64
"""Of one plan: what several L1 blocks can hold. The others are in the next ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A game on one L1 block."""

    index: int
    """In the factory."""
    parent: int | None
    """The factory's index of the game it starts from; None for the anchor."""
    status: GameStatus
    """What it has come to."""
    created_block: int
    """L1 block that holds it."""
    resolved_block: int
    """L1 block in which it was decided; 0 while it is not."""
    judgement: Judgement | None
    """What this node says of it; None while it has not looked."""
    grace: int
    """From 0 on: how many L1 blocks this node leaves to others where nothing presses; by both addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the network and the operator decided."""

    window_blocks: int
    """Final L1 blocks from a game's creation until it may be resolved."""
    urgent_blocks: int = 3
    """So many before that, a proof waits for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Where L1 stands."""

    head: int
    """Number of its head."""
    finalized: int
    """Number of its final block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Show that a game is false."""

    index: int
    """In the factory."""
    wrong_block: int
    """L2 block of its first wrong link."""
    deadline: int
    """L1 block with whose finality it may be resolved."""
    is_urgent: bool
    """Whether that is near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """End a game whose parent is lost."""

    index: int
    """In the factory."""
    parent: int
    """Its parent."""


Action = Prove | Resolve


def plan(
    cases: Mapping[int, Case],
    now: Now,
    terms: Terms,
    *,
    stuck: AbstractSet[int] = frozenset(),
    rivals: AbstractSet[int] = frozenset(),
) -> tuple[Action, ...]:
    """Decide what is wanted now, in the order of wanting it.

    `stuck` are games whose proof this node could not make; `rivals` those that somebody else is about to prove.
    """
    doomed = falling(cases, stuck)
    proofs = [
        _proof(case, case.judgement.wrong_block, now, terms)
        for case in cases.values()
        if case.status is GameStatus.IN_PROGRESS
        and case.judgement is not None
        and case.judgement.wrong_block is not None
        and case.parent not in doomed
    ]
    resolves = [
        Resolve(index=case.index, parent=case.parent)
        for case in cases.values()
        if case.parent is not None and _is_left_over(case, cases.get(case.parent), now)
    ]
    proofs.sort(key=lambda one: (one.index in stuck, one.deadline, one.index))
    resolves.sort(key=lambda one: one.index)
    wanted: list[Action] = [one for one in proofs if one.is_urgent or one.index not in rivals]
    return (*wanted, *resolves)[:ACTIONS_MAX]


def falling(cases: Mapping[int, Case], stuck: AbstractSet[int]) -> AbstractSet[int]:
    """Find the games that are lost, or will be: a proof can be made for them or for an ancestor."""
    found: set[int] = set()
    for index in sorted(cases):
        case = cases[index]
        if case.status is GameStatus.CHALLENGER_WINS:
            found.add(index)
        elif case.status is GameStatus.IN_PROGRESS:
            is_provable = _is_provable(case) and index not in stuck
            # Parents are older than their children: the factory numbers games as they come.
            if is_provable or case.parent in found:
                found.add(index)
    return found


def _is_provable(case: Case) -> bool:
    return case.judgement is not None and case.judgement.verdict is Verdict.FALSE


def _proof(case: Case, wrong_block: int, now: Now, terms: Terms) -> Prove:
    deadline = case.created_block + terms.window_blocks
    return Prove(
        index=case.index,
        wrong_block=wrong_block,
        deadline=deadline,
        is_urgent=now.finalized + terms.urgent_blocks >= deadline,
    )


def _is_left_over(case: Case, parent: Case | None, now: Now) -> bool:
    """Whether a game's parent is lost and others have had the time to end it."""
    return (
        case.status is GameStatus.IN_PROGRESS
        and parent is not None
        and parent.status is GameStatus.CHALLENGER_WINS
        and now.head >= parent.resolved_block + case.grace
    )
