"""Dashboards of Grafana, as data and as the JSON that it reads.

    Dashboard: rows of Panels, each a few Queries (dashboards.py) -> dashboard_json -> grafana/dashboards/<uid>.json

Only panels that Grafana ships with are used, so nothing is downloaded. A dashboard has two variables: `datasource`, at first the
provisioned one, so that one Grafana shows several devnets, each with a Prometheus of its own; and `process`, at first all.
Deliberately absent: layout by hand. A row's panels share its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
from pydantic import JsonValue

COLUMNS: Final = 24
"""Width of a dashboard in Grafana's grid."""

SCHEMA_VERSION: Final = 39
"""Of Grafana's dashboards; 10.4 and later read it as it is."""

MINE: Final = 'process=~"$process"'
"""Matches the processes that the reader chose."""

PROVISIONED: Final = ("Faultline", "faultline")
"""Name and uid of the one that grafana/provisioning/datasources makes."""

DATASOURCE: Final[JsonValue] = {"type": "prometheus", "uid": "${datasource}"}
"""The one that the reader chose."""


class Kind(StrEnum):
    """How a panel shows its figures."""

    LINES = "timeseries"
    """Over time."""
    NUMBERS = "stat"
    """As they are now."""
    BARS = "bargauge"
    """As they are now, side by side."""


UNJUDGED: Final = {Kind.LINES: "transparent", Kind.NUMBERS: "text", Kind.BARS: "blue"}
"""Colours of what is not said to be fine."""


class Unit(StrEnum):
    """Grafana's names for units."""

    NONE = "none"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_SECOND = "Bps"
    PER_SECOND = "suffix:/s"
    PER_MINUTE = "suffix:/min"
    SHARE = "percentunit"
    ETHER = "suffix:ETH"


COUNTED: Final = frozenset({Unit.NONE, Unit.PER_SECOND, Unit.PER_MINUTE})
"""Of things that are counted: where there are none, an axis up to 1 says so; left alone, Grafana draws one up to 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query and how its series are called."""

    expression: str
    """PromQL; `$process` stands for what the reader chose."""
    legend: str = "{{process}}"
    """With labels in double braces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    """Unique within its dashboard."""
    help: str
    """What it says, and what is normal."""
    queries: Sequence[Query]
    """What it shows."""
    kind: Kind = Kind.LINES
    """How."""
    unit: Unit = Unit.NONE
    """Of its figures."""
    red_above: float | None = None
    """From here on something is wrong."""
    red_below: float | None = None
    """Below this something is wrong."""
    is_stacked: bool = False
    """Whether lines lie on top of each other, because their sum means something."""
    is_height: bool = False
    """Whether lines only grow, as blocks' numbers do, so that an axis from 0 would flatten them."""
    reaches: float | None = None
    """The least that the axis reaches to; None takes what the unit says."""
    has_many: bool = False
    """Whether the legend is so long that it stands beside the picture and scrolls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels side by side."""

    panels: Sequence[Panel]
    """Left to right."""
    height: int = 8
    """In Grafana's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One page."""

    uid: str
    """In its address and its file's name."""
    title: str
    """As people see it."""
    about: str
    """One line."""
    processes: str
    """Regular expression of the processes that it offers to choose from."""
    rows: Sequence[Row]
    """Top to bottom."""


def dashboard_json(dashboard: Dashboard, siblings: Sequence[Dashboard]) -> bytes:
    """Write a dashboard as Grafana reads it, with links to the others."""
    rendered: dict[str, JsonValue] = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["faultline"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource_variable(), _process_variable(dashboard.processes)]},
        "annotations": {"list": [_alert_marks()]},
        "links": [_link(other) for other in siblings if other != dashboard],
        "panels": _placed(dashboard.rows),
    }
    return orjson.dumps(rendered, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _datasource_variable() -> JsonValue:
    name, uid = PROVISIONED
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Devnet",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {"selected": True, "text": name, "value": uid},
    }


def _process_variable(processes: str) -> JsonValue:
    query = 'label_values(up{job="faultline"}, process)'
    return {
        "type": "query",
        "name": "process",
        "label": "Process",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "processes"},
        "regex": f"/^({processes})$/",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": processes,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _alert_marks() -> JsonValue:
    """A mark on every picture while an alert fires: one, however many processes it fires for, else they cover the picture."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'max by (alertname, severity) (ALERTS{alertstate="firing",severity!="info"})',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}}",
        # Samples this far apart are one mark. Below 10 s Grafana 10 asks for fewer in 15 minutes, and draws each alone.
        "step": "15s",
    }


def _link(other: Dashboard) -> JsonValue:
    return {
        "type": "link",
        "title": other.title,
        "tooltip": other.about,
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "url": f"/d/{other.uid}?${{datasource:queryparam}}",
        "keepTime": True,
        "includeVars": False,
        "targetBlank": False,
    }


def _placed(rows: Sequence[Row]) -> list[JsonValue]:
    """Every panel with its place; a row is as high as it says."""
    found: list[JsonValue] = []
    top = 0
    for row in rows:
        width = COLUMNS // len(row.panels)
        for index, panel in enumerate(row.panels):
            place: JsonValue = {"x": index * width, "y": top, "w": width, "h": row.height}
            found.append({"id": len(found) + 1, "gridPos": place, **_panel(panel)})
        top += row.height
    return found


def _panel(panel: Panel) -> dict[str, JsonValue]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": DATASOURCE,
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(panel: Panel, query: Query, index: int) -> JsonValue:
    is_now = panel.kind is not Kind.LINES
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "instant": is_now,
        "range": not is_now,
        "format": "time_series",
    }


def _defaults(panel: Panel) -> dict[str, JsonValue]:
    defaults: dict[str, JsonValue] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "color": {"mode": "palette-classic" if panel.kind is Kind.LINES else "thresholds"},
    }
    if panel.kind is Kind.LINES:
        defaults["custom"] = _line_style(panel)
    return defaults


def _steps(panel: Panel) -> list[JsonValue]:
    """What is wrong is red: the colour of a figure, the ground behind lines. What nobody judges has no colour of judgement."""
    is_judged = _has_limit(panel) and panel.kind is not Kind.LINES
    fine = "green" if is_judged else UNJUDGED[panel.kind]
    steps: list[JsonValue] = [{"color": fine, "value": None}]
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": fine, "value": panel.red_below}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    return steps


def _has_limit(panel: Panel) -> bool:
    return panel.red_above is not None or panel.red_below is not None


def _line_style(panel: Panel) -> JsonValue:
    style: dict[str, JsonValue] = {
        "lineWidth": 1,
        "fillOpacity": 20 if panel.is_stacked else 0,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed+area" if _has_limit(panel) else "off"},
    }
    if not panel.is_height:
        style["axisSoftMin"] = 0
    reaches = 1 if panel.reaches is None and panel.unit in COUNTED else panel.reaches
    if reaches is not None and not panel.is_height:
        style["axisSoftMax"] = reaches
    return style


def _options(panel: Panel) -> dict[str, JsonValue]:
    reduced: JsonValue = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case Kind.LINES:
            return {
                "legend": {
                    "displayMode": "list",
                    "placement": "right" if panel.has_many else "bottom",
                    "showLegend": True,
                    "calcs": [],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case Kind.NUMBERS:
            return {
                "reduceOptions": reduced,
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "value_and_name",
                "justifyMode": "auto",
                "orientation": "auto",
                "wideLayout": True,
                "showPercentChange": False,
                "percentChangeColorMode": "standard",
            }
        case Kind.BARS:
            return {
                "reduceOptions": reduced,
                "displayMode": "basic",
                "orientation": "horizontal",
                "showUnfilled": True,
                "valueMode": "color",
                "namePlacement": "auto",
                "sizing": "auto",
                "minVizWidth": 8,
                "minVizHeight": 16,
                "maxVizHeight": 300,
                "legend": {
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": False,
                    "calcs": [],
                },
            }
