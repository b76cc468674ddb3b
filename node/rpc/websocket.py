"""A WebSocket: calls in, answers and events out, over one bounded queue.

    socket -> wsproto -> message -> Dispatcher.answer -> queue -> writer -> socket
                                    Session.push (events) ----^

Short calls are answered in place and in order; long ones run beside each other, a bounded number of them, and are answered as
they end: callers match answers by id. A peer that does not read is cut off: at once when events pile up, or when one write
takes too long. A peer that answers no ping is gone.
Deliberately absent: compression (a small message could ask for much memory) and subprotocols.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import CoroutineType
from typing import Final

import trio
import wsproto
from wsproto import ConnectionType, events as ws_events
from wsproto.utilities import ProtocolError

from node.rpc.dispatch import SLICE_S, Caller, Dispatcher
from node.rpc.http import Budget, HttpRequest, Refused, RequestHead
from node.rpc.jsonrpc import BODY_BYTES_MAX, RESPONSE_BYTES_MAX
from node.rpc.later import Later
from node.rpc.untaken import Untaken

QUEUED_MESSAGES_MAX: Final = 4_096
"""Events that may wait for one peer: those of a full block with a subscription to everything."""

QUEUED_BYTES_MAX: Final = 16 << 20
"""Bytes that may wait for one peer before an event cuts it off, and before its next call is read."""

CALLS_AT_ONCE_MAX: Final = 32
"""Long calls of one peer that run beside each other."""

OWED_MAX: Final = 1_024
"""Answers one peer is owed by others, of sends above all, before its next call is read."""

FRAGMENTS_MAX: Final = 65_536
"""Parts of one message; more only cost time."""

_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""16 bytes in base64."""

READ_BYTES: Final = 65_536
WRITE_BYTES: Final = 262_144
"""Small messages are joined up to this length."""

PING_EVERY_S: Final = 30.0
"""A quiet peer is pinged this often, as geth does."""

PONG_WITHIN_S: Final = 30.0
"""A peer that sends nothing for this long after a ping is gone."""

MESSAGE_WITHIN_S: Final = 30.0
"""A message that comes in parts must be complete after this long."""

WRITE_WITHIN_S: Final = 30.0
"""A write must end after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketHooks:
    """What a WebSocket needs of its server."""

    dispatcher: Dispatcher
    """Answers messages."""
    on_close: Callable[[WebSocket], None]
    """Forgets the subscriptions of a session."""
    budget: Budget
    """Bytes of requests that all connections together may hold."""
    untaken: Untaken
    """Bytes of answers and events that all connections together may hold."""


class WebSocket:
    """One WebSocket connection; it is the `Session` that subscriptions are sent to."""

    def __init__(
        self, connection: socket.socket, hooks: WebSocketHooks, *, origin: str | None
    ) -> None:
        self._socket = connection
        self._hooks = hooks
        self._caller = Caller(origin=origin, session=self)
        self._protocol = wsproto.WSConnection(ConnectionType.SERVER)
        self._scope = trio.CancelScope()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake_writer = trio.Event()
        self._room = trio.Event()
        self._closing = False
        self._parts: list[str | bytes | bytearray] = []
        self._part_bytes = 0
        self._calls = trio.Semaphore(CALLS_AT_ONCE_MAX)
        self._owed = 0
        self._owed_less = trio.Event()
        now = trio.current_time()
        self._message_due = float("inf")
        self._write_due = float("inf")
        self._ping_due = now + PING_EVERY_S
        self._pong_due = float("inf")

    # -- what others may ask of it

    def push(self, message: bytes) -> None:
        """Queue an event; a peer whose queue is full is cut off."""
        if (
            len(self._queue) >= QUEUED_MESSAGES_MAX
            or self._queued_bytes + len(message) > QUEUED_BYTES_MAX
        ):
            self.cut_off()
        else:
            self._enqueue(message)

    def cut_off(self) -> None:
        """End the connection without a word."""
        self._scope.cancel()

    def close(self) -> None:
        """End it when the server stops; its task lets go of the socket."""
        self.cut_off()

    def tick(self, now: float) -> None:
        """Ping, and cut off what is late; called about once a second. `now` is trio's time."""
        if now > min(self._message_due, self._write_due, self._pong_due):
            self.cut_off()
        elif now > self._ping_due and not self._closing:
            self._ping_due = float("inf")
            self._pong_due = now + PONG_WITHIN_S
            self._send_event(ws_events.Ping())

    # -- its life

    async def run(self, request: HttpRequest, received: bytes) -> None:
        """Serve until either side ends it. `received` is what came after the handshake."""
        try:
            with self._scope:
                self._accept(request, received)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read(nursery)
        finally:
            self._closing = True  # What is settled from now on goes nowhere.
            self._drop_message()
            self._hooks.untaken.let_go(self)
            self._hooks.on_close(self)

    def _accept(self, request: HttpRequest, received: bytes) -> None:
        """Answer the handshake. Raises Refused when it is malformed."""
        self._protocol.initiate_upgrade_connection(handshake_headers(request.head), "/")
        for event in self._protocol.events():
            if isinstance(event, ws_events.Request):
                self._send_event(ws_events.AcceptConnection())
        if received:
            self._protocol.receive_data(received)

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            await self._handle_events(nursery)
            if self._closing:
                return  # the writer sends what is queued and ends the connection
            await self._wait_for_room()
            await trio.lowlevel.wait_readable(self._socket)
            try:
                received = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                received = b""
            if not received:
                self.cut_off()
                await trio.lowlevel.checkpoint()
            now = trio.current_time()
            self._ping_due, self._pong_due = now + PING_EVERY_S, float("inf")
            try:
                self._protocol.receive_data(received)
            except ProtocolError:
                self._close(1002)

    async def _handle_events(self, nursery: trio.Nursery) -> None:
        slice_end = trio.current_time() + SLICE_S
        try:
            for event in self._protocol.events():
                match event:
                    case ws_events.TextMessage() | ws_events.BytesMessage():
                        await self._handle_part(event, nursery)
                    case ws_events.Ping():
                        self._send_event(event.response())
                    case ws_events.CloseConnection():
                        self._send_event(event.response())
                        self._finish()
                    case _:
                        pass  # pongs count as signs of life where they are received
                if self._closing:
                    return
                if trio.current_time() > slice_end:
                    await trio.lowlevel.checkpoint()
                    slice_end = trio.current_time() + SLICE_S
        except ProtocolError:
            self._close(1002)

    async def _handle_part(
        self, event: ws_events.TextMessage | ws_events.BytesMessage, nursery: trio.Nursery
    ) -> None:
        self._parts.append(event.data)
        self._part_bytes += len(event.data)
        self._hooks.budget.used += len(event.data)
        if self._part_bytes > BODY_BYTES_MAX or len(self._parts) > FRAGMENTS_MAX:
            self._close(1009)
        elif self._hooks.budget.used > self._hooks.budget.limit:
            self._close(1013)
        elif not event.message_finished:
            self._message_due = min(self._message_due, trio.current_time() + MESSAGE_WITHIN_S)
        else:
            body = b"".join(
                part.encode() if isinstance(part, str) else part for part in self._parts
            )
            self._drop_message()
            if len(body) > BODY_BYTES_MAX:
                self._close(1009)
            else:
                await self._answer(body, nursery)

    async def _answer(self, body: bytes, nursery: trio.Nursery) -> None:
        answer = self._hooks.dispatcher.answer(body, self._caller)
        if type(answer) is CoroutineType:
            try:
                await self._calls.acquire()
            except BaseException:
                answer.close()
                raise
            nursery.start_soon(self._answer_later, answer)
        elif isinstance(answer, bytes):
            self._enqueue(answer)
        elif isinstance(answer, Later):
            await self._wait_for_answers()
            self._owed += 1
            answer.then(self._settle)

    async def _answer_later(self, answer: Coroutine[object, object, bytes]) -> None:
        try:
            self._enqueue(await answer)
        finally:
            self._calls.release()

    def _settle(self, answer: bytes) -> None:
        self._owed -= 1
        self._owed_less.set()
        if self._queued_bytes + len(answer) > QUEUED_BYTES_MAX + RESPONSE_BYTES_MAX:
            self.cut_off()
        self._enqueue(answer)

    async def _wait_for_answers(self) -> None:
        """Read no further while as many answers are owed as may be."""
        while self._owed >= OWED_MAX:
            self._owed_less = trio.Event()
            await self._owed_less.wait()

    def _drop_message(self) -> None:
        self._hooks.budget.used -= self._part_bytes
        self._parts, self._part_bytes = [], 0
        self._message_due = float("inf")

    # -- sending

    def _enqueue(self, message: bytes) -> None:
        if message and not self._closing:
            self._queue_bytes(text_frame(message))

    def _send_event(self, event: ws_events.Event) -> None:
        self._queue_bytes(self._protocol.send(event))

    def _queue_bytes(self, encoded: bytes) -> None:
        self._queue.append(encoded)
        self._queued_bytes += len(encoded)
        self._hooks.untaken.hold(self, len(encoded))
        self._wake_writer.set()

    def _close(self, code: int) -> None:
        """Say why and end the connection once everything is sent."""
        if not self._closing:
            self._send_event(ws_events.CloseConnection(code=code))
            self._finish()

    def _finish(self) -> None:
        self._closing = True
        self._write_due = trio.current_time() + WRITE_WITHIN_S
        self._wake_writer.set()

    async def _wait_for_room(self) -> None:
        while self._queued_bytes > QUEUED_BYTES_MAX:
            self._room = trio.Event()
            await self._room.wait()

    async def _write(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    self.cut_off()
                await self._wake_writer.wait()
                self._wake_writer = trio.Event()
                continue
            joined = [self._queue.popleft()]
            size = len(joined[0])
            while self._queue and size + len(self._queue[0]) <= WRITE_BYTES:
                size += len(self._queue[0])
                joined.append(self._queue.popleft())
            await self._send_all(joined[0] if len(joined) == 1 else b"".join(joined))
            self._queued_bytes -= size
            self._hooks.untaken.release(self, size)
            self._room.set()

    async def _send_all(self, encoded: bytes) -> None:
        view, sent = memoryview(encoded), 0
        while sent < len(view):
            try:
                sent += self._socket.send(view[sent:])
            except BlockingIOError:
                self._write_due = min(self._write_due, trio.current_time() + WRITE_WITHIN_S)
                await trio.lowlevel.wait_writable(self._socket)
            except OSError:
                self.cut_off()
                await trio.lowlevel.checkpoint()
        if not self._closing:
            self._write_due = float("inf")


def text_frame(message: bytes) -> bytes:
    """Encode a text message of a server in one frame (RFC 6455, section 5.2); `message` is UTF-8.

    wsproto takes five times as long for it, and an event is little more than its frame.
    """
    size = len(message)
    if size < 126:
        return b"\x81%c%b" % (size, message)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2), message)
    return b"\x81\x7f%b%b" % (size.to_bytes(8), message)


def handshake_headers(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """The handshake as wsproto needs it (RFC 6455, section 4.2.1). Raises Refused when it is malformed.

    Only these headers reach wsproto: it decodes the others with codecs that raise on what a stranger may send, and we want no
    extension and no subprotocol.
    """
    given = {name.lower(): value.strip() for name, value in head.headers}
    if given.get(b"sec-websocket-version") != b"13":
        raise Refused(426, "only version 13 of the WebSocket protocol is spoken")
    key = given.get(b"sec-websocket-key", b"")
    if _KEY.fullmatch(key) is None:
        raise Refused(400, "malformed WebSocket key")
    return [
        (b"host", b"localhost"),
        (b"connection", b"upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", key),
    ]
