"""A steady stream, or a burst, of transactions into one JSON-RPC port; prints a JSON object.

    python -m tests.benchmarks.rollup_client PORT RATE CALLS FILE

FILE holds JSON: for each connection its transactions, hex, in the order of their nonces. Each connection sends batches of CALLS
`eth_sendRawTransaction`, one request in flight, all connections together RATE transactions a second; RATE 0 is as fast as
answers come. An answer to a send means that the receipt can be read, so nobody asks for receipts.
It runs in a process of its own, and what it says is put together before the clock starts.
"""

from __future__ import annotations

import selectors
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson

from tests.benchmarks.sends_client import Connection, call

DEADLINE_S = 600.0
"""The longest wait for all answers."""


@dataclass(slots=True)
class Lane:
    """One connection's batches; `Connection` asks it what comes next, as it asks a generator."""

    bodies: deque[tuple[float, int, bytes]]
    """Seconds after the start when it is due, transactions, request."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from a request to its answer."""
    refused: list[str] = field(default_factory=list)
    """Answers that are no results."""
    sent_at: float = 0.0
    """When the request in flight was sent; 0 if there is none."""
    connection: Connection | None = None
    """Where it talks."""

    def send_due(self, now: float, start: float) -> None:
        """Send the next request if its time has come."""
        if self.sent_at or not self.bodies or start + self.bodies[0][0] > now:
            return
        assert self.connection is not None
        self.sent_at = now
        self.connection.write(self.bodies[0][2])

    def take(self, answer: bytes, now: float) -> None:
        """The answer to the request in flight."""
        _, count, _ = self.bodies.popleft()
        self.latencies.append(now - self.sent_at)
        self.sent_at = 0.0
        if answer.count(b'"result"') != count:
            errors = [one for one in orjson.loads(answer) if "error" in one]
            self.refused += [str(one["error"]) for one in errors]


def planned(lanes: Sequence[Sequence[str]], rate: float, calls: int) -> list[Lane]:
    """Every lane's requests, in turn, so that all together are as fast as they are meant to be."""
    step_s = calls / rate if rate else 0.0
    made: list[Lane] = []
    for place, raws in enumerate(lanes):
        bodies: deque[tuple[float, int, bytes]] = deque()
        source = iter(raws)
        while portion := list(islice(source, calls)):
            body = b",".join(call("eth_sendRawTransaction", raw) for raw in portion)
            due = step_s * (len(bodies) * len(lanes) + place)
            bodies.append((due, len(portion), b"[" + body + b"]"))
        made.append(Lane(bodies))
    return made


def drive(port: int, lanes: Sequence[Lane]) -> float:
    """Send everything; seconds until the last answer."""
    selector = selectors.DefaultSelector()
    for lane in lanes:
        lane.connection = Connection(port)
        selector.register(lane.connection.socket, selectors.EVENT_READ, lane)
    start = time.perf_counter()
    while any(lane.bodies for lane in lanes):
        now = time.perf_counter()
        assert now < start + DEADLINE_S, "not every answer came in time"
        for lane in lanes:
            lane.send_due(now, start)
        dues = [start + lane.bodies[0][0] for lane in lanes if lane.bodies and not lane.sent_at]
        wait_s = max(0.0, min(dues) - time.perf_counter()) if dues else 1.0
        for key, _ in selector.select(wait_s):
            lane = key.data
            answer = lane.connection.read()
            if answer is not None:
                lane.take(answer, time.perf_counter())
    return time.perf_counter() - start


def main() -> None:
    """Send with the arguments' numbers."""
    port, rate, calls, file = sys.argv[1:]
    given: list[list[str]] = orjson.loads(Path(file).read_bytes())
    lanes = planned(given, float(rate), int(calls))
    seconds = drive(int(port), lanes)
    refused = [one for lane in lanes for one in lane.refused]
    latencies = sorted(one for lane in lanes for one in lane.latencies)
    found = {
        "sent": sum(map(len, given)),
        "seconds": seconds,
        "refused": len(refused),
        "refusals": refused[:5],
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
    }
    sys.stdout.buffer.write(orjson.dumps(found))


if __name__ == "__main__":
    main()
