"""The part of an L2 process that a simulation runs too: its L1 node, and around it the L2 of its role.

    Surroundings -> open_rollup -> RollupNode.run
      both      : L1 full node without keys -> L1View -> Deriver -> L2Chain;  Forcer (with a key of its own)
      sequencer : Builder (pool, sealing) -> L2Chain -> Publisher, Batcher
      replica   : Follower -> L2Chain;  ForwardingPool -> the sequencer

A full node without keys and no headers-only follower: what it derives from it has verified itself, its pool carries batches
into gossip, and a process more costs the L1 nothing but one peer (figures in the package's README).
Deliberately absent: sockets, files and signals (`assembly`), JSON-RPC and health.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Protocol

import trio
from prometheus_client import CollectorRegistry

from node.app.core import CoreNode, chain_lag
from node.consensus.signing import SignatureVerifier
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.adapter import encode_batch
from node.execution.engine import ChainTables, Engine, L2Engine
from node.execution.stepping import read_batch
from node.p2p.network import Network, RequestFailed, RequestKind, Topic
from node.rollup.parameters import RollupParameters
from node.rollup.unsafe import unsafe_domain
from node.rpc.backend import Intake, Pool
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from sequencer.batching.forcing import Forcer, overdue_origin
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.misbehaving import Misbehaviour
from sequencer.batching.options import BatchingOptions
from sequencer.batching.packing import Packer, PackingLimits
from sequencer.batching.service import Batcher, BatcherParts
from sequencer.batching.signing import L1Account
from sequencer.batching.unposted import Unposted
from sequencer.building.limits import SealingLimits
from sequencer.building.parts import BuilderParts
from sequencer.building.service import Builder
from sequencer.deriving.book import RecordBook
from sequencer.deriving.deriver import Deriver
from sequencer.deriving.metrics import DerivingMetrics
from sequencer.events import HeadChanged
from sequencer.gossiping.following import Follower
from sequencer.gossiping.forwarding import ForwardingPool
from sequencer.gossiping.metrics import GossipMetrics
from sequencer.gossiping.publishing import Publisher
from sequencer.gossiping.submitting import serve_submissions
from sequencer.heads import ChainOptions, L2Chain, open_l2_chain
from sequencer.l1.claims import claimed_blocks
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View

CURRENT_LAG_SLOTS: Final = 3
"""An L1 head that is older than this is not built on at first: a proposer may have missed its slot."""

CURRENT_TIMEOUT_S: Final = 12.0
"""How long a starting sequencer waits for that."""

FRESH_BLOCKS: Final = 1
"""An Inbox that has just been forced on is built on: whoever forces it next leaves two L1 blocks until then."""

LOOK_AGAIN_S: Final = 0.5
"""Slots pass without L1 moving."""


class ToldOfHeads(Protocol):
    """Hears of every change of the head; waits for nobody."""

    def head_moved(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """New blocks ascending, dropped ones from the old head down."""


class Task(Protocol):
    """A part of a process; says when it has started, and runs until cancelled."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[object]:
        """Run."""


class L2Pool(Pool, Intake, Protocol):
    """What takes users' transactions: the builder's pool, or a replica's way to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencerRole:
    """What a sequencer has and a replica has not."""

    sign: Callable[[Hash32], bytes]
    """Ed25519 of 32 bytes with the key that unsafe blocks are signed with."""
    batcher: L1Account
    """Pays for batches."""
    sealing: SealingLimits
    """When blocks are closed."""
    batching: BatchingOptions
    """How they are posted."""
    brotli_quality: int
    """How hard a batch is compressed; 0 to 11."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRole:
    """What a replica has and a sequencer has not."""

    sequencer: str | None
    """Name of the peer that transactions go to; None forwards nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an L2 process stands in."""

    parameters: RollupParameters
    """Of the rollup."""
    l1: CoreNode
    """Its own full node."""
    l1_engine: Engine
    """Execution of L1."""
    engine: L2Engine
    """Execution of the L2."""
    tables: ChainTables
    """The L2's."""
    folder: Path
    """For the L2's journal."""
    network: Network
    """Peers, of both chains."""
    clock: SlotClock
    """Wall time."""
    worker: Worker
    """Where L2 blocks are executed and saved."""
    duty_worker: Worker
    """Where blocks are sealed; a thread of its own."""
    registry: CollectorRegistry
    """Where metrics go."""
    verify: SignatureVerifier
    """Ed25519, strict."""
    options: ChainOptions
    """What of the L2 is kept."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    role: SequencerRole | ReplicaRole
    """What it does."""
    forcer: L1Account | None
    """Pays for forced records; None forces nothing."""


class RollupNode:
    """An opened L2 process; `run` it after the network was told whom to serve."""

    def __init__(self, around: Surroundings, chain: L2Chain) -> None:
        self.chain: Final = chain
        """The L2's chain."""
        self.faults: Final = around.faults
        """What it does wrong on purpose."""
        self.l1: Final = L1View(around.l1.chain, around.l1_engine, around.parameters)
        """L1 as it sees it."""
        chain.claimed = partial(claimed_blocks, around.l1.chain, around.l1_engine)
        self.deriver: Final = Deriver(
            parameters=around.parameters,
            l1=self.l1,
            l2=chain,
            engine=around.engine,
            decode=read_batch,
            book=RecordBook(around.tables),
            worker=around.worker,
            metrics=DerivingMetrics(around.registry),
        )
        """Derives safe and finalized heads."""
        self._batching = BatchingMetrics(around.registry)
        self._gossip = GossipMetrics(around.registry)
        self._domain = unsafe_domain(
            around.parameters.chain_id, Hash32(around.engine.genesis().block_hash)
        )
        self._tasks: list[Task] = []
        self._opened: list[Callable[[], AbstractContextManager[None]]] = []
        """Files that are open before anything may change the chain, and until nothing does any more."""
        self.pool: Final = self._take_role(around)
        """What takes users' transactions."""
        if around.forcer is not None:
            self._tasks.append(self._forcer(around, around.forcer).run)

    async def run(
        self,
        rpc: ToldOfHeads | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Follow L1, derive, and do what the role asks for, until cancelled; `rpc` is told of every block."""
        with ExitStack() as files:
            for opened in self._opened:
                files.enter_context(opened())
            await self._run_tasks(rpc, task_status)

    async def _run_tasks(self, rpc: ToldOfHeads | None, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.chain.run)
            await nursery.start(self.l1.run)
            if rpc is not None:
                await nursery.start(partial(self._tell, rpc))
            await nursery.start(self.deriver.run)
            for task in self._tasks:
                await nursery.start(task)
            task_status.started()

    def lag(self, blocks_max: int) -> str | None:
        """Why L1's records are not derived closely enough; None when they are."""
        derived = self.deriver.derived.value
        if derived is None:
            return "L1's records are not derived yet"
        behind = self.l1.head.number - derived.block.number
        if behind > blocks_max:
            return f"derived up to {behind} L1 blocks ago, at most {blocks_max} is ready"
        return None

    # -- roles

    def _take_role(self, around: Surroundings) -> L2Pool:
        match around.role:
            case SequencerRole() as role:
                return self._sequence(around, role)
            case ReplicaRole() as role:
                return self._replicate(around, role)

    def _sequence(self, around: Surroundings, role: SequencerRole) -> L2Pool:
        builder = self._builder(around, role)
        publisher = Publisher(
            chain=self.chain,
            engine=around.engine,
            domain=self._domain,
            sign=role.sign,
            publish=partial(around.network.publish, Topic.L2_BLOCK),
            generation=around.clock.now_ms(),
            faults=around.faults,
            metrics=self._gossip,
        )
        around.network.serve(RequestKind.L2_BLOCKS, publisher.serve)
        around.network.serve(RequestKind.L2_SUBMIT, serve_submissions(builder))
        self._opened.append(builder.kept)
        build = partial(builder.run, partial(self._until_current, around))
        self._tasks += [build, publisher.run, self._batcher(around, role).run]
        return builder

    def _replicate(self, around: Surroundings, role: ReplicaRole) -> L2Pool:
        network = around.network

        async def ask(kind: RequestKind, body: bytes) -> bytes:
            peer = None if role.sequencer is None else network.names().get(role.sequencer)
            if peer is None:
                raise RequestFailed("no sequencer is known")
            return await network.request(peer, kind, body)

        follower = Follower(
            parameters=around.parameters,
            l1=self.l1,
            l2=self.chain,
            engine=around.engine,
            worker=around.worker,
            domain=self._domain,
            verify=around.verify,
            ask=partial(ask, RequestKind.L2_BLOCKS),
            metrics=self._gossip,
        )
        network.subscribe(Topic.L2_BLOCK, follower.on_gossip)
        pool = ForwardingPool(
            partial(ask, RequestKind.L2_SUBMIT),
            lambda transaction_hash: self.chain.transaction_block(transaction_hash) is not None,
        )
        self._tasks += [follower.run, pool.run, partial(self._show_blocks, pool)]
        return pool

    async def _until_current(self, around: Surroundings) -> None:
        """Wait until this process's L1 has caught up, and nobody may force the Inbox on just now: then blocks are built.

        What is built on an old L1, or races against `forceEmpty`, is dropped again. An L1 that stands still and an Inbox that
        nobody forces are waited for CURRENT_TIMEOUT_S; what is offered meanwhile waits.
        """
        with trio.move_on_after(CURRENT_TIMEOUT_S):
            while not self._is_current(around):
                with trio.move_on_after(LOOK_AGAIN_S):
                    await self.deriver.derived.past(self.deriver.derived.version)

    def _is_current(self, around: Surroundings) -> bool:
        inbox = self.deriver.derived.value
        if inbox is None or around.l1.sync_progress() is not None:
            return False
        window = around.parameters.sequencing_window_blocks
        forced = overdue_origin(inbox.tip, self.l1.head.number, window, FRESH_BLOCKS)
        lag = chain_lag(around.l1.chain, around.clock, CURRENT_LAG_SLOTS)
        return lag is None and forced is None

    def _builder(self, around: Surroundings, role: SequencerRole) -> Builder:
        return Builder(
            BuilderParts(
                parameters=around.parameters,
                chain=self.chain,
                engine=around.engine,
                l1=self.l1,
                derived=self.deriver.derived,
                worker=around.worker,
                sealing_worker=around.duty_worker,
                wall=around.clock,
                faults=around.faults,
                registry=around.registry,
                kept_file=around.folder / "transactions.journal",
                sealing=role.sealing,
            )
        )

    def _batcher(self, around: Surroundings, role: SequencerRole) -> Batcher:
        limits = PackingLimits(
            batch_bytes_max=around.parameters.batch_limit_bytes,
            decompressed_bytes_max=around.parameters.decompressed_limit_bytes,
        )
        packer = Packer(partial(encode_batch, quality=role.brotli_quality), limits)
        return Batcher(
            BatcherParts(
                parameters=around.parameters,
                account=role.batcher,
                l1=self.l1,
                derived=self.deriver.derived,
                unposted=Unposted(self.chain, around.engine.raw_transactions, packer),
                packer=packer,
                pool=around.l1.pool,
                worker=around.duty_worker,
                misbehaviour=Misbehaviour(around.faults),
                metrics=self._batching,
                options=role.batching,
            )
        )

    def _forcer(self, around: Surroundings, account: L1Account) -> Forcer:
        return Forcer(
            parameters=around.parameters,
            account=account,
            l1=self.l1,
            derived=self.deriver.derived,
            pool=around.l1.pool,
            metrics=self._batching,
        )

    # -- telling

    async def _show_blocks(
        self,
        pool: ForwardingPool,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Let the pool look whenever this replica's chain has changed."""
        task_status.started()
        while True:
            with self.chain.subscribe() as events:
                pool.look()
                async for _ in events:
                    pool.look()

    async def _tell(
        self,
        rpc: ToldOfHeads,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Tell JSON-RPC of every change of the head; one that came too fast for it, of the head alone."""
        task_status.started()
        while True:
            with self.chain.subscribe() as events:
                rpc.head_moved((self.chain.head,), ())
                async for event in events:
                    if isinstance(event, HeadChanged):
                        rpc.head_moved(event.added, event.dropped)


async def open_rollup(around: Surroundings) -> RollupNode:
    """Open the L2's chain and put the parts around it. Raises UnusableFolder, Corruption, OSError."""
    l1_genesis = around.l1.chain.block_by_number(0)
    assert l1_genesis is not None, "a chain has its genesis block"
    chain = await open_l2_chain(
        engine=around.engine,
        tables=around.tables,
        folder=around.folder,
        genesis_origin=L1Ref(number=0, hash=l1_genesis.hash),
        worker=around.worker,
        wall=around.clock,
        options=replace(around.options, max_drift_seconds=around.parameters.max_drift_seconds),
    )
    return RollupNode(around, chain)
