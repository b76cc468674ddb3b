"""A process's configuration file."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from node.config import ConfigError, load_config

GOOD = {
    "name": "validator-0",
    "data_dir": "data",
    "genesis_file": "genesis.json",
    "p2p": {"port": 9000, "key_file": "/keys/p2p"},
}


def written(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "config.json"
    file.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return file


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert config.data_dir == tmp_path / "data"
    assert config.genesis_file == tmp_path / "genesis.json"
    assert config.p2p.key_file == Path("/keys/p2p")
    assert (config.rpc.port, config.metrics.port, config.faults) == (8545, 9100, False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nickname": "x"}, "nickname: found 'x', wanted no key of this name"),
        ({"rpc": {"port": 70_000}}, "rpc.port: found 70000, wanted less than or equal to 65535"),
        ({"rpc": {"port": "8545"}}, "rpc.port: found '8545', wanted integer"),
        ({"name": "Validator 0"}, "name: found 'Validator 0', wanted a match of"),
        ({"p2p": {"port": 1}}, "p2p.key_file: found nothing, wanted a value"),
    ],
)
def test_errors_name_key_and_file(tmp_path: Path, change: dict[str, object], told: str) -> None:
    file = written(tmp_path, GOOD | change)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {told}")


def test_no_file_no_json_and_too_much(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="no JSON"):
        load_config(written(tmp_path, b"{"))
    with pytest.raises(ConfigError, match="found more, wanted at most 1048576 bytes"):
        load_config(written(tmp_path, b" " * (1 << 21)))
    with pytest.raises(ConfigError, match=r"config\.json: found \[\], wanted an object"):
        load_config(written(tmp_path, b"[]"))
