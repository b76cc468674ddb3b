"""Every way in which what a peer or a genesis file says of the L2 is refused.

Records, batches and deposits have no reasons: they come from L1, and the rules say what *any* of them yields.
"""

from __future__ import annotations

from enum import StrEnum


class RollupReason(StrEnum):
    """Why something was rejected; stable, counted and logged."""

    PARAMETERS = "rollup_parameters"
    """The object `rollup` of a genesis file lacks a key, or a key holds what it must not."""
    UNSAFE_EMPTY = "unsafe_empty"
    """A message of unsafe blocks without a block."""
    UNSAFE_NUMBER = "unsafe_number"
    """Block numbers beyond 64 bits, or the genesis block's."""
    UNSAFE_ORIGIN = "unsafe_origin"
    """An origin that is neither the one before it nor the next, or one number with two hashes."""
    UNSAFE_TRANSACTIONS = "unsafe_transactions"
    """More bytes of transactions than a block may hold."""
    UNSAFE_SIGNATURE = "unsafe_signature"
    """Not signed by the sequencer's key."""
