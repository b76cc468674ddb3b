"""Everybody asleep for hours: a cheap first import, finality four or five slots later, no weight lost.

Asleep in two ways: laptops whose lids were closed, whose processes wake up in another slot (wall time goes on, monotonic time
does not), and processes that were off.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest

from node.consensus.parameters import Parameters
from tests.simulation.network import Plan, Simulation, simulate

HOURS = (2, 8, 30)
"""What the design promises to bear."""

FINAL_AGAIN_SLOTS_MAX = 5
"""From the first slot awake; the reference model's figure."""

FIRST_SLOT_S_MAX = 4 * 0.05
"""Processor time of the first slot awake, in which four nodes import its block."""

EVERYBODY = (0, 1, 2, 3)
"""All four."""


Sleep = Callable[[Simulation, float], Awaitable[None]]


async def _lids_closed(simulation: Simulation, hours: float) -> None:
    simulation.sleep_everybody(hours)


async def _switched_off(simulation: Simulation, hours: float) -> None:
    await simulation.crash(*EVERYBODY)
    simulation.sleep_everybody(hours)
    await simulation.restart(*EVERYBODY)


@pytest.mark.parametrize("asleep", [_lids_closed, _switched_off])
@pytest.mark.parametrize("hours", HOURS)
def test_everybody_asleep(hours: int, asleep: Sleep) -> None:
    """Given a sound network, when all of it is away for hours, then it is as sound again five slots after the first."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(20)
        before = simulation.head_state()
        await asleep(simulation, hours)
        started = time.process_time()
        await simulation.run(1)
        assert time.process_time() - started <= FIRST_SLOT_S_MAX
        assert len(set(simulation.heads().values())) == 1
        await simulation.finality_returns(within=FINAL_AGAIN_SLOTS_MAX)
        after = simulation.head_state()
        assert after.sets == before.sets
        assert after.stall <= 2
        assert simulation.witness.guilty == {}
        assert simulation.witness.reorganizations == []

    simulate(script, Plan(seed=hours))


def test_asleep_while_validators_leak() -> None:
    """Given half of the stake away for long, when all sleep for hours and come back together, then nobody loses weight."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(10)
        await simulation.crash(2, 3)
        await simulation.until(
            lambda: simulation.head_state().stall >= 20, within=80, what="the leak is near"
        )
        simulation.sleep_everybody(8)
        await simulation.restart(2, 3)
        await simulation.run(1)
        await simulation.finality_returns(within=FINAL_AGAIN_SLOTS_MAX + 1)
        assert simulation.head_state().sets[-1].weights == 0b1111
        assert simulation.witness.guilty == {}

    simulate(script, Plan(parameters=Parameters(leak_after_epochs=24)))
