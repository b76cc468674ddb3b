"""Questions that L2 nodes ask each other, in deterministic CBOR (`node.eth.cbor`).

    l2_submit  [raw, ...]                     ->  [[hash, refusal], ...]   in order; an empty refusal means taken
    l2_blocks  [first number, blocks at most] ->  signed unsafe blocks (node.rollup.unsafe), or nothing

Decoders raise Rejected with an EncodingReason, and nothing else.
Deliberately absent: the unsafe blocks themselves, which are rules of the rollup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.eth import cbor
from node.eth.primitives import Hash32
from node.rollup.limits import MAX_UNSAFE_BLOCKS

FORWARDED_MAX: Final = 256
"""Transactions in a request."""

FORWARDED_BYTES_MAX: Final = 768 * 1024
"""Their bytes together, of which one transaction may take 30 KiB."""

TRANSACTION_BYTES_MAX: Final = 30 * 1024
"""A transaction that an L2 block has room for (ROLLUP.md 1.4)."""

REFUSAL_BYTES_MAX: Final = 1_024
"""Why a transaction was not taken, UTF-8; more is cut off."""

HEADS_BYTES_MAX: Final = 4 * 1_024
"""What CBOR adds to the items of a message."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a forwarded transaction."""

    hash: Hash32
    """Its hash; zeros if it could not be decoded."""
    refusal: str | None = None
    """Why it was not taken, as geth words it."""


def encode_forwarded(transactions: Sequence[bytes]) -> bytes:
    """Encode transactions for the sequencer."""
    return cbor.byte_strings(transactions)


def decode_forwarded(message: bytes) -> tuple[bytes, ...]:
    """Decode transactions from a replica."""
    reader = cbor.Reader(message, bytes_max=FORWARDED_BYTES_MAX + HEADS_BYTES_MAX)
    transactions = reader.byte_strings(items_max=FORWARDED_MAX, bytes_max=TRANSACTION_BYTES_MAX)
    reader.end()
    return transactions


def encode_answers(answers: Sequence[Answered]) -> bytes:
    """Encode what became of them."""
    pieces = [cbor.array_head(len(answers))]
    for answer in answers:
        refusal = (answer.refusal or "").encode()[:REFUSAL_BYTES_MAX]
        pieces += (cbor.array_head(2), cbor.byte_string(answer.hash), cbor.byte_string(refusal))
    return b"".join(pieces)


def decode_answers(message: bytes) -> tuple[Answered, ...]:
    """Decode what became of them."""
    reader = cbor.Reader(message, bytes_max=FORWARDED_MAX * (REFUSAL_BYTES_MAX + 64))
    answers = []
    for _ in range(reader.array_upto(FORWARDED_MAX)):
        reader.array(2)
        transaction_hash = reader.hash()
        refusal = reader.bytes_upto(REFUSAL_BYTES_MAX).decode(errors="replace")
        answers.append(Answered(transaction_hash, refusal or None))
    reader.end()
    return tuple(answers)


def encode_range(first: int, count: int) -> bytes:
    """Encode a question for unsafe blocks from a number on."""
    return cbor.array_head(2) + cbor.unsigned(first) + cbor.unsigned(count)


def decode_range(message: bytes) -> tuple[int, int]:
    """Decode a question for unsafe blocks: first number, and how many at most (1 to MAX_UNSAFE_BLOCKS)."""
    reader = cbor.Reader(message, bytes_max=32)
    reader.array(2)
    first, count = reader.unsigned(), reader.unsigned()
    reader.end()
    return first, max(1, min(count, MAX_UNSAFE_BLOCKS))
