"""Whole networks with a bridge in the hands of one seed: liars, reorganisations, crashes and sleeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.disputes import judging
from tests.simulation import bridge_schedules
from tests.simulation.bridge import BridgeNetwork, simulate_bridge
from tests.simulation.network import Plan
from tests.simulation.seeds import VARIABLE
from tests.simulation.witness import InvariantBroken

SETTLED_SLOTS_MAX = 120
"""Until every lie is lost and every withdrawal is settled after all has healed."""


async def settle(network: BridgeNetwork) -> None:
    """Heal, and wait until every lie is lost and every withdrawal settled; then look at the books."""
    await network.heal()
    slots = 0
    while missing := await network.unsettled():
        assert slots < SETTLED_SLOTS_MAX, missing
        await network.simulation.run(1)
        slots += 1
    network.check_books()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_in_a_quiet_network_lies_fall_and_withdrawals_settle(tmp_path: Path) -> None:
    async def script(network: BridgeNetwork) -> None:
        await network.simulation.run(8)
        for _ in range(3):
            await network.lie()
            await network.withdraw()
            await network.simulation.run(4)
        await settle(network)
        assert network.sees.compared > 10
        assert len(network.sees.withdrawn) == 3
        assert network.watchtower.metric("faultline_bridge_faults_proven_total") > 0
        # And every state on which something could be disproved is kept
        for host in network.replicas:
            oldest = host.running.chain.disputable_from()
            assert oldest is not None, host.name
            assert 0 < oldest < host.running.chain.safe.header.number

    simulate_bridge(script, Plan(seed=1), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_watchtower_that_finds_no_fault_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a challenger that overlooks every fault, when somebody ends a false game as soon as possible, then the witness says so."""
    monkeypatch.setattr(judging, "first_wrong_link", lambda _claimed, _own: None)

    async def script(network: BridgeNetwork) -> None:
        await network.simulation.run(8)
        await network.lie()
        await network.simulation.run(60)

    with pytest.raises(InvariantBroken, match="B1"):
        simulate_bridge(script, Plan(seed=1), tmp_path)


# -- random histories

SEEDS = range(1, 5)
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
def test_random_histories_end_with_every_lie_lost_and_every_withdrawal_settled(
    seed: int, tmp_path: Path
) -> None:
    """Given splits, kills and nights, liars and copied proofs, when all heals, then no lie stood and nothing was paid twice."""

    async def history(network: BridgeNetwork) -> None:
        await bridge_schedules.script(network)
        await settle(network)

    simulate_bridge(
        history,
        bridge_schedules.plan_of(seed),
        tmp_path,
        with_second=bridge_schedules.has_second(seed),
    )
