"""Transactions between nodes: deterministic CBOR, a strict subset, bounded before anything is copied.

    gossip  [[raw, ...], [hash, ...]]   transactions, and hashes of those too large to gossip
    request [hash, ...]  ->  answer [raw, ...]   in the order asked for, without those that are gone

Only arrays and byte strings of known length in their shortest form are read. Decoders raise nothing but Rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.errors import Rejected
from node.eth.primitives import Hash32

GOSSIP_BYTES_MAX: Final = 32 * 1024
"""A gossip message: a hundred transfers, measured to travel well (NETWORK.md)."""

GOSSIPED_TRANSACTION_BYTES_MAX: Final = 16 * 1024
"""A larger transaction is announced by its hash and fetched by a stream."""

GOSSIPED_TRANSACTIONS_MAX: Final = 512
"""Transactions in a message: the smallest valid one is above 64 bytes."""

ANNOUNCED_MAX: Final = 16
"""Hashes in a message or a request."""

ANSWER_BYTES_MAX: Final = 1 << 20
"""An answer: at least one of the largest transactions fits."""

_BYTES, _ARRAY = 2, 4


class WireReason(StrEnum):
    """Why a message between pools is refused."""

    TOO_LARGE = "transactions_too_large"
    MALFORMED = "transactions_malformed"
    TOO_MANY = "transactions_too_many"


@dataclass(frozen=True, slots=True)
class GossipedTransactions:
    """One message of the topic."""

    transactions: tuple[bytes, ...]
    """EIP-2718 bytes."""
    announced: tuple[Hash32, ...]
    """Hashes of larger ones that the sender holds."""


def encode_gossip(transactions: Sequence[bytes], announced: Sequence[bytes]) -> bytes:
    """Encode a message."""
    return _head(_ARRAY, 2) + _list(transactions) + _list(announced)


def decode_gossip(message: bytes) -> GossipedTransactions:
    """Decode a message."""
    if len(message) > GOSSIP_BYTES_MAX:
        raise Rejected(WireReason.TOO_LARGE, f"{len(message)} bytes, at most {GOSSIP_BYTES_MAX}")
    count, position = _read_head(message, 0, _ARRAY)
    if count != 2:
        raise Rejected(WireReason.MALFORMED, f"{count} items, want 2")
    transactions, position = _read_list(
        message, position, GOSSIPED_TRANSACTIONS_MAX, GOSSIPED_TRANSACTION_BYTES_MAX
    )
    announced, position = _read_hashes(message, position)
    _end(message, position)
    return GossipedTransactions(transactions, announced)


def encode_request(hashes: Sequence[bytes]) -> bytes:
    """Encode a request for transactions by hash."""
    return _list(hashes)


def decode_request(message: bytes) -> tuple[Hash32, ...]:
    """Decode a request."""
    hashes, position = _read_hashes(message, 0)
    _end(message, position)
    return hashes


def encode_answer(transactions: Sequence[bytes]) -> bytes:
    """Encode an answer."""
    return _list(transactions)


def decode_answer(message: bytes) -> tuple[bytes, ...]:
    """Decode an answer."""
    if len(message) > ANSWER_BYTES_MAX + 1024:
        raise Rejected(WireReason.TOO_LARGE, f"{len(message)} bytes")
    transactions, position = _read_list(message, 0, ANNOUNCED_MAX, ANSWER_BYTES_MAX)
    _end(message, position)
    return transactions


def encoded_bytes(transaction: bytes) -> int:
    """How much of a message a transaction takes."""
    return len(transaction) + 3


def _list(items: Sequence[bytes]) -> bytes:
    parts = [_head(_ARRAY, len(items))]
    for item in items:
        parts.append(_head(_BYTES, len(item)))
        parts.append(item)
    return b"".join(parts)


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major << 5 | value,))
    if value < 0x100:
        return bytes((major << 5 | 24, value))
    if value < 0x10000:
        return bytes((major << 5 | 25,)) + value.to_bytes(2)
    return bytes((major << 5 | 26,)) + value.to_bytes(4)


def _read_hashes(message: bytes, position: int) -> tuple[tuple[Hash32, ...], int]:
    hashes, position = _read_list(message, position, ANNOUNCED_MAX, 32)
    if any(len(one) != 32 for one in hashes):
        raise Rejected(WireReason.MALFORMED, "a hash is not 32 bytes long")
    return tuple(Hash32(one) for one in hashes), position


def _read_list(
    message: bytes, position: int, items_max: int, item_bytes_max: int
) -> tuple[tuple[bytes, ...], int]:
    count, position = _read_head(message, position, _ARRAY)
    if count > items_max:
        raise Rejected(WireReason.TOO_MANY, f"{count} items, at most {items_max}")
    items: list[bytes] = []
    for _ in range(count):
        length, position = _read_head(message, position, _BYTES)
        if length > item_bytes_max:
            raise Rejected(WireReason.TOO_LARGE, f"{length} bytes, at most {item_bytes_max}")
        end = position + length
        if end > len(message):
            raise Rejected(WireReason.MALFORMED, f"{end - len(message)} bytes are missing")
        items.append(message[position:end])
        position = end
    return tuple(items), position


def _read_head(message: bytes, position: int, major: int) -> tuple[int, int]:
    if position >= len(message):
        raise Rejected(WireReason.MALFORMED, "the message ends early")
    first = message[position]
    if first >> 5 != major:
        raise Rejected(WireReason.MALFORMED, f"CBOR type {first >> 5}, want {major}")
    short = first & 31
    if short < 24:
        return short, position + 1
    if short > 26:
        raise Rejected(WireReason.MALFORMED, "a length of a form that is not read")
    width = 1 << short - 24
    end = position + 1 + width
    value = int.from_bytes(message[position + 1 : end])
    if end > len(message) or value < (24 if width == 1 else 1 << 4 * width):
        raise Rejected(WireReason.MALFORMED, "a length cut short, or longer than it needs to be")
    return value, end


def _end(message: bytes, position: int) -> None:
    if position != len(message):
        raise Rejected(WireReason.MALFORMED, f"{len(message) - position} bytes too many")
