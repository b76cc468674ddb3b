"""A small blocking JSON-RPC client for commands and for the supervisor's threads."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import orjson
from pydantic import JsonValue

ANSWER_BYTES_MAX: Final = 64 << 20
"""An RPC answer is never longer."""


class RpcUnavailable(Exception):
    """Nobody answers there, or not in time, or not JSON-RPC."""


class NobodyListens(RpcUnavailable):
    """The port is closed, or no host has the name: no process serves there."""


class RpcRefused(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: JsonValue = None) -> None:
        super().__init__(message)
        self.code = code
        """Its code."""
        self.data = data
        """What came with it: of a call that reverted, the revert data as hex."""


Call = tuple[str, Sequence[JsonValue]]
"""Method and parameters."""


def call(url: str, method: str, *parameters: JsonValue, timeout_s: float = 5.0) -> JsonValue:
    """Call one method. Raises RpcUnavailable, RpcRefused."""
    [answer] = batch(url, [(method, parameters)], timeout_s=timeout_s)
    if isinstance(answer, RpcRefused):
        raise answer
    return answer


def batch(
    url: str, calls: Sequence[Call], *, timeout_s: float = 5.0
) -> list[JsonValue | RpcRefused]:
    """Call several methods at once; answers in order. Raises RpcUnavailable."""
    body = [
        {"jsonrpc": "2.0", "id": place, "method": method, "params": list(parameters)}
        for place, (method, parameters) in enumerate(calls)
    ]
    status, raw = request(url, "POST", orjson.dumps(body), timeout_s=timeout_s)
    try:
        answers = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RpcUnavailable(f"{url}: HTTP {status} without JSON") from error
    if not isinstance(answers, list) or len(answers) != len(calls):
        raise RpcUnavailable(f"{url}: HTTP {status} without an answer to every call")
    return [_result(answer) for answer in answers]


def request(
    url: str, method: str, body: bytes | None = None, *, timeout_s: float
) -> tuple[int, bytes]:
    """One HTTP request: status and body. Raises RpcUnavailable."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=timeout_s
    )
    headers = {} if body is None else {"content-type": "application/json"}
    try:
        connection.request(method, parts.path or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read(ANSWER_BYTES_MAX)
    except (ConnectionRefusedError, socket.gaierror) as error:
        raise NobodyListens(f"{url}: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise RpcUnavailable(f"{url}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def _result(answer: object) -> JsonValue | RpcRefused:
    if not isinstance(answer, dict):
        return RpcRefused(-32603, "an answer that is no object")
    if "error" in answer:
        error = answer["error"]
        code, message = int(error.get("code", -32603)), str(error.get("message", ""))
        return RpcRefused(code, message, error.get("data"))
    result: JsonValue = answer.get("result")
    return result
