"""L2 nodes over a model L1: real rules, the native engine in memory, a chain that is a list.

node = L2Node(tree, document)            a node with a view of L1 of its own
node.build(raws)                         seal a block, as a sequencer does
async with node.running(): ...           its deriver follows L1
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial

import trio
from prometheus_client import CollectorRegistry

from node.eth.blocks import Block
from node.eth.headers import header_of_block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import RevmEngine, encode_batch
from node.execution.engine import BlockResult
from node.execution.stepping import read_batch
from node.rollup.derivation import BlockInput, attributes_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import InboxTip
from node.runtime.worker import InlineWorker, Worker
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.misbehaving import Board, Misbehaviour
from sequencer.batching.options import BatchingOptions
from sequencer.batching.packing import Packer, PackingLimits
from sequencer.batching.service import Batcher, BatcherParts
from sequencer.batching.signing import L1Account
from sequencer.batching.unposted import Unposted
from sequencer.deriving.book import RecordBook
from sequencer.deriving.deriver import Deriver
from sequencer.deriving.executing import derive_block
from sequencer.deriving.metrics import DerivingMetrics
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View
from tests.kit.memory_tables import Disk, MemoryTables
from tests.kit.model_l1 import ModelL1, ModelTree
from tests.kit.model_pool import ModelPool
from tests.kit.rollup import GENESIS_TIME
from tests.kit.rollup_chain import CHAIN_ID, rollup_document
from tests.kit.transfers import Sender, sender, sign_transfer

BATCHER_SECRET = b"\xba" * 32
"""The batcher's key."""

USERS = 4
"""Funded accounts of the L2."""


@cache
def users() -> tuple[Sender, ...]:
    """Funded accounts of the L2."""
    return tuple(sender(f"user {number}") for number in range(USERS))


def batcher_account() -> L1Account:
    """The batcher's account on L1."""
    return L1Account(BATCHER_SECRET, 900)


def model_parameters(*, sequencing_window_blocks: int = 30) -> RollupParameters:
    """A rollup whose batcher is `batcher_account`."""
    return RollupParameters(
        batcher=batcher_account().address,
        sequencer_key=b"\x5e" * 32,
        sequencing_window_blocks=sequencing_window_blocks,
    )


@cache
def model_document() -> bytes:
    """The L2's genesis file."""
    funded = {"0x" + one.address.hex(): {"balance": hex(10**24)} for one in users()}
    document = rollup_document(extra_accounts=funded, base_fee_wei=1_000_000)
    document["timestamp"] = hex(GENESIS_TIME)
    return json.dumps(document).encode()


def transfer(user: int, nonce: int, *, value: int = 1, to: bytes = b"\x77" * 20) -> bytes:
    """A user's transfer on the L2."""
    return sign_transfer(
        users()[user],
        nonce=nonce,
        to=to,
        value=value,
        max_fee_per_gas=10**9,
        max_priority_fee_per_gas=0,
        chain_id=CHAIN_ID,
    )


class ModelChain:
    """The L2's chain as a list; satisfies what deriving and batching ask of one."""

    def __init__(self, engine: RevmEngine, l1_genesis: L1Ref) -> None:
        genesis = block_of(engine.genesis())
        self.blocks: list[Block] = [genesis]
        self.origins: dict[Hash32, L1Ref] = {genesis.hash: l1_genesis}
        self.safe_number = 0
        self.finalized_number = 0
        self.records: dict[int, int] = {}
        self.dropped: list[Block] = []

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    @property
    def safe(self) -> Block:
        return self.blocks[self.safe_number]

    @property
    def finalized(self) -> Block:
        return self.blocks[self.finalized_number]

    def block_by_number(self, number: int) -> Block | None:
        return self.blocks[number] if 0 <= number < len(self.blocks) else None

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        return next((one for one in self.blocks if one.hash == block_hash), None)

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        return self.origins.get(block_hash)

    def append(self, result: BlockResult, origin: L1Ref) -> Block:
        block = block_of(result)
        assert block.header.parent_hash == self.head.hash
        self.blocks.append(block)
        self.origins[block.hash] = origin
        return block

    def reset_to(self, number: int) -> Sequence[Block]:
        assert self.safe_number <= number
        dropped = self.blocks[:number:-1]
        del self.blocks[number + 1 :]
        self.dropped += dropped
        return dropped

    def set_safe(self, number: int, record_index: int | None) -> None:
        assert self.finalized_number <= number < len(self.blocks)
        for one in range(self.safe_number + 1, number + 1):
            assert record_index is not None
            self.records[one] = record_index
        self.safe_number = number

    def set_finalized(self, number: int) -> None:
        assert self.finalized_number <= number <= self.safe_number
        self.finalized_number = number

    async def room(self) -> None:
        await trio.lowlevel.checkpoint()


def block_of(result: BlockResult) -> Block:
    """A result as a block."""
    return Block(
        hash=Hash32(result.block_hash),
        header=header_of_block(result.block),
        rlp=result.block,
        receipts=result.receipts,
    )


class L2Node:
    """One L2 node: `restart` makes another one on the same disk."""

    def __init__(
        self,
        tree: ModelTree,
        *,
        disk: Disk | None = None,
        chain: ModelChain | None = None,
        engine: RevmEngine | None = None,
        l1: ModelL1 | None = None,
        worker: Worker | None = None,
        dies_at: tuple[int, bool] | None = None,
    ) -> None:
        self.parameters = tree.parameters
        self.l1 = l1 or ModelL1(tree)
        self.engine = engine or RevmEngine(model_document())
        self.disk = disk or Disk()
        genesis = L1Ref(number=0, hash=tree.genesis.block.hash)
        self.chain = chain or ModelChain(self.engine, genesis)
        self.registry = CollectorRegistry()
        self.view = L1View(self.l1, self.l1, self.parameters)
        self.worker = worker or InlineWorker()
        self.deriver = Deriver(
            parameters=self.parameters,
            l1=self.view,
            l2=self.chain,
            engine=self.engine,
            decode=read_batch,
            book=RecordBook(MemoryTables(self.disk, dies_at=dies_at)),
            worker=self.worker,
            metrics=DerivingMetrics(self.registry),
        )

    def restart(self) -> L2Node:
        """The next process on the same disk, over the same L1."""
        return L2Node(
            self.l1.tree, disk=self.disk, chain=self.chain, engine=self.engine, l1=self.l1
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[L2Node]:
        """Its deriver follows L1."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.view.run)
            await nursery.start(self.deriver.run)
            yield self
            nursery.cancel_scope.cancel()

    async def caught_up(self) -> InboxTip:
        """Wait until everything up to L1's head is derived."""
        while True:
            derived = self.deriver.derived
            version = derived.version
            if derived.value is not None and derived.value.block == self.view.head:
                return derived.value.tip
            await derived.past(version)

    def batcher(
        self,
        pool: ModelPool,
        *,
        board: Board | None = None,
        options: BatchingOptions | None = None,
    ) -> Batcher:
        """A batcher of this node; it runs beside the deriver."""
        packer = Packer(partial(encode_batch, quality=5), packing_limits(self.parameters))
        return Batcher(
            BatcherParts(
                parameters=self.parameters,
                account=batcher_account(),
                l1=self.view,
                derived=self.deriver.derived,
                unposted=Unposted(self.chain, self.engine.raw_transactions, packer),
                packer=packer,
                pool=pool,
                worker=self.worker,
                misbehaviour=Misbehaviour(board),
                metrics=BatchingMetrics(self.registry),
                options=options or BatchingOptions(),
            )
        )

    # -- a sequencer

    def build(
        self, raws: Sequence[bytes] = (), *, advances: bool = False, seconds: int = 0
    ) -> Block:
        """Seal a block on the head; an origin that is not there is not advanced to."""
        head = self.chain.head
        before = self.chain.origins[head.hash]
        following = self.view.origin(before.number + 1)
        origin = following if advances and following is not None else None
        block_input = BlockInput(
            number=BlockNumber(head.header.number + 1),
            origin_number=BlockNumber(before.number + (origin is not None)),
            advances_origin=origin is not None,
            claimed_timestamp=head.header.timestamp + seconds,
            transactions=tuple(raws),
        )
        used = origin or self.view.origin_by_hash(before.hash)
        assert used is not None
        attributes = attributes_of(self.parameters, head.header, block_input, used)
        derived = derive_block(self.engine, head.header, attributes)
        assert derived.is_full, "a sequencer seals what can be executed"
        return self.chain.append(derived.result, L1Ref(number=used.number, hash=used.hash))

    def nonce(self, user: int) -> int:
        """A user's next nonce on the head."""
        return self.engine.accounts(self.chain.head.header.state_root, [users()[user].address])[0][
            0
        ]

    def balance(self, address: bytes) -> int:
        """Wei, on the head."""
        return self.engine.accounts(self.chain.head.header.state_root, [address])[0][1]

    def metric(self, name: str, **labels: str) -> float:
        """A sample."""
        return self.registry.get_sample_value(name, labels) or 0.0


def packing_limits(parameters: RollupParameters) -> PackingLimits:
    """Of a rollup."""
    return PackingLimits(
        batch_bytes_max=parameters.batch_limit_bytes,
        decompressed_bytes_max=parameters.decompressed_limit_bytes,
    )
