"""What the chain tells those who follow it.

    Chain -> Events.send -> one bounded channel for each subscriber -> rpc, txpool, validator, sync

How events travel, and what becomes of a subscriber that does not keep up: `node.runtime.events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.consensus.containers import Checkpoint, Evidence
from node.eth.blocks import Block
from node.eth.primitives import Hash32, Slot
from node.runtime import events as runtime
from node.storage.chain_database import Conflict

EVENTS_MAX: Final = 256
"""Events that may wait for one subscriber: minutes of an idle chain, a long reorganisation of a busy one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockImported:
    """A block was verified and saved; it need not be the head."""

    block: Block
    """The block."""
    slot: Slot
    """Its slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChanged:
    """The fork choice answers with another block."""

    head: Block
    """The new head."""
    added: Sequence[Block]
    """Blocks that became canonical, ascending; the last is the head unless the head only went back."""
    dropped: Sequence[Block]
    """Blocks that stopped being canonical, descending from the old head; empty without a reorganisation.

    Both are read as they are gone through: after a long partition they do not fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """The finalized block moved forward."""

    block: Block
    """The finalized block."""
    checkpoint: Checkpoint
    """Its checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksWanted:
    """Blocks that something refers to are not here; `Chain.wanted` names them."""

    roots: tuple[Hash32, ...]
    """Their hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsWanted:
    """A block waits for blobs that are not here; `Chain.wanted_blobs` names them."""

    block_hash: Hash32
    """The block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFound:
    """A validator was caught breaking a rule, for the first time."""

    evidence: Evidence
    """The proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFaultSeen:
    """Two checkpoints that exclude each other have both been made final or justified."""

    conflict: Conflict
    """Which ones."""


ChainEvent: TypeAlias = (
    BlockImported
    | HeadChanged
    | Finalized
    | BlocksWanted
    | BlobsWanted
    | EvidenceFound
    | SafetyFaultSeen
)

Subscription: TypeAlias = runtime.Subscription[ChainEvent]
"""One subscriber's queue."""

Events: TypeAlias = runtime.Events[ChainEvent]
"""Sends every event to every subscriber."""
