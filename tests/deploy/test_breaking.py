"""`faultline break`: what is asked of whom, and what is refused before anybody is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest
from pydantic import JsonValue

from deploy.adversaries.catalogue import ATTACKS
from deploy.cli import main
from deploy.creation import create
from deploy.json_rpc import NobodyListens, RpcRefused, RpcUnavailable
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import claim
from node.runtime.fault_catalogue import FAULTS

Asked = list[tuple[str, str, tuple[JsonValue, ...]]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the processes of a network were asked, by port."""
    claim(Layout(tmp_path / "data"))
    create(Layout(tmp_path / "data"), Manifest(), 1_800_000_000)
    monkeypatch.setenv("FAULTLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: True)
    calls: Asked = []

    def call(url: str, method: str, *parameters: JsonValue) -> JsonValue:
        calls.append((url.rpartition(":")[2], method, parameters))
        if url.endswith("8548"):
            raise RpcUnavailable("connection refused")
        return {"ok": True}

    monkeypatch.setattr("deploy.breaking.call", call)
    return calls


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faultline", "break", *arguments])
    return main()


def test_the_l2s_faults_go_to_the_sequencer(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    assert run(monkeypatch, "garbage-batch", "count=2") == 0
    assert run(monkeypatch, "censor-sender", f"address={address}", "--on", "all") == 0
    assert asked == [
        ("9545", "devnet_break", ("garbage-batch", {"count": 2})),
        ("9545", "devnet_break", ("censor-sender", {"address": address})),
    ]


def test_on_all_asks_those_who_can(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    assert run(monkeypatch, "equivocate", "--on", "all") == 1  # one of them does not answer
    assert [port for port, _, _ in asked] == ["8545", "8546", "8547", "8548"]
    asked.clear()
    assert run(monkeypatch, "delay", "ms=1", "--on", "all") == 1
    assert [port for port, _, _ in asked][4:] == ["9545", "9546", "9547"]


def test_a_partition_may_name_the_l2(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    assert run(monkeypatch, "partition", "groups=validator-0/sequencer,watchtower") == 0
    assert [port for port, _, _ in asked] == ["8545", "9545", "9547"]


def test_one_process_is_asked(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    assert run(monkeypatch, "delay", "ms=900", "--on", "validator-1") == 0
    assert asked == [("8546", "devnet_break", ("delay", {"ms": 900}))]


@pytest.mark.parametrize(
    "groups",
    [
        "groups=validator-0,validator-1/validator-2",
        'groups=[["validator-0", "validator-1"], ["validator-2"]]',
    ],
)
def test_a_partition_asks_everybody_in_it(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, groups: str
) -> None:
    assert run(monkeypatch, "partition", groups) == 0
    wanted: JsonValue = {"groups": [["validator-0", "validator-1"], ["validator-2"]]}
    assert asked == [
        (port, "devnet_break", ("partition", wanted)) for port in ("8545", "8546", "8547")
    ]


@pytest.mark.parametrize("slots", ["slots=5,6", "slots=[5, 6]"])
def test_slots_are_a_list(monkeypatch: pytest.MonkeyPatch, asked: Asked, slots: str) -> None:
    assert run(monkeypatch, "miss-slots", slots, "--on", "validator-0") == 0
    assert asked == [("8545", "devnet_break", ("miss-slots", {"slots": [5, 6]}))]


def test_healing_asks_everybody_and_tells_who_did_not_answer(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "heal", "delay", "--json") == 1
    assert [(port, method) for port, method, _ in asked] == [
        (port, "devnet_heal") for port in ("8545", "8546", "8547", "8548", "9545", "9546", "9547")
    ]
    assert asked[0][2] == ("delay",)
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["validator-0"] == {"ok": True}
    assert printed["validator-3"] == {"error": "connection refused"}


def test_what_does_not_run_has_nothing_to_heal(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(url: str, _method: str, *_parameters: JsonValue) -> JsonValue:
        if url.endswith("8547"):
            raise NobodyListens("connection refused")
        return ["delay"]

    monkeypatch.setattr("deploy.breaking.call", call)
    for arguments in (["heal", "delay"], ["heal"], ["active"]):
        assert run(monkeypatch, *arguments, "--json") == 0
        said = capsys.readouterr()
        assert orjson.loads(said.out)["validator-2"] == []
        assert orjson.loads(said.out)["bridge"] == ["delay"]
        assert said.err == "validator-2: does not run, so nothing is broken there\n"
    assert run(monkeypatch, "heal", "--on", "validator-2", "--json") == 0
    assert orjson.loads(capsys.readouterr().out) == {"validator-2": []}
    assert run(monkeypatch, "delay", "ms=1", "--on", "all", "--json") == 1
    assert orjson.loads(capsys.readouterr().out)["validator-2"] == {"error": "connection refused"}
    assert asked == []


@pytest.mark.parametrize("arguments", [["heal"], ["active"]])
def test_a_devnet_of_which_nobody_listens_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
    asked: Asked,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    def call(_url: str, _method: str, *_parameters: JsonValue) -> JsonValue:
        raise NobodyListens("connection refused")

    monkeypatch.setattr("deploy.breaking.call", call)
    assert run(monkeypatch, *arguments) == 1
    assert "no process answers: is the devnet running?" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("arguments", [["heal", "delay"], ["active"]])
def test_healing_and_looking_ask_those_who_are_named(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments, "--on", "validator-1", "--on", "bridge") == 0
    assert [port for port, _, _ in asked] == ["8546", "9546"]


@pytest.mark.parametrize("arguments", [["garbage-batch"], ["heal"], ["active"], ["false-output"]])
def test_a_devnet_that_does_not_run_is_not_asked_on_ports_that_another_may_have(
    monkeypatch: pytest.MonkeyPatch,
    asked: Asked,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: False)
    assert run(monkeypatch, *arguments) == 1
    assert "no devnet runs on" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explode"], "nothing is called 'explode' in the catalogue; there are partition, "),
        (["delay", "ms=900"], "delay: found nobody who does it, wanted --on PROCESS"),
        (["delay", "--on", "all"], "delay: parameter 'ms' is missing"),
        (["delay", "ms=soon", "--on", "all"], "parameter 'ms': want an integer from 0 to 60000"),
        (["delay", "ms", "--on", "all"], "delay: found 'ms', wanted KEY=VALUE"),
        (["delay", "ms=1", "x=2", "--on", "all"], "no parameter is called 'x'"),
        (
            ["garbage-batch", "--on", "validator-0"],
            "garbage-batch: found validator-0, wanted sequencer",
        ),
        (["equivocate", "--on", "sequencer"], "equivocate: found sequencer, wanted validator"),
        (["censor-sender", "address=0x7"], "parameter 'address': want an address as 0x and 40 hex"),
        (["delay", "ms=1", "--on", "validator-9"], "no process is named validator-9"),
        (["delay", "ms=1", "ms=2", "--on", "all"], "parameter 'ms': found it twice"),
        (["heal", "explode"], "heal: nothing is called 'explode' in the catalogue"),
        (["heal", "delay", "drop"], "heal: found 'drop', wanted one name at most"),
        (["heal", "false-output"], "wanted a fault: an attack leaves none in force"),
        (["heal", "--on", "validator-9"], "no process is named validator-9"),
        (["active", "delay"], "active: found 'delay', wanted nothing behind it"),
        (["list", "explode"], "list: nothing is called 'explode' in the catalogue"),
        (["--list", "delay", "drop"], "list: found 'drop', wanted one name at most"),
    ],
)
def test_a_wrong_request_gives_2_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
    asked: Asked,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err
    assert asked == []


def test_a_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_url: str, _method: str, *_parameters: JsonValue) -> JsonValue:
        raise RpcRefused(-32601, "faults are off")

    monkeypatch.setattr("deploy.breaking.call", refuse)
    assert run(monkeypatch, "active") == 1
    assert "validator-0: refused: faults are off" in capsys.readouterr().err
    assert asked == []


def test_nobody_there_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "delay", "ms=1", "--on", "validator-3") == 1
    assert "no process answers: is the devnet running?" in capsys.readouterr().err
    assert len(asked) == 1


@pytest.mark.parametrize("arguments", [[], ["list"], ["--list"]])
def test_the_catalogue_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 0
    shown = capsys.readouterr().out
    assert all(entry.summary in shown for entry in FAULTS)
    assert all(attack.summary in shown for attack in ATTACKS)
    assert run(monkeypatch, *arguments, "--json") == 0
    assert orjson.loads(capsys.readouterr().out) == [
        *(orjson.loads(orjson.dumps(entry.described())) for entry in FAULTS),
        *(orjson.loads(orjson.dumps(attack.described())) for attack in ATTACKS),
    ]


@pytest.mark.parametrize("arguments", [["list"], ["--list"]])
@pytest.mark.parametrize("name", ["late-block", "hostile-step"])
def test_one_entry_of_the_catalogue_is_listed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    name: str,
) -> None:
    assert run(monkeypatch, *arguments, name, "--json") == 0
    assert [entry["name"] for entry in orjson.loads(capsys.readouterr().out)] == [name]
    assert run(monkeypatch, *arguments, name) == 0
    shown = capsys.readouterr().out
    assert f"{name}" in shown
    assert "partition" not in shown
