"""Clients that speak to a server over real sockets, byte by byte where a test needs it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import h11
import orjson
import trio
import wsproto
from prometheus_client import CollectorRegistry
from wsproto import ConnectionType, events as ws_events

from node.rpc.limits import ServerLimits
from node.rpc.service import RpcParts, RpcService, RpcSettings
from tests.node.rpc.fakes import Backend

Parts = TypeVar("Parts", bound="HasParts")


class HasParts(Protocol):
    """Whatever a service can be made of."""

    def parts(self) -> RpcParts: ...


PATIENCE_S = 20
"""How long a test waits for an answer before it fails."""


@dataclass(slots=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return orjson.loads(self.body)


class HttpClient:
    """One connection; h11 reads what comes back."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._reader = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def reply(self, method: str = "POST") -> Reply:
        """The next response."""
        self._reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        self._reader.send(h11.EndOfMessage())
        reply = Reply(0, {}, b"")
        with trio.fail_after(PATIENCE_S):
            while True:
                event = self._reader.next_event()
                if event is h11.NEED_DATA:
                    self._reader.receive_data(await self.stream.receive_some(65_536))
                elif isinstance(event, h11.Response):
                    reply.status = event.status_code
                    reply.headers = {k.decode(): v.decode() for k, v in event.headers}
                elif isinstance(event, h11.Data):
                    reply.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
        if self._reader.states[h11.SERVER] is h11.DONE and self._reader.our_state is h11.DONE:
            self._reader.start_next_cycle()
        return reply

    async def post(self, body: bytes, *, headers: Sequence[str] = ()) -> Reply:
        await self.send(http_post(body, headers=headers))
        return await self.reply()

    async def call(self, method: str, *params: object, headers: Sequence[str] = ()) -> object:
        """The whole response object of one call."""
        return (await self.post(call_text(method, *params), headers=headers)).json()

    async def result(self, method: str, *params: object) -> object:
        """The result of one call, which must have one."""
        answer = await self.call(method, *params)
        assert isinstance(answer, dict)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, *params: object) -> tuple[object, object]:
        """Code and message of one call, which must fail."""
        answer = await self.call(method, *params)
        assert isinstance(answer, dict)
        error = answer["error"]
        return error["code"], error["message"]

    async def ended(self) -> bool:
        """Whether the server closes the connection without another byte."""
        with trio.fail_after(PATIENCE_S):
            try:
                return await self.stream.receive_some(1) == b""
            except trio.BrokenResourceError:
                return True


def call_text(method: str, *params: object, identity: object = 1) -> bytes:
    return orjson.dumps(
        {"jsonrpc": "2.0", "id": identity, "method": method, "params": list(params)}
    )


def http_post(body: bytes, *, headers: Sequence[str] = ()) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    host = (
        "" if any(line.lower().startswith("host:") for line in headers) else "Host: localhost\r\n"
    )
    kind = (
        ""
        if any(line.lower().startswith("content-type:") for line in headers)
        else "Content-Type: application/json\r\n"
    )
    return (
        f"POST / HTTP/1.1\r\n{host}{kind}Content-Length: {len(body)}\r\n{lines}\r\n".encode() + body
    )


class WebSocketClient:
    """One WebSocket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.protocol = wsproto.WSConnection(ConnectionType.CLIENT)
        self._events: deque[ws_events.Event] = deque()

    async def handshake(self, *, headers: Sequence[tuple[bytes, bytes]] = ()) -> ws_events.Event:
        """Ask for the upgrade; gives the acceptance or the rejection."""
        request = ws_events.Request(host="localhost", target="/", extra_headers=list(headers))
        await self.stream.send_all(self.protocol.send(request))
        return await self.event()

    async def event(self) -> ws_events.Event:
        """The next thing the server says."""
        with trio.fail_after(PATIENCE_S):
            while not self._events:
                self.protocol.receive_data(await self.stream.receive_some(65_536) or None)
                self._events.extend(self.protocol.events())
        return self._events.popleft()

    async def send(self, message: bytes) -> None:
        await self.stream.send_all(self.protocol.send(ws_events.Message(data=message.decode())))

    async def message(self) -> dict[str, object]:
        """The next whole message."""
        text = ""
        while True:
            event = await self.event()
            assert isinstance(event, ws_events.TextMessage), event
            text += event.data
            if event.message_finished:
                break
        message: dict[str, object] = orjson.loads(text)
        return message

    async def result(self, method: str, *params: object) -> object:
        """The result of one call, which must have one."""
        await self.send(call_text(method, *params))
        answer = await self.message()
        assert "result" in answer, answer
        return answer["result"]


@dataclass(slots=True)
class Running(Generic[Parts]):
    """A service that serves."""

    service: RpcService
    port: int
    backend: Parts
    registry: CollectorRegistry
    streams: list[trio.SocketStream] = field(default_factory=list)

    async def stream(self) -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        return stream

    async def http(self) -> HttpClient:
        return HttpClient(await self.stream())

    async def websocket(self) -> WebSocketClient:
        client = WebSocketClient(await self.stream())
        assert isinstance(await client.handshake(), ws_events.AcceptConnection)
        return client


@asynccontextmanager
async def running_with(
    backend: Parts,
    *,
    settings: RpcSettings | None = None,
    limits: ServerLimits | None = None,
) -> AsyncIterator[Running[Parts]]:
    """Serve on a port of the system's choice."""
    registry = CollectorRegistry()
    service = RpcService(
        settings or RpcSettings(port=0, chain_id=900, client_version="faultline/test"),
        backend.parts(),
        registry=registry,
        limits=limits,
    )
    async with trio.open_nursery() as nursery:
        port = await nursery.start(lambda task_status: service.serve(task_status=task_status))
        run = Running(service, port, backend, registry)
        try:
            yield run
        finally:
            with trio.CancelScope(shield=True):
                for stream in run.streams:
                    await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


def running(
    backend: Backend | None = None,
    *,
    settings: RpcSettings | None = None,
    limits: ServerLimits | None = None,
) -> AbstractAsyncContextManager[Running[Backend]]:
    """Serve fakes."""
    made = backend if backend is not None else Backend()
    return running_with(made, settings=settings, limits=limits)
