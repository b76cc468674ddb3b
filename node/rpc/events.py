"""Waiting for the next head, for those who wait without a subscription."""

from __future__ import annotations

import trio


class HeadSignal:
    """Wakes everybody who waits for the head to change."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def next_head(self) -> trio.Event:
        """Set when the head changes the next time; take it before looking at the head."""
        return self._event

    def head_changed(self) -> None:
        """The head has changed."""
        self._event.set()
        self._event = trio.Event()
