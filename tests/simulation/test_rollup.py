"""Whole networks with an L2 in the hands of one seed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.network import Plan
from tests.simulation.rollup import Rollup, simulate_rollup
from tests.simulation.rollup_schedules import attacks, plan_of, script
from tests.simulation.seeds import VARIABLE

SETTLED_SLOTS_MAX = 40
"""Until everything that was promised is safe everywhere after all has healed."""


async def settle(rollup: Rollup, *, was_honest: bool = True) -> None:
    """Heal, let users rest, and wait until all that was promised is safe on every node.

    A sequencer that attacked has promised nothing.
    """
    await rollup.heal()
    rollup.sends = False
    if not was_honest:
        rollup.witness.acknowledged.clear()
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
        await settle(rollup, was_honest=not attacks(seed))

    simulate_rollup(history, plan_of(seed), tmp_path)
