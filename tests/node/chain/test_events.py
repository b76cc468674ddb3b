"""Subscribers get every event in order, or are told that they did not."""

from __future__ import annotations

import pytest
import trio

from node.chain.events import BlocksWanted, Events
from node.eth.primitives import Hash32


def event(number: int) -> BlocksWanted:
    return BlocksWanted(roots=(Hash32(number.to_bytes(32)),))


async def test_every_subscriber_gets_every_event() -> None:
    events = Events()
    with events.subscribe() as first, events.subscribe() as second:
        events.send(event(1))
        events.send(event(2))

        for subscription in (first, second):
            assert await subscription.receive() == event(1)
            assert subscription.receive_nowait() == event(2)
            with pytest.raises(trio.WouldBlock):
                subscription.receive_nowait()


async def test_a_slow_subscriber_is_dropped_with_a_flag_and_the_others_are_not() -> None:
    events = Events()
    with events.subscribe(2) as slow, events.subscribe(8) as quick:
        for number in range(4):
            events.send(event(number))

        assert [one async for one in slow] == [event(0), event(1)]
        assert slow.lapsed
        assert not quick.lapsed
        assert [quick.receive_nowait() for _ in range(4)] == [event(n) for n in range(4)]


async def test_a_closed_subscriber_receives_nothing_more() -> None:
    events = Events()
    subscription = events.subscribe()
    subscription.close()

    events.send(event(1))

    assert not subscription.lapsed
    with pytest.raises(trio.ClosedResourceError):
        await subscription.receive()
