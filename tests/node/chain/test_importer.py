"""The way in: what waits, what is turned away, what is refused, and who is executed."""

from __future__ import annotations

import pytest
import trio

from node.chain.chain import ChainOptions
from node.chain.importer import QUEUE_MAX
from node.chain.importing import ImportOutcome, ImportReason, Ticket
from node.consensus.reasons import Reason
from node.consensus.wire import decode_envelope, encode_envelope
from node.errors import Rejected
from node.eth.primitives import Address
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, clock_at, make_network
from tests.kit.fake_engine import INVALID_PREFIX

OTHER = Address(b"\x0f" * 20)


@pytest.fixture
def machine() -> Machine:
    return Machine(network=make_network())


def straight(machine: Machine, slots: range) -> list[BuiltBlock]:
    builder = machine.network.builder
    return builder.extend(builder.genesis_hash, slots)


async def test_the_same_block_twice_is_known_and_executed_once(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = straight(machine, range(4, 5))

    async with machine.running(5) as chain:
        outcomes: list[ImportOutcome] = []

        async def offer() -> None:
            outcomes.append(await chain.import_envelope(block.envelope, origin="peer"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(offer)
            nursery.start_soon(offer)
        again = await chain.import_envelope(block.envelope, origin="other")

        assert outcomes == [ImportOutcome.IMPORTED] * 2
        assert again is ImportOutcome.KNOWN
        assert machine.engine is not None
        assert machine.engine.executed == [block.hash]


async def test_orphans_wait_for_their_parent_and_say_what_is_missing(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    first, second, third = straight(machine, range(4, 7))

    async with machine.running(8) as chain:
        assert await chain.import_envelope(third.envelope, origin="c") is ImportOutcome.ORPHAN
        assert await chain.import_envelope(second.envelope, origin="b") is ImportOutcome.ORPHAN
        assert chain.wanted == {first.hash: "b"}

        await chain.import_envelope(first.envelope, origin="a")
        await trio.testing.wait_all_tasks_blocked()

        assert chain.head.hash == third.hash
        assert chain.wanted == {}


async def test_the_next_slots_block_waits_for_its_slot_and_a_later_one_is_left(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    first, second, third = straight(machine, range(4, 7))

    async with machine.running(4.1) as chain:
        await chain.import_envelope(first.envelope, origin="peer")
        assert await chain.import_envelope(third.envelope, origin="peer") is ImportOutcome.FUTURE
        assert await chain.import_envelope(second.envelope, origin="peer") is ImportOutcome.FUTURE
        assert chain.head.hash == first.hash

        await chain.clock.sleep_until_slot(7)
        await trio.testing.wait_all_tasks_blocked()

        assert chain.head.hash == second.hash


async def test_a_block_from_a_clock_a_little_ahead_is_imported(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = straight(machine, range(4, 5))

    async with machine.running(3.8) as chain:
        outcome = await chain.import_envelope(block.envelope, origin="peer")

    assert outcome is ImportOutcome.IMPORTED


async def test_a_block_that_consensus_refuses_is_not_executed(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = straight(machine, range(4, 5))
    envelope = decode_envelope(block.envelope)
    forged = encode_envelope(
        type(envelope)(block=envelope.block, payload=envelope.payload, proposal_signature=bytes(64))
    )

    async with machine.running(5) as chain:
        ticket = await chain.offer(forged, origin="peer")
        with pytest.raises(Rejected) as caught:
            await ticket.checked()
        assert caught.value.reason is Reason.PROPOSAL_SIGNATURE
        with pytest.raises(Rejected):
            await ticket.done()
        assert machine.engine is not None
        assert machine.engine.executed == []

        assert await chain.import_envelope(block.envelope, origin="o") is ImportOutcome.IMPORTED


async def test_a_block_that_execution_refuses_may_have_been_forwarded_but_is_not_imported(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    first, second = straight(machine, range(4, 6))

    async with machine.running(6) as chain:
        assert machine.engine is not None
        machine.engine.refused.add(first.hash)
        await chain.import_envelope(second.envelope, origin="peer")
        ticket = await chain.offer(first.envelope, origin="peer")

        assert await ticket.checked()
        with pytest.raises(Rejected) as caught:
            await ticket.done()
        assert caught.value.reason is ImportReason.EXECUTION
        assert chain.head.header.number == 0
        await trio.testing.wait_all_tasks_blocked()
        assert [one.hash for one in chain.refused_blocks] == [first.hash]
        assert chain.wanted == {}


async def test_a_tampered_body_does_not_keep_the_honest_block_out(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    honest = builder.build(builder.genesis_hash, 4, transactions=[b"pay the merchant"])
    tampered = honest.envelope.replace(b"pay the merchant", INVALID_PREFIX + b"the merchant")

    async with machine.running(5) as chain:
        with pytest.raises(Rejected):
            await chain.import_envelope(tampered, origin="liar")
        await trio.testing.wait_all_tasks_blocked()
        assert chain.refused_blocks == []

        outcome = await chain.import_envelope(honest.envelope, origin="honest")
        assert outcome is ImportOutcome.IMPORTED


async def test_bytes_that_are_no_block_are_refused_at_once(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    async with machine.running(5) as chain:
        for data in (b"", b"\x83", b"garbage" * 100):
            with pytest.raises(Rejected):
                await chain.import_envelope(data, origin="peer")


async def test_a_third_block_of_one_proposer_and_slot_is_left(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    made = [
        builder.build(builder.genesis_hash, 4, fee_recipient=Address(bytes([i]) * 20))
        for i in range(3)
    ]

    async with machine.running(5) as chain:
        outcomes = [await chain.import_envelope(one.envelope, origin="peer") for one in made]

        assert outcomes == [
            ImportOutcome.IMPORTED,
            ImportOutcome.IMPORTED,
            ImportOutcome.EQUIVOCATION,
        ]
        assert len(chain.evidence) == 1
        assert len(machine.disk.tables["evidence"]) == 1


async def test_a_third_block_is_left_long_after_its_slot_too(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    made = [
        builder.build(builder.genesis_hash, 4, fee_recipient=Address(bytes([i]) * 20))
        for i in range(3)
    ]

    async with machine.running(5) as chain:
        for one in made[:2]:
            await chain.import_envelope(one.envelope, origin="peer")
        await chain.clock.sleep_until_slot(40)

        late = await chain.import_envelope(made[2].envelope, origin="peer")

        assert late is ImportOutcome.EQUIVOCATION


async def test_a_branch_is_never_left_without_the_states_it_may_stand_on(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    machine.options = ChainOptions(history_blocks=1, retained_slots=200)
    builder = machine.network.builder
    blocks = straight(machine, range(4, 304))
    old = blocks[-150]
    branch = builder.build(old.hash, old.slot + 1, fee_recipient=OTHER)

    async with machine.running(305) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        await trio.testing.wait_all_tasks_blocked()
        assert machine.engine is not None
        executed = len(machine.engine.executed)
        assert len(machine.engine_disk.roots) < 280, "something was pruned"

        assert await chain.import_envelope(branch.envelope, origin="peer") is ImportOutcome.IMPORTED

        assert len(machine.engine.executed) == executed + 1


async def test_old_blocks_are_stale_and_conflicting_ones_refused(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    machine.options = ChainOptions(retained_slots=64)
    builder = machine.network.builder
    blocks = straight(machine, range(4, 120))
    stale = builder.build(builder.genesis_hash, 5, fee_recipient=OTHER)
    conflicting = builder.build(builder.genesis_hash, 121, fee_recipient=OTHER)

    async with machine.running(121) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        assert await chain.import_envelope(stale.envelope, origin="p") is ImportOutcome.STALE
        with pytest.raises(Rejected) as caught:
            await chain.import_envelope(conflicting.envelope, origin="peer")

        assert caught.value.reason is ImportReason.CONFLICTS_WITH_FINALIZED
        assert chain.head.hash == blocks[-1].hash


async def test_a_large_block_is_opened_beside_the_loop_and_once(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    block = builder.build(builder.genesis_hash, 4, transactions=[bytes([7]) * 100_000])

    async with machine.running(5) as chain:
        tickets: list[Ticket] = []

        async def offer() -> None:
            tickets.append(await chain.offer(block.envelope, origin="peer"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(offer)
            nursery.start_soon(offer)

        assert tickets[0] is tickets[1]
        assert await tickets[0].done() is ImportOutcome.IMPORTED


async def test_a_full_queue_turns_blocks_away(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 5 + QUEUE_MAX))
    chain = await machine.open(clock_at(machine.network.genesis, 300))

    tickets = [await chain.offer(block.envelope, origin="peer") for block in blocks]

    waiting = [None] * QUEUE_MAX
    assert [ticket.outcome for ticket in tickets] == [*waiting, ImportOutcome.BUSY]
    assert machine.metric("faultline_chain_imports_total", outcome="busy") == 1


async def test_a_block_between_two_slots_is_refused(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = straight(machine, range(4, 5))
    timestamp = (machine.network.genesis.time + 8).to_bytes(4)
    moved = (machine.network.genesis.time + 7).to_bytes(4)

    async with machine.running(5) as chain:
        with pytest.raises(Rejected) as caught:
            await chain.offer(block.envelope.replace(timestamp, moved), origin="peer")

    assert caught.value.reason is Reason.TIMESTAMP
