"""Our rules beside the reference model on seeded schedules: partitions, drops, crashes, sleeps, attackers, set changes.

FAULTLINE_DIFFERENTIAL_SEEDS=5000 runs as many seeds of each kind; the default keeps `make test` short: a second of work for each seed.
A seed that fails is in the name of the failing test; add it to KEPT_SEEDS.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.node.consensus.reference_model import load_model, side_by_side

CHUNK = 10
FUZZ_SEEDS = int(os.environ.get("FAULTLINE_DIFFERENTIAL_SEEDS", "60"))
LEAK_SEEDS = int(os.environ.get("FAULTLINE_DIFFERENTIAL_SEEDS", "10"))

KEPT_SEEDS = [213, 652, 679, 752]
"""Found differences once: votes of blocks against finality, and timely blocks seen before their slot."""


def experiment(name: str) -> Any:  # type: ignore[explicit-any]
    load_model()
    return importlib.import_module(f"experiments.{name}")


def fuzz(seed: int) -> None:
    """One network with everything that can go wrong, then healing; the model's own invariants hold too."""
    safety_fuzz = experiment("safety_fuzz")
    with side_by_side() as worlds:
        outcome = safety_fuzz.fuzz(seed, *safety_fuzz.case(seed))
    assert worlds[-1].compared > 20
    assert not outcome["faults"]
    assert not outcome["honest_slashable"]
    assert outcome["back"] <= 30


def leaky(seed: int) -> None:
    """One network that leaks and comes back."""
    safety_fuzz = experiment("safety_fuzz")
    with side_by_side() as worlds:
        outcome = safety_fuzz.leaky(seed, [4, 7, 5][seed % 3], 1 + seed // 3 % 2)
    assert worlds[-1].compared > 20
    assert not outcome["faults"]
    assert not outcome["honest_slashable"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, FUZZ_SEEDS, CHUNK))
def test_fuzzed_networks_agree_with_the_model(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FUZZ_SEEDS)):
        try:
            fuzz(seed)
        except AssertionError as difference:
            raise AssertionError(f"seed {seed}") from difference


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", KEPT_SEEDS)
def test_seeds_that_once_differed_agree(seed: int) -> None:
    fuzz(seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, LEAK_SEEDS, CHUNK))
def test_leaking_networks_agree_with_the_model(first: int) -> None:
    for seed in range(first, min(first + CHUNK, LEAK_SEEDS)):
        try:
            leaky(seed)
        except AssertionError as difference:
            raise AssertionError(f"seed {seed}") from difference


@pytest.mark.slow
@pytest.mark.parametrize("churn", [1, 8])
@pytest.mark.parametrize("name", ["lossy", "twins"])
@pytest.mark.parametrize("seed", range(4))
def test_conflicts_across_a_set_change_expose_a_third(name: str, churn: int, seed: int) -> None:
    """Given nodes that lie around a change of the set, when finality conflicts, then a third of one version is proven."""
    schedule: Callable[[int, int], tuple[float, set[int]] | None]
    schedule = getattr(experiment("accountability"), name)
    with side_by_side() as worlds:
        verdict = schedule(seed, churn)
    assert worlds[-1].compared > 20
    assert verdict is None or verdict[0] >= 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hours", "leaking", "late"), [(2, False, 0), (8, False, 10), (30, False, 0), (0.05, True, 0)]
)
def test_sleeping_networks_agree_and_wake_up(hours: float, leaking: bool, late: int) -> None:
    gap = experiment("gap")
    with side_by_side():
        _, final_after, before, after, faults, slashable = gap.gap(hours, 4, leaking, late)
    assert final_after <= 5 + late
    assert after[0].count("0") <= before[0].count("0")
    assert (faults, slashable) == (0, [])


@pytest.mark.slow
def test_set_changes_agree_with_the_model() -> None:
    sets = experiment("sets")
    with side_by_side():
        lag, *_, faults = sets.offline_joiners(4, 4, 12, 150)
        assert (lag, faults) == (4, [])
        assert sets.honest_join(4, 4, 40, 0, 1) <= 22
