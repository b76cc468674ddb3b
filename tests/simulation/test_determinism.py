"""A seed is a history: the same one on every run and in every process, and another one for another seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.network import Simulation, simulate
from tests.simulation.schedules import plan_of, script

REPOSITORY = Path(__file__).parents[2]

PRINT_TRACE = """
import sys
from tests.simulation.test_determinism import trace_of
print(trace_of(int(sys.argv[1])))
"""


def trace_of(seed: int) -> str:
    """Everything that a seed's random history sends, imports, finalizes and sees, as a digest."""

    async def traced(simulation: Simulation) -> str:
        await script(simulation)
        return simulation.witness.trace

    return simulate(traced, plan_of(seed))


@pytest.mark.slow
def test_the_same_seed_is_the_same_history() -> None:
    """Given a history with crashes, splits and an attacker, when it runs again, then nothing differs."""
    assert trace_of(2) == trace_of(2)


@pytest.mark.slow
def test_another_seed_is_another_history() -> None:
    assert trace_of(2) != trace_of(7)


@pytest.mark.slow
def test_another_process_sees_the_same_history() -> None:
    """Given another order of sets in another process, then the history does not depend on it: a seed replays anywhere."""
    told = subprocess.run(
        [sys.executable, "-c", PRINT_TRACE, "2"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.strip() == trace_of(2)
