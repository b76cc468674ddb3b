"""The command line: what is understood, what is printed, which exit code it gives."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from pydantic import JsonValue

from deploy.cli import faultline, main
from deploy.creation import create
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import Network, claim
from deploy.observation import Observation
from deploy.rendering import addresses_env, addresses_viem, announcement
from deploy.sections import L2Section

COMMANDS = (
    "up",
    "down",
    "status",
    "logs",
    "processes",
    "break",
    "deposit",
    "accounts",
    "addresses",
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No manifest in the current folder, and no data but the test's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAULTLINE_DATA", str(tmp_path / "data"))


@pytest.fixture
def network(tmp_path: Path) -> Network:
    claim(Layout(tmp_path / "data"))
    return create(Layout(tmp_path / "data"), Manifest(), 1_800_000_000)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faultline", *arguments])
    return main()


def test_help_lists_every_command_and_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; sys.argv = ['faultline', '--help']\n"
        "from deploy.cli import main\n"
        "code = main()\n"
        "heavy = {'trio', 'pydantic', 'rich', 'libp2p', 'eth_account'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.splitlines()[-1] == "0 []"
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    assert "Usage: faultline " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("faultline pro", ["processes"]),
        ("faultline break late", ["late-block", "late-challenger"]),
        ("faultline break ac", ["active"]),
        ("faultline break heal late", ["late-block"]),
        ("faultline break delay m", ["ms="]),
        ("faultline break delay --on seq", ["sequencer"]),
        ("faultline processes stop validator-", [f"validator-{index}" for index in range(4)]),
        ("faultline logs b", ["bridge"]),
        ("faultline logs --data absent b", []),
    ],
)
def test_completion_offers_commands_names_and_processes(
    network: Network, typed: str, offered: list[str]
) -> None:
    environment = {
        "_FAULTLINE_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
        "PATH": "/usr/bin:/bin",
        "FAULTLINE_DATA": str(network.layout.data),
    }
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == [f"plain,{word}" for word in offered]


def test_a_file_that_may_not_be_read_or_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/theirs/network.json")

    monkeypatch.setattr(faultline, "main", refuse)
    assert run(monkeypatch, "status") == 1
    assert capsys.readouterr().err == "Error: /theirs/network.json: Permission denied\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["explode"],
        ["up", "--slots", "3"],
        ["up", "--validators", "many"],
        ["addresses", "--format", "x"],
    ],
)
def test_wrong_usage_gives_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["down"], ["status"], ["logs"], ["accounts"], ["addresses"]])
def test_commands_without_a_devnet_fail_and_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 1
    assert "Error: " in capsys.readouterr().err


def test_a_wrong_manifest_gives_2_and_names_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    manifest = tmp_path / "wrong.toml"
    manifest.write_text("[network]\nslot_seconds = 0\n")
    for arguments in (["config", "check", str(manifest)], ["up", "--manifest", str(manifest)]):
        assert run(monkeypatch, *arguments) == 2
        said = capsys.readouterr().err
        assert f"{manifest}: network.slot_seconds: found 0, wanted greater than" in said
    manifest.write_text("[network]\nslot_seconds = 3\n")
    assert run(monkeypatch, "config", "check", str(manifest)) == 0


def test_what_the_data_was_made_with_is_told_to_a_flag_that_does_not_fit_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    assert network.manifest.network.validator_processes == 4
    assert run(monkeypatch, "up", "--validators", "3") == 2
    said = capsys.readouterr().err
    assert "--validators: network.validators: found 3, wanted 4, which the network in " in said
    assert "`--fresh` makes a new network" in said


def test_config_show_tells_what_is_in_force_and_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    monkeypatch.setenv("FAULTLINE_ENGINE_CACHE_MB", "64")
    assert run(monkeypatch, "config", "show") == 0
    shown = capsys.readouterr().out
    assert "cache_mb = 64  # environment FAULTLINE_ENGINE_CACHE_MB" in shown
    assert f"validators = 4  # {network.layout.network}" in shown
    assert run(monkeypatch, "config", "show", "--json") == 0
    assert orjson.loads(capsys.readouterr().out)["engine"]["cache_mb"] == 64


def test_accounts_are_printed_for_people_and_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    assert run(monkeypatch, "accounts") == 0
    assert network.accounts[9].private_key in capsys.readouterr().out
    assert run(monkeypatch, "accounts", "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed[0] == {
        "index": 0,
        "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "privateKey": "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    }


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("table", "  multicall3                   0xcA11bde05977b3631167028862bE2a173976CA11"),
        ("env", "L1_BEACON_ROOTS_ADDRESS=0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02"),
        ("env", "L1_RPC_URL=http://127.0.0.1:8545"),
        ("viem", "    multicall3: { address: '0xcA11bde05977b3631167028862bE2a173976CA11' },"),
        ("viem", "  id: 900,"),
        ("viem", "  blockTime: 2000,"),
        ("table", "L2, chain id 901"),
        ("table", "  sequencer                    http://127.0.0.1:9545"),
        ("table", "  inbox                        0x4C00000000000000000000000000000000000001"),
        ("env", "L1_PORTAL_ADDRESS=0x4c00000000000000000000000000000000000002"),
        ("env", "L2_RPC_URL=http://127.0.0.1:9545"),
        ("env", "L2_GAS_PRICE_ORACLE_ADDRESS=0x420000000000000000000000000000000000000F"),
        ("viem", "import { chainConfig } from 'viem/op-stack'"),
        ("viem", "  id: 901,"),
        ("viem", "  sourceId: 900,"),
        (
            "viem",
            "    portal: { 900: { address: '0x4c00000000000000000000000000000000000002' } },",
        ),
        (
            "viem",
            "    l1StandardBridge: { 900: { address: '0x4C00000000000000000000000000000000000009' } },",
        ),
        (
            "viem",
            "    disputeGameFactory: { 900: { address: '0x4C00000000000000000000000000000000000004' } },",
        ),
        ("viem", "    systemConfig: { address: '0x4C0000000000000000000000000000000000000a' },"),
        (
            "env",
            "L2_OPTIMISM_MINTABLE_ERC20_FACTORY_ADDRESS=0x4200000000000000000000000000000000000012",
        ),
        ("env", "L1_L1_CROSS_DOMAIN_MESSENGER_ADDRESS=0x4c00000000000000000000000000000000000008"),
    ],
)
def test_addresses_are_printed_in_every_form(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    network: Network,
    form: str,
    line: str,
) -> None:
    assert network.layout.network.exists()
    assert run(monkeypatch, "addresses", "--format", form) == 0
    assert line in capsys.readouterr().out.splitlines()


def test_addresses_for_programs_name_both_chains(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    assert run(monkeypatch, "addresses", "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed == {**network.chains(), "contracts": network.contracts()}
    assert printed["l2"]["rpc"] == [f"http://127.0.0.1:{port}" for port in (9545, 9546, 9547)]


def test_up_prints_in_order_what_to_connect_to(network: Network) -> None:
    shown = announcement(network)
    wanted = (
        "L1, chain id 900: http://127.0.0.1:8545  validator-0",
        "L2, chain id 901: http://127.0.0.1:9545  sequencer",
        "http://127.0.0.1:9546  bridge",
        "http://127.0.0.1:9547  watchtower",
        network.accounts[0].private_key,
        "Contracts on L1",
        "portal                       0x4c00000000000000000000000000000000000002",
        "Contracts on L2",
        "l2ToL1MessagePasser          0x4200000000000000000000000000000000000016",
        str(network.layout.logs),
    )
    places = [shown.index(line) for line in wanted]
    assert places == sorted(places)


def test_without_an_l2_nothing_of_it_is_shown(tmp_path: Path) -> None:
    claim(Layout(tmp_path / "data"))
    manifest = Manifest(l2=L2Section(enabled=False))
    network = create(Layout(tmp_path / "data"), manifest, 1_800_000_000)
    for shown in (announcement(network), addresses_env(network), addresses_viem(network)):
        assert "901" not in shown
        assert "L2" not in shown


def test_reset_wants_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    assert run(monkeypatch, "reset") == 2
    assert network.layout.network.exists()
    assert run(monkeypatch, "reset", "--yes") == 0
    assert not network.layout.data.exists()
    assert run(monkeypatch, "reset", "--yes") == 0


def test_status_of_a_stopped_devnet_gives_1_and_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    assert run(monkeypatch, "status", "--json") == 1
    assert orjson.loads(capsys.readouterr().out) == {
        "name": "devnet",
        "profile": "dev",
        "data": str(network.layout.data),
        "running": False,
        "processes": [],
    }


def test_a_stopped_process_is_shown_without_asking_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    states = {plan.name: "running" for plan in network.processes()} | {"bridge": "stopped"}
    processes: list[JsonValue] = [
        {"name": name, "state": state, "pid": 7, "restarts": 0} for name, state in states.items()
    ]
    looked: list[str] = []

    def look(rpc_url: str, _metrics_url: str, _layer: str) -> Observation:
        looked.append(rpc_url)
        return Observation(ready=False, reason="it sleeps")

    monkeypatch.setattr("deploy.commands.running.ask", lambda *_, **__: {"processes": processes})
    monkeypatch.setattr("deploy.commands.running.observe", look)
    assert run(monkeypatch, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    [at] = [place for place, line in enumerate(lines) if line.startswith("bridge (L2)  ")]
    assert lines[at].split()[2] == "stopped"
    assert lines[at + 1].startswith("watchtower")
    assert len(looked) == len(states) - 1


def test_a_process_that_there_is_not_gives_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    monkeypatch.setattr("deploy.commands.running.is_running", lambda _: True)
    assert run(monkeypatch, "processes", "kill", "validator-9") == 2
    names = ", ".join(plan.name for plan in network.processes())
    assert f"no process is named validator-9; there are {names}" in capsys.readouterr().err


def test_logs_are_merged_by_time_and_cut_to_the_last_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    network.layout.logs.mkdir()
    for name, seconds in (("validator-0", (1, 4)), ("validator-1", (2, 3))):
        lines = [
            orjson.dumps(
                {"timestamp": f"T{second}", "process": name, "event": "ticked", "slot": second}
            )
            for second in seconds
        ]
        network.layout.log(name).write_bytes(b"\n".join([*lines, b"cut off"]))
    assert run(monkeypatch, "logs") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["T1", "T2", "T3", "T4"]
    assert shown[0] == "T1  validator-0  -  ticked  slot=1"
    assert run(monkeypatch, "logs", "validator-1", "-n", "1", "--json") == 0
    [line] = capsys.readouterr().out.splitlines()
    assert orjson.loads(line)["slot"] == 3
    assert run(monkeypatch, "logs", "validator-7") == 2
    assert "there are validator-0, validator-1" in capsys.readouterr().err
