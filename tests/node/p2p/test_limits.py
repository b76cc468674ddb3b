"""Token bucket and queue."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, strategies as st

from node.p2p.limits import (
    ANSWER_BYTES,
    STRANGERS_BYTES_BURST_S,
    STRANGERS_BYTES_PER_S,
    Allowance,
    FreshQueue,
    TokenBucket,
)


def test_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3.0)

    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 3)), max_size=60),
    st.floats(0.1, 10),
    st.floats(1, 20),
)
def test_bucket_never_gives_more_than_burst_and_rate(
    takes: list[tuple[float, float]], rate: float, burst: float
) -> None:
    bucket, now_s, taken = TokenBucket(rate_per_s=rate, burst=burst), 0.0, 0.0

    for pause_s, tokens in takes:
        now_s += pause_s
        taken += tokens * bucket.take(now_s, tokens)

    assert taken <= burst + rate * now_s + 1e-6


@given(
    st.lists(st.integers(min_value=0, max_value=30), max_size=50),
    st.integers(min_value=1, max_value=10),
    st.integers(min_value=1, max_value=60),
)
def test_queue_keeps_the_newest_within_its_bounds(
    sizes: list[int], items_max: int, bytes_max: int
) -> None:
    queue: FreshQueue[int] = FreshQueue(items_max=items_max, bytes_max=bytes_max)
    dropped: list[int] = []

    for index, size in enumerate(sizes):
        dropped += queue.put(index, size)

    kept = []
    while (item := queue.take()) is not None:
        kept.append(item)
    assert dropped + kept == list(range(len(sizes)))
    assert len(kept) <= items_max
    assert len(kept) == 1 or sum(sizes[index] for index in kept) <= bytes_max or not kept


async def test_queue_wakes_its_consumer(nursery: trio.Nursery) -> None:
    queue: FreshQueue[str] = FreshQueue(items_max=2, bytes_max=100)
    got: list[str] = []

    async def consume() -> None:
        got.extend([await queue.get(), await queue.get()])

    nursery.start_soon(consume)
    await trio.testing.wait_all_tasks_blocked()
    queue.put("one", 1)
    await trio.testing.wait_all_tasks_blocked()
    queue.put("two", 1)
    await trio.testing.wait_all_tasks_blocked()

    assert got == ["one", "two"]


async def test_strangers_get_their_rate_and_wait_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given strangers that ask for large answers all the time, then they get rate times time and a burst, each in its turn."""
    allowance, answered = Allowance(), list[int]()
    size = 4 * ANSWER_BYTES
    began_s = trio.current_time()

    async def ask(who: int) -> None:
        while trio.current_time() < began_s + 30:
            await allowance.wait()
            allowance.settle(size)
            answered.append(who)

    async with trio.open_nursery() as nursery:
        for who in range(32):
            nursery.start_soon(ask, who)
        await trio.sleep(30)
        sent = size * len(answered)
        lasting_s = 30 + STRANGERS_BYTES_BURST_S
        assert sent >= STRANGERS_BYTES_PER_S * 30
        # What was under way when the allowance was used up is known only afterwards
        assert sent <= STRANGERS_BYTES_PER_S * lasting_s + 32 * size
        assert {answered.count(who) for who in range(32)} <= set(range(2, 8))
        nursery.cancel_scope.cancel()


async def test_small_answers_take_little_of_the_allowance(
    autojump_clock: trio.testing.MockClock,
) -> None:
    allowance = Allowance()
    for _ in range(1_000):
        await allowance.wait()
        allowance.settle(200)
    assert trio.current_time() == 0
