"""Random histories with joins, exits and special attackers; every invariant holds, and finality returns once they heal."""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulation.crowds import crowd, crowd_of
from tests.simulation.seeds import History

HISTORY: Final = History(
    name="crowds",
    test="tests/simulation/test_crowds.py",
    plan=crowd_of,
    script=crowd,
    usual=range(1, 13),
)
"""Validators that come and go, attackers among them, and everything of schedules."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", HISTORY.seeds())
def test_random_crowd(seed: int) -> None:
    """Given whatever a seed decides, then S1, S2, S4, S5, S6 at all times, and L1 at the end."""
    HISTORY.replay(seed)
