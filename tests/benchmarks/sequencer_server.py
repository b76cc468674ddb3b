"""A sequencer's builder, chain and JSON-RPC, without L1, libp2p and batches; prints its port and serves until it is killed.

    python -m tests.benchmarks.sequencer_server FOLDER

The native engine executes, the journal is written and synced, redb is behind it: what a send costs until its receipt is there.
L1 is one block that never moves.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.execution.adapter import RevmEngine, open_tables
from node.rollup.derivation import Origin
from node.rpc.backend import DevnetView
from node.rpc.service import RpcParts, RpcService, RpcSettings
from node.runtime.clock import SystemClock
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.runtime.worker import ThreadWorker
from sequencer.app.process import YOUNG_OBJECTS_MAX, YOUNG_ROUNDS
from sequencer.building.origins import origin_name
from sequencer.building.parts import BuilderParts
from sequencer.building.service import Builder
from sequencer.events import HeadChanged
from sequencer.heads import L2Chain, open_l2_chain
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref
from tests.benchmarks.sends import BANKERS, CHAIN_ID
from tests.kit.model_l2 import model_parameters
from tests.kit.rollup import GENESIS_TIME, l1_block
from tests.kit.rollup_chain import rollup_document

TIP_WEI = 1_000_000
"""The tip that is suggested."""


class StillL1:
    """An L1 of one block."""

    def __init__(self) -> None:
        self._genesis = l1_block(0)
        self.moved: Latest[object] = Latest(None)

    @property
    def confirmed(self) -> L1Ref:
        return origin_name(self._genesis)

    def origin(self, number: int) -> Origin | None:
        return self._genesis if number == 0 else None


def document() -> bytes:
    """The L2's genesis file: rich bankers."""
    funded = {"0x" + one.address.hex(): {"balance": hex(10**26)} for one in BANKERS}
    found = rollup_document(extra_accounts=funded, base_fee_wei=TIP_WEI)
    found["timestamp"] = hex(GENESIS_TIME)
    return json.dumps(found).encode()


async def serve(folder: Path) -> None:
    """Serve until killed."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, YOUNG_ROUNDS, YOUNG_ROUNDS)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    engine = RevmEngine(document(), folder=folder / "state")
    l1, worker, wall, registry = (
        StillL1(),
        ThreadWorker(threads_max=2),
        SystemClock(),
        CollectorRegistry(),
    )
    chain = await open_l2_chain(
        engine=engine,
        tables=open_tables(folder / "chain.redb"),
        folder=folder,
        genesis_origin=l1.confirmed,
        worker=worker,
        wall=wall,
    )
    builder = Builder(
        BuilderParts(
            parameters=model_parameters(),
            chain=chain,
            engine=engine,
            l1=l1,
            derived=Latest(l1.confirmed),
            worker=worker,
            sealing_worker=ThreadWorker(threads_max=1),
            wall=wall,
            faults=FaultBoard(faults_of("sequencer")),
            registry=registry,
            kept_file=folder / "waiting",
        )
    )
    service = RpcService(
        RpcSettings(
            port=0, chain_id=CHAIN_ID, client_version="faultline/benchmark", tip_wei=TIP_WEI
        ),
        parts_of(chain, builder, engine),
        registry=registry,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(chain.run)
        await nursery.start(builder.run)
        port = await nursery.start(lambda task_status: service.serve(task_status=task_status))
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await tell_heads(chain, service)


def parts_of(chain: L2Chain, builder: Builder, engine: RevmEngine) -> RpcParts:
    """What JSON-RPC reads and asks."""
    return RpcParts(
        chain=chain,
        engine=engine,
        pool=builder,
        intake=builder,
        worker=ThreadWorker(threads_max=2),
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


if __name__ == "__main__":
    trio.run(serve, Path(sys.argv[1]))
