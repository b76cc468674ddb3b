"""What a batch offers."""

from __future__ import annotations

from hypothesis import given, strategies as st

from node.txpool.validation import pays_more
from sequencer.batching.fees import Fee, FeeLimits, raised, suggested

LIMITS = FeeLimits(tip_wei=10, max_fee_wei=1_000)


def test_the_first_offer_pays_twice_the_base_fee() -> None:
    assert suggested(7, LIMITS) == Fee(max_fee_wei=24, tip_wei=10)


def test_no_offer_goes_beyond_the_limit() -> None:
    assert suggested(10**9, LIMITS) == Fee(max_fee_wei=1_000, tip_wei=10)
    assert raised(Fee(max_fee_wei=999, tip_wei=10), 1, LIMITS) is None


def test_a_raise_follows_the_base_fee() -> None:
    assert raised(Fee(max_fee_wei=20, tip_wei=10), 200, LIMITS) == Fee(max_fee_wei=410, tip_wei=12)


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 10**12))
def test_every_pool_takes_a_raise(tip: int, above: int, base_fee: int) -> None:
    old = Fee(max_fee_wei=tip + above, tip_wei=tip)
    new = raised(old, base_fee, FeeLimits(max_fee_wei=10**15))
    assert new is not None
    assert pays_more((old.tip_wei, old.max_fee_wei), (new.tip_wei, new.max_fee_wei), 10)
    assert new.tip_wei <= new.max_fee_wei
