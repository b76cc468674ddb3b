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


class StepReason(StrEnum):
    """Why a STEP's input proves nothing. L1 hands the name to the caller: part of the protocol."""

    MALFORMED = "step_malformed"
    """Not ten words and a list of six byte strings and two lists of them, encoded as RLP has it, within the bounds."""
    CONFIG = "step_config"
    """Other rules than this L1's rollup has."""
    RECORD = "step_record"
    """A record that no Inbox keeps."""
    NUMBER = "step_number"
    """A block that is none of the record's."""
    PARENT = "step_parent"
    """Not the header before the block: another output, another number, or none that this rollup makes."""
    BATCH = "step_batch"
    """Other bytes than the record names."""
    ORIGIN = "step_origin"
    """Other L1 blocks than the record names, or a header that is not the block's origin's."""
    REQUESTS = "step_requests"
    """Not the origin's requests, or not the last of them in full."""
    INSUFFICIENT = "step_insufficient"
    """Nodes or codes that the block reads are not there, or what is there is none."""
