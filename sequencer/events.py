"""What the L2's chain tells those who follow it.

    L2Chain -> Events.send -> one bounded channel for each subscriber -> rpc, gossiping, batching

How events travel, and what becomes of a subscriber that does not keep up: `node.runtime.events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.eth.blocks import Block
from node.runtime import events as runtime

EVENTS_MAX: Final = 4_096
"""Events that may wait for one subscriber: twice a full burst of blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChanged:
    """The unsafe head is another block."""

    head: Block
    """The new head."""
    added: Sequence[Block]
    """Blocks that became canonical, ascending; none if the head only went back."""
    dropped: Sequence[Block]
    """Blocks that stopped being canonical, descending from the old head; empty without a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeChanged:
    """The safe head moved, forward or back."""

    block: Block
    """The safe head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizedChanged:
    """The finalized head moved forward."""

    block: Block
    """The finalized head."""


ChainEvent: TypeAlias = HeadChanged | SafeChanged | FinalizedChanged

Subscription: TypeAlias = runtime.Subscription[ChainEvent]
"""One subscriber's queue."""

Events: TypeAlias = runtime.Events[ChainEvent]
"""Sends every event to every subscriber."""
