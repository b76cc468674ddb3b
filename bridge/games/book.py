"""Every game of L1 as it stands after L1's head, for all roles of a process.

    look(): the head -> games that are new, or were open, or that L1 has left -> asked again (Worker) -> Games
    Games.roots(game) -> Publications        both from L1 alone, through the process's own engine

What was read of a block stays true as long as L1 holds the block: games that are decided are not asked again, and after a
reorganisation everything above the final block is.
Deliberately absent: what is true, and who does something about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import trio

from bridge.games.publications import LogReader, Publications, PublishedOn
from bridge.games.reading import (
    Anchor,
    Asked,
    Game,
    anchor_of,
    count_games,
    game_at,
    is_registered,
    read_again,
    read_game,
)
from node.contracts import disputes
from node.contracts.disputes import GameStatus
from node.eth.primitives import Address, Hash32
from node.runtime.worker import Worker
from sequencer.l1.places import L1Ref

DECIDED_MAX: Final = 4_096
"""Decided games in memory, the newest: seven hours of one every six seconds. Older ones are asked again where one is named."""

UNKNOWN_INDEX: Final = -1
"""Index of a game that was asked for by its address alone."""


class GamesState(Asked, Protocol):
    """L1 after a block (`bridge.l1_state.L1State`)."""

    @property
    def ref(self) -> L1Ref:
        """The block."""


class GamesStates(Protocol):
    """L1's states (`bridge.l1_state.L1States`)."""

    def head(self) -> GamesState:
        """After the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Games:
    """The games after one L1 block."""

    block: L1Ref
    """That block."""
    finalized: int
    """Number of the final L1 block then."""
    count: int
    """How many there are."""
    anchor: Anchor
    """What a game without a parent starts from."""
    games: Mapping[Address, Game]
    """All that are open, and the newest of those that are decided; ascending by index."""
    publications: Publications
    """Where their roots lie."""
    state: GamesState
    """What they were read from."""

    @property
    def open(self) -> Sequence[Game]:
        """Those that are not decided, ascending by index."""
        return [game for game in self.games.values() if game.is_open]

    @property
    def newest(self) -> Game | None:
        """The one that was made last."""
        return next(reversed(tuple(self.games.values())), None)

    def game(self, address: Address) -> Game | None:
        """A game by address; one that was decided long ago is asked for, so in a Worker. Raises MissingState."""
        found = self.games.get(address)
        if found is None and is_registered(self.state, address):
            found = read_game(self.state, UNKNOWN_INDEX, address)
        return found

    async def roots(self, game: Game) -> Sequence[Hash32] | None:
        """The roots that a game names, from L1's logs; None where L1 does not hold them."""
        return await self.publications.find(game.roots_id, game.created_block)

    def prover(self, game: Game) -> Address | None:
        """Who proved a lost game false; None for one that fell with its parent."""
        return game.prover


class GameBook:
    """The games as one process sees them; one look at a time."""

    def __init__(
        self,
        chain: PublishedOn,
        states: GamesStates,
        engine: LogReader,
        worker: Worker,
    ) -> None:
        self._chain = chain
        self._states = states
        self._engine = engine
        self._worker = worker
        self._publications = Publications(chain, engine, worker)
        self._looking = trio.Lock()
        self._last: Games | None = None

    @property
    def last(self) -> Games | None:
        """What was seen last."""
        return self._last

    async def look(self) -> Games:
        """The games after L1's head. Raises MissingState where L1 moved on and pruned meanwhile, Corruption."""
        async with self._looking:
            state = self._states.head()
            last = self._last
            if last is not None and last.block == state.ref:
                return last
            await self._publications.catch_up()
            kept = self._still_true()
            finalized = self._chain.finalized.header.number
            read = await self._worker.run(partial(_read, state, kept))
            games = {game.address: game for game in map(self._with_prover, read.games)}
            self._last = Games(
                block=state.ref,
                finalized=finalized,
                count=read.count,
                anchor=read.anchor,
                games=games,
                publications=self._publications,
                state=state,
            )
            return self._last

    def _still_true(self) -> _Kept:
        """What an older look has found and L1 still holds."""
        last = self._last
        if last is None:
            return _Kept(first_index=0, games=())
        games = tuple(last.games.values())
        first_index = last.count
        if self._chain.canonical_hash(last.block.number) != last.block.hash:
            final = last.finalized
            games = tuple(
                replace(
                    game,
                    status=GameStatus.IN_PROGRESS,
                    resolved_at=0,
                    resolved_block=0,
                    prover=None,
                )
                if game.resolved_block > final
                else game
                for game in games
                if game.created_block <= final
            )
            first_index = max((game.index for game in games), default=-1) + 1
        return _Kept(first_index=first_index, games=games)

    def _with_prover(self, game: Game) -> Game:
        """A lost game with who proved it false, from the log of the block in which it ended."""
        if game.status is not GameStatus.CHALLENGER_WINS or game.prover is not None:
            return game
        block_hash = self._chain.canonical_hash(game.resolved_block)
        block = None if block_hash is None else self._chain.block_by_hash(block_hash)
        if block is None:
            return game
        for log in self._engine.logs(block.receipts, game.address, disputes.FAULT_PROVEN):
            proven = disputes.read_fault_proven(log.topics, log.data)
            if proven is not None:
                return replace(game, prover=proven.prover)
        return game


@dataclass(frozen=True, slots=True)
class _Kept:
    """What need not be asked again."""

    first_index: int
    """Games from this place on are new."""
    games: tuple[Game, ...]
    """Those before it that are remembered; open ones are asked for their status."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a look found."""

    count: int
    anchor: Anchor
    games: tuple[Game, ...]


def _read(state: GamesState, kept: _Kept) -> _Read:
    """Ask L1 for everything that is new."""
    count = count_games(state)
    games = [read_again(state, game) if game.is_open else game for game in kept.games]
    games += [
        read_game(state, index, game_at(state, index)) for index in range(kept.first_index, count)
    ]
    spare = sum(not game.is_open for game in games) - DECIDED_MAX
    if spare > 0:
        decided = [game.index for game in games if not game.is_open]
        oldest = frozenset(decided[:spare])
        games = [game for game in games if game.index not in oldest]
    return _Read(count, anchor_of(state), tuple(games))
