"""What the L2's chain tells those who follow it.

    L2Chain -> Events.send -> one bounded channel for each subscriber -> rpc, gossiping, batching

A subscriber that does not keep up is dropped with `lapsed` set: it must subscribe again and look at the chain itself.
Events are facts that are already true when they are sent; nobody can answer one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import trio

from node.eth.blocks import Block

EVENTS_MAX: Final = 4_096
"""Events that may wait for one subscriber: twice a full burst of blocks."""

SUBSCRIBERS_MAX: Final = 64
"""Subscribers are parts of this process; more is a leak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChanged:
    """The unsafe head is another block."""

    head: Block
    """The new head."""
    added: Sequence[Block]
    """Blocks that became canonical, ascending; none if the head only went back."""
    dropped: Sequence[Block]
    """Blocks that stopped being canonical, descending from the old head; empty without a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeChanged:
    """The safe head moved, forward or back."""

    block: Block
    """The safe head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizedChanged:
    """The finalized head moved forward."""

    block: Block
    """The finalized head."""


ChainEvent: TypeAlias = HeadChanged | SafeChanged | FinalizedChanged


class Subscription:
    """One subscriber's queue: iterate over it, and look at `lapsed` when the iteration ends."""

    def __init__(self, events: Events, capacity: int) -> None:
        self.lapsed = False
        """Whether it was dropped because it did not keep up."""
        self._events = events
        self._send, self._receive = trio.open_memory_channel[ChainEvent](capacity)

    def offer(self, event: ChainEvent) -> bool:
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

    async def receive(self) -> ChainEvent:
        """The next event. Raises trio.EndOfChannel after the last one of a lapsed subscription."""
        return await self._receive.receive()

    def receive_nowait(self) -> ChainEvent:
        """The next event if one waits. Raises trio.WouldBlock."""
        return self._receive.receive_nowait()

    def __aiter__(self) -> AsyncIterator[ChainEvent]:
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


class Events:
    """Sends every event to every subscriber, never waiting for any."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self, capacity: int = EVENTS_MAX) -> Subscription:
        """Receive what happens from now on; use it in a `with` statement."""
        assert len(self._subscriptions) < SUBSCRIBERS_MAX, "a subscriber was not closed"
        subscription = Subscription(self, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Send nothing more to it."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def send(self, event: ChainEvent) -> None:
        """Tell everybody; whoever is full is dropped."""
        if self._subscriptions:
            self._subscriptions = [one for one in self._subscriptions if one.offer(event)]
