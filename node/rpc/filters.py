"""Filters that are polled: what happened since the caller last asked.

    head_changed, pending_arrived -> Filters -> (a bounded queue for each filter) -> eth_getFilterChanges

A filter nobody polls for five minutes is dropped, as in geth, and so is one whose queue is full. There are at most so many, and the
one that was polled longest ago gives way to a new one.
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

IDLE_MAX_S: Final = 300.0
"""A filter is dropped when it was not polled for so long."""


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
    changes: list[object] = field(default_factory=list)
    """What happened since then, JSON."""


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

    def __len__(self) -> int:
        return len(self._filters)

    def install(
        self, kind: FilterKind, *, criteria: Criteria | None = None, full: bool = False
    ) -> str:
        """Start collecting; gives the filter's id."""
        self._drop_idle()
        while len(self._filters) >= FILTERS_MAX:
            self._filters.popitem(last=False)
        identity = self._identify()
        self._filters[identity] = Filter(
            kind=kind, criteria=criteria, full=full, polled_at=self._now()
        )
        return identity

    def uninstall(self, identity: str) -> bool:
        """Stop collecting; whether there was such a filter."""
        return self._filters.pop(identity, None) is not None

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
        changes, found.changes = found.changes, []
        return changes

    def criteria(self) -> set[Criteria]:
        """Criteria of all log filters."""
        return {one.criteria for one in self._filters.values() if one.criteria is not None}

    # -- what happens

    def blocks_added(self, blocks: Sequence[Block]) -> None:
        """New blocks of the head's chain, ascending."""
        hashes = ["0x" + block.hash.hex() for block in blocks]
        self._collect(FilterKind.BLOCKS, lambda _: hashes)

    def logs_matched(self, criteria: Criteria, logs: Sequence[bytes]) -> None:
        """Logs of a new block, or of one that was dropped, JSON objects."""
        fragments: list[object] = [orjson.Fragment(log) for log in logs]
        self._collect(FilterKind.LOGS, lambda one: fragments if one.criteria == criteria else ())

    def transactions_arrived(self, hashes: Sequence[str], bodies: Sequence[bytes]) -> None:
        """Waiting transactions: hashes, and JSON objects if anybody wants them (`wants_bodies`)."""
        fragments: list[object] = [orjson.Fragment(body) for body in bodies]
        self._collect(FilterKind.TRANSACTIONS, lambda one: fragments if one.full else hashes)

    def drop_all_but_transactions(self) -> None:
        """Blocks or logs were missed: who polls for them is told that the filter is gone."""
        for identity, one in list(self._filters.items()):
            if one.kind is not FilterKind.TRANSACTIONS:
                del self._filters[identity]

    def wants_hashes(self) -> bool:
        """Whether some filter collects hashes of transactions."""
        return any(
            one.kind is FilterKind.TRANSACTIONS and not one.full for one in self._filters.values()
        )

    def wants_bodies(self) -> bool:
        """Whether some filter collects whole transactions."""
        return any(one.full for one in self._filters.values())

    def _collect(self, kind: FilterKind, changes_for: Callable[[Filter], Sequence[object]]) -> None:
        self._drop_idle()
        for identity, one in list(self._filters.items()):
            if one.kind is not kind:
                continue
            changes = changes_for(one)
            if len(one.changes) + len(changes) > CHANGES_MAX:
                del self._filters[identity]
            else:
                one.changes.extend(changes)

    def _drop_idle(self) -> None:
        """The order is that of polling, so the idle ones come first."""
        oldest_allowed = self._now() - IDLE_MAX_S
        while self._filters:
            identity, one = next(iter(self._filters.items()))
            if one.polled_at >= oldest_allowed:
                return
            del self._filters[identity]
