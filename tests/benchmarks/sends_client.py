"""Transactions for a JSON-RPC server until every receipt is there; prints a JSON object.

    python -m tests.benchmarks.sends_client PORT FORM FILE

FILE holds JSON: for each connection its transactions, hex, in the order of their nonces. FORM is one of
`send` (a send, then its receipt, one transaction after the other), `sync` (`eth_sendRawTransactionSync`, likewise),
`single` (all sends, one request each, then all receipts), `batch` (the same in batches of 100).
It runs in a process of its own and does as little as it can, so that the server is what is measured.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import orjson

from node.eth.hashing import keccak256

READ_BYTES = 1 << 20
BATCH_CALLS = 100
POLL_S = 0.002
"""How long a client waits before it asks again for a receipt that is not there."""

Lane = Generator[bytes, bytes, None]
"""What one connection says next, given the last answer."""


def call(method: str, *params: object) -> bytes:
    """A call as JSON."""
    return b'{"jsonrpc":"2.0","id":1,"method":"%b","params":%b}' % (
        method.encode(),
        orjson.dumps(list(params)),
    )


def name(raw: str) -> str:
    """A transaction's hash."""
    return "0x" + keccak256(bytes.fromhex(raw[2:])).hex()


def is_receipt(answer: bytes) -> bool:
    """Whether an answer is a receipt; another answer than null ends the measurement."""
    if b'"result":null' in answer:
        return False
    if b'"transactionHash"' not in answer:
        raise SystemExit(f"no receipt: {answer[:300]!r}")
    return True


def send_lane(raws: Sequence[str], latencies: list[float]) -> Lane:
    """A send, then its receipt."""
    for raw in raws:
        started, wanted = time.perf_counter(), name(raw)
        answer = yield call("eth_sendRawTransaction", raw)
        if wanted.encode() not in answer:
            raise SystemExit(f"not sent: {answer[:300]!r}")
        while not is_receipt((yield call("eth_getTransactionReceipt", wanted))):
            continue
        latencies.append(time.perf_counter() - started)


def sync_lane(raws: Sequence[str], latencies: list[float]) -> Lane:
    """A send that is answered with its receipt."""
    for raw in raws:
        started = time.perf_counter()
        is_receipt((yield call("eth_sendRawTransactionSync", raw)))
        latencies.append(time.perf_counter() - started)


def single_lane(raws: Sequence[str], _: list[float]) -> Lane:
    """All sends, then all receipts."""
    for raw in raws:
        answer = yield call("eth_sendRawTransaction", raw)
        if b'"result"' not in answer:
            raise SystemExit(f"not sent: {answer[:300]!r}")
    for raw in raws:
        wanted = name(raw)
        while not is_receipt((yield call("eth_getTransactionReceipt", wanted))):
            time.sleep(POLL_S)  # noqa: TID251  # a load generator has no loop


def batch_lane(raws: Sequence[str], _: list[float]) -> Lane:
    """All sends, then all receipts, in batches."""
    for start in range(0, len(raws), BATCH_CALLS):
        calls = [call("eth_sendRawTransaction", raw) for raw in raws[start : start + BATCH_CALLS]]
        answer = yield b"[" + b",".join(calls) + b"]"
        if answer.count(b'"result"') != len(calls):
            raise SystemExit(f"not sent: {answer[:300]!r}")
    for start in range(0, len(raws), BATCH_CALLS):
        calls = [
            call("eth_getTransactionReceipt", name(raw))
            for raw in raws[start : start + BATCH_CALLS]
        ]
        while True:
            answer = yield b"[" + b",".join(calls) + b"]"
            if b'"result":null' not in answer:
                break
            time.sleep(POLL_S)  # noqa: TID251  # a load generator has no loop
        if answer.count(b'"transactionHash"') < len(calls):
            raise SystemExit(f"no receipts: {answer[:300]!r}")


LANES = {"send": send_lane, "sync": sync_lane, "single": single_lane, "batch": batch_lane}


class Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nUser-Agent: benchmark\r\n"
            b"Content-Type: application/json\r\nContent-Length: " % port
        )
        self._received = b""

    def write(self, body: bytes) -> None:
        """Send a request."""
        self.socket.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def read(self) -> bytes | None:
        """Take what has come; the answer's body once it is whole."""
        received = self.socket.recv(READ_BYTES)
        if not received:
            raise SystemExit("the server has closed a connection")
        self._received += received
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head = self._received[:end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) < end + length:
            return None
        body, self._received = self._received[end : end + length], b""
        return body


def talk(connection: Connection, lane: Lane) -> bool:
    """Take what has come, and say what comes next; whether there is anything."""
    body = connection.read()
    if body is None:
        return True
    try:
        connection.write(lane.send(body))
    except StopIteration:
        return False
    return True


def load(port: int, form: str, lanes: Sequence[Sequence[str]]) -> dict[str, object]:
    """Send everything and wait for all receipts."""
    selector = selectors.DefaultSelector()
    latencies: list[float] = []
    start = time.perf_counter()
    for raws in lanes:
        connection, lane = Connection(port), LANES[form](raws, latencies)
        connection.write(next(lane))
        selector.register(connection.socket, selectors.EVENT_READ, (connection, lane))
    left = len(lanes)
    while left:
        for key, _ in selector.select(30.0):
            if not talk(*key.data):
                selector.unregister(key.fileobj)
                left -= 1
    elapsed = time.perf_counter() - start
    found: dict[str, object] = {"sent": sum(map(len, lanes)), "seconds": elapsed}
    if latencies:
        latencies.sort()
        found["p50_us"] = latencies[len(latencies) // 2] * 1e6
        found["p99_us"] = latencies[len(latencies) * 99 // 100] * 1e6
    return found


def main() -> None:
    """Measure with the arguments' numbers."""
    port, form, file = sys.argv[1:]
    lanes: list[list[str]] = orjson.loads(Path(file).read_bytes())
    sys.stdout.buffer.write(orjson.dumps(load(int(port), form, lanes)))


if __name__ == "__main__":
    main()
