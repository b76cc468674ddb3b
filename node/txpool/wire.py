"""Transactions between nodes, in deterministic CBOR (`node.eth.cbor`).

    gossip  [[raw, ...], [hash, ...]]   transactions, and hashes of those too large to gossip
    request [hash, ...]  ->  answer [raw, ...]   in the order asked for, without those that are gone

A blob transaction is always announced, and answered in its network form (`node.eth.blobs`): the largest is 0.8 MB.

Decoders raise Rejected with an EncodingReason, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.eth import cbor
from node.eth.primitives import Hash32

GOSSIP_BYTES_MAX: Final = 32 * 1024
"""A gossip message: a hundred transfers, measured to travel well (node/p2p/README.md)."""

GOSSIPED_TRANSACTION_BYTES_MAX: Final = 16 * 1024
"""A larger transaction is announced by its hash and fetched by a stream."""

GOSSIPED_TRANSACTIONS_MAX: Final = 512
"""Transactions in a message: the smallest valid one is above 64 bytes."""

ANNOUNCED_MAX: Final = 16
"""Hashes in a message or a request."""

ANSWER_BYTES_MAX: Final = 1 << 20
"""An answer: at least one of the largest transactions fits."""

HEADS_BYTES_MAX: Final = 1_024
"""What CBOR adds to the items of a request or an answer."""


@dataclass(frozen=True, slots=True)
class GossipedTransactions:
    """One message of the topic."""

    transactions: tuple[bytes, ...]
    """EIP-2718 bytes."""
    announced: tuple[Hash32, ...]
    """Hashes of larger ones that the sender holds."""


def encode_gossip(transactions: Sequence[bytes], announced: Sequence[bytes]) -> bytes:
    """Encode a message."""
    return cbor.array_head(2) + cbor.byte_strings(transactions) + cbor.byte_strings(announced)


def decode_gossip(message: bytes) -> GossipedTransactions:
    """Decode a message."""
    reader = cbor.Reader(message, bytes_max=GOSSIP_BYTES_MAX)
    reader.array(2)
    transactions = reader.byte_strings(
        items_max=GOSSIPED_TRANSACTIONS_MAX, bytes_max=GOSSIPED_TRANSACTION_BYTES_MAX
    )
    announced = reader.hashes(items_max=ANNOUNCED_MAX)
    reader.end()
    return GossipedTransactions(transactions, announced)


def encode_request(hashes: Sequence[bytes]) -> bytes:
    """Encode a request for transactions by hash."""
    return cbor.byte_strings(hashes)


def decode_request(message: bytes) -> tuple[Hash32, ...]:
    """Decode a request."""
    reader = cbor.Reader(message, bytes_max=32 * ANNOUNCED_MAX + HEADS_BYTES_MAX)
    hashes = reader.hashes(items_max=ANNOUNCED_MAX)
    reader.end()
    return hashes


def encode_answer(transactions: Sequence[bytes]) -> bytes:
    """Encode an answer."""
    return cbor.byte_strings(transactions)


def decode_answer(message: bytes) -> tuple[bytes, ...]:
    """Decode an answer."""
    reader = cbor.Reader(message, bytes_max=ANSWER_BYTES_MAX + HEADS_BYTES_MAX)
    transactions = reader.byte_strings(items_max=ANNOUNCED_MAX, bytes_max=ANSWER_BYTES_MAX)
    reader.end()
    return transactions


def encoded_bytes(transaction: bytes) -> int:
    """How much of a message a transaction takes."""
    return len(transaction) + 3
