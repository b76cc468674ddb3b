"""Requests: one stream, one question, one answer, every step with a deadline and a bound.

    request() -> open stream -> [length, body] -> peer's handler -> [length, answer] -> bytes

What the bytes mean is decided above; here they are opaque. A refusal is a reset stream, which the asker sees as RequestFailed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
import trio

from node.errors import Rejected
from node.p2p.faults import LinkFaults
from node.p2p.host import Host
from node.p2p.limits import Allowance, TokenBucket
from node.p2p.metrics import Direction, Metrics, Outcome
from node.p2p.network import PeerId, RequestFailed, RequestHandler, RequestKind
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset
from node.p2p.wire import PREFIX_BYTES, decode_prefix, encode_prefix

log = structlog.get_logger()

IO_TIMEOUT_S: Final = 10.0
"""Deadline of every read and write of a request."""

HANDLER_TIMEOUT_S: Final = 10.0
"""A handler that has not answered by then is cancelled."""

IN_FLIGHT_MAX: Final = 64
"""Requests that we have open, and requests of others that we serve, each; further ones of others are refused."""

IN_FLIGHT_PER_PEER_MAX: Final = 16
"""Requests of one peer that we serve at once."""

STRANGERS_IN_FLIGHT_MAX: Final = 32
"""Requests of all strangers that we serve at once: identities are free, and the rest is for those that we were told of."""

REQUEST_RATE_PER_S: Final = 50.0
"""Requests a peer may make each second."""

REQUEST_BURST: Final = 200.0
"""Requests it may make at once after a pause: a node that syncs asks for 64 blocks a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRule:
    """Bounds of one kind of request."""

    request_bytes_max: int
    """Longest question."""
    answer_bytes_max: int
    """Longest answer."""


REQUEST_RULES: Final[Mapping[RequestKind, RequestRule]] = {
    RequestKind.STATUS: RequestRule(request_bytes_max=4 * 1024, answer_bytes_max=4 * 1024),
    RequestKind.BLOCKS_BY_RANGE: RequestRule(
        request_bytes_max=1024, answer_bytes_max=16 * 1024 * 1024
    ),
    RequestKind.BLOCKS_BY_ROOT: RequestRule(
        request_bytes_max=4 * 1024, answer_bytes_max=16 * 1024 * 1024
    ),
    RequestKind.TRANSACTIONS: RequestRule(
        request_bytes_max=64 * 1024, answer_bytes_max=4 * 1024 * 1024
    ),
    RequestKind.BLOBS: RequestRule(request_bytes_max=1024, answer_bytes_max=1024 * 1024),
    RequestKind.STATE: RequestRule(request_bytes_max=4 * 1024, answer_bytes_max=4 * 1024 * 1024),
    RequestKind.L2_BLOCKS: RequestRule(
        request_bytes_max=4 * 1024, answer_bytes_max=16 * 1024 * 1024
    ),
    RequestKind.L2_SUBMIT: RequestRule(request_bytes_max=1024 * 1024, answer_bytes_max=1024 * 1024),
}
"""An answer of blocks stops at its bound, whatever was asked for; the asker asks again from there."""


class Requests:
    """Asks, and answers, all kinds of requests."""

    def __init__(
        self,
        host: Host,
        names: Mapping[RequestKind, str],
        faults: LinkFaults,
        metrics: Metrics,
        configured: frozenset[PeerId],
        allowance: Allowance,
    ) -> None:
        """`configured` are the peers that we were told of; the rest are strangers, who share an allowance."""
        self._host = host
        self._names = dict(names)
        self._faults = faults
        self._metrics = metrics
        self._configured = configured
        self._allowance = allowance
        self._asking = trio.Semaphore(IN_FLIGHT_MAX)
        self._serving = 0
        self._serving_by_peer: dict[PeerId, int] = {}
        self._buckets: dict[PeerId, TokenBucket] = {}

    def serve(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Answer a kind of request; before `run`."""

        async def serve_stream(stream: Stream) -> None:
            await self._serve(kind, handler, stream)

        self._host.serve(self._names[kind], serve_stream)

    def disconnected(self, peer: PeerId) -> None:
        """A peer is gone."""
        self._buckets.pop(peer, None)

    async def request(
        self, peer: PeerId, kind: RequestKind, body: bytes, *, timeout_s: float
    ) -> bytes:
        """Ask one peer. Raises RequestFailed."""
        assert len(body) <= REQUEST_RULES[kind].request_bytes_max, f"{kind}: {len(body)} bytes"
        outcome = Outcome.FAILED
        try:
            with trio.fail_after(timeout_s):
                async with self._asking:
                    await trio.sleep(self._faults.delay_s())
                    answer = await self._ask(peer, kind, body)
            outcome = Outcome.ANSWERED
        except (StreamReset, trio.TooSlowError) as error:
            raise RequestFailed(f"{kind} to {peer}: {error!r}") from error
        except Rejected as error:
            self._host.blame(peer, Misbehaviour(error.reason), error.message)
            raise RequestFailed(f"{kind} to {peer}: {error}") from error
        finally:
            self._metrics.count_request(kind, Direction.OUT, outcome)
        return answer

    async def _ask(self, peer: PeerId, kind: RequestKind, body: bytes) -> bytes:
        name = self._names[kind]
        with trio.fail_after(IO_TIMEOUT_S):
            stream = await self._host.open_stream(peer, name)
        try:
            with trio.fail_after(IO_TIMEOUT_S):
                await stream.write(encode_prefix(len(body)) + body)
                await stream.close_write()
            return await _read_message(stream, REQUEST_RULES[kind].answer_bytes_max)
        finally:
            await stream.reset()

    async def _serve(self, kind: RequestKind, handler: RequestHandler, stream: Stream) -> None:
        """Answer one request, if the peer and we have room for it."""
        peer, outcome = stream.peer_id, Outcome.FAILED
        try:
            self._admit(peer)
        except Rejected:
            self._metrics.count_request(kind, Direction.IN, Outcome.DROPPED)
            raise
        try:
            body = await _read_message(stream, REQUEST_RULES[kind].request_bytes_max)
            answer = await self._answer_allowed(handler, peer, body)
            await trio.sleep(self._faults.delay_s())
            await _write_message(stream, answer, REQUEST_RULES[kind].answer_bytes_max)
            await stream.close_write()
            outcome = Outcome.ANSWERED
        except Rejected:
            outcome = Outcome.REJECTED
            raise
        finally:
            self._leave(peer)
            self._metrics.count_request(kind, Direction.IN, outcome)

    def _admit(self, peer: PeerId) -> None:
        bucket = self._buckets.setdefault(
            peer, TokenBucket(rate_per_s=REQUEST_RATE_PER_S, burst=REQUEST_BURST)
        )
        if not bucket.take(trio.current_time()):
            raise Rejected(Misbehaviour.REQUEST_FLOOD, "too many requests")
        of_peer = self._serving_by_peer.get(peer, 0)
        if of_peer >= IN_FLIGHT_PER_PEER_MAX:
            raise Rejected(Misbehaviour.REQUEST_FLOOD, "too many requests at once")
        if self._serving >= IN_FLIGHT_MAX:
            raise StreamReset("we serve too many requests")
        if peer not in self._configured and self._serving_strangers() >= STRANGERS_IN_FLIGHT_MAX:
            raise StreamReset("we serve too many strangers' requests")
        self._serving += 1
        self._serving_by_peer[peer] = of_peer + 1

    def _serving_strangers(self) -> int:
        return sum(
            count for peer, count in self._serving_by_peer.items() if peer not in self._configured
        )

    def _leave(self, peer: PeerId) -> None:
        self._serving -= 1
        self._serving_by_peer[peer] -= 1
        if not self._serving_by_peer[peer]:
            del self._serving_by_peer[peer]

    async def _answer_allowed(self, handler: RequestHandler, peer: PeerId, body: bytes) -> bytes:
        """The handler's answer, for a stranger when strangers' allowance has room: no work is done before."""
        if peer in self._configured:
            return await self._answer(handler, peer, body)
        answer = b""
        try:
            await self._allowance.wait()
            answer = await self._answer(handler, peer, body)
        finally:
            self._allowance.settle(len(answer))
        return answer

    async def _answer(self, handler: RequestHandler, peer: PeerId, body: bytes) -> bytes:
        """The handler's answer; what it rejects is the peer's fault, whatever reason it gives."""
        try:
            with trio.fail_after(HANDLER_TIMEOUT_S):
                return await handler(peer, body)
        except Rejected as error:
            raise Rejected(Misbehaviour.REJECTED_REQUEST, str(error)) from error


async def _read_message(stream: Stream, bytes_max: int) -> bytes:
    """A length-prefixed message; every read has its deadline."""
    with trio.fail_after(IO_TIMEOUT_S):
        length = decode_prefix(await stream.read_exactly(PREFIX_BYTES), bytes_max)
    message = bytearray()
    while len(message) < length:
        with trio.fail_after(IO_TIMEOUT_S):
            part = await stream.read(length - len(message))
        if not part:
            raise StreamReset("a message ended early")
        message += part
    return bytes(message)


async def _write_message(stream: Stream, message: bytes, bytes_max: int) -> None:
    assert len(message) <= bytes_max, f"an answer of {len(message)} bytes, at most {bytes_max}"
    with trio.fail_after(IO_TIMEOUT_S):
        await stream.write(encode_prefix(len(message)) + message)
