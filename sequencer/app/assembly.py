"""A real L2 process: disk, sockets and threads around the core, JSON-RPC and health on top.

    SequencerConfig -> genesis files, two engines, libp2p -> CoreNode (L1) -> RollupNode -> RpcService, Health -> ports

Everything is opened before any port is bound, and closed in the opposite order however it ends.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import orjson
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from node.app.assembly import (
    DUTY_THREADS,
    GENESIS_BYTES_MAX,
    READY_LAG_SLOTS,
    RPC_THREADS,
    network_settings,
    open_checked,
    opened_store,
    read_genesis,
)
from node.app.binding import bind
from node.app.core import CoreNode, Surroundings as L1Surroundings, chain_lag
from node.app.devnet import read_info
from node.app.failures import SetupError
from node.app.following import follow_chain
from node.chain.chain import ChainOptions as L1ChainOptions
from node.consensus.genesis import Genesis
from node.errors import Rejected
from node.eth.fees import blob_base_fee
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine, verify_signatures
from node.p2p.service import Libp2pNetwork
from node.rollup.parameters import RollupParameters, parse, parse_l2_genesis_hash
from node.rpc.backend import DevnetView
from node.rpc.service import RollupParts, RpcParts, RpcService, RpcSettings
from node.runtime.clock import SlotClock, SystemClock
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.runtime.health import Health, new_registry, serve_health
from node.runtime.version import version
from node.runtime.worker import ThreadWorker
from node.storage.chain_database import ChainDatabase, UnusableFolder
from sequencer.app.core import ReplicaRole, RollupNode, SequencerRole, Surroundings, open_rollup
from sequencer.app.view import RollupAtNode
from sequencer.batching.options import BatchingOptions
from sequencer.batching.signing import L1Account
from sequencer.building.limits import SealingLimits
from sequencer.building.service import Builder
from sequencer.config import SequencerConfig
from sequencer.heads import ChainOptions

WAITING_BLOCKS_MAX: Final = 2_048
"""Blocks that may wait until subscribers are told of them: ten seconds of a busy sequencer."""

EVENTS_APART_S: Final = 0.02
"""Subscribers are told of blocks at most so often: hundreds a second would each be a write for each of them."""

TIP_WEI: Final = 1
"""Suggested priority fee: L2 blocks have room, and who comes first is included first."""

_log = structlog.get_logger()


async def run_sequencer(
    config: SequencerConfig, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one L2 process until cancelled; started once every port is bound.

    Raises SetupError, Corruption.
    """
    document, genesis = read_genesis(config.genesis_file)
    l2_document = read_file(config.l2_genesis_file)
    parameters, l2_genesis_hash = read_rollup(config.genesis_file, document)
    registry = new_registry(version())
    clock = SlotClock(
        genesis_time_ms=genesis.time * 1_000,
        slot_duration_ms=genesis.parameters.slot_seconds * 1_000,
        wall=SystemClock(),
    )
    with ExitStack() as closing:
        l1_engine, l1_tables = closing.enter_context(
            opened_store(
                config.data_dir / "l1",
                document,
                config.genesis_file,
                cache_mb=config.l1_engine.cache_mb,
            )
        )
        engine, tables = closing.enter_context(
            opened_store(
                config.data_dir / "l2",
                l2_document,
                config.l2_genesis_file,
                cache_mb=config.l2_engine.cache_mb,
            )
        )
        found = Hash32(engine.genesis().block_hash)
        if found != l2_genesis_hash:
            raise SetupError(
                f"{config.l2_genesis_file}: its genesis block is 0x{found.hex()}, "
                f"{config.genesis_file} wants 0x{l2_genesis_hash.hex()}"
            )
        genesis_hash = Hash32(l1_engine.genesis().block_hash)
        network = Libp2pNetwork(network_settings(config.name, config.p2p, genesis_hash), registry)
        faults = FaultBoard(faults_of(config.role))
        l1 = await open_checked(
            L1Surroundings(
                genesis=genesis,
                engine=l1_engine,
                database=ChainDatabase(l1_tables, folder=str(config.data_dir / "l1")),
                network=network,
                clock=clock,
                worker=ThreadWorker(threads_max=config.l1_engine.threads),
                duty_worker=ThreadWorker(threads_max=DUTY_THREADS),
                registry=registry,
                verify=verify_signatures,
                options=L1ChainOptions(history_blocks=config.l1_engine.history_blocks),
                journal=config.data_dir / "l1" / "transactions.journal",
                keys=(),
                protection=None,
                fresh_keys=frozenset(),
                faults=faults,
                name=config.name,
            )
        )
        rollup = await open_rollup_checked(
            Surroundings(
                parameters=parameters,
                l1=l1,
                l1_engine=l1_engine,
                engine=engine,
                tables=tables,
                folder=config.data_dir / "l2",
                network=network,
                clock=clock,
                worker=ThreadWorker(threads_max=config.l2_engine.threads),
                duty_worker=ThreadWorker(threads_max=DUTY_THREADS),
                registry=registry,
                verify=verify_signatures,
                options=ChainOptions(history_blocks=config.l2_engine.history_blocks),
                faults=faults,
                role=read_role(config, genesis, parameters),
                forcer=read_account(config.forcer_key_file, "forcer_key_file", genesis.chain_id),
            )
        )
        rpc = open_rpc(config, parameters, l1, rollup, l1_engine, engine, network, registry)
        health = Health(registry=registry)
        health.checks["l1"] = partial(chain_lag, l1.chain, clock, READY_LAG_SLOTS)
        health.checks["l2"] = partial(rollup.lag, READY_LAG_SLOTS)
        await _serve(config, l1, rollup, rpc, network, health, task_status)


async def _serve(
    config: SequencerConfig,
    l1: CoreNode,
    rollup: RollupNode,
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
        await nursery.start(l1.run)
        await nursery.start(follow_chain, l1.chain, l1.pool, None)
        await bind(nursery, f"rpc.port {config.rpc.port}", rpc.serve)
        await nursery.start(rollup.run, rpc)
        _log.info(
            "l2_node_started",
            role=config.role,
            head=rollup.chain.head.header.number,
            safe=rollup.chain.safe.header.number,
        )
        task_status.started()


def open_rpc(
    config: SequencerConfig,
    parameters: RollupParameters,
    l1: CoreNode,
    rollup: RollupNode,
    l1_engine: RevmEngine,
    engine: RevmEngine,
    network: Libp2pNetwork,
    registry: CollectorRegistry,
) -> RpcService:
    """JSON-RPC of the L2."""
    settings = RpcSettings(
        host=config.rpc.host,
        port=config.rpc.port,
        allowed_hosts=config.rpc.allowed_hosts,
        allowed_origins=config.rpc.allowed_origins,
        published_on_loopback=config.rpc.published_on_loopback,
        watch_origin=config.rpc.watch_origin,
        gas_cap=config.rpc.gas_cap,
        chain_id=parameters.chain_id,
        client_version=f"faultline/v{version()}",
        tip_wei=TIP_WEI,
        waiting_blocks_max=WAITING_BLOCKS_MAX,
        events_apart_s=EVENTS_APART_S,
    )
    view = RollupAtNode(
        chain=rollup.chain,
        l1=rollup.l1,
        deriver=rollup.deriver,
        l1_engine=l1_engine,
        inbox=parameters.inbox,
    )
    pool = rollup.pool
    parts = RpcParts(
        chain=rollup.chain,
        engine=engine,
        pool=pool,
        intake=pool,
        worker=ThreadWorker(threads_max=RPC_THREADS),
        event_worker=ThreadWorker(threads_max=1),
        blob_fee=lambda header: blob_base_fee(header.excess_blob_gas),
        peer_count=lambda: len(network.peers()),
        sync_progress=l1.sync_progress,
        devnet=DevnetView(
            info=partial(read_info, config.network_file),
            faults=rollup.faults if config.faults else None,
        ),
        rollup=RollupParts(
            view=view,
            parameters=parameters,
            explain=pool.explain if isinstance(pool, Builder) else nobody_knows,
        ),
    )
    return RpcService(settings, parts, registry=registry)


def nobody_knows(_: Hash32) -> str | None:
    """A replica does not know why a transaction waits: the sequencer does."""
    return None


# -- files


def read_file(file: Path) -> bytes:
    """A genesis file. Raises SetupError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > GENESIS_BYTES_MAX:
        raise SetupError(f"{file}: {len(raw)} bytes, at most {GENESIS_BYTES_MAX} are read")
    return raw


def read_rollup(file: Path, document: bytes) -> tuple[RollupParameters, Hash32]:
    """What L1's genesis file says of the rollup: its parameters and its genesis hash. Raises SetupError."""
    rollup = orjson.loads(document).get("rollup")
    if rollup is None:
        raise SetupError(f"{file}: no object `rollup`: this network has no L2")
    try:
        return parse(rollup), parse_l2_genesis_hash(rollup)
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error


def read_secret(file: Path, key: str) -> bytes:
    """A secret of 32 bytes. Raises SetupError."""
    try:
        secret = bytes.fromhex(file.read_text().strip().removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{key} {file}: cannot be used: {error}") from None
    if len(secret) != 32:
        raise SetupError(f"{key} {file}: want 64 hex digits")
    return secret


def read_account(file: Path | None, key: str, chain_id: int) -> L1Account | None:
    """An account that pays on L1; None without a file. Raises SetupError."""
    if file is None:
        return None
    try:
        return L1Account(read_secret(file, key), chain_id)
    except ValueError as error:
        raise SetupError(f"{key} {file}: cannot be used: {error}") from None


def read_role(
    config: SequencerConfig, genesis: Genesis, parameters: RollupParameters
) -> SequencerRole | ReplicaRole:
    """What the process does, and the keys it does it with. Raises SetupError."""
    if config.role == "replica":
        return ReplicaRole(sequencer=config.forward_to)
    assert config.unsafe_key_file is not None, "checked with the configuration"
    key = Ed25519PrivateKey.from_private_bytes(
        read_secret(config.unsafe_key_file, "unsafe_key_file")
    )
    if key.public_key().public_bytes_raw() != parameters.sequencer_key:
        raise SetupError(
            f"unsafe_key_file {config.unsafe_key_file}: not the key of `rollup.sequencer_key`"
        )
    batcher = read_account(config.batcher_key_file, "batcher_key_file", genesis.chain_id)
    assert batcher is not None, "checked with the configuration"
    if batcher.address != parameters.batcher:
        raise SetupError(
            f"batcher_key_file {config.batcher_key_file}: not the key of `rollup.batcher`"
        )
    return SequencerRole(
        sign=key.sign,
        batcher=batcher,
        sealing=SealingLimits(
            burst_blocks=config.sealing.burst_blocks,
            refill_per_second=config.sealing.refill_blocks_per_second,
        ),
        batching=BatchingOptions(
            interval_ms=config.batcher.interval_ms, in_flight_max=config.batcher.in_flight_max
        ),
        brotli_quality=config.batcher.brotli_quality,
    )


async def open_rollup_checked(around: Surroundings) -> RollupNode:
    """Open the L2. Raises SetupError, Corruption."""
    try:
        return await open_rollup(around)
    except UnusableFolder as error:
        raise SetupError(str(error)) from error
