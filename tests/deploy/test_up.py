"""What keeps `faultline up` from starting, and how it says so; real devnets are in tests/e2e."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.creation import create
from deploy.layout import Layout
from deploy.lock import SupervisorLock
from deploy.manifest import Manifest
from deploy.network import claim

REPOSITORY = Path(__file__).parents[2]


def up(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "up", "--data", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
        cwd=REPOSITORY,
    )


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_busy_port_is_named(tmp_path: Path, detach: list[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        base = {"FAULTLINE_METRICS_BASE_PORT": str(port)} | (
            {"FAULTLINE_RPC_BASE_PORT": "3000", "FAULTLINE_P2P_BASE_PORT": "3100"}
        )
        done = up(tmp_path / "data", *detach, **base)
    assert done.returncode == 1
    assert f"Error: port {port} on 127.0.0.1, wanted for metrics of validator-0: " in done.stderr


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_second_up_on_the_same_data_is_refused(tmp_path: Path, detach: list[str]) -> None:
    lock = SupervisorLock(Layout(tmp_path))
    done = up(tmp_path, *detach)
    lock.release()
    assert done.returncode == 1
    assert f"a devnet runs on {tmp_path} already (process {os.getpid()})" in done.stderr


def test_other_keys_than_the_data_was_made_with_are_refused(tmp_path: Path) -> None:
    claim(Layout(tmp_path))
    create(Layout(tmp_path), Manifest(), 1_800_000_000)
    done = up(tmp_path, "--validators", "5")
    assert done.returncode == 2
    assert "--validators: network.validators: found 5, wanted 4, which the network" in done.stderr


def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    claim(Layout(tmp_path))
    network = create(Layout(tmp_path), Manifest(), 1_800_000_000)
    network.layout.network.write_text('{"format": 99}')
    done = up(tmp_path)
    assert done.returncode == 2
    assert "format: found 99, wanted 3" in done.stderr


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for arguments in ([], ["--fresh"]):
        done = up(tmp_path, *arguments)
        assert done.returncode == 2, done.stderr
        assert str(tmp_path) in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_an_engine_that_is_not_built_is_missed_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.commands.up.find_spec", {}.get)
    monkeypatch.setattr(sys, "argv", ["faultline", "up", "--data", str(tmp_path / "data")])
    assert main() == 1
    assert "the engine is not built: `make build`" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_launcher_begins_before_what_takes_long_is_imported() -> None:
    program = (
        "import sys; import deploy.commands.up\n"
        "print(sorted({'trio', 'libp2p', 'eth_account', 'node._engine'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
