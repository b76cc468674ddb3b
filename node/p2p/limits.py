"""Bounds that several parts share: a token bucket, an allowance that is waited for, and a queue that forgets its oldest.

No producer ever waits for anything that a peer does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import trio

Item = TypeVar("Item")


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """A rate with a burst; `now` is an argument."""

    rate_per_s: float
    """Tokens that come back each second."""
    burst: float
    """Tokens it holds at most, and at first."""
    tokens: float = -1.0
    """Tokens in it; negative before first use."""
    at_s: float = 0.0
    """When `tokens` was true."""

    def take(self, now_s: float, tokens: float = 1.0) -> bool:
        """Take tokens if there are enough."""
        if self.tokens < 0:
            self.tokens = self.burst
        else:
            self.tokens = min(self.burst, self.tokens + (now_s - self.at_s) * self.rate_per_s)
        self.at_s = now_s
        if self.tokens < tokens:
            return False
        self.tokens -= tokens
        return True


STRANGERS_BYTES_PER_S: Final = 16.0 * 1024 * 1024
"""What all strangers together are sent when they ask: a sixth of a core, for encryption; a joiner that syncs wants less."""

STRANGERS_BYTES_BURST_S: Final = 4.0
"""So many seconds' worth at once after a pause."""

ANSWER_BYTES: Final = 1024 * 1024
"""What an answer is taken for until it is known, so that many at once do not pass together."""


class Allowance:
    """What strangers are sent: whoever asks for more waits. Identities are free, so all of them share one."""

    def __init__(self) -> None:
        self._spent_until_s = -float("inf")

    async def wait(self) -> None:
        """Set some of it aside, behind all who came before, and wait until it may be sent; `settle` is to follow."""
        opens_s = self._spent_until_s - STRANGERS_BYTES_BURST_S
        self._charge(ANSWER_BYTES)
        await trio.sleep_until(max(opens_s, trio.current_time()))

    def settle(self, sent: int) -> None:
        """Say how many bytes it was, 0 if it came to nothing."""
        self._charge(sent - ANSWER_BYTES)

    def _charge(self, size: int) -> None:
        begin_s = max(self._spent_until_s, trio.current_time())
        self._spent_until_s = begin_s + size / STRANGERS_BYTES_PER_S


class FreshQueue(Generic[Item]):
    """A queue bounded in items and bytes; when full the oldest items make room, since they are the stalest."""

    def __init__(self, *, items_max: int, bytes_max: int) -> None:
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._arrived = trio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, size: int) -> list[Item]:
        """Append an item of a size in bytes; returns what it pushed out."""
        dropped: list[Item] = []
        while self._items and (
            len(self._items) >= self._items_max or self._bytes + size > self._bytes_max
        ):
            oldest, oldest_size = self._items.popleft()
            self._bytes -= oldest_size
            dropped.append(oldest)
        self._items.append((item, size))
        self._bytes += size
        self._arrived.set()
        return dropped

    def take(self) -> Item | None:
        """The oldest item, or None."""
        if not self._items:
            return None
        item, size = self._items.popleft()
        self._bytes -= size
        return item

    async def wait(self) -> None:
        """Wait until there is an item; for one consumer."""
        while not self._items:
            self._arrived = trio.Event()
            await self._arrived.wait()

    async def get(self) -> Item:
        """The oldest item, once there is one; for one consumer."""
        while True:
            await self.wait()
            item = self.take()
            if item is not None:
                return item
