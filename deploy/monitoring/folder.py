"""What Prometheus and Grafana read, written for one network: beside its data, or into the volume that their containers see.

    Network, the files of this package -> <folder>/prometheus, <folder>/grafana

Written anew at every start: ports may have moved, and rules and dashboards are those of the version that runs.
Whoever changes them copies them elsewhere. Both programs keep their own data in there, too, so that `reset` takes it along.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from deploy.monitoring.generated import HERE
from deploy.monitoring.targets import targets_file, targets_of
from deploy.network import Network, replace_file

PARTS: Final = (
    "prometheus/prometheus.yml",
    "prometheus/rules",
    "grafana/provisioning",
    "grafana/dashboards",
)
"""What is copied; targets are the network's own."""

PROMETHEUS_PORT: Final = 9_090
GRAFANA_PORT: Final = 3_000
"""Before the network's port offset."""

GRAFANA_MANNERS: Final = {
    "GF_AUTH_ANONYMOUS_ENABLED": "true",
    "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
}
"""Everybody looks on without an account, and nobody outside is asked or told anything; docker-compose.yml says the same."""


def write_monitoring(network: Network, folder: Path) -> None:
    """Write the folder; what another version wrote goes. Raises OSError."""
    for part in PARTS:
        there = folder / part
        if (HERE / part).is_dir():
            shutil.copytree(HERE / part, there, dirs_exist_ok=True)
            _remove_others(HERE / part, there)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / part, there)
    targets = folder / "prometheus" / "targets"
    targets.mkdir(exist_ok=True)
    replace_file(targets / "devnet.json", targets_file(targets_of(network)))


def _remove_others(source: Path, copy: Path) -> None:
    for file in copy.rglob("*"):
        if file.is_file() and not (source / file.relative_to(copy)).is_file():
            file.unlink()


def prometheus_command(network: Network) -> list[str]:
    """What starts Prometheus on this network."""
    folder = network.layout.monitoring / "prometheus"
    return [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.size=512MB",
        f"--web.listen-address=127.0.0.1:{_port(network, PROMETHEUS_PORT)}",
    ]


def grafana_settings(network: Network) -> dict[str, str]:
    """Environment in which Grafana shows this network to everybody on this machine, without an account."""
    folder = network.layout.monitoring / "grafana"
    return {
        "PROMETHEUS_URL": f"http://127.0.0.1:{_port(network, PROMETHEUS_PORT)}",
        "FAULTLINE_DASHBOARDS": str(folder / "dashboards"),
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(
            folder / "dashboards/faultline-network.json"
        ),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        # Its own folder is root's where it came in a package.
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "data/log"),
        "GF_PATHS_PLUGINS": str(folder / "data/plugins"),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(_port(network, GRAFANA_PORT)),
        **GRAFANA_MANNERS,
    }


def _port(network: Network, base: int) -> int:
    return base + network.manifest.network.port_offset
