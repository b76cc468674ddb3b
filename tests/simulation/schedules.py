"""Random histories: a seed decides the network, what happens to it, and when; at the end everything heals.

    seed -> plan_of -> Plan -> simulate(script): steps of crashes, splits, sleeps, skews, attackers -> heal -> L1

Attackers are fewer than a third of the validators; anything may happen to the others, short of losing their signer database.
A step's choices come from the simulation's dice alone, so that a seed means the same history on every machine.
Deliberately absent: which seeds are run (test_schedules).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from node.consensus.parameters import Parameters
from tests.simulation.engine import transfer
from tests.simulation.hosts import Host
from tests.simulation.network import Plan, Simulation

STEPS: Final = 7
"""Things that happen to one network."""

HEALED_SLOTS_MAX: Final = 18
"""Until a new block is final after all has healed: the reference model's worst, 16 slots, and two for links and sync."""

LEAKED_SLOTS_MAX: Final = 60
"""The same where validators lost their weight and are candidates again."""

SLEEPS_H: Final = (6 / 3_600, 5 / 60, 2.0, 30.0)
"""Three slots, minutes, hours."""

SENDERS: Final = tuple(bytes([0xA0 + number]) * 20 for number in range(3))
"""Accounts that pay."""

ATTACKS: Final[Mapping[str, Mapping[str, object]]] = {
    "equivocate": {"count": 2},
    "vote-equivocate": {"count": 3},
    "withhold-votes": {"slots": 4},
    "miss-slots": {"count": 2},
    "late-block": {"delay_ms": 1_500, "count": 2},
}
"""What an attacker does, each for a while; several at a time."""

LEAKY: Final = Parameters(leak_after_epochs=8, leak_period_epochs=4, join_pause_epochs=8)
"""A leak that comes soon and forgives soon."""


def is_leaky(seed: int) -> bool:
    """Whether a seed is about the leak: anybody may be away, nobody attacks, and the network is never split."""
    return seed % 5 == 4


def attackers_of(seed: int) -> int:
    """How many validators attack."""
    return 0 if is_leaky(seed) else (1, 0, 2, 1)[seed // 5 % 4]


def plan_of(seed: int) -> Plan:
    """What a seed's network is made of."""
    dice = Random(f"plan {seed}")
    if is_leaky(seed):
        return Plan(seed=seed, validators=dice.choice((4, 5)), parameters=LEAKY)
    attackers = attackers_of(seed)
    epoch = dice.choice((1, 2, 2, 4))
    validators = 3 * attackers + 1 if attackers else 4
    return Plan(
        seed=seed,
        validators=validators,
        parameters=replace(Parameters(), slots_per_epoch=epoch, lookahead_slots=max(4, 2 * epoch)),
        twins=(validators - 1,) if attackers and dice.random() < 0.4 else (),
        delay_s=(0.01, dice.choice((0.05, 0.3, 0.9))),
        drop_ratio=dice.choice((0.0, 0.05, 0.2)),
    )


async def script(simulation: Simulation) -> None:
    """Let a random history happen, heal everything, and wait for finality."""
    dice, seed = simulation.dice, simulation.plan.seed
    attackers = range(simulation.plan.validators - attackers_of(seed), simulation.plan.validators)
    for index in attackers:
        simulation.distrust(index)
    nonces = dict.fromkeys(SENDERS, 0)
    await simulation.run(dice.randint(1, 8))
    for _ in range(STEPS):
        step = dice.choice(LEAKY_STEPS if is_leaky(seed) else STEPS_OF_ALL_KINDS)
        simulation.witness.note("step", step.__name__)
        await step(simulation, dice)
        for index in attackers:
            await _attack(simulation.host(index), dice)
        await _pay(simulation, dice, nonces)
        await simulation.run(dice.randint(6, 20) if is_leaky(seed) else dice.randint(1, 5))
    await heal(simulation)
    bound = LEAKED_SLOTS_MAX if is_leaky(seed) else HEALED_SLOTS_MAX
    await simulation.finality_returns(within=bound)
    assert simulation.witness.guilty.keys() <= set(attackers)


async def heal(simulation: Simulation) -> None:
    """Undo everything that was done to a network."""
    simulation.heal()
    simulation.hub.delay_s, simulation.hub.drop_ratio = (0.005, 0.05), 0.0
    for host in simulation.hosts.values():
        host.spare()
        await host.heal()
        if not host.is_up:
            assert await host.start(), f"{host.name} does not start"


# -- steps


async def _split(simulation: Simulation, dice: Random) -> None:
    names = list(simulation.hosts)
    group = {name for name in names if dice.random() < 0.5}
    simulation.split_hosts(group, set(names) - group)


async def _join(simulation: Simulation, dice: Random) -> None:
    simulation.heal()


async def _crash(simulation: Simulation, dice: Random) -> None:
    await simulation.run_on(dice.uniform(0, 1))
    for host in _some(simulation.up, dice):
        await host.crash()


async def _crash_in_work(simulation: Simulation, dice: Random) -> None:
    """Soon, between or after two pieces of long work: a block half imported, a vote signed and not sent."""
    for host in _some(simulation.up, dice):
        host.crash_after(dice.randint(0, 12), after_work=dice.random() < 0.5)


async def _crash_at_write(simulation: Simulation, dice: Random) -> None:
    """Soon, before or after a write to the chain's tables."""
    for host in _some(simulation.up, dice):
        host.crash_at_write(dice.randint(0, 8), after_write=dice.random() < 0.5)


async def _restart(simulation: Simulation, dice: Random) -> None:
    for host in simulation.hosts.values():
        if not host.is_up:
            if dice.random() < 0.3:
                host.states.forget_newest(dice.randint(1, 6))
            await host.start()


async def _sleep(simulation: Simulation, dice: Random) -> None:
    simulation.sleep_everybody(dice.choice(SLEEPS_H))


async def _skew(simulation: Simulation, dice: Random) -> None:
    for host in _some(simulation.up, dice):
        await host.inject("clock-skew", {"ms": dice.randint(-800, 800)})


async def _quiet(simulation: Simulation, dice: Random) -> None:
    """Nothing happens."""


Step = Callable[[Simulation, Random], Awaitable[None]]

STEPS_OF_ALL_KINDS: Final[Sequence[Step]] = (
    _split,
    _split,
    _join,
    _join,
    _crash,
    _crash_in_work,
    _crash_at_write,
    _restart,
    _restart,
    _restart,
    _sleep,
    _skew,
    _quiet,
)
"""Anything."""

LEAKY_STEPS: Final[Sequence[Step]] = (_crash, _crash, _crash, _restart, _sleep, _quiet)
"""Whatever keeps messages whole: the leak is no excuse for a split network."""


def _some(hosts: Sequence[Host], dice: Random) -> list[Host]:
    """One or more of them."""
    return dice.sample(hosts, dice.randint(1, len(hosts))) if hosts else []


async def _attack(host: Host, dice: Random) -> None:
    if host.is_up and dice.random() < 0.6:
        attack = dice.choice(tuple(ATTACKS))
        await host.inject(attack, ATTACKS[attack])


async def _pay(simulation: Simulation, dice: Random, nonces: dict[bytes, int]) -> None:
    """Give some node a transaction; whether it survives what follows is not promised."""
    for sender in SENDERS:
        hosts = simulation.up
        if hosts and dice.random() < 0.5:
            core = dice.choice(hosts).core
            assert core is not None
            await core.pool.submit(transfer(sender, nonces[sender]))
            nonces[sender] += 1
