"""The chain that execution-apis recorded behind the protocols of JSON-RPC, with a pool of the node's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import trio
from prometheus_client import CollectorRegistry

from node.blobs.files import MemoryFiles
from node.blobs.keeper import BlobKeeper
from node.eth.blocks import Block
from node.eth.headers import Header, any_header_of_block
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.rpc.backend import DevnetView
from node.rpc.service import RpcParts
from node.runtime.clock import SystemClock
from node.runtime.worker import Worker
from node.txpool.service import PoolService
from node.txpool.surroundings import PoolNetwork
from tests.kit.recorded_chain import recorded_chain
from tests.node.rpc.fakes import InlineWorker, no_proof
from tests.node.rpc.line import Line

CHAIN_ID = 3_503_995_874_084_926
"""Of the recorded chain."""

SLOT_S = 10
"""From one block to the next."""


class RecordedBlocks(Line):
    """All blocks, the last one being head, safe and final."""

    @classmethod
    def open(cls) -> RecordedBlocks:
        """The chain's blocks, executed once a process."""
        line = cls()
        for result in recorded_chain().blocks:
            block = Block(
                hash=Hash32(result.block_hash),
                header=any_header_of_block(result.block)[0],
                rlp=result.block,
                receipts=result.receipts,
            )
            line.add(block, result.transaction_hashes)
        return line

    def next_header(self) -> Header:
        header = self.head.header
        return replace(
            header,
            number=header.number + 1,
            parent_hash=self.head.hash,
            timestamp=header.timestamp + SLOT_S,
        )


@dataclass(slots=True, kw_only=True)
class RecordedBackend:
    """The parts of a service over that chain."""

    chain: RecordedBlocks
    engine: RevmEngine
    pool: PoolService
    worker: Worker

    def parts(self) -> RpcParts:
        return RpcParts(
            chain=self.chain,
            engine=self.engine,
            pool=self.pool,
            worker=self.worker,
            trace_worker=self.worker,
            event_worker=self.worker,
            blob_fee=lambda _: 1,
            peer_count=lambda: 0,
            sync_progress=lambda: None,
            devnet=DevnetView(info=dict, consensus=dict, finality_proof=no_proof),
        )


async def _nobody(_peer: str, _body: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return b""


@asynccontextmanager
async def recorded_backend() -> AsyncIterator[RecordedBackend]:
    """The chain with a pool that follows nobody."""
    chain, engine, worker = RecordedBlocks.open(), recorded_chain().engine, InlineWorker()
    registry = CollectorRegistry()
    blobs = BlobKeeper(
        files=MemoryFiles(),
        checker=engine,
        worker=worker,
        slot=lambda: 0,
        registry=registry,
    )
    pool = PoolService(
        engine=engine,
        head=chain.head,
        worker=worker,
        network=PoolNetwork(
            publish=lambda _: None, request=_nobody, failures=(), blame=lambda _peer, _why: None
        ),
        clock=SystemClock(),
        registry=registry,
        blobs=blobs,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        yield RecordedBackend(chain=chain, engine=engine, pool=pool, worker=worker)
        nursery.cancel_scope.cancel()
