"""Who is scraped: the file that Prometheus' file_sd reads.

    places of a manifest -> targets_file -> targets/devnet.json in the data folder, or targets/compose.json in this one

Each target carries `process`, its name; metrics have labels of their own, so nothing else is added that could clash with them.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from deploy.manifest import Manifest
from deploy.network import Network, places


def targets_file(targets: Mapping[str, str]) -> bytes:
    """Write process -> host:port as file_sd reads it."""
    groups = [
        {"targets": [address], "labels": {"process": process}}
        for process, address in targets.items()
    ]
    return orjson.dumps(groups, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def targets_of(network: Network) -> dict[str, str]:
    """Where this machine reaches the metrics of a network's processes."""
    return {
        plan.name: network.metrics_url(plan).removeprefix("http://") for plan in network.processes()
    }


def compose_targets() -> dict[str, str]:
    """Where containers of docker-compose.yml reach each other: a service is called as its process, its port is the default one."""
    return {place.name: f"{place.name}:{place.metrics_port}" for place in places(Manifest())}
