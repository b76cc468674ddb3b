"""How many blobs peers may have checked: no series of answers gets more than its rate, and nobody pays for another."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from node.eth.blobs import BLOB_BYTES
from node.txpool.blob_budget import BURST_S, CONFIGURED_PER_S, STRANGERS_PER_S, BlobBudget

CONFIGURED = frozenset({"first", "second"})


def carrying(blobs: int) -> bytes:
    """A blob transaction in its network form: its size is all that counts."""
    return b"\x03" + bytes(blobs * BLOB_BYTES + 1_000)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 7)), max_size=60))
@pytest.mark.parametrize(("peer", "rate"), [("first", CONFIGURED_PER_S), ("x", STRANGERS_PER_S)])
def test_no_series_of_answers_holds_more_than_its_rate(
    peer: str, rate: float, answers: list[tuple[float, int]]
) -> None:
    """Given answers at any times, of any size, each asked for when the account was open, then they hold rate times time and a burst."""
    budget = BlobBudget(CONFIGURED)
    now_s, sent = 100.0, 0
    for pause_s, blobs in answers:
        now_s += pause_s
        if budget.open_at_s(peer) <= now_s:
            budget.charge(peer, [carrying(blobs)], now_s)
            sent += blobs
            overdrawn = blobs
            assert sent <= rate * (now_s - 100.0 + BURST_S) + overdrawn + 1e-6


def test_an_account_opens_again_after_what_it_owes() -> None:
    budget = BlobBudget(CONFIGURED)
    budget.charge("first", [carrying(6)] * 10, now_s=50.0)
    assert budget.open_at_s("first") == pytest.approx(50.0 + 60 / CONFIGURED_PER_S - BURST_S)
    assert budget.open_at_s("second") < 50.0
    assert budget.open_at_s("somebody") < 50.0


def test_strangers_share_one_account_and_nothing_is_kept_of_each() -> None:
    budget = BlobBudget(CONFIGURED)
    for number in range(1_000):
        budget.charge(f"stranger {number}", [carrying(6)], now_s=50.0)
    assert budget.open_at_s("one more") == pytest.approx(50.0 + 6_000 / STRANGERS_PER_S - BURST_S)
    assert len(budget._spent_until_s) == 1
    assert budget.open_at_s("first") < 50.0


def test_what_carries_no_blobs_costs_nothing() -> None:
    budget = BlobBudget(CONFIGURED)
    budget.charge("x", [b"\x02" + bytes(400_000), b"", bytes(500_000)], now_s=50.0)
    assert budget.open_at_s("x") < 0
