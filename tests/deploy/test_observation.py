"""What is asked of a process over HTTP, and what becomes of every answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import orjson
import pytest

from deploy.json_rpc import RpcRefused, RpcUnavailable, batch, call
from deploy.observation import Observation, observe

BLOCKS = {"latest": 9, "safe": 7, "finalized": 5}


class Answers(BaseHTTPRequestHandler):
    """A process that answers as `mode` says."""

    mode = "ready"
    batch: ClassVar[dict[str, str] | None] = None

    def do_GET(self) -> None:
        if self.mode in ("ready", "rollup"):
            self._send(200, {"ready": True, "reasons": {}})
        else:
            self._send(503, {"ready": False, "reasons": {"chain": "9 slots behind"}})

    def do_POST(self) -> None:
        calls = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.mode == "nonsense":
            self._send(200, {"not": "a list"})
            return
        self._send(200, [self._answer(one) for one in calls])

    def _answer(self, one: dict[str, object]) -> dict[str, object]:
        if one["method"] == "net_peerCount":
            return {"id": one["id"], "result": "0x3"}
        if one["method"] == "eth_getBlockByNumber":
            parameters = one["params"]
            assert isinstance(parameters, list)
            number = BLOCKS[parameters[0]]
            block = {"number": hex(number), "timestamp": hex(1_000 + number)}
            return {"id": one["id"], "result": block}
        if self.mode == "rollup" and one["method"] == "optimism_syncStatus":
            return {"id": one["id"], "result": {"unsafe_l2": {"l1origin": {"number": 4}}}}
        if self.mode == "rollup" and one["method"] == "rollup_batchOf":
            assert one["params"] == ["safe"]
            return {"id": one["id"], "result": self.batch}
        return {"id": one["id"], "error": {"code": -32601, "message": "not there"}}

    def _send(self, status: int, body: object) -> None:
        encoded = orjson.dumps(body)
        self.send_response(status)
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    Answers.mode = "ready"
    Answers.batch = None


def test_a_ready_process_tells_everything(url: str) -> None:
    assert observe(url, url) == Observation(
        ready=True, reason="", head=9, safe=7, finalized=5, peers=3, head_timestamp=1_009
    )


def test_a_process_of_the_l2_tells_origin_and_batches(url: str) -> None:
    Answers.mode = "rollup"
    seen = observe(url, url, "l2")
    assert (seen.head, seen.origin, seen.batches) == (9, 4, 0)
    Answers.batch = {"recordIndex": "0x4"}
    assert observe(url, url, "l2").batches == 5
    Answers.mode = "ready"  # it serves neither method
    seen = observe(url, url, "l2")
    assert (seen.head, seen.origin, seen.batches) == (9, None, None)


def test_a_process_that_is_not_ready_tells_why(url: str) -> None:
    Answers.mode = "behind"
    seen = observe(url, url)
    assert (seen.ready, seen.reason, seen.head) == (False, "chain: 9 slots behind", 9)


def test_nobody_there_is_said_and_not_raised() -> None:
    seen = observe("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert (seen.ready, seen.head) == (False, None)
    assert "127.0.0.1:1" in seen.reason


def test_errors_are_told_apart(url: str) -> None:
    with pytest.raises(RpcRefused, match="not there") as refused:
        call(url, "eth_unknown")
    assert refused.value.code == -32601
    Answers.mode = "nonsense"
    with pytest.raises(RpcUnavailable, match="without an answer to every call"):
        batch(url, [("net_peerCount", [])])
    with pytest.raises(RpcUnavailable):
        call("http://127.0.0.1:1", "eth_chainId", timeout_s=1.0)
