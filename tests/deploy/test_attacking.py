"""`faultline break` with an attack: what is shown, which exit code it gives, how the devnet is left."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest

from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.stage import AttackFailed, Stage, Verdict
from deploy.cli import main
from deploy.commands import attacking
from deploy.creation import create
from deploy.json_rpc import RpcUnavailable
from deploy.layout import Layout
from deploy.manifest import Manifest, Setting, resolve
from deploy.network import Network, claim
from node.runtime.fault_entries import Kind, Parameter

COUNT = Parameter(
    name="count", kind=Kind.INTEGER, unit="lies", help="How many.", minimum=1, default=2
)


@dataclass
class Devnet:
    """A devnet whose processes only answer whether they are ready."""

    network: Network
    """On disk."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """What the supervisor was asked."""
    unready: list[str] = field(default_factory=list)
    """Reasons that are given for every process, one look after the other; then all are ready."""

    def is_ready(self, _url: str) -> tuple[bool, str]:
        reason = self.unready.pop(0) if self.unready else ""
        return not reason, reason

    def ask(self, _layout: Layout, action: str, name: str = "") -> None:
        self.asked.append((action, name))


@pytest.fixture
def devnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Devnet:
    return started(tmp_path, monkeypatch, Manifest())


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> Devnet:
    claim(Layout(tmp_path / "data"))
    network = create(Layout(tmp_path / "data"), manifest, 1_800_000_000)
    running = Devnet(network)
    monkeypatch.setenv("FAULTLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: True)
    monkeypatch.setattr(attacking, "is_ready", running.is_ready)
    monkeypatch.setattr(attacking, "asked", running.ask)
    monkeypatch.setattr(attacking, "LOOK_EVERY_S", 0.0)
    return running


def attack(verdict: Verdict | Exception) -> Attack:
    """Stops a process, says something, and ends as it is told."""

    def run(stage: Stage, values: Values) -> Verdict:
        stage.stop("watchtower")
        stage.tries(f"tells {values['count']} lies")
        stage.sees("did not believe them")
        assert stage.guardian is not None
        assert stage.accounts[0] != stage.account()
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return Attack(
        name="lying",
        summary="Tells lies.",
        parameters=(COUNT,),
        expect="Nothing.",
        leaves="Nothing.",
        run=run,
    )


def run(monkeypatch: pytest.MonkeyPatch, played: Attack, *arguments: str) -> int:
    monkeypatch.setattr("deploy.commands.breaking.attack_named", {"lying": played}.get)
    monkeypatch.setattr(sys, "argv", ["faultline", "break", "lying", *arguments])
    return main()


HELD = Verdict(held=True, summary="Nobody believed it.")


def test_an_attack_is_shown_line_by_line_with_its_verdict(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, attack(HELD), "count=3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lying: Tells lies."
    assert [line.split(" s  ", 1)[1] for line in lines[1:]] == [
        "attacker  tells 3 lies",
        "network   did not believe them",
        "verdict   held: Nobody believed it.",
    ]
    assert devnet.asked == [("stop", "watchtower"), ("start", "watchtower")]


def test_an_attack_as_json(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, attack(HELD), "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert (printed["name"], printed["held"]) == ("lying", True)
    assert [(step["who"], step["what"]) for step in printed["steps"]] == [
        ("attacker", "tells 2 lies"),
        ("network", "did not believe them"),
    ]
    assert devnet.asked[-1] == ("start", "watchtower")


def test_a_network_that_broke_gives_1(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, attack(replace(HELD, held=False)), "--json") == 1
    assert not orjson.loads(capsys.readouterr().out)["held"]
    assert devnet.network.layout.network.exists()


def test_what_is_not_ready_afterwards_counts(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a devnet that is ready at first, and never again
    looks = len(devnet.network.processes())
    devnet.unready = [""] * looks + ["no peers"] * 1_000
    monkeypatch.setattr(attacking, "HEALTHY_DEADLINE_S", 0.0)
    assert run(monkeypatch, attack(HELD)) == 1
    shown = capsys.readouterr().out
    assert "BROKEN: Nobody believed it. But afterwards: validator-0: no peers; " in shown


def test_a_devnet_that_is_not_healthy_is_left_alone(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    devnet.unready = ["2 slots behind"]
    assert run(monkeypatch, attack(HELD)) == 1
    assert "not healthy to begin with: validator-0: 2 slots behind" in capsys.readouterr().err
    assert devnet.asked == []


@pytest.mark.parametrize("error", [AttackFailed("nobody came"), RpcUnavailable("nobody came")])
def test_an_attack_that_fails_leaves_the_network_as_it_was(
    devnet: Devnet,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    assert run(monkeypatch, attack(error)) == 1
    assert "lying could not be played to its end: nobody came" in capsys.readouterr().err
    assert devnet.asked == [("stop", "watchtower"), ("start", "watchtower")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["count=0"], "lying: parameter 'count': want an integer from 1 to 1000000 (lies)"),
        (["at=last"], "lying: no parameter is called 'at'; there are: count"),
        (["count"], "lying: found 'count', wanted KEY=VALUE"),
        (["--on", "sequencer"], "lying: is played from outside; no process does it (--on)"),
    ],
)
def test_wrong_use_is_named(
    devnet: Devnet,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, attack(HELD), *arguments) == 2
    assert message in capsys.readouterr().err
    assert devnet.asked == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("l2", "this devnet has no L2 (l2.enabled = false), so there is nothing to claim"),
        ("faults", "this devnet must not be broken (faults.enabled = false)"),
    ],
)
def test_what_must_not_be_broken_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    section: str,
    message: str,
) -> None:
    off = Setting(section=section, key="enabled", value=False, origin="test")
    left_alone = started(tmp_path, monkeypatch, resolve([off]).manifest)
    assert run(monkeypatch, attack(HELD)) == 1
    assert message in capsys.readouterr().err
    assert left_alone.asked == []
