"""A whole rollup in one process: real consensus, both engines, the contracts, pool, chains on disk; no sockets.

rollup = make_rollup()                            genesis documents, a builder of L1 blocks, funded users
async with running_l1(rollup, folder) as l1:      a full node's chain and pool; l1.mine() takes what waits
async with running_l2(rollup, l1, folder) as l2:  an L2 node over it
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import orjson
import trio
from eth_abi.abi import encode
from prometheus_client import CollectorRegistry

from deploy.rollup_genesis import l1_rollup, l2_genesis, l2_supply_wei
from node.app.following import follow_chain
from node.chain.chain import Chain, open_chain
from node.chain.metrics import ChainMetrics
from node.consensus.genesis import Genesis
from node.contracts.alloc import l1_allocations
from node.eth.blocks import Block
from node.eth.fees import next_base_fee
from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import (
    RevmEngine,
    StepCallable,
    encode_batch,
    open_tables,
    verify_signatures,
)
from node.execution.stepping import read_batch
from node.rollup.derivation import BlockInput, attributes_of
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.runtime.clock import SystemClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import ThreadWorker
from node.storage.chain_database import ChainDatabase
from node.txpool.service import PoolService
from node.txpool.surroundings import PoolNetwork
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.misbehaving import Misbehaviour
from sequencer.batching.options import BatchingOptions
from sequencer.batching.packing import Packer, PackingLimits
from sequencer.batching.service import Batcher, BatcherParts
from sequencer.batching.signing import L1Account
from sequencer.batching.unposted import Unposted
from sequencer.deriving.book import RecordBook
from sequencer.deriving.deriver import Deriver
from sequencer.deriving.executing import derive_block
from sequencer.deriving.metrics import DerivingMetrics
from sequencer.heads import L2Chain, open_l2_chain
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View
from tests.kit.chain_builder import BuiltBlock, ChainBuilder, make_genesis, make_keys
from tests.kit.execution_chain import genesis_document
from tests.kit.real_chain import LateClock, close_real_chain
from tests.kit.transfers import Sender, sender, sign_transfer

ETHER = 10**18
LAST_SLOT = 100_000
"""What the clocks say: every block of a test is of the past."""

BATCHER_SECRET = b"\xba" * 32
BLOCK_GAS = 100_000_000


MoreContracts = Callable[[RollupParameters, Hash32], dict[str, dict[str, object]]]
"""Gives further allocations of L1 for a rollup and the output root of its genesis block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The genesis files of a rollup and of its L1."""

    parameters: RollupParameters
    """Of the rollup."""
    l1: bytes
    """L1's genesis file."""
    l2: bytes
    """The L2's."""
    step: StepCallable | None = None
    """What L1's precompile answers; None where nobody disputes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRollup:
    """What everybody starts from."""

    parameters: RollupParameters
    """Of the rollup."""
    genesis: Genesis
    """L1's consensus."""
    l1_document: bytes
    """L1's genesis file."""
    l2_document: bytes
    """The L2's."""
    builder: ChainBuilder
    """Makes L1 blocks, on an engine of its own in memory."""
    users: Sequence[Sender]
    """Funded on both layers."""
    step: StepCallable | None = None
    """What L1's precompile answers; None where nobody disputes."""


def make_documents(
    genesis: Genesis,
    funded: Sequence[bytes],
    *,
    window_blocks: int = 30,
    sequencer_key: bytes = b"\x5e" * 32,
    more: MoreContracts | None = None,
) -> Documents:
    """Genesis files with all contracts; `funded` are addresses with money on both layers; `more` stand on L1 too."""
    batcher = L1Account(BATCHER_SECRET, 900)
    parameters = RollupParameters(
        batcher=batcher.address,
        sequencer_key=sequencer_key,
        sequencing_window_blocks=window_blocks,
    )
    balances: dict[str, object] = {
        "0x" + one.hex(): {"balance": hex(10**6 * ETHER)} for one in (batcher.address, *funded)
    }
    l2_document = l2_genesis(parameters, [], time=genesis.time, l1_base_fee_wei=10**9)
    allocations = l2_document["alloc"]
    assert isinstance(allocations, dict)
    allocations.update(balances)
    l2_encoded = json.dumps(l2_document).encode()
    l2_block = RevmEngine(l2_encoded).genesis()
    l2_hash = Hash32(l2_block.block_hash)
    contracts = l1_allocations(
        batcher=parameters.batcher,
        sequencing_window_blocks=window_blocks,
        batch_limit_bytes=parameters.batch_limit_bytes,
        locked_wei=l2_supply_wei(l2_document),
    )
    if more is not None:
        contracts |= more(parameters, output_of(header_of_block(l2_block.block)).root())
    l1_document = genesis_document(balances | contracts) | {
        "timestamp": hex(genesis.time),
        "gasLimit": hex(120_000_000),
        "extraData": "0x" + genesis.extra_data.hex(),
        "rollup": l1_rollup(parameters, l2_hash),
    }
    return Documents(parameters=parameters, l1=json.dumps(l1_document).encode(), l2=l2_encoded)


def make_rollup(*, users: int = 4, window_blocks: int = 30) -> RealRollup:
    """The same rollup every time."""
    keys = make_keys(4)
    genesis = make_genesis(keys)
    funded = [sender(f"rollup user {number}") for number in range(users)]
    documents = make_documents(
        genesis, [one.address for one in funded], window_blocks=window_blocks
    )
    return RealRollup(
        parameters=documents.parameters,
        genesis=genesis,
        l1_document=documents.l1,
        l2_document=documents.l2,
        builder=ChainBuilder(genesis, keys, RevmEngine(documents.l1)),
        users=funded,
    )


def deposit_call(to: bytes, value: int) -> bytes:
    """Call data of a deposit of ETH."""
    kinds = ("address", "uint256", "uint64", "bool", "bytes")
    selector = keccak256(b"depositTransaction(address,uint256,uint64,bool,bytes)")[:4]
    return selector + encode(kinds, ("0x" + to.hex(), value, 100_000, False, b""))


# -- L1


@dataclass(slots=True, kw_only=True)
class RealL1:
    """A full node's chain and pool, and somebody who makes blocks for it."""

    rollup: RealRollup
    chain: Chain
    engine: RevmEngine
    pool: PoolService
    slot: int = 3
    """The last slot with a block."""
    must_succeed: set[bytes] = field(default_factory=set)
    """Hashes of transactions that must not revert where the chain takes them."""

    async def waiting(self, count: int = 1) -> None:
        """Wait until so many transactions, such as a batcher's, are in the pool."""
        with trio.fail_after(60):
            while self.pool.counts()[0] < count:  # noqa: ASYNC110  # the pool tells of nothing
                await trio.sleep(0.02)

    async def mine(
        self,
        *,
        on: Hash32 | None = None,
        voted: bool = True,
        takes: int = 1_000,
    ) -> BuiltBlock:
        """The next slot's block with what waits in the pool; every validator has voted for its parent, or nobody has.

        Whoever is killed while it waits for this takes nothing of L1 with it: the block stays, and the pool follows.
        """
        builder = self.rollup.builder
        parent = builder.blocks[on or self.chain.head.hash]
        base_fee = next_base_fee(self.chain.head.header)
        offered = self.pool.upcoming(base_fee=base_fee, gas=BLOCK_GAS, count=takes) if takes else ()
        votes = [builder.vote(index, parent.slot, parent.hash) for index in range(4)]
        self.slot += 1
        block = builder.build(
            parent.hash,
            self.slot,
            votes=votes if voted and parent.number else [],
            transactions=[one.raw for one in offered],
        )
        with trio.fail_after(60, shield=True):
            await self.chain.import_envelope(block.envelope, origin="a peer")
            while self.pool._root != self.chain.head.header.state_root:  # noqa: ASYNC110
                await trio.sleep(0.005)
        self._check_successes()
        return block

    def _check_successes(self) -> None:
        block = self.chain.head
        raws = self.engine.raw_transactions(block.rlp)
        receipts = orjson.loads(self.engine.receipts_json(block.rlp, block.receipts))
        for raw, receipt in zip(raws, receipts, strict=True):
            if keccak256(raw) in self.must_succeed:
                assert receipt["status"] == "0x1", receipt

    def user_nonce(self, user: int) -> int:
        """Of the head's state."""
        address = self.rollup.users[user].address
        return self.engine.accounts(self.chain.head.header.state_root, [address])[0][0]

    async def deposit(self, user: int, *, to: bytes, value: int) -> None:
        """Hand in a deposit of ETH."""
        raw = sign_transfer(
            self.rollup.users[user],
            nonce=self.user_nonce(user),
            to=self.rollup.parameters.portal,
            value=value,
            gas_limit=1_000_000,
            data=deposit_call(to, value),
        )
        submitted = await self.pool.submit(raw)
        assert submitted.refusal is None, submitted.refusal


@asynccontextmanager
async def running_l1(rollup: RealRollup, folder: Path) -> AsyncIterator[RealL1]:
    """A full node's chain and pool over a folder."""
    engine = RevmEngine(rollup.l1_document, folder=folder / "states", step=rollup.step)
    chain = await open_chain(
        genesis=rollup.genesis,
        engine=engine,
        database=ChainDatabase(open_tables(folder / "chain.redb"), folder=str(folder)),
        verify=verify_signatures,
        worker=ThreadWorker(threads_max=2),
        clock=LateClock(rollup.genesis, LAST_SLOT),
        metrics=ChainMetrics(CollectorRegistry()),
    )

    async def nobody(_peer: str, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    pool = PoolService(
        engine=engine,
        head=chain.head,
        worker=ThreadWorker(threads_max=2),
        network=PoolNetwork(
            publish=lambda _: None, request=nobody, failures=(), blame=lambda _peer, _why: None
        ),
        clock=SystemClock(),
        registry=CollectorRegistry(),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(chain.run)
        await nursery.start(pool.run)
        await nursery.start(follow_chain, chain, pool, None)
        yield RealL1(rollup=rollup, chain=chain, engine=engine, pool=pool)
        nursery.cancel_scope.cancel()
    close_real_chain(chain)


# -- L2


@dataclass(slots=True, kw_only=True)
class RealL2:
    """An L2 node over an L1 node."""

    rollup: RealRollup
    l1: RealL1
    chain: L2Chain
    engine: RevmEngine
    view: L1View
    deriver: Deriver
    registry: CollectorRegistry

    async def caught_up(self) -> None:
        """Wait until everything up to L1's head is derived."""
        with trio.fail_after(60):
            while True:
                derived = self.deriver.derived
                version = derived.version
                if derived.value is not None and derived.value.block == self.view.head:
                    return
                await derived.past(version)

    async def settled(self, number: int) -> None:
        """Let L1 go on until it holds the L2 up to a number, and everything that it holds is derived."""
        with trio.fail_after(120):
            while self.chain.safe.header.number < number:
                await self.l1.mine()
                await self.caught_up()
                await trio.sleep(0.05)
        await self.caught_up()  # a record's last block is safe before the record is done

    async def safe_at(self, number: int) -> None:
        """Wait until the safe head is there."""
        with self.chain.subscribe() as events, trio.fail_after(60):
            while self.chain.safe.header.number < number:
                await events.receive()

    def build(self, raws: Sequence[bytes] = (), *, advances: bool = False) -> Block:
        """Seal a block on the head, on the next origin if there is one."""
        head, before = self.chain.head, self.chain.head_origin
        following = self.view.origin(before.number + 1) if advances else None
        origin = following or self.view.origin_by_hash(before.hash)
        assert origin is not None
        block_input = BlockInput(
            number=BlockNumber(head.header.number + 1),
            origin_number=origin.number,
            advances_origin=following is not None,
            claimed_timestamp=head.header.timestamp,
            transactions=tuple(raws),
        )
        attributes = attributes_of(self.rollup.parameters, head.header, block_input, origin)
        derived = derive_block(self.engine, head.header, attributes)
        assert derived.is_full, "a sequencer seals what can be executed"
        return self.chain.append(derived.result, L1Ref(number=origin.number, hash=origin.hash))

    async def build_posted(self, raws: Sequence[bytes] = ()) -> Block:
        """Seal a block on the next origin, and wait until the batcher has handed in another batch."""
        name = "faultline_sequencer_batches_total"
        before = self.metric(name)
        block = self.build(raws, advances=True)
        with trio.fail_after(60):
            while self.metric(name) <= before:  # noqa: ASYNC110  # seen from outside
                await trio.sleep(0.005)
        return block

    def transfers(self, user: int, count: int, *, to: bytes = b"\x77" * 20) -> list[bytes]:
        """A user's next transfers."""
        first = self.nonce(user)
        return [
            sign_transfer(
                self.rollup.users[user],
                nonce=first + place,
                to=to,
                max_fee_per_gas=10**9,
                max_priority_fee_per_gas=0,
                chain_id=self.rollup.parameters.chain_id,
            )
            for place in range(count)
        ]

    def nonce(self, user: int) -> int:
        """Of the head's state."""
        address = self.rollup.users[user].address
        return self.engine.accounts(self.chain.head.header.state_root, [address])[0][0]

    def balance(self, address: bytes) -> int:
        """Wei, on the head."""
        return self.engine.accounts(self.chain.head.header.state_root, [address])[0][1]

    def metric(self, name: str, **labels: str) -> float:
        """A sample."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def batcher(self, board: FaultBoard | None, options: BatchingOptions) -> Batcher:
        """Its batcher."""
        parameters = self.rollup.parameters
        limits = PackingLimits(
            batch_bytes_max=parameters.batch_limit_bytes,
            decompressed_bytes_max=parameters.decompressed_limit_bytes,
        )
        packer = Packer(partial(encode_batch, quality=5), limits)
        return Batcher(
            BatcherParts(
                parameters=parameters,
                account=L1Account(BATCHER_SECRET, 900),
                l1=self.view,
                derived=self.deriver.derived,
                unposted=Unposted(self.chain, self.engine.raw_transactions, packer),
                packer=packer,
                pool=self.l1.pool,
                worker=ThreadWorker(threads_max=1),
                misbehaviour=Misbehaviour(board),
                metrics=BatchingMetrics(self.registry),
                options=options,
            )
        )


@asynccontextmanager
async def running_l2(
    rollup: RealRollup,
    l1: RealL1,
    folder: Path,
    *,
    board: FaultBoard | None = None,
    batching: BatchingOptions | None = None,
) -> AsyncIterator[RealL2]:
    """An L2 node over a folder; with `batching` it posts."""
    engine = RevmEngine(rollup.l2_document, folder=folder / "states")
    tables = open_tables(folder / "chain.redb")
    genesis = l1.chain.block_by_number(0)
    assert genesis is not None
    worker = ThreadWorker(threads_max=2)
    chain = await open_l2_chain(
        engine=engine,
        tables=tables,
        folder=folder,
        genesis_origin=L1Ref(number=0, hash=genesis.hash),
        worker=worker,
        wall=SystemClock(),
    )
    registry = CollectorRegistry()
    view = L1View(l1.chain, l1.engine, rollup.parameters)
    deriver = Deriver(
        parameters=rollup.parameters,
        l1=view,
        l2=chain,
        engine=engine,
        decode=read_batch,
        book=RecordBook(tables),
        worker=worker,
        metrics=DerivingMetrics(registry),
    )
    node = RealL2(
        rollup=rollup,
        l1=l1,
        chain=chain,
        engine=engine,
        view=view,
        deriver=deriver,
        registry=registry,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(chain.run)
        await nursery.start(view.run)
        await nursery.start(deriver.run)
        if batching is not None:
            await nursery.start(node.batcher(board, batching).run)
        yield node
        nursery.cancel_scope.cancel()
    engine.close()
    tables.close()
