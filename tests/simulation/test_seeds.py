"""A failing seed says how to run it again, and is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.network import Plan, Simulation
from tests.simulation.seeds import KEPT, VARIABLE, History
from tests.simulation.witness import InvariantBroken


async def breaks_from_seed_five_on(simulation: Simulation) -> None:
    if simulation.plan.seed >= 5:
        raise InvariantBroken("S9: a seed of five or more")


@pytest.fixture
def history(tmp_path: Path) -> History:
    kept = tmp_path / "failing_seeds.txt"
    kept.write_text("# kept\nothers 7\nshort 30 # S1: an old one\n")
    return History(
        name="short",
        test="tests/of/it.py",
        plan=lambda seed: Plan(seed=seed),
        script=breaks_from_seed_five_on,
        usual=range(1, 4),
        kept=kept,
    )


def test_kept_seeds_run_beside_the_usual_ones(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert history.seeds() == [1, 2, 3, 30]


@pytest.mark.parametrize(("asked", "seeds"), [("17", [17]), ("100-103", [100, 101, 102, 103])])
def test_the_variable_names_other_seeds(
    history: History, monkeypatch: pytest.MonkeyPatch, asked: str, seeds: list[int]
) -> None:
    monkeypatch.setenv(VARIABLE, asked)
    assert history.seeds() == seeds


def test_a_seed_that_fails_while_hunting_is_kept_once(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a hunt, when a seed fails twice, then one line names it and what broke, and the error names the command."""
    monkeypatch.setenv(VARIABLE, "4-6")
    history.replay(4)
    with pytest.raises(InvariantBroken):
        history.replay(5)
    with pytest.raises(InvariantBroken) as broken:
        history.replay(5)
    assert "replay: FAULTLINE_SIMULATION_SEEDS=5 make test-fast ARGS=tests/of/it.py" in (
        broken.value.__notes__
    )
    assert history.kept_seeds() == [30, 5]
    assert history.kept.read_text().endswith("\nshort 5 # S9: a seed of five or more\n")


def test_a_usual_run_writes_nothing(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = history.kept.read_text()
    with pytest.raises(InvariantBroken):
        history.replay(5)
    assert history.kept.read_text() == before


def test_the_list_in_the_repository_can_be_read(history: History) -> None:
    for name in ("schedules", "crowds"):
        assert all(seed > 0 for seed in replace(history, name=name, kept=KEPT).kept_seeds())
