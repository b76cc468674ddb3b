"""An L2 process opened, of whatever kind: disk, engines and libp2p around the core.

    L2Config -> genesis files, two engines, libp2p -> CoreNode (L1) -> RollupNode -> OpenedL2 -> serving

Everything is opened before any port is bound, and closed in the opposite order however it ends.
Deliberately absent: what the process is for (`assembly`, bridge.app), ports and JSON-RPC (`serving`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from node.app.assembly import (
    DUTY_THREADS,
    network_settings,
    open_checked,
    opened_store,
    read_genesis,
    slot_clock,
)
from node.app.core import CoreNode, Surroundings as L1Surroundings
from node.app.failures import SetupError
from node.app.stepping import open_step, read_file, read_rollup
from node.blobs.files import FolderFiles
from node.chain.chain import ChainOptions as L1ChainOptions
from node.consensus.genesis import Genesis
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine, verify_signatures
from node.execution.engine import ChainTables
from node.p2p.service import Libp2pNetwork
from node.rollup.parameters import RollupParameters
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.health import new_registry
from node.runtime.resources import Resources
from node.runtime.version import version
from node.runtime.worker import ThreadWorker
from node.storage.chain_database import ChainDatabase
from node.storage.folder import UnusableFolder
from sequencer.app.core import ReplicaRole, RollupNode, SequencerRole, Surroundings, open_rollup
from sequencer.app.files import read_account
from sequencer.config import L2Config
from sequencer.heads import ChainOptions

RoleReader = Callable[[Genesis, RollupParameters], SequencerRole | ReplicaRole]
"""Gives what a process does, and the keys it does it with. Raises SetupError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedL2:
    """An L2 process that is open and does not run yet."""

    config: L2Config
    """What it was told."""
    genesis: Genesis
    """L1's consensus."""
    l1_genesis_hash: Hash32
    """L1's genesis block."""
    parameters: RollupParameters
    """Of the rollup."""
    clock: SlotClock
    """Wall time."""
    registry: CollectorRegistry
    """Where metrics go."""
    network: Libp2pNetwork
    """Peers."""
    l1_engine: RevmEngine
    """Execution of L1."""
    engine: RevmEngine
    """Execution of the L2."""
    l1: CoreNode
    """Its own full node."""
    rollup: RollupNode
    """Its L2."""


async def open_l2(
    config: L2Config, closing: ExitStack, *, read_role: RoleReader, faults: FaultBoard
) -> OpenedL2:
    """Open everything; `closing` closes it. Raises SetupError, Corruption."""
    document, genesis = read_genesis(config.genesis_file)
    l2_document = read_file(config.l2_genesis_file)
    parameters, _ = read_rollup(config.genesis_file, document)
    role = read_role(genesis, parameters)
    registry = new_registry(version())
    registry.register(Resources(config.data_dir))
    clock = slot_clock(genesis)
    (l1_engine, l1_tables), (engine, tables) = _open_stores(config, document, l2_document, closing)
    l1_genesis_hash = Hash32(l1_engine.genesis().block_hash)
    network = Libp2pNetwork(network_settings(config.name, config.p2p, l1_genesis_hash), registry)
    l1 = await open_checked(
        _surroundings_of_l1(
            config,
            genesis=genesis,
            engine=l1_engine,
            database=ChainDatabase(l1_tables, folder=str(config.data_dir / "l1")),
            network=network,
            clock=clock,
            registry=registry,
            faults=faults,
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
            role=role,
            forcer=read_account(config.forcer_key_file, "forcer_key_file", genesis.chain_id),
        )
    )
    return OpenedL2(
        config=config,
        genesis=genesis,
        l1_genesis_hash=l1_genesis_hash,
        parameters=parameters,
        clock=clock,
        registry=registry,
        network=network,
        l1_engine=l1_engine,
        engine=engine,
        l1=l1,
        rollup=rollup,
    )


def _open_stores(
    config: L2Config, document: bytes, l2_document: bytes, closing: ExitStack
) -> tuple[tuple[RevmEngine, ChainTables], tuple[RevmEngine, ChainTables]]:
    """Execution and tables of L1 and of the L2, from their genesis files. Raises SetupError, Corruption."""
    l1 = opened_store(
        config.data_dir / "l1",
        document,
        config.genesis_file,
        cache_mb=config.l1_engine.cache_mb,
        step=open_step(config.genesis_file, document, config.l2_genesis_file),
    )
    l2 = opened_store(
        config.data_dir / "l2",
        l2_document,
        config.l2_genesis_file,
        cache_mb=config.l2_engine.cache_mb,
    )
    return closing.enter_context(l1), closing.enter_context(l2)


def _surroundings_of_l1(
    config: L2Config,
    *,
    genesis: Genesis,
    engine: RevmEngine,
    database: ChainDatabase,
    network: Libp2pNetwork,
    clock: SlotClock,
    registry: CollectorRegistry,
    faults: FaultBoard,
) -> L1Surroundings:
    """What its own full node of L1, which has no keys, is put together from."""
    return L1Surroundings(
        genesis=genesis,
        engine=engine,
        database=database,
        network=network,
        clock=clock,
        worker=ThreadWorker(threads_max=config.l1_engine.threads),
        duty_worker=ThreadWorker(threads_max=DUTY_THREADS),
        registry=registry,
        verify=verify_signatures,
        options=L1ChainOptions(history_blocks=config.l1_engine.history_blocks),
        journal=config.data_dir / "l1" / "transactions.journal",
        blob_files=FolderFiles(config.data_dir / "l1" / "blobs"),
        keys=(),
        protection=None,
        fresh_keys=frozenset(),
        faults=faults,
        name=config.name,
    )


async def open_rollup_checked(around: Surroundings) -> RollupNode:
    """Open the L2. Raises SetupError, Corruption."""
    try:
        return await open_rollup(around)
    except UnusableFolder as error:
        raise SetupError(str(error)) from error
