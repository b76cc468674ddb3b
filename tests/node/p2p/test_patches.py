"""Strangers that break yamux, and what a node is left with."""

from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
from libp2p.abc import ISecureConn

from node.p2p import patches
from node.p2p.scores import Misbehaviour
from node.p2p.streams import OVER
from tests.node.p2p.nodes import (
    Node,
    is_cut_off,
    start_mesh,
    still_serves,
    stranger_host,
    stranger_noise,
    until,
)

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
ECHO = b"\x13/multistream/1.0.0\n\x11/ipfs/ping/1.0.0\n"


def frame(kind: int, flags: int, stream: int, length: int, body: bytes = b"") -> bytes:
    """A yamux frame as a stranger writes it."""
    return struct.pack("!BBHII", 0, kind, flags, stream, length) + body


def test_upstream_is_replaced() -> None:
    for module, name, replacement in patches._SWAPS:
        assert getattr(module, name) is replacement


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff" * 12,
        os.urandom(10_000),
        frame(7, 0, 1, 0) * 10,
        frame(DATA, 0, 99, 5, b"lost!"),
        frame(WINDOW_UPDATE, RST, 99, 0),
        frame(WINDOW_UPDATE, SYN, 0, 0),
        frame(WINDOW_UPDATE, SYN, 2, 0),
        frame(WINDOW_UPDATE, SYN, 1, 0) * 3,
        frame(WINDOW_UPDATE, SYN | RST, 1, 0) * 50,
        frame(WINDOW_UPDATE, SYN | FIN, 1, 0),
        frame(WINDOW_UPDATE, SYN, 1, 0) + frame(WINDOW_UPDATE, 0, 1, 0xFFFF_FFFF) * 9,
        frame(DATA, SYN, 1, 3, b"\x13/m") + frame(GO_AWAY, 0, 0, 0),
        frame(DATA, SYN, 1, 0xFFFF_FFFF),
        frame(GO_AWAY, 0, 0, 77),
        frame(PING, ACK, 0, 5),
    ],
)
async def test_junk_frames_are_survived(nursery: trio.Nursery, junk: bytes) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_noise(victim) as stranger:
        await until("the stranger", lambda: len(victim.network.peers()) == 2)
        await stranger.write(junk)
        await still_serves(victim, friend)


async def test_a_frame_that_never_ends_is_survived(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_noise(victim) as stranger:
        await stranger.write(frame(DATA, SYN, 1, 1_000_000, b"begins"))
        await still_serves(victim, friend)


async def attack(
    victim: Node, friend: Node, send: Callable[[ISecureConn], Awaitable[None]]
) -> bool:
    """Let a stranger send as long as it can, while a friend is served; whether it was cut off."""
    async with stranger_noise(victim) as stranger:
        await until("the stranger", lambda: len(victim.network.peers()) == 2)
        async with trio.open_nursery() as sending:

            async def keep_sending() -> None:
                try:
                    while True:
                        await send(stranger)
                except OVER:
                    return

            sending.start_soon(keep_sending)
            for _ in range(3):
                await still_serves(victim, friend)
            await until("the end", lambda: len(victim.network.peers()) == 1)
            sending.cancel_scope.cancel()
        return await is_cut_off(stranger)


async def test_data_beyond_the_window_is_not_stored(nursery: trio.Nursery) -> None:
    # Given a stream that nobody reads, since its protocol is never agreed
    victim, friend = await start_mesh(nursery, 2)
    opened = False

    async def send(stranger: ISecureConn) -> None:
        nonlocal opened
        if not opened:
            await stranger.write(frame(WINDOW_UPDATE, SYN, 1, 0) + frame(DATA, 0, 1, 19, ECHO[:19]))
            opened = True
        await stranger.write(frame(DATA, 0, 1, 60_000, bytes(60_000)))

    assert await attack(victim, friend, send)
    assert victim.blamed(Misbehaviour.WINDOW_EXCEEDED) == 1


async def test_streams_without_bound_are_refused(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    stream_id = 1

    async def send(stranger: ISecureConn) -> None:
        nonlocal stream_id
        await stranger.write(frame(WINDOW_UPDATE, SYN, stream_id, 0))
        stream_id += 2

    assert await attack(victim, friend, send)
    assert victim.blamed(Misbehaviour.FRAME_FLOOD) >= 1


async def test_pings_whose_answers_are_not_read_pile_up_to_a_bound(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)
    pings = frame(PING, SYN, 0, 1) * 5_000

    async def send(stranger: ISecureConn) -> None:
        await stranger.write(pings)

    assert await attack(victim, friend, send)
    assert victim.blamed(Misbehaviour.NOT_READING) + victim.blamed(Misbehaviour.SILENT) >= 1


async def test_two_writes_of_one_stream_are_not_interleaved(nursery: trio.Nursery) -> None:
    # Given a stranger that writes two long messages to one stream at once
    victim, _ = await start_mesh(nursery, 2)
    got = bytearray()

    async with stranger_host(victim) as stranger:
        echoing = await stranger.open_stream(victim.peer_id, "/ipfs/ping/1.0.0")

        async def write(letter: bytes) -> None:
            await echoing.write(letter * 32 * 4_000)

        async with trio.open_nursery() as writing:
            for letter in (b"a", b"b"):
                writing.start_soon(write, letter)
            while len(got) < 2 * 32 * 4_000:
                got += await echoing.read(100_000)

    # Then one comes back whole before the other begins
    assert bytes(got) in (
        b"a" * 128_000 + b"b" * 128_000,
        b"b" * 128_000 + b"a" * 128_000,
    )
