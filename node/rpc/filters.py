"""Filters that are polled: what happened since the caller last asked.

    head_changed, pending_arrived -> Filters -> (a bounded queue for each filter) -> eth_getFilterChanges

A filter nobody polls for five minutes is dropped, as in geth, and so is one whose queue is full. There are at most so many, and the
one that was polled longest ago gives way to a new one; where all of them name too much, or all queues together are too large,
whoever names or holds most goes. What happened is held once, however many filters share it, and counted once.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import orjson

from node.eth.blocks import Block
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.logs import Criteria

FILTERS_MAX: Final = 1_024
"""Filters of all callers together."""

CHANGES_MAX: Final = 20_000
"""Changes that may wait in one filter."""

WAITING_BYTES_MAX: Final = 64 << 20
"""Bytes of all changes that wait, for whoever: a block's logs alone may have 30 MiB, once for each criteria."""

ITEMS_MAX: Final = 65_536
"""Addresses and topics of all filters together: with their bloom masks some 30 MiB."""

IDLE_MAX_S: Final = 300.0
"""A filter is dropped when it was not polled for so long."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """Something that happened, shared by the filters that collect it."""

    changes: Sequence[object]
    """JSON."""
    held_bytes: int
    """Length of that."""
    holders: int = 0
    """Filters in which it waits."""


class FilterKind(Enum):
    """What a filter collects."""

    BLOCKS = auto()
    """Hashes of new blocks of the head's chain."""
    TRANSACTIONS = auto()
    """Waiting transactions, as they arrive."""
    LOGS = auto()
    """Matching logs, and those taken back by a reorganisation."""


@dataclass(slots=True, kw_only=True)
class Filter:
    """One filter."""

    kind: FilterKind
    """What it collects."""
    criteria: Criteria | None = None
    """Which logs."""
    full: bool = False
    """Whether whole transactions are collected, not only their hashes."""
    polled_at: float
    """When it was asked last; trio's time."""
    batches: list[Batch] = field(default_factory=list)
    """What happened since then."""
    waiting: int = 0
    """Changes in them."""
    held_bytes: int = 0
    """Their bytes, whoever else holds them."""

    @property
    def items(self) -> int:
        """Addresses and topics that it names."""
        return 0 if self.criteria is None else self.criteria.items


def new_identity() -> str:
    """An id that nobody guesses; 16 bytes, a quantity."""
    return hex(secrets.randbits(128))


class Filters:
    """All filters of one server."""

    def __init__(
        self, *, now: Callable[[], float], identify: Callable[[], str] = new_identity
    ) -> None:
        """`now` tells seconds since any moment."""
        self._now = now
        self._identify = identify
        self._filters: OrderedDict[str, Filter] = OrderedDict()
        self._items = 0
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._filters)

    def install(
        self, kind: FilterKind, *, criteria: Criteria | None = None, full: bool = False
    ) -> str:
        """Start collecting; gives the filter's id."""
        self._drop_idle()
        new = Filter(kind=kind, criteria=criteria, full=full, polled_at=self._now())
        while len(self._filters) >= FILTERS_MAX:
            self._drop(next(iter(self._filters)))
        while self._items and self._items + new.items > ITEMS_MAX:
            self._drop(max(self._filters, key=lambda name: self._filters[name].items))
        identity = self._identify()
        self._filters[identity] = new
        self._items += new.items
        return identity

    def uninstall(self, identity: str) -> bool:
        """Stop collecting; whether there was such a filter."""
        if identity not in self._filters:
            return False
        self._drop(identity)
        return True

    def find(self, identity: str) -> Filter:
        """A filter, which counts as polled. Raises RpcError."""
        self._drop_idle()
        found = self._filters.get(identity)
        if found is None:
            raise RpcError(SERVER_ERROR, "filter not found")
        found.polled_at = self._now()
        self._filters.move_to_end(identity)
        return found

    def changes(self, identity: str) -> list[object]:
        """What happened since the last time. Raises RpcError."""
        found = self.find(identity)
        changes = [change for batch in found.batches for change in batch.changes]
        self._release(found)
        return changes

    def criteria(self) -> set[Criteria]:
        """Criteria of all log filters."""
        return {one.criteria for one in self._filters.values() if one.criteria is not None}

    # -- what happens

    def blocks_added(self, blocks: Sequence[Block]) -> None:
        """New blocks of the head's chain, ascending."""
        hashes = ["0x" + block.hash.hex() for block in blocks]
        held = sum(map(len, hashes))
        batch = Batch(changes=hashes, held_bytes=held)
        self._collect(FilterKind.BLOCKS, lambda _: batch)

    def logs_matched(self, criteria: Criteria, logs: Sequence[bytes]) -> None:
        """Logs of a new block, or of one that was dropped, JSON objects."""
        fragments: list[object] = [orjson.Fragment(log) for log in logs]
        matched = Batch(changes=fragments, held_bytes=sum(map(len, logs)))
        self._collect(FilterKind.LOGS, lambda one: matched if one.criteria == criteria else None)

    def transactions_arrived(self, hashes: Sequence[str], bodies: Sequence[bytes]) -> None:
        """Waiting transactions: hashes, and JSON objects if anybody wants them (`wants_bodies`)."""
        fragments: list[object] = [orjson.Fragment(body) for body in bodies]
        whole = Batch(changes=fragments, held_bytes=sum(map(len, bodies)))
        named = Batch(changes=hashes, held_bytes=sum(map(len, hashes)))
        self._collect(FilterKind.TRANSACTIONS, lambda one: whole if one.full else named)

    def drop_all_but_transactions(self) -> None:
        """Blocks or logs were missed: who polls for them is told that the filter is gone."""
        for identity, one in list(self._filters.items()):
            if one.kind is not FilterKind.TRANSACTIONS:
                self._drop(identity)

    def wants_hashes(self) -> bool:
        """Whether some filter collects hashes of transactions."""
        return any(
            one.kind is FilterKind.TRANSACTIONS and not one.full for one in self._filters.values()
        )

    def wants_bodies(self) -> bool:
        """Whether some filter collects whole transactions."""
        return any(one.full for one in self._filters.values())

    def _collect(self, kind: FilterKind, batch_for: Callable[[Filter], Batch | None]) -> None:
        self._drop_idle()
        for identity, one in list(self._filters.items()):
            batch = batch_for(one) if one.kind is kind else None
            if batch is None or not batch.changes:
                continue
            if one.waiting + len(batch.changes) > CHANGES_MAX:
                self._drop(identity)
            else:
                self._hold(one, batch)
        if self._held_bytes > WAITING_BYTES_MAX:
            self._drop_greatest()

    def _hold(self, one: Filter, batch: Batch) -> None:
        one.batches.append(batch)
        one.waiting += len(batch.changes)
        one.held_bytes += batch.held_bytes
        if not batch.holders:
            self._held_bytes += batch.held_bytes
        batch.holders += 1

    def _release(self, one: Filter) -> None:
        for batch in one.batches:
            batch.holders -= 1
            if not batch.holders:
                self._held_bytes -= batch.held_bytes
        one.batches, one.waiting, one.held_bytes = [], 0, 0

    def _drop_greatest(self) -> None:
        """Make room; who holds the same as others goes with them, for only the last of them frees anything."""
        held = {identity: one.held_bytes for identity, one in self._filters.items()}
        for identity in sorted(held, key=held.__getitem__, reverse=True):
            if self._held_bytes <= WAITING_BYTES_MAX:
                return
            self._drop(identity)

    def _drop(self, identity: str) -> None:
        gone = self._filters.pop(identity)
        self._items -= gone.items
        self._release(gone)

    def _drop_idle(self) -> None:
        """The order is that of polling, so the idle ones come first."""
        oldest_allowed = self._now() - IDLE_MAX_S
        while self._filters:
            identity, one = next(iter(self._filters.items()))
            if one.polled_at >= oldest_allowed:
                return
            self._drop(identity)
