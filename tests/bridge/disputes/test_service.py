"""A challenger among games, liars, rivals and reorganisations; L1 and the L2 are models."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from bridge.disputes.rivals import RIVAL_BLOCKS, Attempt
from bridge.disputes.service import CALLS_MAX, LAG_BLOCKS_MAX, STUCK_BLOCKS, TICK_S
from node.contracts.disputes import GameStatus
from node.eth.primitives import Address, Hash32
from tests.bridge.disputes.watched import Watched
from tests.kit.model_games import Call, create, prove, resolve, true_root, wrong_root

LOST, STANDS, OPEN = (
    GameStatus.CHALLENGER_WINS,
    GameStatus.DEFENDER_WINS,
    GameStatus.IN_PROGRESS,
)


def lie(*wrong: int, count: int = 5, start: int = 0, salt: int = 0) -> list[Hash32]:
    """Roots after `start`, wrong after these L2 blocks."""
    numbers = range(start + 1, start + count + 1)
    return [wrong_root(one, salt) if one in wrong else true_root(one) for one in numbers]


def truth(count: int = 5, start: int = 0) -> list[Hash32]:
    return lie(count=count, start=start)


@pytest.mark.parametrize("wrong", [1, 3, 5])
async def test_a_false_game_is_lost_in_the_next_block(wrong: int) -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(wrong))])
        assert [int.from_bytes(one.call_data) for one in watcher.wanted] == [wrong]
        await watched.mine()
        assert watched.statuses == [LOST]
        assert watcher.deeds() == []
        assert watcher.metric("faultline_bridge_faults_proven_total") == 1


async def test_a_proof_is_paid_once_and_asked_for_when_it_is_final() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(2))])
        await watched.mine(finalizes=False)
        assert watched.statuses == [LOST]
        assert watcher.deeds() == []
        for _ in range(6):
            await watched.mine()
        assert watcher.rewarded == [watched.l1.head.games[0].address]
        assert watcher.deeds() == []


async def test_an_honest_game_is_left_alone_and_judged_once() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, truth())])
        for _ in range(3):
            await watched.mine()
        assert watcher.deeds() == []
        assert watcher.truth.asked == 1
        assert watcher.metric("faultline_bridge_open_games", verdict="honest") == 1


async def test_what_is_not_derived_yet_is_judged_once_it_is() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.truth.safe_block = 4
        await watched.mine([create(None, lie(2))])
        assert watcher.deeds() == []
        assert watcher.metric("faultline_bridge_open_games", verdict="early") == 1
        assert watcher.truth.asked == 0
        watcher.truth.safe_block = 5
        watcher.derive_on()
        await watched.settle()
        assert len(watcher.deeds()) == 1


async def test_roots_that_come_to_light_later_are_judged_then() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(2))])
        watched.hidden.add(watched.l1.head.games[0].address)
        watcher.truth.resets += 1
        await watched.mine(room=0)
        assert watcher.deeds() == []
        assert watcher.metric("faultline_bridge_open_games", verdict="unreadable") == 1
        watched.hidden.clear()
        await watched.mine(room=0)
        assert len(watcher.deeds()) == 1


async def test_a_judgement_is_made_anew_when_the_own_chain_has_dropped_blocks() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, truth())])
        watcher.truth.lies[4] = wrong_root(4)
        watcher.truth.resets += 1
        await watched.mine()
        assert [int.from_bytes(one.call_data) for one in watcher.wanted] == [4]


async def test_an_l1_that_drops_the_game_drops_what_is_wanted() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(2))], finalizes=False)
        await watched.reorganise(1)
        assert watched.statuses == []
        assert watcher.deeds() == []


async def test_a_game_that_l1_makes_anew_is_another_deed() -> None:
    """Given a game that L1 dropped and made again, when it is to be proven, then not under the name of the first proof.

    That one may have been taken before the game was there again: it succeeds at an address without code, and does nothing.
    """
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(2))], finalizes=False)
        (first,) = watcher.deeds()
        await watched.reorganise(1)
        await watched.mine([create(None, lie(2))], finalizes=False)
        (second,) = watcher.deeds()
        assert first.split("@")[0] == second.split("@")[0]
        assert first != second


async def test_an_l1_that_drops_the_proof_gets_it_again() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine([create(None, lie(2))], finalizes=False)
        await watched.mine(finalizes=False)
        assert watched.statuses == [LOST]
        await watched.reorganise(1)
        assert watched.statuses == [OPEN]
        assert len(watcher.deeds()) == 1
        await watched.mine()
        assert watched.statuses == [LOST]
        assert watcher.metric("faultline_bridge_faults_proven_total") == 1
        assert watcher.reverted == 0


async def test_children_of_a_lost_game_are_resolved_generation_by_generation() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        await watched.mine(
            [
                create(None, lie(5)),
                create(0, truth(start=5)),
                create(1, lie(12, start=10)),
                create(2, truth(start=15)),
            ]
        )
        assert len(watcher.deeds()) == 1
        for _ in range(20):
            await watched.mine()
        assert watched.statuses == [LOST] * 4
        assert (watcher.paid, watcher.reverted) == (4, 0)
        assert watcher.metric("faultline_bridge_faults_proven_total") == 1


async def test_children_are_proven_where_their_parents_proof_cannot_be_made() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.unprovable.add(3)
        # A child that starts from a right root, because only the middle of its parent is wrong
        await watched.mine([create(None, lie(3)), create(0, lie(8, start=5))])
        assert watcher.deeds() == []
        for _ in range(STUCK_BLOCKS):
            await watched.mine(finalizes=False)
        assert [int.from_bytes(one.call_data) for one in watcher.wanted] == [8]
        assert watcher.metric("faultline_bridge_faults_stuck") == 1
        assert watcher.metric("faultline_bridge_oldest_lie_blocks") == STUCK_BLOCKS
        await watched.mine(finalizes=False)
        assert watched.statuses == [OPEN, LOST]


async def test_the_age_of_the_oldest_lie_is_what_l1_says_of_it() -> None:
    """Given a lie, then its age counts from its making, whoever restarted since and whichever branch it is on; 0 once it is lost."""
    name = "faultline_bridge_oldest_lie_blocks"
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.is_cut_off = True
        await watched.mine([create(None, lie(2))], finalizes=False)
        ages = [watcher.metric(name)]
        for _ in range(3):
            await watched.mine(finalizes=False)
            ages.append(watcher.metric(name))
        assert ages == [0, 1, 2, 3]

        # Three blocks and one more become one block: the game is a block old again.
        await watched.reorganise(3)
        assert watcher.metric(name) == 1
        # The game's own block goes, and it is made anew later.
        await watched.reorganise(2)
        assert (watched.statuses, watcher.metric(name)) == ([], 0)
        await watched.mine([create(None, lie(2))], finalizes=False)
        assert watcher.metric(name) == 0
        await watched.mine(finalizes=False)
        assert watcher.metric(name) == 1
    async with watched.watcher() as restarted:
        assert restarted.metric(name) == 1
        await watched.mine(finalizes=False)
        assert watched.statuses == [LOST]
        assert restarted.metric(name) == 0


async def test_a_lie_grows_older_while_games_cannot_be_read() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.is_cut_off = True
        await watched.mine([create(None, lie(2))])
        watcher.is_blind = True
        for _ in range(6):
            await watched.mine()
        assert watcher.metric("faultline_bridge_oldest_lie_blocks") == 6


async def test_a_hundred_false_games_at_once_are_proven_as_fast_as_l1_takes_them() -> None:
    watched = Watched()
    calls: list[Call] = [
        create(None, lie(1 + number % 60, count=60, salt=number)) for number in range(100)
    ]
    async with watched.watcher() as watcher:
        await watched.mine(calls)
        blocks = 0
        while OPEN in watched.statuses:
            proofs = [one for one in watcher.deeds() if one.startswith("prove")]
            assert len(proofs) <= CALLS_MAX
            await watched.mine(room=10)
            blocks += 1
        assert watched.statuses == [LOST] * 100
        assert blocks == 10
        assert (watcher.paid, watcher.reverted) == (100, 0)


async def test_what_somebody_else_has_proven_is_not_proven_again() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.is_cut_off = True
        await watched.mine([create(None, lie(2))])
        assert len(watcher.deeds()) == 1
        await watched.mine([prove(0, 2)])
        assert watched.statuses == [LOST]
        assert watcher.deeds() == []
        assert watcher.metric("faultline_bridge_faults_proven_total") == 0


async def test_of_two_challengers_one_pays_for_each_game(autojump_clock: MockClock) -> None:
    watched = Watched()
    calls: list[Call] = [create(None, lie(1 + number, salt=number)) for number in range(4)]
    async with watched.watcher(0) as first, watched.watcher(1) as second:
        await watched.mine(calls)
        await trio.sleep(2 * TICK_S)
        wanted = [one.split("@")[0] for one in first.deeds() + second.deeds()]
        games = watched.l1.head.games
        assert sorted(wanted) == sorted(f"prove:0x{one.address.hex()}" for one in games)
        await watched.mine()
        assert watched.statuses == [LOST] * 4
        assert first.paid + second.paid == 4
        name = "faultline_bridge_faults_proven_total"
        assert first.metric(name) + second.metric(name) == 4


async def test_a_rival_that_never_comes_is_waited_for_a_short_while() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        senders = [Address(bytes([number]) * 20) for number in range(256)]
        (game,) = watched.l1.mine([create(None, lie(2))]).games
        watched.bluffs = [Attempt(one, game.address) for one in senders]
        wanted = []
        for _ in range(RIVAL_BLOCKS + 1):
            await watched.mine(room=0)
            wanted.append(len(watcher.wanted))
        assert wanted == [0] * RIVAL_BLOCKS + [1]


async def test_who_comes_back_at_the_last_moment_is_in_time() -> None:
    watched = Watched()
    await watched.mine([create(None, lie(2))])
    while watched.l1.finalized < watched.l1.head.games[0].created_block + 5:
        await watched.mine([resolve(0)])
    async with watched.watcher() as watcher:
        assert [one.is_urgent for one in watcher.wanted] == [True]
        await watched.mine()
        assert watched.statuses == [LOST]


async def test_a_lie_that_stands_is_an_emergency_that_is_seen() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.is_cut_off = True
        await watched.mine([create(None, lie(2))])
        while watched.statuses == [OPEN]:
            await watched.mine([resolve(0)])
        assert watched.statuses == [STANDS]
        assert watcher.metric("faultline_bridge_lies_that_stand") == 1
        assert watcher.deeds() == []


async def test_nothing_can_be_resolved_while_finality_stalls_and_proofs_go_on() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        watcher.is_cut_off = True
        await watched.mine([create(None, lie(2))], finalizes=False)
        for _ in range(40):
            await watched.mine([resolve(0)], finalizes=False)
        assert watched.statuses == [OPEN]
        watcher.is_cut_off = False
        await watched.mine(finalizes=False)
        assert watched.statuses == [LOST]


async def test_it_is_ready_while_the_games_of_the_last_blocks_are_judged() -> None:
    watched = Watched()
    async with watched.watcher() as watcher:
        assert watcher.challenger.lag() is None
        watcher.is_blind = True
        for _ in range(LAG_BLOCKS_MAX + 1):
            await watched.mine()
        behind = LAG_BLOCKS_MAX + 1
        assert watcher.challenger.lag() == (
            f"games were judged {behind} L1 blocks ago, at most {LAG_BLOCKS_MAX} is ready"
        )
        watcher.is_blind = False
        await watched.mine()
        assert watcher.challenger.lag() is None


async def test_it_is_not_ready_before_it_has_judged() -> None:
    watched = Watched()
    watcher = watched.make(0)
    assert watcher.challenger.lag() == "no games were judged yet"
