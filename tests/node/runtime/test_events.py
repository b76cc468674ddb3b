"""Subscribers get every event in order, or are told that they did not."""

from __future__ import annotations

import pytest
import trio

from node.runtime.events import Events


async def test_every_subscriber_gets_every_event() -> None:
    events = Events[int]()
    with events.subscribe(8) as first, events.subscribe(8) as second:
        events.send(1)
        events.send(2)

        for subscription in (first, second):
            assert await subscription.receive() == 1
            assert subscription.receive_nowait() == 2
            with pytest.raises(trio.WouldBlock):
                subscription.receive_nowait()


async def test_a_slow_subscriber_is_dropped_with_a_flag_and_the_others_are_not() -> None:
    events = Events[int]()
    with events.subscribe(2) as slow, events.subscribe(8) as quick:
        for number in range(4):
            events.send(number)

        assert [one async for one in slow] == [0, 1]
        assert slow.lapsed
        assert not quick.lapsed
        assert [quick.receive_nowait() for _ in range(4)] == list(range(4))


async def test_a_closed_subscriber_receives_nothing_more() -> None:
    events = Events[int]()
    subscription = events.subscribe(8)
    subscription.close()

    events.send(1)

    assert not subscription.lapsed
    with pytest.raises(trio.ClosedResourceError):
        await subscription.receive()
