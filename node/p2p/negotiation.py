"""multistream-select in one write a side: what is certain to be said is said at once.

    us, asking:    "/multistream/1.0.0" "/faultline/..."  ->  both answers  ->  the question
    us, answering: a header with a protocol behind it     ->  both answers in one write
                   a header alone                         ->  a header, and then as it comes

Upstream waits for each answer before it says more: two round trips and twice the writes for each stream, of which a request has
one. The specification allows either; go and js write as we do, and who waits is waited for.
Deliberately absent: the question beside the protocol, before the peer is known to serve it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio
from libp2p.abc import IMultiselectCommunicator
from libp2p.custom_types import StreamHandlerFn, TProtocol
from libp2p.io.exceptions import IOException
from libp2p.network.stream.net_stream import NetStream
from libp2p.protocol_muxer.exceptions import (
    MultiselectClientError,
    MultiselectCommunicatorError,
    MultiselectError,
)
from libp2p.protocol_muxer.multiselect import DEFAULT_NEGOTIATE_TIMEOUT, Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer.yamux.yamux import YamuxStream
from libp2p.utils.varint import encode_delim

HEADER: Final = "/multistream/1.0.0"
"""First token of either side."""

NOT_SERVED: Final = "na"
"""Answer to a protocol that is not served."""

LIST: Final = "ls"
"""Asks which protocols are served."""

QUESTIONS_MAX: Final = 16
"""Protocols that a peer may try on one stream."""


class Asker(MultiselectClient):
    """Agrees on a protocol for a stream that we open."""

    async def select_one_of(
        self,
        protocols: Sequence[TProtocol],
        communicator: IMultiselectCommunicator,
        negotiate_timeout: int = DEFAULT_NEGOTIATE_TIMEOUT,
    ) -> TProtocol:
        """The one protocol, if the peer serves it; several are tried one by one. Raises MultiselectClientError."""
        if len(protocols) != 1:
            return await super().select_one_of(protocols, communicator, negotiate_timeout)
        (protocol,) = protocols
        try:
            with trio.fail_after(negotiate_timeout):
                await _write(communicator, HEADER, protocol)
                header, answer = await communicator.read(), await communicator.read()
        except (MultiselectCommunicatorError, trio.TooSlowError) as error:
            raise MultiselectClientError(f"{protocol}: {error!r}") from error
        if header != HEADER or answer != protocol:
            raise MultiselectClientError(f"{protocol}: {header[:64]!r}, {answer[:64]!r}")
        return protocol


class Answerer(Multiselect):
    """Agrees on a protocol for a stream that a peer opens."""

    async def negotiate(
        self,
        communicator: IMultiselectCommunicator,
        negotiate_timeout: int = DEFAULT_NEGOTIATE_TIMEOUT,
    ) -> tuple[TProtocol | None, StreamHandlerFn | None]:
        """The protocol that the peer asks for and its handler. Raises MultiselectError."""
        try:
            with trio.fail_after(negotiate_timeout):
                return await self._negotiate(communicator)
        except (MultiselectCommunicatorError, trio.TooSlowError) as error:
            raise MultiselectError(repr(error)) from error

    async def _negotiate(
        self, communicator: IMultiselectCommunicator
    ) -> tuple[TProtocol, StreamHandlerFn | None]:
        if await communicator.read() != HEADER:
            raise MultiselectError("the peer speaks no multistream")
        due = [HEADER]
        for _ in range(QUESTIONS_MAX):
            if due and not _has_unread(communicator):
                await _write(communicator, *due)
                due.clear()
            asked = TProtocol(await communicator.read())
            if asked in self.handlers:
                await _write(communicator, *due, asked)
                return asked, self.handlers[asked]
            served = "".join(f"{one}\n" for one in self.handlers if one)
            await _write(communicator, *due, served if asked == LIST else NOT_SERVED)
            due.clear()
        raise MultiselectError("the peer asks for nothing that is served")


async def _write(communicator: IMultiselectCommunicator, *tokens: str) -> None:
    """Write tokens as one piece. Raises MultiselectCommunicatorError."""
    try:
        await _stream(communicator).write(b"".join(encode_delim(one.encode()) for one in tokens))
    except (IOException, ValueError) as error:
        raise MultiselectCommunicatorError(f"not written: {error!r}") from error


def _has_unread(communicator: IMultiselectCommunicator) -> bool:
    """Whether more of the peer's has arrived than was read."""
    muxed = _stream(communicator).muxed_stream
    assert isinstance(muxed, YamuxStream)
    return bool(muxed.conn.stream_buffers.get(muxed.stream_id))


def _stream(communicator: IMultiselectCommunicator) -> NetStream:
    assert isinstance(communicator, MultiselectCommunicator)
    assert isinstance(communicator.read_writer, NetStream)
    return communicator.read_writer
