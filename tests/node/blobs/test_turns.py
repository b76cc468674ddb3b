"""Whose blobs are checked next."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from node.blobs.turns import WAITING_MAX, KeeperBusy, Lane, Turns


async def take(turns: Turns, lane: Lane, order: list[Lane], gate: trio.Event) -> None:
    """Have one turn, which does not end before the gate is open."""
    async with turns.turn(lane):
        order.append(lane)
        await gate.wait()


async def test_blocks_go_first_and_users_and_peers_alternate() -> None:
    turns, order, gate = Turns(), list[Lane](), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, turns, Lane.PEERS, order, gate)
        await trio.testing.wait_all_tasks_blocked()
        for lane in (Lane.PEERS, Lane.USERS, Lane.BLOCKS):
            for _ in range(3):
                nursery.start_soon(take, turns, lane, order, gate)
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    users_and_peers = [Lane.USERS, Lane.PEERS]
    assert order == [Lane.PEERS, *[Lane.BLOCKS] * 3, *users_and_peers * 3]


async def test_each_lane_is_bounded_for_itself() -> None:
    turns, order, gate = Turns(), list[Lane](), trio.Event()
    async with trio.open_nursery() as nursery:
        for lane in Lane:
            for _ in range(WAITING_MAX[lane]):
                nursery.start_soon(take, turns, lane, order, gate)
        await trio.testing.wait_all_tasks_blocked()
        for lane in Lane:
            with pytest.raises(KeeperBusy):
                async with turns.turn(lane):
                    raise AssertionError
        gate.set()
    assert len(order) == sum(WAITING_MAX.values())


@pytest.mark.parametrize("has_turn", [True, False])
async def test_who_gives_up_keeps_nobody_waiting(has_turn: bool) -> None:
    """Given one that is cancelled while it waits, or while it has its turn, or that fails, then the next has its turn."""
    turns, order, gate = Turns(), list[Lane](), trio.Event()
    scope = trio.CancelScope()

    async def hold() -> None:
        with scope:
            async with turns.turn(Lane.BLOCKS):
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        if not has_turn:
            nursery.start_soon(take, turns, Lane.PEERS, order, gate)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hold)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(take, turns, Lane.USERS, order, gate)
        await trio.testing.wait_all_tasks_blocked()
        assert Lane.USERS not in order
        scope.cancel()
        gate.set()
    assert order[-1] is Lane.USERS
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(Lane.PEERS):
            order.append(Lane(1 // 0))
    async with turns.turn(Lane.PEERS):
        assert not turns._waiting[Lane.USERS]
