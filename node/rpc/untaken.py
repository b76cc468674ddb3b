"""Answers that clients have not taken: bytes in memory, with one bound for all connections.

    HttpConnection, WebSocket -> hold | release -> Untaken -> (too much) -> the one that holds most is ended

Each connection has bounds of its own, but a thousand of them multiply. Ending whoever holds most costs one client that does not
read, or reads slowly, its answer; refusing the next one instead would let such a client shut out all others.
"""

from __future__ import annotations

from typing import Final, Protocol


class Holder(Protocol):
    """A connection whose client has not taken all it was sent."""

    def cut_off(self) -> None:
        """End the connection without a word."""


class Untaken:
    """What all connections of a server hold for their clients."""

    def __init__(self, *, limit: int) -> None:
        """`limit`: bytes."""
        self.limit: Final = limit
        """Most bytes."""
        self.used = 0
        """Bytes held now."""
        self._held: dict[Holder, int] = {}

    def hold(self, holder: Holder, size: int) -> None:
        """So many more bytes wait for a client; the one that holds most is ended when all together are too many."""
        self._held[holder] = self._held.get(holder, 0) + size
        self.used += size
        while self.used > self.limit:
            most = max(self._held, key=self._held.__getitem__)
            self.let_go(most)
            most.cut_off()

    def release(self, holder: Holder, size: int) -> None:
        """So many bytes were taken; nothing is known any more of a holder that was ended."""
        held = self._held.get(holder)
        if held is None:
            return
        taken = min(size, held)
        self.used -= taken
        if taken < held:
            self._held[holder] = held - taken
        else:
            del self._held[holder]

    def let_go(self, holder: Holder) -> None:
        """A connection has ended with all it held."""
        self.used -= self._held.pop(holder, 0)
