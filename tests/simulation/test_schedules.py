"""Random histories of whole networks; every invariant holds in all of them, and finality returns once they heal."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.schedules import plan_of, script
from tests.simulation.seeds import History

HISTORY: Final = History(
    name="schedules",
    test="tests/simulation/test_schedules.py",
    plan=plan_of,
    script=script,
    usual=range(1, 21),
)
"""Crashes, splits, sleeps, skews, faults and the leak."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", HISTORY.seeds())
def test_random_history(seed: int) -> None:
    """Given whatever a seed decides, then S1, S2, S4, S5, S6 at all times, and L1 at the end."""
    HISTORY.replay(seed)
