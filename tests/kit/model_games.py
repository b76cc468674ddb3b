"""Games without contracts: L1 as a list of states that can be cut, and the rules by which games are made, lost and won.

    ModelL1.mine(actions) -> the next state, with what the rules let happen    ModelL1.reorg(depth) -> the states before that many

The truth is `true_root(n)`; a false game differs from it somewhere. Deliberately absent: bonds, gas, and how a fault is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.disputes.judging import ClaimedRoots
from node.contracts.disputes import GameStatus
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

WINDOW: Final = 6
"""Final L1 blocks from a game to its resolution."""

QUIET: Final = 3
"""And from the last fault of any game."""

SOMEBODY: Final = Address(b"\x50" * 20)
"""Proves faults too."""

ACCUMULATOR: Final = Hash32(b"\xac" * 32)
"""There is one Inbox."""


def true_root(number: int) -> Hash32:
    """The output root after an L2 block."""
    return keccak256(b"true" + number.to_bytes(8))


def wrong_root(number: int, salt: int = 0) -> Hash32:
    """Another one."""
    return keccak256(b"wrong" + number.to_bytes(8) + salt.to_bytes(8))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGame:
    """A game."""

    parent: int | None
    """Index of the game it starts from."""
    address: Address
    """Follows from all that it claims."""
    claim: ClaimedRoots
    """What it says."""
    created_block: int
    """L1 block."""
    status: GameStatus = GameStatus.IN_PROGRESS
    """What it has come to."""
    resolved_block: int = 0
    """L1 block in which it was decided."""
    prover: Address | None = None
    """Who proved it false."""

    def is_wrong_link(self, number: int) -> bool:
        """Whether the link into an L2 block leads from a right root to a wrong one."""
        claim = self.claim
        place = number - claim.start_block
        if not 0 < place <= len(claim.roots or ()):
            return False
        claimed = (claim.start_root, *(claim.roots or ()))
        return claimed[place - 1] == true_root(number - 1) and claimed[place] != true_root(number)

    @property
    def wrong_links(self) -> list[int]:
        """All of them."""
        return [
            number
            for number in range(self.claim.start_block + 1, self.claim.l2_block + 1)
            if self.is_wrong_link(number)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """L1 after a block."""

    number: int = 0
    """Its height."""
    games: tuple[ModelGame, ...] = ()
    """By index."""
    last_fault: int = 0
    """L1 block of the last proven fault."""

    def changed(self, index: int, status: GameStatus, prover: Address | None = None) -> State:
        """With a game decided."""
        game = replace(self.games[index], status=status, resolved_block=self.number, prover=prover)
        return replace(self, games=(*self.games[:index], game, *self.games[index + 1 :]))


Call = Callable[[State, int], State | None]
"""What a transaction does to a state, given the final block's number; None reverts."""


def create(parent: int | None, roots: Sequence[Hash32]) -> Call:
    """Makes a game on the anchor (block 0) or on another game."""

    def call(state: State, _finalized: int) -> State | None:
        start, root = 0, true_root(0)
        if parent is not None:
            if parent >= len(state.games):
                return None
            above = state.games[parent]
            if above.status is GameStatus.CHALLENGER_WINS:
                return None
            start, root = above.claim.l2_block, above.claim.root_claim
        claim = ClaimedRoots(
            start_block=start,
            start_root=root,
            l2_block=start + len(roots),
            root_claim=roots[-1],
            accumulator=ACCUMULATOR,
            roots=tuple(roots),
        )
        above_address = b"" if parent is None else state.games[parent].address
        address = Address(keccak256(above_address + b"".join(roots))[12:])
        if any(one.address == address for one in state.games):
            return None
        game = ModelGame(parent=parent, address=address, claim=claim, created_block=state.number)
        return replace(state, games=(*state.games, game))

    return call


def prove(index: int, number: int, prover: Address = SOMEBODY) -> Call:
    """Proves that the link into an L2 block is wrong."""

    def call(state: State, _finalized: int) -> State | None:
        if index >= len(state.games):
            return None
        game = state.games[index]
        if game.status is not GameStatus.IN_PROGRESS or not game.is_wrong_link(number):
            return None
        lost = state.changed(index, GameStatus.CHALLENGER_WINS, prover)
        return replace(lost, last_fault=state.number)

    return call


def resolve(index: int) -> Call:
    """Ends a game."""

    def call(state: State, finalized: int) -> State | None:
        if index >= len(state.games):
            return None
        game = state.games[index]
        above = None if game.parent is None else state.games[game.parent].status
        if game.status is not GameStatus.IN_PROGRESS or above is GameStatus.IN_PROGRESS:
            return None
        if above is GameStatus.CHALLENGER_WINS:
            return state.changed(index, GameStatus.CHALLENGER_WINS)
        if finalized < game.created_block + WINDOW or finalized < state.last_fault + QUIET:
            return None
        return state.changed(index, GameStatus.DEFENDER_WINS)

    return call


@dataclass(slots=True)
class ModelL1:
    """A chain of states."""

    states: list[State] = field(default_factory=lambda: [State()])
    """By number."""
    finalized: int = 0
    """Number of the final one."""
    reverted: int = 0
    """Calls that changed nothing."""

    @property
    def head(self) -> State:
        """The newest."""
        return self.states[-1]

    def mine(self, calls: Sequence[Call] = (), *, finalizes: bool = True, lag: int = 2) -> State:
        """The next block; with it the one `lag` below is final, or none."""
        state = replace(self.head, number=self.head.number + 1)
        for call in calls:
            after = call(state, self.finalized)
            self.reverted += after is None
            state = after or state
        self.states.append(state)
        if finalizes:
            self.finalized = max(self.finalized, state.number - lag)
        return state

    def reorg(self, depth: int) -> int:
        """Cuts so many blocks, none of them final; gives how many."""
        cut = min(depth, self.head.number - self.finalized)
        del self.states[len(self.states) - cut :]
        return cut
