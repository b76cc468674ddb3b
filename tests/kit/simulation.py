"""One seed decides the scheduling, the time and every choice of a whole program.

    run_seeded(seed, main): trio's scheduler, MockClock and a Random all follow the seed; the same seed, the same run

Trio's scheduler obeys a seed only once hypothesis is imported. MockClock leaps while a thread works, so whatever runs here
must work inline.
Log lines of the run are kept, not shown: the last of them stand below the error of a run that fails.
Deliberately absent: what is simulated (tests.simulation).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from random import Random
from typing import Final, TypeVar

import hypothesis
import structlog
import trio
import trio.testing
from trio._core import _run as trio_scheduler

Outcome = TypeVar("Outcome")

LOG_LINES_KEPT: Final = 60
"""Lines of a failed run that are shown: the last slots of a small network."""

SCHEDULER_OBEYS: Final = hypothesis.__name__
"""The import that makes trio's scheduler take a seed."""


def run_seeded(seed: int, main: Callable[[Random], Awaitable[Outcome]]) -> Outcome:
    """Run a program whose scheduling, time and choices all follow one seed.

    Raises the first error of the program itself, not the group that trio wraps around it; its notes hold the last log lines.
    """
    assert trio_scheduler._ALLOW_DETERMINISTIC_SCHEDULING, SCHEDULER_OBEYS
    trio_scheduler._r.seed(seed)
    clock = trio.testing.MockClock(autojump_threshold=0)
    with _kept_logs() as lines:
        try:
            return trio.run(main, Random(seed), clock=clock)
        except Exception as error:  # noqa: BLE001  # raised again, without the groups around it
            first = _first_leaf(error)
            first.add_note("\n".join(["the last log lines of the run:", *lines]))
            raise first from error.__cause__


def _first_leaf(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _kept_logs() -> Iterator[deque[str]]:
    """Send every log line to a short memory until the end of the block."""
    lines: deque[str] = deque(maxlen=LOG_LINES_KEPT)

    def keep(
        logger: object, method: str, event: MutableMapping[str, object]
    ) -> MutableMapping[str, object]:
        del logger
        who, what = event.pop("process", "-"), event.pop("event")
        details = " ".join(f"{key}={_short(value)}" for key, value in event.items())
        lines.append(f"{trio.current_time():10.3f} {who} {method} {what} {details}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    try:
        yield lines
    finally:
        structlog.configure(**before)


def _short(value: object) -> str:
    return value[:4].hex() if isinstance(value, bytes) else str(value)[:80]
