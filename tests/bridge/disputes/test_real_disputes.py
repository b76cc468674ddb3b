"""Challengers over real parts: consensus, contracts, both engines and STEP in one process; liars do what they can."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bridge.games.reading import credit_of
from tests.bridge.disputes.scene import (
    LOST,
    OPEN,
    STANDS,
    games_of,
    metric,
    proofs,
    scene,
    statuses,
    until_judged,
)
from tests.kit.real_bridge import (
    BOND_WEI,
    CHALLENGERS,
    WINDOW,
)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [1, 3, 6])
async def test_a_false_root_is_disproved_in_the_next_block(wrong: int, tmp_path: Path) -> None:
    """Given a game whose first, a middle or the last root is wrong, then the next L1 block ends it."""
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        await stage.liar.claim(stage.roots(1, 6, wrong))
        await stage.mine()
        (game,) = await games_of(parts)
        assert game.status is OPEN
        await stage.pooled(1)
        block = await stage.mine()
        (game,) = await games_of(parts)
        assert game.status is LOST
        assert game.prover == CHALLENGERS[0].address
        await until_judged(parts, block)
        assert proofs(parts) == 1


@pytest.mark.slow
async def test_a_challenger_is_paid_a_tenth_of_the_bond_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        account = CHALLENGERS[0].address
        game = await stage.game(parts, stage.roots(1, 6, 4))
        await stage.pooled(1)
        await stage.mine()
        assert credit_of(parts.states.head(), game, account) == BOND_WEI // 10
        before = parts.states.head().balance(account)
        with trio.fail_after(60):
            while credit_of(parts.states.head(), game, account):
                await until_judged(parts, await stage.mine())
                await stage.offered(parts)
        gained = parts.states.head().balance(account) - before
        assert 0.99 * BOND_WEI / 10 < gained < BOND_WEI / 10
        for _ in range(3):
            await until_judged(parts, await stage.mine())
        assert stage.failed(account) == 0


@pytest.mark.slow
async def test_an_honest_game_stands_and_a_false_one_on_it_falls(tmp_path: Path) -> None:
    """Given a false child of an honest parent, then the child is proven, and the parent stands once its window is final."""
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        await stage.liar.claim(stage.roots(1, 4))
        await stage.mine()
        (parent,) = await games_of(parts)
        await stage.liar.claim(stage.roots(5, 6, 6), start=4, parent=parent.address)
        await stage.mine()
        await stage.pooled(1)
        await stage.mine()
        assert await statuses(parts) == [OPEN, LOST]
        await stage.resolved(parts, parent.address)
        assert await statuses(parts) == [STANDS, LOST]
        assert metric(parts, "faultline_bridge_lies_that_stand") == 0


@pytest.mark.slow
async def test_children_of_a_false_game_fall_with_it_for_one_proof(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage:
        # Given a false game, a child that starts from its wrong root, and one that errs once more
        async with stage.parts() as looking:
            parent = await stage.game(looking, stage.roots(1, 2, 2))
            child = await stage.game(looking, stage.roots(3, 4), start=2, parent=parent)
            await stage.game(looking, stage.roots(5, 6, 6), start=4, parent=child)
        async with stage.challenger() as parts:
            # When L1 goes on
            with trio.fail_after(120):
                while OPEN in await statuses(parts):
                    await stage.offered(parts)
                    await until_judged(parts, await stage.mine())
            # Then one was proven, and the others ended with it
            found = await games_of(parts)
            assert [game.status for game in found] == [LOST] * 3
            assert [game.prover is None for game in found] == [False, True, True]
            assert proofs(parts) == 1


@pytest.mark.slow
async def test_two_challengers_share_what_there_is_to_prove(tmp_path: Path) -> None:
    """Given several false games at once and two challengers who see each other's proofs, then each game costs one proof."""
    async with scene(tmp_path) as stage, stage.challenger(0) as one, stage.challenger(1) as other:
        for wrong in range(1, 7):
            await stage.liar.claim(stage.roots(1, 6, wrong))
        await stage.mine()
        await stage.pooled(6)
        block = await stage.mine()
        for parts in (one, other):
            await until_judged(parts, block)
        assert await statuses(one) == [LOST] * 6
        assert proofs(one) + proofs(other) == 6
        assert stage.failed(CHALLENGERS[0].address) + stage.failed(CHALLENGERS[1].address) == 0


@pytest.mark.slow
async def test_a_hundred_false_games_at_once_fall_before_any_could_stand(tmp_path: Path) -> None:
    """Given a hundred false games in one L1 block, when somebody tries to resolve them all the time, then none stands."""
    async with scene(tmp_path, blocks=20) as stage, stage.challenger() as parts:
        for number in range(100):
            await stage.liar.claim(stage.roots(1, 20, 1 + number % 20, salt=number))
        with trio.fail_after(60):
            while stage.l1.pool.counts()[0]:
                await stage.mine()
        blocks = 0
        with trio.fail_after(150):
            while OPEN in (found := await statuses(parts)):
                assert STANDS not in found
                still_open = [one.address for one in await games_of(parts) if one.is_open]
                await stage.try_to_resolve(parts, still_open[-1])
                await until_judged(parts, await stage.mine())
                await stage.offered(parts)
                blocks += 1
        assert await statuses(parts) == [LOST] * 100
        assert proofs(parts) == 100
        assert stage.failed(CHALLENGERS[0].address) == 0


@pytest.mark.slow
async def test_an_l1_that_drops_a_false_game_drops_its_proof_and_a_later_one_is_proven(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        await stage.mine()
        await stage.liar.claim(stage.roots(1, 6, 4))
        lost = await stage.mine(voted=False)
        await stage.pooled(1)
        await stage.abandon(lost)
        assert await statuses(parts) == []
        # The pool has what L1 dropped again; a proof that L1 takes before it calls an address without code, and succeeds
        with trio.fail_after(60):
            while await statuses(parts) != [LOST]:
                await until_judged(parts, await stage.mine())
                await stage.offered(parts)
        assert proofs(parts) == 1


@pytest.mark.slow
async def test_an_l1_that_drops_the_proof_gets_it_once_more(tmp_path: Path) -> None:
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        await stage.game(parts, stage.roots(1, 6, 4))
        await stage.mine(takes=0)
        await stage.pooled(1)
        lost = await stage.mine(voted=False)
        await until_judged(parts, lost)
        assert await statuses(parts) == [LOST]
        await stage.abandon(lost)
        assert await statuses(parts) == [OPEN]
        await stage.pooled(1)
        await until_judged(parts, await stage.mine())
        assert await statuses(parts) == [LOST]
        assert proofs(parts) == 1
        assert stage.failed(CHALLENGERS[0].address) == 0


@pytest.mark.slow
async def test_who_comes_back_with_the_last_block_of_the_window_is_in_time(tmp_path: Path) -> None:
    """Given a false game whose window ends with the next final block, when a challenger starts only now, then it falls."""
    async with scene(tmp_path) as stage:
        async with stage.parts() as looking:
            false = await stage.game(looking, stage.roots(1, 6, 2))
            (game,) = await games_of(looking)
            while stage.l1.chain.finalized.header.number < game.created_block + WINDOW - 1:
                await stage.try_to_resolve(looking, false)
                await stage.mine()
            assert await statuses(looking) == [OPEN]
        async with stage.challenger() as parts:
            await stage.pooled(1)
            await stage.mine()
            assert await statuses(parts) == [LOST]


@pytest.mark.slow
async def test_a_lie_outlives_a_stall_of_finality_and_eight_hours_of_nobody_and_falls(
    tmp_path: Path,
) -> None:
    """Given a false game, when L1 stops being final and then everybody sleeps for eight hours, then it still cannot stand."""
    async with scene(tmp_path) as stage:
        async with stage.parts() as looking:
            false = await stage.game(looking, stage.roots(1, 6, 2))
            for _ in range(12):
                await stage.try_to_resolve(looking, false)
                await stage.mine(voted=False)
            assert await statuses(looking) == [OPEN]
        stage.l1.slot += 8 * 3_600 // 2
        await stage.mine(voted=False)
        async with stage.challenger() as parts:
            await stage.try_to_resolve(parts, false)
            await stage.pooled(1)
            await stage.mine(voted=False)
            assert await statuses(parts) == [LOST]


@pytest.mark.slow
async def test_a_lie_in_the_second_chunk_of_a_long_claim_is_found_and_proven(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, blocks=1_040) as stage, stage.challenger() as parts:
        await stage.game(parts, stage.roots(1, 1_040, 1_030))
        await stage.pooled(1)
        await stage.mine()
        assert await statuses(parts) == [LOST]


@pytest.mark.slow
async def test_a_block_with_deposits_is_proven_too(tmp_path: Path) -> None:
    """Given an L2 block that holds users' deposits, when a game lies about it, then the proof carries the origin's requests."""
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        await stage.l1.deposit(3, to=b"\xdd" * 20, value=10**17)
        await stage.mine()
        while not stage.l2.balance(b"\xdd" * 20):
            stage.l2.build(advances=True)
        number = stage.l2.chain.head.header.number
        await stage.grow(1)
        await stage.game(parts, stage.roots(1, number + 1, number))
        await stage.pooled(1)
        await stage.mine()
        assert await statuses(parts) == [LOST]
