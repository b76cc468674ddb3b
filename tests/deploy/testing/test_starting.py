"""What a test run's devnet is started with, and what is said when it does not start; running ones are in tests/e2e."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deploy.layout import Layout
from deploy.network import NetworkError
from deploy.testing.devnet import attach, devnet
from deploy.testing.starting import StartFailed, WrongSettings, tails


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bridge.challenge_window": 6}, "settings: bridge.challenge_window: unknown key"),
        ({"slot_seconds": 6}, "settings: found 'slot_seconds', wanted 'section.key'"),
        ({"network.validators": 0}, "network.validators"),
    ],
    ids=["unknown key", "no section", "out of bounds"],
)
def test_wrong_settings_are_named_before_anything_is_started(
    settings: dict[str, int], message: str
) -> None:
    with pytest.raises(WrongSettings) as caught, devnet(settings=settings):
        raise AssertionError("it must not start")
    assert message in str(caught.value)


def test_a_variable_of_the_environment_counts_less_than_a_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAULTLINE_NETWORK_VALIDATORS", "0")
    with pytest.raises(WrongSettings, match="FAULTLINE_NETWORK_VALIDATORS"), devnet():
        raise AssertionError("it must not start")
    # What wins is looked at, and it is wrong in its own way.
    with pytest.raises(WrongSettings, match="settings"), devnet(validators=-1):
        raise AssertionError("it must not start")


def test_a_failed_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        ports = {"metrics.base_port": port, "rpc.base_port": 3000, "p2p.base_port": 3100}
        with (
            pytest.raises(StartFailed, match=f"port {port} on 127.0.0.1") as caught,
            devnet(settings=ports, l2=False, port_offset=0),
        ):
            raise AssertionError("it must not start")
    assert "supervisor.log" in str(caught.value)
    assert list(tmp_path.glob("faultline-*")) == []


def test_the_last_lines_of_every_log_are_shown(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert tails(layout) == "It has written no log."
    layout.logs.mkdir()
    layout.log("bridge").write_text("".join(f"line {number}\n" for number in range(9)))
    layout.log("sequencer").write_text("no such key\n")
    shown = "--- bridge.log\nline 7\nline 8\n--- sequencer.log\nno such key"
    assert tails(layout, lines=2) == shown


def test_a_folder_without_a_devnet_cannot_be_attached_to(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=str(tmp_path)):
        attach(tmp_path)
