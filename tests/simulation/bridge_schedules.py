"""Random histories of networks with a bridge: a seed decides who lies, what breaks and when; at the end everything heals.

    seed -> Plan -> simulate_bridge(script): steps of splits, crashes, sleeps, pauses; lies and withdrawals between them -> settle

What keeps the watchtower from L1 ends before the next step: the window is longer than that, and the promise is made to those
with one honest watcher on L1.
Deliberately absent: which seeds are run (test_bridge).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from tests.simulation.bridge import BridgeNetwork
from tests.simulation.network import Plan
from tests.simulation.rollup import RollupHost
from tests.simulation.rollup_schedules import PAUSES

STEPS: Final = 5
"""Things that happen to one network."""

PIECES_MAX: Final = 40
"""Pieces of work until a process dies that was told to."""


def plan_of(seed: int) -> Plan:
    """What a seed's L1 is made of."""
    dice = Random(f"bridge plan {seed}")
    return Plan(
        seed=seed, delay_s=(0.01, dice.choice((0.05, 0.3))), drop_ratio=dice.choice((0.0, 0.05))
    )


def has_second(seed: int) -> bool:
    """Whether the bridge process challenges too."""
    return seed % 2 == 0


async def script(network: BridgeNetwork) -> None:
    """Let a random history happen."""
    dice, simulation = network.dice, network.simulation
    network.copies = dice.random() < 0.5
    await simulation.run(dice.randint(6, 9))
    for _ in range(STEPS):
        step = dice.choice(STEPS_OF_ALL_KINDS)
        simulation.witness.note("step", step.__name__)
        await step(network)
        for _ in range(dice.choice((0, 1, 1, 3))):
            await network.lie()
        await network.withdraw()
        await network.deposit()
        await simulation.run(dice.randint(2, 6))
        await _relieve(network)


async def _relieve(network: BridgeNetwork) -> None:
    """The watchtower sees L1 again, and whoever is down comes back."""
    network.simulation.heal()
    for host in network.simulation.hosts.values():
        if not host.is_up:
            await host.start()
    for one in network.hosts:
        if one.node is None:
            await one.start()


# -- steps


async def _split(network: BridgeNetwork) -> None:
    """Two halves, each with some validators and some L2 nodes."""
    group = {name for name in sorted(network.names) if network.dice.random() < 0.5}
    network.simulation.split_hosts(group, network.names - group)


async def _split_minority(network: BridgeNetwork) -> None:
    """One validator and some L2 nodes are cut off: their branch of L1 is left."""
    group = {"validator-0", *(host.name for host in network.hosts if network.dice.random() < 0.5)}
    network.simulation.split_hosts(group, network.names - group)


async def _crash(network: BridgeNetwork, host: RollupHost) -> None:
    await network.simulation.run_on(network.dice.uniform(0, 1))
    await host.crash()


async def _crash_bridge(network: BridgeNetwork) -> None:
    await _crash(network, network.bridge)


async def _crash_watchtower(network: BridgeNetwork) -> None:
    await _crash(network, network.watchtower)


async def _crash_at_work(network: BridgeNetwork) -> None:
    """A process dies in the middle of something: between signing and saving, between saving and sending."""
    for host in network.replicas:
        if network.dice.random() < 0.6:
            host.worker.dies_after_work = network.dice.random() < 0.5
            host.worker.pieces_left = network.dice.randint(0, PIECES_MAX)


async def _lose_watchtower(network: BridgeNetwork) -> None:
    """It starts again with an empty disk."""
    await network.watchtower.crash()
    network.watchtower.lose_disk()
    await network.watchtower.start()


async def _crash_validators(network: BridgeNetwork) -> None:
    """Two of four: nothing is final until they are back."""
    for index in network.dice.sample(range(4), 2):
        await network.simulation.crash(index)


async def _crash_sequencer(network: BridgeNetwork) -> None:
    await _crash(network, network.sequencer)


async def _pause(network: BridgeNetwork) -> None:
    if network.sequencer.node is not None:
        pause = network.dice.choice(PAUSES)
        await network.sequencer.node.faults.inject(pause, {"duration": 24})


async def _sleep(network: BridgeNetwork) -> None:
    """Everybody closes the lid for a night."""
    await network.lie()
    await network.simulation.run_on(network.dice.uniform(0, 2))
    network.simulation.sleep_everybody(network.dice.choice((0.2, 2, 8)))


async def _many_lies(network: BridgeNetwork) -> None:
    for _ in range(12):
        await network.lie()


async def _quiet(network: BridgeNetwork) -> None:
    """Nothing happens."""


Step = Callable[[BridgeNetwork], Awaitable[None]]

STEPS_OF_ALL_KINDS: Final[Sequence[Step]] = (
    _split,
    _split,
    _split_minority,
    _split_minority,
    _crash_bridge,
    _crash_watchtower,
    _crash_at_work,
    _crash_at_work,
    _lose_watchtower,
    _crash_validators,
    _crash_sequencer,
    _pause,
    _sleep,
    _sleep,
    _many_lies,
    _quiet,
)
"""Anything."""
