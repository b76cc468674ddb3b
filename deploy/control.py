"""How commands speak to the supervisor of a running devnet: one JSON line each way over a Unix socket.

    faultline down|status|processes -> ask() -> supervisor.sock -> serve_control -> handler -> answer

The lock (deploy.lock) says who runs, so a socket left behind by a killed supervisor is never mistaken for a running one.
Deliberately absent: access control beyond the socket's mode; whoever may open it owns the data anyway.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import orjson
import trio
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from deploy.layout import Layout
from deploy.lock import is_running

REQUEST_BYTES_MAX: Final = 4_096
"""A request is never longer."""

ANSWER_BYTES_MAX: Final = 1 << 20
"""Nor is an answer."""

REQUEST_DEADLINE_S: Final = 10.0
"""A request must have arrived by then."""

CONNECTIONS_MAX: Final = 32
"""Commands that wait for an answer at once."""

Action = Literal["status", "down", "stop", "start", "restart", "kill"]
"""What may be asked of a supervisor."""


class NotRunning(Exception):
    """No supervisor runs on this data."""


class Refused(Exception):
    """The supervisor could not do what it was asked; the message says why."""


class Request(BaseModel):
    """One command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    """What to do."""
    process: str = ""
    """Which process; empty where the action concerns all."""


Handler = Callable[[Request], Awaitable[JsonValue]]
"""Carries out a request; raises Refused."""


def ask(layout: Layout, request: Request, *, deadline_s: float) -> JsonValue:
    """Ask the supervisor of this data and wait for its answer.

    Raises:
        NotRunning: when there is none.
        Refused: when it could not do it, or did not answer in time.
    """
    if not is_running(layout):
        raise NotRunning(f"no devnet runs on {layout.data}")
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(deadline_s)
            stream.connect(str(layout.socket))
            stream.sendall(request.model_dump_json().encode() + b"\n")
            received = b""
            while not received.endswith(b"\n") and len(received) <= ANSWER_BYTES_MAX:
                part = stream.recv(1 << 16)
                if not part:
                    break
                received += part
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Refused("the devnet is starting or stopping; try again in a moment") from error
    except (TimeoutError, ConnectionError) as error:
        raise Refused(f"the supervisor did not answer: {error}") from error
    if not received.endswith(b"\n"):
        raise Refused("the supervisor went away before it answered")
    answer = orjson.loads(received)
    if "refused" in answer:
        raise Refused(str(answer["refused"]))
    result: JsonValue = answer["result"]
    return result


async def serve_control(
    path: Path,
    handler: Handler,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer commands at a socket that only its owner may open; a file left there by a killed supervisor is replaced."""
    listener = trio.socket.from_stdlib_socket(_listen(path))
    limiter = trio.CapacityLimiter(CONNECTIONS_MAX)

    async def handle(stream: trio.SocketStream) -> None:
        async with stream, limiter:
            await _serve_command(stream, handler)

    task_status.started()
    try:
        await trio.serve_listeners(handle, [trio.SocketListener(listener)])
    finally:
        _forget(path)


def _listen(path: Path) -> socket.socket:
    _forget(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(CONNECTIONS_MAX)
    return listener


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _serve_command(stream: trio.SocketStream, handler: Handler) -> None:
    try:
        with trio.fail_after(REQUEST_DEADLINE_S):
            line = await _receive_line(stream)
        answer = await _answer(line, handler)
        with trio.fail_after(REQUEST_DEADLINE_S):
            await stream.send_all(orjson.dumps(answer) + b"\n")
    except (trio.TooSlowError, trio.BrokenResourceError):
        return  # The command is gone; what it asked for is done all the same.


async def _receive_line(stream: trio.SocketStream) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < REQUEST_BYTES_MAX:
        part = await stream.receive_some(REQUEST_BYTES_MAX)
        if not part:
            break
        line += part
    return line


async def _answer(line: bytes, handler: Handler) -> dict[str, JsonValue]:
    try:
        request = Request.model_validate_json(line)
    except ValidationError as error:
        return {"refused": f"not understood: {error}"}
    try:
        return {"result": await handler(request)}
    except Refused as error:
        return {"refused": str(error)}
