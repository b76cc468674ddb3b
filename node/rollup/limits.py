"""How much a record, a block or an L1 block's deposits may hold, and why.

Part of the protocol: contracts, nodes and STEP must agree on them. Not configurable; what is stands in `parameters`.
"""

from __future__ import annotations

from typing import Final

MAX_RECORD_BLOCKS: Final = 512
"""Blocks of one record: bounds what one L1 transaction makes every node derive."""

MAX_RECORD_ADVANCES: Final = 256
"""Origins that one record reaches: the Inbox reads a hash for each."""

MAX_DEPOSITS: Final = 16
"""User deposits of one L1 block: each touches witness that nothing else pays for."""

MAX_DEPOSITS_GAS: Final = 3_000_000
"""L2 gas of one L1 block's user deposits: with the attributes deposit it fits every block."""

MAX_DEPOSITS_DATA_BYTES: Final = 32_768
"""Calldata of one L1 block's user deposits: STEP carries it."""

MAX_DEPOSITS_REQUEST_BYTES: Final = 65_536
"""Bytes of an L1 block's deposit request: MAX_DEPOSITS logs with all their data have under 45,000."""

ATTRIBUTES_GAS: Final = 1_000_000
"""Gas limit of an attributes deposit (OP Stack, Regolith)."""

MAX_UNSAFE_BLOCKS: Final = 512
"""Blocks of one message of unsafe blocks: as many as a record may have."""

MAX_UNSAFE_BYTES: Final = 1 << 20
"""Bytes of one message of unsafe blocks, signature included."""

MAX_UINT64: Final = (1 << 64) - 1
"""Largest number and timestamp of a block."""
