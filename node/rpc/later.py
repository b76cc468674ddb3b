"""A value that comes later, without a task that waits for it.

    handler -> Later -> Dispatcher -> Later -> connection, batch, WebSocket
    intake  -> settle -----^-----------^------------^

A task, its wake-up and its switch cost more than the rest of a short call; a function that is called when the value is there
costs a tenth of it. Whoever has a task anyway awaits `wait`.
Deliberately absent: threads, cancelling, more than one listener.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import trio

Value = TypeVar("Value")


class _Unset:
    """Stands for the value that is not there yet."""


_UNSET: Final = _Unset()


class Later(Generic[Value]):
    """A value that is settled once."""

    __slots__ = ("_listener", "_value")

    def __init__(self) -> None:
        self._value: Value | _Unset = _UNSET
        self._listener: Callable[[Value], None] | None = None

    @property
    def settled(self) -> bool:
        """Whether the value is there."""
        return self._value is not _UNSET

    @property
    def value(self) -> Value:
        """The value, which must be there."""
        assert not isinstance(self._value, _Unset), "not settled yet"
        return self._value

    def settle(self, value: Value) -> None:
        """Give the value to the listener; only the first time counts, for a time limit may have come before it."""
        if self._value is not _UNSET:
            return
        self._value = value
        if self._listener is not None:
            self._listener(value)

    def then(self, listener: Callable[[Value], None]) -> None:
        """Call the one listener with the value: now if it is there, else when it is settled."""
        assert self._listener is None, "there is one listener"
        self._listener = listener
        if not isinstance(self._value, _Unset):
            listener(self._value)

    async def wait(self) -> Value:
        """Wait for the value, as its one listener."""
        if isinstance(self._value, _Unset):
            arrived = trio.Event()
            self.then(lambda _: arrived.set())
            await arrived.wait()
        return self.value
