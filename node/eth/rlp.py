"""Recursive Length Prefix, strict: one byte string for each value and nothing else is accepted.

Everything that is hashed or signed passes through here, and so does every block a peer sends.
Decoding uses a stack of its own, so that hostile nesting costs no Python frames; bytes, depth and items are bounded
before anything is allocated for them.
Deliberately absent: schemas. Containers know their own shape and read it with `as_list`, `as_bytes`, `as_integer`.

Source: Ethereum yellow paper, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from node.errors import Rejected
from node.eth.reasons import EncodingReason

Item: TypeAlias = bytes | list["Item"]
"""What decoding gives: bytes, or a list of items."""

Encodable: TypeAlias = bytes | int | Sequence["Encodable"]
"""What encoding takes; integers are big-endian without leading zeros, booleans are integers."""

MAX_DEPTH = 16
"""Deepest nesting; the deepest object of ours (evidence in a payload) has 6."""

MAX_BYTES = 16 * 1024 * 1024
"""Default bound on what is decoded at once; four times the largest block."""

MAX_ITEMS = 1 << 20
"""Default bound on the number of items; a payload with every vote it may hold has under 100,000."""


def encode(value: Encodable) -> bytes:
    """Encode bytes, a non-negative integer or a nested sequence of them."""
    return _encode(value, 0)


def encode_list(encoded_items: Sequence[bytes]) -> bytes:
    """Encode a list whose items are already encoded."""
    body = b"".join(encoded_items)
    return _prefix(len(body), 0xC0) + body


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_items: int = MAX_ITEMS) -> Item:
    """Decode exactly one item. Raises Rejected with an EncodingReason."""
    if len(data) > max_bytes:
        raise Rejected(EncodingReason.TOO_LARGE, f"{len(data)} bytes, at most {max_bytes}")
    is_list, start, end = _header(data, 0, len(data))
    if end != len(data):
        raise Rejected(EncodingReason.TRAILING, f"{len(data) - end} bytes after the item")
    return _decode_list(data, start, end, max_items) if is_list else data[start:end]


def spans(data: bytes, *, max_items: int = 64) -> list[tuple[bool, int, int, int]]:
    """Find the items of one outer list without looking into them.

    Gives (is a list, start of the item with its prefix, start of its payload, end) for each.
    Raises Rejected with an EncodingReason; what lies inside inner lists is not judged.
    """
    is_list, position, end = _header(data, 0, len(data))
    if not is_list:
        raise Rejected(EncodingReason.WRONG_TYPE, "bytes where a list belongs")
    if end != len(data):
        raise Rejected(EncodingReason.TRAILING, f"{len(data) - end} bytes after the item")
    found: list[tuple[bool, int, int, int]] = []
    while position < end:
        if len(found) == max_items:
            raise Rejected(EncodingReason.TOO_MANY_ITEMS, f"more than {max_items}")
        inner_is_list, inner_start, inner_end = _header(data, position, end)
        found.append((inner_is_list, position, inner_start, inner_end))
        position = inner_end
    return found


def as_list(item: Item, length: int | None = None) -> list[Item]:
    """Read an item as a list, of exactly `length` items where one is given."""
    if not isinstance(item, list):
        raise Rejected(EncodingReason.WRONG_TYPE, "bytes where a list belongs")
    if length is not None and len(item) != length:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(item)} items, want {length}")
    return item


def as_bytes(item: Item, length: int | None = None) -> bytes:
    """Read an item as bytes, exactly `length` of them where one is given."""
    if isinstance(item, list):
        raise Rejected(EncodingReason.WRONG_TYPE, "a list where bytes belong")
    if length is not None and len(item) != length:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(item)} bytes, want {length}")
    return item


def as_integer(item: Item, bits: int = 64) -> int:
    """Read an item as an integer of at most `bits` bits, without leading zeros."""
    if isinstance(item, list):
        raise Rejected(EncodingReason.WRONG_TYPE, "a list where a number belongs")
    if item[:1] == b"\x00":
        raise Rejected(EncodingReason.NOT_CANONICAL, "a number with leading zeros")
    if len(item) * 8 > bits:
        raise Rejected(
            EncodingReason.OUT_OF_RANGE, f"a number of {len(item)} bytes, at most {bits} bits"
        )
    return int.from_bytes(item)


def _encode(value: Encodable, depth: int) -> bytes:
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _prefix(len(value), 0x80) + value
    if isinstance(value, int):
        if value < 0:
            raise ValueError("RLP has no negative numbers")
        return _encode(value.to_bytes((value.bit_length() + 7) // 8), depth)
    if depth == MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return encode_list([_encode(item, depth + 1) for item in value])


def _prefix(length: int, base: int) -> bytes:
    if length < 56:
        return bytes((base + length,))
    length_bytes = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((base + 55 + len(length_bytes),)) + length_bytes


def _header(data: bytes, position: int, end: int) -> tuple[bool, int, int]:
    """Read the prefix at `position`: whether it opens a list, where its payload starts, where it ends."""
    if position >= end:
        raise Rejected(EncodingReason.TRUNCATED, "no item")
    first = data[position]
    if first < 0x80:
        return False, position, position + 1
    is_list = first >= 0xC0
    size = first - (0xC0 if is_list else 0x80)
    start = position + 1
    if size > 55:
        start, size = _long_size(data, start, size - 55, end)
    elif size == 1 and not is_list and start < end and data[start] < 0x80:
        raise Rejected(EncodingReason.NOT_CANONICAL, "a single small byte with a prefix")
    if size > end - start:
        raise Rejected(EncodingReason.TRUNCATED, f"{size} bytes announced, {end - start} there")
    return is_list, start, start + size


def _long_size(data: bytes, start: int, width: int, end: int) -> tuple[int, int]:
    if width > end - start:
        raise Rejected(EncodingReason.TRUNCATED, "the length itself is cut off")
    size = int.from_bytes(data[start : start + width])
    if data[start] == 0 or size < 56:
        raise Rejected(EncodingReason.NOT_CANONICAL, "a length longer than it needs to be")
    return start + width, size


def _decode_list(data: bytes, position: int, end: int, max_items: int) -> list[Item]:
    items: list[Item] = []
    open_lists: list[tuple[list[Item], int]] = []
    count = 0
    while True:
        while position == end:
            if not open_lists:
                return items
            items, end = open_lists.pop()
        count += 1
        if count > max_items:
            raise Rejected(EncodingReason.TOO_MANY_ITEMS, f"more than {max_items}")
        is_list, start, inner_end = _header(data, position, end)
        position = inner_end
        if not is_list:
            items.append(data[start:inner_end])
            continue
        if len(open_lists) + 2 > MAX_DEPTH:
            raise Rejected(EncodingReason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
        inner: list[Item] = []
        items.append(inner)
        open_lists.append((items, end))
        items, position, end = inner, start, inner_end
