"""A chain and an engine that answer from dictionaries, so that a test sees every byte it gave; and a service of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import orjson
import trio

from node.errors import MissingState
from node.eth import rlp
from node.eth.blocks import Block
from node.eth.fees import GAS_PER_BLOB
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address, Hash32
from node.rpc.backend import DevnetView, SyncProgress
from node.rpc.logs import bloom_mask
from node.rpc.service import RpcParts
from node.runtime.worker import Worker
from tests.node.rpc.fake_pool import FakePool

Answer = TypeVar("Answer")

EMITTER: Final = Address(b"\xee" * 20)
"""Address of every log of these chains."""

TOPIC: Final = keccak256(b"Happened()")
"""First topic of every log of these chains."""


class InlineWorker:
    """Works in place."""

    async def run(self, work: Callable[[], Answer]) -> Answer:
        await trio.lowlevel.checkpoint()
        return work()


class GatedWorker:
    """Works once it is let."""

    def __init__(self) -> None:
        self.gate = trio.Event()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        await self.gate.wait()
        return work()


def make_block(
    number: int,
    parent: Block | None,
    *,
    transactions: Sequence[bytes] = (),
    logs: bool = False,
    salt: bytes = b"",
) -> Block:
    """A block whose receipts are its transactions' hashes, JSON."""
    bloom = (bloom_mask(EMITTER) | bloom_mask(TOPIC)) if logs else 0
    header = Header(
        parent_hash=ZERO_HASH if parent is None else parent.hash,
        fee_recipient=ZERO_ADDRESS,
        state_root=keccak256(b"state" + bytes([number % 256]) + salt),
        logs_bloom=bloom.to_bytes(256, "big"),
        number=number,
        gas_limit=30_000_000,
        gas_used=21_000 * len(transactions),
        timestamp=1_000 + 2 * number,
        extra_data=salt[:32],
        mix_hash=ZERO_HASH,
        base_fee_per_gas=1_000_000_000 + number,
        parent_beacon_block_root=ZERO_HASH,
    )
    encoded = rlp.encode(
        [rlp.decode(header.encode(), max_bytes=4096, max_items=64), list(transactions), [], []]
    )
    return Block(
        hash=header.hash(),
        header=header,
        rlp=encoded,
        receipts=orjson.dumps([keccak256(one).hex() for one in transactions]),
    )


class FakeChain:
    """A chain of such blocks."""

    def __init__(self, length: int = 4, *, logs: bool = True) -> None:
        self.safety_fault: str | None = None
        self.blocks: dict[Hash32, Block] = {}
        self.canonical: list[Block] = []
        self.transactions: dict[bytes, tuple[Block, int]] = {}
        parent = None
        for number in range(length):
            transactions = [b"transaction %d" % number] if number else []
            parent = make_block(number, parent, transactions=transactions, logs=logs and number > 0)
            self.append(parent, transactions)
        self.safe_number = max(length - 2, 0)
        self.finalized_number = max(length - 3, 0)

    def append(self, block: Block, transactions: Sequence[bytes] = ()) -> None:
        self.blocks[block.hash] = block
        self.canonical.append(block)
        for index, one in enumerate(transactions):
            self.transactions[keccak256(one)] = (block, index)

    def replace_head(self, block: Block) -> Block:
        dropped = self.canonical.pop()
        self.append(block)
        return dropped

    @property
    def head(self) -> Block:
        return self.canonical[-1]

    @property
    def safe(self) -> Block:
        return self.canonical[self.safe_number]

    @property
    def finalized(self) -> Block:
        return self.canonical[self.finalized_number]

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        return self.blocks.get(block_hash)

    def block_by_number(self, number: int) -> Block | None:
        return self.canonical[number] if number < len(self.canonical) else None

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        return self.transactions.get(transaction_hash)

    def is_canonical(self, block_hash: Hash32) -> bool:
        return any(block.hash == block_hash for block in self.canonical)

    def ancestors(self, block_hash: Hash32) -> bytes:
        number = self.blocks[block_hash].header.number
        return b"".join(block.hash for block in reversed(self.canonical[:number]))

    def next_header(self) -> Header:
        return make_block(self.head.header.number + 1, self.head).header

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        return [(block.hash, block.header.logs_bloom) for block in self.canonical[first : last + 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAccount:
    """An account."""

    nonce: int = 0
    balance: int = 0
    code_hash: bytes = keccak256(b"")
    storage_root: bytes = keccak256(b"storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeProof:
    """A proof."""

    account: FakeAccount
    nodes: list[bytes]
    slots: list[tuple[bytes, list[bytes]]]


@dataclass(frozen=True, slots=True)
class FakeResult:
    """How a call ended."""

    status: str
    output: bytes
    gas_used: int = 21_000


@dataclass(slots=True, kw_only=True)
class FakeEngine:
    """Answers what it was told to; remembers what it was asked."""

    accounts: dict[bytes, FakeAccount] = field(default_factory=dict)
    codes: dict[bytes, bytes] = field(default_factory=dict)
    words: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    pruned: set[bytes] = field(default_factory=set)
    result: FakeResult = field(default_factory=lambda: FakeResult("success", b"\x2a"))
    error: Exception | None = None
    takes_us: int = 20
    on_trace: Callable[[], None] = lambda: None
    """Called by a traced call, in its thread."""
    trace_limits_us: list[int | None] = field(default_factory=list)
    """How long each traced call might have taken."""
    asked: list[dict[str, object]] = field(default_factory=list)
    rendered: list[int] = field(default_factory=list)
    receipt_padding: int = 0
    percentiles: list[int] = field(default_factory=lambda: [3_000_000_000] * 3)

    def _read(self, root: bytes) -> None:
        if root in self.pruned:
            raise MissingState("no such state")

    def _simulate(self, **asked: object) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    def has_state(self, root: bytes) -> bool:
        return root not in self.pruned

    def account(self, root: bytes, address: bytes) -> FakeAccount | None:
        self._read(root)
        return self.accounts.get(address)

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        self._read(root)
        return self.words.get((address, slot), bytes(32))

    def code(self, root: bytes, address: bytes) -> bytes:
        self._read(root)
        return self.codes.get(address, b"")

    def proof(self, root: bytes, address: bytes, slots: Sequence[bytes]) -> FakeProof:
        self._read(root)
        return FakeProof(
            account=self.accounts.get(address, FakeAccount()),
            nodes=[b"node"],
            slots=[(self.storage(root, address, slot), [b"leaf"]) for slot in slots],
        )

    def call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> FakeResult:
        self._read(root)
        self._simulate(
            root=root,
            header=header,
            ancestors=ancestors,
            call=call,
            gas_cap=gas_cap,
            state_overrides=state_overrides,
            block_overrides=block_overrides,
            deadline_us=deadline_us,
        )
        if self.takes_us > (deadline_us or self.takes_us):
            raise TimeoutError
        return self.result

    def estimate_gas(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> FakeResult:
        return self.call(root, header, ancestors, call, gas_cap=gas_cap, deadline_us=deadline_us)

    def access_list(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> bytes:
        self._simulate(root=root, header=header, call=call)
        return b'{"accessList":[],"gasUsed":"0x5208"}'

    def simulate(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        request: bytes,
        *,
        gas_cap: int,
        deadline_us: int | None = None,
    ) -> bytes:
        self._read(root)
        self._simulate(
            root=root,
            header=header,
            ancestors=ancestors,
            request=request,
            gas_cap=gas_cap,
            deadline_us=deadline_us,
        )
        return b"[]"

    def trace_block(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        self._read(parent_root)
        self._simulate(root=parent_root, block=block, ancestors=ancestors, options=options)
        return b"[]"

    def trace_transaction(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        self._read(parent_root)
        self._simulate(root=parent_root, block=block, index=index, options=options)
        return b'{"gas":21000}'

    def trace_call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        options: bytes,
        *,
        gas_cap: int,
        block: bytes | None = None,
        index: int = 0,
        deadline_us: int | None = None,
    ) -> bytes:
        self._simulate(
            root=root, header=header, call=call, options=options, block=block, index=index
        )
        self.trace_limits_us.append(deadline_us)
        self.on_trace()
        return b'{"failed":false}'

    def trace_entries(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        self._read(parent_root)
        return b'[{"type":"CALL","depth":0,"output":"0x","failed":false}]'

    def trace_parties(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        self._read(parent_root)
        return b"[]"

    def intermediate_roots(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> list[bytes]:
        self._read(parent_root)
        self._simulate(root=parent_root, block=block, ancestors=ancestors)
        return [bytes(32)] * len(self.raw_transactions(block))

    def execution_witness(self, parent_header: bytes, block: bytes, ancestors: bytes) -> bytes:
        return b'{"headers":[],"state":["0x01"],"codes":[],"keys":[]}'

    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes:
        self.rendered.append(len(block))
        return orjson.dumps({"size": len(block), "full": full})

    def header_json(self, header: bytes) -> bytes:
        return orjson.dumps({"hash": "0x" + keccak256(header).hex(), "miner": "0x", "nonce": "0x"})

    def transaction_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        return orjson.dumps({"hash": orjson.loads(receipts)[index], "index": index})

    def pending_json(self, transactions: Sequence[bytes]) -> list[bytes]:
        return [orjson.dumps({"pending": one.hex()}) for one in transactions]

    def receipts_json(self, block: bytes, receipts: bytes) -> bytes:
        return orjson.dumps([{"transactionHash": "0x" + one} for one in orjson.loads(receipts)])

    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        told = {"transactionHash": "0x" + orjson.loads(receipts)[index]}
        return orjson.dumps(
            told | ({"p": "x" * self.receipt_padding} if self.receipt_padding else {})
        )

    def logs_json(
        self,
        blocks: Sequence[tuple[bytes, bytes]],
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes]],
        *,
        removed: bool = False,
    ) -> list[bytes]:
        self.asked.append({"blocks": len(blocks), "addresses": addresses, "topics": topics})
        return [
            orjson.dumps({"logOf": keccak256(block).hex(), "removed": removed})
            for block, _ in blocks
        ]

    def raw_receipts(self, receipts: bytes) -> list[bytes]:
        return [one.encode() for one in orjson.loads(receipts)]

    def raw_transactions(self, block: bytes) -> list[bytes]:
        decoded = rlp.decode(block, max_bytes=1 << 20, max_items=4096)
        assert not isinstance(decoded, bytes)
        transactions = decoded[1]
        assert not isinstance(transactions, bytes)
        return [rlp.as_bytes(one) for one in transactions]

    def fee_percentiles(
        self, block: bytes, receipts: bytes, percentiles: Sequence[float]
    ) -> list[int]:
        return [
            self.percentiles[index % len(self.percentiles)] for index in range(len(percentiles))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRefused:
    """A block that was refused."""

    hash: Hash32
    rlp: bytes
    json: bytes


@dataclass(slots=True)
class FakeFaults:
    """Remembers faults."""

    injected: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    async def inject(self, name: str, parameters: Mapping[str, object]) -> object:
        if name == "unknown":
            raise ValueError("name: no fault is called unknown")
        self.injected.append((name, parameters))
        return {"injected": name}

    async def heal(self, name: str | None) -> object:
        return {"healed": name}

    def active(self) -> object:
        return [name for name, _ in self.injected]


async def no_proof(block_hash: Hash32) -> object:
    """Nothing is final here."""
    await trio.lowlevel.checkpoint()
    return None


@dataclass(slots=True, kw_only=True)
class Backend:
    """Everything a service needs, made of fakes."""

    chain: FakeChain = field(default_factory=FakeChain)
    engine: FakeEngine = field(default_factory=FakeEngine)
    pool: FakePool = field(default_factory=FakePool)
    faults: FakeFaults | None = field(default_factory=FakeFaults)
    progress: SyncProgress | None = None
    worker: Worker = field(default_factory=InlineWorker)
    trace_worker: Worker = field(default_factory=InlineWorker)
    event_worker: Worker = field(default_factory=InlineWorker)

    refused: list[FakeRefused] = field(default_factory=list)

    def parts(self) -> RpcParts:
        return RpcParts(
            chain=self.chain,
            refused_blocks=lambda: self.refused,
            engine=self.engine,
            pool=self.pool,
            worker=self.worker,
            trace_worker=self.trace_worker,
            event_worker=self.event_worker,
            blob_fee=lambda header: 1,
            blob_gas_max=lambda header: 21 * GAS_PER_BLOB,
            peer_count=lambda: 3,
            sync_progress=lambda: self.progress,
            devnet=DevnetView(
                info=lambda: {"name": "test"},
                consensus=lambda: {"head": "0x1"},
                finality_proof=no_proof,
                faults=self.faults,
            ),
        )
