"""Metrics, liveness and readiness over a real socket."""

from __future__ import annotations

import orjson
import pytest
import trio

from node.runtime.health import Health, new_registry, serve_health


async def ask(port: int, request: bytes) -> bytes:
    """Send raw bytes, read until the server closes."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    answer = b""
    async with stream:
        try:
            with trio.fail_after(30):
                await stream.send_all(request)
                await stream.send_eof()
                while chunk := await stream.receive_some(65_536):
                    answer += chunk
        except trio.BrokenResourceError:
            return answer  # Cut off before all was sent.
        return answer


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()


async def test_metrics_health_and_readiness() -> None:
    health = Health(registry=new_registry("1.2.3"))
    health.checks["chain"] = lambda: "no head yet"
    async with trio.open_nursery() as nursery:
        port = await nursery.start(
            lambda task_status: serve_health(
                health, host="127.0.0.1", port=0, task_status=task_status
            )
        )
        metrics = await ask(port, get("/metrics"))
        assert metrics.startswith(b"HTTP/1.1 200")
        assert b'faultline_build_info{version="1.2.3"} 1.0' in metrics
        assert b"process_cpu_seconds_total" in metrics
        assert (await ask(port, get("/healthz"))).startswith(b"HTTP/1.1 200")

        early = await ask(port, get("/readyz"))
        assert early.startswith(b"HTTP/1.1 503")
        body = orjson.loads(early.partition(b"\r\n\r\n")[2])
        assert body == {"ready": False, "reasons": {"start": "not everything runs yet"}}
        health.is_started = True
        unready = await ask(port, get("/readyz"))
        assert unready.startswith(b"HTTP/1.1 503")
        body = orjson.loads(unready.partition(b"\r\n\r\n")[2])
        assert body == {"ready": False, "reasons": {"chain": "no head yet"}}

        health.checks["chain"] = lambda: None
        assert (await ask(port, get("/readyz"))).startswith(b"HTTP/1.1 200")
        health.loop_delay_s = 6.0
        assert (await ask(port, get("/healthz"))).startswith(b"HTTP/1.1 503")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/elsewhere"), b"404"),
        (
            b"POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            b"405",
        ),
    ],
)
async def test_other_requests_are_refused(request_bytes: bytes, status: bytes) -> None:
    health = Health(registry=new_registry("1"))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(
            lambda task_status: serve_health(
                health, host="127.0.0.1", port=0, task_status=task_status
            )
        )
        assert (await ask(port, request_bytes)).startswith(b"HTTP/1.1 " + status)
        nursery.cancel_scope.cancel()


async def test_nonsense_closes_the_connection_and_nothing_else() -> None:
    health = Health(registry=new_registry("1"))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(
            lambda task_status: serve_health(
                health, host="127.0.0.1", port=0, task_status=task_status
            )
        )
        for nonsense in (
            b"\x16\x03\x01\x00" * 8,
            b"GET " + b"a" * 20_000,
            b"",
            b"GET / HTTP/1.1\r\nho",
        ):
            await ask(port, nonsense)
        assert (await ask(port, get("/healthz"))).startswith(b"HTTP/1.1 200")
        nursery.cancel_scope.cancel()
