"""A small chain on the native engine behind the protocols of JSON-RPC: no consensus, a pool that admits everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from node.eth.blocks import Block
from node.eth.headers import Header, header_of_block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.rpc.backend import DevnetView
from node.rpc.service import RpcParts
from node.runtime.worker import Worker
from tests.kit.execution_chain import ExecutionChain
from tests.node.rpc.fake_pool import FakePool
from tests.node.rpc.fakes import InlineWorker, no_proof
from tests.node.rpc.line import Line


def block_of(result: BlockResult) -> Block:
    """What the node keeps of an executed block."""
    return Block(
        hash=Hash32(result.block_hash),
        header=header_of_block(result.block),
        rlp=result.block,
        receipts=result.receipts,
    )


class RealChain(Line):
    """Blocks of an `ExecutionChain`; the first one is final."""

    def __init__(self, execution: ExecutionChain) -> None:
        super().__init__([block_of(result) for result in execution.blocks])
        self.execution = execution

    def grow(self, transactions: Sequence[bytes] = ()) -> Block:
        """The next block with these transactions."""
        result = self.execution.grow(transactions)
        self.add(block_of(result), result.transaction_hashes)
        return self.head

    @property
    def finalized(self) -> Block:
        return self.blocks[0]

    def next_header(self) -> Header:
        return header_of_block(self.execution.seal().block)


@dataclass(slots=True)
class RealBackend:
    """The parts of a service over such a chain."""

    chain: RealChain = field(default_factory=lambda: RealChain(ExecutionChain.open()))
    pool: FakePool = field(default_factory=FakePool)
    worker: Worker = field(default_factory=InlineWorker)

    def parts(self) -> RpcParts:
        return RpcParts(
            chain=self.chain,
            engine=self.chain.execution.engine,
            pool=self.pool,
            worker=self.worker,
            trace_worker=self.worker,
            event_worker=self.worker,
            blob_fee=lambda _: 1,
            peer_count=lambda: 0,
            sync_progress=lambda: None,
            devnet=DevnetView(info=dict, consensus=dict, finality_proof=no_proof),
        )
