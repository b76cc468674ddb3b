"""An opened L2 process served: JSON-RPC, health, and everything bound and run.

    OpenedL2 -> open_rpc, open_health -> run_l2 -> ports, tasks

Deliberately absent: opening (`opening`), and what a bridge runs beside it (bridge.app).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog
import trio

from node.app.assembly import READY_LAG_SLOTS, RPC_THREADS, rpc_settings
from node.app.binding import bind
from node.app.core import chain_lag
from node.app.devnet import read_info
from node.app.following import follow_chain
from node.eth.fees import blob_base_fee
from node.eth.primitives import Hash32
from node.rpc.backend import DevnetView
from node.rpc.bridging import BridgeView
from node.rpc.service import RollupParts, RpcParts, RpcService
from node.rpc.turns import TURNS
from node.runtime.health import Health, serve_health
from node.runtime.worker import ThreadWorker
from sequencer.app.opening import OpenedL2
from sequencer.app.view import RollupAtNode
from sequencer.building.service import Builder

WAITING_BLOCKS_MAX: Final = 2_048
"""Blocks that may wait until subscribers are told of them: ten seconds of a busy sequencer."""

EVENTS_APART_S: Final = 0.02
"""Subscribers are told of blocks at most so often: hundreds a second would each be a write for each of them."""

TIP_WEI: Final = 1
"""Suggested priority fee: L2 blocks have room, and who comes first is included first."""

_log = structlog.get_logger()


class Beside(Protocol):
    """What runs beside the L2; says when it has started, and runs until cancelled."""

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> object:
        """Run."""


def open_health(opened: OpenedL2) -> Health:
    """What has to agree before the process is ready: both chains."""
    health = Health(registry=opened.registry)
    health.checks["l1"] = partial(chain_lag, opened.l1.chain, opened.clock, READY_LAG_SLOTS)
    health.checks["l2"] = partial(opened.rollup.lag, READY_LAG_SLOTS)
    return health


def open_rpc(opened: OpenedL2, bridge: BridgeView | None = None) -> RpcService:
    """JSON-RPC of the L2; `bridge` answers what only a process that follows the games knows."""
    config, parameters, rollup = opened.config, opened.parameters, opened.rollup
    settings = replace(
        rpc_settings(config.rpc, chain_id=parameters.chain_id),
        tip_wei=TIP_WEI,
        waiting_blocks_max=WAITING_BLOCKS_MAX,
        events_apart_s=EVENTS_APART_S,
    )
    view = RollupAtNode(
        chain=rollup.chain,
        l1=rollup.l1,
        deriver=rollup.deriver,
        l1_engine=opened.l1_engine,
        inbox=parameters.inbox,
    )
    pool = rollup.pool
    parts = RpcParts(
        chain=rollup.chain,
        engine=opened.engine,
        pool=pool,
        intake=pool,
        worker=ThreadWorker(threads_max=RPC_THREADS),
        trace_worker=ThreadWorker(threads_max=TURNS),
        event_worker=ThreadWorker(threads_max=1),
        blob_fee=lambda header: blob_base_fee(header.excess_blob_gas),
        peer_count=lambda: len(opened.network.peers()),
        sync_progress=opened.l1.sync_progress,
        devnet=DevnetView(
            info=partial(read_info, config.network_file),
            faults=rollup.faults if config.faults else None,
        ),
        rollup=RollupParts(
            view=view,
            parameters=parameters,
            explain=pool.explain if isinstance(pool, Builder) else nobody_knows,
            bridge=bridge,
        ),
    )
    return RpcService(settings, parts, registry=opened.registry)


def nobody_knows(_: Hash32) -> str | None:
    """A replica does not know why a transaction waits: the sequencer does."""
    return None


async def run_l2(
    opened: OpenedL2,
    rpc: RpcService,
    health: Health,
    *beside: Beside,
    kind: str,
    task_status: trio.TaskStatus[None],
) -> None:
    """Bind every port and run everything until cancelled; `beside` starts last."""
    config, l1, rollup = opened.config, opened.l1, opened.rollup
    async with trio.open_nursery() as nursery:
        metrics = partial(serve_health, health, host=config.metrics.host, port=config.metrics.port)
        await bind(nursery, f"metrics.port {config.metrics.port}", metrics)
        await bind(nursery, f"p2p.port {config.p2p.port}", opened.network.run)
        await nursery.start(l1.run)
        await nursery.start(follow_chain, l1.chain, l1.pool, None)
        await bind(nursery, f"rpc.port {config.rpc.port}", rpc.serve)
        await nursery.start(rollup.run, rpc)
        for task in beside:
            await nursery.start(task)
        health.is_started = True
        _log.info(
            "l2_node_started",
            role=kind,
            head=rollup.chain.head.header.number,
            safe=rollup.chain.safe.header.number,
        )
        task_status.started()
