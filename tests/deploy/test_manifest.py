"""The manifest: layers, defaults, and what is said of every wrong key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import JsonValue

from deploy.manifest import (
    Manifest,
    ManifestError,
    Setting,
    environment_settings,
    read_manifest,
    render_toml,
    resolve,
    settings_of,
)


def setting(section: str, key: str, value: JsonValue, origin: str = "test") -> Setting:
    return Setting(section=section, key=key, value=value, origin=origin)


def manifest_of(*settings: Setting) -> Manifest:
    return resolve(settings).manifest


def errors_of(*settings: Setting) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        resolve(settings)
    return str(caught.value).splitlines()


def test_nothing_set_is_the_default_devnet() -> None:
    manifest = manifest_of()
    assert manifest == Manifest()
    assert (manifest.network.validators, manifest.network.slot_seconds) == (4, 2)
    assert manifest.faults.enabled


def test_later_layers_win_and_are_named() -> None:
    resolved = resolve(
        [
            setting("network", "slot_seconds", 3, "faultline.toml"),
            setting("network", "slot_seconds", 4, "--slot-seconds"),
        ]
    )
    assert resolved.manifest.network.slot_seconds == 4
    assert resolved.origins == {("network", "slot_seconds"): "--slot-seconds"}


def test_profile_realistic_changes_defaults_only() -> None:
    realistic = manifest_of(setting("network", "profile", "realistic"))
    assert (realistic.network.slot_seconds, realistic.network.slots_per_epoch) == (12, 32)
    assert not realistic.faults.enabled
    assert realistic.l2.sequencing_window_blocks == 3_600
    assert realistic.bridge.challenge_window_s == 7 * 86_400
    chosen = manifest_of(
        setting("network", "profile", "realistic"), setting("network", "slot_seconds", 2)
    )
    assert (chosen.network.slot_seconds, chosen.network.slots_per_epoch) == (2, 32)


@pytest.mark.parametrize(("validators", "processes"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_keys_are_shared_by_at_most_four_processes(validators: int, processes: int) -> None:
    manifest = manifest_of(setting("network", "validators", validators))
    assert manifest.network.validator_processes == processes


@pytest.mark.parametrize(
    ("section", "key", "value", "error"),
    [
        ("network", "slot_seconds", 0, "found 0, wanted greater than or equal to 1"),
        ("network", "slot_seconds", "2", "found '2', wanted integer"),
        ("network", "slot_seconds", 2.5, "found 2.5, wanted integer"),
        ("network", "slot_seconds", True, "found True, wanted integer"),
        ("network", "slots_per_epoch", 33, "found 33, wanted less than or equal to 32"),
        ("network", "validators", 257, "found 257, wanted less than or equal to 256"),
        ("network", "validator_processes", 17, "found 17, wanted less than or equal to 16"),
        ("network", "profile", "fast", "found 'fast', wanted 'dev' or 'realistic'"),
        (
            "network",
            "name",
            "A devnet",
            "found 'A devnet', wanted a match of '^[a-z][a-z0-9-]{0,30}$'",
        ),
        ("rpc", "base_port", 0, "found 0, wanted greater than or equal to 1"),
        ("rpc", "allowed_hosts", "a", "found 'a', wanted list"),
        ("bridge", "bond_wei", 0, "found 0, wanted greater than or equal to 1"),
        ("bridge", "quiet_s", -1, "found -1, wanted greater than or equal to 0"),
        ("l2", "gas_limit", 1, "found 1, wanted greater than or equal to 4000000"),
        ("l2", "replicas", 9, "found 9, wanted less than or equal to 8"),
        ("l2", "enabled", "yes", "found 'yes', wanted boolean"),
        ("l2", "base_fee_wei", 0, "found 0, wanted greater than or equal to 1"),
        ("l2", "sequencing_window_blocks", 1, "found 1, wanted greater than or equal to 2"),
        ("l2", "batch_interval_ms", 99, "found 99, wanted greater than or equal to 100"),
    ],
)
def test_a_wrong_value_is_named(section: str, key: str, value: JsonValue, error: str) -> None:
    assert errors_of(setting(section, key, value, "f.toml")) == [
        f"f.toml: {section}.{key}: {error}"
    ]


def test_defaults_that_follow_a_wrong_value_are_not_told() -> None:
    assert errors_of(setting("network", "slot_seconds", 10**9, "f.toml")) == [
        "f.toml: network.slot_seconds: found 1000000000, wanted less than or equal to 600"
    ]


def test_every_wrong_key_is_told_at_once() -> None:
    errors = errors_of(setting("network", "validators", 0), setting("p2p", "base_port", 70_000))
    assert len(errors) == 2


def test_more_processes_than_keys_are_refused() -> None:
    [error] = errors_of(
        setting("network", "validators", 2), setting("network", "validator_processes", 3, "env")
    )
    assert (
        error == "env: network.validator_processes: found 3, wanted at most network.validators (2)"
    )


@pytest.mark.parametrize(("slot_seconds", "windows"), [(1, (6, 3, 2)), (12, (72, 36, 24))])
def test_the_bridges_windows_follow_the_slots(
    slot_seconds: int, windows: tuple[int, int, int]
) -> None:
    bridge = manifest_of(setting("network", "slot_seconds", slot_seconds)).bridge
    assert (bridge.challenge_window_s, bridge.quiet_s, bridge.air_gap_s) == windows
    chosen = setting("bridge", "challenge_window_s", 100)
    said = manifest_of(setting("network", "slot_seconds", slot_seconds), chosen).bridge
    assert (said.challenge_window_s, said.air_gap_s) == (100, windows[2])


def test_a_window_in_which_nobody_can_answer_is_refused() -> None:
    manifest_of(setting("bridge", "challenge_window_s", 6))
    assert errors_of(setting("bridge", "challenge_window_s", 5, "env")) == [
        "env: bridge.challenge_window_s: found 5, wanted at least 6 "
        "(3 slots: to see a claim, to answer it, and one to spare)"
    ]
    without = setting("l2", "enabled", False)
    manifest_of(setting("bridge", "challenge_window_s", 1), without)


def test_a_default_that_something_else_collides_with_is_told_with_where_that_was_found() -> None:
    [error] = errors_of(setting("rpc", "base_port", 9_000, "f.toml"))
    assert error == "f.toml: p2p.base_port: found 9000, wanted a range apart from rpc.base_port"


def test_port_ranges_must_not_meet() -> None:
    [error] = errors_of(setting("p2p", "base_port", 8547, "env"))
    assert error == "env: p2p.base_port: found 8547, wanted a range apart from rpc.base_port"
    [error] = errors_of(
        setting("network", "port_offset", 50_000), setting("rpc", "base_port", 20_000)
    )
    assert "rpc.base_port: found 20000, wanted at most 15532" in error
    [error] = errors_of(setting("metrics", "l2_base_port", 9051, "env"))
    assert (
        error == "env: metrics.l2_base_port: found 9051, wanted a range apart from p2p.l2_base_port"
    )
    manifest_of(setting("metrics", "l2_base_port", 9051), setting("l2", "enabled", False))


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "example.org"])
def test_other_binds_need_hosts_and_origins(host: str) -> None:
    [error] = errors_of(setting("rpc", "host", host))
    assert error.startswith(f"test: rpc.host: found {host!r}, wanted a loopback address, ")
    manifest_of(
        setting("rpc", "host", host),
        setting("rpc", "allowed_hosts", ["devnet.test"]),
        setting("rpc", "allowed_origins", ["https://devnet.test"]),
    )


def test_a_port_that_a_container_publishes_on_loopback_only_needs_no_origins() -> None:
    manifest = manifest_of(
        setting("rpc", "host", "0.0.0.0"),  # noqa: S104
        setting("rpc", "published_on_loopback", True),
    )
    assert (manifest.rpc.host, manifest.rpc.allowed_origins) == ("0.0.0.0", ())  # noqa: S104


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "faultline.toml"
    file.write_text("faults = false\n[network]\nslot_seconds = 3\n[rpc]\nallowed_hosts = ['a']\n")
    manifest = manifest_of(*read_manifest(file))
    assert manifest.network.slot_seconds == 3
    assert manifest.rpc.allowed_hosts == ("a",)
    assert not manifest.faults.enabled


def test_a_file_without_an_end_is_not_read_whole() -> None:
    with pytest.raises(ManifestError, match="/dev/zero: found more, wanted at most 1048576 bytes"):
        read_manifest(Path("/dev/zero"))


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "faultline.toml"
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_manifest(file)
    file.write_text("[network")
    with pytest.raises(ManifestError, match=f"^{file}: no TOML: "):
        read_manifest(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="no TOML"):
        read_manifest(file)


def test_unknown_sections_and_keys_are_told_with_what_is_near() -> None:
    with pytest.raises(ManifestError) as caught:
        settings_of({"netwrk": {}, "network": {"slot_second": 1}, "rpc": 3, "zzz": {}}, "f")
    assert str(caught.value).splitlines() == [
        "f: netwrk: unknown section, did you mean network?",
        "f: network.slot_second: unknown key, did you mean slot_seconds?",
        "f: rpc: found 3, wanted a section [rpc]",
        "f: zzz: unknown section, wanted one of network, p2p, rpc, metrics, engine, faults, l2, bridge",
    ]


def test_the_environment_sets_keys() -> None:
    settings = environment_settings(
        {
            "FAULTLINE_NETWORK_SLOT_SECONDS": "3",
            "FAULTLINE_NETWORK_NAME": "mine",
            "FAULTLINE_RPC_ALLOWED_HOSTS": '["a", "b"]',
            "FAULTLINE_FAULTS_ENABLED": "false",
            "FAULTLINE_DATA": "/somewhere",
            "PATH": "/bin",
        }
    )
    manifest = manifest_of(*settings)
    assert (manifest.network.slot_seconds, manifest.network.name) == (3, "mine")
    assert manifest.rpc.allowed_hosts == ("a", "b")
    assert not manifest.faults.enabled


def test_a_mistyped_variable_is_told() -> None:
    with pytest.raises(ManifestError, match="did you mean FAULTLINE_NETWORK_SLOT_SECONDS"):
        environment_settings({"FAULTLINE_NETWORK_SLOT_SECOND": "3"})


def test_what_is_rendered_reads_back() -> None:
    resolved = resolve([setting("rpc", "allowed_hosts", ['quote"d'], "f")])
    text = render_toml(resolved)
    assert "# f\n" in text
    again = resolve(settings_of(tomllib.loads(text), "again"))
    assert again.manifest == resolved.manifest
