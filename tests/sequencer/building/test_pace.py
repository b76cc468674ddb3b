"""The ration of blocks."""

from __future__ import annotations

from hypothesis import given, strategies as st

from sequencer.building.pace import SHORTEST_WAIT_S, TokenBucket


def test_a_burst_is_free_and_then_blocks_are_rationed() -> None:
    bucket = TokenBucket(burst=3, refill_per_second=200, now=0.0)
    for _ in range(3):
        assert bucket.wait_s(0.0) == 0
        bucket.take(0.0)
    assert bucket.wait_s(0.0) == 1 / 200
    assert bucket.wait_s(0.004) > 0
    assert bucket.wait_s(0.005) == 0


def test_the_ration_grows_back_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(burst=2, refill_per_second=10, now=0.0)
    bucket.take(0.0)
    assert bucket.wait_s(1_000.0) == 0
    assert bucket.tokens() == 2


def test_a_token_that_was_not_there_is_owed() -> None:
    bucket = TokenBucket(burst=1, refill_per_second=10, now=0.0)
    bucket.take(0.0)
    bucket.take(0.0)
    assert bucket.wait_s(0.0) == 0.2


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(burst=1, refill_per_second=10, now=100.0)
    bucket.take(100.0)
    assert bucket.wait_s(50.0) == 0.1
    assert bucket.wait_s(100.0) == 0.1


@given(
    burst=st.integers(1, 50),
    refill=st.integers(1, 500),
    gaps=st.lists(st.floats(0, 0.5), max_size=200),
)
def test_no_window_holds_more_blocks_than_burst_and_refill(
    burst: int, refill: int, gaps: list[float]
) -> None:
    """Given any arrivals, whoever waits as told never takes more than burst + refill * time."""
    bucket = TokenBucket(burst=burst, refill_per_second=refill, now=0.0)
    now = 0.0
    for taken, gap in enumerate(gaps, start=1):
        now += gap
        now += bucket.wait_s(now)
        bucket.take(now)
        assert taken <= burst + refill * (now + SHORTEST_WAIT_S) + 1e-6


@given(start=st.floats(0, 1e8), refill=st.integers(1, 10_000))
def test_who_waits_as_told_finds_a_token(start: float, refill: int) -> None:
    """Given any time of day, a wait is long enough to be seen by the clock, and one is enough."""
    bucket = TokenBucket(burst=1, refill_per_second=refill, now=start)
    bucket.take(start)
    now = start + bucket.wait_s(start)
    assert now > start
    again = bucket.wait_s(now)
    assert again == 0 or now + again > now
