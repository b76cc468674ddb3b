"""A network on disk: made, continued, refused, erased."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest
from pydantic import JsonValue

from bridge.config import load_config as load_bridge_config
from deploy.bridge_terms import open_games
from deploy.configs import write_configs
from deploy.creation import create
from deploy.layout import Layout
from deploy.manifest import Manifest, Setting, resolve
from deploy.network import (
    Network,
    NetworkError,
    busy_ports,
    claim,
    erase,
    load_network,
    open_network,
    stored_settings,
    write_info,
)
from node.config import NodeConfig, load_config
from sequencer.config import L2Config, load_config as load_rollup_config

START = 1_800_000_000

LOADERS: Mapping[str, Callable[[Path], NodeConfig | L2Config]] = {
    "node": load_config,
    "sequencer": load_rollup_config,
    "bridge": load_bridge_config,
}


def setting(key: str, value: JsonValue, section: str = "network") -> Setting:
    return Setting(section=section, key=key, value=value, origin="faultline.toml")


def made(folder: Path, manifest: Manifest | None = None) -> Network:
    layout = Layout(folder / "data")
    claim(layout)
    return create(layout, manifest or Manifest(), START)


def test_a_network_is_made_and_loaded(tmp_path: Path) -> None:
    network = made(tmp_path)
    assert load_network(network.layout) == network
    assert [(plan.name, plan.rpc_port, plan.p2p_port) for plan in network.processes()] == [
        *((f"validator-{index}", 8545 + index, 9000 + index) for index in range(4)),
        ("sequencer", 9545, 9050),
        ("bridge", 9546, 9051),
        ("watchtower", 9547, 9052),
    ]
    assert [plan.metrics_port for plan in network.of_layer("l2")] == [9150, 9151, 9152]
    for file in network.layout.keys.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(network.layout.data.stat().st_mode) == 0o700


def test_processes_read_what_they_are_told(tmp_path: Path) -> None:
    network = made(tmp_path)
    write_configs(network)
    secrets = [file.read_text() for file in network.layout.keys.iterdir()]
    for plan in network.processes():
        config = LOADERS[plan.program](network.layout.config(plan.name))
        assert config.name == plan.name
        assert config.rpc.port == plan.rpc_port
        assert config.faults
        assert {peer.name for peer in config.p2p.peers} == set(network.peer_ids) - {plan.name}
        text = network.layout.config(plan.name).read_text()
        assert not any(secret in text for secret in secrets)


def test_sequencer_and_replica_have_the_keys_of_their_roles(tmp_path: Path) -> None:
    network = made(
        tmp_path,
        resolve([setting("batch_interval_ms", 700, "l2"), setting("replicas", 1, "l2")]).manifest,
    )
    write_configs(network)
    layout = network.layout
    sequencer = load_rollup_config(layout.config("sequencer"))
    replica = load_rollup_config(layout.config("replica"))
    assert (sequencer.role, replica.role) == ("sequencer", "replica")
    assert (sequencer.forward_to, replica.forward_to) == (None, "sequencer")
    assert sequencer.batcher.interval_ms == 700
    assert sequencer.genesis_file == replica.genesis_file == layout.genesis
    assert sequencer.l2_genesis_file == replica.l2_genesis_file == layout.l2_genesis
    for file in (sequencer.unsafe_key_file, sequencer.batcher_key_file, replica.forcer_key_file):
        assert file is not None
        assert len(bytes.fromhex(file.read_text())) == 32
    assert len({file.read_text() for file in layout.keys.iterdir()}) == 22


def test_a_bridge_reads_how_many_games_wait_in_a_network_of_weeks(tmp_path: Path) -> None:
    network = made(tmp_path, resolve([setting("profile", "realistic")]).manifest)
    write_configs(network)
    bridge = load_bridge_config(network.layout.config("bridge"))
    week_and_half_ms = (604_800 + 302_400) * 1_000
    assert bridge.proposer.open_games_max * bridge.proposer.interval_ms > week_and_half_ms


def test_bridge_and_watchtower_have_the_keys_of_their_roles(tmp_path: Path) -> None:
    network = made(tmp_path, resolve([setting("output_interval_s", 9, "bridge")]).manifest)
    write_configs(network)
    layout = network.layout
    bridge = load_bridge_config(layout.config("bridge"))
    watchtower = load_bridge_config(layout.config("watchtower"))
    assert bridge.proposer_key_file == layout.proposer_key("bridge")
    assert bridge.relayer_key_file == layout.relayer_key("bridge")
    assert bridge.challenger_key_file is None
    assert bridge.proposer.interval_ms == 9_000
    assert bridge.proposer.open_games_max == open_games(network.manifest)
    assert (watchtower.proposer_key_file, watchtower.relayer_key_file) == (None, None)
    assert watchtower.challenger_key_file == layout.challenger_key("watchtower")
    for config in (bridge, watchtower):
        assert config.forcer_key_file == layout.forcer_key(config.name)
        assert config.forward_to == "sequencer"


def test_replicas_follow_the_sequencer(tmp_path: Path) -> None:
    network = made(tmp_path, resolve([setting("replicas", 3, "l2")]).manifest)
    assert [(plan.name, plan.rpc_port) for plan in network.of_layer("l2")] == [
        ("sequencer", 9545),
        ("bridge", 9546),
        ("watchtower", 9547),
        ("replica", 9548),
        ("replica-2", 9549),
        ("replica-3", 9550),
    ]
    forcers = {network.layout.forcer_key(name).read_text() for name in ("replica-2", "replica-3")}
    assert len(forcers) == 2


def test_bridge_and_watchtower_stand_before_the_replicas(tmp_path: Path) -> None:
    settings = [setting("enabled", True, "bridge"), setting("replicas", 1, "l2")]
    network = made(tmp_path, resolve(settings).manifest)
    assert [
        (plan.name, plan.role, plan.program, plan.rpc_port, plan.p2p_port, plan.metrics_port)
        for plan in network.of_layer("l2")
    ] == [
        ("sequencer", "sequencer", "sequencer", 9545, 9050, 9150),
        ("bridge", "bridge", "bridge", 9546, 9051, 9151),
        ("watchtower", "watchtower", "bridge", 9547, 9052, 9152),
        ("replica", "replica", "sequencer", 9548, 9053, 9153),
    ]
    layout = network.layout
    files = [layout.forcer_key(name) for name in ("bridge", "watchtower", "replica")]
    files += [layout.proposer_key("bridge"), layout.relayer_key("bridge")]
    files += [layout.challenger_key("watchtower"), layout.guardian_key]
    assert len({bytes.fromhex(file.read_text()) for file in files}) == 7


def test_a_network_without_l2_is_an_l1_alone(tmp_path: Path) -> None:
    network = made(tmp_path, resolve([setting("enabled", False, "l2")]).manifest)
    write_configs(network)
    assert {plan.role for plan in network.processes()} == {"validator"}
    assert not network.layout.l2_genesis.exists()
    assert "rollup" not in orjson.loads(network.layout.genesis.read_bytes())
    info = orjson.loads(network.layout.info.read_bytes())
    assert info["l2"] == {"chainId": 901, "rpc": []}
    assert info["contracts"]["l2"] == {}
    assert "portal" not in info["contracts"]["l1"]


def test_info_tells_process_ids_as_they_change(tmp_path: Path) -> None:
    network = made(tmp_path)
    write_configs(network)
    write_info(network, {"validator-1": 77})
    info = orjson.loads(network.layout.info.read_bytes())
    assert [process["pid"] for process in info["processes"]] == [None, 77, *[None] * 5]
    assert info["l1"] == {"chainId": 900, "rpc": [f"http://127.0.0.1:{8545 + i}" for i in range(4)]}
    assert info["l2"] == {
        "chainId": 901,
        "rpc": [f"http://127.0.0.1:{port}" for port in (9545, 9546, 9547)],
    }
    assert info["contracts"]["l1"]["portal"] == "0x4c00000000000000000000000000000000000002"
    assert info["contracts"]["l2"]["l2ToL1MessagePasser"].endswith("16")
    assert "stakingDeposits" not in info["contracts"]["l2"]
    assert info["contracts"]["l1"]["stakingDeposits"].startswith("0x00000000219ab5")
    assert info["timings"]["slotSeconds"] == 2


def test_a_network_is_continued_with_other_ports(tmp_path: Path) -> None:
    network = made(tmp_path)
    settings = [*stored_settings(network.layout), setting("port_offset", 2_000)]
    continued = open_network(network.layout, resolve(settings))
    assert continued.processes()[0].rpc_port == 10_545
    assert continued.peer_ids == network.peer_ids


def test_another_manifest_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    network = made(tmp_path)
    settings = [*stored_settings(network.layout), setting("validators", 8)]
    with pytest.raises(NetworkError) as caught:
        open_network(network.layout, resolve(settings))
    assert str(caught.value).splitlines() == [
        "faultline.toml: network.validators: found 8, wanted 4, "
        f"which the network in {network.layout.data} was made with",
        "(`--fresh` makes a new network, `--data` names another folder)",
    ]


def test_what_it_was_made_with_counts_where_nothing_else_is_said(tmp_path: Path) -> None:
    manifest = resolve([setting("validators", 7), setting("slot_seconds", 5)]).manifest
    network = made(tmp_path, manifest)
    resolved = resolve(stored_settings(network.layout))
    assert open_network(network.layout, resolved).manifest == manifest


def test_data_of_another_version_or_damaged_is_refused(tmp_path: Path) -> None:
    network = made(tmp_path)
    stored = orjson.loads(network.layout.network.read_bytes())
    network.layout.network.write_bytes(orjson.dumps({**stored, "format": 1}))
    with pytest.raises(
        NetworkError, match="format: found 1, wanted 3: the data is of another version"
    ):
        load_network(network.layout)
    network.layout.network.write_bytes(b"{")
    with pytest.raises(NetworkError, match="is damaged"):
        load_network(network.layout)


@pytest.mark.parametrize("ours", [(), ("supervisor.lock",), ("keys", "logs", "validator-0")])
def test_foreign_folders_are_left_alone(tmp_path: Path, ours: tuple[str, ...]) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "thesis.txt").write_text("precious")
    for name in ours:
        (tmp_path / name).mkdir()
    with pytest.raises(
        NetworkError, match="holds other things and no network; nothing was removed"
    ):
        claim(layout)
    with pytest.raises(NetworkError, match="nothing was removed"):
        erase(layout)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_creation_that_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    network = made(tmp_path)
    network.layout.network.unlink()
    network.layout.unfinished.touch()
    claim(network.layout)
    again = create(network.layout, Manifest(), START)
    assert again.peer_ids != network.peer_ids


def test_erased_data_is_gone_and_what_others_put_there_stays(tmp_path: Path) -> None:
    network = made(tmp_path, resolve([setting("replicas", 2, "l2")]).manifest)
    write_configs(network)
    stores = {"validator-0", "sequencer", "replica", "replica-2"}
    assert stores < {entry.name for entry in network.layout.data.iterdir()}
    (network.layout.data / "replica-thesis.txt").write_text("precious")
    erase(network.layout)
    assert [entry.name for entry in network.layout.data.iterdir()] == ["replica-thesis.txt"]
    with pytest.raises(NetworkError, match="holds no network"):
        load_network(network.layout)


def test_busy_ports_are_named_with_who_wants_them() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        # Placed so that the third process's JSON-RPC wants it, far from the other ranges.
        manifest = resolve(
            [
                setting("base_port", port - 2, "rpc"),
                setting("base_port", 1_100 if port > 2_000 else 3_000, "p2p"),
                setting("base_port", 1_200 if port > 2_000 else 3_100, "metrics"),
            ]
        ).manifest
        busy = busy_ports(manifest)
    assert f"port {port} on 127.0.0.1, wanted for JSON-RPC of validator-2: " in "\n".join(busy)
