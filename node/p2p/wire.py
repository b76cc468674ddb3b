"""Lengths on the wire: unsigned varints (multiformats) and 4-byte big-endian prefixes.

    bytes as they arrive -> split_* -> (whole message, bytes used) | None while it is incomplete

No input or output: every decoder takes a buffer and a bound, and raises Rejected for what no honest peer sends.
"""

from __future__ import annotations

from typing import Final

from node.errors import Rejected
from node.p2p.scores import Misbehaviour

UVARINT_BYTES_MAX: Final = 5
"""Enough for any length below 2**35; longer encodings are an attempt to waste memory or time."""

PREFIX_BYTES: Final = 4
"""A request, an answer and a body each start with their length in this many bytes, big-endian."""


def encode_uvarint(value: int) -> bytes:
    """An unsigned varint, least significant group of seven bits first."""
    assert value >= 0
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def split_uvarint(
    buffer: bytes | bytearray | memoryview, offset: int = 0
) -> tuple[int, int] | None:
    """The varint at an offset and the offset behind it, or None while bytes are missing.

    Raises:
        Rejected: longer than UVARINT_BYTES_MAX.
    """
    value = 0
    for index in range(UVARINT_BYTES_MAX):
        if offset + index >= len(buffer):
            return None
        byte = buffer[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, offset + index + 1
    raise Rejected(
        Misbehaviour.MALFORMED_FRAME, f"a length takes more than {UVARINT_BYTES_MAX} bytes"
    )


def frame_uvarint(message: bytes) -> bytes:
    """A message behind its length as a varint."""
    return encode_uvarint(len(message)) + message


def split_uvarint_frame(buffer: bytearray, offset: int, bytes_max: int) -> tuple[bytes, int] | None:
    """The varint-prefixed message at an offset and the offset behind it, or None while bytes are missing.

    Raises:
        Rejected: announced longer than bytes_max, judged before its body arrives.
    """
    head = split_uvarint(buffer, offset)
    if head is None:
        return None
    length, start = head
    if length > bytes_max:
        raise Rejected(
            Misbehaviour.OVERSIZED, f"a message of {length} bytes, at most {bytes_max} are read"
        )
    if len(buffer) < start + length:
        return None
    with memoryview(buffer) as view:
        return bytes(view[start : start + length]), start + length


def encode_prefix(length: int) -> bytes:
    """A length as PREFIX_BYTES big-endian bytes."""
    return length.to_bytes(PREFIX_BYTES, "big")


def decode_prefix(prefix: bytes, bytes_max: int) -> int:
    """The announced length.

    Raises:
        Rejected: announced longer than bytes_max.
    """
    assert len(prefix) == PREFIX_BYTES
    length = int.from_bytes(prefix, "big")
    if length > bytes_max:
        raise Rejected(
            Misbehaviour.OVERSIZED, f"a message of {length} bytes, at most {bytes_max} are read"
        )
    return length
