"""`faultline exec`: which exit code it gives, and what its command is told; devnets are in tests/e2e."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.creation import create
from deploy.layout import Layout
from deploy.manifest import Manifest
from deploy.network import Network, claim


@dataclass(kw_only=True)
class FakeNet:
    """A devnet that only says where it is."""

    network: Network
    environment: Mapping[str, str] = field(default_factory=lambda: {"L1_RPC_URL": "http://there"})

    @property
    def data(self) -> Path:
        return self.network.layout.data


@pytest.fixture(autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """Signals as a shell's foreground has them: what is started in the background ignores some, and its children too."""
    inherited = {one: signal.getsignal(one) for one in ENDINGS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for one, handler in inherited.items():
        signal.signal(one, handler)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNet:
    layout = Layout(tmp_path / "devnet")
    claim(layout)
    fake = FakeNet(network=create(layout, Manifest(), 1_800_000_000))
    layout.logs.mkdir()
    layout.log("sequencer").write_text("it was here\n")

    @contextmanager
    def devnet(**_: object) -> Iterator[FakeNet]:
        yield fake

    monkeypatch.setattr("deploy.commands.executing.devnet", devnet)
    return fake


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["faultline", "exec", *arguments])
    return main()


@pytest.mark.parametrize(
    ("script", "code"),
    [('test "$L1_RPC_URL" = http://there', 0), ("exit 7", 7), ("kill -TERM $$", 143)],
)
def test_the_commands_exit_code_is_given(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, script: str, code: int
) -> None:
    assert run(monkeypatch, "--", "sh", "-c", script) == code


@pytest.mark.parametrize(
    ("ending", "trap", "code"),
    [
        (signal.SIGTERM, "TERM", 5),
        (signal.SIGTERM, "HUP", 143),
        (signal.SIGHUP, "TERM", 5),
        (
            signal.SIGINT,
            "HUP",
            6,
        ),  # A terminal tells the command too; here nobody did, so it goes on.
    ],
    ids=["command cleans up", "command just ends", "terminal is closed", "terminal"],
)
def test_whoever_ends_it_ends_the_command(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals, trap: str, code: int
) -> None:
    script = f'trap "exit 5" {trap}; kill -{ending.value} $PPID; read -r _ < "$1"; exit 6'
    silent = net.data / "silent"
    os.mkfifo(silent)
    other_end = os.open(silent, os.O_RDWR)
    if ending is signal.SIGINT:
        os.write(other_end, b"\n")
    try:
        assert run(monkeypatch, "--", "sh", "-c", script, "sh", str(silent)) == code
    finally:
        os.close(other_end)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
"""GitHub's runner sends the first two, one after the other."""


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_whoever_ends_it_before_its_command_ends_the_devnet(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals, code: int
) -> None:
    ended = []

    @contextmanager
    def starting(**_: object) -> Iterator[FakeNet]:
        try:
            os.kill(os.getpid(), ending)
            yield net
        finally:
            for again in ENDINGS:
                os.kill(os.getpid(), again)
            ended.append("devnet")

    monkeypatch.setattr("deploy.commands.executing.devnet", starting)
    assert run(monkeypatch, "--", "true") == code
    assert ended == ["devnet"]


def test_signals_after_the_commands_end_change_nothing(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Given signals while logs are copied and the devnet ends, then both are finished, and the code is the command's."""
    ended = []
    copy = shutil.copytree

    @contextmanager
    def standing(**_: object) -> Iterator[FakeNet]:
        yield net
        for ending in ENDINGS:
            os.kill(os.getpid(), ending)
        ended.append("devnet")

    def copying(source: Path, target: Path, *, dirs_exist_ok: bool) -> None:
        for ending in ENDINGS:
            os.kill(os.getpid(), ending)
        copy(source, target, dirs_exist_ok=dirs_exist_ok)

    monkeypatch.setattr("deploy.commands.executing.devnet", standing)
    monkeypatch.setattr("deploy.commands.executing.shutil.copytree", copying)
    assert run(monkeypatch, "--logs", str(tmp_path / "kept"), "--", "sh", "-c", "exit 7") == 7
    assert (tmp_path / "kept" / "sequencer.log").is_file()
    assert ended == ["devnet"]


def test_a_signal_that_is_ignored_stays_ignored(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.
    try:
        assert run(monkeypatch, "--", "sh", "-c", "kill -HUP $PPID; exit 6") == 6
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_that_is_not_there(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "no-such-command-anywhere") == 127
    assert "no-such-command-anywhere: command not found" in capfd.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_logs_are_kept_of_commands_that_fail(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    kept = tmp_path / "kept"
    assert run(monkeypatch, "--logs", str(kept), "--", "sh", "-c", f"exit {code}") == code
    assert kept.exists() == (code != 0)
    if code != 0:
        assert (kept / "sequencer.log").read_text() == "it was here\n"


def test_options_behind_the_command_are_the_commands(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "echo", "--logs", "--keep") == 0
    assert capfd.readouterr().out == "--logs --keep\n"


def test_an_option_that_there_is_not_is_no_command(
    net: FakeNet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Given a mistyped option before the command, then it is named, and nothing is run."""
    assert run(monkeypatch, "--log", "there", "--", "true") == 2
    assert "No such option '--log'" in capfd.readouterr().err


def test_a_wrong_manifest_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "faultline.toml"
    manifest.write_text("[network]\nslot_second = 1\n")
    assert run(monkeypatch, "--manifest", str(manifest), "--", "true") == 2
    assert "network.slot_second: unknown key" in capfd.readouterr().err
