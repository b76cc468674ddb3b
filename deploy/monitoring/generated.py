"""The files here that are made from Python, and checked in so that people and their tools read them as they are.

    alerts, recordings -> prometheus/rules/faultline.yml
    dashboards         -> grafana/dashboards/*.json
    alerts             -> the table in README.md

A test compares each with a fresh one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.monitoring.alerts import ALERTS, GROUPS
from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.panels import dashboard_json
from deploy.monitoring.rules import Alert, rules_file

HERE: Final = Path(__file__).parent
"""Where they lie."""

TABLE_START: Final = "<!-- alerts: written by `python -m deploy.monitoring` -->\n"
TABLE_END: Final = "<!-- end of alerts -->\n"
"""Between them stands the table of README.md."""


def generated_files() -> dict[str, bytes]:
    """Every such file, by its path below this folder."""
    readme = (HERE / "README.md").read_text()
    files = {
        "prometheus/rules/faultline.yml": rules_file(GROUPS).encode(),
        "README.md": with_table(readme).encode(),
    }
    for dashboard in DASHBOARDS:
        name = f"grafana/dashboards/{dashboard.uid}.json"
        files[name] = dashboard_json(dashboard, DASHBOARDS)
    return files


def with_table(readme: str) -> str:
    """Put the table of alerts between its marks."""
    before, _, rest = readme.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    rows = "".join(map(_row, ALERTS))
    head = "| alert | means | fault that fires it | what to do |\n|---|---|---|---|\n"
    return f"{before}{TABLE_START}{head}{rows}{TABLE_END}{after}"


def _row(alert: Alert) -> str:
    runbook = alert.runbook.replace("{{ $labels.process }}", "NAME")
    cells = (f"**{alert.name}**, {alert.severity}", alert.meaning, alert.fault, runbook)
    return f"| {' | '.join(cells)} |\n"
