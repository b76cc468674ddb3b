"""Commands that speak to the supervisor of a running devnet: down, status, processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import trio
from pydantic import JsonValue

from deploy.commands.options import (
    CommandFailed,
    WrongUse,
    data_option,
    json_option,
    layout_of,
    print_json,
    process_names,
)
from deploy.commands.preparing import refuse_containers
from deploy.control import Action, NotRunning, Refused, Request, ask
from deploy.layout import Layout
from deploy.lock import is_running
from deploy.network import Network, NetworkError, ProcessPlan, load_network
from deploy.observation import Observation, is_alive, observe
from deploy.supervisor import State

ANSWER_DEADLINE_S: Final = 15.0
"""The supervisor answers by then; stopping everything takes it 3 s."""

GONE_DEADLINE_S: Final = 10.0
"""A supervisor that was told to stop is gone by then."""


@click.command("down")
@data_option
def down(data: Path | None) -> None:
    """Stop a running devnet; its data stays, and `faultline up` continues it."""
    layout = layout_of(data)
    refuse_containers(layout, "docker compose down")
    asked(layout, "down")
    trio.run(_wait_until_gone, layout)
    click.echo(f"Stopped; the data stays in {layout.data}.")


async def _wait_until_gone(layout: Layout) -> None:
    with trio.move_on_after(GONE_DEADLINE_S):
        while is_running(layout):  # noqa: ASYNC110  # a lock of another process has no event
            await trio.sleep(0.02)
        return
    raise CommandFailed("the processes have stopped, but their supervisor still runs")


@click.command("status")
@data_option
@json_option
def status(data: Path | None, *, as_json: bool) -> int:
    """Show the processes, their heads, finality and peers; exit code 1 when nothing runs."""
    layout = layout_of(data)
    network = loaded(layout)
    try:
        processes = _known(network)
    except NotRunning as error:
        if as_json:
            print_json({**_heading(network), "running": False, "processes": []})
            return 1
        raise CommandFailed(f"{error}; `{_start(network)}` starts it") from error
    except Refused as error:
        raise CommandFailed(str(error)) from error
    rows = _observed(network, processes)
    if as_json:
        print_json({**_heading(network), "running": True, "processes": rows})
    else:
        click.echo(_table(network, rows))
    return 0


def _heading(network: Network) -> dict[str, JsonValue]:
    manifest = network.manifest.network
    return {"name": manifest.name, "profile": manifest.profile, "data": str(network.layout.data)}


def _start(network: Network) -> str:
    return "docker compose up" if network.placement == "containers" else "faultline up"


def _known(network: Network) -> list[dict[str, JsonValue]]:
    """What is known of each process before it is asked itself. Raises NotRunning, Refused."""
    if network.placement == "containers":
        return _containers(network)
    request = Request(action="status")
    answer = ask(network.layout, request, deadline_s=ANSWER_DEADLINE_S)
    assert isinstance(answer, dict)
    processes = answer["processes"]
    assert isinstance(processes, list)
    return [process for process in processes if isinstance(process, dict)]


def _containers(network: Network) -> list[dict[str, JsonValue]]:
    """Docker keeps the processes of containers running: all that can be told is whether one answers. Raises NotRunning."""
    plans = network.processes()
    with ThreadPoolExecutor(max_workers=len(plans)) as pool:
        answers = list(pool.map(lambda plan: is_alive(network.metrics_url(plan)), plans))
    if not any(answers):
        raise NotRunning("no process of the devnet answers")
    return [
        {
            "name": plan.name,
            "role": plan.role,
            "state": "running" if answers_now else "silent",
            "pid": None,
            "restarts": None,
            "uptimeSeconds": None,
            "lastEnd": None,
        }
        for plan, answers_now in zip(plans, answers, strict=True)
    ]


def _observed(
    network: Network, processes: list[dict[str, JsonValue]]
) -> list[dict[str, JsonValue]]:
    """What is known of each process, and what the process says itself."""
    plans = {plan.name: plan for plan in network.processes()}
    stopped = {process["name"] for process in processes if process["state"] == State.STOPPED}

    def look(plan: ProcessPlan) -> Observation:
        if plan.name in stopped:
            return Observation(ready=False, reason="")
        return observe(network.rpc_url(plan), network.metrics_url(plan), plan.layer)

    with ThreadPoolExecutor(max_workers=len(plans)) as pool:
        observations = dict(zip(plans, pool.map(look, plans.values()), strict=True))
    rows = []
    for process in processes:
        name = str(process["name"])
        rows.append(
            {
                **process,
                "layer": plans[name].layer,
                **_camel(observations[name]),
                "rpc": network.shown_rpc_url(plans[name]),
                "metrics": f"{network.shown_metrics_url(plans[name])}/metrics",
            }
        )
    return rows


def _camel(observation: Observation) -> dict[str, JsonValue]:
    fields = asdict(observation)
    fields["headTimestamp"] = fields.pop("head_timestamp")
    return fields


def _table(network: Network, rows: list[dict[str, JsonValue]]) -> str:
    where = "containers" if network.placement == "containers" else network.layout.data
    lines = [f"{network.manifest.network.name} in {where}"]
    headings = ("head", "safe", "finalized", "batches", "peers", "restarts", "rpc")
    lines.append(_row(["process", "state", "pid", *headings]))
    for row in rows:
        state = row["state"]
        if state == "running":
            state = "ready" if row["ready"] else "not ready"
        shown = [_name(row), state, row["pid"], *(row[heading] for heading in headings)]
        lines.append(_row(["-" if value is None else str(value) for value in shown]))
        if row["reason"]:
            lines.append(f"    {row['reason']}")
    return "\n".join(lines)


def _name(row: dict[str, JsonValue]) -> str:
    return f"{row['name']} ({str(row['layer']).upper()})"


def _row(cells: list[str]) -> str:
    widths = (16, 10, 8, 8, 8, 9, 7, 5, 8, 0)
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


@click.group("processes")
def processes() -> None:
    """Stop, start, restart or kill one process of a running devnet."""


def _process_command(action: Action, help_text: str, done: str) -> click.Command:
    def run(name: str, data: Path | None) -> None:
        layout = layout_of(data)
        refuse_containers(layout, f"docker compose {action} {name}")
        names = [plan.name for plan in running(layout).processes()]
        if name not in names:
            raise WrongUse(f"no process is named {name}; there are {', '.join(names)}")
        asked(layout, action, name)
        click.echo(f"{name}: {done}.")

    run.__doc__ = help_text
    command = click.argument("name", shell_complete=process_names)(data_option(run))
    return processes.command(action)(command)


_process_command("stop", "Stop a process cleanly; it stays down until it is started.", "stopped")
_process_command("start", "Start a process that does not run.", "starting")
_process_command("restart", "Stop a process cleanly, then start it.", "starting again")
_process_command(
    "kill",
    "End a process as a crash would, with no chance to clean up; it stays down until it is started.",
    "killed",
)


def loaded(layout: Layout) -> Network:
    """The network of a data folder. Raises CommandFailed."""
    try:
        return load_network(layout)
    except NetworkError as error:
        raise CommandFailed(str(error)) from error


def running(layout: Layout) -> Network:
    """The network of a data folder that runs: on the ports of one that does not, another devnet may answer.

    Containers have no supervisor; they answer on ports of their own. Raises CommandFailed.
    """
    network = loaded(layout)
    if network.placement == "machine" and not is_running(layout):
        raise CommandFailed(f"no devnet runs on {layout.data}; `{_start(network)}` starts it")
    return network


def asked(layout: Layout, action: Action, process: str = "") -> JsonValue:
    """Ask the supervisor. Raises CommandFailed."""
    try:
        request = Request(action=action, process=process)
        return ask(layout, request, deadline_s=ANSWER_DEADLINE_S)
    except (NotRunning, Refused) as error:
        raise CommandFailed(str(error)) from error


COMMANDS: Final = {"down": down, "status": status, "processes": processes}
"""What this module holds."""
