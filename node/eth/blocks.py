"""A block as the node hands it about: what storage saves, the chain owns and JSON-RPC renders."""

from __future__ import annotations

from dataclasses import dataclass

from node.eth.headers import Header
from node.eth.primitives import Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """An executed block. Only the header is decoded; the rest stays bytes for the engine to read."""

    hash: Hash32
    """keccak-256 of the header's RLP."""
    header: Header
    """The decoded header."""
    rlp: bytes
    """The whole block: header, transactions, ommers, withdrawals."""
    receipts: bytes
    """The engine's own record of receipts and senders; opaque here."""
