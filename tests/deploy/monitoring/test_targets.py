"""Prometheus finds the processes of a devnet, in containers and on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from deploy.commands.monitoring import monitoring
from deploy.creation import create
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.monitoring.folder import PARTS, write_monitoring
from deploy.monitoring.generated import HERE
from deploy.monitoring.targets import targets_of
from deploy.network import Network, claim, erase, foreign_entries, save_network


@pytest.fixture
def network(tmp_path: Path) -> Network:
    manifest = Manifest.model_validate({"network": {"port_offset": 300, "validators": 4}})
    layout = Layout(tmp_path / "devnet")
    claim(layout)
    return create(layout, manifest, 1_700_000_000)


def test_a_data_folder_holds_all_that_prometheus_and_grafana_need(network: Network) -> None:
    folder = network.layout.monitoring
    write_monitoring(network, folder)
    groups = orjson.loads((folder / "prometheus/targets/devnet.json").read_bytes())
    written = {group["labels"]["process"]: group["targets"][0] for group in groups}
    assert written == targets_of(network)
    assert written["bridge"] == "127.0.0.1:9451"
    for part in PARTS:
        originals = [HERE / part] if (HERE / part).is_file() else (HERE / part).rglob("*")
        for file in originals:
            if file.is_file():
                assert (folder / file.relative_to(HERE)).read_bytes() == file.read_bytes()


def test_what_another_version_wrote_goes_and_what_prometheus_keeps_stays(network: Network) -> None:
    folder = network.layout.monitoring
    write_monitoring(network, folder)
    fresh = {file for file in folder.rglob("*") if file.is_file()}
    old = [folder / "grafana/dashboards/old.json", folder / "prometheus/rules/old.yml"]
    kept = folder / "prometheus/data/wal/00000000"
    kept.parent.mkdir(parents=True)
    for file in (*old, kept):
        file.touch()
    write_monitoring(network, folder)
    assert {file for file in folder.rglob("*") if file.is_file()} == {*fresh, kept}


def test_it_is_ours_and_goes_with_the_network(network: Network) -> None:
    write_monitoring(network, network.layout.monitoring)
    assert not foreign_entries(network.layout)
    erase(network.layout)
    assert not network.layout.monitoring.exists()


def test_the_command_shows_how_to_start_both(network: Network) -> None:
    data = ["--data", str(network.layout.data)]
    shown = CliRunner().invoke(monitoring, data)
    assert shown.exit_code == 0, shown.output
    config = network.layout.monitoring / "prometheus/prometheus.yml"
    assert f"--config.file={config}" in shown.output
    assert config.exists()

    told = orjson.loads(CliRunner().invoke(monitoring, ["--json", *data]).output)
    assert told["prometheus"][-1] == "--web.listen-address=127.0.0.1:9390"
    assert told["grafana"]["PROMETHEUS_URL"] == "http://127.0.0.1:9390"
    assert Path(told["grafana"]["FAULTLINE_DASHBOARDS"]).is_dir()
    for place in ("DATA", "LOGS", "PLUGINS"):
        written = Path(told["grafana"][f"GF_PATHS_{place}"])
        assert written.is_relative_to(network.layout.monitoring), place


def test_containers_have_theirs_beside_them(network: Network) -> None:
    save_network(replace(network, placement="containers"))
    shown = CliRunner().invoke(monitoring, ["--data", str(network.layout.data)])
    assert shown.exit_code == 1
    assert "docker compose up --detach prometheus grafana" in shown.output


def test_without_a_network_there_is_nothing_to_watch(tmp_path: Path) -> None:
    shown = CliRunner().invoke(monitoring, ["--data", str(tmp_path)])
    assert shown.exit_code == 1
    assert "holds no network" in shown.output
