r"""The JSON-RPC server: HTTP and WebSocket on one port.

    listener -> HttpConnection -> RequestReader -> Policy -> Dispatcher -> socket
                              \-> (Upgrade: websocket) -> WebSocket

Raw non-blocking sockets: a read, what it holds, a write, one wait. A call that takes microseconds is answered without any
other checkpoint. Time limits cost nothing on that path: each connection notes when it is due, and one task looks at all of
them once a second and cancels what is late.
What bounds it: connections, the head and body of a request, the bytes all connections hold together, pipelined requests by the
size of one read, and the time to send a request, to take an answer and to be idle.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import CoroutineType
from typing import Final

import structlog
import trio
from wsproto.utilities import ProtocolError

from node.rpc.dispatch import SLICE_S, Caller, Dispatcher
from node.rpc.http import (
    CONTINUE,
    PREFLIGHT,
    Budget,
    HttpRequest,
    Policy,
    Refused,
    RequestReader,
    refusal_response,
    response,
)
from node.rpc.websocket import WebSocket, WebSocketHooks

READ_BYTES: Final = 65_536
"""Length of one read; with it the number of pipelined requests that are answered together."""

JOIN_BYTES: Final = 1 << 20
"""Answers of pipelined requests are sent once they reach this length."""

SWEEP_EVERY_S: Final = 1.0
"""How often late connections are looked for."""

BACKLOG: Final = 1_024
"""Connections the kernel holds until they are accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one server grants all of its callers."""

    connections_max: int = 1_024
    """HTTP and WebSocket connections; more are turned away."""
    held_bytes_max: int = 256 << 20
    """Bytes of requests and answers that all connections together may hold."""
    request_within_s: float = 30.0
    """From a request's first byte to its last."""
    answer_within_s: float = 120.0
    """To find an answer; calls have shorter limits of their own."""
    write_within_s: float = 30.0
    """To take an answer."""
    idle_within_s: float = 120.0
    """Between requests."""


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
        self.budget: Final = Budget(limit=self.limits.held_bytes_max)
        """What is held now."""
        self.hooks: Final = WebSocketHooks(
            dispatcher=dispatcher, on_close=on_session_closed, budget=self.budget
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
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                task_status.started(bound[1])
                self._log.info("rpc_listening", host=host, port=bound[1])
                await self._accept(listener, nursery)

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
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
                nursery.start_soon(self._serve_connection, connection)

    async def _serve_connection(self, connection: socket.socket) -> None:
        served = HttpConnection(connection, self)
        self._open[served] = None
        with connection:
            try:
                await served.run()
            finally:
                del self._open[served]
            if served.upgrade is not None:
                await self._serve_websocket(connection, *served.upgrade)

    async def _serve_websocket(
        self, connection: socket.socket, request: HttpRequest, received: bytes
    ) -> None:
        origin = None if request.origin is None else request.origin.decode("latin-1")
        served = WebSocket(connection, self.hooks, origin=origin)
        self._open[served] = None
        try:
            await served.run(request, received)
        except ProtocolError:
            with contextlib.suppress(OSError):
                connection.send(refusal_response(Refused(400, "malformed WebSocket handshake")))
        finally:
            del self._open[served]

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP_EVERY_S)
            now = trio.current_time()
            for connection in tuple(self._open):
                connection.tick(now)


class HttpConnection:
    """One HTTP connection."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self.upgrade: tuple[HttpRequest, bytes] | None = None
        """The request to become a WebSocket, with what followed it."""
        self._socket = connection
        self._server = server
        self._reader = RequestReader(server.budget)
        self._scope = trio.CancelScope()
        self._caller = Caller()
        self._due = trio.current_time() + server.limits.request_within_s

    def tick(self, now: float) -> None:
        """Cut off what is late; `now` is trio's time."""
        if now > self._due:
            self._scope.cancel()

    async def run(self) -> None:
        """Serve until either side ends it or it becomes a WebSocket."""
        try:
            with self._scope:
                await self._serve()
        finally:
            self._reader.close()

    async def _serve(self) -> None:
        reader, limits = self._reader, self._server.limits
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                received = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not received:
                return
            was_in_request = reader.in_request
            requests = reader.feed(received)
            if requests:
                if not await self._answer_all(requests):
                    return
                in_time = limits.request_within_s if reader.in_request else limits.idle_within_s
                self._due = trio.current_time() + in_time
            elif not was_in_request:
                self._due = trio.current_time() + limits.request_within_s
            if reader.refused is not None:
                await self._send(refusal_response(reader.refused))
                return
            if reader.wants_continue:
                reader.wants_continue = False
                await self._send(CONTINUE)

    async def _answer_all(self, requests: list[HttpRequest]) -> bool:
        """Answer what one read completed; whether the connection stays an open HTTP connection."""
        if len(requests) == 1:
            answered = self._answer(requests[0])
            if isinstance(answered, bytes):
                await self._send(answered)
            elif answered is not None:
                await self._send(await answered)
            return answered is not None and requests[0].keep_alive
        waiting: list[bytes] = []
        size = 0
        slice_end = trio.current_time() + SLICE_S
        for request in requests:
            answered = self._answer(request)
            if answered is None:
                break
            encoded = answered if isinstance(answered, bytes) else await answered
            waiting.append(encoded)
            size += len(encoded)
            if size > JOIN_BYTES:
                await self._send(b"".join(waiting))
                waiting, size = [], 0
            if not request.keep_alive:
                break
            if trio.current_time() > slice_end:
                await trio.lowlevel.checkpoint()
                slice_end = trio.current_time() + SLICE_S
        await self._send(b"".join(waiting))
        return self.upgrade is None and requests[-1].keep_alive

    def _answer(self, request: HttpRequest) -> bytes | Awaitable[bytes] | None:
        """The response, at once or later; None when the connection becomes a WebSocket."""
        refused = self._server.policy.refusal(request)
        if refused is not None:
            request.keep_alive = False
            return refusal_response(refused)
        if request.method == b"POST":
            return self._call(request)
        if request.method == b"OPTIONS":
            extra = b"" if request.origin is None else self._cors(request) + PREFLIGHT
            return response(200, b"", extra=extra, keep_alive=request.keep_alive)
        if request.websocket and request.method == b"GET" and self._reader.upgraded is not None:
            self.upgrade = (request, self._reader.upgraded)
            return None
        return self._encode(request, b"")

    def _call(self, request: HttpRequest) -> bytes | Awaitable[bytes]:
        caller = self._caller
        if request.origin is not None:
            origin = request.origin.decode("latin-1")
            if caller.origin != origin:
                caller = self._caller = Caller(origin=origin)
        elif caller.origin is not None:
            caller = self._caller = Caller()
        answer = self._server.dispatcher.answer(request.body, caller)
        if type(answer) is CoroutineType:
            return self._call_later(request, answer)
        assert isinstance(answer, bytes)
        return self._encode(request, answer)

    async def _call_later(self, request: HttpRequest, answer: Awaitable[bytes]) -> bytes:
        self._due = trio.current_time() + self._server.limits.answer_within_s
        return self._encode(request, await answer)

    def _encode(self, request: HttpRequest, body: bytes) -> bytes:
        if request.origin is None and request.keep_alive and not request.version_1_0:
            return (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
        return response(
            200,
            body,
            extra=self._cors(request),
            keep_alive=request.keep_alive,
            say_keep_alive=request.version_1_0,
            head_only=request.method == b"HEAD",
        )

    def _cors(self, request: HttpRequest) -> bytes:
        return b"" if request.origin is None else self._server.policy.cors(request.origin)

    async def _send(self, encoded: bytes) -> None:
        """Send everything; what does not fit the kernel's buffer counts against the budget."""
        if not encoded:
            return
        try:
            sent = self._socket.send(encoded)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._scope.cancel()
            await trio.lowlevel.checkpoint()
            return
        if sent < len(encoded):
            await self._send_rest(memoryview(encoded)[sent:])

    async def _send_rest(self, rest: memoryview) -> None:
        budget, held = self._server.budget, len(rest)
        self._due = trio.current_time() + self._server.limits.write_within_s
        budget.used += held
        try:
            if budget.used > 2 * budget.limit:
                self._scope.cancel()
            while rest:
                await trio.lowlevel.wait_writable(self._socket)
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._scope.cancel()
        finally:
            budget.used -= held


def is_loopback(host: str) -> bool:
    """Whether an address to bind reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
