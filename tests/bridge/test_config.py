"""The configuration of a bridge process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.__main__ import main
from bridge.config import BridgeConfig, load_config
from node.config import ConfigError

LEAST: dict[str, object] = {
    "name": "bridge",
    "data_dir": "data",
    "genesis_file": "genesis.json",
    "l2_genesis_file": "l2-genesis.json",
    "p2p": {"key_file": "p2p.key"},
}


def written(folder: Path, **more: object) -> Path:
    file = folder / "bridge.json"
    file.write_text(json.dumps({**LEAST, **more}))
    return file


def test_paths_are_relative_to_the_file_and_a_role_is_a_key(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, proposer_key_file="keys/proposer"))
    assert config.proposer_key_file == tmp_path / "keys" / "proposer"
    assert config.data_dir == tmp_path / "data"
    assert config.p2p.key_file == tmp_path / "p2p.key"
    assert config.relayer_key_file is None
    assert config.challenger_key_file is None
    assert (config.proposer.interval_ms, config.proposer.games_at_start) == (6_000, 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"proposer": {"interval_ms": 10}}, "proposer.interval_ms: found 10, wanted greater"),
        ({"proposer": {"games_at_start": 0}}, "proposer.games_at_start"),
        ({"l1_fees": {"max_fee_wei": 0}}, "l1_fees.max_fee_wei"),
        ({"role": "replica"}, "role: found 'replica', wanted no key of this name"),
        ({"forward_to": "nobody"}, "forward_to: a replica names one of p2p.peers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, **more))
    assert said in str(caught.value)
    assert "bridge.json" in str(caught.value)


def test_the_program_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(written(tmp_path, name="Bridge"))]) == 2
    assert "name: found 'Bridge', wanted a match of" in capsys.readouterr().err


def test_every_key_is_documented() -> None:
    for model in (
        BridgeConfig,
        *(BridgeConfig.model_fields[key].annotation for key in ("proposer", "l1_fees")),
    ):
        assert model is not None
        assert model.__doc__
