"""A proposer among games that others make, true and false; all parts are real."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from bridge.games.reading import Game
from bridge.proposing.service import ProposerOptions
from node.eth.primitives import Address
from tests.bridge.proposing.scene import ACCOUNT, OPEN, STANDS, scene
from tests.kit.real_bridge import (
    CHALLENGERS,
    Claimant,
    lied,
    running_parts,
    true_roots,
)


async def test_false_games_are_neither_built_on_nor_resolved(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        liar = Claimant(l1=here.l1, l2=here.l2, account=here.l1.rollup.users[3])
        for _ in range(3):
            await here.slot()
        safe = here.l2.chain.safe.header.number
        roots = true_roots(here.l2, 1, safe)
        # Given a claim that is true at its end and false in the middle, and one that is false at its end
        await liar.claim([lied(roots[0]), *roots[1:]])
        await liar.claim([*roots[:-1], lied(roots[-1])])
        await here.slot()
        async with here.proposing():
            stood = await here.until(2, STANDS)
            games = (await here.games()).games
            false = [game for game in games.values() if game.creator != ACCOUNT.address]
            assert len(false) == 2
            assert all(game.status is OPEN for game in false)
            assert not {game.parent for game in stood} & {game.address for game in false}


async def test_somebody_elses_true_game_is_built_on_and_resolved(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        other = Claimant(l1=here.l1, l2=here.l2, account=here.l1.rollup.users[3])
        for _ in range(3):
            await here.slot()
        safe = here.l2.chain.safe.header.number
        await other.claim(true_roots(here.l2, 1, safe))
        await here.slot()
        async with here.proposing():
            stood = await here.until(2, STANDS)
            assert stood[0].creator == other.account.address
            assert stood[1].parent == stood[0].address


async def test_true_games_above_a_false_one_are_neither_built_on_nor_resolved(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        liar = Claimant(l1=here.l1, l2=here.l2, account=here.l1.rollup.users[3])
        for _ in range(5):
            await here.slot()
        safe = here.l2.chain.safe.header.number
        roots = true_roots(here.l2, 1, safe)
        # Given a claim that is true at its end alone, one on it whose roots are all true, and one on that
        parent: Address | None = None
        start = 0
        async with running_parts(here.l2, CHALLENGERS[1], tmp_path) as others:
            for end in (safe - 2, safe - 1, safe):
                said = roots[start:end]
                said[0] = lied(said[0]) if parent is None else said[0]
                await liar.claim(said, start=start, parent=parent)
                await here.slot(grows=False)
                newest = (await others.games.look()).newest
                assert newest is not None
                assert newest.l2_block == end
                parent, start = newest.address, end
        # Then nobody builds on the grandchild, though it reaches further than anything else, and nobody ends it
        async with here.proposing():
            stood = await here.until(3, STANDS)
            games = (await here.games()).games.values()
            theirs = [game for game in games if game.creator == liar.account.address]
            ours = [game for game in games if game.creator == ACCOUNT.address]
            assert [game.status for game in theirs] == [OPEN] * 3
            assert stood == ours[:3]
            assert ours[0].parent is None
            assert not {game.parent for game in ours} & {game.address for game in theirs}
            assert here.transactions()[1] == 0


async def test_short_games_of_strangers_neither_delay_the_own_ones_nor_take_their_place(
    tmp_path: Path,
) -> None:
    options = ProposerOptions(interval_ms=6_000, open_games_max=4)
    async with scene(tmp_path) as here:
        other = Claimant(l1=here.l1, l2=here.l2, account=here.l1.rollup.users[3])
        async with here.proposing(options):
            # Given a true game of one block in nearly every slot, each on the furthest, never at the safe end
            await here.until(2, OPEN)
            ours: list[Game] = []
            theirs: list[Game] = []
            for _ in range(14):
                for _ in range(2):
                    await here.l2.build_posted(here.l2.transfers(1, 1))
                top = max((await here.games()).games.values(), key=lambda game: game.l2_block)
                end = top.l2_block + 1
                if end < here.l2.chain.safe.header.number:
                    roots = true_roots(here.l2, end, end)
                    await other.claim(roots, start=top.l2_block, parent=top.address)
                await here.slot()
                games = (await here.games()).games.values()
                ours = [game for game in games if game.creator == ACCOUNT.address]
                theirs = [game for game in games if game.creator == other.account.address]
                assert sum(game.is_open for game in ours) <= options.open_games_max
            assert sum(game.is_open for game in theirs) >= options.open_games_max
            # Then the own ones come when they would have come anyway
            made = [game.created_at for game in ours]
            assert len(made) >= 4
            assert all(later - before == 6 for before, later in pairwise(made[1:4]))
            assert here.transactions()[1] == 0


async def test_an_own_game_adds_nothing_to_a_strangers_that_reaches_the_safe_end(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here:
        other = Claimant(l1=here.l1, l2=here.l2, account=here.l1.rollup.users[3])
        for _ in range(4):
            await here.slot()
        for _ in range(3):
            await here.slot(grows=False)
        safe = here.l2.chain.safe.header.number
        await other.claim(true_roots(here.l2, 1, safe))
        await here.slot(grows=False)
        assert here.l2.chain.safe.header.number == safe
        async with here.proposing():
            for _ in range(5):
                await here.slot(grows=False)
            assert (await here.games()).count == 1
            # When the L2 goes on, so does the proposer, from there
            await here.until(2, OPEN, slots_max=4)
