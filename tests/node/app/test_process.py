"""How a process ends: 0 stopped, 1 failed, 2 cannot run as it is set up, and what it says."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from node.__main__ import main
from node.app import assembly
from node.app.signing import SIGNER_FILE
from tests.node.app.folders import Folder, make_folder, write_secret

pytestmark = pytest.mark.usefixtures("restored_logs")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path / "node")


def run(folder: Folder) -> int:
    return main(["--config", str(folder.config_file)])


def run_until_started(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> int:
    """Start, stop with SIGTERM as soon as everything is bound, give the exit code."""

    async def stop(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert threading.current_thread() is threading.main_thread()
    with monkeypatch.context() as patched:
        patched.setattr(assembly, "follow_sync", stop)
        return run(folder)


def test_a_signal_stops_it_cleanly_and_it_starts_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_until_started(folder, monkeypatch) == 0
    assert run_until_started(folder, monkeypatch) == 0


def _garble_config(folder: Folder) -> str:
    folder.config_file.write_text('{"name": 7}')
    return "config.json: name:"


def _lose_genesis(folder: Folder) -> str:
    (folder.path / "genesis.json").unlink()
    return "genesis.json: cannot be read"


def _break_genesis(folder: Folder) -> str:
    file = folder.path / "genesis.json"
    document = orjson.loads(file.read_bytes())
    document["consensus"]["slots_per_epoch"] = 99
    file.write_bytes(orjson.dumps(document))
    return "slots_per_epoch"


def _garble_p2p_key(folder: Folder) -> str:
    write_secret(folder.path / "p2p.key", "no hex")
    return "p2p.key_file"


def _open_keys_to_all(folder: Folder) -> str:
    (folder.path / "keys.json").chmod(0o644)
    return "want 0600"


def _occupy_folder(folder: Folder) -> str:
    folder.data.write_text("a file where a folder belongs")
    return "data_dir"


@pytest.mark.parametrize(
    "spoil",
    [
        _garble_config,
        _lose_genesis,
        _break_genesis,
        _garble_p2p_key,
        _open_keys_to_all,
        _occupy_folder,
    ],
)
def test_a_setup_that_cannot_work_is_named(
    folder: Folder, capfd: pytest.CaptureFixture[str], spoil: Callable[[Folder], str]
) -> None:
    complaint = spoil(folder)

    assert run(folder) == 2
    assert complaint in capfd.readouterr().err


@pytest.mark.parametrize("key", ["rpc", "metrics", "p2p"])
def test_a_busy_port_is_named(folder: Folder, capfd: pytest.CaptureFixture[str], key: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        section: dict[str, object] = {"port": port}
        if key == "p2p":
            section["key_file"] = "p2p.key"
        folder.configure(**{key: section})

        assert run(folder) == 2
    assert f"{key}.port {port}: cannot be bound" in capfd.readouterr().err


def test_a_folder_of_another_network_is_named(
    folder: Folder,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_until_started(folder, monkeypatch) == 0
    other = make_folder(tmp_path / "other", age_slots=7)
    (folder.path / "genesis.json").write_bytes((other.path / "genesis.json").read_bytes())
    folder.configure(keys_file=None)
    capfd.readouterr()

    assert run(folder) == 2
    told = capfd.readouterr().err
    assert "genesis hash is 0x" in told
    assert str(folder.data) in told


def test_a_lost_signer_database_beside_a_chain_is_named(
    folder: Folder, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_until_started(folder, monkeypatch) == 0
    for file in folder.data.glob(SIGNER_FILE + "*"):
        file.unlink()
    capfd.readouterr()

    assert run(folder) == 2
    told = capfd.readouterr().err
    assert str(folder.data / SIGNER_FILE) in told
    assert "which is not new" in told


@pytest.mark.parametrize("name", ["chain.redb", SIGNER_FILE])
def test_a_damaged_file_is_named_and_stops_it(
    folder: Folder, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert run_until_started(folder, monkeypatch) == 0
    (folder.data / name).write_bytes(b"\x00garbage" * 4_096)
    capfd.readouterr()

    assert run(folder) == 1
    assert str(folder.data / name) in capfd.readouterr().err
