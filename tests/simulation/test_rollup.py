"""Whole networks with an L2 in the hands of one seed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.consensus.signing import SignatureVerifier
from node.errors import Corruption
from node.eth.primitives import Hash32
from node.rollup.parameters import RollupParameters
from node.rollup.unsafe import UnsafeBlocks, open_message
from sequencer.gossiping import following
from sequencer.heads import L2Chain
from tests.simulation.network import Plan
from tests.simulation.rollup import Rollup, simulate_rollup
from tests.simulation.rollup_documents import DEPOSITOR, USERS
from tests.simulation.rollup_schedules import plan_of, script
from tests.simulation.seeds import VARIABLE
from tests.simulation.witness import InvariantBroken

SETTLED_SLOTS_MAX = 40
"""Until everything that was promised is safe everywhere after all has healed."""


async def settle(rollup: Rollup) -> None:
    """Heal, let users rest, and wait until all that was promised is safe on every node."""
    await rollup.heal()
    rollup.sends = False
    await rollup.simulation.run(1)
    try:
        await rollup.simulation.until(
            rollup.is_settled, within=SETTLED_SLOTS_MAX, what="the L2 holds all that was promised"
        )
    except AssertionError as error:
        error.add_note("\n".join(rollup.missing()[:20]))
        raise


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quiet_network_brings_everything_to_every_node(tmp_path: Path) -> None:
    async def script(rollup: Rollup) -> None:
        for _ in range(4):
            await rollup.deposit()
            await rollup.simulation.run(3)
        await settle(rollup)
        assert len(rollup.witness.acknowledged) > 20
        assert len(rollup.witness.deposits) == 4
        assert rollup.witness.compared > 10
        assert min(rollup.witness.last_final.values()) > 0

    simulate_rollup(script, Plan(seed=1), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sequencer_that_comes_back_does_not_race_against_who_forces(tmp_path: Path) -> None:
    """Given a sequencer that was away until others forced blocks, when it starts again, then only what it had not posted goes."""

    async def script(rollup: Rollup) -> None:
        sequencer = rollup.sequencer
        await rollup.simulation.run(4)
        await sequencer.crash()
        await rollup.simulation.run(45)
        forced = max(host.running.chain.safe.header.number for host in rollup.up)
        await sequencer.start()
        await rollup.simulation.run(12)
        assert sequencer.running.chain.safe.header.number > forced
        resets = sequencer.registry.get_sample_value(
            "faultline_deriving_resets_total", {"reason": "derivation_differs"}
        )
        assert not resets or resets == 1, "it built what others had decided already"
        await settle(rollup)

    simulate_rollup(script, Plan(seed=4), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_foreign_key_signs_is_dropped_and_counted(tmp_path: Path) -> None:
    async def script(rollup: Rollup) -> None:
        await rollup.simulation.run(3)
        for _ in range(5):
            rollup.forge()
            await rollup.simulation.run(1)
        assert len(rollup.witness.forged) == 5
        for host in rollup.replicas:
            refused = host.metric("faultline_unsafe_runs_total", outcome="refused")
            assert refused == 5, host.name
            assert host.metric("faultline_unsafe_blocks_total", outcome="followed") > 0
        await settle(rollup)

    simulate_rollup(script, Plan(seed=1), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whom_the_sequencer_leaves_out_gets_in_by_deposit(tmp_path: Path) -> None:
    """Given a censored account, when it sends and deposits, then deposits arrive, and what it sent once the fault is healed."""

    async def script(rollup: Rollup) -> None:
        faults, chain = rollup.sequencer.running.faults, rollup.sequencer.running.chain
        await rollup.simulation.run(3)
        user = USERS[0].address
        await faults.inject("censor-sender", {"address": "0x" + user.hex()})
        await rollup.simulation.run(4)
        promised = rollup.witness.acknowledged
        left_out = [one for one in promised if chain.transaction_block(one) is None]
        assert left_out
        await faults.inject("censor-sender", {"address": "0x" + DEPOSITOR.address.hex()})
        await rollup.deposit()
        await rollup.simulation.run(8)
        assert [one for one in rollup.missing() if "deposit" in one] == []
        assert faults.active()
        await settle(rollup)

    simulate_rollup(script, Plan(seed=1), tmp_path)


# -- what the witness notices


async def split_and_heal(rollup: Rollup) -> None:
    """The sequencer posts to a branch of L1 that loses."""
    names = {*rollup.simulation.hosts, *(host.name for host in rollup.hosts)}
    minority = {"sequencer", "validator-0"}
    await rollup.simulation.run(4)
    rollup.simulation.split_hosts(minority, names - minority)
    await rollup.simulation.run(12)
    rollup.simulation.heal()
    await rollup.simulation.run(8)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_safe_head_that_stays_when_l1_goes_back_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = L2Chain.set_safe

    def stay(chain: L2Chain, number: int, record_index: int | None) -> None:
        if number > chain.safe.header.number:
            go_on(chain, number, record_index)

    async def script(rollup: Rollup) -> None:
        monkeypatch.setattr(L2Chain, "set_safe", stay)
        await split_and_heal(rollup)

    with pytest.raises((InvariantBroken, Corruption)):
        simulate_rollup(script, Plan(seed=4), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_history_is_sound_when_the_safe_head_follows(tmp_path: Path) -> None:
    async def script(rollup: Rollup) -> None:
        await split_and_heal(rollup)
        assert rollup.sequencer.metric("faultline_deriving_l1_reorgs_total") > 0
        await settle(rollup)

    simulate_rollup(script, Plan(seed=4), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_replica_that_checks_no_signature_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trust(
        message: bytes, parameters: RollupParameters, domain: Hash32, _: SignatureVerifier
    ) -> UnsafeBlocks:
        return open_message(message, parameters, domain, lambda signed: [True] * len(signed))

    async def script(rollup: Rollup) -> None:
        monkeypatch.setattr(following, "open_message", trust)
        await rollup.simulation.run(3)
        for _ in range(5):
            rollup.forge()
            await rollup.simulation.run(1)

    with pytest.raises(InvariantBroken, match="R5"):
        simulate_rollup(script, Plan(seed=1), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_that_reads_batches_otherwise_is_noticed(tmp_path: Path) -> None:
    async def script(rollup: Rollup) -> None:
        deriver = rollup.replicas[0].running.deriver
        deriver._decode = lambda data, limit, count: None
        await rollup.simulation.run(20)

    with pytest.raises(InvariantBroken, match="R2"):
        simulate_rollup(script, Plan(seed=4), tmp_path)


# -- random histories

SEEDS = range(1, 7)
"""What every run takes."""


def seeds() -> list[int]:
    """What this run takes: `FAULTLINE_SIMULATION_SEEDS` names others (17, or 100-200)."""
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return list(SEEDS)
    first, _, last = asked.partition("-")
    return list(range(int(first), int(last or first) + 1))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds())
def test_random_histories_end_in_one_chain_with_all_that_was_promised(
    seed: int, tmp_path: Path
) -> None:
    """Given splits, kills, silences and attacks, when all heals, then L1 holds one L2, everywhere, with every promise kept."""

    async def history(rollup: Rollup) -> None:
        await script(rollup)
        await settle(rollup)

    simulate_rollup(history, plan_of(seed), tmp_path)
