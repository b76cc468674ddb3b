"""Records: read from logs as the ABI has them, chained by the accumulator, and nothing else is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, strategies as st

from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, BlockNumber, Hash32
from node.rollup.records import (
    GENESIS_TIP,
    RECORD_APPENDED,
    InboxTip,
    LoggedRecord,
    Record,
    RecordKind,
    decode_record_log,
    follows,
    is_batch_of,
    next_accumulator,
    origins_hash,
    record_of_words,
    tip_after,
)
from tests.kit.rollup import ModelInbox, l1_block, record_log, with_record

FIELD_TYPES = ["uint8", "bytes32", "uint64", "uint32", "uint64", "uint64", "bytes32"]
UINT64 = st.integers(0, (1 << 64) - 1)


def fields_of(record: Record) -> list[object]:
    return [
        int(record.kind),
        record.batch_hash,
        record.first_block,
        record.block_count,
        record.previous_origin,
        record.origin,
        record.origins_hash,
    ]


@st.composite
def logged_records(draw: st.DrawFn) -> LoggedRecord:
    kind = draw(st.sampled_from(RecordKind))
    advances = draw(st.integers(1 if kind is RecordKind.EMPTY else 0, 256))
    count = advances if kind is RecordKind.EMPTY else draw(st.integers(max(1, advances), 512))
    previous = draw(st.integers(0, (1 << 64) - 1 - advances))
    batch = b"" if kind is RecordKind.EMPTY else draw(st.binary(max_size=100))
    return LoggedRecord(
        index=draw(UINT64),
        accumulator=Hash32(draw(st.binary(min_size=32, max_size=32))),
        record=Record(
            kind=kind,
            batch_hash=ZERO_HASH if kind is RecordKind.EMPTY else keccak256(batch),
            first_block=BlockNumber(draw(st.integers(1, (1 << 64) - 1 - count))),
            block_count=count,
            previous_origin=BlockNumber(previous),
            origin=BlockNumber(previous + advances),
            origins_hash=Hash32(draw(st.binary(min_size=32, max_size=32))),
        ),
        batch=batch,
    )


@given(logged_records())
def test_what_is_logged_is_read(logged: LoggedRecord) -> None:
    topics, data = record_log(logged)
    assert decode_record_log(topics, data) == logged


@given(logged_records())
def test_log_and_accumulator_are_the_abis(logged: LoggedRecord) -> None:
    record = logged.record
    _, data = record_log(logged)
    assert data == encode([*FIELD_TYPES, "bytes"], [*fields_of(record), logged.batch])
    assert record.words() == encode(FIELD_TYPES, fields_of(record))
    leaf = keccak(encode(FIELD_TYPES, fields_of(record)))
    assert next_accumulator(logged.accumulator, record) == keccak(logged.accumulator + leaf)


def test_the_topic_is_that_of_the_event() -> None:
    assert RECORD_APPENDED.hex() == (
        "c3121d3e28f15b204a9aeb7e2fc725b568ece5b575b2b58dcb32daa4e2058ddf"
    )


def test_origins_are_committed_with_the_previous_one_first() -> None:
    inbox = ModelInbox()
    inbox.append(b"one", blocks=2, origin=2)
    second = inbox.append(b"two", blocks=1, origin=2).record
    third = inbox.append(b"three", blocks=2, origin=4).record
    assert second.origins_hash == keccak256(l1_block(2).hash)
    hashes = [l1_block(number).hash for number in (2, 3, 4)]
    assert third.origins_hash == origins_hash(hashes) == keccak256(b"".join(hashes))


def test_the_largest_record_is_one() -> None:
    largest = (1 << 64) - 1
    record = Record(
        kind=RecordKind.BATCH,
        batch_hash=keccak256(b""),
        first_block=BlockNumber(largest - 512),
        block_count=512,
        previous_origin=BlockNumber(largest - 256),
        origin=BlockNumber(largest),
        origins_hash=ZERO_HASH,
    )
    logged = LoggedRecord(index=largest, accumulator=ZERO_HASH, record=record, batch=b"")
    assert decode_record_log(*record_log(logged)) == logged
    assert record.advances == 256


def test_the_kinds_are_those_of_the_inbox() -> None:
    assert (RecordKind.BATCH, RecordKind.EMPTY) == (0, 1)


# -- what no Inbox could have written


def valid() -> LoggedRecord:
    return ModelInbox().append(b"batch", blocks=3, origin=2)


def forced() -> LoggedRecord:
    return ModelInbox().force_empty(2)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(replace(valid().record, block_count=0), id="no block"),
        pytest.param(replace(valid().record, block_count=513), id="too many blocks"),
        pytest.param(replace(valid().record, block_count=1), id="fewer blocks than advances"),
        pytest.param(replace(valid().record, first_block=BlockNumber(0)), id="the genesis block"),
        pytest.param(
            replace(valid().record, first_block=BlockNumber((1 << 64) - 3)), id="numbers run out"
        ),
        pytest.param(
            replace(valid().record, previous_origin=BlockNumber(3)), id="an origin that goes back"
        ),
        pytest.param(
            replace(valid().record, block_count=512, origin=BlockNumber(257)),
            id="too many advances",
        ),
        pytest.param(
            replace(
                valid().record,
                previous_origin=BlockNumber(1 << 64),
                origin=BlockNumber(1 << 64),
            ),
            id="an origin beyond 64 bits",
        ),
        pytest.param(
            replace(valid().record, batch_hash=keccak256(b"other")), id="another batch's hash"
        ),
        pytest.param(replace(forced().record, block_count=3), id="empty with a block too many"),
        pytest.param(
            replace(forced().record, batch_hash=keccak256(b"")), id="empty with a batch's hash"
        ),
    ],
)
def test_an_impossible_record_is_none(record: Record) -> None:
    base = forced() if record.kind is RecordKind.EMPTY else valid()
    topics, data = record_log(with_record(base, record))
    assert decode_record_log(topics, data) is None


def test_an_empty_record_has_no_batch() -> None:
    topics, data = record_log(replace(forced(), batch=b"batch"))
    assert decode_record_log(topics, data) is None


def test_an_unknown_kind_is_none() -> None:
    words = valid().record.words()
    assert record_of_words((2).to_bytes(32) + words[32:]) is None
    assert record_of_words((256).to_bytes(32) + words[32:]) is None


@pytest.mark.parametrize("words", [b"", bytes(223), bytes(225), valid().record.words() + bytes(32)])
def test_other_than_seven_words_are_none(words: bytes) -> None:
    assert record_of_words(words) is None


def test_topics_must_be_the_events() -> None:
    topics, data = record_log(valid())
    for wrong in ([], topics[:2], [*topics, bytes(32)], [bytes(32), *topics[1:]]):
        assert decode_record_log(wrong, data) is None
    assert decode_record_log([topics[0], topics[1][1:], topics[2]], data) is None
    assert decode_record_log([topics[0], (1 << 64).to_bytes(32), topics[2]], data) is None


def test_the_batch_is_encoded_in_one_way() -> None:
    topics, data = record_log(valid())
    head = 8 * 32
    for wrong in (
        data[:-1],
        data + bytes(1),
        data + bytes(32),
        data[:-1] + b"\1",
        data[: head - 1] + b"\x20" + data[head:],
        data[:head] + (1 << 255).to_bytes(32) + data[head + 32 :],
        data[:head],
    ):
        assert decode_record_log(topics, wrong) is None


@given(st.lists(st.binary(max_size=40), max_size=4), st.binary(max_size=400))
def test_any_log_is_read_or_none(topics: list[bytes], data: bytes) -> None:
    assert decode_record_log(topics, data) is None
    assert decode_record_log([RECORD_APPENDED, *topics], data) is None


@given(st.binary(min_size=224, max_size=224))
def test_any_seven_words_are_read_or_none(words: bytes) -> None:
    record = record_of_words(words)
    assert record is None or record.words() == words


@given(logged_records(), st.data())
def test_a_flipped_bit_is_another_record_or_none(logged: LoggedRecord, data: st.DataObject) -> None:
    topics, encoded = record_log(logged)
    place = data.draw(st.integers(0, len(encoded) * 8 - 1))
    flipped = bytearray(encoded)
    flipped[place // 8] ^= 1 << place % 8
    read = decode_record_log(topics, bytes(flipped))
    assert read is None or (read != logged and record_log(read)[1] == flipped)


# -- one after the other


def test_the_inbox_begins_behind_both_genesis_blocks() -> None:
    assert (
        InboxTip(
            record_count=0,
            next_block=BlockNumber(1),
            last_origin=BlockNumber(0),
            accumulator=ZERO_HASH,
        )
        == GENESIS_TIP
    )


def test_records_follow_each_other() -> None:
    inbox = ModelInbox()
    inbox.append(b"one", blocks=3, origin=2)
    inbox.force_empty(5)
    inbox.append(b"two", blocks=1, origin=5)
    tip = GENESIS_TIP
    for logged in inbox.logged:
        assert follows(tip, logged)
        tip = tip_after(tip, logged)
    assert tip == inbox.tip
    assert (tip.record_count, tip.next_block, tip.last_origin) == (3, 8, 5)


def test_gap_overlap_repetition_and_another_fork_do_not_follow() -> None:
    inbox = ModelInbox()
    first = inbox.append(b"one", blocks=3, origin=2)
    tip = inbox.tip
    second = inbox.append(b"two", blocks=3, origin=4)
    assert follows(tip, second)
    record = second.record
    for other in (
        replace(record, first_block=BlockNumber(3)),
        replace(record, first_block=BlockNumber(5)),
        replace(record, previous_origin=BlockNumber(1)),
    ):
        chained = replace(
            second, record=other, accumulator=next_accumulator(tip.accumulator, other)
        )
        assert not follows(tip, chained)
    assert not follows(tip, first)
    assert not follows(tip, replace(second, index=0))
    assert not follows(tip, replace(second, accumulator=ZERO_HASH))
    assert not follows(inbox.tip, second)
    elsewhere = ModelInbox(hash_of=lambda number: l1_block(number, salt=1).hash)
    elsewhere.append(b"one", blocks=3, origin=2)
    assert not follows(tip, elsewhere.append(b"two", blocks=3, origin=4))


def test_only_its_batch_is_a_records_batch() -> None:
    assert is_batch_of(valid().record, b"batch")
    assert not is_batch_of(valid().record, b"")
    assert is_batch_of(forced().record, b"")
    assert not is_batch_of(forced().record, b"batch")
