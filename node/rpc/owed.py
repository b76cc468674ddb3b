"""Answers that come later: kept in the order of their requests, sent together when they are settled together.

    HttpConnection -> Owing.add ... (settled) -> Flusher.soon -> HttpConnection.flush -> Owing.take_settled -> one write

A sealed block settles many sends of one connection one after the other; the flusher's turn comes when all of them are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import trio

from node.rpc.http import RequestHead

JOIN_BYTES: Final = 1 << 20
"""Answers are sent once they reach this length together."""


@dataclass(slots=True, eq=False)
class Owed:
    """An answer that comes later."""

    head: RequestHead
    """Of its request."""
    text: bytes | None = None
    """The response, once it is settled."""


class Owing:
    """What one connection owes, in the order of the requests."""

    def __init__(self) -> None:
        self._queue: deque[Owed] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def first(self) -> Owed | None:
        """The next one to be sent."""
        return self._queue[0] if self._queue else None

    @property
    def is_due(self) -> bool:
        """Whether the next one is settled."""
        return bool(self._queue) and self._queue[0].text is not None

    def add(self, owed: Owed) -> None:
        """One more, behind the others."""
        self._queue.append(owed)

    def clear(self) -> None:
        """Owe nothing any more."""
        self._queue.clear()

    def take_settled(self) -> bytes:
        """Take the settled ones, up to the first that is not; about `JOIN_BYTES` of them."""
        parts: list[bytes] = []
        size = 0
        while self._queue and size < JOIN_BYTES:
            text = self._queue[0].text
            if text is None:
                break
            self._queue.popleft()
            parts.append(text)
            size += len(text)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Debtor(Protocol):
    """A connection that owes answers."""

    def flush(self) -> None:
        """Send what is owed and settled."""


class Flusher:
    """Sends what several answers of a connection have become, once everybody who settles them is done."""

    def __init__(self) -> None:
        self._due: dict[Debtor, None] = {}
        self._wake = trio.Event()

    def soon(self, debtor: Debtor) -> None:
        """Have it flushed in the scheduler's next turn."""
        if not self._due:
            self._wake.set()
        self._due[debtor] = None

    async def run(self) -> NoReturn:
        """Flush until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            due, self._due = self._due, {}
            for debtor in due:
                debtor.flush()
