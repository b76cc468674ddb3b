"""Strangers that break TCP, multistream or noise, and what a node is left with."""

from __future__ import annotations

import os

import pytest
import trio
from hypothesis import HealthCheck, given, settings, strategies as st
from libp2p.abc import IMultiselectCommunicator
from libp2p.custom_types import StreamHandlerFn, TProtocol
from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError, MultiselectError
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from node.p2p import patches
from node.p2p.handshakes import HANDSHAKES_MAX
from node.p2p.host import CONNECTIONS_MAX
from node.p2p.network import RequestFailed, RequestKind
from node.p2p.streams import StreamReset
from tests.node.p2p.nodes import (
    start_mesh,
    start_node,
    still_serves,
    stranger_host,
    stranger_noise,
    stranger_tcp,
    until,
)

HELLO = b"\x13/multistream/1.0.0\n"
NOISE = b"\x07/noise\n"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(100_000),
        b"\xff" * 1_000,
        HELLO + b"\x03ls\n",
        HELLO + b"\x80\x80\x80\x80\x10",
        HELLO + b"\x05\xff\xfe\xfd\xfc\n",
        HELLO + b"\x08/plain!\n" * 50,
        HELLO + NOISE,
        HELLO + NOISE + b"\x00\x00",
        HELLO + NOISE + b"\xff\xff" + os.urandom(65_535),
        HELLO + NOISE + b"\x00\x20" + bytes(32) + b"\x00\x80" + os.urandom(128),
    ],
)
async def test_junk_before_a_connection_is_survived(nursery: trio.Nursery, junk: bytes) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_tcp(victim) as stranger:
        await stranger.send_all(junk)
        await still_serves(victim, friend)

    assert [info.peer_id for info in victim.network.peers()] == [friend.peer_id]


async def test_strangers_that_say_nothing_are_cut_off(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    cut: list[int] = []

    async def wait_to_be_cut(index: int) -> None:
        async with stranger_tcp(victim) as stranger:
            while await stranger.receive_some(1_000):
                pass
            cut.append(index)

    async with trio.open_nursery() as strangers:
        for index in range(20):
            strangers.start_soon(wait_to_be_cut, index)
        await still_serves(victim, friend)

    assert sorted(cut) == list(range(20))


async def test_a_connection_that_takes_too_long_to_close_is_forgotten(
    nursery: trio.Nursery,
) -> None:
    victim, friend = await start_mesh(nursery, 2)
    async with stranger_host(victim) as stranger:
        await until("the stranger", lambda: len(victim.network.peers()) == 2)
        host = victim.network._host
        (connection,) = host._swarm.get_connections(stranger.id)
        connection.muxed_conn.close = trio.sleep_forever  # type: ignore[method-assign]
        host.disconnect(stranger.peer_id)
        await until("its end", lambda: not host.is_connected(stranger.peer_id))
        # Then it may come again, and the others were told as well
        await until("the other end", lambda: not stranger.is_connected(victim.peer_id))
        address = f"/ip4/127.0.0.1/tcp/{victim.network.port}"
        await stranger.dial(victim.peer_id, address)
        await until("its return", lambda: len(victim.network.peers()) == 2)
        await still_serves(victim, friend)


async def test_connections_beyond_the_bound_do_not_reach_memory(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with trio.open_nursery() as strangers:

        async def hold() -> None:
            async with stranger_tcp(victim) as stranger:
                await stranger.send_all(HELLO)
                await trio.sleep_forever()

        for _ in range(CONNECTIONS_MAX + 20):
            strangers.start_soon(hold)
        await still_serves(victim, friend)
        strangers.cancel_scope.cancel()

    # Once they are gone, their slots are free again.
    late = await start_node(nursery, "late", (victim.as_peer(),))
    await until("the late one", lambda: late.peer_names() == {victim.name})


async def test_strangers_that_say_nothing_keep_nobody_out(nursery: trio.Nursery) -> None:
    """Given as many silent sockets as there are connections, then whoever ends its handshake gets in at once."""
    victim, friend = await start_mesh(nursery, 2)
    opened: list[int] = []

    async with trio.open_nursery() as strangers:

        async def hold(index: int) -> None:
            async with stranger_tcp(victim):
                opened.append(index)
                await trio.sleep_forever()

        for index in range(CONNECTIONS_MAX + 20):
            strangers.start_soon(hold, index)
        await until("the sockets", lambda: len(opened) == CONNECTIONS_MAX + 20)
        async with stranger_host(victim) as late:
            await until("the late one", lambda: len(victim.network.peers()) == 2)
            assert late.is_connected(victim.peer_id)
        assert len(victim.network._host._swarm.handshakes) <= HANDSHAKES_MAX
        strangers.cancel_scope.cancel()
    await still_serves(victim, friend)


async def test_a_thousand_reconnections_leave_room(nursery: trio.Nursery) -> None:
    # Given upstream's slot that an inbound connection held for ever
    victim, friend = await start_mesh(nursery, 2)

    for _ in range(2 * CONNECTIONS_MAX):
        async with stranger_tcp(victim) as stranger:
            await stranger.send_all(b"\x00")

    late = await start_node(nursery, "late", (victim.as_peer(),))
    await until("the late one", lambda: late.peer_names() == {victim.name})
    await still_serves(victim, friend)


BAD_TOKENS = (
    b"\xff" * 9,
    b"\x80\x80\x80\x80\x08",
    b"\x00",
    b"\x04abcd",
    b"\x02\xff\n",
    b"\x05\xff\xfe\xfd\xfc\n",
    b"\x03ls\n",
)
"""What a stranger says in the place of multistream's header."""


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_junk_on_a_stream_ends_that_stream_alone(nursery: trio.Nursery, token: bytes) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        (connection,) = stranger._swarm.get_connections()
        stream = await connection.new_stream()
        await stream.write(token + bytes(3_000))
        await still_serves(victim, friend)


class JunkAnswerer(Multiselect):
    """A stranger that answers whoever opens a stream with what it likes."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    async def negotiate(
        self, communicator: IMultiselectCommunicator, _: int = 0
    ) -> tuple[TProtocol | None, StreamHandlerFn | None]:
        """Say it, and listen until the other side has had enough."""
        assert isinstance(communicator, MultiselectCommunicator)
        stream = communicator.read_writer
        await stream.write(self._answer)
        while await stream.read(1_000):
            pass
        raise MultiselectError("enough was said")


@pytest.mark.parametrize("before", [b"", HELLO])
@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_junk_as_an_answer_ends_that_stream_alone(
    nursery: trio.Nursery, token: bytes, before: bytes
) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        stranger.libp2p.multiselect = JunkAnswerer(before + token + bytes(3_000))
        await until("the stranger", lambda: victim.network._host.is_connected(stranger.peer_id))
        with pytest.raises(StreamReset):
            await victim.network._host.open_stream(stranger.peer_id, "/ipfs/ping/1.0.0")
        with pytest.raises(RequestFailed):
            await victim.network.request(stranger.peer_id, RequestKind.STATUS, b"")
        await still_serves(victim, friend)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=80))
def test_any_multistream_token_is_read_or_refused(junk: bytes) -> None:
    class Source:
        left = junk

        async def read(self, n: int | None = None) -> bytes:
            assert n is not None
            taken, self.left = self.left[:n], self.left[n:]
            await trio.lowlevel.checkpoint()
            return taken

    async def read() -> str:
        return await MultiselectCommunicator(Source()).read()  # type: ignore[arg-type]

    try:
        outcome = trio.run(read)
    except MultiselectCommunicatorError:
        return
    assert len(outcome) < patches.TOKEN_BYTES_MAX


async def test_secured_strangers_that_say_nothing_do_no_harm(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_noise(victim):
        await still_serves(victim, friend)


async def test_a_changed_ciphertext_ends_the_connection(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_noise(victim) as secured:
        await until("the stranger", lambda: len(victim.network.peers()) == 2)
        raw = secured.conn.read_writer.read_write_closer  # type: ignore[attr-defined]
        await raw.write(b"\x00\x20" + os.urandom(32))
        await until("its end", lambda: len(victim.network.peers()) == 1)

    await still_serves(victim, friend)


async def test_identify_and_ping_answer_strangers(nursery: trio.Nursery) -> None:
    victim, _ = await start_mesh(nursery, 2)

    async with stranger_host(victim) as stranger:
        identify = await stranger.open_stream(victim.peer_id, "/ipfs/id/1.0.0")
        assert b"/meshsub/1.1.0" in await identify.read(10_000)
        ping = await stranger.open_stream(victim.peer_id, "/ipfs/ping/1.0.0")
        await ping.write(bytes(range(32)))
        assert await ping.read_exactly(32) == bytes(range(32))
