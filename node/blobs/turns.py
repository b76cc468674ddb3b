"""Whose blobs are checked next: one list at a time, for others have use for the cores.

    turn(lane) -> waits in its lane -> its turn -> the check -> the next: what a block waits for first, users and peers alternately

A block without its blobs is not voted for, so nothing that users or peers send may stand before them; and neither of those two keeps the
other waiting for more than one check. Each lane is bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final

import trio

from node.errors import Temporary


class Lane(Enum):
    """Who waits for a check."""

    BLOCKS = "blocks"
    """Blobs that blocks wait for."""
    USERS = "users"
    """Transactions of this node's users."""
    PEERS = "peers"
    """Transactions that peers announced."""


WAITING_MAX: Final = {Lane.BLOCKS: 24, Lane.USERS: 8, Lane.PEERS: 8}
"""Lists that wait in each lane or are checked, of 0.8 MB at most; more are turned away. Blocks': all requests for them
(node.sync), peers': all fetches (node.txpool)."""


class KeeperBusy(Temporary):
    """Too many blobs wait to be checked."""


class Turns:
    """The queue in front of the checker."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, dict[object, None]] = {lane: {} for lane in Lane}
        self._is_taken = False
        self._last = Lane.PEERS
        """Of the two that alternate, whose turn was the last."""
        self._changed = trio.Event()

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises KeeperBusy."""
        waiting = self._waiting[lane]
        if len(waiting) >= WAITING_MAX[lane]:
            raise KeeperBusy
        ticket = object()
        waiting[ticket] = None
        is_mine = False
        try:
            while self._is_taken or self._next() is not ticket:
                await self._changed.wait()
            self._is_taken = is_mine = True
            if lane is not Lane.BLOCKS:
                self._last = lane
            yield
        finally:
            if is_mine:
                self._is_taken = False
            del waiting[ticket]
            self._changed.set()
            self._changed = trio.Event()

    def _next(self) -> object:
        """The ticket whose turn it is."""
        alternating = (
            (Lane.PEERS, Lane.USERS) if self._last is Lane.USERS else (Lane.USERS, Lane.PEERS)
        )
        for lane in (Lane.BLOCKS, *alternating):
            if self._waiting[lane]:
                return next(iter(self._waiting[lane]))
        return None
