"""A value that one task sets and others wait to see change.

    L1View, Deriver -> Latest.set -> whoever awaits `past`

Only the newest value is kept: who was busy misses what came between, and looks at the chain itself anyway.
Deliberately absent: queues and history.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """The newest value, and a number that grows with every change."""

    def __init__(self, value: Value) -> None:
        self._value = value
        self._version = 0
        self._changed = trio.Event()

    @property
    def value(self) -> Value:
        """The newest value."""
        return self._value

    @property
    def version(self) -> int:
        """How often it was set."""
        return self._version

    def set(self, value: Value) -> None:
        """Replace the value and wake everybody who waits."""
        self._value = value
        self._version += 1
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def past(self, version: int) -> int:
        """Wait until the value was set more often than this; gives how often."""
        while self._version <= version:
            await self._changed.wait()
        return self._version
