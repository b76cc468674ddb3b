"""A few processes with validators on real chains, joined by a network that delays everything by the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio
from prometheus_client import CollectorRegistry

from node.chain.chain import Chain
from node.consensus.genesis import Genesis
from node.consensus.parameters import Parameters
from node.consensus.state import Validator
from node.consensus.wire import decode_votes
from node.eth.primitives import Address, Hash32
from node.p2p.network import Topic
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import InlineWorker
from node.validator.keys import ValidatorKey
from node.validator.metrics import ValidatorMetrics
from node.validator.service import ValidatorParts, ValidatorService
from node.validator.signer import Signer
from node.validator.slashing_protection import SlashingProtection
from tests.kit.chain_builder import make_keys
from tests.kit.chain_harness import Machine, clock_at, make_network

DELAY_S: Final = 0.05
"""From one process to any other."""


@dataclass(slots=True)
class Offered:
    """A transaction of a FakePool."""

    raw: bytes
    sender: Address
    hash: Hash32


@dataclass(slots=True)
class FakePool:
    """Offers each transaction until it is refused or discarded."""

    waiting: list[Offered] = field(default_factory=list)
    refused: list[Address] = field(default_factory=list)
    discarded: list[bytes] = field(default_factory=list)

    def add(self, raw: bytes) -> None:
        self.waiting.append(Offered(raw, Address(raw[-1:] * 20), Hash32(raw[-1:] * 32)))

    def select(self, base_fee: int, blob_base_fee: int = 0) -> FakePool:
        return self

    def take(self, *, gas: int, size: int, count: int, blobs: int = 0) -> list[Offered]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def refuse(self, sender: Address) -> None:
        self.refused.append(sender)

    def discard(self, transaction_hash: bytes) -> None:
        self.discarded.append(transaction_hash)

    def quarantine(self, transaction_hash: bytes) -> None:
        self.discarded.append(transaction_hash)


@dataclass(slots=True, kw_only=True)
class Process:
    """One process of the network."""

    number: int
    machine: Machine
    protection: SlashingProtection
    signer: Signer
    clock: SlotClock
    chain: Chain
    pool: FakePool = field(default_factory=FakePool)
    faults: FaultBoard = field(default_factory=FaultBoard)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    is_syncing: bool = False
    is_cut_off: bool = False
    fresh_keys: frozenset[bytes] = frozenset()
    service: ValidatorService | None = None

    def duties(self, duty: str, outcome: str) -> float:
        """How often a duty ended so."""
        labels = {"duty": duty, "outcome": outcome}
        return self.registry.get_sample_value("faultline_validator_duties_total", labels) or 0.0

    def validators(self) -> Sequence[Validator]:
        """The registry after the head."""
        state = self.chain.consensus_state(self.chain.head.hash)
        assert state is not None
        return state.validators


@dataclass(slots=True, kw_only=True)
class Network:
    """All processes, and what was gossiped."""

    genesis: Genesis
    processes: list[Process]
    nursery: trio.Nursery
    sent: list[tuple[int, Topic, bytes]] = field(default_factory=list)

    def publish(self, sender: Process, topic: Topic, message: bytes) -> None:
        self.sent.append((sender.number, topic, message))
        for receiver in self.processes:
            if receiver is not sender and not sender.is_cut_off and not receiver.is_cut_off:
                self.nursery.start_soon(self._deliver, receiver, topic, message)

    async def _deliver(self, receiver: Process, topic: Topic, message: bytes) -> None:
        await trio.sleep(DELAY_S)
        if topic is Topic.L1_BLOCK:
            await receiver.chain.import_envelope(message, origin="peer")
        else:
            await receiver.chain.on_votes(decode_votes(message), origin="peer")

    def messages(self, sender: int, topic: Topic) -> list[bytes]:
        """What a process has gossiped on a topic."""
        return [message for number, on, message in self.sent if (number, on) == (sender, topic)]

    async def until_slot(self, slot: int, fraction: float = 0.9) -> None:
        """Let time pass."""
        await self.processes[0].clock.sleep_until_slot(slot, fraction)


def signer_keys(count: int) -> list[ValidatorKey]:
    """The keys of the harness's network, as the signer holds them."""
    return [
        ValidatorKey(private_key=key.private.private_bytes_raw(), onion_seed=key.onion_seed)
        for key in make_keys(count)
    ]


@asynccontextmanager
async def running(
    processes: int = 4,
    *,
    keys_each: int = 1,
    parameters: Parameters | None = None,
    slot: float = 3.5,
) -> AsyncIterator[Network]:
    """A network at work, its services started."""
    harness = make_network(processes * keys_each, parameters)
    keys = signer_keys(processes * keys_each)
    async with trio.open_nursery() as nursery:
        network = Network(genesis=harness.genesis, processes=[], nursery=nursery)
        for number in range(processes):
            own = keys[number * keys_each : (number + 1) * keys_each]
            machine = Machine(network=harness)
            clock = clock_at(harness.genesis, slot)
            chain = await machine.open(clock)
            protection = SlashingProtection(
                None,
                genesis_hash=chain.genesis.hash,
                slots_per_epoch=chain.rules.parameters.slots_per_epoch,
            )
            public_keys = [key.public_key for key in own]
            protection.register(public_keys, new=frozenset(public_keys))
            process = Process(
                number=number,
                machine=machine,
                protection=protection,
                signer=Signer(own, protection, chain.rules.domains),
                clock=clock,
                chain=chain,
            )
            network.processes.append(process)
        for process in network.processes:
            await start(network, process)
        yield network
        nursery.cancel_scope.cancel()
    for process in network.processes:
        process.protection.close()


async def start(network: Network, process: Process) -> None:
    """Start a process's tasks."""
    engine = process.machine.engine
    assert engine is not None
    process.service = ValidatorService(
        ValidatorParts(
            chain=process.chain,
            clock=process.clock,
            engine=engine,
            pool=process.pool,
            signer=process.signer,
            worker=InlineWorker(),
            publish=lambda topic, message: network.publish(process, topic, message),
            is_syncing=lambda: process.is_syncing,
            metrics=ValidatorMetrics(process.registry),
            faults=process.faults,
            fresh_keys=process.fresh_keys,
        )
    )
    await network.nursery.start(process.chain.run)
    await network.nursery.start(process.faults.run)
    await network.nursery.start(process.service.run)
