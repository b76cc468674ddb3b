"""What calls of the Inbox use at most, so that their transactions get enough gas. PURE.

    node.contracts.bindings -> call data -+-> signing
             append_gas, force_gas, ... --+

Deliberately absent: encoding (node.contracts.bindings), and what the Inbox does (node/contracts/l1/Inbox.vy).
"""

from __future__ import annotations

from typing import Final

EXECUTION_GAS: Final = 500_000
"""What a call of the Inbox uses besides what follows, at most: storage, memory, the log's fixed part."""

ORIGIN_GAS: Final = 4_000
"""To read and hash one L1 block's hash: a cold slot and a call."""

BATCH_BYTE_GAS: Final = 10
"""To log, copy and hash a byte of a batch."""

HEADER_GAS: Final = 40_000
"""To check a header and keep a hash in a new slot."""


def append_gas(batch: bytes, advances: int) -> int:
    """Bound what `append` uses once it runs."""
    return EXECUTION_GAS + ORIGIN_GAS * (1 + advances) + BATCH_BYTE_GAS * len(batch)


def force_gas(advances: int) -> int:
    """Bound what `forceEmpty` uses once it runs."""
    return EXECUTION_GAS + ORIGIN_GAS * (1 + advances)


def anchor_gas(headers: int) -> int:
    """Bound what `anchorHeaders` uses once it runs."""
    return EXECUTION_GAS + HEADER_GAS * headers
