"""Gives memory that is free back to the system, now and then.

Blocks of many sizes come and go in several threads, and after minutes of load the C library's arenas lie in pieces: it
keeps what is free in them for itself. glibc's `malloc_trim` returns whole pages of it; other libraries need no help and have none.
Deliberately absent: what is in use. Every cache has its own bound.
"""

from __future__ import annotations

import ctypes
from typing import Final, NoReturn

import trio

from node.runtime.worker import Worker

EVERY_S: Final = 20.0
"""Time between two returns; one takes a few milliseconds, and what is needed again is faulted in again."""


async def keep_memory_small(worker: Worker) -> NoReturn:
    """Return free memory for ever; without the C library's help do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        await trio.sleep_forever()
    while True:
        await trio.sleep(EVERY_S)
        await worker.run(lambda: trim(0))
