"""Who is scraped: the file that Prometheus' file_sd reads.

    Network -> targets_of -> targets_file -> targets/devnet.json

Each target carries `process`, its name; metrics have labels of their own, so nothing else is added that could clash with them.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from deploy.network import Network


def targets_file(targets: Mapping[str, str]) -> bytes:
    """Write process -> host:port as file_sd reads it."""
    groups = [
        {"targets": [address], "labels": {"process": process}}
        for process, address in targets.items()
    ]
    return orjson.dumps(groups, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def targets_of(network: Network) -> dict[str, str]:
    """Where the metrics of a network's processes are reached: on this machine, or by name among containers."""
    return {
        plan.name: network.metrics_url(plan).removeprefix("http://") for plan in network.processes()
    }
