"""Random histories in which validators come and go and others attack; at the end everything heals.

    seed -> crowd_of -> Plan -> simulate(crowd): the steps of schedules, deposits, exits, attackers -> heal -> L1

What schedules leave out: attackers that need more than a fault (attackers), candidates honest, dishonest and dead, exits.
Attackers hold less than a third of the weight at all times: honest validators exit only where enough are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

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
from tests.simulation.network import Plan, Simulation
from tests.simulation.schedules import HEALED_SLOTS_MAX, STEPS, STEPS_OF_ALL_KINDS, heal
from tests.simulation.stakes import deposit, exit_of, join, new_key, offer

SIZES: Final = ((4, 1), (5, 1), (5, 0), (7, 2))
"""Validators, and how many of them attack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Somebody who wants weight."""

    name: str
    """Of its host."""
    deposit: bytes
    """The transaction."""


def crowd_of(seed: int) -> Plan:
    """What a seed's network is made of."""
    dice = Random(f"crowd {seed}")
    epoch = dice.choice((1, 2, 2, 4))
    return Plan(
        seed=seed,
        validators=SIZES[seed % len(SIZES)][0],
        parameters=replace(
            Parameters(),
            slots_per_epoch=epoch,
            lookahead_slots=max(4, 2 * epoch),
            leak_after_epochs=128 if epoch == 1 else 64,
        ),
        delay_s=(0.01, dice.choice((0.05, 0.3, 0.9))),
        drop_ratio=dice.choice((0.0, 0.05, 0.2)),
    )


def attackers_of(seed: int) -> range:
    """Which validators attack: the last ones."""
    validators, attackers = SIZES[seed % len(SIZES)]
    return range(validators - attackers, validators)


async def crowd(simulation: Simulation) -> None:
    """Let a random history happen, heal everything, and wait for finality."""
    dice, attackers = simulation.dice, attackers_of(simulation.plan.seed)
    await _turn(simulation, attackers, dice)
    newcomers = [await _newcomer(simulation, number, dice) for number in range(dice.randint(0, 3))]
    leaving = list(attackers) if attackers else [0]
    for _ in range(STEPS):
        step = dice.choice(STEPS_OF_ALL_KINDS)
        simulation.witness.note("step", step.__name__)
        await step(simulation, dice)
        if dice.random() < 0.4:
            await _offer_all(simulation, [one.deposit for one in newcomers])
        if leaving and dice.random() < 0.2:
            await _offer_all(simulation, [exit_of(simulation, leaving.pop())])
        await simulation.run(dice.randint(2, 8))
    await heal(simulation)
    await simulation.finality_returns(within=HEALED_SLOTS_MAX)
    assert simulation.witness.guilty.keys() <= {*attackers, *range(simulation.plan.validators, 99)}


async def _turn(simulation: Simulation, attackers: Sequence[int], dice: Random) -> None:
    """Restart those who attack as what they are, before the first block."""
    team = Team()

    def hides(parts: ValidatorParts) -> ValidatorService:
        return ExAnte(parts, team)

    for index in attackers:
        simulation.distrust(index)
        host = simulation.host(index)
        await host.crash()
        host.opener = opened_with(dice.choice((OldSource, Hoarder, hides)))
        assert await host.start()


async def _newcomer(simulation: Simulation, number: int, dice: Random) -> Newcomer:
    """Somebody honest, somebody who pretends, or a key that nobody runs."""
    name = f"newcomer-{number}"
    key = new_key(simulation, name)
    kind = dice.choice(("honest", "honest", "pretender", "dead"))
    if kind != "dead":
        host = join(simulation, name)
        if kind == "pretender":
            simulation.witness.byzantine.add(key.public_key)
            host.opener = opened_with(Pretender)
        assert await host.start()
    return Newcomer(name=name, deposit=deposit(simulation, key))


async def _offer_all(simulation: Simulation, raws: Sequence[bytes]) -> None:
    for raw in raws:
        await offer(simulation, raw)
