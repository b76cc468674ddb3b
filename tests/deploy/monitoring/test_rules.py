"""Rules as Prometheus' own promtool judges and plays them; without promtool, what can be told without."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.generated import HERE
from tests.deploy.monitoring.rule_cases import (
    CASES,
    LONG,
    PROCESSES,
    SCRAPE_S,
    SHORT,
    Case,
    Slots,
    counting_slots,
    healthy,
    nearly,
    on,
    steady,
)
from tests.e2e.prometheus import program

RULES = HERE / "prometheus/rules/faultline.yml"

PROMTOOL = program("promtool") or ""
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="no promtool in PATH")

YARDSTICKS = (
    "faultline_bridge_judged_l1_number",
    "faultline_bridge_output_interval_seconds",
    "faultline_chain_reorg_depth_blocks_bucket",
    "faultline_consensus_finalized_epoch",
    "faultline_consensus_head_slot",
    "faultline_l2_supply_wei",
    "faultline_runtime_memory_limit_bytes",
    "faultline_sequencer_batch_interval_seconds",
    "faultline_storage_capacity_bytes",
    "process_max_fds",
)
"""What other figures are subtracted from, divided by or compared with."""

LOOK_AT = "4m40s"
"""When the alerts are asked for."""


def promtool(*arguments: str) -> None:
    done = subprocess.run([PROMTOOL, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def played(
    tmp_path: Path,
    changed: Mapping[str, str],
    firing: Mapping[str, Case | None],
    slots: Slots = SHORT,
) -> None:
    """Play series, and ask for every alert: those that are named fire for their processes, no other does."""
    judged(tmp_path, [as_test({**healthy(slots), **changed}, firing)])


def judged(tmp_path: Path, tests: Sequence[Mapping[str, object]]) -> None:
    """Let promtool play tests, in one process."""
    document = {"rule_files": [str(RULES)], "evaluation_interval": "2s", "tests": tests}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps(document))  # YAML reads JSON.
    promtool("test", "rules", str(file))


def as_test(series: Mapping[str, str], firing: Mapping[str, Case | None]) -> dict[str, object]:
    """Series and alerts as promtool's test; an empty series is not there."""
    return {
        "interval": f"{SCRAPE_S}s",
        "input_series": [{"series": name, "values": text} for name, text in series.items() if text],
        "promql_expr_test": [
            {
                "expr": f'count by (process) (ALERTS{{alertname="{alert.name}",alertstate="firing"}})',
                "eval_time": LOOK_AT,
                "exp_samples": samples(firing.get(alert.name)),
            }
            for alert in ALERTS
        ],
    }


def samples(case: Case | None) -> list[dict[str, object]]:
    if case is None:
        return []
    names = [f'{{process="{name}"}}' for name in case.processes] or ["{}"]
    return [{"labels": name, "value": 1} for name in names]


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {alert.name for alert in ALERTS}


@needs_promtool
def test_promtool_accepts_configuration_and_rules() -> None:
    promtool("check", "config", str(HERE / "prometheus/prometheus.yml"))
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


@needs_promtool
@pytest.mark.parametrize("slots", [SHORT, LONG])
def test_nothing_fires_on_a_healthy_network(tmp_path: Path, slots: Slots) -> None:
    played(tmp_path, {}, {}, slots)


@needs_promtool
@pytest.mark.parametrize("slots", [SHORT, LONG])
def test_nothing_fires_on_the_brink(tmp_path: Path, slots: Slots) -> None:
    played(tmp_path, nearly(slots), {}, slots)


@needs_promtool
def test_nothing_fires_where_nothing_is_exported(tmp_path: Path) -> None:
    """Given processes that answer and tell nothing, or all but what figures are held against, then no alert is invented."""
    series = healthy()
    ups = {name: text for name, text in series.items() if name.startswith("up{")}
    unmeasured = {name: text for name, text in series.items() if not name.startswith(YARDSTICKS)}
    assert len(ups) == len(PROCESSES)
    judged(tmp_path, [as_test(ups, {}), as_test(unmeasured, {})])


@needs_promtool
def test_who_posts_every_minute_has_a_safe_head_that_stands_for_one(tmp_path: Path) -> None:
    interval = on("sequencer", "faultline_sequencer_batch_interval_seconds")
    changed = {**CASES["SafeHeadStuck"].changed, interval: steady(60)}
    played(tmp_path, changed, {})


@needs_promtool
def test_an_account_is_low_when_it_cannot_pay_a_few_bonds(tmp_path: Path) -> None:
    """Given a bond that the network's manifest made dear, then five of them are what a proposer needs, and only a proposer."""
    bond = on("bridge", "faultline_bridge_bond_wei")
    low = {"AccountLow": Case(changed={}, processes=("bridge",))}
    dear, payable = ({**healthy(), bond: steady(wei)} for wei in (2.1e21, 1.9e21))
    judged(tmp_path, [as_test(dear, low), as_test(payable, {})])


@needs_promtool
@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alert_fires_and_no_other(tmp_path: Path, name: str) -> None:
    played(tmp_path, CASES[name].changed, {name: CASES[name]})


@needs_promtool
@pytest.mark.parametrize("name", sorted(counting_slots(LONG)))
def test_an_alert_that_counts_slots_fires_with_long_ones_too(tmp_path: Path, name: str) -> None:
    case = counting_slots(LONG)[name]
    played(tmp_path, case.changed, {name: case}, LONG)
