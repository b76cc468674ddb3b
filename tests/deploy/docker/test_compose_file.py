"""docker-compose.yml, .env and Dockerfile, judged without an engine: hardened, bounded, on loopback, in step with the manifest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
import yaml

from deploy.docker.preparing import FIXED
from deploy.manifest import Manifest
from deploy.monitoring.folder import GRAFANA_MANNERS
from deploy.network import places

REPOSITORY = Path(__file__).parents[3]

Service = dict[str, object]
"""One service, as it is written with its anchors resolved."""

PROCESSES = {place.name: place for place in places(Manifest())}
PORT = re.compile(r"127\.0\.0\.1:\$\{FAULTLINE_PORT_DIGIT-\}(\d+):(\d+)")


def composed() -> dict[str, object]:
    return cast(
        "dict[str, object]", yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    )


def services() -> dict[str, Service]:
    return cast("dict[str, Service]", composed()["services"])


def strings(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(entry) for entry in value]


@pytest.mark.parametrize("name", services())
def test_every_service_is_hardened_and_bounded(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service["mem_limit"]
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["pids_limit"]
    assert "max-size" in str(service["logging"])


def test_every_port_is_on_loopback_and_the_one_that_is_promised() -> None:
    published = {
        name: strings(service["ports"])
        for name, service in services().items()
        if "ports" in service
    }
    wanted = {
        **{
            name: {place.rpc_port, place.p2p_port, place.metrics_port}
            for name, place in PROCESSES.items()
        },
        "prometheus": {9090},
        "grafana": {3000},
    }
    found = {}
    for name, ports in published.items():
        matches = [PORT.fullmatch(port) for port in ports]
        assert all(match is not None and match[1] == match[2] for match in matches), ports
        found[name] = {int(match[1]) for match in matches if match is not None}
    assert found == wanted


def test_every_image_has_a_tag_of_its_own() -> None:
    for name, service in services().items():
        image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", str(service["image"]))
        _, _, tag = image.rpartition(":")
        assert tag not in ("", "latest", image), (name, image)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_runs_its_own_program_on_its_own_volume(name: str) -> None:
    service = services()[name]
    place = PROCESSES[name]
    program = {"validator": "node", "sequencer": "sequencer"}.get(place.role, "bridge")
    config = f"/data/config/{name}.json"
    assert service["command"] == ["python", "-m", program, "--config", config]
    assert service["volumes"] == [f"{name}:/data"]
    assert service["restart"] == "unless-stopped"
    assert str(place.metrics_port) in str(service["healthcheck"])
    assert "environment" not in service


def test_nobody_but_who_prepares_and_who_commands_sees_the_network() -> None:
    seeing = {
        name
        for name, service in services().items()
        if any(volume.startswith("network:") for volume in strings(service.get("volumes", [])))
    }
    assert seeing == {"init", "cli"}
    assert services()["cli"]["volumes"] == ["network:/network:ro"]


def test_every_process_is_waited_for_in_order() -> None:
    def awaited(name: str) -> dict[str, str]:
        waits = cast("dict[str, dict[str, str]]", services()[name]["depends_on"])
        return {other: wait["condition"] for other, wait in waits.items()}

    validators = [name for name, place in PROCESSES.items() if place.role == "validator"]
    for name in validators:
        assert awaited(name) == {"init": "service_completed_successfully"}
    assert awaited("sequencer") == dict.fromkeys(validators, "service_healthy")
    assert awaited("bridge") == awaited("watchtower") == {"sequencer": "service_healthy"}


def test_every_key_that_compose_does_not_decide_can_be_set() -> None:
    environment = cast("dict[str, object]", services()["init"]["environment"])
    keys = {
        (section, key)
        for section, table in Manifest().model_dump().items()
        for key in table
        if (section, key) not in FIXED
    }
    assert set(environment) == {f"FAULTLINE_{section}_{key}".upper() for section, key in keys}
    assert services()["init"]["env_file"] == [".env"]
    given = {name for name, value in environment.items() if value is not None}
    assert given == {"FAULTLINE_NETWORK_PORT_OFFSET"}


def test_every_volume_is_declared_and_nothing_of_the_clone_is_mounted() -> None:
    """A clone's files may be closed to others, and the engine may run on another machine."""
    named = set(cast("dict[str, object]", composed()["volumes"]))
    used = set()
    for service in services().values():
        for volume in strings(service.get("volumes", [])):
            source, *_ = volume.split(":")
            used.add(source)
    assert used == named


def test_monitoring_is_started_unless_somebody_says_otherwise() -> None:
    lines = (REPOSITORY / ".env").read_text().splitlines()
    assert "COMPOSE_PROFILES=monitoring" in lines
    assert [name for name, service in services().items() if "profiles" in service] == [
        "cli",
        "prometheus",
        "grafana",
    ]


def test_grafana_asks_nobody_outside() -> None:
    told = cast("dict[str, str]", services()["grafana"]["environment"])
    asking = {
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    assert {name: told[name] for name in asking} == asking


def test_grafana_is_told_the_same_in_a_container_and_on_a_machine() -> None:
    told = cast("dict[str, str]", services()["grafana"]["environment"])
    places = ("GF_PATHS_", "GF_DASHBOARDS_", "PROMETHEUS_URL", "FAULTLINE_DASHBOARDS")
    manners = {name: value for name, value in told.items() if not name.startswith(places)}
    assert manners == GRAFANA_MANNERS


def test_whoever_watches_sees_rules_and_dashboards_alone() -> None:
    for name in ("prometheus", "grafana"):
        assert services()[name]["volumes"] == [
            "monitoring:/etc/faultline:ro",
            f"{name}:/{'prometheus' if name == 'prometheus' else 'var/lib/grafana'}",
        ]
    assert "monitoring:/volumes/monitoring" in strings(services()["init"]["volumes"])
    command = strings(services()["prometheus"]["command"])
    assert "--config.file=/etc/faultline/prometheus/prometheus.yml" in command
    told = cast("dict[str, str]", services()["grafana"]["environment"])
    assert told["GF_PATHS_PROVISIONING"] == "/etc/faultline/grafana/provisioning"
    assert told["FAULTLINE_DASHBOARDS"] == "/etc/faultline/grafana/dashboards"
    home = told["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == "/etc/faultline/grafana/dashboards/faultline-network.json"


def test_what_the_image_takes_from_a_clone_is_open_to_its_user() -> None:
    """Whatever the umask of who cloned it was."""
    text = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text()
    _, _, image = text.partition("FROM scratch")
    copies = [line for line in image.splitlines() if line.startswith("COPY")]
    assert copies
    assert all("--from=" in line or "--chmod=644" in line for line in copies)


def test_the_image_ends_as_somebody_without_rights() -> None:
    lines = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text().splitlines()
    assert not lines[0].startswith("# syntax=")
    instructions = [line.split()[0] for line in lines if line and line[0].isalpha()]
    assert instructions[-2:] == ["USER", "CMD"]
    bases = [line for line in lines if line.startswith("ARG")]
    assert len(bases) == 2
    assert all(re.search(r"=\w+:([\d.]+-slim-bookworm|bookworm-slim)$", base) for base in bases)
