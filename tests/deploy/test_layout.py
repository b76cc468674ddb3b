"""Which devnet a command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.layout import SOCKET_PATH_BYTES_MAX, Layout, find_layout


def test_the_flag_counts_before_the_variable(tmp_path: Path) -> None:
    environment = {"FAULTLINE_DATA": str(tmp_path / "b")}
    assert find_layout(tmp_path / "a", environment).data == tmp_path / "a"
    assert find_layout(None, environment).data == tmp_path / "b"


def test_the_name_gives_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    assert find_layout(None, state).data == tmp_path / "state" / "faultline" / "devnet"
    (tmp_path / "faultline.toml").write_text("[network]\nname = 'here'\n")
    assert find_layout(None, state).data.name == "here"
    other = tmp_path / "other.toml"
    other.write_text("[network]\nname = 'there'\n")
    assert find_layout(None, state, other).data.name == "there"
    named = {**state, "FAULTLINE_NETWORK_NAME": "named"}
    assert find_layout(None, named, other).data.name == "named"


@pytest.mark.parametrize("content", ["[network", "network = 3\n", "[network]\nname = '../up'\n"])
def test_a_manifest_that_names_nothing_usable_gives_the_default(
    tmp_path: Path, content: str
) -> None:
    manifest = tmp_path / "faultline.toml"
    manifest.write_text(content)
    state = {"XDG_STATE_HOME": str(tmp_path)}
    assert find_layout(None, state, manifest).data.name == "devnet"


def test_a_socket_path_is_never_too_long(tmp_path: Path) -> None:
    assert Layout(tmp_path).socket.parent == tmp_path
    deep = Layout(tmp_path / ("d" * 120))
    assert len(bytes(deep.socket)) <= SOCKET_PATH_BYTES_MAX
    assert deep.socket != Layout(tmp_path / ("e" * 120)).socket
