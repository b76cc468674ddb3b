"""From a request body to the response body.

    body -> parse -> read_call -> method table -> handler -> result | error -> body

A handler is a plain function for what takes microseconds and runs in place, without a task; for what takes longer it
returns a coroutine, and so does `Dispatcher.answer`; for what others will tell it returns a `Later`, which needs no task
either. A batch is a coroutine that gives way to other tasks between calls.
What a handler may raise: RpcError, InvalidCall, MissingState. Corruption passes through and stops the process.
Anything else is a bug: it is logged with its traceback and counted, and the caller is told what geth tells when a handler
panics. It must not stop a validator, for then one odd request could.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import Final, Protocol

import structlog
import trio

from node.errors import Corruption, InvalidCall, MissingState
from node.rpc import jsonrpc
from node.rpc.jsonrpc import (
    INTERNAL_ERROR,
    LIMIT_EXCEEDED,
    NOTIFICATION,
    SERVER_ERROR,
    InvalidRequest,
    RpcError,
    StrayAnswer,
)
from node.rpc.later import Later
from node.rpc.metrics import CRASH, ERROR, SUCCESS, RpcMetrics
from node.rpc.parameters import Params, positional

SLICE_S: Final = 0.002
"""A task that serves many calls at once gives way to others after this long."""


BATCH_WITHIN_S: Final = 50.0
"""A batch begins no call after this long: with the longest call, a trace, its answer still comes in time."""


LARGE_BATCH_BYTES: Final = 1 << 20
"""A batch whose answer has grown to this length goes on only in its turn."""

LARGE_BATCHES_AT_ONCE: Final = 2
"""So many go on beside each other: forty answers of 60 MB that were put together at once took 1.5 GB and the loop for seconds."""


COUNTED_BYTES_MIN: Final = 64 << 10
"""Requests that are answered later count from this length on: a thousand of shorter ones are 64 MiB."""

HELD_BYTES_MAX: Final = 128 << 20
"""Bytes of such requests that wait or run; a thousand calls of 5 MiB could wait for two threads."""


class Session(Protocol):
    """A connection that can be sent events: a WebSocket."""

    def push(self, message: bytes) -> None:
        """Queue a message; a peer whose queue is full is cut off. Never waits."""

    def cut_off(self) -> None:
        """End the connection without a word."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    origin: str | None = None
    """The web page the call comes from, as the browser names it; None for a program."""
    session: Session | None = None
    """Where subscriptions are sent; None over plain HTTP."""


Answer = bytes | Coroutine[object, object, bytes] | Later[bytes]
"""A response body, or what will give it; empty where nothing is owed."""

Handler = Callable[[Params, Caller], object]
"""Gives a result that orjson can encode, a coroutine that will, or a Later that holds it or an Exception."""


@dataclass(frozen=True, slots=True)
class Method:
    """An entry of the method table."""

    handler: Handler
    """Answers a call."""
    arguments_max: int
    """More arguments than these are refused."""
    side_by_side: bool = False
    """Whether several that follow each other in a batch are begun before the first has ended: those that answer a Later."""


class Dispatcher:
    """Answers request bodies by a table of methods."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        metrics: RpcMetrics,
        *,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`timer` tells seconds since any moment; it measures calls."""
        self._methods = methods
        self._metrics = metrics
        self._timer = timer
        self._side_by_side = frozenset(name for name, one in methods.items() if one.side_by_side)
        self._large_batches = trio.Semaphore(LARGE_BATCHES_AT_ONCE)
        self._held_bytes = 0
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def answer(self, body: bytes, caller: Caller) -> Answer:
        """Answer a body: a call or a batch. Empty for notifications and for an empty body."""
        try:
            message = jsonrpc.parse(body)
        except RpcError as error:
            return jsonrpc.error_text(None, error) if body.strip() else b""
        if type(message) is list:
            answer = self._batch(message, caller)
            return answer if len(body) < COUNTED_BYTES_MIN else self._hold(answer, len(body))
        return self._call(message, caller, len(body))

    async def _hold(self, answer: Coroutine[object, object, bytes], size: int) -> bytes:
        """An answer whose request of `size` bytes counts as long as it is under way; an error where there is no room."""
        if self._held_bytes + size > HELD_BYTES_MAX:
            answer.close()
            return jsonrpc.error_text(None, _busy())
        self._held_bytes += size
        try:
            return await answer
        finally:
            self._held_bytes -= size

    def _call(self, message: object, caller: Caller, size: int = 0) -> Answer:
        """Answer a call, of a request of `size` bytes if it is one of its own."""
        try:
            method, params, identity = jsonrpc.read_call(message)
        except InvalidRequest as error:
            return jsonrpc.error_text(error.identity, error)
        except StrayAnswer:
            return b""
        started = self._timer()
        entry = self._methods.get(method)
        if entry is None:
            return self._fail(jsonrpc.method_not_found(method), method, identity, started)
        try:
            result = entry.handler(positional(params, entry.arguments_max), caller)
            if type(result) is CoroutineType:
                return self._finish(result, method, identity, started, size)
            if type(result) is Later:
                return self._finish_later(result, method, identity, started)
            return self._succeed(result, method, identity, started)
        except Corruption:
            raise
        except Exception as error:  # noqa: BLE001  # see the module's docstring
            return self._fail(error, method, identity, started)

    async def _finish(
        self,
        result: Coroutine[object, object, object],
        method: str,
        identity: object,
        started: float,
        size: int,
    ) -> bytes:
        counted = size if size >= COUNTED_BYTES_MIN else 0
        if counted and self._held_bytes + counted > HELD_BYTES_MAX:
            result.close()
            return self._fail(_busy(), method, identity, started)
        self._held_bytes += counted
        try:
            return self._succeed(await result, method, identity, started)
        except Corruption:
            raise
        except Exception as error:  # noqa: BLE001  # see the module's docstring
            return self._fail(error, method, identity, started)
        finally:
            self._held_bytes -= counted

    def _finish_later(
        self, result: Later[object], method: str, identity: object, started: float
    ) -> bytes | Later[bytes]:
        answer: Later[bytes] = Later()

        def told(value: object) -> None:
            if isinstance(value, Exception):
                answer.settle(self._fail(value, method, identity, started))
            else:
                answer.settle(self._succeed(value, method, identity, started))

        result.then(told)
        return answer.value if answer.settled else answer

    def _succeed(self, result: object, method: str, identity: object, started: float) -> bytes:
        if identity is NOTIFICATION:
            text = b""
        else:
            text = jsonrpc.result_text(identity, result)
            if len(text) > jsonrpc.RESPONSE_BYTES_MAX:
                text = jsonrpc.too_large_text(identity)
        self._metrics.record(method, SUCCESS, self._timer() - started)
        return text

    def _fail(self, error: Exception, method: str, identity: object, started: float) -> bytes:
        told, outcome = as_rpc_error(error), ERROR
        if told is None:
            outcome = CRASH
            told = RpcError(INTERNAL_ERROR, "method handler crashed")
            self._log.error("rpc_handler_crashed", method=method[:128], exc_info=error)
        self._metrics.record(method, outcome, self._timer() - started)
        return b"" if identity is NOTIFICATION else jsonrpc.error_text(identity, told)

    async def _batch(self, messages: list[object], caller: Caller) -> bytes:
        try:
            jsonrpc.check_batch(messages)
        except InvalidRequest as error:
            text = jsonrpc.error_text(error.identity, error)
            return jsonrpc.batch_text([text]) if messages else text
        answers: list[bytes] = []
        with ExitStack() as ending:
            await self._answer_each(messages, caller, answers, ending)
            answers = list(filter(None, answers))
            return jsonrpc.batch_text(answers) if answers else b""

    async def _answer_each(
        self, messages: list[object], caller: Caller, answers: list[bytes], ending: ExitStack
    ) -> None:
        """Fill in the answers; `ending` gives back the turn of a large batch."""
        batch = _Batch(answers, self._timer() + BATCH_WITHIN_S)
        has_turn = False
        slice_end = self._timer() + SLICE_S
        for message in messages:
            if batch.owed and not self._is_side_by_side(message):
                await batch.settle(self._timer())  # What follows a send sees what it did.
            answer: Answer
            if batch.size > jsonrpc.RESPONSE_BYTES_MAX:
                answer = _refuse(message, jsonrpc.too_large_text)
            elif self._timer() > batch.end:
                answer = _refuse(message, jsonrpc.timed_out_text)
            else:
                answer = self._call(message, caller)
            if type(answer) is CoroutineType:
                answer = await answer
            assert isinstance(answer, (bytes, Later))
            batch.add(message, answer)
            if batch.size > LARGE_BATCH_BYTES and not has_turn:
                has_turn = True
                await self._large_batches.acquire()
                ending.callback(self._large_batches.release)
            if self._timer() > slice_end:
                await trio.lowlevel.checkpoint()
                slice_end = self._timer() + SLICE_S
        if batch.owed:
            await batch.settle(self._timer())

    def _is_side_by_side(self, message: object) -> bool:
        method = message.get("method") if isinstance(message, dict) else None
        return isinstance(method, str) and method in self._side_by_side


def _busy() -> RpcError:
    return RpcError(LIMIT_EXCEEDED, "too many long requests in progress")


class _Batch:
    """The answers of a batch so far, in the order of its calls."""

    def __init__(self, answers: list[bytes], end: float) -> None:
        """`end`: when what is owed is given up, on the dispatcher's timer."""
        self.end: Final = end
        self.size = 0
        """Bytes of the answers, with those that were too many."""
        self.owed: dict[int, object] = {}
        """Calls that are answered later, by their place."""
        self._answers: Final = answers
        self._nothing_owed = trio.Event()

    def add(self, message: object, answer: bytes | Later[bytes]) -> None:
        """The answer of the next call."""
        place = len(self._answers)
        self._answers.append(b"")
        self.owed[place] = message
        if isinstance(answer, Later):
            answer.then(partial(self._fill, place))
        else:
            self._fill(place, answer)

    async def settle(self, now: float) -> None:
        """Wait until nothing is owed any more; what still is at the end timed out."""
        self._nothing_owed = trio.Event()
        with trio.move_on_after(max(0.0, self.end - now)):
            await self._nothing_owed.wait()
        for place, message in list(self.owed.items()):
            self._fill(place, _refuse(message, jsonrpc.timed_out_text))

    def _fill(self, place: int, answer: bytes) -> None:
        """Long answers are let go as they come, not when the batch is complete: there may be a thousand."""
        if place not in self.owed:
            return  # it came too late
        message = self.owed.pop(place)
        if self.size + len(answer) > jsonrpc.RESPONSE_BYTES_MAX:
            self.size += len(answer)
            answer = _refuse(message, jsonrpc.too_large_text)
        self._answers[place] = answer
        self.size += len(answer)
        if not self.owed:
            self._nothing_owed.set()


def _refuse(message: object, text: Callable[[object], bytes]) -> bytes:
    """What a call of a batch is answered when there is no room or time left; `text` is told its id."""
    try:
        _, _, identity = jsonrpc.read_call(message)
    except InvalidRequest as error:
        return jsonrpc.error_text(error.identity, error)
    except StrayAnswer:
        return b""
    return b"" if identity is NOTIFICATION else text(identity)


def as_rpc_error(error: Exception) -> RpcError | None:
    """What a caller is told; None for a bug."""
    match error:
        case RpcError():
            return error
        case InvalidCall():
            return RpcError(error.code, str(error))
        case MissingState():
            return RpcError(SERVER_ERROR, str(error) or "historical state is not available")
        case _:
            return None
