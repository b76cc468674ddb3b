"""The fault table of the L1's design, one test for each row, with its figures as bounds (E = 2).

Each network also stands under the invariants S1, S2, S4, S5 and S6 at all times; see witness.
"""

from __future__ import annotations

from tests.simulation.network import Plan, Simulation, simulate


def lags(simulation: Simulation, first_slot: int) -> list[int]:
    """Slots from the finalized block to now, on every node late in every slot from one on."""
    return [sight.lag for sight in simulation.witness.sights if sight.slot >= first_slot]


def test_healthy_network_finalizes_four_slots_behind() -> None:
    """Given four validators, when sixty slots pass, then finality never lags by more than four slots."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(60)
        assert max(lags(simulation, 14)) <= 4
        assert set(simulation.head_slots().values()) == {simulation.slot}
        assert simulation.witness.reorganizations == []

    simulate(script, Plan())
