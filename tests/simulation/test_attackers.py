"""Attackers with less than a third of the stake: nothing breaks, nobody honest is slashed, finality goes on."""

from __future__ import annotations

from functools import partial

import pytest

from node.consensus.parameters import Parameters
from node.validator.service import ValidatorParts, ValidatorService
from tests.simulation.attackers import (
    ExAnte,
    Hoarder,
    OldSource,
    Pretender,
    Team,
    opened_with,
)
from tests.simulation.network import Plan, Simulation, simulate
from tests.simulation.stakes import deposit, join, offer, weights

NO_LEAK = Parameters(leak_after_epochs=0)
"""Attacks are long, and the leak would end them."""


async def turn(simulation: Simulation, index: int, attacker: type[ValidatorService]) -> None:
    """Start a validator that attacks."""
    simulation.distrust(index)
    simulation.host(index).opener = opened_with(attacker)
    assert await simulation.host(index).start()


def lost_honest_blocks(simulation: Simulation, attackers: set[int]) -> tuple[int, int]:
    """How many honest blocks are not on the final chain although it is higher, and how many there are in all."""
    witness = simulation.witness
    final = witness.final_chain()
    top = witness.blocks[final[-1]].slot
    honest = {
        one.block_hash
        for one in witness.proposals()
        if one.proposer_index not in attackers and one.slot <= top
    }
    return len(honest - set(final)), len(honest)


@pytest.mark.parametrize("seed", [1, 2])
def test_old_source_alone_changes_nothing(seed: int) -> None:
    """Given a validator that votes from old sources, then its votes do not count and the other three finalize."""

    async def script(simulation: Simulation) -> None:
        await turn(simulation, 3, OldSource)
        await simulation.run(30)
        assert max(one.lag for one in simulation.witness.sights if one.slot > 14) <= 5

    simulate(script, Plan(seed=seed), down=["validator-3"])


def test_old_source_beside_a_silent_one_stops_finality_but_not_safety() -> None:
    """Given two honest validators of four, then the third one's votes from another source make no quorum with theirs."""

    async def script(simulation: Simulation) -> None:
        await turn(simulation, 3, OldSource)
        await simulation.run(12)
        await simulation.crash(0)
        stopped = simulation.slot
        await simulation.run(16)
        assert max(simulation.finalized_slots().values()) <= stopped
        await simulation.restart(0)
        await simulation.finality_returns(within=8)

    simulate(script, Plan(parameters=NO_LEAK), down=["validator-3"])


def test_a_pretender_is_presence_and_no_more() -> None:
    """Given a candidate that casts FFG votes, then blocks with them are valid and it gets its weight in due time."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(6)
        host = join(simulation, "joiner")
        host.opener = opened_with(Pretender)
        simulation.witness.byzantine.add(host.keys[0].public_key)
        assert await host.start()
        await offer(simulation, deposit(simulation, host.keys[0]))
        await simulation.until(
            lambda: weights(simulation) == 0b11111, within=24, what="it has weight"
        )
        pretended = [
            vote
            for vote in simulation.witness.votes()
            if vote.validator_index == 4 and vote.data.target is not None
        ]
        assert len(pretended) >= 4
        assert max(one.lag for one in simulation.witness.sights if one.slot > 14) <= 5

    simulate(script)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hoarded_votes_cannot_keep_finality_away(seed: int) -> None:
    """Given a validator that hoards its votes and forks at the justified block, then the other three finalize on."""

    async def script(simulation: Simulation) -> None:
        await turn(simulation, 3, Hoarder)
        await simulation.run(40)
        assert any(one.proposer_index == 3 for one in simulation.witness.proposals())
        lags = [one.lag for one in simulation.witness.sights if one.slot > 14]
        assert max(lags) <= 9
        lost, made = lost_honest_blocks(simulation, {3})
        assert lost <= 0.1 * made
        assert simulation.witness.guilty == {}

    simulate(script, Plan(seed=seed, parameters=NO_LEAK), down=["validator-3"])


@pytest.mark.parametrize("seed", [1, 2])
def test_hoarded_votes_that_finality_needs(seed: int) -> None:
    """Given one silent and one that hoards, then the chain grows, and whatever becomes final stays final."""

    async def script(simulation: Simulation) -> None:
        await turn(simulation, 3, Hoarder)
        await simulation.run(10)
        await simulation.crash(0)
        crashed = simulation.slot
        await simulation.run(40)
        assert min(simulation.finalized_slots().values()) > crashed
        assert simulation.witness.guilty == {}
        await simulation.restart(0)
        await simulation.finality_returns(within=16)

    simulate(script, Plan(seed=seed, parameters=NO_LEAK), down=["validator-3"])


@pytest.mark.parametrize(("validators", "team"), [(4, {3}), (7, {5, 6})])
def test_hidden_blocks_push_no_honest_block_out(validators: int, team: set[int]) -> None:
    """Given a team that shows its blocks late and all at once, then no honest block is lost (view-merge, timely tie-break)."""

    async def script(simulation: Simulation) -> int:
        shared = Team()

        def member(parts: ValidatorParts) -> ValidatorService:
            return ExAnte(parts, shared)

        for index in sorted(team):
            simulation.distrust(index)
            # They build on each other's votes before anybody else sees them
            simulation.witness.distrusted.add(simulation.host(index).name)
            simulation.host(index).opener = opened_with(member)
            assert await simulation.host(index).start()
        await simulation.run(40)
        lost, made = lost_honest_blocks(simulation, team)
        assert made > 20
        assert lost == 0
        await simulation.until(
            partial(simulation.all_final_after, simulation.slot), within=10, what="finality"
        )
        return shared.attacks

    plan = Plan(validators=validators, parameters=NO_LEAK)
    assert simulate(script, plan, down=[f"validator-{index}" for index in team]) >= 3
