"""The part of CBOR that travels between nodes, strict: one byte string for each message and nothing else is accepted.

    message -> unsigned | byte_string | array_head, joined -> peer -> Reader -> message

Unsigned integers below 2^64, byte strings and arrays of known length, each in its shortest form (RFC 8949 section 4.2.1).
A message's reader asks for what must come next and says how much of it there may be, so nothing is allocated for what
a peer merely announces, and nothing nests.
Deliberately absent: every other type. A general decoder would read tags, floats and maps only for us to refuse them.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.eth.reasons import EncodingReason

_UNSIGNED, _BYTES, _ARRAY = 0, 2, 4

_ONE_BYTE_LENGTH = b"\x58"
"""Begins a byte string of 24 to 255 bytes; its length is the next byte."""


def unsigned(value: int) -> bytes:
    """Encode an integer from 0 to 2^64 - 1."""
    return _head(_UNSIGNED, value)


def byte_string(value: bytes) -> bytes:
    """Encode bytes."""
    return _head(_BYTES, len(value)) + value


def array_head(length: int) -> bytes:
    """Begin an array; so many encoded items follow."""
    return _head(_ARRAY, length)


def byte_strings(items: Sequence[bytes]) -> bytes:
    """Encode an array of byte strings."""
    parts = [_head(_ARRAY, len(items))]
    for item in items:
        length = len(item)
        parts += (_BYTES_HEADS[length] if length < 256 else _head(_BYTES, length), item)
    return b"".join(parts)


class Reader:
    """A cursor over one message; raises Rejected with an EncodingReason where something else comes than is asked for."""

    def __init__(self, message: bytes, *, bytes_max: int) -> None:
        if len(message) > bytes_max:
            raise Rejected(EncodingReason.TOO_LARGE, f"{len(message)} bytes, at most {bytes_max}")
        self._message = message
        self._position = 0

    def unsigned(self) -> int:
        """An integer."""
        return self._read_head(_UNSIGNED)

    def array(self, length: int) -> None:
        """The head of an array of so many items."""
        if (found := self._read_head(_ARRAY)) != length:
            raise Rejected(EncodingReason.WRONG_LENGTH, f"{found} items, want {length}")

    def array_upto(self, items_max: int) -> int:
        """The head of an array of at most so many items; gives their number."""
        if (found := self._read_head(_ARRAY)) > items_max:
            raise Rejected(EncodingReason.TOO_MANY_ITEMS, f"{found} items, at most {items_max}")
        return found

    def bytes_of(self, length: int) -> bytes:
        """A byte string of this length."""
        found = self.bytes_upto(length)
        if len(found) != length:
            raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(found)} bytes, want {length}")
        return found

    def bytes_upto(self, bytes_max: int) -> bytes:
        """A byte string of at most this length."""
        start, message = self._position, self._message
        if message[start : start + 1] == _ONE_BYTE_LENGTH and start + 1 < len(message):
            # Most are of this form; whatever is wrong with one is said below.
            length = message[start + 1]
            end = start + 2 + length
            if 24 <= length <= bytes_max and end <= len(message):
                self._position = end
                return message[start + 2 : end]
        length = self._read_head(_BYTES)
        if length > bytes_max:
            raise Rejected(EncodingReason.TOO_LARGE, f"{length} bytes, at most {bytes_max}")
        return self._take(length)

    def hash(self) -> Hash32:
        """A byte string of 32 bytes."""
        return Hash32(self.bytes_of(32))

    def byte_strings(self, *, items_max: int, bytes_max: int) -> tuple[bytes, ...]:
        """An array of at most so many byte strings of at most so many bytes each."""
        return tuple(self.bytes_upto(bytes_max) for _ in range(self.array_upto(items_max)))

    def hashes(self, *, items_max: int) -> tuple[Hash32, ...]:
        """An array of at most so many byte strings of 32 bytes."""
        return tuple(self.hash() for _ in range(self.array_upto(items_max)))

    def end(self) -> None:
        """Nothing more."""
        if self._position != len(self._message):
            raise Rejected(
                EncodingReason.TRAILING, f"{len(self._message) - self._position} bytes too many"
            )

    def _take(self, length: int) -> bytes:
        start, end = self._position, self._position + length
        if end > len(self._message):
            raise Rejected(
                EncodingReason.TRUNCATED, f"{end - len(self._message)} bytes are missing"
            )
        self._position = end
        return self._message[start:end]

    def _read_head(self, major: int) -> int:
        """The argument of an item's head; it must be of this type and in its shortest form."""
        first = self._take(1)[0]
        if first >> 5 != major:
            raise Rejected(EncodingReason.WRONG_TYPE, f"CBOR type {first >> 5}, want {major}")
        short = first & 31
        if short < 24:
            return short
        if short > 27:
            raise Rejected(EncodingReason.NOT_CANONICAL, "an indefinite or reserved length")
        width = 1 << short - 24
        value = int.from_bytes(self._take(width))
        if value < (24 if width == 1 else 1 << 4 * width):
            raise Rejected(EncodingReason.NOT_CANONICAL, "a number longer than it needs to be")
        return value


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 0x100:
        return bytes((major << 5 | 24, argument))
    width = next(width for width in (2, 4, 8) if argument < 1 << 8 * width)
    return bytes((major << 5 | 23 + width.bit_length(),)) + argument.to_bytes(width)


_BYTES_HEADS = tuple(_head(_BYTES, length) for length in range(256))
"""Heads of short byte strings, by length."""
