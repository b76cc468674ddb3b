"""Games as a process sees them, over real contracts: new ones, decided ones, and what a reorganisation takes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.games import book
from bridge.games.finality import prove_finality
from bridge.games.reading import resolvable_from
from bridge.role import RoleParts
from node.contracts import disputes
from node.contracts.disputes import GameStatus
from node.eth.primitives import Address
from sequencer.batching.options import BatchingOptions
from tests.kit.real_bridge import (
    CHALLENGERS,
    WINDOW,
    Claimant,
    make_disputed_rollup,
    running_parts,
    true_roots,
)
from tests.kit.real_rollup import RealL1, RealL2, running_l1, running_l2


@dataclass(slots=True)
class Scene:
    """An L1 with games, somebody who makes them, and who reads them."""

    l1: RealL1
    l2: RealL2
    parts: RoleParts
    claimant: Claimant

    async def slots(self, count: int) -> None:
        for _ in range(count):
            await self.l2.build_posted()
            await self.l1.mine()
            await self.l2.caught_up()

    async def until_final(self, number: int) -> None:
        """Slots until L1 shows that a block is final."""
        for _ in range(60):
            proof = prove_finality(self.l1.chain, self.l2.view.confirmed)
            if proof is not None and proof.number >= number:
                return
            await self.slots(1)
        raise AssertionError(f"L1 block {number} never becomes final")

    async def claim(self) -> None:
        """A game over everything that is safe, from the anchor."""
        last = self.l2.chain.safe.header.number
        await self.claimant.claim(true_roots(self.l2, 1, last))
        await self.l1.mine()
        await self.l2.caught_up()

    async def resolve(self, game: Address) -> None:
        proof = prove_finality(self.l1.chain, self.l2.view.confirmed)
        assert proof is not None
        call = disputes.resolve(proof.header, proof.epoch, proof.branch, proof.timestamp)
        await self.claimant.send(game, call)
        await self.l1.mine()
        await self.l2.caught_up()

    async def leave_head(self) -> None:
        """L1 leaves its head for another branch, without transactions."""
        lost = self.l1.chain.head
        await self.l1.mine(on=lost.header.parent_hash, takes=0)
        while self.l1.chain.is_canonical(lost.hash):
            await self.l1.mine(on=list(self.l1.rollup.builder.blocks)[-1], takes=0)
        await self.l2.caught_up()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    rollup = make_disputed_rollup()
    (folder / "l1").mkdir()
    (folder / "l2").mkdir()
    options = BatchingOptions(interval_ms=100)
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=options) as l2,
        running_parts(l2, CHALLENGERS[0], folder) as parts,
    ):
        yield Scene(l1, l2, parts, Claimant(l1=l1, l2=l2, account=rollup.users[3]))


async def test_a_game_is_read_whole_and_followed_to_its_end(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        games = await here.parts.games.look()
        assert (games.count, games.newest, games.open) == (0, None, [])
        assert games.anchor.l2_block == 0
        await here.slots(3)
        await here.claim()
        games = await here.parts.games.look()
        (game,) = games.open
        claim = here.claimant.made[0]
        assert (game.index, game.claim, game.start_block) == (0, claim, 0)
        assert game.start_root == games.anchor.root
        assert (game.creator, game.was_respected) == (here.claimant.account.address, True)
        assert game.created_block == here.l1.chain.head.header.number
        assert await games.roots(game) == tuple(true_roots(here.l2, 1, game.l2_block))
        assert await here.parts.games.look() is games
        # When finality has passed it
        state = here.parts.states.head()
        assert resolvable_from(state, game.address) == game.created_block + WINDOW
        await here.until_final(game.created_block + WINDOW)
        await here.resolve(game.address)
        games = await here.parts.games.look()
        ended = games.game(game.address)
        assert ended is not None
        assert ended.status is GameStatus.DEFENDER_WINS
        assert ended.resolved_block == games.block.number
        assert games.open == []
        # An older one is asked for by its address
        assert games.game(Address(b"\x77" * 20)) is None


async def test_a_reorganisation_takes_games_and_their_ends_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.slots(3)
        await here.claim()
        (game,) = (await here.parts.games.look()).open
        await here.leave_head()
        games = await here.parts.games.look()
        assert games.count == 0
        assert games.games == {}
        # It is made again, by the transaction that the pool took back: the same game at another place
        await here.slots(2)
        (again,) = (await here.parts.games.look()).open
        assert again.address == game.address
        assert again.created_block > game.created_block
        await here.until_final(again.created_block + WINDOW)
        await here.resolve(game.address)
        assert (await here.parts.games.look()).open == []
        # When L1 leaves the block that decided it
        await here.leave_head()
        (open_again,) = (await here.parts.games.look()).open
        assert open_again == again


async def test_decided_games_are_forgotten_and_asked_again_by_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "DECIDED_MAX", 0)
    async with scene(tmp_path) as here:
        await here.slots(3)
        await here.claim()
        (game,) = (await here.parts.games.look()).open
        await here.until_final(game.created_block + WINDOW)
        await here.resolve(game.address)
        games = await here.parts.games.look()
        assert games.games == {}
        assert games.count == 1
        asked = games.game(game.address)
        assert asked is not None
        assert asked.index == book.UNKNOWN_INDEX
        assert asked.status is GameStatus.DEFENDER_WINS
        # What was forgotten is not read again at the next block either
        await here.slots(1)
        assert (await here.parts.games.look()).games == {}
