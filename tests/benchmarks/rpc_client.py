"""Load for a JSON-RPC server: so many connections, each with one request in flight; prints a JSON object.

    python -m tests.benchmarks.rpc_client PORT SECONDS CONNECTIONS BODY

It runs in a process of its own and does as little as it can, so that the server is what is measured.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

import orjson

READ_BYTES = 65_536


def load(port: int, seconds: float, connections: int, body: bytes) -> dict[str, object]:
    """Send the same call for so many seconds; every answer must be a result."""
    request = (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nUser-Agent: benchmark\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (port, len(body), body)
    )
    selector = selectors.DefaultSelector()
    sent_at: dict[socket.socket, float] = {}
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        sent_at[connection] = time.perf_counter()
        connection.send(request)
    latencies: list[float] = []
    start = time.perf_counter()
    now, end = start, start + seconds
    while now < end:
        for key, _ in selector.select(1.0):
            answering = key.fileobj
            assert isinstance(answering, socket.socket)
            answer = answering.recv(READ_BYTES)
            if b'"result"' not in answer:
                raise SystemExit(f"not a result: {answer[:500]!r}")
            now = time.perf_counter()
            latencies.append(now - sent_at[answering])
            sent_at[answering] = now
            answering.send(request)
    elapsed = time.perf_counter() - start
    latencies.sort()
    return {
        "answers": len(latencies),
        "seconds": elapsed,
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
    }


def main() -> None:
    """Measure with the arguments' numbers."""
    port, seconds, connections, body = sys.argv[1:]
    answer = load(int(port), float(seconds), int(connections), body.encode())
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main()
