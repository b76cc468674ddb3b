"""Events from one owner to those who follow it, never waiting for any.

    owner -> Events.send -> one bounded channel for each subscriber -> Subscription

A subscriber that does not keep up is dropped with `lapsed` set: it must subscribe again and look at the owner itself.
Events are facts that are already true when they are sent; nobody can answer one.
Deliberately absent: what happened. Each owner has events of its own (`node.chain.events`, `sequencer.events`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Generic, Self, TypeVar

import trio

Event = TypeVar("Event")

SUBSCRIBERS_MAX: Final = 64
"""Subscribers are parts of this process; more is a leak."""


class Subscription(Generic[Event]):
    """One subscriber's queue: iterate over it, and look at `lapsed` when the iteration ends."""

    def __init__(self, events: Events[Event], capacity: int) -> None:
        self.lapsed = False
        """Whether it was dropped because it did not keep up."""
        self._events = events
        self._send, self._receive = trio.open_memory_channel[Event](capacity)

    def offer(self, event: Event) -> bool:
        """Queue an event; False drops the subscriber."""
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.lapsed = True
            self._send.close()
            return False
        except trio.BrokenResourceError:
            return False
        return True

    async def receive(self) -> Event:
        """The next event. Raises trio.EndOfChannel after the last one of a lapsed subscription."""
        return await self._receive.receive()

    def receive_nowait(self) -> Event:
        """The next event if one waits. Raises trio.WouldBlock."""
        return self._receive.receive_nowait()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._receive)

    def close(self) -> None:
        """Stop receiving."""
        self._receive.close()
        self._send.close()
        self._events.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Events(Generic[Event]):
    """Sends every event to every subscriber, never waiting for any."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription[Event]] = []

    def subscribe(self, capacity: int) -> Subscription[Event]:
        """Receive what happens from now on, of which so many events may wait; use it in a `with` statement."""
        assert len(self._subscriptions) < SUBSCRIBERS_MAX, "a subscriber was not closed"
        subscription = Subscription(self, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription[Event]) -> None:
        """Send nothing more to it."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def send(self, event: Event) -> None:
        """Tell everybody; whoever is full is dropped."""
        if self._subscriptions:
            self._subscriptions = [one for one in self._subscriptions if one.offer(event)]
