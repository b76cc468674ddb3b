"""Waiting for a condition of a running devnet, with a deadline and a name for what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

DEADLINE_S: Final = 180.0
"""The longest wait unless another is asked for: machines are slow at times, those of continuous integration most of all."""

LOOK_EVERY_S: Final = 0.1
"""How often a condition is looked at."""

Found = TypeVar("Found")


class NotInTime(AssertionError):
    """What was waited for did not come; the message says what it was. A test that waits in vain fails."""


def wait_for(
    what: str, attempt: Callable[[], Found | None], deadline_s: float = DEADLINE_S
) -> Found:
    """Ask again until `attempt` gives something that counts as true. Raises NotInTime, and what `attempt` raises."""
    end = time.monotonic() + deadline_s
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > end:
            raise NotInTime(f"waited {deadline_s:.0f} s in vain for {what}")
        time.sleep(LOOK_EVERY_S)  # noqa: TID251  # a test beside real processes has no loop
