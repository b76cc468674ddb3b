"""One computer of a simulated network: what its disk holds outlives its processes, which may die at any step.

    host.start() -> open_core over the disk -> CoreNode.run, follow_chain      host.crash() | crash_after | crash_at_write
                        ^                                                            |
                        +------------------------- host.start() ---------------------+

A process is the node as `node.app.assembly` runs it, without libp2p, JSON-RPC and health.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.app.core import CoreEngine, CoreNode, Surroundings, open_core
from node.app.following import follow_chain
from node.blobs.files import MemoryFiles
from node.chain.chain import Chain, ChainOptions
from node.chain.events import BlockImported, Finalized, HeadChanged
from node.consensus.genesis import Genesis
from node.consensus.signing import SignatureVerifier
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine, StepCallable
from node.p2p.network import PeerId, Topic
from node.runtime.clock import SlotClock, WallClock
from node.runtime.faults import FaultBoard
from node.storage.chain_database import ChainDatabase
from node.validator.keys import ValidatorKey
from node.validator.slashing_protection import SlashingProtection
from tests.kit.memory_network import MemoryHub, MemoryNetwork
from tests.kit.memory_tables import Disk, Killed, MemoryTables
from tests.simulation.engine import SimulatedEngine, StateDisk
from tests.simulation.witness import Witness

Answer = TypeVar("Answer")

OBSERVED_EVENTS_MAX: Final = 1 << 16
"""The observer must not miss an event, whatever a node does in one step."""


class ObservedNetwork(MemoryNetwork):
    """Tells a witness what its process publishes."""

    def __init__(self, hub: MemoryHub, name: str, peer_id: PeerId, witness: Witness) -> None:
        super().__init__(hub, name, peer_id)
        self._observed_name = name
        self._witness = witness

    def publish(self, topic: Topic, message: bytes) -> None:
        """Gossip a message to everybody else."""
        self._witness.sent(self._observed_name, topic, message)
        super().publish(topic, message)


class BrittleWorker:
    """Runs work in place, and ends its process before or after some piece of it if told to."""

    def __init__(self) -> None:
        self.pieces_left: int | None = None
        """The process dies in so many pieces; None: it does not."""
        self.dies_after_work = False
        """Whether the last piece is still done, and its outcome lost."""
        self.scope = trio.CancelScope()
        """What dies."""

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` and give what it gives."""
        is_last = self._count_down()
        if is_last and not self.dies_after_work:
            self.scope.cancel()
        await trio.lowlevel.checkpoint()
        answer = work()
        if is_last:
            self.scope.cancel()
            await trio.lowlevel.checkpoint()
        return answer

    def _count_down(self) -> bool:
        if self.pieces_left is None:
            return False
        self.pieces_left -= 1
        return self.pieces_left < 0


class EngineMaker(Protocol):
    """Opens a host's engine anew, for one process."""

    def __call__(self) -> AbstractContextManager[CoreEngine]: ...


class NodeOpener(Protocol):
    """Opens a node, honest or not."""

    async def __call__(self, around: Surroundings) -> CoreNode: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all hosts of a network share."""

    genesis: Genesis
    """What everybody starts from."""
    genesis_hash: Hash32
    """Its block."""
    hub: MemoryHub
    """The network."""
    wall: WallClock
    """Everybody's wall clock; skew is the processes' own."""
    verify: SignatureVerifier
    """Ed25519, each signature once for all hosts."""
    witness: Witness
    """Who sees everything."""
    nursery: trio.Nursery
    """Where processes run."""
    options: ChainOptions
    """Of every chain."""

    def clock(self) -> SlotClock:
        """A slot clock of one process."""
        return SlotClock(
            genesis_time_ms=1_000 * self.genesis.time,
            slot_duration_ms=1_000 * self.genesis.parameters.slot_seconds,
            wall=self.wall,
        )

    def new_protection(self, keys: Sequence[ValidatorKey]) -> SlashingProtection:
        """A signer database without history."""
        protection = SlashingProtection(
            None,
            genesis_hash=self.genesis_hash,
            slots_per_epoch=self.genesis.parameters.slots_per_epoch,
        )
        public_keys = [key.public_key for key in keys]
        protection.register(public_keys, new=frozenset(public_keys))
        return protection


@dataclass(slots=True, kw_only=True)
class Host:
    """A computer with a name."""

    site: Site
    """Where it stands."""
    name: str
    """Its process's name in the manifest."""
    keys: Sequence[ValidatorKey] = ()
    """Its validators."""
    protection: SlashingProtection | None = None
    """Its signer database; made when first needed."""
    disk: Disk = field(default_factory=Disk)
    """The chain's tables."""
    states: StateDisk = field(default_factory=StateDisk)
    """The simulated engine's states."""
    blob_files: MemoryFiles = field(default_factory=MemoryFiles)
    """Its blobs."""
    make_engine: EngineMaker | None = None
    """Opens another engine than the simulated one."""
    opener: NodeOpener = open_core
    """What runs on it."""
    core: CoreNode | None = None
    """The running node."""
    lives: int = 0
    """Processes started so far."""
    worker: BrittleWorker = field(default_factory=BrittleWorker)
    """Of the running process."""
    kill_at_write: tuple[int, bool] | None = None
    """Which write of the disk ends the process, and whether it is still done."""
    _tables: MemoryTables | None = None
    _changed: trio.Event = field(default_factory=trio.Event)
    _fresh_keys: frozenset[bytes] = frozenset()

    # -- asked

    @property
    def is_up(self) -> bool:
        """Whether its node runs."""
        return self.core is not None

    @property
    def chain(self) -> Chain:
        """The running node's chain."""
        assert self.core is not None, f"{self.name} is down"
        return self.core.chain

    def slot_of(self, block_hash: Hash32) -> int:
        """Slot of an imported block."""
        return self.site.witness.blocks[block_hash].slot

    # -- done to it

    async def start(self) -> bool:
        """Start a process; False if it died while it was opening."""
        assert not self.is_up, f"{self.name} runs already"
        self.lives += 1
        if self.keys and self.protection is None:
            self.protection = self.site.new_protection(self.keys)
            self._fresh_keys = frozenset(key.public_key for key in self.keys)
        self._changed = trio.Event()
        self.site.nursery.start_soon(self._live)
        await self._changed.wait()
        return self.is_up

    async def crash(self) -> None:
        """End the process here and now; nothing to do if it is down."""
        if self.is_up:
            self.worker.scope.cancel()
            await self.died()

    async def died(self) -> None:
        """Return when the process has ended."""
        while self.is_up:
            await self._changed.wait()

    def crash_after(self, pieces: int, *, after_work: bool) -> None:
        """End the process after so many pieces of long work from now, before or after the next one."""
        self.worker.pieces_left, self.worker.dies_after_work = pieces, after_work

    def crash_at_write(self, writes: int, *, after_write: bool) -> None:
        """End the process at one of the next writes to its disk."""
        self.kill_at_write = (self.disk.writes + writes, after_write)
        tables = self._tables
        if tables is not None:
            tables._dies_at = self.kill_at_write

    def spare(self) -> None:
        """Take back every death that was announced."""
        self.worker.pieces_left, self.kill_at_write = None, None
        if self._tables is not None:
            self._tables._dies_at = None

    def lose_signer_history(self, *, admitted: bool) -> None:
        """Forget the signer database; `admitted` means that the process will know that its keys have no history."""
        assert not self.is_up
        self.protection = self.site.new_protection(self.keys)
        self._fresh_keys = (
            frozenset(key.public_key for key in self.keys) if admitted else frozenset()
        )

    def lose_chain(self) -> None:
        """Forget every block and every state."""
        assert not self.is_up
        self.disk, self.states = Disk(), StateDisk()
        self.site.witness.forget(self.name)

    async def inject(self, fault: str, parameters: Mapping[str, object] | None = None) -> None:
        """Break something on purpose, as `devnet_break` would."""
        assert self.core is not None
        await self.core.faults.inject(fault, parameters or {})

    async def heal(self, fault: str | None = None) -> None:
        """Stop it."""
        if self.core is not None:
            await self.core.faults.heal(fault)

    # -- its process

    async def _live(self) -> None:
        structlog.contextvars.bind_contextvars(process=self.name)
        try:
            await self._process()
        except* Killed:
            self.site.witness.note("killed", self.name)
        finally:
            self.core, self._tables, self.kill_at_write = None, None, None
            self._fresh_keys = frozenset()
            self._announce()

    async def _process(self) -> None:
        site = self.site
        peer_id = site.hub.network(self.name).peer_id
        network = ObservedNetwork(site.hub, self.name, peer_id, site.witness)
        self.worker = worker = BrittleWorker()
        self._tables = MemoryTables(self.disk, dies_at=self.kill_at_write)
        # The network outlives who speaks through it.
        async with trio.open_nursery() as outer:
            with self._engine() as engine, worker.scope:
                core = await self.opener(self._surroundings(engine, network, worker))
                await outer.start(network.run)
                async with trio.open_nursery() as inner:
                    inner.start_soon(self._observe, core.chain)
                    await inner.start(core.run)
                    await inner.start(follow_chain, core.chain, core.pool, None)
                    self.core = core
                    self._announce()
            outer.cancel_scope.cancel()

    def _engine(self) -> AbstractContextManager[CoreEngine]:
        if self.make_engine is not None:
            return self.make_engine()
        genesis = self.site.genesis
        engine = SimulatedEngine(
            genesis_time=genesis.time, extra_data=genesis.extra_data, disk=self.states
        )
        return nullcontext(engine)

    def _surroundings(
        self, engine: CoreEngine, network: MemoryNetwork, worker: BrittleWorker
    ) -> Surroundings:
        site = self.site
        assert self._tables is not None
        return Surroundings(
            genesis=site.genesis,
            engine=engine,
            database=ChainDatabase(self._tables, folder=self.name),
            network=network,
            clock=site.clock(),
            worker=worker,
            duty_worker=worker,
            registry=CollectorRegistry(),
            verify=site.verify,
            options=site.options,
            journal=None,
            keys=self.keys,
            protection=self.protection,
            fresh_keys=self._fresh_keys,
            faults=FaultBoard(),
            name=self.name,
            blob_files=self.blob_files,
        )

    async def _observe(self, chain: Chain) -> None:
        witness = self.site.witness
        witness.look(self.name, chain)
        with chain.subscribe(OBSERVED_EVENTS_MAX) as events:
            async for event in events:
                if isinstance(event, BlockImported):
                    state = chain.consensus_state(event.block.hash)
                    if state is not None:
                        witness.imported(self.name, event, state)
                elif isinstance(event, Finalized):
                    witness.finalized(self.name, event, chain)
                elif isinstance(event, HeadChanged) and event.dropped:
                    witness.reorganized(self.name, len(event.dropped))
                witness.look(self.name, chain)
        assert not events.lapsed, "the observer sees every event"

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@contextmanager
def opened(
    document: bytes, folder: Path | None, *, step: StepCallable | None = None
) -> Iterator[RevmEngine]:
    """The native engine over a folder, or in memory; `step` answers L1's precompile."""
    engine = RevmEngine(document, folder=folder, cache_megabytes=4, step=step)
    try:
        yield engine
    finally:
        engine.close()
