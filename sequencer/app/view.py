"""What JSON-RPC asks of an L2 node beside its blocks (`node.rpc.backend.RollupView`).

    L2Chain.batch_of -> RecordBook.placed -> the L1 block -> the log's transaction

Deliberately absent: rendering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import orjson

from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.rollup.records import RECORD_APPENDED
from sequencer.deriving.book import RecordBook
from sequencer.heads import L2Chain
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View, LogRendering


@dataclass(frozen=True, slots=True, kw_only=True)
class L1HeadsNow:
    """How this node sees L1, from one moment."""

    current: Header
    """The L1 block up to which records have been derived."""
    head: Header
    """L1's head."""
    safe: Header
    """L1's justified block."""
    finalized: Header
    """L1's last final block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """Where L1 holds the data of an L2 block."""

    record_index: int
    """Index of the Inbox record, from 0."""
    transaction_hash: Hash32
    """The L1 transaction that appended it."""
    l1_number: int
    """Number of the L1 block that holds it."""
    l1_hash: Hash32
    """Hash of the L1 block that holds it."""


class Deriving(Protocol):
    """What of the deriver is told."""

    @property
    def current(self) -> L1Ref:
        """The L1 block up to which records have been derived."""

    @property
    def book(self) -> RecordBook:
        """Records that were derived."""


class RollupAtNode:
    """One process's view of how its L2 follows from L1."""

    def __init__(
        self,
        *,
        chain: L2Chain,
        l1: L1View,
        deriver: Deriving,
        l1_engine: LogRendering,
        inbox: Address,
    ) -> None:
        self._chain = chain
        self._l1 = l1
        self._deriver = deriver
        self._l1_engine = l1_engine
        self._inbox = inbox

    @property
    def l1(self) -> L1HeadsNow:
        """How this node sees L1 now, all four from one moment."""
        chain = self._l1.chain
        current = self._l1.header(self._deriver.current.hash)
        return L1HeadsNow(
            current=chain.finalized.header if current is None else current,
            head=chain.head.header,
            safe=chain.safe.header,
            finalized=chain.finalized.header,
        )

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a kept L2 block; genesis has L1's genesis."""
        return self._chain.origin_of(block_hash)

    def batch_of(self, number: int) -> BatchPlace | None:
        """Where L1 holds an L2 block; None while it is unsafe, and for genesis."""
        index = self._chain.batch_of(number)
        if index is None or index >= self._deriver.book.count:
            return None  # The book is written a moment after the heads move.
        placed = self._deriver.book.placed(index)
        transaction_hash = self._transaction_of(placed.block, placed.log_index)
        if transaction_hash is None:
            return None
        return BatchPlace(
            record_index=index,
            transaction_hash=transaction_hash,
            l1_number=placed.block.number,
            l1_hash=placed.block.hash,
        )

    def _transaction_of(self, place: L1Ref, log_index: int) -> Hash32 | None:
        block = self._l1.chain.block_by_hash(place.hash)
        if block is None:
            return None
        logs = self._l1_engine.logs_json(
            [(block.rlp, block.receipts)], [self._inbox], [[RECORD_APPENDED]]
        )
        for log in map(orjson.loads, logs):
            if int(log["logIndex"], 16) == log_index:
                return Hash32(bytes.fromhex(log["transactionHash"][2:]))
        return None
