"""Whole networks with an L2 in the hands of one seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.network import Plan
from tests.simulation.rollup import Rollup, simulate_rollup

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
