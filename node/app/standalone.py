"""A standalone node: a chain of others from files, its JSON-RPC, and nothing else.

    genesis.json -> forks, engine, tables -> StandaloneChain <- CHAIN.rlp -> pool, RpcService, Health -> ports

Deliberately absent: consensus and peers. What is sent to the pool waits there; nobody builds a block.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.app.assembly import RPC_THREADS, opened_store
from node.app.binding import bind
from node.app.blob_fees import blob_fee, blob_gas_max
from node.app.failures import SetupError, TaskFailed
from node.app.stepping import read_file
from node.chain.metrics import layer_metrics
from node.errors import Rejected
from node.eth.forks import ChainConfig, read_chain_config
from node.eth.rewards import ommer_numbers, rewards
from node.execution.adapter import RevmEngine
from node.rpc.backend import DevnetView
from node.rpc.service import RpcParts, RpcService, RpcSettings
from node.rpc.turns import TURNS
from node.runtime.clock import SystemClock
from node.runtime.health import Health, new_registry, serve_health
from node.runtime.version import version
from node.runtime.worker import ThreadWorker
from node.standalone.chain import ChangedPast, StandaloneChain, open_chain
from node.standalone.chain_file import ImportFailed
from node.standalone.database import StandaloneDatabase
from node.standalone.importing import import_file
from node.storage.folder import UnusableFolder
from node.txpool.limits import PoolLimits
from node.txpool.service import PoolService
from node.txpool.surroundings import PoolNetwork

CACHE_MB: Final = 64
"""Megabytes of trie nodes kept in memory."""

TOLD_EVERY_S: Final = 5.0
"""How often an import says how far it is."""

REQUIRED: Final = ("config", "alloc", "gasLimit", "difficulty")
"""Keys of a genesis file without which there is no chain; geth wants the same."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneConfig:
    """What a standalone node is told at start."""

    genesis_file: Path
    """In geth's format."""
    chain_file: Path | None
    """Blocks to take in before anything is served; RLP, or that in gzip."""
    data_dir: Path | None
    """Folder for everything it stores; None takes one of the chain's own in `state_home`."""
    state_home: Path
    """Where such folders lie."""
    host: str = "127.0.0.1"
    """Address to bind."""
    rpc_port: int
    """JSON-RPC, HTTP and WebSocket; 0 lets the system choose."""
    metrics_port: int | None
    """/metrics, /healthz and /readyz; None serves none of them."""


class NobodyThere(Exception):
    """This node has no peers to ask."""


async def run_standalone(
    config: StandaloneConfig, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Import and serve until cancelled; reports its URL once every port is bound.

    Raises SetupError, TaskFailed, Corruption.
    """
    raw = read_file(config.genesis_file)
    document, forks = read_genesis_file(raw, config.genesis_file)
    folder = config.data_dir or config.state_home / f"node-{_genesis_hash(raw, config).hex()[:8]}"
    with opened_store(folder, raw, config.genesis_file, cache_mb=CACHE_MB) as (engine, tables):
        database = StandaloneDatabase(tables, folder=str(folder))
        try:
            chain = open_chain(engine, database, forks, document)
        except UnusableFolder as error:
            instead = "name another with --data, or the genesis file that it was made with"
            raise SetupError(f"{config.genesis_file}: {error}: {instead}") from error
        except (ChangedPast, Rejected) as error:
            raise SetupError(f"{config.genesis_file}: {error}") from error
        if config.chain_file is not None:
            await _import(config.chain_file, chain, engine)
        await _serve(config, chain, engine, folder, task_status)


def read_genesis_file(raw: bytes, file: Path) -> tuple[dict[str, object], ChainConfig]:
    """The genesis file and its forks. Raises SetupError that names key, file, what was found and what is wanted."""
    try:
        document: object = json.loads(raw)  # Integers of any size; orjson stops at 64 bits.
    except (ValueError, RecursionError) as error:  # Besides JSON's own: numbers of too many digits.
        raise SetupError(f"{file}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise SetupError(f"{file}: found {raw[:20]!r}, want an object in geth's format")
    for key in REQUIRED:
        if document.get(key) is None:
            raise SetupError(f"{file}: {key}: found nothing, want a genesis file in geth's format")
    try:
        forks = read_chain_config(document)
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error
    if document.get("gasUsed") not in (None, 0, "0", "0x0", ""):
        raise SetupError(
            f"{file}: gasUsed: found {document['gasUsed']!r:.60}, want nothing: a genesis block executes nothing"
        )
    rollup = document.get("rollup")
    if isinstance(rollup, dict) and rollup.get("chain_id") == forks.chain_id:
        raise SetupError(f"{file}: rollup.chain_id: found a rollup's genesis file, want an L1's")
    return document, forks


def _genesis_hash(raw: bytes, config: StandaloneConfig) -> bytes:
    try:
        return RevmEngine(raw).genesis().block_hash
    except ValueError as error:
        raise SetupError(f"{config.genesis_file}: {error}") from error


async def _import(file: Path, chain: StandaloneChain, engine: RevmEngine) -> None:
    begun = told = trio.current_time()

    def progress(head: int, taken: int) -> None:
        nonlocal told
        if trio.current_time() - told >= TOLD_EVERY_S:
            told = trio.current_time()
            _log.info("blocks_imported", head=head, blocks=taken, seconds=round(told - begun, 1))

    before = chain.tip.number
    try:
        await import_file(chain, engine, file, ThreadWorker(threads_max=1), progress=progress)
    except ImportFailed as error:
        raise TaskFailed(str(error)) from error
    _log.info(
        "chain_imported",
        head=chain.tip.number,
        hash=chain.tip.hash,
        blocks=chain.tip.number - before,
        seconds=round(trio.current_time() - begun, 3),
    )


async def _serve(
    config: StandaloneConfig,
    chain: StandaloneChain,
    engine: RevmEngine,
    folder: Path,
    task_status: trio.TaskStatus[str],
) -> None:
    registry = new_registry(version())
    pool = _open_pool(chain, engine, registry, folder)
    told: dict[str, object] = {}
    rpc = _open_rpc(config, chain, engine, pool, registry, told)
    pool.on_executable(rpc.pending_arrived)
    heads = layer_metrics(registry, "l1")
    for gauge in (heads.head_number, heads.safe_number, heads.finalized_number):
        gauge.set(chain.tip.number)
    async with trio.open_nursery() as nursery:
        health = Health(registry=registry)
        if config.metrics_port is not None:
            serve = partial(serve_health, health, host=config.host, port=config.metrics_port)
            metrics = await bind(nursery, f"--metrics-port {config.metrics_port}", serve)
            _log.info("metrics_served", url=f"http://{config.host}:{metrics}/metrics")
        await nursery.start(pool.run)
        port = await bind(nursery, f"--rpc-port {config.rpc_port}", rpc.serve)
        url = f"http://{config.host}:{port}"
        told |= describe(chain, url)
        health.is_started = True
        _log.info(
            "node_started",
            rpc=url,
            chain_id=chain.config.chain_id,
            head=chain.tip.number,
            hash=chain.tip.hash,
            data=str(folder),
        )
        task_status.started(url)


def describe(chain: StandaloneChain, url: str) -> dict[str, object]:
    """What `devnet_info` answers."""
    return {
        "name": "node",
        "profile": "standalone",
        "version": version(),
        "l1": {"chainId": chain.config.chain_id, "rpc": [url]},
        "contracts": {},
        "processes": [],
    }


def _open_pool(
    chain: StandaloneChain, engine: RevmEngine, registry: CollectorRegistry, folder: Path
) -> PoolService:
    following = chain.next_header()
    capped = chain.config.is_active(
        "osakaTime", number=following.number, timestamp=following.timestamp
    )
    default = PoolLimits()
    most = default.transaction_gas_max if capped else following.gas_limit
    return PoolService(
        engine=engine,
        head=chain.head,
        worker=ThreadWorker(threads_max=1),
        network=PoolNetwork(
            publish=lambda _: None,
            request=_ask_nobody,
            failures=(NobodyThere,),
            blame=lambda _, __: None,
        ),
        clock=SystemClock(),
        registry=registry,
        limits=PoolLimits(transaction_gas_max=most),
        journal_path=folder / "transactions.journal",
    )


async def _ask_nobody(_: str, __: bytes) -> NoReturn:
    await trio.lowlevel.checkpoint()
    raise NobodyThere


def _open_rpc(
    config: StandaloneConfig,
    chain: StandaloneChain,
    engine: RevmEngine,
    pool: PoolService,
    registry: CollectorRegistry,
    told: dict[str, object],
) -> RpcService:
    forks = chain.config

    settings = RpcSettings(
        host=config.host,
        port=config.rpc_port,
        chain_id=forks.chain_id,
        client_version=f"faultline/v{version()}",
    )
    parts = RpcParts(
        chain=chain,
        engine=engine,
        pool=pool,
        worker=ThreadWorker(threads_max=RPC_THREADS),
        trace_worker=ThreadWorker(threads_max=TURNS),
        event_worker=ThreadWorker(threads_max=1),
        blob_fee=partial(blob_fee, forks),
        blob_gas_max=partial(blob_gas_max, forks),
        rewards=lambda block: rewards(forks, block.header, ommer_numbers(block.rlp)),
        refused_blocks=lambda: chain.refused_blocks,
        peer_count=lambda: 0,
        sync_progress=lambda: None,
        devnet=DevnetView(info=lambda: told),
        forks=forks,
    )
    return RpcService(settings, parts, registry=registry)
