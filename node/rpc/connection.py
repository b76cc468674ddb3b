r"""One HTTP connection: read, answer, write, and wait without a task where that is possible.

    Reactor -> HttpConnection -> Dispatcher -> (at once) -> socket
                                           \-> (later) -> owed -> Flusher -> socket
                                           \-> (takes a task) -> socket -> Reactor
                                           \-> (Upgrade: websocket) -> WebSocket

A call that takes microseconds is answered where the reactor finds it: one read, one write, no task. What others will tell, a
send above all, is owed: answers go out in the order of the requests, and those that are settled together in one write.
Sends that are pipelined are begun side by side, as in a batch; whatever else follows them waits until they are answered.
What has to wait in other ways (a long call, other pipelined requests, an answer the kernel does not take whole) leaves the
reactor for a task and comes back.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

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
from node.rpc.later import Later
from node.rpc.limits import ServerLimits
from node.rpc.owed import JOIN_BYTES, Flusher, Owed, Owing
from node.rpc.reactor import Reactor
from node.rpc.untaken import Untaken
from node.rpc.websocket import WebSocket, WebSocketHooks

READ_BYTES: Final = 65_536
"""Length of one read; with it the number of pipelined requests that are answered together."""

OWED_MAX: Final = 512
"""Answers that are owed before nothing more is read: a few reads of pipelined sends."""

LINGER_S: Final = 2.0
"""How long the other side may take to read the last answer of a connection."""

LINGER_BYTES: Final = 8 << 20
"""How much it may still send meanwhile."""

SEND: Final = b'"eth_sendRawTransaction'
"""What the body of a send holds: those are begun side by side when they are pipelined."""

Answered = bytes | Coroutine[object, object, bytes] | Later[bytes] | None
"""The response, at once or later; for a Later its body. None when the connection becomes a WebSocket."""


class Host(Protocol):
    """What a connection asks of its server (`node.rpc.server.Server`)."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Answers calls."""

    @property
    def policy(self) -> Policy:
        """Which hosts and origins are served."""

    @property
    def limits(self) -> ServerLimits:
        """Bounds."""

    @property
    def budget(self) -> Budget:
        """What is held of requests."""

    @property
    def untaken(self) -> Untaken:
        """What is held of answers."""

    @property
    def hooks(self) -> WebSocketHooks:
        """What WebSockets need."""

    def opened(self, connection: HttpConnection | WebSocket) -> None:
        """A connection began, or became a WebSocket."""

    def closed(self, connection: HttpConnection | WebSocket) -> None:
        """A connection ended, or became a WebSocket."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection is made with."""

    server: Host
    """Whom it belongs to."""
    reactor: Reactor
    """Tells when it can be read."""
    flusher: Flusher
    """Sends what is settled."""
    nursery: trio.Nursery
    """Where its tasks run."""


class HttpConnection:
    """One HTTP connection: in the reactor while it waits for requests, in a task while something takes longer."""

    def __init__(self, connection: socket.socket, around: Surroundings) -> None:
        self._socket: Final = connection
        self._server: Final = around.server
        self._around: Final = around
        self._reader: Final = RequestReader(around.server.budget)
        self._caller = Caller()
        self._served_head: RequestHead | None = None
        self._scope: trio.CancelScope | None = None
        self._owed = Owing()
        self._paid: trio.Event | None = None
        self._resting = self._closed = False
        self._due = trio.current_time() + around.server.limits.request_within_s
        self._server.opened(self)
        around.reactor.add(connection, self._on_readable)

    def tick(self, now: float) -> None:
        """End it if it is late; `now` is trio's time."""
        if now > self._due:
            self.cut_off()

    def close(self) -> None:
        """Let go of the socket and of what was read."""
        self._around.reactor.remove(self._socket)
        self._server.closed(self)
        self._server.untaken.let_go(self)
        self._reader.close()
        self._owed.clear()
        self._resting, self._closed = False, True
        self._socket.close()

    def cut_off(self) -> None:
        """End it at once, through the task if there is one."""
        if self._scope is None:
            self.close()
        else:
            self._scope.cancel()

    # -- the short path

    def _on_readable(self) -> None:
        if len(self._owed) >= OWED_MAX:
            self._rest()
            return
        reader = self._reader
        try:
            received = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not received and self._owed:
            self._rest()  # It sends no more, but may still read what it is owed.
            return
        if not received:
            self.close()
            return
        was_in_request = reader.in_request
        requests = reader.feed(received)
        if len(requests) == 1 and reader.refused is None and not reader.in_request:
            if self._owed:
                self._take(requests)
            else:
                self._take_one(requests[0])
        elif requests or reader.refused is not None or reader.wants_continue:
            self._take(requests)
        elif not was_in_request and not self._owed:
            self._due = trio.current_time() + self._server.limits.request_within_s

    def _take_one(self, request: HttpRequest) -> None:
        """Answer a request that came alone."""
        answered = self._answer(request)
        if not request.head.keep_alive:
            self._leave(self._finish(request, answered))
        elif type(answered) is bytes:
            self._send_now(answered)
        elif type(answered) is Later:
            self._owe(request.head, answered)
        else:
            self._leave(self._finish(request, answered))

    def _take(self, requests: list[HttpRequest]) -> None:
        """Begin the sends that come first; a task serves the others."""
        for index, request in enumerate(requests):
            if SEND not in request.body or not request.head.keep_alive:
                self._leave(self._serve(requests[index:]))
                return
            answered = self._answer(request)
            if isinstance(answered, bytes):
                self._owed.add(Owed(request.head, answered))
                self._server.untaken.hold(self, len(answered))
                if self._closed:
                    return
            elif isinstance(answered, Later):
                self._owe(request.head, answered)
            else:
                self._leave(self._serve(requests[index + 1 :], request, answered))
                return
        if self._reader.refused is not None or self._reader.wants_continue:
            self._leave(self._serve([]))
        elif self._owed.is_due:
            self._around.flusher.soon(self)

    def _rest(self) -> None:
        """Read no more until something that is owed was sent."""
        self._around.reactor.remove(self._socket)
        self._resting = True

    def _send_now(self, encoded: bytes) -> None:
        try:
            sent = self._socket.send(encoded)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(encoded):
            self._leave(self._send_rest(encoded, sent))
        else:
            limits = self._server.limits
            within_s = limits.request_within_s if self._reader.in_request else limits.idle_within_s
            self._due = trio.current_time() + within_s

    # -- what is owed

    def _owe(self, head: RequestHead, answer: Later[bytes]) -> None:
        """Send an answer once it is settled and those before it are sent."""
        owed = Owed(head)
        self._owed.add(owed)
        self._due = trio.current_time() + self._server.limits.answer_within_s
        answer.then(partial(self._settle, owed))

    def _settle(self, owed: Owed, body: bytes) -> None:
        if self._closed:
            return
        text = self._encode(owed.head, body)
        if self._owed.first is owed and len(self._owed) == 1 and self._is_free:
            self._owed.clear()
            self._send_now(text)
            return
        owed.text = text
        self._server.untaken.hold(self, len(text))  # It may end this connection.
        if self._owed.first is owed:
            if self._paid is not None:
                self._paid.set()
            elif self._scope is None:
                self._around.flusher.soon(self)

    @property
    def _is_free(self) -> bool:
        """Whether it is in the reactor: no task writes, and reading goes on."""
        return self._scope is None and not self._resting

    def flush(self) -> None:
        """Send what is owed and settled, unless a task is about to."""
        if self._scope is not None:
            return
        resting = self._resting
        encoded = self._take_settled()
        if encoded:
            self._send_now(encoded)  # It may have to leave, or find that the other side is gone.
        if resting and self._resting and len(self._owed) < OWED_MAX // 2:
            self._resting = False
            self._around.reactor.add(self._socket, self._on_readable)
        if self._owed.is_due and self._scope is None:
            self._around.flusher.soon(self)

    def _take_settled(self) -> bytes:
        encoded = self._owed.take_settled()
        self._server.untaken.release(self, len(encoded))
        return encoded

    async def _pay(self) -> None:
        """Send everything that is owed, in a task."""
        while self._owed:
            self._paid = trio.Event()
            if not self._owed.is_due:
                await self._paid.wait()
            await self._send(self._take_settled())
        self._paid = None

    # -- answers

    def _answer(self, request: HttpRequest) -> Answered:
        head = request.head
        if head is self._served_head:
            return self._call(request)
        refused = self._server.policy.refusal(request)
        if refused is not None:
            return refusal_response(refused, keep_alive=head.keep_alive)
        if head.method == b"POST":
            self._served_head = head  # of a call, nothing but its head decides
            return self._call(request)
        if head.method == b"OPTIONS":
            extra = b"" if head.origin is None else self._cors(head) + PREFLIGHT
            return response(200, b"", extra=extra, keep_alive=head.keep_alive)
        if head.websocket and head.method == b"GET" and self._reader.upgraded is not None:
            return None
        return self._encode(head, b"")

    def _call(self, request: HttpRequest) -> Answered:
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
        if isinstance(answer, Later):
            return answer
        assert not isinstance(answer, bytes)
        return self._call_later(head, answer)

    async def _call_later(
        self, head: RequestHead, answer: Coroutine[object, object, bytes]
    ) -> bytes:
        self._due = trio.current_time() + self._server.limits.answer_within_s
        return self._encode(head, await answer)

    async def _encoded(self, head: RequestHead, answered: Answered) -> bytes:
        """The response, waited for."""
        assert answered is not None
        if isinstance(answered, bytes):
            return answered
        if isinstance(answered, Later):
            return await self._call_later(head, answered.wait())
        return await answered

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
        self._around.reactor.remove(self._socket)
        self._resting = False
        self._scope = trio.CancelScope()
        self._around.nursery.start_soon(self._work, work)

    async def _work(self, work: Coroutine[object, object, bool]) -> None:
        stays = False
        assert self._scope is not None
        try:
            with self._scope:
                stays = await work
        finally:
            work.close()
            self._scope = self._paid = None
            if stays:
                self._due = trio.current_time() + self._server.limits.idle_within_s
                self._around.reactor.add(self._socket, self._on_readable)
                self.flush()
            else:
                self.close()

    async def _serve(
        self,
        requests: list[HttpRequest],
        begun: HttpRequest | None = None,
        answered: Answered = None,
    ) -> bool:
        """Answer several requests in order, then what may have gone wrong behind them. One may have been begun already."""
        await self._pay()
        if begun is not None:
            await self._send(await self._encoded(begun.head, answered))
        waiting: list[bytes] = []
        size = 0
        slice_end = trio.current_time() + SLICE_S
        for request in requests:
            answered = self._answer(request)
            if answered is None or not request.head.keep_alive:
                await self._send(b"".join(waiting))
                return await self._finish(request, answered)
            if not isinstance(answered, bytes):
                await self._send(b"".join(waiting))
                waiting, size = [], 0
            encoded = await self._encoded(request.head, answered)
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

    async def _finish(self, request: HttpRequest, answered: Answered) -> bool:
        """Send the answer of one request, or become a WebSocket."""
        if answered is None:
            await self._become_websocket(request)
            return False
        await self._send(await self._encoded(request.head, answered))
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
            self.cut_off()
            await trio.lowlevel.checkpoint()
            return
        if sent < len(encoded):
            await self._send_rest(encoded, sent)

    async def _send_rest(self, encoded: bytes, sent: int) -> bool:
        """Send what the kernel did not take at once. All of it stays in memory until the last byte is gone, and counts."""
        untaken = self._server.untaken
        self._due = trio.current_time() + self._server.limits.write_within_s
        untaken.hold(self, len(encoded))
        rest = memoryview(encoded)
        while sent < len(rest):
            await trio.lowlevel.wait_writable(self._socket)
            try:
                sent += self._socket.send(rest[sent:])
            except BlockingIOError:
                continue
            except OSError:
                self.cut_off()
        untaken.release(self, len(encoded))
        return True
