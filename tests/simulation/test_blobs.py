"""Blob transactions in whole networks: real engine, real commitments, seeded delays, splits and proposers that keep blobs back."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.consensus.limits import BLOB_WINDOW_SLOTS
from node.eth.blobs import Blob
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from tests.kit.blobs import make_blob, sign_blobs, sign_network_form
from tests.simulation.hosts import Host
from tests.simulation.network import Plan, Simulation, simulate
from tests.simulation.test_real_engine import SENDERS, Files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OFFERED_AGAIN_SLOTS = 16
"""A healed node offers its transactions again within 30 s."""


async def submit(host: Host, blobs: list[Blob], *, by: int = 0, nonce: int = 0) -> Hash32:
    """Send a blob transaction to one node, as a wallet does."""
    assert host.core is not None
    sent = await host.core.pool.submit(sign_network_form(SENDERS[by], blobs, nonce=nonce))
    assert sent.refusal is None
    assert sent.hash == keccak256(sign_blobs(SENDERS[by], blobs, nonce=nonce))
    return sent.hash


def holds(host: Host, blobs: list[Blob]) -> bool:
    """Whether a node has these blobs."""
    assert host.core is not None
    return not host.core.blobs.missing([one.versioned_hash for one in blobs])


def is_final(simulation: Simulation, transaction_hash: Hash32) -> bool:
    """Whether every running node has a transaction in a finalized block."""
    for host in simulation.up:
        found = host.chain.transaction_block(transaction_hash)
        if found is None or found[0].header.number > host.chain.finalized.header.number:
            return False
    return True


async def until_final(simulation: Simulation, transaction_hash: Hash32, *, within: int) -> None:
    await simulation.until(
        lambda: is_final(simulation, transaction_hash), within=within, what="blobs are final"
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_blobs_sent_to_one_node_are_final_and_kept_everywhere(seed: int, tmp_path: Path) -> None:
    """Given blobs sent to one node, then all have them in a final block; who was away gets them, who restarts has them."""
    plan = Plan(seed=seed, drop_ratio=0.05)
    blobs = [make_blob(1), make_blob(2)]

    async def script(simulation: Simulation) -> None:
        await simulation.run(3)
        await simulation.crash(3)
        sent = await submit(simulation.host(0), blobs)
        await until_final(simulation, sent, within=30)
        assert all(holds(host, blobs) for host in simulation.up)
        # When the fourth comes back it syncs blocks that are young enough to need their blobs
        await simulation.restart(3)
        await until_final(simulation, sent, within=30)
        assert holds(simulation.host(3), blobs)
        # And a process that ends and starts again still has what it held
        await simulation.crash(1)
        await simulation.restart(1)
        assert holds(simulation.host(1), blobs)

    simulate(script, plan, make_engine=Files(plan, tmp_path))


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_votes_for_a_block_whose_blobs_are_kept_back(seed: int, tmp_path: Path) -> None:
    """Given a proposer that keeps its blobs back, then its block gets no other's vote and the chain goes on.

    After it is healed its transaction is included like any other.
    """
    plan = Plan(seed=seed)
    blobs = [make_blob(3)]

    async def script(simulation: Simulation) -> None:
        await simulation.run(3)
        liar, others = simulation.host(1), [simulation.host(index) for index in (0, 2, 3)]
        await liar.inject("withhold-blobs")
        sent = await submit(liar, blobs)
        for _ in range(60):
            await simulation.run_to(0.7)
            if liar.chain.transaction_block(sent) is not None:
                break
        found = liar.chain.transaction_block(sent)
        assert found is not None, "it never proposed"
        hidden = found[0].hash
        # Then the others know the block, and neither follow nor have it
        assert not any(host.chain.has_block(hidden) for host in others)
        assert all(host.chain.wanted_blobs for host in others)
        # And the liar itself comes back to their chain
        await simulation.until(
            lambda: not liar.chain.is_canonical(hidden), within=4, what="the block is dropped"
        )
        await simulation.finality_returns(within=12)
        assert not any(host.chain.has_block(hidden) or holds(host, blobs) for host in others)
        assert liar.core is not None
        assert liar.core.pool.get(sent) is not None, "it waits again, its blobs are kept"
        # When healed
        await liar.heal()
        await until_final(simulation, sent, within=OFFERED_AGAIN_SLOTS + 20)
        assert all(holds(host, blobs) for host in simulation.up)

    simulate(script, plan, make_engine=Files(plan, tmp_path))


@pytest.mark.parametrize("seed", [1])
def test_blobs_of_a_reorganised_block_are_included_again(seed: int, tmp_path: Path) -> None:
    """Given blobs in a block of a minority, when the split heals, then the majority's chain includes them."""
    plan = Plan(seed=seed)
    blobs = [make_blob(4)]

    async def script(simulation: Simulation) -> None:
        await simulation.run(3)
        simulation.split({0, 1, 2}, {3})
        lone = simulation.host(3)
        sent = await submit(lone, blobs)
        await simulation.until(
            lambda: lone.chain.transaction_block(sent) is not None, within=40, what="it proposes"
        )
        found = lone.chain.transaction_block(sent)
        assert found is not None
        hidden_slot = lone.slot_of(found[0].hash)
        majority = simulation.host(0)
        await simulation.until(
            lambda: majority.chain.head_slot > hidden_slot, within=20, what="the others go on"
        )
        simulation.heal()
        await until_final(simulation, sent, within=OFFERED_AGAIN_SLOTS + 30)
        again = lone.chain.transaction_block(sent)
        assert again is not None
        assert again[0].hash != found[0].hash
        assert all(holds(host, blobs) for host in simulation.up)

    simulate(script, plan, make_engine=Files(plan, tmp_path))


def test_a_late_joiner_needs_no_blobs_that_are_older_than_the_window(tmp_path: Path) -> None:
    """Given blobs that nobody keeps any more, when a node syncs blocks of before the window, then it follows the others."""
    plan = Plan(seed=3)
    blobs = [make_blob(5)]

    async def script(simulation: Simulation) -> None:
        await simulation.run(3)
        await simulation.crash(3)
        sent = await submit(simulation.host(0), blobs)
        await until_final(simulation, sent, within=30)
        await simulation.run(BLOB_WINDOW_SLOTS)
        for host in simulation.up:
            assert host.core is not None
            place = host.core.blobs._places[blobs[0].versioned_hash]
            host.core.blobs._forget(place)
        await simulation.restart(3)
        await until_final(simulation, sent, within=40)
        assert not holds(simulation.host(3), blobs)

    simulate(script, plan, make_engine=Files(plan, tmp_path))
