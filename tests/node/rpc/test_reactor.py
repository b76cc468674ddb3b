"""One task, many sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from node.rpc import reactor as module
from node.rpc.reactor import Reactor


@asynccontextmanager
async def running() -> AsyncIterator[Reactor]:
    async with trio.open_nursery() as nursery:
        reactor = Reactor()
        nursery.start_soon(reactor.run)
        yield reactor
        nursery.cancel_scope.cancel()


def pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return near, far


def collect(connection: socket.socket, into: list[bytes]) -> Callable[[], None]:
    return lambda: into.append(connection.recv(100))


async def test_readable_sockets_are_handled_and_removed_ones_are_not() -> None:
    first, second = pair(), pair()
    read: list[bytes] = []
    with first[0], first[1], second[0], second[1]:
        async with running() as reactor:
            reactor.add(first[0], collect(first[0], read))
            reactor.add(second[0], collect(second[0], read))
            first[1].send(b"a")
            second[1].send(b"b")
            await wait_all_tasks_blocked()
            assert sorted(read) == [b"a", b"b"]
            reactor.remove(first[0])
            reactor.remove(first[0])
            first[1].send(b"c")
            second[1].send(b"d")
            await wait_all_tasks_blocked()
            assert sorted(read) == [b"a", b"b", b"d"]
            reactor.add(first[0], collect(first[0], read))
            await wait_all_tasks_blocked()
            assert sorted(read) == [b"a", b"b", b"c", b"d"]


async def test_a_socket_that_another_handler_removed_is_left_alone() -> None:
    pairs = [pair() for _ in range(2)]
    handled: list[int] = []
    async with running() as reactor:

        def take_both_out(index: int) -> Callable[[], None]:
            def handler() -> None:
                handled.append(index)
                for near, _ in pairs:
                    reactor.remove(near)

            return handler

        for index, (near, far) in enumerate(pairs):
            far.send(b"x")
            reactor.add(near, take_both_out(index))
        await wait_all_tasks_blocked()
    for near, far in pairs:
        near.close()
        far.close()
    assert len(handled) == 1


async def test_many_readable_sockets_leave_room_for_other_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = [pair() for _ in range(20)]
    turns: list[str] = []
    monkeypatch.setattr(module, "SLICE_S", -1.0)
    try:
        async with running() as reactor, trio.open_nursery() as nursery:

            async def other() -> None:
                while True:
                    turns.append("other")
                    await trio.lowlevel.checkpoint()

            def handler(near: socket.socket) -> Callable[[], None]:
                def read() -> None:
                    near.recv(1)
                    turns.append("handler")

                return read

            for near, far in pairs:
                far.send(b"x")
                reactor.add(near, handler(near))
            nursery.start_soon(other)
            while turns.count("handler") < len(pairs):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    finally:
        for near, far in pairs:
            near.close()
            far.close()
    first, last = turns.index("handler"), len(turns) - turns[::-1].index("handler")
    assert turns[first:last].count("other") >= len(pairs) // 2
