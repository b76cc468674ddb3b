"""A chain in a test: fake engine, tables in memory, trio's clock, everything inline.

network = make_network(4)                      keys, genesis, a builder of blocks
machine = Machine(network)                     what outlives a process
async with machine.running(slot=4) as chain:   one process; again: a restart
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from prometheus_client import CollectorRegistry

from node.chain.chain import Chain, ChainOptions, open_chain
from node.chain.importing import BlobAvailability
from node.chain.metrics import ChainMetrics
from node.consensus.genesis import Genesis
from node.consensus.parameters import Parameters
from node.consensus.signing import SignedMessage
from node.eth.headers import Header
from node.runtime.clock import SlotClock, TrioClock
from node.runtime.worker import InlineWorker
from node.storage.chain_database import ChainDatabase
from tests.kit.chain_builder import ChainBuilder, make_genesis, make_keys, verify_slowly
from tests.kit.fake_engine import EngineDisk, FakeEngine
from tests.kit.memory_tables import Disk, MemoryTables


@dataclass(frozen=True, slots=True, kw_only=True)
class TestNetwork:
    """Validators, their genesis, and somebody who makes their blocks."""

    __test__ = False

    genesis: Genesis
    """What everybody starts from."""
    builder: ChainBuilder
    """Makes blocks and votes."""


def make_network(validators: int = 4, parameters: Parameters | None = None) -> TestNetwork:
    """The same network every time."""
    keys = make_keys(validators)
    genesis = make_genesis(keys, parameters)
    return TestNetwork(genesis=genesis, builder=ChainBuilder(genesis, keys, make_engine(genesis)))


def make_engine(
    genesis: Genesis,
    disk: EngineDisk | None = None,
    before_execute: Callable[[Header], None] | None = None,
) -> FakeEngine:
    """A fake engine of a network."""
    return FakeEngine(
        genesis_time=genesis.time,
        extra_data=genesis.extra_data,
        disk=disk,
        before_execute=before_execute,
    )


def clock_at(genesis: Genesis, slot: float) -> SlotClock:
    """A slot clock that says this slot now and goes on with trio's clock."""
    duration_ms = 1_000 * genesis.parameters.slot_seconds
    genesis_ms = 1_000 * genesis.time
    now_ms = round(1_000 * trio.current_time())
    started_at_ms = genesis_ms + round(slot * duration_ms) - now_ms
    return SlotClock(
        genesis_time_ms=genesis_ms,
        slot_duration_ms=duration_ms,
        wall=TrioClock(started_at_ms=started_at_ms),
    )


@dataclass(slots=True, kw_only=True)
class CountingVerifier:
    """A verifier that counts what it is asked."""

    asked: int = 0
    """Signatures verified."""
    calls: int = 0
    """Lists given."""

    def __call__(self, messages: Sequence[SignedMessage]) -> list[bool]:
        """Verify in order."""
        self.calls += 1
        self.asked += len(messages)
        return verify_slowly(messages)


@dataclass(slots=True, kw_only=True)
class Machine:
    """What a process leaves behind, and how to start one."""

    network: TestNetwork
    """Whose chain it follows."""
    disk: Disk = field(default_factory=Disk)
    """The chain's tables."""
    engine_disk: EngineDisk = field(default_factory=EngineDisk)
    """The engine's states."""
    dies_at: tuple[int, bool] | None = None
    """Which write kills the next process; see MemoryTables."""
    before_execute: Callable[[Header], None] | None = None
    """Called before a block is executed."""
    options: ChainOptions = field(default_factory=ChainOptions)
    """Of its chain."""
    engine: FakeEngine | None = None
    """The last process's."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """The last process's."""
    blobs: BlobAvailability | None = None
    """Which blobs are here; without, no block waits for any."""
    verifier: CountingVerifier = field(default_factory=CountingVerifier)
    """Counts signatures of all processes."""

    async def open(self, clock: SlotClock) -> Chain:
        """Start a process: a chain whose tasks do not run yet."""
        genesis = self.network.genesis
        self.engine = make_engine(genesis, self.engine_disk, self.before_execute)
        self.registry = CollectorRegistry()
        return await open_chain(
            genesis=genesis,
            engine=self.engine,
            database=ChainDatabase(
                MemoryTables(self.disk, dies_at=self.dies_at), folder="the folder"
            ),
            verify=self.verifier,
            worker=InlineWorker(),
            clock=clock,
            metrics=ChainMetrics(self.registry),
            options=self.options,
            blobs=self.blobs,
        )

    @asynccontextmanager
    async def running(self, slot: float) -> AsyncIterator[Chain]:
        """A process whose chain runs, at this slot."""
        chain = await self.open(clock_at(self.network.genesis, slot))
        async with trio.open_nursery() as nursery:
            await nursery.start(chain.run)
            yield chain
            nursery.cancel_scope.cancel()

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the last process."""
        return self.registry.get_sample_value(name, labels) or 0.0
