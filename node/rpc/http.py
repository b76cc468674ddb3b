"""HTTP/1.1 without a socket: bytes to requests, and who may ask.

    bytes -> RequestReader.feed -> HttpRequest -> Policy.refusal -> (dispatch) -> response

httptools parses; this module bounds what it collects. A request's head, its body and its raw length, chunk sizes and trailers
included, all have limits, and what waits in all connections together shares one budget.
Deliberately absent: compression, ranges, virtual paths. Only `/` is served.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httptools

from node.rpc.jsonrpc import BODY_BYTES_MAX

HEAD_BYTES_MAX: Final = 16 << 10
"""Request line and headers."""

RAW_BYTES_MAX: Final = 2 * BODY_BYTES_MAX + HEAD_BYTES_MAX
"""A whole request with its chunk sizes and trailers."""

HEADS_MAX: Final = 8
"""Heads that are remembered for one connection: they differ in the length of the body."""

HEAD_REMEMBERED_MAX: Final = 2_048
"""Longer heads are not remembered: all connections together must not hold much."""

JSON_TYPES: Final = frozenset(
    {b"application/json", b"application/json-rpc", b"application/jsonrequest"}
)
"""Content types that are taken for JSON-RPC, as geth has them."""

REASONS: Final = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
"""Reason phrases of every status that is sent."""

_WANTED: Final = {
    b"host": 0,
    b"origin": 1,
    b"content-type": 2,
    b"expect": 3,
    b"upgrade": 4,
    b"content-length": 5,
}


class Refused(Exception):
    """A request that is answered with a status instead of a result."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status code."""
        self.message = message
        """One line, as geth words it."""


@dataclass(slots=True)
class Budget:
    """Bytes that all connections together may hold."""

    limit: int
    """Most bytes."""
    used: int = 0
    """Bytes held now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """Request line and headers."""

    method: bytes
    """GET, POST, ..."""
    target: bytes
    """Path with query."""
    host: bytes | None
    """Host header."""
    origin: bytes | None
    """Origin header."""
    content_type: bytes
    """Content-Type header, lower case, without parameters."""
    content_length: int
    """Length of the body that the head names; 0 where it names none."""
    websocket: bool
    """Whether it asks to become a WebSocket."""
    headers: Sequence[tuple[bytes, bytes]]
    """All headers in order."""
    keep_alive: bool
    """Whether the connection may stay open."""
    version_1_0: bool
    """Whether the client speaks HTTP/1.0."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A complete request."""

    head: RequestHead
    """Request line and headers."""
    body: bytes
    """The body, chunks joined."""


class RequestReader:
    """Collects requests from the bytes of one connection.

    A client sends the same head again and again. One that came whole, with its whole body, in one read is remembered with its
    bytes, and the next request with the very same bytes is not parsed again.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._parser = httptools.HttpRequestParser(self)
        self._ready: list[HttpRequest] = []
        self._raw_bytes = 0
        self._in_head = True
        self._refused: Refused | None = None
        self._body = bytearray()
        self._after_upgrade: RequestHead | None = None
        self._heads: dict[bytes, RequestHead] = {}
        self._begin()

    in_request: bool
    """Whether a request has begun and is not complete."""
    refused: Refused | None = None
    """Why nothing more can be read, once it is so; what was complete before it is still served."""
    wants_continue: bool = False
    """Whether the client waits for `100 Continue` before it sends the body."""
    upgraded: bytes | None = None
    """What followed a request to become a WebSocket."""

    def feed(self, received: bytes) -> list[HttpRequest]:
        """Parse what was received; gives the requests that are complete now."""
        if not self.in_request:
            end = received.find(b"\r\n\r\n") + 4
            known = self._heads.get(received[:end])
            if known is not None and len(received) == end + known.content_length:
                return [HttpRequest(known, received[end:])]
            requests = self._parse(received)
            if len(requests) == 1:
                self._remember(received[:end], requests[0].head, len(received))
            return requests
        return self._parse(received)

    def _remember(self, encoded: bytes, head: RequestHead, received_bytes: int) -> None:
        whole = received_bytes == len(encoded) + head.content_length
        if len(encoded) > HEAD_REMEMBERED_MAX or self.refused is not None:
            return
        if whole and not self.in_request and not head.websocket:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[encoded] = head

    def _parse(self, received: bytes) -> list[HttpRequest]:
        rest: bytes = received
        while rest and self.refused is None:
            if self._after_upgrade is not None:
                rest = self._feed_after_upgrade(self._after_upgrade, rest)
                continue
            try:
                self._parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                if self._ready[-1].head.websocket:
                    self.upgraded = rest
                    break
                self._expect_body()
            except httptools.HttpParserError as error:
                self.refused = self._refused or Refused(400, f"malformed request: {error}"[:200])
        ready, self._ready = self._ready, []
        self._check_lengths(len(received), bool(ready))
        return ready

    def _expect_body(self) -> None:
        """Collect the body of a request to become something else than a WebSocket, which we let pass as plain HTTP.

        Clients that would rather speak HTTP/2 send such requests; the parser ends at their head.
        """
        head = self._ready[-1].head
        if any(name.lower() == b"transfer-encoding" for name, _ in head.headers):
            self.refused = Refused(400, "malformed request: chunked body with an upgrade")
        elif head.content_length:
            self._after_upgrade = self._ready.pop().head
            self.in_request = True

    def _feed_after_upgrade(self, head: RequestHead, received: bytes) -> bytes:
        wanted = head.content_length - len(self._body)
        try:
            self.on_body(received[:wanted])
        except Refused as refused:
            self.refused = refused
            return b""
        if len(self._body) == head.content_length:
            self._budget.used -= len(self._body)
            self._ready.append(HttpRequest(head, bytes(self._body)))
            self._after_upgrade = None
            self._begin()
        return received[wanted:]

    def close(self) -> None:
        """Give back what an incomplete request held."""
        self._budget.used -= len(self._body)
        self._body = bytearray()

    def _check_lengths(self, received_bytes: int, completed: bool) -> None:
        if not self.in_request:
            self._raw_bytes = 0
            return
        # Of a read that completed others nobody knows how much belongs to this one: it counts from the next read on.
        self._raw_bytes = 0 if completed else self._raw_bytes + received_bytes
        if self.refused is None:
            if self._in_head and self._raw_bytes > HEAD_BYTES_MAX:
                self.refused = Refused(431, "request header too large")
            elif self._raw_bytes > RAW_BYTES_MAX:
                self.refused = Refused(413, "request too large")

    def _begin(self) -> None:
        self.in_request = False
        self._in_head = True
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._found: list[bytes | None] = [None] * len(_WANTED)
        self._body = bytearray()

    # -- called by httptools; what they raise ends the parsing

    def on_message_begin(self) -> None:
        """A request begins."""
        self.in_request = True

    def on_url(self, target: bytes) -> None:
        """A part of the target."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or, after the body, a trailer."""
        if not self._in_head:
            return
        self._headers.append((name, value))
        position = _WANTED.get(name.lower())
        if position is not None:
            if self._found[position] is not None:
                self._refused = Refused(400, f"more than one {name[:64].decode('latin-1')} header")
                raise self._refused
            self._found[position] = value

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        length, expect = self._found[5], self._found[3]
        if length is not None and int(length) > BODY_BYTES_MAX:
            self._refused = Refused(
                413, f"content length too large ({int(length)}>{BODY_BYTES_MAX})"
            )
            raise self._refused
        if expect is not None and expect.lower() == b"100-continue":
            self.wants_continue = True

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        self._body += part
        self._budget.used += len(part)
        if len(self._body) > BODY_BYTES_MAX:
            self._refused = Refused(
                413, f"content length too large ({len(self._body)}>{BODY_BYTES_MAX})"
            )
            raise self._refused
        if self._budget.used > self._budget.limit:
            self._refused = Refused(503, "too many requests in progress")
            raise self._refused

    def on_message_complete(self) -> None:
        """The request is complete."""
        host, origin, content_type, _, upgrade, length = self._found
        parser = self._parser
        self._budget.used -= len(self._body)
        head = RequestHead(
            method=parser.get_method(),
            target=self._target,
            host=host,
            origin=origin,
            content_type=b""
            if content_type is None
            else content_type.partition(b";")[0].strip().lower(),
            content_length=0 if length is None else int(length),
            websocket=upgrade is not None
            and upgrade.lower() == b"websocket"
            and parser.should_upgrade(),
            headers=self._headers,
            keep_alive=parser.should_keep_alive(),
            version_1_0=parser.get_http_version() == "1.0",
        )
        self._ready.append(HttpRequest(head, bytes(self._body)))
        self.wants_continue = False
        self._begin()


@dataclass(slots=True, kw_only=True)
class Policy:
    """Which hosts and origins are served (DNS rebinding, cross-site WebSockets)."""

    loopback: bool
    """Whether only this machine reaches the port: then any origin is served, unless some are named."""
    allowed_hosts: Sequence[str] = ()
    """Host names besides localhost; `*` allows all. An IP address is always allowed: it cannot be rebound."""
    allowed_origins: Sequence[str] = ()
    """Origins that are served; `*` allows all."""
    _known_hosts: set[bytes] = field(default_factory=set)

    def host_allowed(self, host: bytes | None) -> bool:
        """Whether a Host header names this server."""
        if not host or host in self._known_hosts:
            return True
        if "*" not in self.allowed_hosts and not self._names_this_server(host.decode("latin-1")):
            return False
        if len(self._known_hosts) < 64 and len(host) < 256:
            self._known_hosts.add(host)
        return True

    def _names_this_server(self, host: str) -> bool:
        name = host.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        if name == "localhost" or name in (allowed.lower() for allowed in self.allowed_hosts):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def origin_allowed(self, origin: bytes | None) -> bool:
        """Whether a page of this origin may read answers and open WebSockets."""
        if origin is None:
            return True
        if self.loopback and not self.allowed_origins:
            return True
        return (
            "*" in self.allowed_origins or origin.decode("latin-1").lower() in self.allowed_origins
        )

    def refusal(self, request: HttpRequest) -> Refused | None:
        """Why a request is not served, in geth's words; None for one that is."""
        head = request.head
        if not self.host_allowed(head.host):
            return Refused(403, "invalid host specified")
        if head.target != b"/" and head.target.partition(b"?")[0] != b"/":
            return Refused(404, "404 page not found")
        if not self.origin_allowed(head.origin):
            return Refused(403, "origin not allowed")
        method = head.method
        if method == b"POST":
            if head.content_type not in JSON_TYPES:
                return Refused(415, "invalid content type, only application/json is supported")
        elif method in (b"GET", b"HEAD"):
            if request.body or head.target != b"/":
                return Refused(415, "invalid content type, only application/json is supported")
        elif method != b"OPTIONS":
            return Refused(405, "method not allowed")
        return None

    def cors(self, origin: bytes) -> bytes:
        """Header lines that let a page of this allowed origin read the answer."""
        if self.loopback and not self.allowed_origins:
            return b"access-control-allow-origin: *\r\n"
        return b"access-control-allow-origin: %b\r\nvary: origin\r\n" % origin


PREFLIGHT: Final = (
    b"access-control-allow-methods: POST, GET, OPTIONS\r\n"
    b"access-control-allow-headers: content-type, authorization, *\r\n"
    b"access-control-allow-private-network: true\r\n"
    b"access-control-max-age: 600\r\n"
)
"""Header lines that answer a browser's question before a cross-site POST.

Any header may come along, as with geth: pages add some of their own (tracing, keys of providers), and none means anything here.
`*` stands for all but `authorization` (Fetch standard), and for nothing in browsers that do not know it.
"""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Asks the client for the body."""


def response(
    status: int,
    body: bytes,
    *,
    content_type: bytes = b"application/json",
    extra: bytes = b"",
    keep_alive: bool = True,
    say_keep_alive: bool = False,
    head_only: bool = False,
) -> bytes:
    """Encode a response; `extra` holds whole header lines."""
    if not keep_alive:
        extra += b"connection: close\r\n"
    elif say_keep_alive:
        extra += b"connection: keep-alive\r\n"
    head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n" % (
        status,
        REASONS[status],
        content_type,
        extra,
        len(body),
    )
    return head if head_only else head + body


def refusal_response(refused: Refused, *, keep_alive: bool = False) -> bytes:
    """Encode a refusal."""
    return response(
        refused.status,
        refused.message.encode() + b"\n",
        content_type=b"text/plain; charset=utf-8",
        keep_alive=keep_alive,
    )
