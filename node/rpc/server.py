r"""The JSON-RPC server: HTTP and WebSocket on one port.

    listener -> Server -> HttpConnection <-> Reactor
                                     \-> (Upgrade: websocket) -> WebSocket

Time limits cost nothing on the short path: each connection notes when it is due, and one task looks at all of them once a
second and ends what is late.
What bounds it: connections, the head and body of a request, the bytes of requests and of answers that all connections hold
together, pipelined requests by the size of one read, and the time to send a request, to take an answer and to be idle.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

import structlog
import trio

from node.rpc.connection import HttpConnection, Surroundings
from node.rpc.dispatch import Dispatcher
from node.rpc.http import Budget, Policy, Refused, refusal_response
from node.rpc.limits import ServerLimits
from node.rpc.owed import Flusher
from node.rpc.reactor import Reactor
from node.rpc.untaken import Untaken
from node.rpc.websocket import WebSocket, WebSocketHooks

SWEEP_EVERY_S: Final = 1.0
"""How often late connections are looked for."""

BACKLOG: Final = 1_024
"""Connections the kernel holds until they are accepted."""


class Server:
    """Serves one method table on one port."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        policy: Policy,
        on_session_closed: Callable[[WebSocket], None],
        limits: ServerLimits | None = None,
    ) -> None:
        self.dispatcher: Final = dispatcher
        """Answers calls."""
        self.policy: Final = policy
        """Which hosts and origins are served."""
        self.limits: Final = limits if limits is not None else ServerLimits()
        """Bounds."""
        self.budget: Final = Budget(limit=self.limits.request_bytes_max)
        """What is held of requests."""
        self.untaken: Final = Untaken(limit=self.limits.answer_bytes_max)
        """What is held of answers."""
        self.hooks: Final = WebSocketHooks(
            dispatcher=dispatcher,
            on_close=on_session_closed,
            budget=self.budget,
            untaken=self.untaken,
        )
        """What WebSockets need."""
        self._open: dict[HttpConnection | WebSocket, None] = {}
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def connections(self) -> tuple[int, int]:
        """How many HTTP and WebSocket connections are open."""
        websockets = sum(isinstance(one, WebSocket) for one in self._open)
        return len(self._open) - websockets, websockets

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; reports the port that is bound. Raises OSError when it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family, backlog=BACKLOG) as listener:
            listener.setblocking(False)
            bound: tuple[str, int] = listener.getsockname()[:2]
            try:
                async with trio.open_nursery() as nursery:
                    reactor = Reactor()
                    nursery.start_soon(reactor.run)
                    flusher = Flusher()
                    nursery.start_soon(flusher.run)
                    nursery.start_soon(self._sweep)
                    task_status.started(bound[1])
                    self._log.info("rpc_listening", host=host, port=bound[1])
                    await self._accept(listener, Surroundings(self, reactor, flusher, nursery))
            finally:
                for connection in tuple(self._open):
                    connection.close()

    async def _accept(self, listener: socket.socket, around: Surroundings) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                self._log.warning("rpc_connection_refused", reason=error.strerror)
                await trio.sleep(SWEEP_EVERY_S)  # until some connection ends
                continue
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if len(self._open) >= self.limits.connections_max:
                with connection, contextlib.suppress(OSError):
                    connection.send(refusal_response(Refused(503, "too many connections")))
            else:
                HttpConnection(connection, around)

    def opened(self, connection: HttpConnection | WebSocket) -> None:
        """A connection began, or became a WebSocket."""
        self._open[connection] = None

    def closed(self, connection: HttpConnection | WebSocket) -> None:
        """A connection ended, or became a WebSocket."""
        self._open.pop(connection, None)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP_EVERY_S)
            now = trio.current_time()
            for connection in tuple(self._open):
                connection.tick(now)


def is_loopback(host: str) -> bool:
    """Whether an address to bind reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
