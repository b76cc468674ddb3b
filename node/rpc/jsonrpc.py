"""JSON-RPC 2.0 as geth speaks it: bytes to calls, results and errors to bytes.

    body -> parse -> [read_call] -> (method, params, id) -> handler -> result_text | error_text -> body

Codes and messages are geth's (rpc/errors.go, rpc/json.go), for wallets compare them.
Deliberately absent: methods, connections, time. This module is pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

PARSE_ERROR: Final = -32700
"""The body is no JSON."""
INVALID_REQUEST: Final = -32600
"""JSON, but no call; also an empty or too large batch."""
METHOD_NOT_FOUND: Final = -32601
"""No such method, or no notifications on this transport."""
INVALID_PARAMS: Final = -32602
"""An argument is missing, surplus or malformed."""
INTERNAL_ERROR: Final = -32603
"""The handler failed in a way it should not."""
SERVER_ERROR: Final = -32000
"""What geth answers when an error has no code of its own."""
LIMIT_EXCEEDED: Final = -32005
"""More is asked for than is given (EIP-1474); indexers ask for less then."""
TIMED_OUT: Final = -32002
"""The call took longer than it may."""
RESPONSE_TOO_LARGE: Final = -32003
"""The answer is longer than a response may be."""
CLIENT_LIMIT: Final = -38026
"""More is asked for than one call may: `eth_simulateV1` and `eth_getStorageValues`."""
REVERTED: Final = 3
"""The EVM reverted; `data` holds what it returned."""

BATCH_CALLS_MAX: Final = 1_000
"""Calls in one batch: geth's limit."""
VALUES_MAX: Final = 131_072
"""Values in one request: 5 MiB of `[],` would hold up the loop for half a second; these take at most a tenth of one."""
BODY_BYTES_MAX: Final = 5 << 20
"""Length of a request: geth's limit for HTTP."""
RESPONSE_BYTES_MAX: Final = 64 << 20
"""Length of a response, a whole batch included: the largest block with traces fits, memory does not run out."""


class NoIdentity:
    """Stands for an absent id: the message is a notification and gets no answer."""


NOTIFICATION: Final = NoIdentity()
"""The absent id."""

Call = tuple[str, object, object]
"""Method, params (None when absent) and id (NOTIFICATION when absent)."""


class RpcError(Exception):
    """What a caller is told instead of a result."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        """JSON-RPC error code."""
        self.message = message
        """One line, as geth words it."""
        self.data = data
        """Further detail, JSON; None leaves it out."""


class StrayAnswer(Exception):
    """A message that answers a call, which nobody here has made: it is passed over, as geth passes it over."""


class InvalidRequest(RpcError):
    """A message that is no call; carries the id when it has one."""

    def __init__(self, message: str = "invalid request", identity: object = None) -> None:
        super().__init__(INVALID_REQUEST, message)
        self.identity = identity
        """Its id, or None."""


def parse(body: bytes) -> object:
    """Decode a body. Raises RpcError with code -32700 when it is no JSON, InvalidRequest when it holds too many values."""
    if len(body) > VALUES_MAX and _values_at_most(body) > VALUES_MAX:
        raise InvalidRequest(f"too many values in one request (max {VALUES_MAX})")
    try:
        message: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RpcError(PARSE_ERROR, "parse error") from None
    calls = message if type(message) is list else (message,)
    for call in calls:
        if type(call) is dict and type(call.get("id")) is float:
            _restore_ids(body, calls)
            break
    return message


class _Verbatim(str):
    """A number as it was written."""

    __slots__ = ()


def _restore_ids(body: bytes, calls: Sequence[object]) -> None:
    """Put ids that are numbers back as they were written: above 64 bits, and with a fraction, decoding loses digits.

    Raises InvalidRequest when the body is nested more deeply than Python decodes.
    """
    try:
        written = json.loads(body, parse_int=_Verbatim, parse_float=_Verbatim)
    except RecursionError:
        raise InvalidRequest("request nested too deeply") from None
    for call, exact in zip(calls, written if isinstance(written, list) else [written], strict=True):
        if isinstance(call, dict) and isinstance(exact.get("id"), _Verbatim):
            call["id"] = orjson.Fragment(exact["id"].encode())


def _values_at_most(body: bytes) -> int:
    """Bound the number of values from above, without decoding: what separates and opens them is counted, in strings too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def read_call(message: object) -> Call:
    """Read one message of a batch, or a single one. Raises InvalidRequest when it is no call, StrayAnswer for an answer."""
    if type(message) is not dict:
        raise InvalidRequest
    identity = message.get("id", NOTIFICATION)
    if isinstance(identity, (dict, list)):
        raise InvalidRequest
    method = message.get("method")
    if method is None and identity is not NOTIFICATION and _is_answer(message):
        raise StrayAnswer
    if type(method) is not str or not method or message.get("jsonrpc") != "2.0":
        raise InvalidRequest(identity=None if identity is NOTIFICATION else identity)
    return method, message.get("params"), identity


def _is_answer(message: Mapping[str, object]) -> bool:
    """Whether a message without a method is an answer (geth's `isResponse`)."""
    if message.get("params") is not None or message.get("jsonrpc") != "2.0":
        return False
    return message.get("result") is not None or message.get("error") is not None


def check_batch(messages: Sequence[object]) -> None:
    """Refuse an empty batch and one that is too long. Raises InvalidRequest."""
    if not messages:
        raise InvalidRequest("empty batch")
    if len(messages) > BATCH_CALLS_MAX:
        raise InvalidRequest("batch too large", _first_identity(messages))


def _first_identity(messages: Sequence[object]) -> object:
    """The id of the first call: the best place for an error that concerns a whole batch."""
    for message in messages[:BATCH_CALLS_MAX]:
        try:
            _, _, identity = read_call(message)
        except (InvalidRequest, StrayAnswer):
            continue
        if identity is not NOTIFICATION:
            return identity
    return None


def result_text(identity: object, result: object) -> bytes:
    """Encode an answer. Bytes that are JSON already go in as orjson.Fragment."""
    return orjson.dumps({"jsonrpc": "2.0", "id": identity, "result": result})


def error_text(identity: object, error: RpcError) -> bytes:
    """Encode an error answer."""
    body: dict[str, object] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return orjson.dumps({"jsonrpc": "2.0", "id": identity, "error": body})


def too_large_text(identity: object) -> bytes:
    """Encode what is answered when the response would be too long."""
    return error_text(identity, RpcError(RESPONSE_TOO_LARGE, "response too large"))


def timed_out_text(identity: object) -> bytes:
    """Encode what is answered when the time of a batch is over."""
    return error_text(identity, RpcError(TIMED_OUT, "request timed out"))


def batch_text(answers: Sequence[bytes]) -> bytes:
    """Join the answers of a batch, in the order of its calls, copying each once: they may be long."""
    parts = [b"["]
    for answer in answers:
        parts += (answer, b",")
    parts[-1] = b"]"
    return b"".join(parts)


def subscription_text(subscription: str, result: bytes) -> bytes:
    """Encode an event of a subscription; `result` is JSON already."""
    return (
        b'{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"%b","result":%b}}'
        % (subscription.encode("ascii"), result)
    )


def method_not_found(method: str) -> RpcError:
    """The error for a method that is not there."""
    return RpcError(METHOD_NOT_FOUND, f"the method {method[:128]} does not exist/is not available")


def revert_error(output: bytes, reason: str | None) -> RpcError:
    """The error for a reverted call: geth puts the decoded reason behind a colon."""
    message = "execution reverted" if reason is None else f"execution reverted: {reason}"
    return RpcError(REVERTED, message, "0x" + output.hex())
