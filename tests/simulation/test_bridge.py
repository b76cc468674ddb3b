"""Whole networks with a bridge in the hands of one seed: liars, reorganisations, crashes and sleeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.bridge import BridgeNetwork, simulate_bridge
from tests.simulation.network import Plan

SETTLED_SLOTS_MAX = 120
"""Until every lie is lost and every withdrawal is settled after all has healed."""


async def settle(network: BridgeNetwork) -> None:
    """Heal, and wait until every lie is lost and every withdrawal settled; then look at the books."""
    await network.heal()
    for _ in range(SETTLED_SLOTS_MAX):
        missing = await network.unsettled()
        if not missing:
            break
        await network.simulation.run(1)
    assert not missing, missing
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

    simulate_bridge(script, Plan(seed=1), tmp_path)
