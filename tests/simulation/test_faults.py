"""The fault table of the L1's design, one test for each row, with its figures as bounds (E = 2).

Each network also stands under the invariants S1, S2, S4, S5 and S6 at all times; see witness.
Slots to finality count from the healing; links need up to half a slot to come up again, which costs one slot's votes.
"""

from __future__ import annotations

from functools import partial
from statistics import mean

import pytest

from node.consensus.parameters import Parameters
from tests.simulation.network import Plan, Simulation, simulate

REDIAL_SLOTS = 1
"""Until links are up after a partition."""

SHORT_LEAK = Parameters(leak_after_epochs=8, leak_period_epochs=4)
"""The leak after seconds rather than minutes."""

NO_LEAK = Parameters(leak_after_epochs=0)
"""Whoever is away keeps its weight."""


def lags(simulation: Simulation, first_slot: int) -> list[int]:
    """Slots from the finalized block to now, on every node late in every slot from one on."""
    return [sight.lag for sight in simulation.witness.sights if sight.slot >= first_slot]


def is_caught(simulation: Simulation, index: int) -> bool:
    """Whether exactly this validator is slashed, on every running node's chain."""
    return all(simulation.slashed_on(host) == {index} for host in simulation.up)


def test_healthy_network_finalizes_four_slots_behind() -> None:
    """Given four validators, when sixty slots pass, then finality never lags by more than four slots."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(60)
        assert max(lags(simulation, 14)) <= 4
        assert mean(lags(simulation, 14)) < 3.6
        assert set(simulation.head_slots().values()) == {simulation.slot}
        assert simulation.witness.reorganizations == []

    simulate(script)


def test_sixty_four_validators_over_four_hosts() -> None:
    """Given sixteen keys to a process, then finality lags as with one to a process."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(20)
        assert max(lags(simulation, 14)) <= 4
        assert simulation.witness.reorganizations == []

    simulate(script, Plan(validators=64, hosts=4))


def test_a_host_of_many_keys_restarts_inside_a_slot() -> None:
    """Given a process with a third of all keys, when it dies and is back within slots, then nobody is slashable."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(6)
        for _ in range(4):
            await simulation.run_to(simulation.dice.uniform(0, 0.9))
            await simulation.crash(1)
            await simulation.run_on(simulation.dice.uniform(0, 0.6))
            await simulation.restart(1)
        await simulation.run_to(0.99)
        await simulation.finality_returns(within=8)
        assert simulation.witness.guilty == {}

    simulate(script, Plan(validators=12, hosts=3))


def test_one_of_four_offline() -> None:
    """Given one validator off, then finality lags by at most nine slots, by less than five on average."""
    seen: list[int] = []

    async def script(simulation: Simulation) -> None:
        await simulation.run(60)
        seen.extend(lags(simulation, 14))

    for seed in (1, 2, 3):
        simulate(script, Plan(seed=seed), down=["validator-3"])
    assert max(seen) <= 9
    assert mean(seen) <= 4.75


@pytest.mark.parametrize("seed", [1, 2])
def test_two_of_four_offline_leak(seed: int) -> None:
    """Given half of the stake off for good, then the chain grows, and the leak lets it finalize again."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(10)
        await simulation.crash(2, 3)
        stopped = simulation.slot
        await simulation.run(14)
        assert max(simulation.finalized_slots().values()) <= stopped
        assert min(simulation.head_slots().values()) > stopped + 1
        await simulation.finality_returns(within=32)
        leaked = simulation.head_state().sets[-1].weights
        assert leaked & 0b0011 == 0b0011, "who stayed keeps its weight"
        assert leaked.bit_count() < 4

    simulate(script, Plan(seed=seed, parameters=SHORT_LEAK))


def test_away_during_the_leak_and_back_again() -> None:
    """Given validators that lost their weight, when they are back, then the network finalizes with them as candidates."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(10)
        await simulation.crash(2, 3)
        await simulation.run(10)
        await simulation.finality_returns(within=40)
        await simulation.restart(2, 3)
        await simulation.finality_returns(within=12)
        assert simulation.witness.guilty == {}

    simulate(script, Plan(parameters=SHORT_LEAK))


def test_one_of_four_online() -> None:
    """Given one validator alone, then there are blocks and no finality (L3)."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(60)
        assert simulation.finalized_slots() == {"validator-0": 0}
        assert simulation.host(0).chain.head.header.number >= 8

    simulate(script, down=["validator-1", "validator-2", "validator-3"])


@pytest.mark.parametrize(("slots", "seed"), [(10, 1), (10, 2), (30, 3), (30, 4), (60, 5)])
def test_split_in_halves(slots: int, seed: int) -> None:
    """Given two halves apart before the leak, when they meet, then all is final five slots later, and nobody is slashable."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(20)
        simulation.split({0, 1}, {2, 3})
        await simulation.run(slots)
        assert max(simulation.finalized_slots().values()) <= 23
        assert len(set(simulation.heads().values())) == 2
        simulation.heal()
        await simulation.finality_returns(within=5 + REDIAL_SLOTS)
        assert simulation.witness.guilty == {}
        assert len(set(simulation.heads().values())) == 1

    simulate(script, Plan(seed=seed))


def test_split_in_halves_beyond_the_leak() -> None:
    """Given halves apart until the leak gave each of them finality, when they meet, then every node raises SAFETY_FAULT."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(10)
        simulation.split({0, 1}, {2, 3})
        await simulation.run(6)
        simulation.witness.tolerant = True
        await simulation.finality_returns(within=60)
        assert simulation.witness.conflicts != []
        simulation.heal()
        await simulation.until(
            lambda: all(host.chain.safety_fault is not None for host in simulation.up),
            within=4,
            what="every node sees the conflict",
        )
        assert simulation.witness.guilty == {}, "the leak is the exception of S3"

    simulate(script, Plan(parameters=SHORT_LEAK))


@pytest.mark.parametrize("seed", [1, 2])
def test_three_against_one(seed: int) -> None:
    """Given one validator cut off, then the others finalize; when it is back, it reorganizes and all finalize."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(20)
        simulation.split({0, 1, 2}, {3})
        await simulation.run(40)
        final = simulation.finalized_slots()
        assert final["validator-3"] <= 23
        assert min(final[f"validator-{index}"] for index in range(3)) >= simulation.slot - 9
        simulation.heal()
        await simulation.finality_returns(within=5 + REDIAL_SLOTS)
        assert {node for _, node, _ in simulation.witness.reorganizations} == {"validator-3"}
        assert simulation.witness.guilty == {}

    simulate(script, Plan(seed=seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_twin_is_caught(seed: int) -> None:
    """Given one validator run twice, when links come and go, then nothing breaks, and the twin is slashed everywhere."""

    async def script(simulation: Simulation) -> None:
        names = sorted(simulation.hosts)
        for _ in range(5):
            group = {name for name in names if simulation.dice.random() < 0.5}
            simulation.split_hosts(group, set(names) - group)
            await simulation.run(4)
        simulation.heal()
        await simulation.finality_returns(within=16)
        await simulation.until(partial(is_caught, simulation, 3), within=8, what="twin slashed")
        assert set(simulation.witness.guilty) == {3}

    simulate(script, Plan(seed=seed, twins=(3,)))


@pytest.mark.parametrize("seed", [1, 2])
def test_two_twins_break_safety_and_are_proven(seed: int) -> None:
    """Given half of the stake run twice, then finality conflicts, exactly those two are proven, every node sees it (S3)."""

    async def script(simulation: Simulation) -> None:
        simulation.witness.tolerant = True
        simulation.split_hosts(
            {"validator-0", "validator-2", "validator-3"}, {"validator-1", "twin-2", "twin-3"}
        )
        await simulation.run(20)
        assert min(simulation.finalized_slots().values()) > 4
        assert simulation.witness.conflicts != []
        simulation.heal()
        await simulation.until(
            lambda: all(host.chain.safety_fault is not None for host in simulation.up),
            within=4,
            what="every node sees the conflict",
        )
        assert set(simulation.witness.guilty) == {2, 3}
        votes = len(list(simulation.witness.votes()))
        await simulation.run(3)
        assert len(list(simulation.witness.votes())) == votes, "nobody signs after a safety fault"

    simulate(script, Plan(seed=seed, twins=(2, 3), parameters=NO_LEAK))


@pytest.mark.parametrize("fault", ["equivocate", "vote-equivocate"])
def test_an_equivocator_is_slashed(fault: str) -> None:
    """Given a validator told to contradict itself once, then it is slashed and all others finalize on."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        simulation.distrust(3)
        await simulation.host(3).inject(fault, {"count": 1})
        await simulation.until(partial(is_caught, simulation, 3), within=40, what="it is slashed")
        assert set(simulation.witness.guilty) == {3}
        await simulation.finality_returns(within=12)

    simulate(script)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_restarts_inside_a_slot_with_the_signer_database(seed: int) -> None:
    """Given crashes at any moment of a slot, when the signer database is kept, then nobody is slashable and all finalize."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        for index in (0, 1, 2, 3):
            await simulation.run_to(simulation.dice.uniform(0, 0.9))
            await simulation.crash(index)
            await simulation.run_on(simulation.dice.uniform(0, 0.6))
            await simulation.restart(index)
        await simulation.run_to(0.99)
        await simulation.finality_returns(within=8)
        assert simulation.witness.guilty == {}
        assert simulation.slashed() == set()

    simulate(script, Plan(seed=seed))


def test_a_lost_signer_database_is_noticed_and_the_key_refused() -> None:
    """Given a restart without a history that says so, then the key signs nothing any more, and the others finalize on."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(20)
        await simulation.run_to(0.45)
        await simulation.crash(3)
        simulation.host(3).lose_signer_history(admitted=True)
        await simulation.run_on(0.3)
        await simulation.restart(3)
        lost = simulation.slot
        await simulation.run(30)
        assert all(
            v.data.slot <= lost for v in simulation.witness.votes() if v.validator_index == 3
        )
        assert simulation.witness.guilty == {}
        assert min(simulation.finalized_slots().values()) >= simulation.slot - 9

    simulate(script)


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "lost"])
def test_restart_on_the_other_side_of_a_split(keeps: bool) -> None:
    """Given a validator that voted on one side, when it comes back on the other in the same epoch, its database decides.

    Kept: not slashable. Lost without a word (an old backup): it contradicts itself and is slashed once all meet.
    """

    async def script(simulation: Simulation) -> None:
        rules = simulation.witness.rules
        await simulation.run(12)
        simulation.split({0, 3}, {1, 2})
        await simulation.run(3)
        while (simulation.slot + 1) % rules.parameters.slots_per_epoch:
            await simulation.run(1)
        await simulation.run(2)
        await simulation.run_to(0.7)
        epoch = rules.epoch_of(simulation.slot)
        await simulation.crash(3)
        simulation.host(3).lose_chain()
        if not keeps:
            simulation.distrust(3)
            simulation.host(3).lose_signer_history(admitted=False)
        simulation.split({0}, {1, 2, 3})
        await simulation.restart(3)
        await simulation.run(4)
        assert rules.epoch_of(simulation.slot) == epoch, "it votes twice in one epoch"
        simulation.heal()
        if keeps:
            await simulation.finality_returns(within=16)
            assert simulation.witness.guilty == {}
            assert simulation.slashed() == set()
        else:
            await simulation.until(
                partial(is_caught, simulation, 3), within=16, what="it is slashed"
            )
            assert set(simulation.witness.guilty) == {3}

    parameters = Parameters(slots_per_epoch=8, lookahead_slots=16)
    simulate(script, Plan(parameters=parameters))


@pytest.mark.parametrize("skew_ms", [-800, 400, 800])
def test_clock_skew(skew_ms: int) -> None:
    """Given one clock that is up to 0.4 slots off, then no node reorganizes, and finality lags by at most five slots."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        await simulation.host(3).inject("clock-skew", {"ms": skew_ms})
        skewed = simulation.slot
        await simulation.run(40)
        assert simulation.witness.reorganizations == []
        assert simulation.witness.guilty == {}
        assert max(lags(simulation, skewed)) <= 5

    simulate(script)
