"""Whether a process is alive and ready, and the small HTTP server that says so.

    Prometheus, probes -> GET /metrics | /healthz | /readyz

`/healthz` answers while the loop turns; `/readyz` answers 200 only when everything runs and every check agrees.
Deliberately absent: anything that changes state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import h11
import orjson
import trio
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

REQUEST_DEADLINE_S: Final = 10.0
"""A request, and the sending of its answer, may take this long."""

HEARTBEAT_S: Final = 0.5
"""How often the loop's delay is measured."""

LOOP_STALL_MAX_S: Final = 5.0
"""A loop that was late by more than this a moment ago is not healthy."""

CONNECTIONS_MAX: Final = 64
"""Scrapers and probes at once; more are turned away."""

Check = Callable[[], str | None]
"""Gives why a process is not ready, or None."""


def new_registry(version: str) -> CollectorRegistry:
    """A registry with process_*, python_info and faultline_build_info."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Gauge(
        "faultline_build_info", "Always 1; the version is a label.", ["version"], registry=registry
    ).labels(version=version).set(1)
    return registry


@dataclass(slots=True, kw_only=True)
class Health:
    """Liveness and readiness of one process."""

    registry: CollectorRegistry
    """What /metrics prints."""
    checks: dict[str, Check] = field(default_factory=dict)
    """What must agree before the process is ready, by name."""
    is_started: bool = False
    """Whether every port is bound and everything runs; said by whoever starts it, and nothing is ready before."""
    loop_delay_s: float = 0.0
    """How late the last heartbeat was."""

    def reasons(self) -> Mapping[str, str]:
        """Why the process is not ready, by check; empty when it is."""
        if not self.is_started:
            return {"start": "not everything runs yet"}
        found = {name: check() for name, check in self.checks.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    async def heartbeat(self) -> None:
        """Measure the loop's delay for ever."""
        gauge = Gauge(
            "faultline_runtime_loop_delay_seconds",
            "How late the loop woke this task the last time.",
            registry=self.registry,
        )
        while True:
            due = trio.current_time() + HEARTBEAT_S
            await trio.sleep_until(due)
            self.loop_delay_s = trio.current_time() - due
            gauge.set(self.loop_delay_s)

    def answer(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        """Status, content type and body for a request."""
        if method not in ("GET", "HEAD"):
            return 405, b"application/json", b'{"error":"only GET is answered"}'
        match path.partition("?")[0]:
            case "/metrics":
                return (
                    200,
                    b"text/plain; version=0.0.4; charset=utf-8",
                    generate_latest(self.registry),
                )
            case "/healthz":
                stalled = self.loop_delay_s > LOOP_STALL_MAX_S
                body = {"healthy": not stalled, "loop_delay_seconds": round(self.loop_delay_s, 6)}
                return 503 if stalled else 200, b"application/json", orjson.dumps(body)
            case "/readyz":
                reasons = self.reasons()
                body_ready = {"ready": not reasons, "reasons": dict(reasons)}
                return 503 if reasons else 200, b"application/json", orjson.dumps(body_ready)
            case _:
                return 404, b"application/json", b'{"error":"try /metrics, /healthz or /readyz"}'


async def serve_health(
    health: Health,
    *,
    host: str,
    port: int,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; reports the port that is bound. Raises OSError when it is taken."""
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=CONNECTIONS_MAX)
    limiter = trio.CapacityLimiter(CONNECTIONS_MAX)

    async def handle(stream: trio.SocketStream) -> None:
        if limiter.available_tokens == 0:
            await stream.aclose()
            return
        async with limiter:
            await _serve_connection(health, stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(health.heartbeat)
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(handle, listeners, handler_nursery=nursery)


async def _serve_connection(health: Health, stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=8_192)
    try:
        async with stream:
            while True:
                with trio.fail_after(REQUEST_DEADLINE_S):
                    await _serve_request(health, connection, stream)
                if connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                    return
                connection.start_next_cycle()
    except (trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError):
        return  # The other side's doing: the connection is closed, nothing else is owed.


async def _serve_request(
    health: Health, connection: h11.Connection, stream: trio.SocketStream
) -> None:
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(8_192))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            break
        elif isinstance(event, h11.ConnectionClosed):
            return
    assert request is not None
    method = request.method.decode("ascii")
    status, content_type, body = health.answer(method, request.target.decode("latin-1"))
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    parts = [connection.send(h11.Response(status_code=status, headers=headers))]
    if method != "HEAD":
        parts.append(connection.send(h11.Data(data=body)))
    parts.append(connection.send(h11.EndOfMessage()))
    await stream.send_all(b"".join(part for part in parts if part))
