"""What a person sees of a running devnet: the live table and `faultline status`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing
from rich.console import Console

from deploy import live
from deploy.commands import running
from deploy.creation import create
from deploy.layout import Layout
from deploy.live import table
from deploy.manifest import Manifest
from deploy.network import Network, ProcessPlan, claim
from deploy.observation import Observation
from deploy.published import Layer
from deploy.supervisor import ProcessStatus, State, Supervisor


@pytest.fixture
def network(tmp_path: Path) -> Network:
    claim(Layout(tmp_path / "data"))
    return create(Layout(tmp_path / "data"), Manifest(), 1_800_000_000)


def status(network: Network, name: str, state: State = State.RUNNING) -> ProcessStatus:
    [plan] = [plan for plan in network.processes() if plan.name == name]
    return ProcessStatus(
        name=name,
        role=plan.role,
        state=state,
        pid=7 if state is State.RUNNING else None,
        restarts=0,
        uptime_s=1.0,
        last_end="",
    )


def seen(layer: Layer, head: int) -> Observation:
    return Observation(
        ready=True,
        reason="",
        head=head,
        safe=head - 2,
        finalized=head - 4,
        peers=5,
        head_timestamp=1_800_000_000,
        origin=3 if layer == "l2" else None,
        batches=12 if layer == "l2" else None,
    )


def test_both_chains_stand_in_the_table(network: Network) -> None:
    statuses = [
        status(network, "validator-0"),
        status(network, "sequencer"),
        status(network, "bridge", State.STOPPED),
    ]
    observations = {"validator-0": seen("l1", 40), "sequencer": seen("l2", 4_321)}
    console = Console(width=140, record=True)
    with console.capture() as capture:
        console.print(table(network, statuses, observations))
    rows = {line.split()[0]: line.split() for line in capture.get().splitlines() if line.strip()}
    # state, head, age (two words), safe, final, batches, peers, restarts, JSON-RPC
    assert rows["validator-0"][1:3] == ["ready", "40"]
    assert rows["validator-0"][5:] == ["38", "36", "-", "5", "0", "127.0.0.1:8545"]
    assert rows["sequencer"][1:3] == ["ready", "4,321"]
    assert rows["sequencer"][5:] == ["4,319", "4,317", "12", "5", "0", "127.0.0.1:9545"]
    assert rows["bridge"][1:] == ["stopped", *["-"] * 6, "0", "127.0.0.1:9546"]


def test_status_shows_each_process_on_its_chain(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Layer]] = []

    def observe(rpc_url: str, metrics_url: str, layer: Layer) -> Observation:
        assert metrics_url.startswith("http://127.0.0.1:9")
        asked.append((rpc_url.rpartition(":")[2], layer))
        return seen(layer, 50)

    monkeypatch.setattr(running, "observe", observe)
    rows = running._observed(
        network,
        [
            {"name": plan.name, "role": plan.role, "state": "running", "pid": 1, "restarts": 0}
            for plan in network.processes()
        ],
    )
    assert sorted(asked) == [
        ("8545", "l1"),
        ("8546", "l1"),
        ("8547", "l1"),
        ("8548", "l1"),
        ("9545", "l2"),
        ("9546", "l2"),
        ("9547", "l2"),
    ]
    assert [(row["layer"], row["batches"], row["origin"]) for row in rows] == [
        *[("l1", None, None)] * 4,
        *[("l2", 12, 3)] * 3,
    ]
    *_, sequencer, bridge, _ = running._table(network, rows).splitlines()
    assert sequencer.split()[:7] == ["sequencer", "(L2)", "ready", "1", "50", "48", "46"]
    assert bridge.split()[7:] == ["12", "5", "0", "http://127.0.0.1:9546"]


class Supervised:
    """What a supervisor tells of its processes."""

    def __init__(self, statuses: list[ProcessStatus]) -> None:
        self.statuses = statuses


@pytest.mark.parametrize("kind", ["dumb", "unknown", "xterm"])
async def test_a_terminal_that_cannot_draw_shows_a_line_for_each_change(
    network: Network,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
    kind: str,
) -> None:
    supervised = Supervised([status(network, name) for name in ("validator-0", "sequencer")])
    ready = {"validator-0"}

    async def look(
        observations: dict[str, Observation], network: Network, plan: ProcessPlan
    ) -> None:
        await trio.lowlevel.checkpoint()
        if plan.name in ready:
            observations[plan.name] = seen(plan.layer, 40)

    monkeypatch.setattr(live, "_look", look)
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, _environ={"TERM": kind}, width=120)
    drawn = live.LiveTable(network, console)
    drawn.say("too early")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drawn.run, cast("Supervisor", supervised))
        await trio.sleep(3.5 * live.REFRESH_S)
        drawn.say("[heard]")
        ready.add("sequencer")
        supervised.statuses[0] = status(network, "validator-0", State.STOPPED)
        await trio.sleep(3 * live.REFRESH_S)
        nursery.cancel_scope.cancel()
    drawn.say("too late")
    lines = shown.getvalue().splitlines()
    if kind == "xterm":
        assert "[heard]" in shown.getvalue()
        assert len(lines) > 20
        assert "\x1b[" in shown.getvalue()
    else:
        assert lines == [
            "devnet: Ctrl-C stops it and keeps its data",
            "validator-0 is ready",
            "sequencer is not ready",
            "[heard]",
            "validator-0 is stopped",
            "sequencer is ready",
        ]
