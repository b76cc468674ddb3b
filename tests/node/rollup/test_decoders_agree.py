"""The engine's batch decoder and the model read the same of any bytes: on it stands that all nodes derive one chain."""

from __future__ import annotations

import brotli  # type: ignore[import-untyped]
import pytest
from hypothesis import example, given, strategies as st

from node.eth import rlp
from node.execution import adapter
from node.execution.engine import PackedBlock
from node.rollup.batches import DecodedBlock
from tests.kit.rollup import PARAMETERS, compress, encode_batch, model_decode_batch

LIMIT = PARAMETERS.decompressed_limit_bytes
UINT64 = st.integers(0, (1 << 64) - 1)
BLOCKS: st.SearchStrategy[list[DecodedBlock]] = st.lists(
    st.tuples(UINT64, st.booleans(), st.lists(st.binary(max_size=80), max_size=4)), max_size=6
)
ITEMS: st.SearchStrategy[rlp.Encodable] = st.recursive(
    st.binary(max_size=60) | UINT64,
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
PLAIN = rlp.encode((1, [(5, 1, [b"first", bytes(70)]), (7, 0, []), (1 << 40, 1, [b"", b"\x7f"])]))


def native(data: bytes, limit: int, count: int) -> list[DecodedBlock] | None:
    blocks = adapter.decode_batch(data, limit, count)
    if blocks is None:
        return None
    return [(block.timestamp, block.advances_origin, list(block.transactions)) for block in blocks]


def both(data: bytes, count: int, limit: int = LIMIT) -> list[DecodedBlock] | None:
    """What both read; fails where they differ."""
    read = model_decode_batch(data, limit, count)
    assert native(data, limit, count) == read
    return read


def stored(data: bytes) -> bytes:
    """A brotli stream of one block that is not compressed, by RFC 7932."""
    size = len(data) - 1
    head = size << 4 | 1 << 20
    return bytes((head & 255, head >> 8 & 255, head >> 16 & 255)) + data + b"\x03"


@given(BLOCKS, st.integers(0, 7))
def test_of_batches(blocks: list[DecodedBlock], count: int) -> None:
    assert (both(encode_batch(blocks), count) is not None) == (count == len(blocks))
    assert both(encode_batch(blocks), len(blocks)) == blocks


@given(BLOCKS, st.integers(0, 11))
def test_of_what_the_engine_encodes(blocks: list[DecodedBlock], quality: int) -> None:
    packed = [PackedBlock(time, advances, tuple(raws)) for time, advances, raws in blocks]
    assert both(adapter.encode_batch(packed, quality), len(blocks)) == blocks


@given(st.binary(max_size=200), st.integers(0, 3))
def test_of_any_bytes(data: bytes, count: int) -> None:
    both(data, count)


@given(st.binary(max_size=200), st.integers(0, 3))
@example(b"\xc2\x01\xc0", 0)
@example(b"\xc2\x01\xc0\x00", 0)
@example(b"\xc3\x81\x01\xc0", 0)
@example(b"\xf8\x02\x01\xc0", 0)
def test_of_any_compressed_bytes(inner: bytes, count: int) -> None:
    both(compress(inner), count)


@given(ITEMS, st.integers(0, 3))
def test_of_any_rlp(item: rlp.Encodable, count: int) -> None:
    both(compress(rlp.encode(item)), count)
    both(compress(rlp.encode((1, item))), count)
    both(compress(rlp.encode((1, [item] * count))), count)


@given(st.data())
def test_of_a_changed_byte_before_compression(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(PLAIN) - 1))
    value = data.draw(st.integers(0, 255))
    both(compress(PLAIN[:place] + bytes((value,)) + PLAIN[place + 1 :]), 3)


def test_of_every_changed_byte_after_compression() -> None:
    for batch in (compress(PLAIN), stored(PLAIN)):
        for place in range(len(batch)):
            for value in range(256):
                both(batch[:place] + bytes((value,)) + batch[place + 1 :], 3)


@given(st.integers(0, 3), st.integers(0, 11), st.integers(10, 24), st.booleans())
def test_of_every_quality_and_window(mode: int, quality: int, window: int, cut: bool) -> None:
    batch = brotli.compress(PLAIN, mode=mode % 3, quality=quality, lgwin=window)
    assert (both(batch[:-1] if cut else batch, 3) is None) == cut


def test_of_every_prefix() -> None:
    batch = compress(PLAIN)
    for end in range(len(batch)):
        assert both(batch[:end], 3) is None


def test_of_every_place_where_rlp_ends() -> None:
    for end in range(len(PLAIN)):
        assert both(compress(PLAIN[:end]), 3) is None


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_of_the_limit(beyond: int) -> None:
    assert (both(compress(PLAIN), 3, len(PLAIN) - beyond) is None) == (beyond > 0)
    large: list[DecodedBlock] = [(5, True, [bytes(LIMIT - 23 + beyond)])]
    assert len(rlp.encode((1, [(5, 1, large[0][2])]))) == LIMIT + beyond
    assert (both(encode_batch(large), 1) is None) == (beyond > 0)


@pytest.mark.parametrize("size", [300_000, 10_000_000])
def test_of_a_bomb(size: int) -> None:
    assert both(compress(bytes(size)), 1) is None


@pytest.mark.parametrize("item", [b"\xc0", b"\xc1", b"\x80", b"\xc1\xc0"])
def test_of_endless_nesting_and_width(item: bytes) -> None:
    body = item * (100_000 // len(item))
    assert both(compress(body), 1) is None
    assert both(compress(rlp.encode((1, [(5, 1, [b""] * 100_000)]))), 1) is not None


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(bytes((0x11,)) + b"\x00" * 3, id="a large window"),
        pytest.param(bytes((0x06,)), id="an empty last block"),
        pytest.param(bytes((0x3B,)), id="an empty stream of a wide window"),
        pytest.param(bytes((0x06, 0x00)), id="an empty stream and a byte"),
        pytest.param(bytes((0x0C, 0x00)) + b"\x03", id="metadata"),
        pytest.param(b"\x1b" + b"\xff" * 30, id="ones"),
    ],
)
def test_of_hand_made_streams(stream: bytes) -> None:
    assert both(stream, 0) is None
    assert both(stream, 1) is None


def test_of_stored_streams() -> None:
    expected = [(5, True, [b"first", bytes(70)]), (7, False, []), (1 << 40, True, [b"", b"\x7f"])]
    assert both(stored(PLAIN), 3) == expected
    assert both(stored(PLAIN)[:-1], 3) is None
    assert both(stored(PLAIN) + b"\x03", 3) is None
    both(stored(PLAIN)[:-1] + b"\x07", 3)  # bits of padding that are not zero
