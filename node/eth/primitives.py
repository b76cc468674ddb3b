"""The sized types that cross every boundary of the node."""

from __future__ import annotations

from typing import NewType

Hash32 = NewType("Hash32", bytes)
"""32 bytes: a keccak-256 digest or another 32-byte word, big-endian."""

Address = NewType("Address", bytes)
"""20 bytes."""

Slot = NewType("Slot", int)
"""Number of a slot since genesis time; a slot may hold no block."""

Epoch = NewType("Epoch", int)
"""Number of an epoch: `slot // slots_per_epoch`."""

BlockNumber = NewType("BlockNumber", int)
"""Number of blocks below this one in its chain."""

ValidatorIndex = NewType("ValidatorIndex", int)
"""Place in the validator registry; never reused."""

Gwei = NewType("Gwei", int)
"""10^-9 ETH."""

ZERO_HASH = Hash32(bytes(32))
"""The all-zero word."""

ZERO_ADDRESS = Address(bytes(20))
"""The all-zero address."""
