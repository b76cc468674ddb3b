"""A batch has the right shape or yields nothing; what a record yields never depends on luck."""

from __future__ import annotations

import os
from dataclasses import replace

import brotli  # type: ignore[import-untyped]
import pytest
from hypothesis import given, strategies as st

from node.eth import rlp
from node.rollup.batches import BatchBlock, Content, DecodedBlock, content_of
from node.rollup.records import LoggedRecord
from tests.kit.rollup import (
    PARAMETERS,
    ModelInbox,
    compress,
    encode_batch,
    inflate,
    model_decode_batch,
)

UINT64 = st.integers(0, (1 << 64) - 1)
BLOCKS: st.SearchStrategy[list[DecodedBlock]] = st.lists(
    st.tuples(UINT64, st.booleans(), st.lists(st.binary(max_size=40), max_size=4)),
    min_size=1,
    max_size=8,
)
BATCH: list[DecodedBlock] = [(5, True, [b"first"]), (7, False, []), (6, True, [b"", b"second"])]


def read(logged: LoggedRecord) -> Content:
    return content_of(PARAMETERS, logged.record, logged.batch, model_decode_batch)


def record_of(batch: bytes, *, blocks: int = 3, advances: int = 2) -> LoggedRecord:
    return ModelInbox().append(batch, blocks=blocks, origin=advances)


def test_the_right_shape_is_read() -> None:
    assert read(record_of(encode_batch(BATCH))) == (
        BatchBlock(timestamp=5, advances_origin=True, transactions=(b"first",)),
        BatchBlock(timestamp=7, advances_origin=False, transactions=()),
        BatchBlock(timestamp=6, advances_origin=True, transactions=(b"", b"second")),
    )


@given(BLOCKS)
def test_whatever_is_encoded_is_read(blocks: list[DecodedBlock]) -> None:
    advances = sum(block[1] for block in blocks)
    content = read(record_of(encode_batch(blocks), blocks=len(blocks), advances=advances))
    assert content == tuple(
        BatchBlock(timestamp=time, advances_origin=advance, transactions=tuple(raws))
        for time, advance, raws in blocks
    )


@given(BLOCKS, st.integers(1, 12), st.integers(0, 12))
def test_other_counts_than_the_records_yield_nothing(
    blocks: list[DecodedBlock], count: int, advances: int
) -> None:
    logged = record_of(encode_batch(blocks), blocks=max(count, advances, 1), advances=advances)
    is_right = len(blocks) == logged.record.block_count
    is_right = is_right and sum(block[1] for block in blocks) == advances
    assert (read(logged) is not None) == is_right


def test_an_empty_record_has_no_content_whatever_the_decoder_says() -> None:
    logged = ModelInbox().force_empty(2)
    assert content_of(PARAMETERS, logged.record, b"", lambda *_: BATCH[:2]) is None


def _nested(depth: int) -> bytes:
    return bytes((0xC1,)) * depth + b"\xc0"


GOOD = encode_batch(BATCH)
PLAIN = rlp.encode((1, [(time, advances, raws) for time, advances, raws in BATCH]))


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00", id="a byte"),
        pytest.param(GOOD[:-1], id="truncated"),
        pytest.param(GOOD + b"\x00", id="a byte behind the stream"),
        pytest.param(GOOD + GOOD, id="two streams"),
        pytest.param(PLAIN, id="not compressed"),
        pytest.param(compress(PLAIN[:-1]), id="RLP truncated"),
        pytest.param(compress(PLAIN + b"\x80"), id="RLP with an item behind"),
        pytest.param(compress(b""), id="RLP of nothing"),
        pytest.param(encode_batch(BATCH, version=0), id="version 0"),
        pytest.param(encode_batch(BATCH, version=2), id="version 2"),
        pytest.param(encode_batch(BATCH[:2]), id="a block short"),
        pytest.param(encode_batch([*BATCH, (1, False, [])]), id="a block more"),
        pytest.param(encode_batch([]), id="no block"),
        pytest.param(encode_batch([(5, False, [])] * 3), id="advances too few"),
        pytest.param(encode_batch([(5, True, [])] * 3), id="advances too many"),
        pytest.param(
            compress(rlp.encode((1, [(5, 1, []), (5, 2, []), (5, 0, [])]))), id="advance 2"
        ),
        pytest.param(
            compress(rlp.encode((1, [(5, 1, []), (5, 1, []), (5, b"\x00", [])]))), id="advance 00"
        ),
        pytest.param(
            compress(rlp.encode((1, [(1 << 64, 1, []), (5, 1, []), (5, 0, [])]))),
            id="a timestamp beyond 64 bits",
        ),
        pytest.param(
            compress(rlp.encode((1, [(b"\x00\x05", 1, []), (5, 1, []), (5, 0, [])]))),
            id="a timestamp with a leading zero",
        ),
        pytest.param(
            compress(rlp.encode((1, [(5, 1, [[b"a"]]), (5, 1, []), (5, 0, [])]))),
            id="a list for a transaction",
        ),
        pytest.param(
            compress(rlp.encode((1, [(5, 1, b"raw"), (5, 1, []), (5, 0, [])]))),
            id="bytes for a list of transactions",
        ),
        pytest.param(
            compress(rlp.encode((1, [(5, 1, [], b""), (5, 1, []), (5, 0, [])]))),
            id="a fourth field",
        ),
        pytest.param(compress(rlp.encode((1, b"blocks"))), id="bytes for the list of blocks"),
        pytest.param(compress(rlp.encode((1, [], []))), id="a third part"),
        pytest.param(compress(b"\xb8\x01\x01"), id="RLP that is not canonical"),
        pytest.param(compress(_nested(100_000)), id="nested deeply"),
        pytest.param(compress(b"\xc0" * 262_144), id="lists without end"),
        pytest.param(compress(bytes(10_000_000)), id="a bomb"),
    ],
)
def test_a_wrong_shape_yields_nothing(batch: bytes) -> None:
    assert read(record_of(batch)) is None


@given(st.binary(max_size=300))
def test_any_bytes_yield_nothing_or_what_they_encode(batch: bytes) -> None:
    content = read(record_of(batch))
    assert content is None or len(content) == 3


@given(st.binary(max_size=300))
def test_any_compressed_bytes_yield_nothing_or_what_they_encode(inner: bytes) -> None:
    content = read(record_of(compress(inner)))
    assert content is None or inner == rlp.encode(
        (1, [(block.timestamp, block.advances_origin, block.transactions) for block in content])
    )


@given(st.data())
def test_a_changed_byte_yields_nothing_or_other_blocks(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(PLAIN) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != PLAIN[place]))
    changed = PLAIN[:place] + bytes((value,)) + PLAIN[place + 1 :]
    content = read(record_of(compress(changed)))
    assert content is None or content != read(record_of(GOOD))


def test_the_limit_of_a_batch_is_inclusive() -> None:
    batch = encode_batch([(5, True, [os.urandom(20_000)])])
    exact = replace(PARAMETERS, batch_limit_bytes=len(batch))
    record = record_of(batch, blocks=1, advances=1).record
    assert content_of(exact, record, batch, model_decode_batch) is not None
    shorter = replace(PARAMETERS, batch_limit_bytes=len(batch) - 1)
    assert content_of(shorter, record, batch, model_decode_batch) is None


def test_the_limit_of_what_comes_out_is_inclusive() -> None:
    record = record_of(GOOD).record
    exact = replace(PARAMETERS, decompressed_limit_bytes=len(PLAIN))
    assert content_of(exact, record, GOOD, model_decode_batch) is not None
    shorter = replace(PARAMETERS, decompressed_limit_bytes=len(PLAIN) - 1)
    assert content_of(shorter, record, GOOD, model_decode_batch) is None


def test_a_decoder_that_counts_wrong_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="counts wrong"):
        content_of(PARAMETERS, record_of(GOOD).record, GOOD, lambda *_: [(5, True, [])] * 2)


def test_another_batch_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="another batch"):
        content_of(PARAMETERS, record_of(GOOD).record, GOOD + b"x", model_decode_batch)


@given(st.binary(max_size=5_000), st.integers(0, 11), st.integers(0, 6_000))
def test_the_model_inflates_what_brotli_compresses_up_to_the_limit(
    data: bytes, quality: int, limit: int
) -> None:
    inflated = inflate(brotli.compress(data, quality=quality), limit)
    assert inflated == (data if len(data) <= limit else None)
