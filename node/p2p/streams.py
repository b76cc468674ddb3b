"""A libp2p stream as the rest of node/p2p uses it: four verbs, one exception.

py-libp2p raises a dozen families of exceptions for "it is over"; here they are StreamReset.
"""

from __future__ import annotations

from typing import Final

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.id import ID

from node.p2p.network import PeerId

OVER: Final = (BaseLibp2pError, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""What py-libp2p raises on a stream whose connection or other end is gone."""

RESET_TIMEOUT_S: Final = 0.5
"""A reset is a frame that never waits; this bounds upstream's bookkeeping around it."""


class StreamReset(Exception):
    """The stream died before its end: reset by either side, or its connection was lost."""


class Stream:
    """One negotiated stream; one task reads it, one task writes it."""

    def __init__(self, stream: INetStream) -> None:
        assert isinstance(stream, NetStream)
        self._stream = stream
        self.peer_id = PeerId(peer_of(stream).to_base58())
        """Who is at the other end."""

    async def read(self, bytes_max: int) -> bytes:
        """What has arrived, at most bytes_max; empty at the end. Raises StreamReset."""
        try:
            return await self._stream.read(bytes_max)
        except StreamEOF:
            return b""
        except OVER as error:
            raise StreamReset(f"read: {type(error).__name__}") from error

    async def read_exactly(self, count: int) -> bytes:
        """Exactly so many bytes. Raises StreamReset if the stream ends earlier."""
        data = bytearray()
        while len(data) < count:
            part = await self.read(count - len(data))
            if not part:
                raise StreamReset("ended early")
            data += part
        return bytes(data)

    async def write(self, data: bytes) -> None:
        """All of the data. Raises StreamReset."""
        try:
            await self._stream.write(data)
        except OVER as error:
            raise StreamReset(f"write: {type(error).__name__}") from error

    async def close_write(self) -> None:
        """Say that no more will be written; reading goes on."""
        try:
            await self._stream.close_write()
        except OVER as error:
            raise StreamReset(f"close: {type(error).__name__}") from error

    async def reset(self) -> None:
        """Kill the stream in both directions; harmless when it is over, and done even while being cancelled."""
        with trio.move_on_after(RESET_TIMEOUT_S, shield=True):
            await self._stream.reset()


def peer_of(stream: INetStream) -> ID:
    """The identity at the other end of a stream."""
    peer: ID = stream.muxed_conn.peer_id
    return peer
