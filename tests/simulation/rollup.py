"""The L2 in a simulated network: a sequencer and replicas beside the validators, their users, and who watches all of them.

    simulate_rollup(script, Plan(seed=7)) -> L1 (network.py, native engine) + sequencer + replicas -> script(rollup)
                                                |
                                                +-> inspector: every L2 node, every slot -> RollupWitness

A process is what `sequencer.app.core` opens, over memory tables, a journal in a folder and engines in folders: a crash loses
what a kill -9 loses. Invariants: what is final stays and is the same everywhere; a node that has read L1's head is safe
up to exactly what the Inbox holds there; nobody follows a stranger's unsafe block; every acknowledged transaction and every
deposit is there in the end.
Deliberately absent: sockets, JSON-RPC, and what happens (the tests).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Protocol, TypeVar

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.app.core import CoreEngine, Surroundings as L1Surroundings, open_core
from node.app.following import follow_chain
from node.eth.hashing import keccak256
from node.execution.adapter import RevmEngine
from node.p2p.network import Topic
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.storage.chain_database import ChainDatabase
from sequencer.app.core import (
    ReplicaRole,
    RollupNode,
    SequencerRole,
    Surroundings,
    Task,
    open_rollup,
)
from sequencer.batching.options import BatchingOptions
from sequencer.batching.signing import L1Account
from sequencer.building.limits import SealingLimits
from sequencer.heads import ChainOptions
from tests.kit.memory_tables import Disk, Killed, MemoryTables
from tests.kit.real_rollup import (
    BATCHER_SECRET,
    Documents,
    deposit_call,
)
from tests.kit.transfers import Sender, sign_transfer
from tests.simulation.hosts import BrittleWorker, EngineMaker, opened
from tests.simulation.network import Plan, Simulation, simulate
from tests.simulation.rollup_documents import (
    DEPOSITOR,
    FORCER_SECRETS,
    USERS,
    documents_of,
    sequencer_key,
)
from tests.simulation.rollup_witness import RollupWitness
from tests.simulation.strangers import STRANGERS_HOST, forged

Answer = TypeVar("Answer")
Network = TypeVar("Network", bound="Rollup")

NEXT_BLOCK: Final = keccak256(b"nextBlock()")[:4]
"""Of the Inbox."""

ANSWER_S: Final = 4.0
"""How long a user waits for an answer."""


class Beside(Protocol):
    """Opens what a process does beside its L2 node; `closing` closes it."""

    def __call__(
        self, host: RollupHost, around: Surroundings, node: RollupNode, closing: ExitStack
    ) -> Task | None: ...


@dataclass(slots=True, kw_only=True)
class RollupHost:
    """A computer with an L2 process."""

    simulation: Simulation
    """The network it stands in."""
    documents: Documents
    """What it starts from."""
    name: str
    """Its process's name in the manifest."""
    folder: Path
    """Its files."""
    forcer: L1Account | None = None
    """Forces the Inbox on."""
    beside: Beside | None = None
    """What else the process does."""
    node: RollupNode | None = None
    """The running process."""
    l1_disk: Disk = field(default_factory=Disk)
    l2_disk: Disk = field(default_factory=Disk)
    worker: BrittleWorker = field(default_factory=BrittleWorker)
    lives: int = 0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Metrics of the process that runs now, or ran last."""
    _l1_engine: RevmEngine | None = None
    _tables: MemoryTables | None = None
    _changed: trio.Event = field(default_factory=trio.Event)

    @property
    def is_sequencer(self) -> bool:
        return self.name == "sequencer"

    @property
    def running(self) -> RollupNode:
        """The running node."""
        assert self.node is not None, f"{self.name} is down"
        return self.node

    async def start(self) -> None:
        """Start a process, and wait until it is up."""
        assert self.node is None, f"{self.name} runs already"
        self.lives += 1
        self._changed = trio.Event()
        self.simulation.site.nursery.start_soon(self._live)
        await self._changed.wait()
        assert self.node is not None, f"{self.name} does not start"

    async def crash(self) -> None:
        """End the process here and now: nothing more reaches its tables."""
        if self.node is None:
            return
        assert self._tables is not None
        self._tables._dies_at = (self.l2_disk.writes, False)
        self.worker.scope.cancel()
        while self.node is not None:
            await self._changed.wait()

    def lose_disk(self) -> None:
        """Forget everything."""
        assert self.node is None
        self.l1_disk, self.l2_disk = Disk(), Disk()
        self.folder = self.folder.with_name(f"{self.folder.name}-{self.lives}")
        self.simulation.witness.forget(self.name)

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the running process."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def next_block(self) -> int:
        """What the Inbox of this node's L1 head says."""
        engine, head = self._l1_engine, self.running.l1.chain.head
        assert engine is not None
        call = {
            "to": "0x" + self.documents.parameters.inbox.hex(),
            "data": "0x" + NEXT_BLOCK.hex(),
        }
        answer = engine.call(
            head.header.state_root,
            head.header.encode(),
            b"",
            json.dumps(call).encode(),
            gas_cap=1_000_000,
        )
        assert answer.status == "success", answer
        return int.from_bytes(answer.output)

    async def _live(self) -> None:
        structlog.contextvars.bind_contextvars(process=self.name)
        try:
            await self._process()
        except* Killed:
            self.simulation.witness.note("killed", self.name)
        finally:
            self.node = None
            self._changed.set()

    async def _process(self) -> None:
        site = self.simulation.site
        network = site.hub.network(self.name)
        self.worker = worker = BrittleWorker()
        self._tables = MemoryTables(self.l2_disk)
        faults = FaultBoard(faults_of("sequencer" if self.is_sequencer else "replica"))
        self.registry = registry = CollectorRegistry()
        clock = site.clock()
        with ExitStack() as closing:
            l1_engine = closing.enter_context(
                opened(self.documents.l1, self.folder / "l1", step=self.documents.step)
            )
            engine = closing.enter_context(opened(self.documents.l2, self.folder / "l2" / "states"))
            self._l1_engine = l1_engine
            async with trio.open_nursery() as outer:
                with worker.scope:
                    core = await open_core(
                        L1Surroundings(
                            genesis=site.genesis,
                            engine=l1_engine,
                            database=ChainDatabase(MemoryTables(self.l1_disk), folder=self.name),
                            network=network,
                            clock=clock,
                            worker=worker,
                            duty_worker=worker,
                            registry=registry,
                            verify=site.verify,
                            options=site.options,
                            journal=None,
                            keys=(),
                            protection=None,
                            fresh_keys=frozenset(),
                            faults=faults,
                            name=self.name,
                        )
                    )
                    around = Surroundings(
                        parameters=self.documents.parameters,
                        l1=core,
                        l1_engine=l1_engine,
                        engine=engine,
                        tables=self._tables,
                        folder=self.folder / "l2",
                        network=network,
                        clock=clock,
                        worker=worker,
                        duty_worker=worker,
                        registry=registry,
                        verify=site.verify,
                        options=ChainOptions(),
                        faults=faults,
                        role=self._role(),
                        forcer=self.forcer,
                    )
                    node = await open_rollup(around)
                    task = None if self.beside is None else self.beside(self, around, node, closing)
                    await outer.start(network.run)
                    async with trio.open_nursery() as inner:
                        await inner.start(core.run)
                        await inner.start(follow_chain, core.chain, core.pool, None)
                        await inner.start(node.run)
                        if task is not None:
                            await inner.start(task)
                        self.node = node
                        self._announce()
                outer.cancel_scope.cancel()

    def _role(self) -> SequencerRole | ReplicaRole:
        if not self.is_sequencer:
            return ReplicaRole(sequencer="sequencer")
        return SequencerRole(
            sign=sequencer_key().sign,
            batcher=L1Account(BATCHER_SECRET, 900),
            sealing=SealingLimits(),
            batching=BatchingOptions(interval_ms=2_000),
            brotli_quality=5,
        )

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Rollup:
    """A running network with an L2, in the hands of a script."""

    def __init__(self, simulation: Simulation, documents: Documents, folder: Path) -> None:
        self.simulation: Final = simulation
        """Its L1."""
        self.documents: Final = documents
        """What it starts from."""
        self.witness: Final = RollupWitness()
        """Sees everything."""
        self.sequencer: Final = self._host("sequencer", folder, None)
        """Builds and posts."""
        self.replicas: Final = tuple(
            self._host(f"replica-{place}", folder, L1Account(secret, 900))
            for place, secret in enumerate(FORCER_SECRETS[:2])
        )
        """Derive, follow and forward."""
        self.stranger: Final = simulation.hub.network(STRANGERS_HOST)
        """Gossips with a key that nobody trusts."""
        self._nonces = dict.fromkeys((user.address for user in USERS), 0)
        self._deposits: list[bytes] = []
        self.sends = True
        """Whether users send."""

    def _host(self, name: str, folder: Path, forcer: L1Account | None) -> RollupHost:
        self.simulation.hub.network(name)
        return RollupHost(
            simulation=self.simulation,
            documents=self.documents,
            name=name,
            folder=folder / name,
            forcer=forcer,
        )

    @property
    def dice(self) -> Random:
        """The script's own."""
        return self.simulation.dice

    @property
    def hosts(self) -> tuple[RollupHost, ...]:
        """All L2 computers."""
        return (self.sequencer, *self.replicas)

    @property
    def names(self) -> set[str]:
        """All computers of both chains, and the stranger's."""
        return {*self.simulation.hosts, *(host.name for host in self.hosts), STRANGERS_HOST}

    @property
    def up(self) -> list[RollupHost]:
        """Those whose process runs."""
        return [host for host in self.hosts if host.node is not None]

    # -- users

    async def use(self, user: Sender) -> None:
        """Send one transfer after the other through any node, for ever; what is answered is acknowledged."""
        while True:
            await trio.sleep(self.dice.uniform(0.05, 1.0))
            hosts = self.up
            if not hosts or not self.sends:
                continue
            host = self.dice.choice(hosts)
            nonce = self._nonces[user.address]
            raw = sign_transfer(
                user,
                nonce=nonce,
                to=b"\x77" * 20,
                value=1,
                max_fee_per_gas=10**9,
                max_priority_fee_per_gas=0,
                chain_id=self.documents.parameters.chain_id,
            )
            with trio.move_on_after(ANSWER_S):
                submitted = await host.running.pool.submit(raw)
                if submitted.refusal is None:
                    self.witness.acknowledged[keccak256(raw)] = host.name
                if submitted.refusal is None or "nonce too low" in submitted.refusal:
                    self._nonces[user.address] = nonce + 1

    async def deposit(self) -> None:
        """Deposit ETH through any validator's node."""
        hosts = self.simulation.up
        if not hosts:
            return
        host = self.dice.choice(hosts)
        assert host.core is not None
        to = b"\xdd" * 18 + len(self._deposits).to_bytes(2)
        raw = sign_transfer(
            DEPOSITOR,
            nonce=len(self._deposits),
            to=self.documents.parameters.portal,
            value=10**15,
            gas_limit=1_000_000,
            data=deposit_call(to, 10**15),
        )
        submitted = await host.core.pool.submit(raw)
        if submitted.refusal is None:
            self.witness.deposits[to] = 10**15
            self._deposits.append(raw)

    # -- a stranger

    def forge(self) -> None:
        """Gossip an unsafe block that lacks nothing but the sequencer's signature."""
        hosts = self.up
        made = hosts and forged(self.dice.choice(hosts).running, self.documents.parameters)
        if made:
            self.witness.forged.add(made[0])
            self.stranger.publish(Topic.L2_BLOCK, made[1])

    # -- the end

    async def heal(self) -> None:
        """Undo everything that was done."""
        self.simulation.heal()
        for host in self.simulation.hosts.values():
            await host.heal()
            if not host.is_up:
                assert await host.start()
        for one in self.hosts:
            if one.node is None:
                await one.start()
            await one.running.faults.heal()
        await self._deposit_again()

    async def _deposit_again(self) -> None:
        """Hand in every deposit anew: a node that died with it in its pool promised nothing."""
        core = self.simulation.host(0).core
        assert core is not None
        for raw in self._deposits:
            await core.pool.submit(raw)

    def is_settled(self) -> bool:
        """Whether all nodes hold one chain, and L1 holds all of it but the last blocks."""
        heads = {host.running.chain.canonical_hash(self._lowest_safe()) for host in self.hosts}
        return len(heads) == 1 and not self.missing()

    def _lowest_safe(self) -> int:
        return min(host.running.chain.safe.header.number for host in self.hosts)

    def missing(self) -> list[str]:
        """What was acknowledged or deposited and is not in every node's safe chain."""
        found: list[str] = []
        for host in self.hosts:
            chain = host.running.chain
            for transaction_hash in self.witness.acknowledged:
                place = chain.transaction_block(transaction_hash)
                if place is None or place[0].header.number > chain.safe.header.number:
                    found.append(f"{host.name}: transaction 0x{transaction_hash[:4].hex()}")
            for to, wei in self.witness.deposits.items():
                if self.balance(host, to) != wei:
                    found.append(f"{host.name}: deposit to 0x{to.hex()}")
        return found

    def balance(self, host: RollupHost, address: bytes) -> int:
        """Wei at a node's safe head."""
        chain = host.running.chain
        engine = host.running.deriver._engine
        assert isinstance(engine, RevmEngine)
        return engine.accounts(chain.safe.header.state_root, [address])[0][1]

    # -- running

    async def inspect(self) -> None:
        """Look at every L2 node once a slot, for ever."""
        clock = self.simulation.clock
        while True:
            await clock.sleep_until_slot(self.simulation.slot + 1, 0.6)
            for host in self.up:
                self.look(host)

    def look(self, host: RollupHost) -> None:
        """Hold one node against the invariants. Raises InvariantBroken."""
        self.witness.look(host)


def simulate_rollup(
    script: Callable[[Rollup], Awaitable[Answer]], plan: Plan, folder: Path
) -> Answer:
    """Start a network with an L2, run a script while users send, look once more. Raises InvariantBroken."""
    documents = documents_of(plan)
    return run_rollup(
        script, plan, folder, documents, lambda simulation: Rollup(simulation, documents, folder)
    )


def run_rollup(
    script: Callable[[Network], Awaitable[Answer]],
    plan: Plan,
    folder: Path,
    documents: Documents,
    make: Callable[[Simulation], Network],
) -> Answer:
    """The same for a network that is more than an L2."""

    def make_engine(name: str) -> EngineMaker:
        def make() -> AbstractContextManager[CoreEngine]:
            return opened(documents.l1, folder / name if name else None, step=documents.step)

        return make

    async def main(simulation: Simulation) -> Answer:
        rollup = make(simulation)
        async with trio.open_nursery() as nursery:
            await nursery.start(rollup.stranger.run)
            for host in rollup.hosts:
                await host.start()
            nursery.start_soon(rollup.inspect)
            for user in USERS:
                nursery.start_soon(rollup.use, user)
            answer = await script(rollup)
            for host in rollup.up:
                rollup.look(host)
            nursery.cancel_scope.cancel()
        return answer

    return simulate(main, plan, make_engine=make_engine)
