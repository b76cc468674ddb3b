"""Restarts: whatever the last process managed to write, the next one stands on a true prefix of it."""

from __future__ import annotations

from random import Random

import pytest
import trio

from node.chain.chain import Chain
from node.chain.judging import Judgement
from node.consensus.containers import VoteEvidence
from node.errors import Corruption
from node.eth.primitives import Address, Slot
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, clock_at, make_network
from tests.kit.fake_engine import INVALID_PREFIX
from tests.kit.memory_tables import Killed

OTHER = Address(b"\x0f" * 20)


@pytest.fixture
def machine() -> Machine:
    return Machine(network=make_network())


def straight(machine: Machine, slots: range) -> list[BuiltBlock]:
    builder = machine.network.builder
    return builder.extend(builder.genesis_hash, slots)


def view(chain: Chain) -> tuple[bytes, bytes, bytes, object, object]:
    return (
        chain.head.hash,
        chain.safe.hash,
        chain.finalized.hash,
        chain.justified_checkpoint,
        chain.finalized_checkpoint,
    )


async def test_a_restart_stands_where_the_last_process_stood(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 84))
    async with machine.running(84) as chain:
        for block in blocks[:70]:
            await chain.import_envelope(block.envelope, origin="peer")
        before = view(chain)

    async with machine.running(84) as chain:
        assert view(chain) == before
        assert machine.engine is not None
        assert machine.engine.executed == []
        assert chain.ancestors(chain.head.hash)[:32] == chain.head.header.parent_hash
        assert len(chain.ancestors(chain.head.hash)) == 32 * 70
        for block in blocks[70:]:
            await chain.import_envelope(block.envelope, origin="peer")
        assert chain.head.hash == blocks[-1].hash
        assert chain.finalized.header.number > 74


async def test_a_restart_without_finality_replays_everything(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    blocks = builder.extend(builder.genesis_hash, range(4, 44), voters=[0, 1])
    async with machine.running(44) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        before = view(chain)
        assert chain.finalized.header.number == 0

    async with machine.running(44) as chain:
        assert view(chain) == before
        inputs = chain.prepare(Slot(45))
        assert inputs is not None
        assert inputs.parent.hash == blocks[-1].hash


async def test_forks_and_votes_survive_a_restart(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base = straight(machine, range(4, 14))
    left = builder.build(base[-1].hash, 14, votes=[builder.vote(0, 13, base[-1].hash)])
    right = builder.build(base[-1].hash, 15, fee_recipient=OTHER)
    votes = [builder.vote(index, 15, right.hash) for index in (1, 2, 3)]
    top = builder.build(right.hash, 16, votes=votes)
    blocks = [*base, left, right, top]
    async with machine.running(16) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        assert chain.head.hash == top.hash
        before = view(chain)

    async with machine.running(16.5) as chain:
        assert view(chain) == before
        assert chain.has_block(left.hash)
        assert not chain.is_canonical(left.hash)


async def test_evidence_survives_a_restart(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    base = straight(machine, range(4, 6))
    votes = [builder.vote(2, 5, block.hash) for block in base]
    async with machine.running(5.5) as chain:
        for block in base:
            await chain.import_envelope(block.envelope, origin="peer")
        await chain.on_votes(votes, origin="peer")
        (proof,) = chain.evidence

    async with machine.running(5.6) as chain:
        assert chain.evidence == (proof,)
        assert isinstance(proof, VoteEvidence)
        assert await chain.on_evidence(proof) is Judgement.IGNORE


@pytest.mark.parametrize("seed", range(12))
async def test_a_death_at_any_write_leaves_the_same_head_or_an_earlier_one(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    blocks = straight(machine, range(4, 40))
    fork = builder.build(blocks[20].hash, 25, fee_recipient=OTHER, transactions=[b"elsewhere"])
    offered = [*blocks[:22], fork, *blocks[22:]]
    hashes = [builder.genesis_hash, *(block.hash for block in blocks)]
    dice = Random(seed)
    reached, deaths = 0, 0
    for _ in range(14):
        machine.dies_at = (machine.disk.writes + dice.randrange(9), dice.random() < 0.5)
        try:
            async with machine.running(40) as chain:
                assert chain.head.hash in hashes
                number = chain.head.header.number
                assert number >= reached
                reached = number
                assert chain.finalized.hash in hashes
                assert [chain.canonical_hash(n) for n in range(number + 1)] == hashes[: number + 1]
                for block in offered:
                    await chain.import_envelope(block.envelope, origin="peer")
                    reached = chain.head.header.number
        except* Killed:
            deaths += 1
    assert deaths > 0
    machine.dies_at = None
    async with machine.running(40) as chain:
        for block in offered:
            await chain.import_envelope(block.envelope, origin="peer")
        assert chain.head.hash == blocks[-1].hash
        assert chain.finalized.header.number > 30
        assert [chain.canonical_hash(n) for n in range(37)] == hashes


async def test_states_that_a_crash_lost_are_executed_again(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 64))
    async with machine.running(64) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        before = view(chain)
    lost = [root for root, number in machine.engine_disk.roots.items() if number > 40]
    for root in lost:
        del machine.engine_disk.roots[root]

    async with machine.running(64) as chain:
        assert view(chain) == before
        assert machine.engine is not None
        assert machine.engine.executed == [block.hash for block in blocks[40:]]
        assert machine.engine.has_state(chain.head.header.state_root)


async def test_a_state_that_disappears_while_running_is_executed_again(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 10))
    async with machine.running(10) as chain:
        for block in blocks[:5]:
            await chain.import_envelope(block.envelope, origin="peer")
        for block in blocks[2:5]:
            del machine.engine_disk.roots[block.result.state_root]

        await chain.import_envelope(blocks[5].envelope, origin="peer")

        assert chain.head.hash == blocks[5].hash


@pytest.mark.parametrize("table", ["envelopes", "states", "receipts", "canonical"])
async def test_a_damaged_row_stops_the_process(
    table: str, machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = straight(machine, range(4, 24))
    async with machine.running(24) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
    rows = machine.disk.tables[table]
    finalized_hash = machine.disk.tables["meta"][b"finalized"][8:]
    key = sorted(rows)[-2] if table == "canonical" else finalized_hash
    if table == "receipts":
        del rows[key]
    else:
        rows[key] = rows[key][:-9]

    with pytest.raises(Corruption):
        await machine.open(clock_at(machine.network.genesis, 24))


async def test_a_block_that_no_longer_gives_its_state_stops_the_process(
    machine: Machine, autojump_clock: trio.testing.MockClock
) -> None:
    builder = machine.network.builder
    blocks = builder.extend(builder.genesis_hash, range(4, 8), transactions=[b"a payment"])
    async with machine.running(8) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
    genesis_root = chain.genesis.header.state_root
    machine.engine_disk.roots = {
        root: number for root, number in machine.engine_disk.roots.items() if root == genesis_root
    }
    envelopes = machine.disk.tables["envelopes"]
    saved = envelopes.pop(blocks[1].hash)
    with pytest.raises(Corruption, match="is missing from the database"):
        await machine.open(clock_at(machine.network.genesis, 8))
    assert b"a payment" in saved
    envelopes[blocks[1].hash] = saved.replace(b"a payment", INVALID_PREFIX + b"bogus")

    with pytest.raises(Corruption, match="was valid and is not: transaction"):
        await machine.open(clock_at(machine.network.genesis, 8))
