"""`faultline monitoring`: how to watch a devnet with Prometheus and Grafana.

    network.json -> where the files lie that `up` wrote, and two commands to paste

Deliberately absent: starting them. They are other people's programs, and outlive a devnet.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

import click

from deploy.commands.options import data_option, json_option, layout_of, print_json
from deploy.commands.preparing import refuse_containers
from deploy.commands.running import loaded
from deploy.monitoring.folder import grafana_settings, prometheus_command, write_monitoring


@click.command("monitoring")
@data_option
@json_option
def monitoring(data: Path | None, *, as_json: bool) -> None:
    """Show where rules, targets and dashboards lie, and the commands that start Prometheus and Grafana on them."""
    refuse_containers(layout_of(data), "docker compose up --detach prometheus grafana")
    network = loaded(layout_of(data))
    write_monitoring(network, network.layout.monitoring)
    prometheus, grafana = prometheus_command(network), grafana_settings(network)
    if as_json:
        folder = str(network.layout.monitoring)
        print_json({"folder": folder, "prometheus": [*prometheus], "grafana": {**grafana}})
        return
    settings = [f"{name}={shlex.quote(value)}" for name, value in grafana.items()]
    click.echo(f"Rules, targets and dashboards are in {network.layout.monitoring}.\n")
    click.echo(" \\\n  ".join(map(shlex.quote, prometheus)))
    click.echo("\n" + " \\\n".join([*settings, "  grafana server --homepath=/usr/share/grafana"]))


COMMANDS: Final = {"monitoring": monitoring}
"""What this module holds."""
