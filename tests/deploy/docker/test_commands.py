"""Commands on a devnet in containers: they call processes by name, and leave to docker what is docker's."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from click.testing import CliRunner

from deploy.adversaries.stage import AttackFailed
from deploy.cli import faultline
from deploy.commands import attacking, running
from deploy.network import load_network
from deploy.observation import Observation
from deploy.published import Layer
from tests.deploy.docker.places import NAMES, Places


@pytest.fixture
def prepared(places: Places, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A devnet that was prepared at another offset of its published ports."""
    assert places.prepare(FAULTLINE_NETWORK_PORT_OFFSET="10000") == 0
    monkeypatch.setenv("FAULTLINE_DATA", str(places.network.data))
    return places


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["up"], "docker compose up"),
        (["down"], "docker compose down"),
        (["logs"], "docker compose logs"),
        (["reset", "--yes"], "docker compose down --volumes"),
        (["processes", "kill", "bridge"], "docker compose kill bridge"),
        (["doctor"], "docker compose ps --all"),
        (["exec", "--", "true"], "docker run --rm faultline:local faultline exec -- COMMAND"),
        (["monitoring"], "docker compose up --detach prometheus grafana"),
    ],
)
def test_what_a_supervisor_does_is_left_to_docker(
    prepared: Places, arguments: Sequence[str], instead: str
) -> None:
    before = sorted(prepared.network.data.rglob("*"))
    done = CliRunner().invoke(faultline, arguments)
    assert done.exit_code == 1
    assert f"this devnet runs in containers: `{instead}` does that" in done.output
    assert sorted(prepared.network.data.rglob("*")) == before


def test_damaged_data_can_still_be_deleted(prepared: Places) -> None:
    prepared.network.network.write_text("{")
    done = CliRunner().invoke(faultline, ["reset", "--yes"])
    assert done.exit_code == 0
    assert not prepared.network.network.exists()


def test_status_asks_by_name_and_shows_what_people_reach(
    prepared: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, Layer]] = []

    def is_alive(metrics_url: str) -> bool:
        return metrics_url != "http://bridge:9151"

    def observe(rpc_url: str, metrics_url: str, layer: Layer) -> Observation:
        asked.append((rpc_url, metrics_url, layer))
        return Observation(ready=True, reason="", head=7)

    monkeypatch.setattr(running, "is_alive", is_alive)
    monkeypatch.setattr(running, "observe", observe)
    done = CliRunner().invoke(faultline, ["status", "--json"])
    assert done.exit_code == 0
    rows = {row["name"]: row for row in orjson.loads(done.output)["processes"]}
    assert tuple(rows) == NAMES
    assert ("http://validator-3:8548", "http://validator-3:9103", "l1") in asked
    assert ("http://sequencer:9545", "http://sequencer:9150", "l2") in asked
    assert rows["validator-3"]["rpc"] == "http://127.0.0.1:18548"
    assert rows["validator-3"]["metrics"] == "http://127.0.0.1:19103/metrics"
    assert rows["validator-3"]["state"] == "running"
    assert rows["bridge"]["state"] == "silent"
    shown = CliRunner().invoke(faultline, ["status"])
    assert "in containers" in shown.output.splitlines()[0]


def test_status_of_what_does_not_run_says_how_to_start_it(
    prepared: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "is_alive", lambda _url: False)
    done = CliRunner().invoke(faultline, ["status"])
    assert done.exit_code == 1
    assert "`docker compose up` starts it" in done.output


def test_an_attack_asks_for_a_process_to_be_stopped_and_waits(
    prepared: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processes = attacking.DevnetProcesses(load_network(prepared.network))
    looks = [True, True, False]
    monkeypatch.setattr(attacking, "is_alive", lambda url: "bridge:9151" in url and looks.pop(0))
    monkeypatch.setattr(attacking, "LOOK_EVERY_S", 0.0)
    processes.stop("bridge")
    assert looks == []
    processes.start("bridge")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":  ")[1] for line in said] == [
        "docker compose stop bridge",
        "docker compose start bridge",
    ]


def test_an_attack_that_nobody_helps_fails(
    prepared: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = attacking.DevnetProcesses(load_network(prepared.network))
    monkeypatch.setattr(attacking, "is_alive", lambda _url: True)
    monkeypatch.setattr(attacking, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(attacking, "BY_HAND_DEADLINE_S", 0.0)
    with pytest.raises(AttackFailed, match="bridge was not stopped within 0 s"):
        processes.stop("bridge")
