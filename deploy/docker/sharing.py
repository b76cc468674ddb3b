"""Gives each container its share of a network, and nothing of the others'; Prometheus and Grafana what they read.

    network in /network  ->  <volumes>/<process>/   genesis.json, l2-genesis.json, info.json
                                                    config/<process>.json
                                                    keys/<process>.*            its own keys alone, mode 0600
                                                    <process>/                  what it will store
                             <volumes>/monitoring/  rules, targets and dashboards, readable by everybody

A share is laid out as the network's own folder is, and is the whole of what its process sees, mounted at /data.
What is watched with comes from the image, not from the folder of whoever started it: files there may be closed to others (umask 077).
Deliberately absent: making the network (`preparing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from deploy.configs import process_config
from deploy.keys import save_secret
from deploy.layout import Layout
from deploy.monitoring.folder import write_monitoring
from deploy.network import Network, NetworkError, ProcessPlan, network_info, replace_file

MOUNTED: Final = Layout(Path("/data"))
"""Where a process finds its share."""

MONITORING: Final = "monitoring"
"""The volume of Prometheus and Grafana."""


def share_out(network: Network, volumes: Path) -> None:
    """Write every process's share; one that is there already is brought up to date.

    Args:
        network: the network, whole.
        volumes: the folder with one folder for each process.

    Raises:
        NetworkError: when a share belongs to another network, or cannot be written; nothing was written then.
    """
    shares = [(plan, Layout(volumes / plan.name)) for plan in network.processes()]
    _check(network, shares)
    for plan, share in shares:
        _write(network, plan, share)
    try:
        write_monitoring(network, volumes / MONITORING)
    except OSError as error:
        raise NetworkError(f"{MONITORING}: {error.filename}: {error.strerror}") from error


def _check(network: Network, shares: Sequence[tuple[ProcessPlan, Layout]]) -> None:
    genesis = network.layout.genesis.read_bytes()
    problems = []
    for plan, share in shares:
        if not share.data.is_dir():
            problems.append(f"{plan.name}: {share.data} is missing: a volume belongs there")
        elif share.genesis.exists() and share.genesis.read_bytes() != genesis:
            problems.append(f"{plan.name}: its volume holds another network's data")
    if problems:
        raise NetworkError("\n".join(problems))


def _write(network: Network, plan: ProcessPlan, share: Layout) -> None:
    try:
        share.keys.mkdir(mode=0o700, exist_ok=True)
        share.configs.mkdir(exist_ok=True)
        share.store(plan.name).mkdir(exist_ok=True)
        for key in sorted(network.layout.keys.glob(f"{plan.name}.*")):
            _save_private(share.keys / key.name, key.read_bytes())
        replace_file(share.l2_genesis, network.layout.l2_genesis.read_bytes())
        replace_file(share.genesis, network.layout.genesis.read_bytes())
        replace_file(share.info, _indented(network_info(network, {})))
        told = process_config(replace(network, layout=MOUNTED), plan)
        replace_file(share.config(plan.name), _indented(told))
    except OSError as error:
        raise NetworkError(f"{plan.name}: {error.filename}: {error.strerror}") from error


def _save_private(file: Path, content: bytes) -> None:
    """Write a secret whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)  # of a start that was cut off
    save_secret(beside, content)
    beside.replace(file)


def _indented(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
