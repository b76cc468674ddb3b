"""Dashboards that Grafana can show: what it expects of each field, as strictly as we know it."""

from __future__ import annotations

import re
from itertools import pairwise

import orjson
import pytest
import yaml

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.generated import HERE
from deploy.monitoring.panels import (
    COLUMNS,
    COUNTED,
    PROVISIONED,
    Dashboard,
    Kind,
    Panel,
    Unit,
    dashboard_json,
)
from tests.kit.promql import labels_named, selectors

CORE_PANELS = {"timeseries", "stat", "bargauge"}
"""Panels that Grafana ships with."""

CHOSEN = {"type": "prometheus", "uid": "${datasource}"}
"""What the reader of a dashboard chose."""

AGGREGATED = re.compile(r"^(sum|max|min|count|topk\(\d+, sum) by \(([^)]*)\)|^(sum|max|count)\(")


def panels(dashboard: Dashboard) -> list[Panel]:
    return [panel for row in dashboard.rows for panel in row.panels]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_panels_tile_the_grid_without_overlap(dashboard: Dashboard) -> None:
    drawn = orjson.loads(dashboard_json(dashboard, DASHBOARDS))["panels"]
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in drawn]
    cells = [
        (x, y)
        for left, top, width, height in places
        for x in range(left, left + width)
        for y in range(top, top + height)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < COLUMNS
    assert [panel["id"] for panel in drawn] == list(range(1, len(drawn) + 1))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_titles_fit_into_a_window_of_1280_pixels(dashboard: Dashboard) -> None:
    """A letter has some 7 pixels, a column 52; the margins and the help's sign take 70."""
    for panel in orjson.loads(dashboard_json(dashboard, DASHBOARDS))["panels"]:
        assert 7 * len(panel["title"]) <= 52 * panel["gridPos"]["w"] - 70, panel["title"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_what_is_past_a_limit_is_red_and_nothing_else_is(dashboard: Dashboard) -> None:
    drawn = orjson.loads(dashboard_json(dashboard, DASHBOARDS))["panels"]
    for panel, rendered in zip(panels(dashboard), drawn, strict=True):
        steps = rendered["fieldConfig"]["defaults"]["thresholds"]["steps"]
        red = [step["value"] for step in steps if step["color"] == "red"]
        wrong: list[float | None] = []
        if panel.red_below is not None:
            wrong.append(None)  # from the bottom up to the limit
        if panel.red_above is not None:
            wrong.append(panel.red_above)
        assert red == wrong, panel.title
        if panel.kind is Kind.LINES:
            assert "green" not in {step["color"] for step in steps}, panel.title


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_a_count_of_nothing_has_an_axis_up_to_1(dashboard: Dashboard) -> None:
    drawn = orjson.loads(dashboard_json(dashboard, DASHBOARDS))["panels"]
    for panel, rendered in zip(panels(dashboard), drawn, strict=True):
        style = rendered["fieldConfig"]["defaults"].get("custom", {})
        if panel.kind is Kind.LINES and not panel.is_height:
            assert style["axisSoftMin"] == 0
            assert panel.unit not in COUNTED or style["axisSoftMax"] >= 1, panel.title


def test_an_alert_is_one_mark_however_many_processes_it_fires_for() -> None:
    for dashboard in DASHBOARDS:
        rendered = orjson.loads(dashboard_json(dashboard, DASHBOARDS))
        (mark,) = rendered["annotations"]["list"]
        assert mark["expr"].startswith("max by (alertname, severity) (ALERTS{")
        # Grafana 10 asks for a hundred samples and joins those that are no further apart than the step.
        assert rendered["time"] == {"from": "now-15m", "to": "now"}
        assert int(mark["step"].removesuffix("s")) * 100 >= 15 * 60


def test_grafana_finds_every_folder_that_it_looks_into() -> None:
    """It logs an error for one that is missing, and for a file in it that it cannot read."""
    provisioning = HERE / "grafana/provisioning"
    for name in ("alerting", "dashboards", "datasources", "notifiers", "plugins"):
        files = list((provisioning / name).glob("*.yml"))
        assert files, name
        assert all(yaml.safe_load(file.read_text())["apiVersion"] == 1 for file in files)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_every_panel_explains_itself_and_needs_no_plugin(dashboard: Dashboard) -> None:
    drawn = orjson.loads(dashboard_json(dashboard, DASHBOARDS))
    titles = [panel["title"] for panel in drawn["panels"]]
    assert len(titles) == len(set(titles))
    for panel in drawn["panels"]:
        assert panel["type"] in CORE_PANELS
        assert panel["description"].rstrip().endswith("."), panel["title"]
        assert panel["datasource"] == CHOSEN
        assert panel["fieldConfig"]["defaults"]["unit"] in set(Unit)
        references = [target["refId"] for target in panel["targets"]]
        assert references == [chr(ord("A") + index) for index in range(len(references))]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert all(low["value"] < high["value"] for low, high in pairwise(steps[1:]))
        for target in panel["targets"]:
            assert target["datasource"] == CHOSEN
            assert target["instant"] != target["range"]
    choosing, process = drawn["templating"]["list"]
    assert (choosing["name"], choosing["type"]) == ("datasource", "datasource")
    assert process["datasource"] == CHOSEN
    assert all(mark["datasource"] == CHOSEN for mark in drawn["annotations"]["list"])


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_legends_name_labels_that_the_query_keeps(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        for query in panel.queries:
            assert selectors(query.expression), panel.title
            legend = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
            if AGGREGATED.search(query.expression):
                assert legend <= labels_named(query.expression), panel.title


def test_links_lead_to_dashboards_that_exist() -> None:
    uids = {dashboard.uid for dashboard in DASHBOARDS}
    assert len(uids) == len(DASHBOARDS)
    for dashboard in DASHBOARDS:
        links = orjson.loads(dashboard_json(dashboard, DASHBOARDS))["links"]
        assert {link["url"] for link in links} == {
            f"/d/{uid}?${{datasource:queryparam}}" for uid in uids if uid != dashboard.uid
        }


def test_provisioning_makes_the_datasource_that_is_chosen_at_first() -> None:
    written = (HERE / "grafana/provisioning/datasources/faultline.yml").read_text()
    name, uid = PROVISIONED
    for dashboard in DASHBOARDS:
        choosing = orjson.loads(dashboard_json(dashboard, DASHBOARDS))["templating"]["list"][0]
        assert choosing["current"] == {"selected": True, "text": name, "value": uid}
    assert re.search(rf"^ +- name: {name}$", written, re.MULTILINE)
    assert re.search(rf"^ +uid: {uid}$", written, re.MULTILINE)
    assert re.search(r"^ +type: prometheus$", written, re.MULTILINE)
