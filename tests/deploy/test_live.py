"""What a person sees of a running devnet: the live table and `faultline status`."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from deploy.commands import running
from deploy.creation import create
from deploy.layout import Layout
from deploy.live import table
from deploy.manifest import Manifest
from deploy.network import Network, claim
from deploy.observation import Observation
from deploy.published import Layer
from deploy.supervisor import ProcessStatus, State


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
