r"""The JSON-RPC server: HTTP and WebSocket on one port.

    listener -> Reactor -> HttpConnection -> Dispatcher -> socket
                                         \-> (takes longer) -> a task -> socket -> Reactor
                                         \-> (Upgrade: websocket) -> WebSocket

A call that takes microseconds is answered where the reactor finds it: one read, one write, no task. What has to wait (a long
call, several pipelined requests, an answer the kernel does not take whole) leaves the reactor for a task and comes back.
Time limits cost nothing on the short path: each connection notes when it is due, and one task looks at all of them once a
second and ends what is late.
What bounds it: connections, the head and body of a request, the bytes all connections hold together, pipelined requests by the
size of one read, and the time to send a request, to take an answer and to be idle.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from node.rpc.dispatch import SLICE_S, Caller, Dispatcher
from node.rpc.http import (
    CONTINUE,
    PREFLIGHT,
    Budget,
    HttpRequest,
    Policy,
    Refused,
    RequestHead,
    RequestReader,
    refusal_response,
    response,
)
from node.rpc.reactor import Reactor
from node.rpc.websocket import WebSocket, WebSocketHooks

READ_BYTES: Final = 65_536
"""Length of one read; with it the number of pipelined requests that are answered together."""

JOIN_BYTES: Final = 1 << 20
"""Answers of pipelined requests are sent once they reach this length."""

SWEEP_EVERY_S: Final = 1.0
"""How often late connections are looked for."""

LINGER_S: Final = 2.0
"""How long the other side may take to read the last answer of a connection."""

LINGER_BYTES: Final = 8 << 20
"""How much it may still send meanwhile."""

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
            try:
                async with trio.open_nursery() as nursery:
                    reactor = Reactor()
                    nursery.start_soon(reactor.run)
                    nursery.start_soon(self._sweep)
                    task_status.started(bound[1])
                    self._log.info("rpc_listening", host=host, port=bound[1])
                    await self._accept(listener, reactor, nursery)
            finally:
                for connection in tuple(self._open):
                    connection.close()

    async def _accept(
        self, listener: socket.socket, reactor: Reactor, nursery: trio.Nursery
    ) -> None:
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
                HttpConnection(connection, self, reactor, nursery)

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


class HttpConnection:
    """One HTTP connection: in the reactor while it waits for requests, in a task while something takes longer."""

    def __init__(
        self,
        connection: socket.socket,
        server: Server,
        reactor: Reactor,
        nursery: trio.Nursery,
    ) -> None:
        self._socket: Final = connection
        self._server: Final = server
        self._reactor: Final = reactor
        self._nursery: Final = nursery
        self._reader: Final = RequestReader(server.budget)
        self._caller = Caller()
        self._scope: trio.CancelScope | None = None
        self._due = trio.current_time() + server.limits.request_within_s
        server.opened(self)
        reactor.add(connection, self._on_readable)

    def tick(self, now: float) -> None:
        """End it if it is late; `now` is trio's time."""
        if now > self._due:
            self._end()

    def close(self) -> None:
        """Let go of the socket and of what was read."""
        self._reactor.remove(self._socket)
        self._server.closed(self)
        self._reader.close()
        self._socket.close()

    def _end(self) -> None:
        """Close at once, through the task if there is one."""
        if self._scope is None:
            self.close()
        else:
            self._scope.cancel()

    # -- the short path

    def _on_readable(self) -> None:
        reader = self._reader
        try:
            received = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self.close()
            return
        was_in_request = reader.in_request
        requests = reader.feed(received)
        if len(requests) == 1 and reader.refused is None and not reader.in_request:
            request = requests[0]
            answered = self._answer(request)
            if type(answered) is bytes and request.head.keep_alive:
                try:
                    sent = self._socket.send(answered)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    self.close()
                    return
                if sent < len(answered):
                    self._leave(self._send_rest(memoryview(answered)[sent:]))
                else:
                    self._due = trio.current_time() + self._server.limits.idle_within_s
            else:
                self._leave(self._finish(request, answered))
        elif requests or reader.refused is not None or reader.wants_continue:
            self._leave(self._serve(requests))
        elif not was_in_request:
            self._due = trio.current_time() + self._server.limits.request_within_s

    def _answer(self, request: HttpRequest) -> bytes | Coroutine[object, object, bytes] | None:
        """The response, at once or later; None when the connection becomes a WebSocket."""
        head = request.head
        refused = self._server.policy.refusal(request)
        if refused is not None:
            return refusal_response(refused, keep_alive=head.keep_alive)
        if head.method == b"POST":
            return self._call(request)
        if head.method == b"OPTIONS":
            extra = b"" if head.origin is None else self._cors(head) + PREFLIGHT
            return response(200, b"", extra=extra, keep_alive=head.keep_alive)
        if head.websocket and head.method == b"GET" and self._reader.upgraded is not None:
            return None
        return self._encode(head, b"")

    def _call(self, request: HttpRequest) -> bytes | Coroutine[object, object, bytes]:
        caller, head = self._caller, request.head
        if head.origin is not None:
            origin = head.origin.decode("latin-1")
            if caller.origin != origin:
                caller = self._caller = Caller(origin=origin)
        elif caller.origin is not None:
            caller = self._caller = Caller()
        answer = self._server.dispatcher.answer(request.body, caller)
        if type(answer) is bytes:
            return self._encode(head, answer)
        assert not isinstance(answer, bytes)
        return self._call_later(head, answer)

    async def _call_later(
        self, head: RequestHead, answer: Coroutine[object, object, bytes]
    ) -> bytes:
        self._due = trio.current_time() + self._server.limits.answer_within_s
        return self._encode(head, await answer)

    def _encode(self, head: RequestHead, body: bytes) -> bytes:
        if head.origin is None and head.keep_alive and not head.version_1_0:
            return (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
        return response(
            200,
            body,
            extra=self._cors(head),
            keep_alive=head.keep_alive,
            say_keep_alive=head.version_1_0,
            head_only=head.method == b"HEAD",
        )

    def _cors(self, head: RequestHead) -> bytes:
        return b"" if head.origin is None else self._server.policy.cors(head.origin)

    # -- what takes longer

    def _leave(self, work: Coroutine[object, object, bool]) -> None:
        """Leave the reactor until the work is done; it says whether the connection stays open."""
        self._reactor.remove(self._socket)
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._work, work)

    async def _work(self, work: Coroutine[object, object, bool]) -> None:
        stays = False
        assert self._scope is not None
        try:
            with self._scope:
                stays = await work
        finally:
            work.close()
            self._scope = None
            if stays:
                self._due = trio.current_time() + self._server.limits.idle_within_s
                self._reactor.add(self._socket, self._on_readable)
            else:
                self.close()

    async def _serve(self, requests: list[HttpRequest]) -> bool:
        """Answer several requests in order, then what may have gone wrong behind them."""
        waiting: list[bytes] = []
        size = 0
        slice_end = trio.current_time() + SLICE_S
        for request in requests:
            answered = self._answer(request)
            if answered is None or not request.head.keep_alive:
                await self._send(b"".join(waiting))
                return await self._finish(request, answered)
            encoded = answered if isinstance(answered, bytes) else await answered
            waiting.append(encoded)
            size += len(encoded)
            if size > JOIN_BYTES:
                await self._send(b"".join(waiting))
                waiting, size = [], 0
            if trio.current_time() > slice_end:
                await trio.lowlevel.checkpoint()
                slice_end = trio.current_time() + SLICE_S
        await self._send(b"".join(waiting))
        if self._reader.refused is not None:
            return await self._refuse(self._reader.refused)
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            await self._send(CONTINUE)
        return True

    async def _finish(
        self,
        request: HttpRequest,
        answered: bytes | Coroutine[object, object, bytes] | None,
    ) -> bool:
        """Send the answer of one request, or become a WebSocket."""
        if answered is None:
            await self._become_websocket(request)
            return False
        await self._send(answered if isinstance(answered, bytes) else await answered)
        if not request.head.keep_alive:
            await self._linger()
        return request.head.keep_alive

    async def _refuse(self, refused: Refused) -> bool:
        await self._send(refusal_response(refused))
        await self._linger()
        return False

    async def _linger(self) -> None:
        """Let the other side read the last answer: closing with unread bytes would take it away."""
        self._due = trio.current_time() + LINGER_S
        left = LINGER_BYTES
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while left > 0:
                await trio.lowlevel.wait_readable(self._socket)
                received = self._socket.recv(READ_BYTES)
                left -= len(received) or left
        except OSError:
            return  # it is gone already

    async def _become_websocket(self, request: HttpRequest) -> None:
        given = request.head.origin
        origin = None if given is None else given.decode("latin-1")
        served = WebSocket(self._socket, self._server.hooks, origin=origin)
        self._server.closed(self)
        self._server.opened(served)
        try:
            await served.run(request, self._reader.upgraded or b"")
        except Refused as refused:
            with contextlib.suppress(OSError):
                self._socket.send(refusal_response(refused))
        finally:
            self._server.closed(served)

    async def _send(self, encoded: bytes) -> None:
        try:
            sent = self._socket.send(encoded) if encoded else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end()
            await trio.lowlevel.checkpoint()
            return
        if sent < len(encoded):
            await self._send_rest(memoryview(encoded)[sent:])

    async def _send_rest(self, rest: memoryview) -> bool:
        """Send what the kernel did not take at once; it counts against the budget."""
        budget, held = self._server.budget, len(rest)
        self._due = trio.current_time() + self._server.limits.write_within_s
        budget.used += held
        try:
            if budget.used > 2 * budget.limit:
                self._end()
            while rest:
                await trio.lowlevel.wait_writable(self._socket)
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._end()
        finally:
            budget.used -= held
        return True


def is_loopback(host: str) -> bool:
    """Whether an address to bind reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
