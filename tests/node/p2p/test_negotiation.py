"""multistream-select: in one write where both sides let it, token by token where one does not."""

from __future__ import annotations

import struct

import pytest
import trio
from libp2p.abc import ISecureConn
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.utils.varint import encode_delim

from node.p2p.negotiation import HEADER, LIST, NOT_SERVED, QUESTIONS_MAX
from node.p2p.streams import StreamReset
from tests.node.p2p.nodes import start_mesh, still_serves, stranger_host, stranger_noise

PING = "/ipfs/ping/1.0.0"
DATA, WINDOW_UPDATE = 0, 1
SYN, RST = 1, 8


def tokens(*words: str) -> bytes:
    """As they stand on the wire."""
    return b"".join(encode_delim(word.encode()) for word in words)


class Frames:
    """A stranger's one stream, yamux frame by frame."""

    def __init__(self, connection: ISecureConn) -> None:
        self._connection = connection

    async def open(self, data: bytes) -> None:
        """Open the stream; its first data come with it."""
        await self._write(WINDOW_UPDATE, SYN, 0)
        await self.write(data)

    async def write(self, data: bytes) -> None:
        """One frame of data."""
        await self._write(DATA, 0, len(data), data)

    async def _write(self, kind: int, flags: int, length: int, body: bytes = b"") -> None:
        await self._connection.write(struct.pack("!BBHII", 0, kind, flags, 1, length) + body)

    async def next(self) -> tuple[int, bytes]:
        """Flags and data of the next frame of this stream that has either."""
        while True:
            _, kind, flags, stream, length = struct.unpack("!BBHII", await self._take(12))
            data = await self._take(length) if kind == DATA else b""
            if stream == 1 and (data or flags & RST):
                return flags, data

    async def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            part = await self._connection.read(count - len(taken))
            assert part, "the connection ended"
            taken += part
        return taken


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (tokens(HEADER, PING), tokens(HEADER, PING)),
        (tokens(HEADER, "/nobody/1"), tokens(HEADER, NOT_SERVED)),
        (tokens(HEADER), tokens(HEADER)),
    ],
)
async def test_what_comes_together_is_answered_together(
    nursery: trio.Nursery, said: bytes, answered: bytes
) -> None:
    victim, _ = await start_mesh(nursery, 2)
    async with stranger_noise(victim) as connection:
        frames = Frames(connection)
        await frames.open(said)
        assert await frames.next() == (0, answered)


async def test_who_waits_for_every_answer_gets_every_answer(nursery: trio.Nursery) -> None:
    victim, _ = await start_mesh(nursery, 2)
    async with stranger_noise(victim) as connection:
        frames = Frames(connection)
        await frames.open(tokens(HEADER))
        assert await frames.next() == (0, tokens(HEADER))
        await frames.write(tokens("/nobody/1"))
        assert await frames.next() == (0, tokens(NOT_SERVED))
        await frames.write(tokens(LIST))
        _, listed = await frames.next()
        assert PING.encode() in listed
        await frames.write(tokens(PING))
        assert await frames.next() == (0, tokens(PING))


async def test_a_stream_on_which_nothing_is_agreed_ends(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    async with stranger_noise(victim) as connection:
        frames = Frames(connection)
        await frames.open(tokens(HEADER, *["/nobody/1"] * QUESTIONS_MAX, PING))
        answers = b""
        while True:
            flags, data = await frames.next()
            if flags & RST:
                break
            answers += data
        assert answers == tokens(HEADER, *[NOT_SERVED] * QUESTIONS_MAX)
        await still_serves(victim, friend)


@pytest.mark.parametrize("upstream", ["neither", "who answers", "who asks"])
async def test_we_agree_with_who_goes_step_by_step(nursery: trio.Nursery, upstream: str) -> None:
    victim, _ = await start_mesh(nursery, 2)
    async with stranger_host(victim) as stranger:
        if upstream == "who asks":
            stranger.libp2p.multiselect_client = MultiselectClient()
        if upstream == "who answers":
            host = victim.network._host.libp2p
            host.multiselect = Multiselect(host.multiselect.handlers)
        stream = await stranger.open_stream(victim.peer_id, PING)
        await stream.write(bytes(32))
        assert await stream.read_exactly(32) == bytes(32)


async def test_a_protocol_that_nobody_serves_is_a_reset_stream(nursery: trio.Nursery) -> None:
    victim, _ = await start_mesh(nursery, 2)
    async with stranger_host(victim) as stranger:
        with pytest.raises(StreamReset):
            await stranger.open_stream(victim.peer_id, "/nobody/1")
