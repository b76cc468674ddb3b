"""JSON-RPC put together: every namespace, one method table, one server.

    app -> RpcService(...) -> serve; head_changed, pending_arrived, sync_changed as things happen

The app gives the parts as the protocols of `backend` and tells what happens; nothing here looks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import trio
from prometheus_client import CollectorRegistry

from node.eth.blocks import Block
from node.eth.forks import ChainConfig
from node.eth.rewards import Rewards
from node.rollup.parameters import RollupParameters
from node.rpc.appearances import Appearances
from node.rpc.backend import Chain, DevnetView, Engine, Intake, Pool, RollupView, SyncProgress
from node.rpc.blocks import Blocks
from node.rpc.bridging import BridgeView
from node.rpc.dispatch import Dispatcher, Method
from node.rpc.events import WAITING_BLOCKS_MAX, HeadQueue, HeadSignal
from node.rpc.fees import CHECKED_BLOCKS, BlobFee, BlobGasMax, Fees
from node.rpc.filters import Filters
from node.rpc.http import Policy
from node.rpc.limits import ServerLimits
from node.rpc.logs import LogSearch
from node.rpc.metrics import RpcMetrics
from node.rpc.namespaces.blobs import BlobParts, BlobsNamespace
from node.rpc.namespaces.blocks import BlocksNamespace
from node.rpc.namespaces.bridging import BridgingNamespace
from node.rpc.namespaces.calls import CallsNamespace
from node.rpc.namespaces.debug import DebugNamespace, RefusedBlock
from node.rpc.namespaces.describing import DescribingNamespace
from node.rpc.namespaces.devnet import DevnetNamespace
from node.rpc.namespaces.fees import FeesNamespace
from node.rpc.namespaces.logs import LogsNamespace
from node.rpc.namespaces.net import NetNamespace
from node.rpc.namespaces.otterscan import OtterscanNamespace
from node.rpc.namespaces.rollup import Explain, RollupNamespace
from node.rpc.namespaces.state import StateNamespace
from node.rpc.namespaces.transactions import TransactionsNamespace
from node.rpc.namespaces.txpool import TxpoolNamespace
from node.rpc.pending import PendingBlock
from node.rpc.rendering import Renderer
from node.rpc.sends import Sends
from node.rpc.server import Server, is_loopback
from node.rpc.subscriptions import Hub
from node.rpc.turns import Turns
from node.runtime.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcSettings:
    """How JSON-RPC is served."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: int = 8545
    """TCP port; 0 lets the system choose."""
    allowed_hosts: Sequence[str] = ()
    """Host header values accepted besides localhost and IP addresses."""
    allowed_origins: Sequence[str] = ()
    """Origins accepted; on loopback an empty list means any."""
    published_on_loopback: bool = False
    """Whether a container's port is published on loopback only: then it counts as bound there."""
    watch_origin: str | None = None
    """Origin of the watch page, the only one that may ask for faults."""
    gas_cap: int = 60_000_000
    """Most gas a call may use."""
    chain_id: int
    """EIP-155 chain id."""
    client_version: str
    """What `web3_clientVersion` answers."""
    tip_wei: int | None = None
    """The priority fee to suggest, as op-geth does where blocks have room; None asks the newest blocks."""
    waiting_blocks_max: int = WAITING_BLOCKS_MAX
    """Blocks that may wait until subscribers are told of them: some seconds' worth on a chain of milliseconds."""
    events_apart_s: float = 0.0
    """Blocks that follow each other more quickly than this are told together: one write for each subscriber."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupParts:
    """What makes a node's JSON-RPC that of an L2."""

    view: RollupView
    """How the L2 follows from L1."""
    parameters: RollupParameters
    """The constants of the rollup."""
    explain: Explain = lambda _: None
    """Why a transaction of the pool is in no block yet; the sequencer knows."""
    bridge: BridgeView | None = None
    """Games and withdrawals; None in a process that does not follow them, which says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcParts:
    """What JSON-RPC reads and asks."""

    chain: Chain
    """Blocks."""
    engine: Engine
    """States, simulation, rendering."""
    pool: Pool
    """Waiting transactions."""
    worker: Worker
    """Where calls, proofs and searches for logs run; give it few threads, so that importing goes first."""
    trace_worker: Worker
    """Where traces and searches run, which may take a minute: threads of their own, so that calls always have some."""
    event_worker: Worker
    """Where what subscribers are told is prepared: a thread of its own, for callers can keep the others busy for seconds."""
    blob_fee: BlobFee
    """Wei a unit of blob gas in a block with a given header."""
    blob_gas_max: BlobGasMax = lambda _: 0
    """Most blob gas of a block with a given header, for ratios in fee histories; 0 where there are no blobs."""
    rewards: Callable[[Block], Rewards] = lambda _: Rewards(0, 0)
    """What the protocol pays for a block; nothing on a chain of stake, whose consensus pays."""
    refused_blocks: Callable[[], Sequence[RefusedBlock]] = tuple
    """Blocks of others that execution refused, the highest first; on the L2 there are none, for blocks are derived there."""
    peer_count: Callable[[], int]
    """Number of connected peers."""
    sync_progress: Callable[[], SyncProgress | None]
    """How far catching up has come; None when it is done."""
    devnet: DevnetView
    """What the `devnet` namespace answers."""
    intake: Intake | None = None
    """Takes transactions without a task for each; None where blocks are slots apart, and the pool takes them."""
    forks: ChainConfig | None = None
    """Which rules are in force when; None on an L2, whose rules are fixed."""
    blobs: BlobParts | None = None
    """Where blobs are found; None where there are none."""
    rollup: RollupParts | None = None
    """What an L2 says beside its blocks; None on L1."""


class RpcService:
    """The JSON-RPC of one node."""

    def __init__(
        self,
        settings: RpcSettings,
        parts: RpcParts,
        *,
        registry: CollectorRegistry,
        limits: ServerLimits | None = None,
        more: Mapping[str, Method] | None = None,
    ) -> None:
        """`more` adds methods of other namespaces to the table."""
        self._settings: Final = settings
        self._private: Final = is_loopback(settings.host) or settings.published_on_loopback
        filters = Filters(now=trio.current_time)
        search = LogSearch(parts.chain, parts.engine, parts.worker)
        heads = HeadSignal()
        self._worker: Final = parts.event_worker
        self._fees: Final = Fees(
            parts.chain,
            parts.engine,
            blob_fee=parts.blob_fee,
            blob_gas_max=parts.blob_gas_max,
            tip_wei=settings.tip_wei,
        )
        self._heads: Final = heads
        event_search = LogSearch(parts.chain, parts.engine, parts.event_worker)
        self._hub: Final = Hub(parts.engine, event_search, filters, parts.event_worker)
        self._changes: Final = HeadQueue(
            self._tell,
            self._hub.lapse,
            waiting_blocks_max=settings.waiting_blocks_max,
            apart_s=settings.events_apart_s,
        )
        self._sends: Sends | None = None
        self.methods: Final = {**self._table(parts, search, filters, heads), **(more or {})}
        """The method table."""
        self._metrics: Final = RpcMetrics(tuple(self.methods), lambda: self.server.connections())
        self.server: Final = Server(
            Dispatcher(self.methods, self._metrics),
            policy=Policy(
                loopback=self._private,
                allowed_hosts=settings.allowed_hosts,
                allowed_origins=tuple(origin.lower() for origin in settings.allowed_origins),
            ),
            on_session_closed=self._hub.forget,
            limits=limits,
        )
        """Listens."""
        registry.register(self._metrics)  # Last: a registry may collect at once.

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; reports the port that is bound. Raises OSError when it is taken."""
        settings = self._settings
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._changes.run)
            if self._sends is not None:
                nursery.start_soon(self._sends.run)
            await self.server.serve(settings.host, settings.port, task_status=task_status)

    # -- what happens in the node

    async def head_changed(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """The head's chain changed: new blocks ascending, dropped ones from the old head down. Waits for nobody."""
        self.head_moved(added, dropped)
        await trio.lowlevel.checkpoint()

    def head_moved(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """As `head_changed`, for those who have no time to give way; nothing is done where nobody listens."""
        self._heads.head_changed()
        if self._hub.listens or self._fees.learns or self._changes:
            self._changes.put(added, dropped)

    async def _tell(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        await self._hub.head_changed(added, dropped)
        if self._fees.learns:
            for block in added[-CHECKED_BLOCKS:]:
                await self._fees.learn(block, self._worker)

    def pending_arrived(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        """Transactions (hash, raw bytes) became executable in the pool."""
        self._hub.pending_arrived(transactions)

    def sync_changed(self, progress: SyncProgress | None) -> None:
        """Catching up has begun, or has ended (None)."""
        self._hub.sync_changed(progress)

    def _table(
        self, parts: RpcParts, search: LogSearch, filters: Filters, heads: HeadSignal
    ) -> dict[str, Method]:
        settings, chain, engine = self._settings, parts.chain, parts.engine
        pool, worker, turns = parts.pool, parts.worker, Turns(parts.trace_worker)
        blocks = Blocks(chain)
        renderer = Renderer(engine, worker)
        pending = PendingBlock(
            chain,
            engine,
            pool,
            worker,
            blob_fee=parts.blob_fee,
            blob_gas_max=parts.blob_gas_max,
        )
        transactions = TransactionsNamespace(
            blocks, engine, pool, pending, renderer, heads, parts.intake, self._hub
        )
        self._sends = transactions.sends
        table: dict[str, Method] = {}
        if parts.rollup is not None:
            table |= RollupNamespace(
                blocks,
                pool,
                parts.rollup.view,
                parts.rollup.parameters,
                version=settings.client_version,
                explain=parts.rollup.explain,
            ).methods()
            table |= BridgingNamespace(parts.rollup.bridge).methods()
        if parts.blobs is not None:
            table |= BlobsNamespace(blocks, parts.blobs.reader, parts.blobs.kept).methods()
        network = NetNamespace(
            chain_id=settings.chain_id,
            client_version=settings.client_version,
            peer_count=parts.peer_count,
            sync_progress=parts.sync_progress,
            namespaces=lambda: {method.partition("_")[0] for method in self.methods},
        )
        for namespace in (
            network,
            BlocksNamespace(blocks, engine, pending, renderer),
            StateNamespace(blocks, engine, pool, worker),
            CallsNamespace(blocks, engine, worker, gas_cap=settings.gas_cap),
            DescribingNamespace(blocks, engine, parts.forks, chain_id=settings.chain_id),
            transactions,
            FeesNamespace(blocks, self._fees, worker),
            LogsNamespace(blocks, search, filters, self._hub),
            TxpoolNamespace(pool, engine, worker),
            DebugNamespace(
                blocks,
                engine,
                turns,
                transactions,
                gas_cap=settings.gas_cap,
                refused_blocks=parts.refused_blocks,
            ),
            OtterscanNamespace(
                blocks, engine, worker, turns, Appearances(chain, engine, turns), parts.rewards
            ),
            DevnetNamespace(
                parts.devnet, private=self._private, watch_origin=settings.watch_origin
            ),
        ):
            table |= namespace.methods()
        return table
