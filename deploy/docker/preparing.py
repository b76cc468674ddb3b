"""What runs before the processes' containers, to its end: the network is made once, and continued ever after.

    environment -> manifest, with what containers need -> /network: made or continued -> shares -> exit code 0
    wrong value, or data made with another one -> what is wrong, where, what is wanted -> exit code 2

Deliberately absent: waiting for the processes; compose knows their health.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from deploy.creation import create
from deploy.docker.sharing import share_out
from deploy.layout import DATA_VARIABLE, Layout
from deploy.lock import AlreadyRunning, SupervisorLock
from deploy.manifest import ManifestError, Resolved, Setting, environment_settings, resolve
from deploy.network import (
    BRIDGE,
    SEQUENCER,
    WATCHTOWER,
    Network,
    NetworkError,
    claim,
    open_network,
    stored_settings,
)
from deploy.rendering import facts

DATA: Final = Path("/network")
"""Where the network's volume is mounted; the image says so to commands as well."""

VOLUMES: Final = Path("/volumes")
"""Where the volumes of all processes are mounted, each under its process's name."""

VALIDATOR_PROCESSES: Final = 4
"""As many as docker-compose.yml has."""

BOOT_SECONDS: Final = 8
"""From making a network to its first block: time for the containers to start and find each other."""

ORIGIN: Final = "docker-compose.yml"
"""Who set what containers need."""

COMPOSE_ONLY: Final = frozenset({"FAULTLINE_IMAGE", "FAULTLINE_PORT_DIGIT"})
"""Variables of .env that compose itself reads; every other one of ours names a key of the manifest, or is a slip."""

_NAMES: Final = (
    *(f"validator-{index}" for index in range(VALIDATOR_PROCESSES)),
    SEQUENCER,
    BRIDGE,
    WATCHTOWER,
)

FIXED: Final[Mapping[tuple[str, str], JsonValue]] = {
    ("network", "validator_processes"): VALIDATOR_PROCESSES,
    ("l2", "enabled"): True,
    ("l2", "replicas"): 0,
    ("bridge", "enabled"): True,
    ("rpc", "host"): "0.0.0.0",  # noqa: S104  # compose publishes it on loopback only
    ("rpc", "base_port"): 8_545,
    ("rpc", "l2_base_port"): 9_545,
    ("rpc", "allowed_hosts"): [*_NAMES, "host.docker.internal"],
    ("rpc", "allowed_origins"): [],
    ("rpc", "published_on_loopback"): True,
    ("p2p", "host"): "0.0.0.0",  # noqa: S104  # within the containers' own network
    ("p2p", "base_port"): 9_000,
    ("p2p", "l2_base_port"): 9_050,
    ("metrics", "host"): "0.0.0.0",  # noqa: S104  # within the containers' own network
    ("metrics", "base_port"): 9_100,
    ("metrics", "l2_base_port"): 9_150,
}
"""What docker-compose.yml decides, by section and key: which processes there are, and where they bind."""

HINT: Final = (
    "(`docker compose down --volumes` deletes the devnet; `docker compose up` makes a new one then)"
)
"""What helps when data and settings do not fit."""


def main(environment: Mapping[str, str], volumes: Path = VOLUMES, data: Path = DATA) -> int:
    """Prepare everything; gives the exit code."""
    elsewhere = environment.get(DATA_VARIABLE, str(data))
    if elsewhere != str(data):
        sys.stderr.write(
            f"environment: {DATA_VARIABLE}: found {elsewhere!r}, wanted nothing: {ORIGIN} decides it\n"
        )
        return 2
    layout = Layout(data)
    try:
        lock = SupervisorLock(layout)
    except (AlreadyRunning, OSError) as error:
        sys.stderr.write(f"{layout.data}: cannot be used: {error}\n")
        return 1
    try:
        network = prepare(layout, environment, volumes)
    except ManifestError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except NetworkError as error:
        sys.stderr.write(f"{error}\n{HINT}\n")
        return 2
    finally:
        lock.release()
    sys.stdout.write("\n".join([*facts(network), ""]))
    return 0


def prepare(layout: Layout, environment: Mapping[str, str], volumes: Path) -> Network:
    """Make or continue the network, and write every process's share. Raises ManifestError, NetworkError."""
    resolved = settled(layout, environment)
    if layout.network.exists():
        network = open_network(layout, resolved)
    else:
        claim(layout)
        start = time.time_ns() // 10**9 + 1 + BOOT_SECONDS
        network = create(layout, resolved.manifest, start, "containers")
    share_out(network, volumes)
    return network


def settled(layout: Layout, environment: Mapping[str, str]) -> Resolved:
    """What is in force: kept settings, the environment's, and what docker-compose.yml decides. Raises ManifestError."""
    wanted = environment_settings(
        {name: value for name, value in environment.items() if name not in COMPOSE_ONLY}
    )
    problems = [
        f"{setting.origin}: {setting.section}.{setting.key}: found {setting.value!r}, "
        f"wanted nothing: {ORIGIN} decides it"
        for setting in wanted
        if (setting.section, setting.key) in FIXED
    ]
    if problems:
        raise ManifestError("\n".join(problems))
    decided = [
        Setting(section=section, key=key, value=value, origin=ORIGIN)
        for (section, key), value in FIXED.items()
    ]
    return resolve([*stored_settings(layout), *wanted, *decided])
