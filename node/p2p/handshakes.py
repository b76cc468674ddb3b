"""Connections that somebody has begun and nobody knows yet.

    accepted -> one() -> noise, yamux -> a peer          too many -> the oldest is cut off

A socket costs nothing, and who is behind it is known only after the handshake. Whoever says nothing would hold its place for seconds; an
honest handshake takes milliseconds, so the oldest are those that are not meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

HANDSHAKES_MAX: Final = 48
"""Inbound handshakes at once: half of all connections, the other half has its peers."""


class Handshakes:
    """Those of one host."""

    def __init__(self) -> None:
        self._begun: dict[object, trio.CancelScope] = {}

    def __len__(self) -> int:
        return len(self._begun)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Have a place for a handshake, at the cost of the oldest; what is inside is cancelled when the place is lost."""
        while len(self._begun) >= HANDSHAKES_MAX:
            self._begun.pop(next(iter(self._begun))).cancel()
        key, scope = object(), trio.CancelScope()
        self._begun[key] = scope
        try:
            with scope:
                yield
        finally:
            self._begun.pop(key, None)
