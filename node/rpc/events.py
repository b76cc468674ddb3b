"""What has happened, on its way to those who wait for it.

    head_changed -> HeadSignal (those who wait for the next head)
                 -> HeadQueue -> Hub (subscriptions, filters)

Whoever moves the chain is never held up here: searching logs for subscribers waits in the queue. When more blocks wait in it
than may, those who would miss some are told so by being cut off: a gap is never silent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn

import trio

from node.eth.blocks import Block

WAITING_BLOCKS_MAX: Final = 64
"""Blocks of head changes that may wait: two minutes of slots. A single longer change is taken when nothing else waits."""

JOINED_BLOCKS_MAX: Final = 64
"""Added blocks that are told together when they have waited together."""

Told = Callable[[Sequence[Block], Sequence[Block]], Awaitable[None]]
"""Told of blocks that were added, ascending, and dropped, from the old head down."""


class HeadSignal:
    """Wakes everybody who waits for the head to change."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def next_head(self) -> trio.Event:
        """Set when the head changes the next time; take it before looking at the head."""
        return self._event

    def head_changed(self) -> None:
        """The head has changed."""
        self._event.set()
        self._event = trio.Event()


class HeadQueue:
    """Changes of the head that were not told yet, in order."""

    def __init__(
        self,
        tell: Told,
        lapse: Callable[[], None],
        *,
        waiting_blocks_max: int = WAITING_BLOCKS_MAX,
        apart_s: float = 0.0,
    ) -> None:
        """`tell` is awaited for each change; `lapse` is called when changes are given up.

        `apart_s`: changes that follow each other more quickly than this are told together.
        """
        self._tell: Final = tell
        self._lapse: Final = lapse
        self._waiting_blocks_max: Final = waiting_blocks_max
        self._apart_s: Final = apart_s
        self._changes: deque[tuple[Sequence[Block], Sequence[Block]]] = deque()
        self._blocks = 0
        self._wake = trio.Event()

    def __len__(self) -> int:
        return len(self._changes)

    def put(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """Tell of a change soon; never waits."""
        count = len(added) + len(dropped)
        if self._changes and self._blocks + count > self._waiting_blocks_max:
            self._changes.clear()
            self._blocks = 0
            self._lapse()
        self._changes.append((added, dropped))
        self._blocks += count
        self._wake.set()

    async def run(self) -> NoReturn:
        """Tell until cancelled."""
        while True:
            if not self._changes:
                self._wake = trio.Event()
                await self._wake.wait()
            added, dropped = self._changes.popleft()
            added = list(added)
            while self._changes and len(added) < JOINED_BLOCKS_MAX and not self._changes[0][1]:
                added += self._changes.popleft()[0]
            self._blocks -= len(added) + len(dropped)
            await self._tell(added, dropped)
            if self._apart_s:
                await trio.sleep(self._apart_s)
