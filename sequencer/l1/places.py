"""Names of places on L1: a block, a record, and what the Inbox stands at on a block. PURE.

    L1View -> Found -> deriving -> InboxAt -> batching, forcing: what the next record must connect to

Deliberately absent: reading the contract's storage. Its records say the same, and whoever derives reads them anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.eth.primitives import Hash32
from node.rollup.records import InboxTip, LoggedRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class L1Ref:
    """An L1 block by name."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record on L1."""

    logged: LoggedRecord
    """As the Inbox logged it."""
    block: L1Ref
    """The L1 block that holds it."""
    log_index: int
    """Counts the logs of that block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxAt:
    """The Inbox after all records up to an L1 block, all of which have been derived."""

    block: L1Ref
    """The last L1 block that was read."""
    tip: InboxTip
    """What the next record connects to."""
