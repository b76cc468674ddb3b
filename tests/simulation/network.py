"""A whole network in one process: the script of a test drives it, a witness watches it, one seed decides everything.

    simulate(script, Plan(seed=7)) -> hosts start at slot 3 -> script(simulation): run, split, heal, crash, sleep ...
                                         |
                                         +-> inspector: every node, four times a slot -> Witness

What a script may ask: `run` some slots, `until` a condition with a bound in slots, and the state of hosts and witness.
Deliberately absent: what is expected (the tests), and random scripts (schedules).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from random import Random
from typing import Final, TypeVar

import structlog
import trio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.chain.chain import ChainOptions
from node.consensus.genesis import Genesis, GenesisValidator, genesis_state
from node.consensus.parameters import Parameters
from node.consensus.signing import SignedMessage
from node.consensus.state import ConsensusState
from node.eth.primitives import ZERO_HASH, Address, Hash32, Slot
from node.runtime.clock import SlotClock
from node.validator.keys import ValidatorKey
from tests.kit.memory_network import MemoryHub
from tests.kit.simulation import run_seeded
from tests.simulation.engine import SimulatedEngine, StateDisk
from tests.simulation.hosts import EngineMaker, Host, Site
from tests.simulation.witness import SeenBlock, Witness

Answer = TypeVar("Answer")

GENESIS_TIME: Final = 1_700_000_000
"""Start of slot 0."""

CHAIN_ID: Final = 900
"""The L1's."""

INSPECTIONS: Final = (0.2, 0.45, 0.7, 0.95)
"""When in a slot every node is looked at; the last look is remembered."""

SIGNATURES_KEPT: Final = 1 << 14
"""Checked signatures that are remembered, so that each is checked once for all nodes."""

HOUR_S: Final = 3_600
"""Seconds."""


class SleepingClock:
    """Wall time of a room full of laptops: trio's time, and what they slept."""

    def __init__(self, started_at_ms: int) -> None:
        self._started_at_ms = started_at_ms
        self.slept_ms = 0
        """How long everybody has been asleep; trio's time stands still meanwhile, as a monotonic clock does."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch of Unix."""
        return self._started_at_ms + self.slept_ms + round(trio.current_time() * 1_000)


class RememberingVerifier:
    """Ed25519; a signature that was checked for one node is not checked again for the next."""

    def __init__(self) -> None:
        self._known: dict[SignedMessage, bool] = {}

    def __call__(self, messages: Sequence[SignedMessage]) -> list[bool]:
        """Whether each signature holds."""
        return [self._verify(one) for one in messages]

    def _verify(self, message: SignedMessage) -> bool:
        if message not in self._known:
            if len(self._known) >= SIGNATURES_KEPT:
                self._known.clear()
            self._known[message] = _holds(*message)
        return self._known[message]


def _holds(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a network is made of."""

    seed: int = 1
    """Decides keys, delays, scheduling and whatever a script rolls."""
    validators: int = 4
    """Keys in the genesis."""
    hosts: int | None = None
    """Hosts among which the keys are dealt, named validator-0 and so on; None: one for each key."""
    parameters: Parameters = field(default_factory=Parameters)
    """Of the genesis."""
    twins: tuple[int, ...] = ()
    """Validators that run a second time, on hosts named twin-3 and so on."""
    followers: int = 0
    """Hosts without keys, named follower-0 and so on."""
    delay_s: tuple[float, float] = (0.005, 0.05)
    """Shortest and longest delay of one delivery."""
    drop_ratio: float = 0.0
    """Share of gossip deliveries that vanish."""
    options: ChainOptions = field(default_factory=ChainOptions)
    """Of every chain."""

    def keys(self) -> list[ValidatorKey]:
        """Every validator's, by index."""
        return [
            ValidatorKey(
                private_key=sha256(b"key %d of %d" % (index, self.seed)).digest(),
                onion_seed=sha256(b"onion %d of %d" % (index, self.seed)).digest(),
            )
            for index in range(self.validators)
        ]

    def genesis(self) -> Genesis:
        """What everybody starts from."""
        return Genesis(
            parameters=self.parameters,
            validators=tuple(
                GenesisValidator(
                    public_key=key.public_key,
                    withdrawal_address=Address(bytes([index + 1]) * 20),
                    commitment=key.commitment(0, self.parameters.onion_layers),
                )
                for index, key in enumerate(self.keys())
            ),
            chain_id=CHAIN_ID,
            time=GENESIS_TIME,
        )


class Simulation:
    """A running network, in the hands of a script."""

    def __init__(
        self,
        plan: Plan,
        dice: Random,
        nursery: trio.Nursery,
        make_engine: Callable[[str], EngineMaker] | None,
    ) -> None:
        self.plan: Final = plan
        """What it is made of."""
        self.dice: Final = dice
        """The script's own."""
        self.hosts: Final[dict[str, Host]] = {}
        """By name, in the order of their start."""
        genesis = plan.genesis()
        first = plan.parameters.first_proposal_slot - 1
        self.wall: Final = SleepingClock(
            1_000 * (genesis.time + first * plan.parameters.slot_seconds)
        )
        """Everybody's wall clock."""
        genesis_hash = _genesis_hash(genesis, None if make_engine is None else make_engine(""))
        block = SeenBlock(hash=genesis_hash, number=0, slot=Slot(0), parent_hash=ZERO_HASH)
        self.witness: Final = Witness(
            genesis.rules(genesis_hash), block, genesis_state(genesis, genesis_hash)
        )
        """Sees everything."""
        self.hub: Final = MemoryHub(
            dice=Random(dice.getrandbits(64)), delay_s=plan.delay_s, drop_ratio=plan.drop_ratio
        )
        """The network."""
        self.site: Final = Site(
            genesis=genesis,
            genesis_hash=genesis_hash,
            hub=self.hub,
            wall=self.wall,
            verify=RememberingVerifier(),
            witness=self.witness,
            nursery=nursery,
            options=plan.options,
        )
        """What all hosts share."""
        self.clock: Final[SlotClock] = self.site.clock()
        """True time."""
        keys = plan.keys()
        hosts = len(keys) if plan.hosts is None else plan.hosts
        for index in range(hosts):
            self._add(f"validator-{index}", keys[index::hosts], make_engine)
        for index in plan.twins:
            self._add(f"twin-{index}", [keys[index]], make_engine)
            self.witness.byzantine.add(keys[index].public_key)
        for index in range(plan.followers):
            self._add(f"follower-{index}", [], make_engine)

    def _add(
        self,
        name: str,
        keys: Sequence[ValidatorKey],
        make_engine: Callable[[str], EngineMaker] | None,
    ) -> None:
        engine = None if make_engine is None else make_engine(name)
        self.hosts[name] = Host(site=self.site, name=name, keys=keys, make_engine=engine)
        self.hub.network(name)

    # -- asked

    @property
    def slot(self) -> Slot:
        """The slot that has begun last."""
        return self.clock.current_slot()

    @property
    def up(self) -> list[Host]:
        """Hosts whose node runs."""
        return [host for host in self.hosts.values() if host.is_up]

    def host(self, index: int) -> Host:
        """A validator's host."""
        return self.hosts[f"validator-{index}"]

    def head_state(self, index: int = 0) -> ConsensusState:
        """The consensus state of a validator's head."""
        return _head_state(self.host(index))

    def slashed(self, index: int = 0) -> set[int]:
        """Who is slashed on a validator's chain."""
        return self.slashed_on(self.host(index))

    def slashed_on(self, host: Host) -> set[int]:
        """Who is slashed on a host's chain."""
        return {at for at, one in enumerate(_head_state(host).validators) if one.slashed}

    def heads(self) -> dict[str, Hash32]:
        """Hash of every running node's head."""
        return {host.name: host.chain.head.hash for host in self.up}

    def head_slots(self) -> dict[str, int]:
        """Slot of every running node's head."""
        return {host.name: host.chain.head_slot for host in self.up}

    def finalized_slots(self) -> dict[str, int]:
        """Slot of every running node's finalized block."""
        return {
            host.name: self.witness.block(host.chain, host.chain.finalized.hash).slot
            for host in self.up
        }

    def all_final_after(self, slot: int) -> bool:
        """Whether every running node has finalized a block that is younger than a slot."""
        return min(self.finalized_slots().values()) > slot

    # -- time

    async def run(self, slots: int) -> None:
        """Let so many slots pass; returns just before the next begins."""
        await self.clock.sleep_until_slot(self.slot + slots, 0.99)

    async def run_to(self, fraction: float) -> None:
        """Let time pass to a fraction of the next slot."""
        await self.clock.sleep_until_slot(self.slot + 1, fraction)

    async def run_on(self, slots: float) -> None:
        """Let a part of a slot pass from here."""
        await trio.sleep(slots * self.clock.slot_duration_ms / 1_000)

    async def until(self, holds: Callable[[], bool], *, within: int, what: str) -> int:
        """Let slots pass until something holds at the end of one; how many it took.

        Raises:
            AssertionError: it takes longer than `within` slots.
        """
        for passed in range(within + 1):
            if holds():
                return passed
            if passed < within:
                await self.run(1)
        raise AssertionError(
            f"L1: {what}: not within {within} slots, by slot {self.slot}: "
            f"heads {self.head_slots()}, final {self.finalized_slots()}"
        )

    async def finality_returns(self, *, within: int) -> int:
        """Slots from now until every running node has finalized a block that is proposed from now on."""
        now = self.slot
        return await self.until(
            partial(self.all_final_after, now),
            within=within,
            what=f"a block after slot {now} is final everywhere",
        )

    def sleep_everybody(self, hours: float) -> None:
        """Close every laptop's lid: wall time goes on, nothing else does."""
        self.witness.note("slept", hours)
        self.wall.slept_ms += round(hours * HOUR_S * 1_000)

    # -- faults

    def split(self, *groups: set[int]) -> None:
        """Only hosts of one group reach each other; twins and followers are named by `split_hosts`."""
        self.split_hosts(*({f"validator-{index}" for index in group} for group in groups))

    def split_hosts(self, *groups: set[str]) -> None:
        """Only hosts of one group reach each other."""
        self.witness.note("split", [sorted(group) for group in groups])
        self.hub.partition(groups)

    def heal(self) -> None:
        """End the partition."""
        self.witness.note("healed")
        self.hub.heal()

    async def crash(self, *indexes: int) -> None:
        """End validators' processes here and now."""
        for index in indexes:
            self.witness.note("crashed", index)
            await self.host(index).crash()

    async def restart(self, *indexes: int) -> None:
        """Start validators' processes."""
        for index in indexes:
            assert await self.host(index).start()

    def distrust(self, index: int) -> None:
        """A host's validators are about to break rules: the witness must not complain."""
        self.witness.byzantine.update(key.public_key for key in self.host(index).keys)

    # -- running

    async def inspect(self) -> None:
        """Look at every node several times a slot, for ever."""
        while True:
            slot = self.slot
            for moment in INSPECTIONS:
                await self.clock.sleep_until_slot(slot, moment)
                for host in self.up:
                    self.witness.look(host.name, host.chain)
            for host in self.up:
                self.witness.see(host.name, slot, host.chain)
            await self.clock.sleep_until_slot(slot + 1)


Script = Callable[[Simulation], Awaitable[Answer]]
"""What a test does with a network."""


def simulate(
    script: Script[Answer],
    plan: Plan | None = None,
    *,
    make_engine: Callable[[str], EngineMaker] | None = None,
    down: Sequence[str] = (),
) -> Answer:
    """Start a network one slot before its first block, run a script, look once more.

    Args:
        script: what happens.
        plan: what the network is made of.
        make_engine: another engine than the simulated one, by host name.
        down: hosts that are not started.

    Raises:
        InvariantBroken: the first invariant that did not hold.
    """
    plan = plan if plan is not None else Plan()

    async def main(dice: Random) -> Answer:
        async with trio.open_nursery() as nursery:
            simulation = Simulation(plan, dice, nursery, make_engine)
            for host in simulation.hosts.values():
                if host.name not in down:
                    assert await host.start()
            nursery.start_soon(simulation.inspect)
            answer = await script(simulation)
            for host in simulation.up:
                simulation.witness.look(host.name, host.chain)
            nursery.cancel_scope.cancel()
        structlog.contextvars.clear_contextvars()
        return answer

    return run_seeded(plan.seed, main)


def _genesis_hash(genesis: Genesis, make_engine: EngineMaker | None) -> Hash32:
    if make_engine is not None:
        with make_engine() as engine:
            return Hash32(engine.genesis().block_hash)
    simulated = SimulatedEngine(
        genesis_time=genesis.time, extra_data=genesis.extra_data, disk=StateDisk()
    )
    return Hash32(simulated.genesis().block_hash)


def _head_state(host: Host) -> ConsensusState:
    state = host.chain.consensus_state(host.chain.head.hash)
    assert state is not None, "the head's state is always kept"
    return state
