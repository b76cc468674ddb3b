"""A real Grafana reads our provisioning without a complaint, and every panel's queries show something through it.

Needs a Grafana, in PATH or its home named by GRAFANA, and a Prometheus as test_alerts.py does; skips where either is missing.
How a page looks is for eyes: deploy/monitoring/README.md says what was seen.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.generated import HERE
from deploy.monitoring.panels import PROVISIONED, Dashboard
from tests.e2e.devnet import Devnet, RpcFailure, wait_for
from tests.e2e.grafana import Grafana, home, running_grafana
from tests.e2e.prometheus import program, running_prometheus

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("devnet"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(program() is None, reason="no Prometheus in PATH"),
    pytest.mark.skipif(home() is None, reason="no Grafana in PATH"),
]

DATASOURCE: Final = {"type": "prometheus", "uid": PROVISIONED[1]}
"""The one that provisioning makes."""


@pytest.fixture(scope="module")
def grafana(devnet: Devnet) -> Iterator[Grafana]:
    """One that shows the shared devnet, which has answered, refused and moved money before."""
    wait_for("the first safe L2 block", lambda: devnet.l2_number("safe") > 0)
    with running_prometheus(devnet), running_grafana(devnet) as running:
        devnet.faultline("deposit", "1")
        devnet.faultline("withdraw", "0.1")
        for validator in range(4):
            devnet.rpc("eth_chainId", validator=validator)
        for replica in (None, 0, 1):
            devnet.l2_rpc("eth_chainId", replica=replica)
        with pytest.raises(RpcFailure):
            devnet.rpc("eth_nothing")
        yield running


def checked_in(page: Dashboard) -> dict[str, object]:
    """A dashboard's JSON as containers mount it."""
    read: dict[str, object] = orjson.loads(
        (HERE / f"grafana/dashboards/{page.uid}.json").read_bytes()
    )
    return read


def test_the_data_source_answers(grafana: Grafana) -> None:
    health = grafana.get(f"/api/datasources/uid/{PROVISIONED[1]}/health")
    assert isinstance(health, dict)
    assert health["status"] == "OK", health


def test_everybody_sees_the_dashboards_and_nobody_changes_them(grafana: Grafana) -> None:
    found = grafana.get("/api/search?type=dash-db")
    assert isinstance(found, list)
    assert {one["uid"]: one["folderTitle"] for one in found} == {
        page.uid: "Faultline" for page in DASHBOARDS
    }
    for page in DASHBOARDS:
        shown = grafana.get(f"/api/dashboards/uid/{page.uid}")
        assert isinstance(shown, dict)
        ours = checked_in(page)
        for part in ("title", "panels", "templating", "links", "time", "refresh"):
            assert shown["dashboard"][part] == ours[part], (page.uid, part)
        assert shown["meta"]["provisioned"]
        assert not shown["meta"]["canSave"]
        status, _ = grafana.post("/api/dashboards/db", {"dashboard": shown["dashboard"]})
        assert status in (401, 403), page.uid


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda one: one.uid)
def test_every_query_shows_something(grafana: Grafana, page: Dashboard) -> None:
    missing: list[str] = ["not asked yet"]

    def all_show() -> bool:
        missing[:] = empty_queries(grafana, page)
        return not missing

    try:
        wait_for("every panel to show something", all_show, 90.0)
    except AssertionError:
        raise AssertionError("\n".join(missing)) from None


def empty_queries(grafana: Grafana, page: Dashboard) -> list[str]:
    """Which queries of a page have no value, as Grafana's panels ask them."""
    drawn = checked_in(page)["panels"]
    assert isinstance(drawn, list)
    found: list[str] = []
    for panel in drawn:
        queries = [
            {
                **target,
                "datasource": DATASOURCE,
                "expr": target["expr"].replace("$process", page.processes),
                "intervalMs": 2_000,
                "maxDataPoints": 400,
            }
            for target in panel["targets"]
        ]
        asked = {"queries": queries, "from": "now-5m", "to": "now"}
        status, answer = grafana.post("/api/ds/query", asked)
        assert status == 200, (panel["title"], answer)
        assert isinstance(answer, dict)
        for query in queries:
            result = answer["results"][query["refId"]]
            assert "error" not in result, (panel["title"], result)
            if not any(has_values(frame) for frame in result["frames"]):
                found.append(f"{page.uid}: {panel['title']}: {query['expr']}")
    return found


def has_values(frame: dict[str, dict[str, list[list[object]]]]) -> bool:
    """Whether a frame's columns, after the time, hold one."""
    return any(value is not None for column in frame["data"]["values"][1:] for value in column)


def test_the_choice_of_processes_is_offered(grafana: Grafana) -> None:
    """As the variable asks: the values of a label."""
    asked = urllib.parse.urlencode({"match[]": 'up{job="faultline"}', "start": 0, "end": 2**33})
    path = f"/api/datasources/uid/{PROVISIONED[1]}/resources/api/v1/label/process/values"
    answer = grafana.get(f"{path}?{asked}")
    assert isinstance(answer, dict)
    assert {"validator-0", "validator-3", "sequencer", "bridge", "watchtower"} <= {*answer["data"]}


def test_it_complains_of_nothing(grafana: Grafana) -> None:
    """Last, because its log is of all that was asked before."""
    assert grafana.complaints() == []


def test_its_data_goes_with_the_devnet(grafana: Grafana, devnet: Devnet) -> None:
    assert any(Path(devnet.data).rglob("grafana.db"))
