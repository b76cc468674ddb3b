"""The live table that `up` shows on a terminal: processes, heads, finality, batches, peers."""

from __future__ import annotations

import time
from typing import Final

import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.network import Network, ProcessPlan
from deploy.observation import Observation, observe
from deploy.supervisor import ProcessStatus, Supervisor

REFRESH_S: Final = 1.0
"""How often the table is drawn."""

UNKNOWN: Final = "-"
"""Where a process did not say."""

_COLOURS: Final = {
    "running": "green",
    "starting": "yellow",
    "waiting": "yellow",
    "stopping": "yellow",
    "stopped": "red",
    "failed": "red",
}


class LiveTable:
    """Draws the table until cancelled."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._console = Console()
        self._live: Live | None = None

    def say(self, message: str) -> None:
        """Print a line above the table."""
        if self._live is not None:
            self._console.print(message, markup=False, highlight=False)

    async def run(self, supervisor: Supervisor) -> None:
        """Look at every process and draw, again and again."""
        plans = {plan.name: plan for plan in self._network.processes()}
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                while True:
                    observations: dict[str, Observation] = {}
                    async with trio.open_nursery() as nursery:
                        for status in supervisor.statuses:
                            plan = plans[status.name]
                            nursery.start_soon(_look, observations, self._network, plan)
                    live.update(
                        table(self._network, supervisor.statuses, observations), refresh=True
                    )
                    await trio.sleep(REFRESH_S)
            finally:
                self._live = None


async def _look(observations: dict[str, Observation], network: Network, plan: ProcessPlan) -> None:
    observations[plan.name] = await trio.to_thread.run_sync(
        observe,
        network.rpc_url(plan),
        network.metrics_url(plan),
        plan.layer,
        abandon_on_cancel=True,
    )


def table(
    network: Network, statuses: list[ProcessStatus], observations: dict[str, Observation]
) -> Table:
    """The table as it stands."""
    slot_seconds = network.manifest.network.slot_seconds
    drawn = Table(
        title=f"{network.manifest.network.name}: Ctrl-C stops it and keeps its data",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("process", "state"):
        drawn.add_column(heading, no_wrap=True)
    for heading in ("head", "age", "safe", "final", "batches", "peers", "restarts"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("JSON-RPC", no_wrap=True)
    plans = {plan.name: plan for plan in network.processes()}
    now_s = time.time_ns() // 10**9
    for status in statuses:
        seen = observations.get(status.name) or Observation(ready=False, reason="")
        state = str(status.state)
        colour = _COLOURS[state]
        if state == "running":
            state, colour = ("ready", "green") if seen.ready else ("not ready", "yellow")
        age = UNKNOWN if seen.head_timestamp is None else f"{now_s - seen.head_timestamp} s"
        # An L2 without transactions makes a block for each L1 block that it reaches.
        patience_s = (4 if plans[status.name].layer == "l1" else 12) * slot_seconds
        late = seen.head_timestamp is not None and now_s - seen.head_timestamp > patience_s
        drawn.add_row(
            status.name,
            f"[{colour}]{state}[/]",
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


def _shown(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"
