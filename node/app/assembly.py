"""A real node: disk, sockets and threads around the core, JSON-RPC and health on top.

    NodeConfig -> genesis.json, engine, tables, libp2p -> CoreNode -> RpcService, Health -> ports

Everything is opened before any port is bound, and closed in the opposite order however it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import orjson
import structlog
import trio
from prometheus_client import CollectorRegistry

from node.app.binding import bind
from node.app.blob_fees import blob_fee, blob_gas_max, prices_after
from node.app.core import CoreNode, Surroundings, chain_lag, open_core
from node.app.devnet import describe_consensus, read_info
from node.app.failures import SetupError, prepare_folder
from node.app.following import follow_chain, follow_sync
from node.app.signing import open_signing
from node.app.stepping import open_step, read_file
from node.blobs.files import FolderFiles
from node.chain.chain import ChainOptions
from node.config import NodeConfig, P2pConfig, RpcConfig
from node.consensus.genesis import Genesis, parse
from node.errors import Rejected
from node.eth.forks import ChainConfig, read_chain_config
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine, StepCallable, open_tables, verify_signatures
from node.execution.engine import ChainTables
from node.p2p.network import PeerId
from node.p2p.peers import StaticPeer
from node.p2p.service import Libp2pNetwork, NetworkSettings
from node.rpc.backend import DevnetView
from node.rpc.namespaces.blobs import BlobParts
from node.rpc.service import RpcParts, RpcService, RpcSettings
from node.rpc.turns import TURNS
from node.runtime.clock import SlotClock, SystemClock
from node.runtime.faults import FaultBoard
from node.runtime.health import Health, new_registry, serve_health
from node.runtime.resources import Resources
from node.runtime.version import version
from node.runtime.worker import ThreadWorker
from node.storage.chain_database import ChainDatabase
from node.storage.folder import UnusableFolder

_log = structlog.get_logger()

READY_LAG_SLOTS: Final = 8
"""A head older than this is not ready."""

DUTY_THREADS: Final = 2
"""Building and signing: threads of their own, so that a vote never waits behind imports."""

RPC_THREADS: Final = 2
"""Calls and searches for logs at once; traces have threads of their own."""


async def run_node(
    config: NodeConfig, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one node until cancelled; started once every port is bound.

    Raises SetupError, Corruption.
    """
    document, genesis = read_genesis(config.genesis_file)
    forks = read_forks(config.genesis_file, document)
    registry = new_registry(version())
    registry.register(Resources(config.data_dir))
    clock = slot_clock(genesis)
    store = opened_store(
        config.data_dir,
        document,
        config.genesis_file,
        cache_mb=config.engine.cache_mb,
        step=open_step(config.genesis_file, document, config.l2_genesis_file),
    )
    with store as (engine, tables), ExitStack() as closing:
        database = ChainDatabase(tables, folder=str(config.data_dir))
        genesis_hash = Hash32(engine.genesis().block_hash)
        network = Libp2pNetwork(network_settings(config.name, config.p2p, genesis_hash), registry)
        signing = open_signing(config, genesis, genesis_hash, database, closing)
        core = await open_checked(
            Surroundings(
                genesis=genesis,
                engine=engine,
                database=database,
                network=network,
                clock=clock,
                worker=ThreadWorker(threads_max=config.engine.threads),
                duty_worker=ThreadWorker(threads_max=DUTY_THREADS),
                registry=registry,
                verify=verify_signatures,
                options=ChainOptions(history_blocks=config.engine.history_blocks),
                journal=config.data_dir / "transactions.journal",
                keys=signing.keys,
                protection=signing.protection,
                fresh_keys=signing.fresh_keys,
                faults=FaultBoard(),
                name=config.name,
                blob_files=FolderFiles(config.data_dir / "blobs"),
                prices_after=partial(prices_after, forks),
            )
        )
        rpc = open_rpc(config, genesis, core, clock, engine, network, registry, forks)
        core.pool.on_executable(rpc.pending_arrived)
        health = Health(registry=registry)
        health.checks["chain"] = partial(chain_lag, core.chain, clock, READY_LAG_SLOTS)
        await _serve(config, core, rpc, network, health, task_status)


async def _serve(
    config: NodeConfig,
    core: CoreNode,
    rpc: RpcService,
    network: Libp2pNetwork,
    health: Health,
    task_status: trio.TaskStatus[None],
) -> None:
    """Bind every port and run everything until cancelled."""
    async with trio.open_nursery() as nursery:
        metrics = partial(serve_health, health, host=config.metrics.host, port=config.metrics.port)
        await bind(nursery, f"metrics.port {config.metrics.port}", metrics)
        await bind(nursery, f"p2p.port {config.p2p.port}", network.run)
        await nursery.start(core.run)
        await nursery.start(follow_chain, core.chain, core.pool, rpc)
        nursery.start_soon(follow_sync, core.sync_progress, rpc.sync_changed)
        await bind(nursery, f"rpc.port {config.rpc.port}", rpc.serve)
        health.is_started = True
        _log.info("node_started", head=core.chain.head.header.number)
        task_status.started()


def read_genesis(file: Path) -> tuple[bytes, Genesis]:
    """The genesis file and what it says to consensus. Raises SetupError."""
    raw = read_file(file)
    try:
        return raw, parse(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise SetupError(f"{file}: no JSON: {error}") from error
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error


def slot_clock(genesis: Genesis) -> SlotClock:
    """The slots of a genesis, by this machine's time."""
    return SlotClock(
        genesis_time_ms=genesis.time * 1_000,
        slot_duration_ms=genesis.parameters.slot_seconds * 1_000,
        wall=SystemClock(),
    )


def read_forks(file: Path, document: bytes) -> ChainConfig:
    """The forks and the blob schedule of a genesis file. Raises SetupError."""
    try:
        return read_chain_config(orjson.loads(document))
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error


def network_settings(name: str, p2p: P2pConfig, genesis_hash: bytes) -> NetworkSettings:
    """What the network is told. Raises SetupError (the key file)."""
    try:
        seed = bytes.fromhex(p2p.key_file.read_text().strip().removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise SetupError(f"p2p.key_file {p2p.key_file}: cannot be used: {error}") from None
    if len(seed) != 32:
        raise SetupError(f"p2p.key_file {p2p.key_file}: want 64 hex digits")
    return NetworkSettings(
        name=name,
        seed=seed,
        genesis_hash=genesis_hash,
        host=p2p.host,
        port=p2p.port,
        peers=tuple(
            StaticPeer(name=peer.name, peer_id=PeerId(peer.peer_id), address=peer.address)
            for peer in p2p.peers
        ),
    )


def open_rpc(
    config: NodeConfig,
    genesis: Genesis,
    core: CoreNode,
    clock: SlotClock,
    engine: RevmEngine,
    network: Libp2pNetwork,
    registry: CollectorRegistry,
    forks: ChainConfig,
) -> RpcService:
    """JSON-RPC over the core."""

    def consensus() -> object:
        epoch = core.chain.rules.epoch_of(max(0, clock.current_slot()))
        return describe_consensus(core.chain, epoch=epoch, own_keys=core.public_keys)

    settings = rpc_settings(config.rpc, chain_id=genesis.chain_id)
    parts = RpcParts(
        chain=core.chain,
        engine=engine,
        pool=core.pool,
        worker=ThreadWorker(threads_max=RPC_THREADS),
        trace_worker=ThreadWorker(threads_max=TURNS),
        event_worker=ThreadWorker(threads_max=1),
        blob_fee=partial(blob_fee, forks),
        blob_gas_max=partial(blob_gas_max, forks),
        blobs=BlobParts(reader=engine, kept=core.blobs),
        refused_blocks=lambda: core.chain.refused_blocks,
        peer_count=lambda: len(network.peers()),
        sync_progress=core.sync_progress,
        devnet=DevnetView(
            info=partial(read_info, config.network_file),
            consensus=consensus,
            finality_proof=core.proofs.describe,
            faults=core.faults if config.faults else None,
        ),
        forks=forks,
    )
    return RpcService(settings, parts, registry=registry)


def rpc_settings(rpc: RpcConfig, *, chain_id: int) -> RpcSettings:
    """What a configuration says of how JSON-RPC is served; the rest is as an L1 has it."""
    return RpcSettings(
        host=rpc.host,
        port=rpc.port,
        allowed_hosts=rpc.allowed_hosts,
        allowed_origins=rpc.allowed_origins,
        published_on_loopback=rpc.published_on_loopback,
        watch_origin=rpc.watch_origin,
        gas_cap=rpc.gas_cap,
        chain_id=chain_id,
        client_version=f"faultline/v{version()}",
    )


async def open_checked(around: Surroundings) -> CoreNode:
    """Open the core. Raises SetupError, Corruption."""
    try:
        return await open_core(around)
    except UnusableFolder as error:
        raise SetupError(str(error)) from error


@contextmanager
def opened_store(
    folder: Path,
    document: bytes,
    genesis_file: Path,
    *,
    cache_mb: int,
    step: StepCallable | None = None,
) -> Iterator[tuple[RevmEngine, ChainTables]]:
    """Execution and tables of one chain in a folder; `step` is what its STEP precompile calls.

    Raises SetupError, Corruption.
    """
    prepare_folder(folder)
    try:
        engine = RevmEngine(document, folder=folder / "state", step=step, cache_megabytes=cache_mb)
    except ValueError as error:
        raise SetupError(f"{genesis_file}: {error}") from error
    try:
        tables = open_tables(folder / "chain.redb")
        try:
            yield engine, tables
        finally:
            tables.close()
    finally:
        engine.close()
