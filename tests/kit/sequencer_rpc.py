"""A sequencer's builder, chain on disk and JSON-RPC on a port, without L1, libp2p and batches: for benchmarks and tests of sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from deploy.accounts import FundedAccount
from deploy.rollup_genesis import l2_genesis
from node.execution.adapter import RevmEngine, open_tables
from node.rpc.backend import DevnetView
from node.rpc.service import RpcParts, RpcService, RpcSettings
from node.runtime.clock import SystemClock
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.runtime.worker import ThreadWorker
from sequencer.building.parts import BuilderParts
from sequencer.building.service import Builder
from sequencer.events import HeadChanged
from sequencer.heads import L2Chain, open_l2_chain
from sequencer.l1.latest import Latest
from tests.kit.building import ListedL1
from tests.kit.model_l2 import model_parameters
from tests.kit.rollup import GENESIS_TIME
from tests.kit.transfers import Sender

SETTINGS = RpcSettings(port=0, chain_id=901, client_version="faultline/test", tip_wei=1)
"""Those of an L2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSequencer:
    """A sequencer whose JSON-RPC serves."""

    port: int
    """Of JSON-RPC."""
    service: RpcService
    """JSON-RPC."""
    chain: L2Chain
    """Blocks, on disk."""
    builder: Builder
    """Seals them."""
    engine: RevmEngine
    """Execution."""
    l1: ListedL1
    """Blocks of L1 that a test adds."""


def document(rich: Sequence[Sender]) -> bytes:
    """The L2's genesis file, with all its contracts."""
    accounts = [
        FundedAccount(address="0x" + one.address.hex(), private_key="0x" + one.key.to_hex())
        for one in rich
    ]
    parameters = model_parameters()
    found = l2_genesis(parameters, accounts, time=GENESIS_TIME, l1_base_fee_wei=10**9)
    return json.dumps(found).encode()


@asynccontextmanager
async def served_sequencer(
    folder: Path, rich: Sequence[Sender], settings: RpcSettings = SETTINGS
) -> AsyncIterator[ServedSequencer]:
    """Serve until the block ends."""
    engine = RevmEngine(document(rich), folder=folder / "state")
    tables = open_tables(folder / "chain.redb")
    l1, worker, registry = ListedL1(), ThreadWorker(threads_max=2), CollectorRegistry()
    wall = SystemClock()
    try:
        chain = await open_l2_chain(
            engine=engine,
            tables=tables,
            folder=folder,
            genesis_origin=l1.genesis,
            worker=worker,
            wall=wall,
        )
        parts = BuilderParts(
            parameters=model_parameters(),
            chain=chain,
            engine=engine,
            l1=l1,
            derived=Latest(l1.genesis),
            worker=worker,
            sealing_worker=ThreadWorker(threads_max=1),
            wall=wall,
            faults=FaultBoard(faults_of("sequencer")),
            registry=registry,
            kept_file=folder / "waiting",
        )
        builder = Builder(parts)
        service = RpcService(settings, rpc_parts(chain, builder, engine), registry=registry)
        with builder.kept():
            async with trio.open_nursery() as nursery:
                await nursery.start(chain.run)
                await nursery.start(builder.run)
                port = await nursery.start(
                    lambda task_status: service.serve(task_status=task_status)
                )
                nursery.start_soon(tell_heads, chain, service)
                yield ServedSequencer(
                    port=port, service=service, chain=chain, builder=builder, engine=engine, l1=l1
                )
                nursery.cancel_scope.cancel()
    finally:
        tables.close()
        engine.close()


def rpc_parts(chain: L2Chain, builder: Builder, engine: RevmEngine) -> RpcParts:
    """What JSON-RPC reads and asks."""
    return RpcParts(
        chain=chain,
        engine=engine,
        pool=builder,
        intake=builder,
        worker=ThreadWorker(threads_max=2),
        trace_worker=ThreadWorker(threads_max=2),
        event_worker=ThreadWorker(threads_max=1),
        blob_fee=lambda _: 1,
        peer_count=lambda: 0,
        sync_progress=lambda: None,
        devnet=DevnetView(info=dict),
    )


async def tell_heads(chain: L2Chain, service: RpcService) -> None:
    """Tell JSON-RPC of every block, as the sequencer's process does."""
    with chain.subscribe() as events:
        async for event in events:
            if isinstance(event, HeadChanged):
                service.head_moved(event.added, event.dropped)
