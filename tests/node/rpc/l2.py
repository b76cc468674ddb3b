"""An L2 node made of fakes: an intake that seals when a test says so, and a view of L1 made of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.rollup.parameters import RollupParameters
from node.rpc.backend import DevnetView, Submission
from node.rpc.bridging import BridgeView
from node.rpc.service import RollupParts, RpcParts, RpcSettings
from tests.node.rpc.fake_pool import FakePool, FakeSubmission
from tests.node.rpc.fakes import Backend, FakeChain, FakeEngine, InlineWorker, make_block

SETTINGS: Final = RpcSettings(
    port=0, chain_id=901, client_version="faultline/test", tip_wei=1_000_000
)
"""Those of an L2."""

RULES: Final = RollupParameters(batcher=Address(b"\xba" * 20), sequencer_key=b"\x5e" * 32)
"""The constants of the rollup."""


@dataclass(slots=True)
class FakeIntake:
    """Takes everything unless told to refuse; seals at once, or when `seal` is called."""

    chain: FakeChain
    refusal: str | None = None
    seals_at_once: bool = True
    offered: list[bytes] = field(default_factory=list)
    waiting: list[tuple[bytes, Callable[[Submission], None]]] = field(default_factory=list)

    def offer(self, raw: bytes, told: Callable[[Submission], None]) -> None:
        self.offered.append(raw)
        if self.refusal is not None:
            told(FakeSubmission(keccak256(raw), self.refusal))
            return
        self.waiting.append((raw, told))
        if self.seals_at_once:
            self.seal()

    def seal(self) -> Block:
        """One block of everything that waits."""
        waiting, self.waiting = self.waiting, []
        head = self.chain.head
        raws = [raw for raw, _ in waiting]
        block = make_block(head.header.number + 1, head, transactions=raws)
        self.chain.append(block, raws)
        for raw, told in waiting:
            told(FakeSubmission(keccak256(raw), None))
        return block

    def queue(self) -> None:
        """Say that everything that waits was taken, and seal none of it: earlier nonces are missing."""
        waiting, self.waiting = self.waiting, []
        for raw, told in waiting:
            told(FakeSubmission(keccak256(raw), None))


@dataclass(frozen=True, slots=True)
class Place:
    """An L1 block."""

    number: int
    hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeBatchPlace:
    """Where L1 holds a block."""

    record_index: int
    transaction_hash: Hash32
    l1_number: int
    l1_hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeL1Heads:
    """Heads of L1."""

    current: Header
    head: Header
    safe: Header
    finalized: Header


def l1_block(number: int) -> Block:
    """The L1 block of this number."""
    return make_block(number, None if number == 0 else l1_block(number - 1), salt=b"l1")


@dataclass(slots=True)
class FakeView:
    """Each origin lasts for `blocks_per_origin` blocks; a block has a batch below `unsafe_from`."""

    chain: FakeChain
    blocks_per_origin: int = 3
    unsafe_from: int = 3

    @property
    def l1(self) -> FakeL1Heads:
        current, head, safe, finalized = (l1_block(number).header for number in (6, 9, 7, 5))
        return FakeL1Heads(current=current, head=head, safe=safe, finalized=finalized)

    def origin_of(self, block_hash: Hash32) -> Place | None:
        block = self.chain.block_by_hash(block_hash)
        if block is None:
            return None
        number = block.header.number // self.blocks_per_origin
        return Place(number, l1_block(number).hash)

    def batch_of(self, number: int) -> FakeBatchPlace | None:
        if not 0 < number < self.unsafe_from:
            return None
        return FakeBatchPlace(
            record_index=number - 1,
            transaction_hash=keccak256(b"append %d" % number),
            l1_number=5,
            l1_hash=l1_block(5).hash,
        )


@dataclass(slots=True, kw_only=True)
class L2Backend:
    """Everything an L2's service needs, made of fakes."""

    chain: FakeChain = field(default_factory=FakeChain)
    engine: FakeEngine = field(default_factory=FakeEngine)
    pool: FakePool = field(default_factory=FakePool)
    contracts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    bridge: BridgeView | None = None
    intake: FakeIntake = field(init=False)
    view: FakeView = field(init=False)

    def __post_init__(self) -> None:
        self.intake = FakeIntake(self.chain)
        self.view = FakeView(self.chain)

    def parts(self) -> RpcParts:
        of_l1 = Backend().parts()
        return RpcParts(
            chain=self.chain,
            engine=self.engine,
            pool=self.pool,
            worker=InlineWorker(),
            trace_worker=InlineWorker(),
            event_worker=InlineWorker(),
            blob_fee=of_l1.blob_fee,
            peer_count=of_l1.peer_count,
            sync_progress=of_l1.sync_progress,
            devnet=DevnetView(info=lambda: {"name": "test", "contracts": self.contracts}),
            intake=self.intake,
            rollup=RollupParts(
                view=self.view,
                parameters=RULES,
                explain=lambda _: "an earlier nonce is missing",
                bridge=self.bridge,
            ),
        )


def raws(count: int) -> Sequence[bytes]:
    """So many different transactions."""
    return [b"\x02transaction %d" % index for index in range(count)]
