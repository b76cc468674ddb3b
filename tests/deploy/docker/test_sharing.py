"""Every container's share: enough to run, no key of another's, never of two networks."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from bridge.config import load_config as load_bridge_config
from deploy.docker.sharing import MOUNTED
from deploy.network import load_network
from node.config import NodeConfig, load_config
from sequencer.config import L2Config, load_config as load_rollup_config
from tests.deploy.docker.places import NAMES, Places

LOADERS: Mapping[str, Callable[[Path], NodeConfig | L2Config]] = {
    "node": load_config,
    "sequencer": load_rollup_config,
    "bridge": load_bridge_config,
}

KEYS = {
    **{f"validator-{index}": {"json", "p2p"} for index in range(4)},
    "sequencer": {"unsafe", "batcher", "p2p"},
    "bridge": {"forcer", "proposer", "relayer", "p2p"},
    "watchtower": {"forcer", "challenger", "p2p"},
}


def test_every_process_is_given_its_own_keys_alone(places: Places) -> None:
    assert places.prepare() == 0
    keys = {file.name: file.read_bytes() for file in places.network.keys.iterdir()}
    for name in NAMES:
        share = places.share(name)
        own = {f"{name}.{kind}" for kind in KEYS[name]}
        assert {file.name: file.read_bytes() for file in share.keys.iterdir()} == {
            key: keys[key] for key in own
        }
        assert {stat.S_IMODE(file.stat().st_mode) for file in share.keys.iterdir()} == {0o600}
        assert stat.S_IMODE(share.keys.stat().st_mode) == 0o700
        seen = b"".join(file.read_bytes() for file in share.data.rglob("*") if file.is_file())
        assert [key for key, content in keys.items() if key not in own and content in seen] == []


def test_every_configuration_is_one_that_its_program_reads(places: Places) -> None:
    assert places.prepare(FAULTLINE_NETWORK_PORT_OFFSET="10000") == 0
    for plan in load_network(places.network).processes():
        config = LOADERS[plan.program](places.share(plan.name).config(plan.name))
        paths = [value for _, value in config if isinstance(value, Path)] + [config.p2p.key_file]
        assert all(path.is_relative_to(MOUNTED.data) for path in paths)
        for path in paths:
            assert (places.share(plan.name).data / path.relative_to(MOUNTED.data)).exists()
        assert config.rpc.published_on_loopback
        assert (config.rpc.host, config.metrics.host, config.p2p.host) == ("0.0.0.0",) * 3  # noqa: S104
        # What is published moves; what is bound in a container stays.
        assert config.rpc.port == plan.rpc_port - 10_000
        assert config.metrics.port == plan.metrics_port - 10_000
        assert config.p2p.port == plan.p2p_port - 10_000


def test_prometheus_and_grafana_may_read_all_of_theirs_and_find_processes_by_name(
    places: Places,
) -> None:
    assert places.prepare(FAULTLINE_NETWORK_PORT_OFFSET="10000") == 0
    folder = places.volumes / "monitoring"
    inside = list(folder.rglob("*"))
    assert {"prometheus.yml", "faultline.yml", "faultline-network.json", "devnet.json"} <= {
        file.name for file in inside
    }
    for one in inside:
        wanted = 0o755 if one.is_dir() else 0o644
        assert stat.S_IMODE(one.stat().st_mode) & wanted == wanted, one
    groups = orjson.loads((folder / "prometheus/targets/devnet.json").read_bytes())
    assert {group["labels"]["process"]: group["targets"] for group in groups} == {
        **{f"validator-{index}": [f"validator-{index}:{9100 + index}"] for index in range(4)},
        "sequencer": ["sequencer:9150"],
        "bridge": ["bridge:9151"],
        "watchtower": ["watchtower:9152"],
    }


def test_peers_are_dialled_by_name_and_people_are_told_loopback(places: Places) -> None:
    assert places.prepare(FAULTLINE_NETWORK_PORT_OFFSET="10000") == 0
    told = orjson.loads(places.share("bridge").config("bridge").read_bytes())
    assert {peer["address"] for peer in told["p2p"]["peers"]} == {
        *(f"/dns4/validator-{index}/tcp/{9000 + index}" for index in range(4)),
        "/dns4/sequencer/tcp/9050",
        "/dns4/watchtower/tcp/9052",
    }
    info = orjson.loads(places.share("bridge").info.read_bytes())
    assert info["l1"]["rpc"] == [f"http://127.0.0.1:{18545 + index}" for index in range(4)]
    [sequencer] = [process for process in info["processes"] if process["role"] == "sequencer"]
    assert sequencer["metrics"] == "http://127.0.0.1:19150/metrics"
    assert sequencer["p2p"].startswith("/ip4/127.0.0.1/tcp/19050/p2p/")
    network = load_network(places.network)
    [validator, *_] = network.processes()
    assert network.rpc_url(validator) == "http://validator-0:8545"
    assert network.metrics_url(validator) == "http://validator-0:9100"


def test_a_lost_volume_is_filled_again(places: Places) -> None:
    assert places.prepare() == 0
    share = places.share("validator-1")
    kept = {file.relative_to(share.data): file.read_bytes() for file in share.keys.iterdir()}
    for file in sorted(share.data.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    assert places.prepare() == 0
    assert {
        file.relative_to(share.data): file.read_bytes() for file in share.keys.iterdir()
    } == kept


def test_a_key_that_was_half_written_is_written_again(places: Places) -> None:
    assert places.prepare() == 0
    share = places.share("validator-1")
    whole = share.p2p_key("validator-1").read_bytes()
    share.p2p_key("validator-1").unlink()
    (share.keys / ".validator-1.p2p.new").write_bytes(whole[:7])
    assert places.prepare() == 0
    assert share.p2p_key("validator-1").read_bytes() == whole
    assert not (share.keys / ".validator-1.p2p.new").exists()


def test_a_share_of_another_network_is_refused(
    places: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Places(folder=tmp_path / "elsewhere")
    assert places.prepare() == 0
    assert elsewhere.prepare() == 0
    foreign = elsewhere.share("bridge").genesis.read_bytes()
    places.share("bridge").genesis.write_bytes(foreign)
    capsys.readouterr()
    assert places.prepare() == 2
    assert capsys.readouterr().err.startswith("bridge: its volume holds another network's data\n")
    assert places.share("bridge").genesis.read_bytes() == foreign


def test_a_missing_volume_is_named(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    places.share("watchtower").data.rmdir()
    assert places.prepare() == 2
    folder = places.share("watchtower").data
    assert f"watchtower: {folder} is missing: a volume belongs there\n" in capsys.readouterr().err
