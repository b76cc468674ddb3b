"""An L2 process's configuration file."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from node.config import ConfigError
from sequencer.config import SequencerConfig, load_config

PEER = {"name": "sequencer", "peer_id": "12D3KooW", "address": "/ip4/127.0.0.1/tcp/9050"}
REPLICA = {
    "name": "replica",
    "role": "replica",
    "data_dir": "data",
    "genesis_file": "genesis.json",
    "l2_genesis_file": "/shared/l2-genesis.json",
    "p2p": {"port": 9051, "key_file": "replica.p2p", "peers": [PEER]},
}
SEQUENCER = REPLICA | {
    "name": "sequencer",
    "role": "sequencer",
    "unsafe_key_file": "blocks",
    "batcher_key_file": "/keys/batcher",
}


def loaded(tmp_path: Path, content: object) -> SequencerConfig:
    file = tmp_path / "config.json"
    file.write_bytes(orjson.dumps(content))
    return load_config(file)


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    config = loaded(tmp_path, SEQUENCER)
    assert config.data_dir == tmp_path / "data"
    assert config.l2_genesis_file == Path("/shared/l2-genesis.json")
    assert config.unsafe_key_file == tmp_path / "blocks"
    assert config.batcher_key_file == Path("/keys/batcher")
    assert config.forcer_key_file is None
    assert config.p2p.key_file == tmp_path / "replica.p2p"
    assert (config.rpc.port, config.metrics.port, config.faults) == (9545, 9150, False)


def test_a_replica_forwards_to_a_peer_and_may_force(tmp_path: Path) -> None:
    config = loaded(tmp_path, REPLICA | {"forward_to": "sequencer", "forcer_key_file": "forcer"})
    assert (config.forward_to, config.forcer_key_file) == ("sequencer", tmp_path / "forcer")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (SEQUENCER | {"nickname": "x"}, "nickname: found 'x', wanted no key of this name"),
        (SEQUENCER | {"role": "bridge"}, "role: found 'bridge', wanted 'sequencer' or 'replica'"),
        (SEQUENCER | {"batcher": {"interval_ms": 1}}, "batcher.interval_ms: found 1, wanted gr"),
        (
            SEQUENCER | {"unsafe_key_file": None},
            "unsafe_key_file: a sequencer needs it, a replica has none",
        ),
        (
            REPLICA | {"batcher_key_file": "batcher"},
            "batcher_key_file: a sequencer needs it, a replica has none",
        ),
        (
            REPLICA | {"forward_to": "nobody"},
            "forward_to: a replica names one of p2p.peers, a sequencer none",
        ),
        (
            SEQUENCER | {"forward_to": "sequencer"},
            "forward_to: a replica names one of p2p.peers, a sequencer none",
        ),
    ],
)
def test_errors_name_key_and_file(tmp_path: Path, content: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: {told}")
