"""Late joiners, restarts and partitions: everybody ends up with the honest chain."""

from __future__ import annotations

from contextlib import AsyncExitStack

import trio

from node.consensus import slashing
from node.consensus.wire import encode_votes
from node.eth.primitives import Address
from node.p2p.network import Topic
from node.sync.service import Progress
from tests.kit.chain_harness import Machine, TestNetwork, clock_at
from tests.kit.memory_network import MemoryHub
from tests.node.sync.nodes import RunningNode, chain_of, running_node

OTHER = Address(b"\x0f" * 20)


async def test_a_late_joiner_catches_up_by_ranges_while_the_chain_moves(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 304))
    clock = clock_at(network.genesis, 290)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        await first.give(blocks[:286])
        joiner_machine = Machine(network=network)
        joiner = await stack.enter_async_context(running_node(hub, "joiner", joiner_machine, clock))
        for block in blocks[286:]:
            await clock.sleep_until_slot(block.slot)
            await first.give([block])
            first.network.publish(Topic.L1_BLOCK, block.envelope)

        await joiner.reaches(blocks[-1])

        assert joiner.chain.finalized.hash == first.chain.finalized.hash
        assert joiner.sync.progress() is None
        assert joiner_machine.metric(
            "faultline_sync_requests_total", kind="FetchRange", outcome="delivered"
        ) in (4, 5, 6)


async def test_a_node_that_is_behind_says_so(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 204))
    clock = clock_at(network.genesis, 204)
    seen: list[Progress | None] = []
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        await first.give(blocks)
        joiner = await stack.enter_async_context(
            running_node(hub, "joiner", Machine(network=network), clock)
        )
        with joiner.chain.subscribe() as events:
            while joiner.chain.head.header.number < 150:
                await events.receive()
                seen.append(joiner.sync.progress())

        assert seen[100] is not None
        assert seen[100].highest_block == 200
        assert seen[100].starting_block < seen[100].current_block < 150
        await joiner.reaches(blocks[-1])
        assert joiner.sync.progress() is None


async def test_a_node_takes_itself_to_be_syncing_until_it_has_heard_or_is_alone(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    clock = clock_at(network.genesis, 4)
    async with running_node(hub, "one", Machine(network=network), clock) as one:
        assert one.sync.is_syncing()
        await trio.sleep(3.1)
        assert not one.sync.is_syncing()

        async with running_node(hub, "two", Machine(network=network), clock) as two:
            assert two.sync.is_syncing()
            await trio.sleep(1.5)
            assert not two.sync.is_syncing()


async def test_a_longer_branch_that_is_here_is_nothing_to_wait_for(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    builder = network.builder
    base = chain_of(network, range(4, 8))
    longer = builder.extend(base[-1].hash, range(8, 20), voters=[])
    chosen = builder.build(base[-1].hash, 19, fee_recipient=OTHER)
    votes = [builder.vote(index, 19, chosen.hash) for index in range(3)]
    clock = clock_at(network.genesis, 19.5)
    async with (
        running_node(hub, "one", Machine(network=network), clock) as one,
        running_node(hub, "two", Machine(network=network), clock) as two,
    ):
        await one.give([*base, *longer])
        await two.give([*base, chosen])
        await two.chain.on_votes(votes, origin="")
        await trio.sleep(8)

        assert two.chain.head.hash == chosen.hash
        assert two.chain.has_block(longer[-1].hash)
        assert not two.sync.is_syncing()


async def test_a_restarted_node_resumes_where_it_stopped(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 204))
    clock = clock_at(network.genesis, 204)
    machine = Machine(network=network)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        await first.give(blocks)
        async with running_node(hub, "second", machine, clock) as second:
            with second.chain.subscribe() as events:
                while second.chain.head.header.number < 100:
                    await events.receive()
        stopped_at = len(machine.disk.tables["envelopes"]) - 1
        assert 100 <= stopped_at < 200

        async with running_node(hub, "second", machine, clock) as second:
            await second.reaches(blocks[-1])
            assert machine.engine is not None
            assert len(machine.engine.executed) == 200 - stopped_at


async def test_a_block_whose_parent_was_lost_brings_the_parent_by_root(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 10))
    clock = clock_at(network.genesis, 9.3)
    machine = Machine(network=network)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        second = await stack.enter_async_context(running_node(hub, "second", machine, clock))
        await second.give(blocks[:2])
        await first.give(blocks)
        await trio.sleep(1.1)
        first.network.publish(Topic.L1_BLOCK, blocks[-1].envelope)

        await second.reaches(blocks[-1], within_s=2.5)

        assert machine.metric(
            "faultline_sync_requests_total", kind="FetchRoots", outcome="delivered"
        )


async def test_blocks_on_parents_that_nobody_has_make_no_honest_peer_rest(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a stranger's blocks on unknown parents, which anybody can make, then honest peers are asked and not held against it."""
    blocks = chain_of(network, range(4, 20))
    clock = clock_at(network.genesis, 20.1)
    machine = Machine(network=network)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        second = await stack.enter_async_context(running_node(hub, "second", machine, clock))
        for node in (first, second):
            await node.give(blocks[:2])
        await trio.sleep(1)
        for block in blocks[5:14:2]:
            await second.chain.import_envelope(block.envelope, origin="gone")
        await trio.sleep(1)
        labels = {"kind": "FetchRoots", "outcome": "failed"}
        assert machine.metric("faultline_sync_requests_total", **labels) >= 5
        [known] = second.sync._state.peers.values()
        assert (known.failures, known.rests_until_ms) == (0, 0)


async def test_a_vote_for_an_unknown_head_brings_the_head(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 8))
    vote = network.builder.vote(1, 7, blocks[-1].hash)
    clock = clock_at(network.genesis, 7.1)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            running_node(hub, "first", Machine(network=network), clock)
        )
        second = await stack.enter_async_context(
            running_node(hub, "second", Machine(network=network), clock)
        )
        await trio.sleep(1.2)
        await first.give(blocks)
        await second.give(blocks[:3])
        await first.chain.on_votes([vote], origin="")
        first.network.publish(Topic.L1_VOTE, encode_votes([vote]))

        await second.reaches(blocks[-1], within_s=2.0)


async def test_two_halves_of_a_partition_meet_again(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    base = chain_of(network, range(4, 20))
    builder = network.builder
    left = builder.extend(base[-1].hash, range(20, 120), voters=[0])
    right = [builder.build(base[-1].hash, 21, fee_recipient=OTHER)]
    right += builder.extend(right[0].hash, range(22, 121), voters=[1, 2])
    clock = clock_at(network.genesis, 120.5)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            running_node(hub, "one", Machine(network=network), clock)
        )
        two = await stack.enter_async_context(
            running_node(hub, "two", Machine(network=network), clock)
        )
        hub.partition([{"one"}, {"two"}])
        await one.give([*base, *left])
        await two.give([*base, *right])
        assert one.chain.head.hash != two.chain.head.hash

        hub.heal()

        await one.reaches(right[-1])
        assert two.chain.head.hash == right[-1].hash
        with trio.fail_after(30), two.chain.subscribe() as events:
            while not two.chain.has_block(left[-1].hash):
                await events.receive()


async def test_conflicting_finality_is_seen_by_both_sides(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    base = chain_of(network, range(4, 12))
    builder = network.builder
    left = builder.extend(base[-1].hash, range(12, 92), voters=[0, 1, 2])
    right = [builder.build(base[-1].hash, 13, fee_recipient=OTHER)]
    right += builder.extend(right[0].hash, range(14, 93), voters=[1, 2, 3])
    clock = clock_at(network.genesis, 93)
    machine = Machine(network=network)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running_node(hub, "one", machine, clock))
        two = await stack.enter_async_context(
            running_node(hub, "two", Machine(network=network), clock)
        )
        hub.partition([{"one"}, {"two"}])
        await one.give([*base, *left])
        await two.give([*base, *right])
        heads = (one.chain.head.hash, two.chain.head.hash)
        assert one.chain.finalized.hash != two.chain.finalized.hash
        finalized = (one.chain.finalized.hash, two.chain.finalized.hash)

        hub.heal()
        for node in (one, two):
            with trio.fail_after(60), node.chain.subscribe() as events:
                while node.chain.safety_fault is None or not {1, 2} <= caught_by(node):
                    await events.receive()

        assert (one.chain.finalized.hash, two.chain.finalized.hash) == finalized
        assert one.chain.is_canonical(finalized[0])
        assert two.chain.is_canonical(finalized[1])
        assert heads == (one.chain.head.hash, two.chain.head.hash)
        fault = one.chain.safety_fault

    async with machine.running(93) as chain:
        assert chain.safety_fault == fault
        assert chain.finalized.hash == finalized[0]


def caught_by(node: RunningNode) -> set[int]:
    """Validators against whom a node holds a proof."""
    return {slashing.accused(piece) for piece in node.chain.evidence}


async def test_who_wakes_from_a_long_sleep_asks_before_it_acts(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 60))
    clock = clock_at(network.genesis, 60)
    async with (
        running_node(hub, "one", Machine(network=network), clock) as one,
        running_node(hub, "two", Machine(network=network), clock) as two,
    ):
        for node in (one, two):
            await node.give(blocks)
        await trio.sleep(2)
        assert not one.sync.is_syncing()

        # Both machines slept for eight hours: only the wall clock went on.
        clock.skew_ms = 8 * 3_600_000

        assert one.sync.is_syncing()
        assert two.sync.is_syncing()
        await trio.sleep(1)
        assert not one.sync.is_syncing()
        assert not two.sync.is_syncing()
