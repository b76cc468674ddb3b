"""The files that are checked in are the ones that the Python makes, and say what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.monitoring.alerts import ALERTS, GROUPS
from deploy.monitoring.generated import HERE, generated_files
from deploy.monitoring.rules import Recording


@pytest.mark.parametrize("name", sorted(generated_files()))
def test_a_checked_in_file_is_fresh(name: str) -> None:
    assert (HERE / name).read_bytes() == generated_files()[name], (
        f"{name} is not what the Python makes: run `python -m deploy.monitoring`"
    )


def test_no_other_file_lies_where_made_ones_do() -> None:
    made = {HERE / name for name in generated_files()}
    folders = ("prometheus/rules", "grafana/dashboards")
    found = {file for folder in folders for file in (HERE / folder).iterdir()}
    assert found == {file for file in made if file.parent != HERE}


def test_names_are_unique_and_figures_come_before_they_are_used() -> None:
    known: set[str] = set()
    for group in GROUPS:
        for rule in group.rules:
            used = set(re.findall(r"\bprocess:\w+:\w+", rule.expression))
            assert used <= known, rule.name
            assert rule.name not in known
            known.add(rule.name)
            if isinstance(rule, Recording):
                assert rule.name.startswith("process:")


def test_every_alert_can_be_acted_upon() -> None:
    for alert in ALERTS:
        for text in (alert.summary, alert.meaning, alert.runbook, alert.fault):
            assert text, alert.name
            assert "\n" not in text, alert.name
        for cell in (alert.meaning, alert.runbook, alert.fault):
            assert "|" not in cell, f"{alert.name}: would break the table"
        assert alert.for_s <= 15, f"{alert.name}: a devnet is watched by people who wait"


def test_what_a_container_mounts_has_no_path_of_a_machine() -> None:
    for file in Path(HERE).rglob("*"):
        if file.suffix in (".yml", ".json"):
            assert not re.search(r"/(home|root|tmp|work)/", file.read_text()), file
