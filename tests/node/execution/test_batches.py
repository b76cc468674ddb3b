"""Batches: whatever bytes are read, every node reads the same of them, at once, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from node.eth import rlp
from node.execution.adapter import decode_batch, encode_batch
from node.execution.engine import PackedBlock

LIMIT = 262_144
"""Decompressed bytes, as the rules have it."""

Payload = bytes | int | list["Payload"]

blocks = st.lists(
    st.builds(
        PackedBlock,
        st.integers(0, 2**64 - 1),
        st.booleans(),
        st.lists(st.binary(max_size=300), max_size=6).map(tuple),
    ),
    max_size=8,
)


def stored(content: bytes) -> bytes:
    """A brotli stream that holds content as it is (RFC 7932): a 64 KiB window, uncompressed meta-blocks, an empty last."""
    bits, length = 0, 0

    def put(value: int, width: int) -> None:
        nonlocal bits, length
        bits |= value << length
        length += width

    put(0, 1)  # window of 2^16
    for start in range(0, len(content), 1 << 16):
        part = content[start : start + (1 << 16)]
        put(0, 1)  # not the last
        put(0, 2)  # four nibbles of length
        put(len(part) - 1, 16)
        put(1, 1)  # uncompressed
        length += -length % 8
        put(int.from_bytes(part, "little"), 8 * len(part))
    put(0b11, 2)  # the last, and empty
    return bits.to_bytes((length + 7) // 8, "little")


def batch(content: Payload) -> bytes:
    """A batch whose RLP is this."""
    return stored(rlp.encode(content))


@given(blocks, st.integers(0, 5))
def test_what_is_encoded_is_decoded(packed: list[PackedBlock], quality: int) -> None:
    encoded = encode_batch(packed, quality)
    assert decode_batch(encoded, LIMIT, len(packed)) == tuple(packed)
    assert decode_batch(encoded, LIMIT, len(packed) + 1) is None
    assert encode_batch(packed, quality) == encoded


@pytest.mark.parametrize("quality", range(12))
def test_every_quality(quality: int) -> None:
    packed = [PackedBlock(time, time == 3, (bytes([time]) * 100,)) for time in range(50)]
    assert decode_batch(encode_batch(packed, quality), LIMIT, 50) == tuple(packed)


def test_quality_is_bounded() -> None:
    with pytest.raises(ValueError, match="quality: 12, at most 11"):
        encode_batch([], 12)


def test_format_is_what_the_rules_say() -> None:
    content: Payload = [1, [[5, 1, [b"a", b""]], [2**64 - 1, 0, []]]]
    want = (PackedBlock(5, True, (b"a", b"")), PackedBlock(2**64 - 1, False, ()))
    assert decode_batch(batch(content), LIMIT, 2) == want
    assert decode_batch(batch([1, []]), LIMIT, 0) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        [],
        [1],
        [0, [[5, 1, []]]],
        [2, [[5, 1, []]]],
        [b"\x00\x01", [[5, 1, []]]],
        [1, [[5, 1, []]], []],
        [1, b"\x01"],
        [1, [b"\x05"]],
        [1, [[5, 1]]],
        [1, [[5, 1, [], b""]]],
        [1, [[5, 2, []]]],
        [1, [[5, b"\x00", []]]],
        [1, [[2**64, 1, []]]],
        [1, [[b"\x00\x05", 1, []]]],
        [1, [[[], 1, []]]],
        [1, [[5, 1, b""]]],
        [1, [[5, 1, [[]]]]],
        [1, [[5, 1, [[b"deeper"]]]]],
        [1, [[5, 1, []], [5, 1, []]]],
        [1, []],
    ],
    ids=str,
)
def test_wrong_shapes(content: Payload) -> None:
    assert decode_batch(batch(content), LIMIT, 1) is None


@pytest.mark.parametrize(
    "encoded",
    [
        "c501c3c20501c0",  # the block ends before its list
        "c701c5f8030501c0",  # a long head for a short list
        "c701c5c481050180",  # 5 as a string of one byte
        "c701c5c40501b800",  # a string with a long head
        "c601c4c30501c000",  # a byte behind
        "f8",
        "ffffffffffffffffff",
        "c601c4c30501ff",
    ],
)
def test_rlp_has_one_form(encoded: str) -> None:
    assert decode_batch(stored(bytes.fromhex(encoded)), LIMIT, 1) is None


def test_the_same_block_in_its_one_form() -> None:
    assert decode_batch(stored(bytes.fromhex("c601c4c30501c0")), LIMIT, 1) == (
        PackedBlock(5, True, ()),
    )


def test_nothing_stands_behind_the_stream() -> None:
    encoded = encode_batch([PackedBlock(5, True, ())], 5)
    assert decode_batch(encoded, LIMIT, 1) is not None
    for behind in (b"\x00", b"\x03", encoded):
        assert decode_batch(encoded + behind, LIMIT, 1) is None
    for end in range(len(encoded)):
        assert decode_batch(encoded[:end], LIMIT, 1) is None


def test_limit_counts_to_the_byte() -> None:
    packed = [PackedBlock(5, True, (bytes(1_000),))]
    content: Payload = [1, [[5, 1, [bytes(1_000)]]]]
    size = len(rlp.encode(content))
    for encoded in (encode_batch(packed, 5), batch(content)):
        assert decode_batch(encoded, size, 1) == tuple(packed)
        assert decode_batch(encoded, size - 1, 1) is None
        assert decode_batch(encoded, 0, 1) is None


def test_bomb_stops_at_the_limit() -> None:
    bomb = encode_batch([PackedBlock(0, False, (bytes(50_000_000),))], 9)
    assert len(bomb) < 2_000
    assert decode_batch(bomb, LIMIT, 1) is None


def test_depth_without_end() -> None:
    assert decode_batch(stored(b"\xc0" * LIMIT), LIMIT, 1) is None
    nested = b""
    for _ in range(60_000):
        size = len(nested)
        head = bytes([0xC0 + size]) if size < 56 else b"\xfa" + size.to_bytes(3, "big")
        nested = head + nested[: LIMIT - 4]
    assert decode_batch(stored(nested), LIMIT, 1) is None


def test_copy_beyond_its_meta_block_is_none() -> None:
    """RFC 7932, 9.3; decoders have let it pass where the output fits into their window."""
    stream = "0316000080aaaaaaea9fcf673e9ff876e3f395019881e100ee4bbf74890de0021cfeb552318207"
    assert decode_batch(bytes.fromhex(stream), LIMIT, 0) is None


def test_window_beyond_the_standard_is_none() -> None:
    """Large windows are an extension, and would let a batch ask for a gigabyte."""
    assert decode_batch(b"\x11\x1e\x03", LIMIT, 0) is None


@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_bytes_are_decoded_or_are_none(data: bytes, count: int) -> None:
    for raw in (data, stored(data)):
        decoded = decode_batch(raw, 1_000, count)
        assert decoded is None or len(decoded) == count


@given(blocks.filter(bool), st.data())
def test_changed_byte_changes_blocks_or_is_none(
    packed: list[PackedBlock], data: st.DataObject
) -> None:
    encoded = bytearray(encode_batch(packed, 5))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    decoded = decode_batch(bytes(encoded), LIMIT, len(packed))
    assert decoded is None or all(isinstance(block, PackedBlock) for block in decoded)
