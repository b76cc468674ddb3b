"""A value that comes later is told once, whichever comes first: the value or the listener."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from node.rpc.later import Later


def test_the_listener_hears_what_was_settled_before_and_after() -> None:
    for first in (True, False):
        later: Later[int] = Later()
        heard: list[int] = []
        if first:
            later.settle(7)
        assert later.settled is first
        later.then(heard.append)
        if not first:
            assert heard == []
            later.settle(7)
        later.settle(8)
        assert heard == [7]
        assert later.value == 7


async def test_a_task_may_wait_for_it() -> None:
    later: Later[str] = Later()
    found: list[str] = []

    async def wait() -> None:
        found.append(await later.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert found == []
        later.settle("there")
    assert found == ["there"]
