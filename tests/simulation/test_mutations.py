"""Do whole networks notice broken rules? Each mutation, of a rule or of the node around it, must break an invariant.

Every detector is a script that is quiet on our code; mutated, its network breaks S1-S6 or L1, or the script's own bound.
The rules' mutations are those of tests.node.consensus.test_mutations, where each has a detector of its own in small.
"""

from __future__ import annotations

import pytest

from node.consensus.parameters import Parameters
from node.sync import planner
from node.validator import slashing_protection
from node.validator.protection_rules import SigningRecord
from tests.node.consensus.test_mutations import (
    Mutation,
    a_gap_does_not_restart_the_leak,
    ghost_from_finalized,
    index_at_execution,
    leak_counts_empty_epochs,
    no_churn_limit,
    no_leak,
    no_tryout,
    proposer_drops_old_votes,
    quorum_of_half,
    signer_without_ffg_checks,
    slashed_voters_do_not_count,
    tally_by_target_only,
    weightless_vote_invalidates,
)
from tests.simulation.attackers import OldSource, Pretender, opened_with
from tests.simulation.network import Plan, Script, Simulation, simulate
from tests.simulation.stakes import deposit, join, new_key, offer, weights

SHORT_LEAK = Parameters(leak_after_epochs=8, leak_period_epochs=4, join_pause_epochs=8)
"""The leak after seconds rather than minutes."""


# -- networks that notice


async def halves(simulation: Simulation) -> None:
    """Two halves apart and together again: neither finalizes alone, both do afterwards."""
    await simulation.run(8)
    simulation.split({0, 1}, {2, 3})
    await simulation.run(12)
    simulation.heal()
    await simulation.finality_returns(within=8)


async def the_other_side(simulation: Simulation) -> None:
    """A validator votes on one side of a split, and in the same epoch on the other."""
    await simulation.run(12)
    simulation.split({0, 3}, {1, 2})
    await simulation.run(3)
    while (simulation.slot + 1) % simulation.plan.parameters.slots_per_epoch:
        await simulation.run(1)
    await simulation.run(2)
    await simulation.run_to(0.7)
    await simulation.crash(3)
    simulation.host(3).lose_chain()
    simulation.split({0}, {1, 2, 3})
    await simulation.restart(3)
    await simulation.run(4)
    simulation.heal()
    await simulation.finality_returns(within=16)


async def half_gone(simulation: Simulation) -> None:
    """Half of the stake is off for good: the leak brings finality back."""
    await simulation.run(8)
    await simulation.crash(2, 3)
    await simulation.run(4)
    await simulation.finality_returns(within=40)


async def lids_closed_in_a_stall(simulation: Simulation) -> None:
    """Half is off, just before the leak everybody sleeps, and the other half comes back late: nobody loses weight."""
    await simulation.run(8)
    await simulation.crash(2, 3)
    while simulation.head_state().stall < 7:
        await simulation.run(1)
    simulation.sleep_everybody(0.5)
    await simulation.run(12)
    assert weights(simulation) == 0b1111, "a sleep costs no weight"
    await simulation.restart(2, 3)
    await simulation.finality_returns(within=12)


async def dead_keys(simulation: Simulation) -> None:
    """Deposits for keys that nobody runs change nothing."""
    await simulation.run(6)
    for number in range(3):
        await offer(simulation, deposit(simulation, new_key(simulation, f"dead-{number}")))
    await simulation.run(20)
    assert weights(simulation) == 0b1111, "who never votes gets no weight"


async def deposits_in_another_order(simulation: Simulation) -> None:
    """Two sides execute two deposits in different orders."""
    await simulation.run(8)
    raws = [deposit(simulation, new_key(simulation, f"depositor-{number}")) for number in range(2)]
    simulation.split({0, 1}, {2, 3})
    for order in (raws, raws[::-1]):
        for index, raw in zip((0, 2), order, strict=True):
            core = simulation.host(index).core
            assert core is not None
            await core.pool.submit(raw)
        await simulation.run(8)
    simulation.heal()
    await simulation.finality_returns(within=12)


async def twins_come_and_go(simulation: Simulation) -> None:
    """One validator runs twice while links come and go."""
    names = sorted(simulation.hosts)
    for _ in range(5):
        group = {name for name in names if simulation.dice.random() < 0.5}
        simulation.split_hosts(group, set(names) - group)
        await simulation.run(4)
    simulation.heal()
    await simulation.finality_returns(within=16)


async def an_old_source(simulation: Simulation) -> None:
    """A validator votes from an older source; with one more silent, two honest votes are left of four."""
    simulation.distrust(3)
    await simulation.host(3).crash()
    simulation.host(3).opener = opened_with(OldSource)
    await simulation.restart(3)
    await simulation.run(12)
    await simulation.crash(0)
    await simulation.run(12)
    await simulation.restart(0)
    await simulation.finality_returns(within=8)


async def a_pretender(simulation: Simulation) -> None:
    """A candidate casts FFG votes."""
    await simulation.run(6)
    host = join(simulation, "joiner")
    host.opener = opened_with(Pretender)
    simulation.witness.byzantine.add(host.keys[0].public_key)
    assert await host.start()
    await offer(simulation, deposit(simulation, host.keys[0]))
    await simulation.until(lambda: weights(simulation) == 0b11111, within=24, what="it has weight")


async def three_join_at_once(simulation: Simulation) -> None:
    """Three depositors are ready in the same epoch."""
    await simulation.run(6)
    for number in range(3):
        host = join(simulation, f"joiner-{number}")
        assert await host.start()
        await offer(simulation, deposit(simulation, host.keys[0]))
    await simulation.run(24)


async def silence_after_voting(simulation: Simulation) -> None:
    """All vote, no block takes the votes in, nobody votes for nine slots: the next block must make them count (L2)."""
    await simulation.run(10)
    for host in simulation.up:
        await host.inject("miss-slots", {"slots": list(range(14, 26))})
    await simulation.run(2)
    voted = max(
        vote.data.target.epoch
        for vote in simulation.witness.votes()
        if vote.data.target is not None and vote.data.slot == simulation.slot
    )
    for host in simulation.up:
        await host.inject("withhold-votes", {"slots": 14})
    await simulation.run(13)
    assert simulation.head_state().justified.epoch >= voted, "old votes still count"


# -- what breaks


def signer_forgets(patch: pytest.MonkeyPatch) -> None:
    """The signer's row is made and never changed."""
    original = slashing_protection.Rows.save

    def mutated(self: slashing_protection.Rows, public_key: bytes, record: SigningRecord) -> None:
        if self.load(public_key) is None:
            original(self, public_key, record)

    patch.setattr(slashing_protection.Rows, "save", mutated)


def nothing_is_fetched_by_root(patch: pytest.MonkeyPatch) -> None:
    """What is missing stays missing unless it is 64 blocks away."""
    patch.setattr(planner, "_choose_root", lambda *_: None)


# -- who notices what

NO_LEAK = Parameters(leak_after_epochs=0)
"""Whoever is away keeps its weight."""

NETWORKS: list[tuple[Script[None], Plan, list[Mutation]]] = [
    (halves, Plan(), [quorum_of_half, nothing_is_fetched_by_root]),
    (
        the_other_side,
        Plan(parameters=Parameters(slots_per_epoch=8, lookahead_slots=16)),
        [signer_without_ffg_checks, signer_forgets],
    ),
    (half_gone, Plan(parameters=SHORT_LEAK), [no_leak]),
    (
        lids_closed_in_a_stall,
        Plan(parameters=SHORT_LEAK),
        [a_gap_does_not_restart_the_leak, leak_counts_empty_epochs],
    ),
    (dead_keys, Plan(), [no_tryout]),
    (
        deposits_in_another_order,
        Plan(parameters=Parameters(slots_per_epoch=4, lookahead_slots=8)),
        [index_at_execution],
    ),
    (
        twins_come_and_go,
        Plan(twins=(3,)),
        [ghost_from_finalized, slashed_voters_do_not_count],
    ),
    (an_old_source, Plan(parameters=NO_LEAK), [tally_by_target_only]),
    (a_pretender, Plan(), [weightless_vote_invalidates]),
    (three_join_at_once, Plan(), [no_churn_limit]),
    (silence_after_voting, Plan(), [proposer_drops_old_votes]),
]
"""Each network with the mutations that it notices; the seeds are those at which it does."""


@pytest.mark.parametrize(("script", "plan"), [one[:2] for one in NETWORKS])
def test_networks_are_quiet_on_our_code(script: Script[None], plan: Plan) -> None:
    simulate(script, plan)


@pytest.mark.parametrize(
    ("mutation", "script", "plan"),
    [(mutation, script, plan) for script, plan, mutations in NETWORKS for mutation in mutations],
)
def test_a_network_notices_what_is_broken(
    mutation: Mutation, script: Script[None], plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        simulate(script, plan)
