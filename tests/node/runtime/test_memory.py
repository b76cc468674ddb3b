"""Free memory goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from node.runtime.memory import EVERY_S, keep_memory_small
from node.runtime.worker import Answer


class Counting:
    """A worker that counts what it runs."""

    def __init__(self) -> None:
        self.answers: list[object] = []

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run it in place."""
        await trio.lowlevel.checkpoint()
        answer = work()
        self.answers.append(answer)
        return answer


async def test_memory_is_given_back_now_and_then(autojump_clock: MockClock) -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library gives memory back by itself")
    worker = Counting()
    with trio.move_on_after(3.5 * EVERY_S):
        await keep_memory_small(worker)
    assert len(worker.answers) == 3
    assert set(worker.answers) <= {0, 1}


async def test_a_library_without_it_is_left_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    worker = Counting()
    with trio.move_on_after(10 * EVERY_S):
        await keep_memory_small(worker)
    assert worker.answers == []
