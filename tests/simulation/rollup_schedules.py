"""Random histories of networks with an L2: a seed decides what happens, and when; at the end everything heals.

    seed -> Plan -> simulate_rollup(script): steps of splits, crashes, stops, bad batches, lies, deposits -> heal -> settle

Half of the seeds leave the sequencer honest, in the others it attacks; in both, one chain everywhere holds every deposit and
whatever was acknowledged in the end.
Deliberately absent: which seeds are run (test_rollup).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Final

from tests.simulation.network import Plan
from tests.simulation.rollup import Rollup
from tests.simulation.rollup_documents import DEPOSITOR, USERS

STEPS: Final = 6
"""Things that happen to one network."""

ATTACKS: Final[Mapping[str, Mapping[str, object]]] = {
    "garbage-batch": {"count": 1},
    "bomb-batch": {"count": 1},
    "truncated-batch": {"count": 2},
    "overlapping-batch": {"count": 1},
    "lie-timestamps": {"seconds": 20, "count": 1},
    "equivocate-unsafe": {"count": 1},
}
"""What an attacking sequencer does."""

PAUSES: Final = ("batcher-stall", "sequencer-stop")
"""What an honest one may suffer: it is slow or silent, and breaks no promise by that."""


def attacks(seed: int) -> bool:
    """Whether a seed's sequencer attacks."""
    return seed % 2 == 0


def plan_of(seed: int) -> Plan:
    """What a seed's L1 is made of."""
    dice = Random(f"rollup plan {seed}")
    return Plan(
        seed=seed, delay_s=(0.01, dice.choice((0.05, 0.3))), drop_ratio=dice.choice((0.0, 0.05))
    )


async def script(rollup: Rollup) -> None:
    """Let a random history happen and heal everything."""
    dice, simulation = rollup.dice, rollup.simulation
    await simulation.run(dice.randint(3, 6))
    for _ in range(STEPS):
        step = dice.choice(STEPS_OF_ALL_KINDS)
        simulation.witness.note("step", step.__name__)
        await step(rollup)
        if attacks(simulation.plan.seed):
            await _attack(rollup)
        await rollup.deposit()
        await simulation.run(dice.randint(2, 6))
    await rollup.heal()


# -- steps


async def _split(rollup: Rollup) -> None:
    """Two halves, each with some validators and some L2 nodes."""
    group = {name for name in sorted(rollup.names) if rollup.dice.random() < 0.5}
    rollup.simulation.split_hosts(group, rollup.names - group)


async def _isolate_sequencer(rollup: Rollup) -> None:
    rollup.simulation.split_hosts({"sequencer"}, rollup.names - {"sequencer"})


async def _join(rollup: Rollup) -> None:
    rollup.simulation.heal()


async def _crash_sequencer(rollup: Rollup) -> None:
    await rollup.simulation.run_on(rollup.dice.uniform(0, 1))
    await rollup.sequencer.crash()


async def _crash_sequencer_twice(rollup: Rollup) -> None:
    """It dies again before it has recovered from the first time, or shortly after."""
    await _crash_sequencer(rollup)
    await rollup.sequencer.start()
    await rollup.simulation.run_on(rollup.dice.choice((0.0, 0.1, 1.5)))
    await rollup.sequencer.crash()
    await rollup.sequencer.start()


async def _crash_replica(rollup: Rollup) -> None:
    await rollup.simulation.run_on(rollup.dice.uniform(0, 1))
    await rollup.dice.choice(rollup.replicas).crash()


async def _lose_replica(rollup: Rollup) -> None:
    """A replica starts again with an empty disk."""
    host = rollup.dice.choice(rollup.replicas)
    await host.crash()
    host.lose_disk()
    await host.start()


async def _crash_validator(rollup: Rollup) -> None:
    host = rollup.dice.choice(list(rollup.simulation.hosts.values()))
    await host.crash()


async def _restart(rollup: Rollup) -> None:
    for host in rollup.simulation.hosts.values():
        if not host.is_up:
            await host.start()
    for one in rollup.hosts:
        if one.node is None:
            await one.start()


async def _pause(rollup: Rollup) -> None:
    if rollup.sequencer.node is not None:
        await rollup.sequencer.node.faults.inject(rollup.dice.choice(PAUSES), {"duration": 24})


async def _censor(rollup: Rollup) -> None:
    """Somebody is left out until all heals: what a user sends waits, what the depositor deposits arrives all the same."""
    if rollup.sequencer.node is not None:
        address = rollup.dice.choice((*USERS, DEPOSITOR)).address
        faults = rollup.sequencer.node.faults
        await faults.inject("censor-sender", {"address": "0x" + address.hex()})


async def _forge(rollup: Rollup) -> None:
    """A foreign key signs unsafe blocks."""
    for _ in range(3):
        rollup.forge()
        await rollup.simulation.run_on(0.3)


async def _quiet(rollup: Rollup) -> None:
    """Nothing happens."""


Step = Callable[[Rollup], Awaitable[None]]

STEPS_OF_ALL_KINDS: Final[Sequence[Step]] = (
    _split,
    _isolate_sequencer,
    _join,
    _join,
    _crash_sequencer,
    _crash_sequencer_twice,
    _crash_replica,
    _lose_replica,
    _crash_validator,
    _restart,
    _restart,
    _pause,
    _censor,
    _forge,
    _quiet,
)
"""Anything."""


async def _attack(rollup: Rollup) -> None:
    node = rollup.sequencer.node
    if node is not None and rollup.dice.random() < 0.7:
        attack = rollup.dice.choice(tuple(ATTACKS))
        rollup.simulation.witness.note("attack", attack)
        await node.faults.inject(attack, ATTACKS[attack])
