"""An engine without an EVM: roots are hashes of contents, so equal blocks have equal roots and nothing else does.

It answers what the chain asks of an engine, in microseconds, for tests and for the simulation.
A transaction is any bytes of at least four; those that start with REQUEST_PREFIX put an EIP-7685 request into the block,
those that start with INVALID_PREFIX cannot be included, those that start with BLOBS_PREFIX carry blobs.
A header's hash and its chain fields are real, so that consensus judges these blocks as it judges all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from node.errors import InvalidBlock, MissingState
from node.eth import rlp
from node.eth.fees import GAS_PER_BLOB
from node.eth.hashing import keccak256
from node.eth.headers import (
    EMPTY_REQUESTS_HASH,
    Header,
    decode_header,
    header_of_block,
    withdrawals_of_block,
)
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Hash32
from node.execution.engine import BlobTransaction, BlockAttributes, BlockResult, PushOutcome

REQUEST_PREFIX: Final = b"\xf0REQ"
"""What follows is a request: its type byte and its data."""

INVALID_PREFIX: Final = b"\xf0BAD"
"""A transaction that no block may hold."""

BLOBS_PREFIX: Final = b"\xf0BLOBS"
"""What follows are versioned hashes, 32 bytes each."""

GAS_PER_TRANSACTION: Final = 21_000
"""What each one costs."""

GAS_LIMIT: Final = 120_000_000
"""Of every block."""


def request_transaction(request: bytes) -> bytes:
    """A transaction whose execution makes this request (type byte first)."""
    return REQUEST_PREFIX + request


def blob_transaction(*names: bytes) -> bytes:
    """A transaction that carries these blobs."""
    return BLOBS_PREFIX + b"".join(names)


@dataclass(slots=True, kw_only=True)
class EngineDisk:
    """What outlives a process: the roots whose states are kept, each with its block's number."""

    roots: dict[bytes, int] = field(default_factory=dict)
    """By state root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeResult:
    """What executing a block gives."""

    block: bytes
    block_hash: bytes
    state_root: bytes
    gas_used: int
    requests: list[bytes]
    receipts: bytes
    transaction_hashes: list[bytes]
    senders: list[bytes] = field(default_factory=list)
    witness: tuple[list[bytes], list[bytes], list[bytes]] | None = None
    witness_size: tuple[int, int, int] = (0, 0, 0)
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)


class FakeBuilder:
    """A block under construction."""

    def __init__(self, engine: FakeEngine, parent: Header, attributes: BlockAttributes) -> None:
        self._engine = engine
        self._parent = parent
        self._attributes = attributes
        self._transactions: list[bytes] = []

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        """Include everything that is not marked invalid and fits."""
        outcomes: list[PushOutcome] = []
        for raw in transactions:
            if raw.startswith(INVALID_PREFIX):
                outcomes.append(PushOutcome(included=False, reason="invalid", message="marked"))
            elif self.gas_left < GAS_PER_TRANSACTION:
                outcomes.append(PushOutcome(included=False, reason="block_full", message=""))
            else:
                self._transactions.append(raw)
                outcomes.append(PushOutcome(included=True, reason="", message=""))
        return outcomes

    @property
    def gas_left(self) -> int:
        """Gas that further transactions may use."""
        return GAS_LIMIT - GAS_PER_TRANSACTION * len(self._transactions)

    @property
    def bytes_left(self) -> int:
        """Bytes that further transactions may take."""
        return 4 * 1024 * 1024 - sum(map(len, self._transactions))

    @property
    def blobs_left(self) -> int:
        """Blobs that further transactions may carry."""
        return 0

    @property
    def blob_base_fee(self) -> int:
        """Price of blob gas."""
        return 1

    def seal(self, extra_data: bytes) -> FakeResult:
        """Close the block."""
        attributes = self._attributes
        withdrawals = [
            (one.index, one.validator_index, one.address, one.amount_gwei)
            for one in attributes.withdrawals
        ]
        header = Header(
            parent_hash=self._parent.hash(),
            fee_recipient=attributes.fee_recipient,
            state_root=ZERO_HASH,
            number=self._parent.number + 1,
            gas_limit=GAS_LIMIT,
            gas_used=0,
            timestamp=attributes.timestamp,
            extra_data=extra_data,
            mix_hash=attributes.prev_randao,
            base_fee_per_gas=self._parent.base_fee_per_gas,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
        )
        header = _with_roots(header, self._parent.state_root, self._transactions, withdrawals)
        block = rlp.encode((_fields(header), self._transactions, (), withdrawals))
        return _result(block, header, self._transactions)


class FakeEngine:
    """Executes by hashing."""

    def __init__(
        self,
        *,
        genesis_time: int,
        extra_data: bytes,
        disk: EngineDisk | None = None,
        before_execute: Callable[[Header], None] | None = None,
    ) -> None:
        self.disk = disk if disk is not None else EngineDisk()
        """What a restart finds."""
        self.executed: list[Hash32] = []
        """Hashes of the blocks that were executed, in order."""
        self.refused: set[bytes] = set()
        """Hashes of blocks to refuse as a faulty execution would be."""
        self.before_execute = before_execute
        """Called with a block's header before it is executed, in the worker's thread."""
        self._genesis_time = genesis_time
        self._extra_data = extra_data

    # -- blocks

    def genesis(self) -> FakeResult:
        """The genesis block; its state is committed."""
        header = Header(
            parent_hash=ZERO_HASH,
            fee_recipient=ZERO_ADDRESS,
            state_root=keccak256(b"genesis" + self._extra_data),
            number=0,
            gas_limit=GAS_LIMIT,
            gas_used=0,
            timestamp=self._genesis_time,
            extra_data=self._extra_data,
            mix_hash=ZERO_HASH,
            base_fee_per_gas=1_000_000_000,
            parent_beacon_block_root=ZERO_HASH,
        )
        result = _result(rlp.encode((_fields(header), (), (), ())), header, [])
        self.commit(result)
        return result

    def has_state(self, root: bytes) -> bool:
        """Whether this root was committed."""
        return root in self.disk.roots

    def execute(
        self, parent_header: bytes, block: bytes, ancestors: bytes, *, record_witness: bool = False
    ) -> FakeResult:
        """Compute the roots again and compare."""
        parent = decode_header(parent_header)
        header = header_of_block(block)
        block_hash = header.hash()
        if self.before_execute is not None:
            self.before_execute(header)
        if not self.has_state(parent.state_root):
            raise MissingState(parent.state_root.hex())
        self.executed.append(block_hash)
        assert ancestors[:32] == header.parent_hash, "ancestors start with the parent"
        if header.number != parent.number + 1:
            raise InvalidBlock("number", str(parent.number + 1), str(header.number))
        if block_hash in self.refused:
            raise InvalidBlock("state_root", "another", header.state_root.hex())
        transactions = [rlp.as_bytes(one) for one in rlp.as_list(rlp.as_list(rlp.decode(block))[1])]
        if any(raw.startswith(INVALID_PREFIX) for raw in transactions):
            raise InvalidBlock("transaction", "a valid one", "a marked one")
        withdrawals = [
            (one.index, one.validator_index, one.address, one.amount_gwei)
            for one in withdrawals_of_block(block)
        ]
        want = _with_roots(header, parent.state_root, transactions, withdrawals)
        for name in ("transactions_root", "withdrawals_root", "requests_hash", "state_root"):
            if getattr(want, name) != getattr(header, name):
                raise InvalidBlock(name, getattr(want, name).hex(), getattr(header, name).hex())
        for name in ("gas_used", "blob_gas_used"):
            if getattr(want, name) != getattr(header, name):
                raise InvalidBlock(name, str(getattr(want, name)), str(getattr(header, name)))
        return _result(block, header, transactions)

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> FakeBuilder:
        """Open a block on the parent's state."""
        parent = decode_header(parent_header)
        if not self.has_state(parent.state_root):
            raise MissingState(parent.state_root.hex())
        assert ancestors[:32] == parent.hash(), "ancestors start with the parent"
        return FakeBuilder(self, parent, attributes)

    def commit(self, result: BlockResult) -> None:
        """Keep the state of a block."""
        self.disk.roots[result.state_root] = header_of_block(result.block).number

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drop every root but these and those of blocks from a number on."""
        keep = set(live)
        gone = [
            root
            for root, number in self.disk.roots.items()
            if number < from_number and root not in keep
        ]
        for root in gone:
            del self.disk.roots[root]
        return len(gone)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is open."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """The transactions of a block."""
        return [rlp.as_bytes(one) for one in rlp.as_list(rlp.as_list(rlp.decode(block))[1])]

    def refused_block_json(self, block: bytes) -> bytes:
        """Its number and transactions; the body must be the header's."""
        self.blob_transactions(block)
        number, hashes = header_of_block(block).number, self.raw_transactions(block)
        return json.dumps(
            {"number": number, "transactions": [one.hex() for one in hashes]}
        ).encode()

    def blob_transactions(self, block: bytes) -> list[BlobTransaction]:
        """Those that are marked so."""
        raws = self.raw_transactions(block)
        if keccak256(rlp.encode(tuple(raws))) != header_of_block(block).transactions_root:
            raise InvalidBlock("transactions_root", "the body's", "another")
        return [
            BlobTransaction(index=index, hash=keccak256(raw), blob_hashes=tuple(_blobs(raw)))
            for index, raw in enumerate(raws)
            if raw.startswith(BLOBS_PREFIX)
        ]

    def verify_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        """No blob is one."""
        return [False for _ in items]

    def prove_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bytes | None]:
        """No blob is one."""
        return [None for _ in items]


def _with_roots(
    header: Header,
    parent_state_root: bytes,
    transactions: Sequence[bytes],
    withdrawals: Sequence[tuple[int, int, bytes, int]],
) -> Header:
    transactions_root = keccak256(rlp.encode(tuple(transactions)))
    withdrawals_root = keccak256(rlp.encode(tuple(withdrawals)))
    environment = rlp.encode((header.number, header.timestamp, header.fee_recipient))
    contents = parent_state_root + transactions_root + withdrawals_root + environment
    requests = _requests(transactions)
    digest = sha256(b"".join(sha256(request).digest() for request in requests)).digest()
    return replace(
        header,
        transactions_root=transactions_root,
        withdrawals_root=withdrawals_root,
        requests_hash=Hash32(digest) if requests else EMPTY_REQUESTS_HASH,
        gas_used=GAS_PER_TRANSACTION * len(transactions),
        blob_gas_used=GAS_PER_BLOB * sum(len(_blobs(raw)) for raw in transactions),
        state_root=keccak256(contents),
    )


def _blobs(raw: bytes) -> list[Hash32]:
    names = raw.removeprefix(BLOBS_PREFIX) if raw.startswith(BLOBS_PREFIX) else b""
    return [Hash32(names[place : place + 32]) for place in range(0, len(names), 32)]


def _requests(transactions: Sequence[bytes]) -> list[bytes]:
    by_type: dict[int, bytes] = {}
    for raw in transactions:
        if raw.startswith(REQUEST_PREFIX):
            request = raw[len(REQUEST_PREFIX) :]
            by_type[request[0]] = by_type.get(request[0], b"") + request[1:]
    return [bytes([kind]) + by_type[kind] for kind in sorted(by_type)]


def _result(block: bytes, header: Header, transactions: Sequence[bytes]) -> FakeResult:
    return FakeResult(
        block=block,
        block_hash=header.hash(),
        state_root=header.state_root,
        gas_used=header.gas_used,
        requests=_requests(transactions),
        receipts=b"receipts of " + header.hash(),
        transaction_hashes=[keccak256(raw) for raw in transactions],
    )


def _fields(header: Header) -> rlp.Item:
    return rlp.decode(header.encode())
