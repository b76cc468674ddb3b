"""Connections whose peers are not known yet."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from node.p2p.handshakes import HANDSHAKES_MAX, Handshakes


async def test_the_oldest_gives_way() -> None:
    """Given as many as there may be, when one more comes, then the oldest is cut off and the rest goes on."""
    handshakes, ended = Handshakes(), list[int]()

    async def shake(number: int) -> None:
        with handshakes.one():
            await trio.sleep(math.inf)
        ended.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(HANDSHAKES_MAX + 2):
            nursery.start_soon(shake, number)
            await trio.testing.wait_all_tasks_blocked()
        assert ended == [0, 1]
        assert len(handshakes) == HANDSHAKES_MAX
        nursery.cancel_scope.cancel()
    assert len(handshakes) == 0


async def test_one_that_ends_or_fails_frees_its_place() -> None:
    handshakes = Handshakes()
    with handshakes.one():
        assert len(handshakes) == 1
    with pytest.raises(ZeroDivisionError), handshakes.one():
        raise ZeroDivisionError
    assert len(handshakes) == 0
