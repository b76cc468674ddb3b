"""Many sockets, one waiting task: what makes a short request cheap.

    kernel -> selector -> Reactor.run -> handler of each readable socket, in place

A trio task for each connection costs a registration, a wake-up and a switch for every request: a third of what a short call
costs altogether. Here trio waits for the selector itself, and each readable socket costs a function call.
Handlers are plain functions that read once and return; whoever needs to wait removes its socket, works in a task of its own
and adds the socket again.
Deliberately absent: writing and time limits.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from typing import Final, NoReturn

import trio

SLICE_S: Final = 0.002
"""The reactor gives way to other tasks after so long, however many sockets are readable."""


class Reactor:
    """Calls a handler whenever a socket is readable."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._handlers: dict[socket.socket, Callable[[], None]] = {}

    def add(self, connection: socket.socket, handler: Callable[[], None]) -> None:
        """Call the handler whenever this socket can be read without blocking."""
        self._selector.register(connection, selectors.EVENT_READ, handler)
        self._handlers[connection] = handler

    def remove(self, connection: socket.socket) -> None:
        """Call it no more; before the socket is closed."""
        if self._handlers.pop(connection, None) is not None:
            self._selector.unregister(connection)

    async def run(self) -> NoReturn:
        """Wait and call, for ever."""
        select, handlers = self._selector.select, self._handlers
        with self._selector, contextlib.ExitStack() as ending:
            ending.callback(handlers.clear)
            descriptor = self._selector.fileno()
            while True:
                await trio.lowlevel.wait_readable(descriptor)
                slice_end = time.perf_counter() + SLICE_S
                for key, _ in select(0):
                    handler = key.data
                    # One that came before it, or a task meanwhile, may have removed it.
                    if handlers.get(key.fileobj) is handler:  # type: ignore[call-overload]
                        handler()
                    if time.perf_counter() > slice_end:
                        await trio.lowlevel.checkpoint()
                        slice_end = time.perf_counter() + SLICE_S
