"""A rollup without contracts and engine: parameters, an Inbox and a Portal that write logs, and a model of the batch decoder.

The model is slow and small; what the engine's decoder gives is compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import brotli  # type: ignore[import-untyped]

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address, BlockNumber, Hash32
from node.eth.requests import requests_hash
from node.rollup.batches import BATCH_VERSION, DecodedBlock
from node.rollup.deposits import DEPOSIT_TYPE, TRANSACTION_DEPOSITED
from node.rollup.derivation import Origin
from node.rollup.parameters import RollupParameters
from node.rollup.records import (
    GENESIS_TIP,
    RECORD_APPENDED,
    InboxTip,
    LoggedRecord,
    Record,
    RecordKind,
    next_accumulator,
    origins_hash,
    tip_after,
)

PARAMETERS = RollupParameters(
    batcher=Address(bytes.fromhex("ba7c4e7000000000000000000000000000000001")),
    sequencer_key=bytes.fromhex("5e" * 32),
)
"""Every number as it is by default."""

GENESIS_TIME = 1_700_000_000
"""Timestamp of both genesis blocks."""

_INFLATE_CHUNK_BYTES = 65_536
_ADVANCES = {b"": False, b"\x01": True}


# -- batches


def encode_batch(blocks: Sequence[DecodedBlock], *, version: int = BATCH_VERSION) -> bytes:
    """Encode a batch; total, so also batches of a wrong shape."""
    return compress(
        rlp.encode(
            (version, [(time, advances, list(raws)) for time, advances, raws in blocks]),
        )
    )


def compress(data: bytes) -> bytes:
    """Compress with brotli, quality 5."""
    compressed = brotli.compress(data, quality=5)
    assert isinstance(compressed, bytes)
    return compressed


def inflate(data: bytes, limit: int) -> bytes | None:
    """Decompress one whole brotli stream; None if it is none, or more than `limit` bytes come out."""
    decompressor = brotli.Decompressor()
    inflated = bytearray()
    chunk_of_input = data
    try:
        while not decompressor.is_finished():
            chunk = decompressor.process(chunk_of_input, output_buffer_limit=_INFLATE_CHUNK_BYTES)
            chunk_of_input = b""
            inflated += chunk
            if len(inflated) > limit:
                return None
            if not chunk and decompressor.can_accept_more_data() and not decompressor.is_finished():
                return None
        # Only the call in one piece minds bytes behind the stream.
        return bytes(brotli.decompress(data))
    except brotli.error:
        return None


def model_decode_batch(
    data: bytes, decompressed_limit: int, block_count: int
) -> list[DecodedBlock] | None:
    """Satisfy `node.rollup.batches.BatchDecoder` in plain Python."""
    inflated = inflate(data, decompressed_limit)
    if inflated is None:
        return None
    try:
        version, blocks = rlp.as_list(rlp.decode(inflated), 2)
        if rlp.as_integer(version) != BATCH_VERSION:
            return None
        return [_decode_block(block) for block in rlp.as_list(blocks, block_count)]
    except (Rejected, KeyError):
        return None


def _decode_block(item: rlp.Item) -> DecodedBlock:
    timestamp, advances, transactions = rlp.as_list(item, 3)
    return (
        rlp.as_integer(timestamp),
        _ADVANCES[rlp.as_bytes(advances)],
        [rlp.as_bytes(raw) for raw in rlp.as_list(transactions)],
    )


# -- L1


def portal_log(
    index: int,
    *,
    sender: bytes = b"\xaa" * 20,
    to: bytes = b"\xbb" * 20,
    mint: int = 0,
    value: int = 0,
    gas: int = 100_000,
    is_creation: bool = False,
    data: bytes = b"",
) -> bytes:
    """A log of the Portal as one RLP item of the request."""
    opaque = mint.to_bytes(32) + value.to_bytes(32) + gas.to_bytes(8) + bytes((is_creation,)) + data
    return raw_portal_log(index, sender, to, abi_bytes(opaque))


def raw_portal_log(index: int, sender: bytes, to: bytes, data: bytes, *, version: int = 0) -> bytes:
    """A log with any data."""
    topics = (TRANSACTION_DEPOSITED, sender.rjust(32, b"\0"), to.rjust(32, b"\0"))
    return rlp.encode((index, [*topics, version.to_bytes(32)], data))


def abi_bytes(value: bytes) -> bytes:
    """Write `abi.encode(bytes)`."""
    return (32).to_bytes(32) + len(value).to_bytes(32) + value + bytes(-len(value) % 32)


def l1_block(
    number: int, *, timestamp: int | None = None, logs: Sequence[bytes] = (), salt: int = 0
) -> Origin:
    """An L1 block with these logs of the Portal; a salt makes another one of the same number."""
    requests = (bytes((DEPOSIT_TYPE,)) + b"".join(logs),) if logs else ()
    header = Header(
        parent_hash=keccak256(b"parent of" + number.to_bytes(8) + salt.to_bytes(8)),
        fee_recipient=ZERO_ADDRESS,
        state_root=keccak256(b"state of" + number.to_bytes(8)),
        number=number,
        gas_limit=60_000_000,
        gas_used=0,
        timestamp=GENESIS_TIME + 2 * number if timestamp is None else timestamp,
        extra_data=keccak256(b"payload of" + number.to_bytes(8)),
        mix_hash=keccak256(b"mix of" + number.to_bytes(8)),
        base_fee_per_gas=10**9 + number,
        excess_blob_gas=1_000_000 * number,
        parent_beacon_block_root=keccak256(b"root of" + number.to_bytes(8)),
        requests_hash=requests_hash(requests),
    )
    return Origin(number=BlockNumber(number), hash=header.hash(), header=header, requests=requests)


def l2_header(number: int, timestamp: int) -> Header:
    """A header of the L2 of which only these two count."""
    return Header(
        parent_hash=ZERO_HASH,
        fee_recipient=ZERO_ADDRESS,
        state_root=ZERO_HASH,
        number=number,
        gas_limit=PARAMETERS.gas_limit,
        gas_used=0,
        timestamp=timestamp,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        base_fee_per_gas=PARAMETERS.base_fee_wei,
        parent_beacon_block_root=ZERO_HASH,
    )


@dataclass(slots=True)
class ModelInbox:
    """Writes records as the contract does, one on the other, without its checks of callers and ages."""

    hash_of: Callable[[int], Hash32] = field(default=lambda number: l1_block(number).hash)
    """Hash of an L1 block."""
    tip: InboxTip = GENESIS_TIP
    """Its state."""
    logged: list[LoggedRecord] = field(default_factory=list)
    """What it wrote."""

    def append(self, batch: bytes, *, blocks: int, origin: int) -> LoggedRecord:
        """Record a batch."""
        return self._write(RecordKind.BATCH, batch, blocks, origin)

    def force_empty(self, origin: int) -> LoggedRecord:
        """Record an advance without a batch."""
        return self._write(RecordKind.EMPTY, b"", origin - self.tip.last_origin, origin)

    def _write(self, kind: RecordKind, batch: bytes, blocks: int, origin: int) -> LoggedRecord:
        reached = range(self.tip.last_origin, origin + 1)
        record = Record(
            kind=kind,
            batch_hash=ZERO_HASH if kind is RecordKind.EMPTY else keccak256(batch),
            first_block=self.tip.next_block,
            block_count=blocks,
            previous_origin=self.tip.last_origin,
            origin=BlockNumber(origin),
            origins_hash=origins_hash([self.hash_of(number) for number in reached]),
        )
        logged = LoggedRecord(
            index=self.tip.record_count,
            accumulator=next_accumulator(self.tip.accumulator, record),
            record=record,
            batch=batch,
        )
        self.tip = tip_after(self.tip, logged)
        self.logged.append(logged)
        return logged


def record_log(logged: LoggedRecord) -> tuple[list[bytes], bytes]:
    """The topics and data of the log that says this."""
    topics = [RECORD_APPENDED, logged.index.to_bytes(32), logged.accumulator]
    batch = logged.batch
    tail = len(batch).to_bytes(32) + batch + bytes(-len(batch) % 32)
    return topics, logged.record.words() + (256).to_bytes(32) + tail


def with_record(logged: LoggedRecord, record: Record) -> LoggedRecord:
    """The same log with another record."""
    return replace(logged, record=record)
