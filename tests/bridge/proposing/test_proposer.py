"""A proposer over real parts: consensus, contracts and both engines in one process; L1 does what it can."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path

import pytest
import trio

from bridge.games import book
from bridge.games.book import Games
from bridge.proposing.endings import RESOLVE_GAS
from bridge.proposing.proposals import CREATE_GAS, CREATE_PREFIX, Claimed, recall
from bridge.role import RoleParts
from bridge.sending.journal import Journal
from bridge.sending.slots import Slot
from node.contracts import disputes
from node.contracts.addresses import ANCHOR_STATE_REGISTRY
from node.eth.primitives import Address
from node.rollup.claims import CHUNK_ROOTS
from node.txpool.service import PoolService, Submission
from tests.bridge.proposing.scene import ACCOUNT, OPEN, STANDS, scene
from tests.kit.real_bridge import (
    AIR_GAP,
    BOND_WEI,
    GUARDIAN,
    Claimant,
    true_roots,
)


class Killed(Exception):
    """The process ends here."""


def unmade(parts: RoleParts, games: Games) -> list[Claimed]:
    """Claims that are signed and that L1 does not hold."""
    made = {game.claim for game in games.games.values()}
    signed = [
        recall(slot.offer().call_data)
        for slot in parts.sender.slots
        if slot.key.startswith(CREATE_PREFIX)
    ]
    return [claimed for claimed in signed if claimed is not None and claimed.claim not in made]


async def test_two_games_at_start_then_one_in_an_interval_and_all_come_to_their_end(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as here, here.proposing() as parts:
        assert here.proposer is not None
        assert here.proposer.lag() is not None
        first = await here.until(2, OPEN)
        assert here.proposer.lag() is None
        assert first[1].parent == first[0].address
        assert first[1].start_block == first[0].l2_block
        # Later games keep the interval
        stood = await here.until(3, STANDS)
        games = list((await here.games()).games.values())
        made = [game.created_at for game in games]
        assert made[1] - made[0] <= 4
        assert all(later - before == 6 for before, later in pairwise(made[1:]))
        # Each on the one before, all of them true, nothing paid for in vain
        for before, later in pairwise(games):
            assert (later.parent, later.start_block) == (before.address, before.l2_block)
            assert true_roots(here.l2, later.l2_block, later.l2_block) == [later.root_claim]
        for _ in range(AIR_GAP + 4):
            await here.slot()
        looked = await here.games()
        assert looked.anchor.l2_block >= stood[0].l2_block
        _, reverted = here.transactions()
        assert reverted == 0
        # And bonds come back
        state = parts.states.head()
        open_now = sum(game.is_open for game in looked.games.values())
        unpaid = sum(
            not game.is_open and game.resolved_block + AIR_GAP + 1 >= looked.block.number
            for game in looked.games.values()
        )
        held = (open_now + unpaid) * BOND_WEI
        spent = 10**6 * 10**18 - state.balance(ACCOUNT.address) - held
        assert 0 < spent < BOND_WEI
        assert parts.registry.get_sample_value("faultline_bridge_outputs_total") == looked.count
        assert parts.registry.get_sample_value("faultline_bridge_bond_wei") == BOND_WEI
        # What each call uses, and that the gas of those that are not simulated is enough
        used = {name: max(gas for one, gas in here.gas() if one == name) for name in here.calls()}
        assert used.keys() == {"publish", "create", "resolve", "closeGame", "claimCredit"}
        assert used["publish"] + used["create"] < 500_000
        assert used["create"] * 3 // 2 < CREATE_GAS
        assert used["resolve"] * 3 // 2 < RESOLVE_GAS


async def test_an_l2_that_stands_still_gets_no_games(tmp_path: Path) -> None:
    async with scene(tmp_path) as here, here.proposing():
        await here.until(2, OPEN)
        for _ in range(3):
            await here.slot(grows=False)
        count = (await here.games()).count
        for _ in range(6):
            await here.slot(grows=False)
        assert (await here.games()).count == count


async def test_a_proposer_that_comes_back_goes_on_from_its_games(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        async with here.proposing():
            before = await here.until(2, OPEN)
        for _ in range(12):
            await here.slot()
        async with here.proposing():
            games = await here.until(5, STANDS)
            assert [game.address for game in games[:2]] == [game.address for game in before]
            assert games[2].parent == games[1].address
            assert here.transactions()[1] == 0


async def test_what_a_dead_proposer_left_is_claimed_in_chunks_and_spanned(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        # Given more blocks than one publication holds
        for _ in range(4):
            for _ in range(300):
                here.l2.build()
            await here.slot()
        with trio.fail_after(60):
            while here.l2.chain.safe.header.number <= CHUNK_ROOTS:
                await here.slot(grows=False)
        async with here.proposing() as parts:
            first, *_ = await here.until(1, OPEN)
            assert first.l2_block - first.start_block > CHUNK_ROOTS
            games = await parts.games.look()
            found = await games.roots(first)
            assert found == tuple(true_roots(here.l2, 1, first.l2_block))
            # Everything went into one L1 block, in order
            assert list(dict(here.gas())) == ["publish", "span", "create"]
            assert here.calls()["publish"] == 2
            assert parts.l1.head.number == first.created_block
            assert await here.until(1, STANDS)
            assert here.transactions()[1] == 0


async def test_a_game_goes_on_from_one_whose_parent_has_left_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as here:
        async with here.proposing():
            await here.until(3, STANDS)
        # Given a process that remembers no game that is decided
        monkeypatch.setattr(book, "DECIDED_MAX", 0)
        async with here.proposing():
            games = await here.games()
            oldest, *_ = games.games.values()
            assert oldest.parent is not None
            assert oldest.parent not in games.games
            count = games.count
            while (games := await here.games()).count < count + 2:
                await here.slot()
            *_, before, newest = games.games.values()
            assert newest.parent == before.address
            assert before.parent is not None
            assert here.transactions()[1] == 0


async def test_a_claim_whose_parent_the_guardian_stops_is_given_up_for_one_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as here, here.proposing() as parts:
        first, second = await here.until(2, OPEN)
        # Given a claim on the second game that L1 does not take
        while not (given := unmade(parts, await here.games())):
            await here.slot(takes=0)
        assert [claimed.claim.parent for claimed in given] == [second.address]
        # When the guardian stops that game
        guardian = Claimant(l1=here.l1, l2=here.l2, account=GUARDIAN)
        await guardian.send(ANCHOR_STATE_REGISTRY, disputes.blacklist(second.address))
        ((waiting,), _) = here.l1.pool.of_sender(GUARDIAN.address)
        with monkeypatch.context() as only:
            only.setattr(here.l1.pool, "upcoming", lambda **_: (waiting,))
            await here.slot()
        while (await here.games()).count == 2:
            await here.slot()
        # Then the next game starts from the one before, and its nonces are the ones that were given
        third = list((await here.games()).games.values())[2]
        assert third.parent == first.address
        assert here.transactions()[1] == 0


async def test_a_game_that_l1_leaves_is_made_again_as_it_was(tmp_path: Path) -> None:
    async with scene(tmp_path) as here, here.proposing():
        await here.until(2, OPEN)
        kept = (await here.games()).count
        lost = await here.slot()
        while (await here.games()).count == kept:
            lost = await here.slot()
        games = await here.games()
        newest = list(games.games.values())[-1]
        # When L1 leaves the block that made it
        builder = here.l1.rollup.builder
        await here.l1.mine(on=lost.parent_hash, takes=0)
        while here.l1.chain.is_canonical(lost.hash):
            await here.l1.mine(on=list(builder.blocks)[-1], takes=0)
        await here.l2.caught_up()
        await here.settled()
        assert (await here.games()).count == kept
        while (await here.games()).count == kept:
            await here.slot(grows=False)
        # Then the same claim is made, from the same bytes
        again = list((await here.games()).games.values())[-1]
        assert again.address == newest.address
        assert here.transactions()[1] == 0


async def test_games_stand_only_once_finality_has_passed_them(tmp_path: Path) -> None:
    async with scene(tmp_path) as here, here.proposing():
        await here.until(2, OPEN)
        final = here.l1.chain.finalized.header.number
        # Given an L1 without votes: blocks come, nothing becomes final
        for _ in range(14):
            await here.grow()
            await here.l1.mine(voted=False)
            await here.l2.caught_up()
            await here.settled()
        assert here.l1.chain.finalized.header.number <= final + 4
        games = await here.games()
        assert all(game.is_open for game in games.games.values())
        # When it votes again
        stood = await here.until(1, STANDS)
        assert stood
        assert here.transactions()[1] == 0


async def test_a_process_that_ends_at_every_step_pays_for_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a process that is killed once it has signed and saved, and once more when that has left
    steps = count()

    def save(journal: Journal, account: Address, slots: Sequence[Slot]) -> None:
        real_save(journal, account, slots)
        if next(steps) % 2 == 0:
            raise Killed

    async def submit(pool: PoolService, raw: bytes) -> Submission:
        answer = await real_submit(pool, raw)
        if raw[1:] not in told:
            told.add(raw[1:])
            if any(slot.raw == raw for slot in signed_slots()):
                raise Killed
        return answer

    real_save, real_submit = Journal.save, PoolService.submit
    told: set[bytes] = set()
    async with scene(tmp_path) as here:

        def signed_slots() -> Sequence[Slot]:
            return () if here.parts is None else here.parts.sender.slots

        monkeypatch.setattr(Journal, "save", save)
        monkeypatch.setattr(PoolService, "submit", submit)
        lives = 0
        stands = 0
        while stands < 3:
            try:
                async with here.proposing():
                    while stands < 3:
                        games = (await here.games()).games.values()
                        stands = sum(game.status is STANDS for game in games)
                        await here.slot()
            except* Killed:
                lives += 1
                assert lives < 100
        monkeypatch.undo()
        assert lives > 12
        # When one comes back that lives
        async with here.proposing():
            for _ in range(3):
                await here.slot()
            # And an L2 that stands still lets it finish what is on its way
            for _ in range(5):
                await here.slot(grows=False)
            games = (await here.games()).games.values()
            sent, reverted = here.transactions()
            assert reverted == 0
            calls = here.calls()
            assert calls["create"] == len(games)
            assert calls["publish"] == len(games)
            assert calls["resolve"] == sum(game.status is STANDS for game in games)
            assert calls["claimCredit"] <= calls["resolve"]
            assert sum(calls.values()) == sent
