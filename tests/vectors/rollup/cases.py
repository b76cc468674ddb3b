"""The cases behind the vectors: an Inbox and an L1, and what the rules make of them.

    histories -> ModelInbox, l1_block -> rules of node.rollup -> documents -> __main__ writes them, test_vectors reads them

The histories are here; every figure behind `then` comes from the rules at the time of writing, is reviewed as a change of
the file and held against whoever reads it later: another version of us, a contract, another implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH
from node.rollup.batches import DecodedBlock, content_of
from node.rollup.deposits import encode_deposit, read_log, user_deposits
from node.rollup.derivation import BlockAttributes, Origin, attributes_of, blocks_of, timestamp_of
from node.rollup.records import LoggedRecord, Record
from tests.kit.rollup import (
    GENESIS_TIME,
    PARAMETERS,
    ModelInbox,
    abi_bytes,
    compress,
    encode_batch,
    l1_block,
    l2_header,
    model_decode_batch,
    portal_log,
    raw_portal_log,
    record_log,
)

Json: TypeAlias = "str | int | Sequence[Json] | dict[str, Json] | None"
"""What a document is made of; bytes are hex with 0x."""

T = GENESIS_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A history of the Inbox, whose last record is derived."""

    name: str
    """Of the file."""
    summary: str
    """What it shows."""
    write: Callable[[ModelInbox], LoggedRecord]
    """Writes the history; gives the last record."""
    logs: dict[int, list[bytes]] = field(default_factory=dict)
    """The Portal's logs by L1 block."""
    parent_timestamp: int = T
    """Of the block below the record."""


def documents() -> Iterator[tuple[str, dict[str, Json]]]:
    """Every vector file: its name and what it holds."""
    for case in CASES:
        yield f"record_{case.name}", record_document(case)
    yield "timestamps", timestamps_document()
    yield "deposits", deposits_document()


def hexed(value: bytes) -> str:
    """Write bytes."""
    return "0x" + value.hex()


# -- records


def record_document(case: Case) -> dict[str, Json]:
    """Derive the last record of a case."""
    origins: dict[int, Origin] = {}

    def origin_at(number: int) -> Origin:
        return origins.setdefault(number, l1_block(number, logs=case.logs.get(number, ())))

    inbox = ModelInbox(hash_of=lambda number: origin_at(number).hash)
    logged = case.write(inbox)
    record = logged.record
    before = inbox.logged[-2].accumulator if logged.index else ZERO_HASH
    topics, data = record_log(logged)
    known = [origin_at(number) for number in range(record.previous_origin, record.origin + 1)]
    return {
        "summary": case.summary,
        "given": {
            "parameters": parameters_document(),
            "inbox": {
                "recordCount": logged.index,
                "nextBlock": record.first_block,
                "lastOrigin": record.previous_origin,
                "accumulator": hexed(before),
            },
            "log": {"topics": [hexed(topic) for topic in topics], "data": hexed(data)},
            "parent": {"number": record.first_block - 1, "timestamp": case.parent_timestamp},
            "origins": [origin_document(origin) for origin in known],
        },
        "when": "the record is decoded and its blocks are derived",
        "then": {
            "config_hash": hexed(PARAMETERS.config_hash()),
            "record": fields_of(record),
            "accumulator": hexed(logged.accumulator),
            "blocks": [
                block_document(number, origin, attributes)
                for number, origin, attributes in derived(logged, known, case.parent_timestamp)
            ],
        },
    }


def derived(
    logged: LoggedRecord, known: Sequence[Origin], parent_timestamp: int
) -> Iterator[tuple[int, int, BlockAttributes]]:
    """The blocks of a record: number, origin and attributes."""
    record, timestamp = logged.record, parent_timestamp
    content = content_of(PARAMETERS, record, logged.batch, model_decode_batch)
    for block in blocks_of(record, content):
        origin = known[block.origin_number - record.previous_origin]
        parent = l2_header(block.number - 1, timestamp)
        attributes = attributes_of(PARAMETERS, parent, block, origin)
        yield block.number, block.origin_number, attributes
        timestamp = attributes.timestamp


def parameters_document() -> dict[str, Json]:
    """The parameters as genesis has them."""
    document = PARAMETERS.document()
    return {name: value for name, value in document.items() if isinstance(value, str | int)}


def fields_of(record: Record) -> dict[str, Json]:
    """A record in the words of the ABI."""
    return {
        "kind": int(record.kind),
        "batchHash": hexed(record.batch_hash),
        "firstBlock": record.first_block,
        "blockCount": record.block_count,
        "previousOrigin": record.previous_origin,
        "origin": record.origin,
        "originsHash": hexed(record.origins_hash),
    }


def origin_document(origin: Origin) -> dict[str, Json]:
    """An L1 block as far as the rules read it."""
    return {
        "header": hexed(origin.header.encode()),
        "requests": [hexed(request) for request in origin.requests],
    }


def block_document(number: int, origin: int, attributes: BlockAttributes) -> dict[str, Json]:
    """A derived block."""
    return {
        "number": number,
        "origin": origin,
        "timestamp": attributes.timestamp,
        "mix_hash": hexed(attributes.mix_hash),
        "parent_beacon_block_root": hexed(attributes.parent_beacon_block_root),
        "deposits": [hexed(deposit) for deposit in attributes.deposits],
        "transactions": [hexed(raw) for raw in attributes.transactions],
    }


# -- timestamps and deposits


def timestamps_document() -> dict[str, Json]:
    """Clamp timestamps, the ends of 64 bits included."""
    largest = (1 << 64) - 1
    drift = PARAMETERS.max_drift_seconds
    rows = [
        (claimed, parent, origin)
        for origin in (T, largest - 1, 0)
        for parent in (T - 5, T, T + drift, largest, 0)
        for claimed in (0, T + 7, T + drift + 1, largest)
    ]
    return {
        "summary": "A claimed timestamp lies between its parent's or origin's and origin + max drift.",
        "given": {"max_drift_seconds": drift},
        "when": "a timestamp is clamped",
        "then": [
            {
                "claimed": str(claimed),
                "parent": str(parent),
                "origin": str(origin),
                "timestamp": str(timestamp_of(claimed, parent, origin, drift)),
            }
            for claimed, parent, origin in rows
        ],
    }


def deposits_document() -> dict[str, Json]:
    """Read what the Portal logs, and what it never would."""
    origin_hash = keccak256(b"origin")
    logs: list[tuple[str, bytes]] = [
        ("a transfer with a mint", portal_log(0, mint=5, value=3, gas=21_000)),
        ("a call without value", portal_log(7, gas=50_000, data=b"\x12\x34")),
        ("a creation", portal_log(1, gas=100_000, is_creation=True, data=b"\x60\x00")),
        ("the largest mint and value", portal_log(2, mint=(1 << 128) - 1, value=(1 << 256) - 1)),
        ("the largest log index", portal_log((1 << 64) - 1)),
        ("a creation byte other than 1", _with_creation_byte(2)),
        ("a mint beyond 128 bits: skipped", portal_log(3, mint=1 << 128)),
        ("version 1: skipped", raw_portal_log(4, b"\1", b"\2", abi_bytes(bytes(73)), version=1)),
        ("72 opaque bytes: skipped", raw_portal_log(4, b"\1", b"\2", abi_bytes(bytes(72)))),
        ("data without the ABI: skipped", raw_portal_log(4, b"\1", b"\2", bytes(73))),
        ("a sender of 21 bytes: skipped", raw_portal_log(4, b"\1" * 21, b"", abi_bytes(bytes(73)))),
        ("two fields: skipped", rlp.encode((4, []))),
    ]
    full = [portal_log(index, gas=750_001 - (index == 3)) for index in range(5)]
    request = b"\x7e" + b"".join((*full, portal_log(5, gas=9)))
    return {
        "summary": "Logs of the Portal and the deposits they become; null where a log is skipped.",
        "given": {"origin_hash": hexed(origin_hash)},
        "when": "each log is read alone, and a request as a whole",
        "then": {
            "logs": [
                {"name": name, "item": hexed(item), "deposit": _deposit_of(origin_hash, item)}
                for name, item in logs
            ],
            "request": {
                "name": "gas runs out at the fourth; what is smaller behind it still fits",
                "data": hexed(request),
                "deposits": [
                    hexed(encode_deposit(deposit))
                    for deposit in user_deposits(origin_hash, [request])
                ],
            },
        },
    }


def _with_creation_byte(value: int) -> bytes:
    opaque = bytes(64) + (30_000).to_bytes(8) + bytes((value,)) + b"code"
    return raw_portal_log(6, b"\1", b"\2", abi_bytes(opaque))


def _deposit_of(origin_hash: bytes, item: bytes) -> str | None:
    read = read_log(keccak256(b"origin"), item)
    assert origin_hash == keccak256(b"origin")
    return None if read is None else hexed(encode_deposit(read[1]))


# -- histories


def append(*blocks: DecodedBlock) -> Callable[[ModelInbox], LoggedRecord]:
    """One batch of these blocks."""
    advances = sum(block[1] for block in blocks)

    def write(inbox: ModelInbox) -> LoggedRecord:
        return inbox.append(
            encode_batch(blocks), blocks=len(blocks), origin=inbox.tip.last_origin + advances
        )

    return write


def posted(batch: bytes, *, blocks: int, advances: int) -> Callable[[ModelInbox], LoggedRecord]:
    """One batch of any bytes."""
    return lambda inbox: inbox.append(batch, blocks=blocks, origin=inbox.tip.last_origin + advances)


def forced(advances: int) -> Callable[[ModelInbox], LoggedRecord]:
    """Advances that anybody forces."""
    return lambda inbox: inbox.force_empty(inbox.tip.last_origin + advances)


def after(
    *steps: Callable[[ModelInbox], LoggedRecord],
) -> Callable[[ModelInbox], LoggedRecord]:
    """Several records; the last one counts."""

    def write(inbox: ModelInbox) -> LoggedRecord:
        *earlier, last = steps
        for step in earlier:
            step(inbox)
        return last(inbox)

    return write


FIRST: DecodedBlock = (T + 2, True, [b"\x02first"])
GOOD: list[DecodedBlock] = [FIRST, (T + 3, False, []), (T + 3, False, [b"\x02second", b"third"])]

CASES = (
    Case(
        name="first_batch",
        summary="The first record of a chain: block 1 advances from L1's genesis block to L1 block 1.",
        write=append(*GOOD),
    ),
    Case(
        name="before_the_first_advance",
        summary="A block before the record's first advance has the previous origin, which the record commits to.",
        write=after(append(FIRST), append((T + 2, False, [b"raw"]), (T + 4, True, []))),
        parent_timestamp=T + 2,
    ),
    Case(
        name="no_advance",
        summary="A record without an advance commits to the previous origin alone.",
        write=after(append(FIRST), append((T + 2, False, [b"raw"]))),
        parent_timestamp=T + 2,
    ),
    Case(
        name="deposits",
        summary="Deposits come right behind the attributes, in log order; a block that does not advance has none.",
        write=append((T + 2, True, [b"raw"]), (T + 2, False, [b"raw"]), (T + 4, True, [])),
        logs={
            1: [portal_log(3, mint=10**18, value=10**18, gas=21_000), portal_log(9, data=b"call")],
            2: [portal_log(0, is_creation=True, gas=200_000, data=b"\x60\x00")],
        },
    ),
    Case(
        name="lies_about_time",
        summary="Claims of 0 and of the largest number are clamped; time never goes back.",
        write=append(
            (0, True, []), ((1 << 64) - 1, False, []), (0, False, []), ((1 << 64) - 1, True, [])
        ),
    ),
    Case(
        name="too_many_bytes",
        summary="A block with more than 31 KiB of transactions holds none; the next one stands.",
        write=append(
            (T + 2, True, [bytes(15_872), bytes(15_872), b"x"]),
            (T + 2, False, [bytes(15_872), bytes(15_872)]),
        ),
    ),
    Case(
        name="forced_empty",
        summary="A forced record: each block advances once, takes in its deposits and holds no transactions.",
        write=after(append(FIRST), forced(3)),
        logs={3: [portal_log(0, mint=7, value=7, gas=21_000)]},
        parent_timestamp=T + 300,
    ),
    Case(
        name="after_forced",
        summary="A batch behind a forced record starts at the origin that was forced.",
        write=after(append(FIRST), forced(2), append((T + 6, False, [b"raw"]), (T + 8, True, []))),
        parent_timestamp=T + 6,
    ),
    Case(
        name="garbage",
        summary="Bytes that are no batch yield the record's blocks, empty, with every advance as early as possible.",
        write=posted(b"garbage", blocks=4, advances=2),
    ),
    Case(
        name="nothing_posted",
        summary="A batch of no bytes is a wrong shape like any other.",
        write=posted(b"", blocks=1, advances=0),
    ),
    Case(
        name="truncated",
        summary="A batch without its last byte is garbage.",
        write=posted(encode_batch(GOOD)[:-1], blocks=3, advances=1),
    ),
    Case(
        name="trailing_byte",
        summary="A batch with one byte behind it is garbage.",
        write=posted(encode_batch(GOOD) + b"\0", blocks=3, advances=1),
    ),
    Case(
        name="trailing_item",
        summary="RLP with an item behind it is garbage.",
        write=posted(compress(rlp.encode((1, [(T + 2, 0, [])])) + b"\x80"), blocks=1, advances=0),
    ),
    Case(
        name="another_version",
        summary="A batch of version 2 is garbage.",
        write=posted(encode_batch(GOOD, version=2), blocks=3, advances=1),
    ),
    Case(
        name="advances_differ",
        summary="A batch whose advances do not sum to the record's is garbage, though it decodes.",
        write=posted(encode_batch(GOOD), blocks=3, advances=2),
    ),
    Case(
        name="blocks_differ",
        summary="A batch of another number of blocks than the record's is garbage, though it decodes.",
        write=posted(encode_batch(GOOD), blocks=2, advances=1),
    ),
    Case(
        name="bomb",
        summary="A batch that decompresses to more than 256 KiB is garbage.",
        write=posted(compress(bytes(300_000)), blocks=1, advances=1),
    ),
    Case(
        name="nested",
        summary="Lists nested a hundred thousand deep are garbage and cost nothing.",
        write=posted(compress(b"\xc1" * 100_000 + b"\xc0"), blocks=1, advances=0),
    ),
)
"""One file each."""
