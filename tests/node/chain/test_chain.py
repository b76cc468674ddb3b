"""The chain: what becomes head, safe and final, who hears of it, and what can be looked up."""

from __future__ import annotations

import pytest
import trio

from node.chain.cache import BlockRun
from node.chain.chain import ChainOptions
from node.chain.events import BlockImported, ChainEvent, Finalized, HeadChanged
from node.chain.importing import ImportOutcome
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.storage.folder import UnusableFolder
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, clock_at, make_network

OTHER = Address(b"\x0f" * 20)


@pytest.fixture
def machine() -> Machine:
    return Machine(network=make_network())


def straight(machine: Machine, slots: range) -> list[BuiltBlock]:
    builder = machine.network.builder
    return builder.extend(builder.genesis_hash, slots)


async def test_a_new_chain_stands_at_genesis(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    async with machine.running(4) as chain:
        genesis_hash = machine.network.builder.genesis_hash

        for block in (chain.head, chain.safe, chain.finalized, chain.genesis, chain.confirmed):
            assert block.hash == genesis_hash
        assert chain.block_by_number(0) == chain.genesis
        assert chain.block_by_number(1) is None
        assert chain.ancestors(genesis_hash) == b""


async def test_blocks_make_head_safe_and_final(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 16))

    async with machine.running(15) as chain:
        for block in blocks:
            outcome = await chain.import_envelope(block.envelope, origin="peer")
            assert outcome is ImportOutcome.IMPORTED
            assert chain.head.hash == block.hash

        state = blocks[-1].state
        assert chain.safe.hash == state.justified.block_hash
        assert chain.finalized.hash == state.finalized.block_hash
        assert chain.finalized.header.number > 5
        assert machine.metric("faultline_chain_head_number", layer="l1") == 12
        assert machine.metric("faultline_consensus_finalized_epoch") == state.finalized.epoch


async def test_events_tell_of_imports_heads_and_finality(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 12))

    async with machine.running(12) as chain:
        with chain.subscribe() as subscription:
            for block in blocks:
                await chain.import_envelope(block.envelope, origin="peer")
            events = []
            while True:
                try:
                    events.append(subscription.receive_nowait())
                except trio.WouldBlock:
                    break

        imported = [one.block.hash for one in events if isinstance(one, BlockImported)]
        assert imported == [block.hash for block in blocks]
        heads = [one for one in events if isinstance(one, HeadChanged)]
        assert [one.head.hash for one in heads] == imported
        assert all(list(one.added) == [one.head] and not one.dropped for one in heads)
        final = [one.block.header.number for one in events if isinstance(one, Finalized)]
        assert final == sorted(set(final))
        assert final[-1] == chain.finalized.header.number


async def test_a_heavier_branch_takes_the_head_over(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    (base,) = straight(machine, range(4, 5))
    ours = builder.extend(base.hash, range(5, 7), voters=[])
    theirs = builder.build(base.hash, 7, fee_recipient=OTHER, transactions=[b"their transaction"])
    votes = [builder.vote(index, 7, theirs.hash) for index in range(3)]
    on_top = builder.build(theirs.hash, 8, votes=votes)

    async with machine.running(8) as chain:
        for block in (base, *ours):
            await chain.import_envelope(block.envelope, origin="peer")
        assert chain.head.hash == ours[-1].hash
        transaction = keccak256(b"their transaction")
        with chain.subscribe() as subscription:
            await chain.import_envelope(theirs.envelope, origin="peer")
            await chain.import_envelope(on_top.envelope, origin="peer")
            events: list[ChainEvent] = []
            while not events or not isinstance(events[-1], HeadChanged):
                events.append(await subscription.receive())

        (change,) = [one for one in events if isinstance(one, HeadChanged)]
        assert [one.hash for one in change.dropped] == [one.hash for one in reversed(ours)]
        assert [one.hash for one in change.added] in (
            [theirs.hash, on_top.hash],
            [theirs.hash],
        )
        assert chain.head.hash == on_top.hash
        assert not chain.is_canonical(ours[0].hash)
        assert chain.is_canonical(theirs.hash)
        assert chain.block_by_number(2) == chain.block_by_hash(theirs.hash)
        found = chain.transaction_block(transaction)
        assert found is not None
        assert (found[0].hash, found[1]) == (theirs.hash, 0)
        assert machine.metric("faultline_chain_reorgs_total", layer="l1") == 1


async def test_a_transaction_of_a_branch_that_lost_is_in_no_block(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    (base,) = straight(machine, range(4, 5))
    lost = builder.build(base.hash, 5, transactions=[b"a transaction"])
    won = builder.build(
        base.hash, 6, votes=[builder.vote(i, 5, base.hash) for i in range(2)], fee_recipient=OTHER
    )
    votes = [builder.vote(index, 6, won.hash) for index in range(4)]
    top = builder.build(won.hash, 7, votes=votes)

    async with machine.running(7) as chain:
        for block in (base, lost):
            await chain.import_envelope(block.envelope, origin="peer")
        assert chain.transaction_block(keccak256(b"a transaction")) is not None
        for block in (won, top):
            await chain.import_envelope(block.envelope, origin="peer")

        assert chain.head.hash == top.hash
        assert chain.transaction_block(keccak256(b"a transaction")) is None
        assert chain.block_by_hash(lost.hash) is not None


async def test_a_long_change_of_the_head_is_read_block_by_block(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base = straight(machine, range(4, 8))
    left = builder.extend(base[-1].hash, range(8, 20), voters=[0])
    right: list[BuiltBlock] = []
    tip = base[-1].hash
    for slot in range(20, 32):
        right.append(builder.build(tip, slot, fee_recipient=OTHER))
        tip = right[-1].hash
    votes = [builder.vote(index, 32, tip, head_only=True) for index in (1, 2, 3)]
    right.append(builder.build(tip, 33, votes=votes, fee_recipient=OTHER))

    async with machine.running(33) as chain:
        for block in [*base, *left]:
            await chain.import_envelope(block.envelope, origin="peer")
        with chain.subscribe() as events:
            for block in right:
                await chain.import_envelope(block.envelope, origin="peer")
            assert chain.head.hash == right[-1].hash
            waiting = [events.receive_nowait() for _ in range(len(right) + 1)]
        change = waiting[-1]

        assert isinstance(change, HeadChanged)
        assert isinstance(change.added, BlockRun)
        assert isinstance(change.dropped, BlockRun)
        assert [one.hash for one in change.added] == [one.hash for one in right]
        assert [one.hash for one in change.dropped] == [one.hash for one in reversed(left)]


async def test_look_ups_reach_from_the_head_to_genesis(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 404))
    hashes = [machine.network.builder.genesis_hash, *(block.hash for block in blocks)]

    async with machine.running(405) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")

        assert [chain.canonical_hash(n) for n in range(402)] == [*hashes, None]
        assert all(chain.is_canonical(one) for one in hashes)
        for number in (0, 1, 100, 257, 300, 396, 400):
            below = hashes[max(0, number - 256) : number]
            assert chain.ancestors(hashes[number]) == b"".join(reversed(below))
        assert [one for one, _ in chain.blooms(0, 1_000)] == hashes
        assert [one for one, _ in chain.blooms(390, 399)] == hashes[390:400]
        assert chain.blooms(500, 600) == []
        assert chain.next_header().number == 401
        assert chain.next_header().parent_hash == chain.head.hash


async def test_a_folder_of_another_network_is_not_opened(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    async with machine.running(4):
        pass
    other = Machine(network=make_network(5), disk=machine.disk)

    with pytest.raises(UnusableFolder, match=r"^the folder: genesis hash is 0x"):
        await other.open(clock_at(other.network.genesis, 4))


async def test_the_engines_states_are_pruned_to_the_history_kept(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    machine.options = ChainOptions(history_blocks=32, retained_slots=64)
    blocks = straight(machine, range(4, 304))

    async with machine.running(305) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        await trio.testing.wait_all_tasks_blocked()

        assert machine.engine is not None
        assert machine.engine.has_state(chain.head.header.state_root)
        assert machine.engine.has_state(chain.genesis.header.state_root)
        assert not machine.engine.has_state(blocks[50].result.state_root)
        assert len(machine.engine_disk.roots) < 120
        assert len(machine.disk.tables["states"]) < 80
        assert len(machine.disk.tables["envelopes"]) == 301


@pytest.mark.slow
async def test_look_ups_far_below_finality_read_the_tables(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    machine.options = ChainOptions(retained_slots=32)
    builder = machine.network.builder
    blocks = builder.extend(builder.genesis_hash, range(4, 704), transactions=[b"a payment"])
    hashes = [builder.genesis_hash, *(block.hash for block in blocks)]
    async with machine.running(705) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")

    async with machine.running(705) as chain:
        old = hashes[40]
        assert chain.canonical_hash(40) == old
        assert chain.block_by_number(40) == chain.block_by_hash(old)
        assert chain.is_canonical(old)
        assert chain.ancestors(old) == b"".join(reversed(hashes[:40]))
        assert chain.ancestors(hashes[300]) == b"".join(reversed(hashes[44:300]))
        assert chain.ancestors(Hash32(bytes(32))) == b""
        assert chain.consensus_state(old) is None
        assert chain.consensus_state(chain.head.hash) == blocks[-1].state
        assert [one for one, _ in chain.blooms(0, 10**6)] == hashes
        found = chain.transaction_block(keccak256(b"a payment"))
        assert found is not None
        assert chain.is_canonical(found[0].hash)
