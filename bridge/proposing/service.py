"""The output proposer: claims what this process derived, and brings its games to their end.

    L1's head, derived up to it -> games -> which are true (own) -+-> what is signed and not made yet: again
                                                                  +-> something new, and time for it: publish, create
                                                                  +-> final enough: resolve -> newest: close -> bond: claim
    -> wants -> Sender

Everything is decided anew for each L1 block, from that block, from the own chain, and from what the sender has signed; nothing is
remembered, so crashes and reorganisations need no rule of their own.
It builds on sound games only, whoever made them, and resolves sound ones only: it never helps a claim that it would not make.
A game is sound when it is true and can only stand: it starts from the anchor, from a sound game, or from one that L1 has decided.
How often it claims, and how many claims wait, is counted over its own games: nobody else's may keep it silent.
Deliberately absent: proving others wrong (disputes).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import structlog
import trio

from bridge.games.book import Games
from bridge.games.reading import Asked, Game, are_published, bond_wei, is_foundation
from bridge.l1_state import L1State
from bridge.proposing.endings import ask_endings, ask_paid, closing, repayments, resolutions
from bridge.proposing.metrics import ProposingMetrics
from bridge.proposing.own import OwnClaims
from bridge.proposing.proposals import (
    CREATE_PREFIX,
    PUBLISH_PREFIX,
    Claimed,
    recall,
    recall_roots,
    roots_to_publish,
    wants_of,
)
from bridge.role import RoleParts
from bridge.sending.wants import Want
from node.contracts.disputes import GameStatus
from node.errors import MissingState
from node.eth.primitives import ZERO_HASH, Address, BlockNumber, Hash32
from node.rollup.claims import CHUNK_ROOTS, CHUNKS_MAX, Claim, RootTree
from node.runtime.waiting import FirstInLine
from sequencer.l1.latest import Latest

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposerOptions:
    """What an operator decides about claims."""

    interval_ms: int = 6_000
    """Milliseconds of L1's time between two games, at least."""
    games_at_start: int = 2
    """So many games are made without waiting."""
    open_games_max: int = 64
    """Own games that wait for their outcome at once."""


class Proposer:
    """Proposes for one account."""

    def __init__(self, parts: RoleParts, options: ProposerOptions) -> None:
        self._parts: Final = parts
        self._options: Final = options
        self._own: Final = OwnClaims(parts.l2, parts.deriver.book, parts.worker)
        self._metrics: Final = ProposingMetrics(parts.registry)
        self._metrics.interval_seconds.set(options.interval_ms / 1_000)
        self._line: Final = FirstInLine()
        self._woken: Final = Latest(0)
        self._count: int | None = None
        self._seen: set[Address] = set()
        self._paid: set[Address] = set()

    def lag(self) -> str | None:
        """Why wallets could not withdraw yet: they ask for two games."""
        count, wanted = self._count, self._options.games_at_start
        if count is None:
            return "L1's games are not read yet"
        return None if count >= wanted else f"{count} of the first {wanted} true games exist"

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Propose, for ever. Raises Corruption."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, self._parts.l1.moved.past)
            nursery.start_soon(self._listen, self._parts.deriver.derived.past)
            task_status.started()
            version = -1
            while True:
                version = await self._woken.past(version)
                try:
                    await self._turn()
                except MissingState:
                    continue  # L1 has moved on and pruned what we looked at: it tells of its new head.
        raise AssertionError("proposing ends with its scope only")

    async def _listen(self, past: Callable[[int], Awaitable[int]]) -> NoReturn:
        version = 0
        while True:
            version = await past(version)
            self._woken.set(0)

    # -- one turn: load, decide, act

    async def _turn(self) -> None:
        parts = self._parts
        derived = parts.deriver.derived.value
        if derived is None or derived.block != parts.l1.head:
            return
        games = await parts.games.look()
        if games.block != derived.block:
            return
        true = await self._sound(games)
        self._count = len(true)
        self._show(games, true)
        state = parts.states.upcoming()
        wants: list[Want] = await self._proposals(games, true, state)
        wants += await self._endings(games, true, state)
        if parts.l1.is_canonical(games.block):
            parts.sender.want(games.block, wants)

    async def _sound(self, games: Games) -> Sequence[Game]:
        """The true games whose ancestors cannot take them down: a claim falls with its parent, whatever it says itself."""
        true = [game for game in games.games.values() if await self._own.is_true(game)]
        stand = await self._parts.worker.run(partial(_standing_parents, games, tuple(true)))
        sound: dict[Address, Game] = {}
        for game in true:  # Ascending by index: parents come first.
            if game.parent is None or game.parent in stand or game.parent in sound:
                sound[game.address] = game
        return tuple(sound.values())

    def _show(self, games: Games, true: Sequence[Game]) -> None:
        claimed = max((game.l2_block for game in true), default=games.anchor.l2_block)
        waits = claimed if self._own.safe_block > claimed else None
        self._metrics.claimed_block.set(claimed)
        self._metrics.unclaimed_age_seconds.set(self._line.age_s(waits, trio.current_time()))
        self._metrics.waiting_games.set(sum(game.is_open for game in true))
        self._metrics.anchor_block.set(games.anchor.l2_block)
        for game in true:
            if (
                game.creator == self._parts.sender.account.address
                and game.address not in self._seen
            ):
                self._seen.add(game.address)
                self._metrics.outputs.inc()
                _log.info("game_made", index=game.index, l2_block=game.l2_block)
        self._seen &= games.games.keys()

    # -- claims

    async def _proposals(self, games: Games, true: Sequence[Game], state: L1State) -> list[Want]:
        """What makes the next game: the one that is signed already, if it is still good, or a new one."""
        pending = await self._pending(games, true)
        if not pending:
            fresh = await self._fresh(games, true, state)
            pending = [] if fresh is None else [fresh]
        wants: list[Want] = []
        for claimed, tree in pending:
            names = roots_to_publish(tree)
            published, bond = await self._parts.worker.run(
                partial(_published_and_bond, games.state, names)
            )
            self._metrics.bond_wei.set(bond)
            wants += wants_of(claimed, tree, published=published, bond_wei=bond)
        return wants

    async def _pending(self, games: Games, true: Sequence[Game]) -> list[tuple[Claimed, RootTree]]:
        """What this account has signed, L1 does not hold, and is still true on this L1."""
        made = {(game.root_claim, game.claim) for game in games.games.values()}
        found: list[tuple[Claimed, RootTree]] = []
        for slot in self._parts.sender.slots:
            if not slot.key.startswith(CREATE_PREFIX):
                continue
            claimed = recall(slot.offer().call_data)
            if claimed is None or (claimed.root_claim, claimed.claim) in made:
                continue
            tree = await self._tree_of(claimed, games, true)
            if tree is not None:
                found.append((claimed, tree))
        return found

    async def _tree_of(
        self, claimed: Claimed, games: Games, true: Sequence[Game]
    ) -> RootTree | None:
        """The roots of a claim, if it could be made now and is ours; None otherwise."""
        claim = claimed.claim
        start = games.anchor.l2_block
        if claim.parent is not None:
            parent = next((game for game in true if game.address == claim.parent), None)
            if (
                parent is None
                or parent.l2_block < start
                or not await self._parts.worker.run(
                    partial(is_foundation, games.state, parent.address)
                )
            ):
                return None
            start = parent.l2_block
        elif games.anchor.is_stopped:
            return None
        if self._own.accumulator(claim.l2_block) != claim.accumulator:
            return None
        tree = await self._own.tree(start, claim.l2_block)
        is_ours = tree is not None and (tree.id, tree.last) == (claim.roots_id, claimed.root_claim)
        return tree if is_ours else None

    async def _fresh(
        self, games: Games, true: Sequence[Game], state: L1State
    ) -> tuple[Claimed, RootTree] | None:
        """A new claim, if there is something new to claim and it is time for it."""
        options = self._options
        account = self._parts.sender.account.address
        # Somebody else's game counts by leaving nothing to claim.
        newest = max((game.created_at for game in true if game.creator == account), default=None)
        next_ms = state.header.timestamp * 1_000 + self._parts.clock.slot_duration_ms
        is_time = newest is None or next_ms >= newest * 1_000 + options.interval_ms
        is_early = len(true) < options.games_at_start
        if not (is_time or is_early):
            return None
        if sum(game.creator == account for game in games.open) >= options.open_games_max:
            return None
        parent = await self._parts.worker.run(partial(_foundation, games, tuple(true)))
        if parent is None and games.anchor.is_stopped:
            return None
        start = games.anchor.l2_block if parent is None else parent.l2_block
        last = self._published_to(start) or self._own.last_within(start)
        accumulator = None if last is None else self._own.accumulator(last)
        tree = None if last is None else await self._own.tree(start, last)
        if last is None or accumulator is None or tree is None:
            return None
        claim = Claim(
            l2_block=BlockNumber(last),
            parent=None if parent is None else parent.address,
            roots_id=tree.id,
            accumulator=accumulator,
        )
        return Claimed(root_claim=tree.last, claim=claim), tree

    def _published_to(self, start: int) -> int | None:
        """Where a claim from a start ends whose roots were all paid for and not claimed: the process ended between both.

        Full chunks alone decide nothing: every claim that reaches further has them.
        """
        published = [
            recall_roots(slot.offer().call_data)
            for slot in self._parts.sender.slots
            if slot.key.startswith(PUBLISH_PREFIX)
        ]
        last = start
        for _ in range(CHUNKS_MAX):
            chunk = next((roots for roots in published if self._are_own(roots, last)), None)
            if chunk is None:
                return None
            last += len(chunk)
            if len(chunk) < CHUNK_ROOTS:
                return last
        return None

    def _are_own(self, roots: Sequence[Hash32], start: int) -> bool:
        """Whether published roots are the own ones from a start on, as far as both ends tell; the claim's tree tells the rest."""
        ends = self._own.root(start + 1), self._own.root(start + len(roots))
        return bool(roots) and ends == (roots[0], roots[-1])

    # -- endings

    async def _endings(self, games: Games, true: Sequence[Game], state: L1State) -> list[Want]:
        """What resolves, closes and pays games."""
        parts, account = self._parts, self._parts.sender.account.address
        proof = parts.prove_finality()
        own = tuple(
            game for game in true if game.creator == account and game.address not in self._paid
        )
        asked = partial(ask_endings, games, tuple(true), own, account, state)
        endings = await parts.worker.run(asked)
        self._paid |= await parts.worker.run(
            partial(ask_paid, parts.states.finalized(), own, account)
        )
        self._paid &= games.games.keys()
        wants = [] if proof is None else list(resolutions(true, endings, proof, self._key_of))
        wants += closing(endings, self._key_of)
        wants += repayments(endings, account, self._key_of)
        return wants

    def _key_of(self, deed: str, game: Game) -> str:
        made_in = self._parts.l1.canonical_hash(game.created_block) or ZERO_HASH
        return f"{deed}:{game.address.hex()}@{made_in[:8].hex()}"


def _foundation(games: Games, true: Sequence[Game]) -> Game | None:
    """The true game that reaches furthest and may be built on; None for the anchor. For a Worker; raises MissingState."""
    lowest = games.anchor.l2_block + (not games.anchor.is_stopped)
    for game in sorted(true, key=lambda one: one.l2_block, reverse=True):
        if game.l2_block < lowest:
            return None
        if is_foundation(games.state, game.address):
            return game
    return None


def _standing_parents(games: Games, true: Sequence[Game]) -> frozenset[Address]:
    """Which parents L1 has decided to be true. For a Worker, because some have left memory; raises MissingState."""
    stand: set[Address] = set()
    for game in true:
        if game.parent is None or game.parent in stand:
            continue
        if game.status is GameStatus.DEFENDER_WINS:
            stand.add(game.parent)  # A game stands only where its parent does.
            continue
        parent = games.game(game.parent)
        if parent is not None and parent.status is GameStatus.DEFENDER_WINS:
            stand.add(game.parent)
    return frozenset(stand)


def _published_and_bond(state: Asked, names: Sequence[Hash32]) -> tuple[frozenset[Hash32], int]:
    published = frozenset(name for name in names if are_published(state, name))
    return published, bond_wei(state)
