"""Calls of the Inbox as L1 transactions carry them. PURE.

    batch, extent -> append_call -> call data, gas -> signing
    overdue origin -> force_call, anchor_call -> the same

Deliberately absent: what the Inbox does with them (node/contracts/l1/Inbox.vy), and reading it: its logs say everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32

APPEND: Final = keccak256(b"append(bytes,uint64,uint32,uint64,bytes32)")[:4]
"""Selector."""

FORCE_EMPTY: Final = keccak256(b"forceEmpty(uint64)")[:4]
"""Selector."""

ANCHOR_HEADERS: Final = keccak256(b"anchorHeaders(uint64,bytes[])")[:4]
"""Selector."""

EXECUTION_GAS: Final = 500_000
"""What a call of the Inbox uses besides what follows, at most: storage, memory, the log's fixed part."""

ORIGIN_GAS: Final = 4_000
"""To read and hash one L1 block's hash: a cold slot and a call."""

BATCH_BYTE_GAS: Final = 10
"""To log, copy and hash a byte of a batch."""

HEADER_GAS: Final = 40_000
"""To check a header and keep a hash in a new slot."""

_WORD: Final = 32


def append_call(
    batch: bytes, *, first_block: int, block_count: int, origin: int, expected: Hash32
) -> bytes:
    """Encode `append`."""
    head = (5 * _WORD, first_block, block_count, origin)
    return APPEND + b"".join(one.to_bytes(_WORD) for one in head) + expected + _dynamic_bytes(batch)


def append_gas(batch: bytes, advances: int) -> int:
    """Bound what `append` uses once it runs."""
    return EXECUTION_GAS + ORIGIN_GAS * (1 + advances) + BATCH_BYTE_GAS * len(batch)


def force_call(origin: int) -> bytes:
    """Encode `forceEmpty`."""
    return FORCE_EMPTY + origin.to_bytes(_WORD)


def force_gas(advances: int) -> int:
    """Bound what `forceEmpty` uses once it runs."""
    return EXECUTION_GAS + ORIGIN_GAS * (1 + advances)


def anchor_call(newest: int, headers: Sequence[bytes]) -> bytes:
    """Encode `anchorHeaders`; headers in RLP, from the newest down."""
    tails = [_dynamic_bytes(header) for header in headers]
    offsets: list[bytes] = []
    offset = len(headers) * _WORD
    for tail in tails:
        offsets.append(offset.to_bytes(_WORD))
        offset += len(tail)
    head = newest.to_bytes(_WORD) + (2 * _WORD).to_bytes(_WORD)
    return ANCHOR_HEADERS + head + len(headers).to_bytes(_WORD) + b"".join([*offsets, *tails])


def anchor_gas(headers: int) -> int:
    """Bound what `anchorHeaders` uses once it runs."""
    return EXECUTION_GAS + HEADER_GAS * headers


def _dynamic_bytes(data: bytes) -> bytes:
    padding = -len(data) % _WORD
    return len(data).to_bytes(_WORD) + data + bytes(padding)
