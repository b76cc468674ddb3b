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


def block_of(result: BlockResult) -> Block:
    """What the node keeps of an executed block."""
    return Block(
        hash=Hash32(result.block_hash),
        header=header_of_block(result.block),
        rlp=result.block,
        receipts=result.receipts,
    )


@dataclass(slots=True)
class RealChain:
    """Blocks of an `ExecutionChain`."""

    execution: ExecutionChain
    safety_fault: str | None = None
    blocks: list[Block] = field(default_factory=list)
    transactions: dict[bytes, tuple[Block, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks = [block_of(result) for result in self.execution.blocks]

    def grow(self, transactions: Sequence[bytes] = ()) -> Block:
        """The next block with these transactions."""
        result = self.execution.grow(transactions)
        block = block_of(result)
        self.blocks.append(block)
        for index, transaction_hash in enumerate(result.transaction_hashes):
            self.transactions[transaction_hash] = (block, index)
        return block

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    @property
    def safe(self) -> Block:
        return self.blocks[-1]

    @property
    def finalized(self) -> Block:
        return self.blocks[0]

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        return next((block for block in self.blocks if block.hash == block_hash), None)

    def block_by_number(self, number: int) -> Block | None:
        return self.blocks[number] if number < len(self.blocks) else None

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        return self.transactions.get(transaction_hash)

    def is_canonical(self, block_hash: Hash32) -> bool:
        return self.block_by_hash(block_hash) is not None

    def ancestors(self, block_hash: Hash32) -> bytes:
        block = self.block_by_hash(block_hash)
        assert block is not None
        below = self.blocks[: block.header.number]
        return b"".join(one.hash for one in reversed(below[-256:]))

    def next_header(self) -> Header:
        return header_of_block(self.execution.seal().block)

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        return [(block.hash, block.header.logs_bloom) for block in self.blocks[first : last + 1]]


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
            event_worker=self.worker,
            blob_fee=lambda _: 1,
            peer_count=lambda: 0,
            sync_progress=lambda: None,
            devnet=DevnetView(info=dict, consensus=dict, finality_proof=no_proof),
        )
