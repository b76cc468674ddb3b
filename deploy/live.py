"""The live table that `up` shows on a terminal: processes, heads, finality, batches, peers.

A terminal that cannot move its cursor (TERM=dumb) shows a line for each process that has become something else instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.network import Network, ProcessPlan
from deploy.observation import Observation, observe
from deploy.supervisor import ProcessStatus, State, Supervisor

Show = Callable[[list[ProcessStatus], Mapping[str, Observation]], None]
"""How what was seen of processes is shown."""

REFRESH_S: Final = 1.0
"""How often the table is drawn."""

UNKNOWN: Final = "-"
"""Where a process did not say."""

_COLOURS: Final = {
    "ready": "green",
    "not ready": "yellow",
    "starting": "yellow",
    "waiting": "yellow",
    "stopping": "yellow",
    "stopped": "red",
    "failed": "red",
}


class LiveTable:
    """Draws the table until cancelled."""

    def __init__(self, network: Network, console: Console | None = None) -> None:
        self._network = network
        self._console = console or Console()
        self._is_shown = False
        self._lines: dict[str, str] = {}

    def say(self, message: str) -> None:
        """Print a line above the table."""
        if self._is_shown:
            self._print(message)

    async def run(self, supervisor: Supervisor) -> None:
        """Look at every process and draw, again and again."""
        self._is_shown = True
        try:
            if self._console.is_dumb_terminal:
                self._print(heading(self._network))
                await self._look_again_and_again(supervisor, self._print_changes)
            else:
                with Live(console=self._console, auto_refresh=False, transient=True) as live:
                    await self._look_again_and_again(
                        supervisor,
                        lambda *seen: live.update(table(self._network, *seen), refresh=True),
                    )
        finally:
            self._is_shown = False

    async def _look_again_and_again(self, supervisor: Supervisor, show: Show) -> NoReturn:
        plans = {plan.name: plan for plan in self._network.processes()}
        while True:
            observations: dict[str, Observation] = {}
            async with trio.open_nursery() as nursery:
                for status in supervisor.statuses:
                    plan = plans[status.name]
                    nursery.start_soon(_look, observations, self._network, plan)
            show(supervisor.statuses, observations)
            await trio.sleep(REFRESH_S)

    def _print_changes(
        self, statuses: list[ProcessStatus], observations: Mapping[str, Observation]
    ) -> None:
        for status in statuses:
            line = f"{status.name} is {_state(status, observations.get(status.name))}"
            if self._lines.get(status.name) != line:
                self._lines[status.name] = line
                self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)


async def _look(observations: dict[str, Observation], network: Network, plan: ProcessPlan) -> None:
    observations[plan.name] = await trio.to_thread.run_sync(
        observe,
        network.rpc_url(plan),
        network.metrics_url(plan),
        plan.layer,
        abandon_on_cancel=True,
    )


def heading(network: Network) -> str:
    """What stands above the table."""
    return f"{network.manifest.network.name}: Ctrl-C stops it and keeps its data"


def table(
    network: Network, statuses: list[ProcessStatus], observations: Mapping[str, Observation]
) -> Table:
    """The table as it stands."""
    slot_seconds = network.manifest.network.slot_seconds
    drawn = Table(
        title=heading(network),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("process", "state"):
        drawn.add_column(name, no_wrap=True)
    for name in ("head", "age", "safe", "final", "batches", "peers", "restarts"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("JSON-RPC", no_wrap=True)
    plans = {plan.name: plan for plan in network.processes()}
    now_s = time.time_ns() // 10**9
    for status in statuses:
        seen = observations.get(status.name) or Observation(ready=False, reason="")
        state = _state(status, seen)
        age = UNKNOWN if seen.head_timestamp is None else f"{now_s - seen.head_timestamp} s"
        # An L2 without transactions makes a block for each L1 block that it reaches.
        patience_s = (4 if plans[status.name].layer == "l1" else 12) * slot_seconds
        late = seen.head_timestamp is not None and now_s - seen.head_timestamp > patience_s
        drawn.add_row(
            status.name,
            f"[{_COLOURS[state]}]{state}[/]",
            _shown(seen.head),
            f"[yellow]{age}[/]" if late else age,
            _shown(seen.safe),
            _shown(seen.finalized),
            _shown(seen.batches),
            _shown(seen.peers),
            str(status.restarts),
            network.rpc_url(plans[status.name]).removeprefix("http://"),
        )
    return drawn


def _state(status: ProcessStatus, seen: Observation | None) -> str:
    """In a word or two, one of those that have a colour."""
    if status.state is not State.RUNNING:
        return str(status.state)
    return "ready" if seen is not None and seen.ready else "not ready"


def _shown(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"
