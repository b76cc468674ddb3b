"""Challengers over real parts: consensus, contracts, both engines and STEP in one process; liars do what they can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import trio

from bridge.disputes.opening import attempts_in, open_challenger
from bridge.games.reading import Game, credit_of
from bridge.role import RoleParts
from node.contracts.disputes import GameStatus, resolve
from node.eth.primitives import Address, Hash32
from sequencer.batching.options import BatchingOptions
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_bridge import (
    BOND_WEI,
    CHALLENGERS,
    WINDOW,
    Claimant,
    by_claim,
    lied,
    make_disputed_rollup,
    running_parts,
    true_roots,
)
from tests.kit.real_rollup import RealL1, RealL2, running_l1, running_l2

OPTIONS = BatchingOptions(interval_ms=100)
LOST, STANDS, OPEN = (
    GameStatus.CHALLENGER_WINS,
    GameStatus.DEFENDER_WINS,
    GameStatus.IN_PROGRESS,
)


@dataclass(slots=True)
class Scene:
    """An L1 with games and an L2 that they are about."""

    l1: RealL1
    l2: RealL2
    folder: Path
    liar: Claimant
    """Makes games."""
    hurried: Claimant
    """Wants games to end well for those who made them."""

    async def grow(self, blocks: int) -> None:
        """L2 blocks with a transfer each, all of them safe."""
        for number in range(blocks):
            self.l2.build(self.l2.transfers(1, 1), advances=number == 0)
        goal = self.l2.chain.head.header.number
        with trio.fail_after(60):
            while self.l2.chain.safe.header.number < goal:
                await self.mine()
                await trio.sleep(0.05)

    async def mine(self, *, takes: int = 1_000, voted: bool = True) -> BuiltBlock:
        """An L1 block, and the replica has read it."""
        block = await self.l1.mine(takes=takes, voted=voted)
        await self.l2.caught_up()
        return block

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[RoleParts]:
        """A role's surroundings without a role."""
        async with running_parts(self.l2, CHALLENGERS[1], self.folder) as parts:
            yield parts

    @asynccontextmanager
    async def challenger(self, number: int = 0) -> AsyncIterator[RoleParts]:
        """One that runs until the block ends."""
        account = CHALLENGERS[number]
        async with running_parts(self.l2, account, self.folder) as parts:
            challenger = open_challenger(parts)
            async with trio.open_nursery() as nursery:
                await nursery.start(challenger.run)
                yield parts
                nursery.cancel_scope.cancel()

    async def pooled(self, count: int) -> None:
        """Wait until so many games are called in the pool, each once, and nobody gives way any more."""
        with trio.fail_after(60):
            while True:
                games = [attempt.game for attempt in attempts_in(self.l1.pool)]
                if len(games) == len(set(games)) == count:
                    return
                await trio.sleep(0.02)

    async def offered(self, parts: RoleParts) -> None:
        """Wait until a challenger has given away as much as it gives at once, or all that it wants."""
        wanted = "faultline_bridge_transactions_wanted"
        account = parts.sender.account.address
        with trio.fail_after(60):
            while True:
                count = parts.registry.get_sample_value(wanted, {"role": "challenger"}) or 0.0
                if len(self.l1.pool.of_sender(account)[0]) >= min(count, 16):
                    return
                await trio.sleep(0.02)

    async def abandon(self, lost: BuiltBlock) -> None:
        """L1 leaves a block for another branch from the one below it, with nothing of the pool on it."""
        builder = self.l1.rollup.builder
        await self.l1.mine(on=lost.parent_hash, takes=0)
        while self.l1.chain.is_canonical(lost.hash):
            await self.l1.mine(on=list(builder.blocks)[-1], takes=0)
        await self.l2.caught_up()

    def failed(self, account: Address) -> int:
        """Transactions of an account that L1 took and that reverted."""
        count = 0
        for number in range(1, self.l1.chain.head.header.number + 1):
            block = self.l1.chain.block_by_number(number)
            assert block is not None
            for receipt in orjson.loads(self.l1.engine.receipts_json(block.rlp, block.receipts)):
                is_theirs = receipt["from"] == "0x" + account.hex()
                count += is_theirs and receipt["status"] == "0x0"
        return count

    async def game(
        self,
        parts: RoleParts,
        roots: Sequence[Hash32],
        *,
        start: int = 0,
        parent: Address | None = None,
    ) -> Address:
        """A game that L1 holds."""
        claim = await self.liar.claim(roots, start=start, parent=parent)
        await self.mine()
        return by_claim(await parts.games.look())[claim.roots_id].address

    async def try_to_resolve(self, parts: RoleParts, game: Address) -> None:
        """Somebody asks L1 to end a game for its maker, with what is final now; may be refused."""
        proof = parts.prove_finality()
        if proof is not None:
            call = resolve(proof.header, proof.epoch, proof.branch, proof.timestamp)
            await self.hurried.send(game, call, gas=500_000)

    async def resolved(self, parts: RoleParts, game: Address) -> None:
        """Mine until a game is decided, while somebody tries."""
        with trio.fail_after(120):
            while next(one for one in await games_of(parts) if one.address == game).is_open:
                await self.try_to_resolve(parts, game)
                await self.mine()

    def roots(self, first: int, last: int, *wrong: int, salt: int = 0) -> list[Hash32]:
        """Output roots of the L2, wrong after some blocks."""
        roots = true_roots(self.l2, first, last)
        return [
            lied(root, salt) if number in wrong else root
            for number, root in enumerate(roots, first)
        ]


@asynccontextmanager
async def scene(folder: Path, blocks: int = 6) -> AsyncIterator[Scene]:
    rollup = make_disputed_rollup()
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=OPTIONS) as l2,
    ):
        liar = Claimant(l1=l1, l2=l2, account=rollup.users[0])
        hurried = Claimant(l1=l1, l2=l2, account=rollup.users[2])
        made = Scene(l1, l2, folder, liar, hurried)
        await made.mine()
        await made.mine()
        await made.grow(blocks)
        yield made


async def games_of(parts: RoleParts) -> Sequence[Game]:
    """All of L1's head."""
    return list((await parts.games.look()).games.values())


async def statuses(parts: RoleParts) -> list[GameStatus]:
    return [game.status for game in await games_of(parts)]


def proven(parts: RoleParts) -> float:
    return parts.registry.get_sample_value("faultline_bridge_faults_proven_total") or 0.0


def metric(parts: RoleParts, name: str) -> float:
    return parts.registry.get_sample_value(name) or 0.0


def proofs(parts: RoleParts) -> float:
    """Faults that this challenger has shown."""
    return metric(parts, "faultline_bridge_faults_proven_total")


async def until_judged(parts: RoleParts, block: BuiltBlock) -> None:
    """Wait until a challenger has judged the games of an L1 block."""
    name = "faultline_bridge_judged_l1_number"
    with trio.fail_after(60):
        while metric(parts, name) < block.number:  # noqa: ASYNC110  # metrics tell of nothing
            await trio.sleep(0.01)


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
    async with scene(tmp_path) as stage, stage.challenger() as parts:
        # Given a false game, a child that starts from its wrong root, and one that errs once more
        parent = await stage.game(parts, stage.roots(1, 2, 2))
        child = await stage.game(parts, stage.roots(3, 4), start=2, parent=parent)
        await stage.game(parts, stage.roots(5, 6, 6), start=4, parent=child)
        # When L1 goes on
        with trio.fail_after(120):
            while OPEN in await statuses(parts):
                await until_judged(parts, await stage.mine())
                await trio.sleep(0.05)
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
        # The pool has what L1 dropped again, and the proof before it: that calls an address without code, and succeeds
        await stage.mine()
        assert await statuses(parts) == [OPEN]
        await stage.pooled(1)
        await until_judged(parts, await stage.mine())
        assert await statuses(parts) == [LOST]
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
