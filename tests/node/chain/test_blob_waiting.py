"""Blocks whose blobs are not here: no head, nothing to stand on, and in as soon as the last blob comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from node.chain.importing import ImportOutcome
from node.chain.waiting import BEREFT_MAX
from node.consensus.limits import BLOB_WINDOW_SLOTS
from node.consensus.parameters import Parameters
from node.errors import Rejected
from node.eth.primitives import Address, Hash32
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, make_network
from tests.kit.fake_engine import blob_transaction

FIRST, SECOND = Hash32(b"\x01" * 32), Hash32(b"\x01\x02" * 16)


@dataclass(slots=True)
class Blobs:
    """Which blobs are here, by name."""

    here: set[Hash32] = field(default_factory=set)
    used_at: dict[Hash32, int] = field(default_factory=dict)
    kills: bool = False
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def missing(self, hashes: Sequence[Hash32]) -> list[Hash32]:
        return [one for one in hashes if one not in self.here]

    def used(self, hashes: Sequence[Hash32], slot: int) -> None:
        if self.kills:
            raise Killed
        self.used_at |= dict.fromkeys(hashes, slot)

    def on_arrival(self, callback: Callable[[], None]) -> None:
        self.listeners.append(callback)

    def arrive(self, *hashes: Hash32) -> None:
        self.here |= set(hashes)
        for listener in self.listeners:
            listener()


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def machine(blobs: Blobs) -> Machine:
    return Machine(network=make_network(), blobs=blobs)


def carrier(machine: Machine, slot: int, *names: bytes, recipient: int = 0) -> BuiltBlock:
    """A block on genesis with one transaction that carries these blobs."""
    builder = machine.network.builder
    return builder.build(
        builder.genesis_hash,
        slot,
        transactions=[blob_transaction(*names)],
        fee_recipient=Address(recipient.to_bytes(20)),
    )


async def test_a_block_waits_for_its_last_blob_and_what_stands_on_it_follows(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a block with two blobs and its child, when the blobs come one by one, then the last brings both in."""
    block = carrier(machine, 4, FIRST, SECOND)
    [child] = machine.network.builder.extend(block.hash, range(5, 6))
    async with machine.running(6) as chain:
        genesis = chain.head.hash
        ticket = await chain.offer(block.envelope, origin="a")
        assert await ticket.checked(), "everybody may look for its blobs"
        assert await ticket.done() is ImportOutcome.UNAVAILABLE
        assert await chain.import_envelope(child.envelope, origin="b") is ImportOutcome.ORPHAN
        # Then it is no head, nothing stands on it, and only its blobs are looked for, not the block again
        assert machine.engine is not None
        assert (chain.head.hash, machine.engine.executed) == (genesis, [])
        assert not chain.has_block(block.hash)
        assert chain.wanted_blobs == {FIRST: "a", SECOND: "a"}
        assert chain.wanted == {}
        blobs.arrive(SECOND)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.head.hash == genesis
        assert chain.wanted_blobs == {FIRST: "a"}
        blobs.arrive(FIRST)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.head.hash == child.hash
        assert chain.wanted_blobs == {}
        assert blobs.used_at == {FIRST: 4, SECOND: 4}
        assert machine.engine.executed == [block.hash, child.hash]


class Killed(BaseException):
    """The end of a process."""


async def test_a_process_that_ends_between_block_and_blobs_tells_the_next_that_they_are_used(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a kill after the block is saved and before its blobs are marked, then the next process keeps them as a block's."""
    block = carrier(machine, 4, FIRST, SECOND)
    blobs.arrive(FIRST, SECOND)
    blobs.kills = True
    with pytest.raises(BaseExceptionGroup) as ended:
        async with machine.running(6) as chain:
            await chain.import_envelope(block.envelope, origin="a")
    assert ended.group_contains(Killed)
    assert blobs.used_at == {}
    blobs.kills = False
    async with machine.running(6) as chain:
        assert chain.has_block(block.hash)
        assert blobs.used_at == {FIRST: 4, SECOND: 4}


async def test_how_long_a_block_has_waited_is_counted_from_when_it_first_came(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a block of slot 4 that comes in slot 6, and again in slot 7, then it has waited a slot in 7, two in 8, none once its blob is here."""
    block = carrier(machine, 4, FIRST)
    slot_seconds = machine.network.genesis.parameters.slot_seconds

    def waited() -> float:
        return machine.metric("faultline_chain_blobs_awaited_slots")

    async with machine.running(6.1) as chain:
        await chain.import_envelope(block.envelope, origin="a")
        assert waited() == 0
        await trio.sleep(slot_seconds)
        assert waited() == 1
        assert await chain.import_envelope(block.envelope, origin="b") is ImportOutcome.UNAVAILABLE
        await trio.sleep(slot_seconds)
        assert waited() == 2
        blobs.arrive(FIRST)
        await trio.sleep(slot_seconds)
        assert waited() == 0


async def test_votes_do_not_make_a_block_without_its_blobs_the_head(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given two blocks of one slot, the one without its blobs with all votes, then the other is the head until they come."""
    builder = machine.network.builder
    hidden, plain = carrier(machine, 4, FIRST), builder.build(builder.genesis_hash, 4)
    votes = [builder.vote(index, hidden.slot, hidden.hash) for index in range(4)]
    async with machine.running(5.1) as chain:
        await chain.import_envelope(plain.envelope, origin="a")
        await chain.import_envelope(hidden.envelope, origin="b")
        await chain.on_votes(votes, origin="c")
        await trio.sleep(2 * machine.network.genesis.parameters.slot_seconds)
        assert chain.head.hash == plain.hash
        assert chain.wanted == {}, "the block is here, asking for it brings nothing"
        blobs.arrive(FIRST)
        await trio.sleep(2 * machine.network.genesis.parameters.slot_seconds)
        assert chain.head.hash == hidden.hash


async def test_a_block_that_comes_again_waits_once(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    block = carrier(machine, 4, FIRST)
    async with machine.running(6) as chain:
        for origin in ("a", "b"):
            outcome = await chain.import_envelope(block.envelope, origin=origin)
            assert outcome is ImportOutcome.UNAVAILABLE
        assert chain.wanted_blobs == {FIRST: "b"}
        blobs.arrive(FIRST)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.head.hash == block.hash
        assert await chain.import_envelope(block.envelope, origin="c") is ImportOutcome.KNOWN


async def test_a_tampered_body_makes_nobody_wait(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a body that names another blob than its header's, then it is refused, and the honest one is imported."""
    block = carrier(machine, 4, FIRST)
    tampered = block.envelope.replace(FIRST, SECOND)
    blobs.here.add(FIRST)
    async with machine.running(6) as chain:
        with pytest.raises(Rejected):
            await chain.import_envelope(tampered, origin="liar")
        assert chain.wanted_blobs == {}
        assert await chain.import_envelope(block.envelope, origin="a") is ImportOutcome.IMPORTED


async def test_finality_elsewhere_ends_the_waiting(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a block whose blobs never come, when the chain beside it is final, then nobody looks for them any more."""
    builder = machine.network.builder
    hidden = carrier(machine, 4, FIRST)
    others = builder.extend(builder.genesis_hash, range(5, 14))
    async with machine.running(13.2) as chain:
        assert await chain.import_envelope(hidden.envelope, origin="a") is ImportOutcome.UNAVAILABLE
        for block in others:
            await chain.import_envelope(block.envelope, origin="b")
        await chain.clock.sleep_until_slot(14)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.finalized.header.number > 0
        assert chain.wanted_blobs == {}
        # Whoever offers it again makes nobody look for its blobs for longer than a slot, and with them it is seen as any fork is.
        assert await chain.import_envelope(hidden.envelope, origin="a") is ImportOutcome.UNAVAILABLE
        await chain.clock.sleep_until_slot(15)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.wanted_blobs == {}
        blobs.arrive(FIRST)
        assert await chain.import_envelope(hidden.envelope, origin="a") is ImportOutcome.IMPORTED
        assert chain.head.hash == others[-1].hash


async def test_after_the_window_a_block_needs_its_blobs_no_more(
    blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    machine = Machine(network=make_network(parameters=Parameters()), blobs=blobs)
    block = carrier(machine, 4, FIRST)
    async with machine.running(4 + BLOB_WINDOW_SLOTS) as chain:
        assert await chain.import_envelope(block.envelope, origin="a") is ImportOutcome.UNAVAILABLE
        await chain.clock.sleep_until_slot(4 + BLOB_WINDOW_SLOTS + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.head.hash == block.hash
        assert chain.wanted_blobs == {}


async def test_the_room_is_bounded_and_the_oldest_give_way(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given proposers that keep back the blobs of two blocks each, then 32 wait, and the rest are asked for again if they matter."""
    names = {
        (slot, recipient): Hash32(b"\x01" + bytes([slot, recipient]) * 15 + b"\x00")
        for slot in range(4, 6 + BEREFT_MAX // 2)
        for recipient in range(2)
    }
    blocks = {key: carrier(machine, key[0], name, recipient=key[1]) for key, name in names.items()}
    async with machine.running(8 + BEREFT_MAX // 2) as chain:
        for key, block in blocks.items():
            outcome = await chain.import_envelope(block.envelope, origin=str(key))
            assert outcome is ImportOutcome.UNAVAILABLE
        assert set(chain.wanted_blobs) == set(list(names.values())[-BEREFT_MAX:])
        first = blocks[4, 0]
        blobs.arrive(names[4, 0])
        await trio.testing.wait_all_tasks_blocked()
        assert not chain.has_block(first.hash)
        assert await chain.import_envelope(first.envelope, origin="a") is ImportOutcome.IMPORTED


async def test_a_restart_forgets_who_waited_and_follows_when_told_again(
    machine: Machine, blobs: Blobs, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a block that waits, when the process starts again, then it is not in the chain; told of it, it waits as before."""
    block = carrier(machine, 4, FIRST)
    async with machine.running(5) as chain:
        assert await chain.import_envelope(block.envelope, origin="a") is ImportOutcome.UNAVAILABLE
    blobs.listeners.clear()
    async with machine.running(6) as chain:
        assert not chain.has_block(block.hash)
        assert chain.wanted_blobs == {}
        assert await chain.import_envelope(block.envelope, origin="b") is ImportOutcome.UNAVAILABLE
        blobs.arrive(FIRST)
        await trio.testing.wait_all_tasks_blocked()
        assert chain.head.hash == block.hash
