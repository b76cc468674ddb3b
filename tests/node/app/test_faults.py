"""Faults reach the links and the clock of the process that is asked, and leave them again."""

from __future__ import annotations

from random import Random

import trio

from node.app.faults import link_fault, wire_faults
from node.p2p.network import LinkFault, PeerId
from node.runtime.clock import SlotClock, TrioClock
from node.runtime.faults import FaultBoard
from tests.kit.memory_network import MemoryHub

NAMES = {f"validator-{number}": PeerId(f"peer {number}") for number in range(4)}
GROUPS = [["validator-0", "validator-1"], ["validator-2", "validator-3"]]


async def faulty(name: str, parameters: dict[str, object], own_name: str) -> LinkFault:
    board = FaultBoard()
    await board.inject(name, parameters)
    return link_fault(board, NAMES, own_name)


async def test_a_partition_cuts_the_other_groups_off() -> None:
    fault = await faulty("partition", {"groups": GROUPS}, "validator-1")

    assert fault == LinkFault(blocked=frozenset({NAMES["validator-2"], NAMES["validator-3"]}))


async def test_who_stands_in_no_group_is_left_alone() -> None:
    fault = await faulty("partition", {"groups": [["validator-0"], ["validator-2"]]}, "validator-1")

    assert fault == LinkFault()


async def test_names_that_nobody_has_cut_nobody_off() -> None:
    groups = [["validator-1"], ["sequencer", "validator-0"]]
    fault = await faulty("partition", {"groups": groups}, "validator-1")

    assert fault == LinkFault(blocked=frozenset({NAMES["validator-0"]}))


async def test_delay_and_drop_stand_beside_each_other() -> None:
    board = FaultBoard()
    await board.inject("delay", {"ms": 300, "jitter_ms": 40})
    await board.inject("drop", {"ratio": 0.25})

    assert link_fault(board, NAMES, "validator-0") == LinkFault(
        delay_ms=300, jitter_ms=40, drop_ratio=0.25
    )


async def test_network_and_clock_follow_the_board_until_it_heals(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hub, board = MemoryHub(dice=Random(1)), FaultBoard()
    one, other = hub.network("one"), hub.network("other")
    clock = SlotClock(genesis_time_ms=0, slot_duration_ms=2_000, wall=TrioClock(started_at_ms=0))
    wire_faults(board, one, clock, "one")
    async with trio.open_nursery() as nursery:
        for network in (one, other):
            await nursery.start(network.run)
        await trio.sleep(3)
        assert hub.is_linked(one.peer_id, other.peer_id)

        await board.inject("partition", {"groups": [["one"], ["other"]]})
        await board.inject("clock-skew", {"ms": -700})

        await trio.sleep(3)
        assert not hub.is_linked(one.peer_id, other.peer_id)
        assert clock.skew_ms == -700
        await board.heal()
        await trio.sleep(3)
        assert hub.is_linked(one.peer_id, other.peer_id)
        assert clock.skew_ms == 0
        nursery.cancel_scope.cancel()
