"""A devnet in containers, from the compose file as it is: used, broken by docker's own commands, and continued.

Needs a Docker engine with Compose and the base images, or a way to fetch them; skips where no engine answers.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.composed import (
    BUILD_DEADLINE_S,
    PROCESSES,
    Composed,
    free_digit,
    require_engine,
)
from tests.e2e.devnet import RpcFailure, wait_for
from tests.e2e.test_rollup import account, balance_of, nonce_of, transfer

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("compose"), pytest.mark.timeout(3_600)]

IMAGE_BYTES_MAX = 220_000_000
"""What the image may take."""

VICTIM = 2
"""The validator that is broken; three of four go on."""

NAME = f"validator-{VICTIM}"


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    """All services but Prometheus and Grafana, up and healthy."""
    require_engine()
    running = Composed(project=f"faultline-test-{os.getpid()}", digit=free_digit())
    running.compose("build", "--quiet", timeout_s=BUILD_DEADLINE_S)
    try:
        running.compose("up", "--detach", "--wait", "--wait-timeout", "600")
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "20")
        running.docker("image", "rm", running.image)


def test_the_image_is_small(composed: Composed) -> None:
    image = str(composed.inspect(NAME, "Image"))
    assert composed.inspect(NAME, "Config", "Image") == composed.image
    size = int(composed.docker("image", "inspect", "--format", "{{.Size}}", image))
    assert size <= IMAGE_BYTES_MAX


def test_every_process_is_healthy_and_finalizes(composed: Composed) -> None:
    composed.wait_until_healthy()
    for validator in range(4):
        composed.wait_for_progress(validator)
    status = composed.cli("status")
    assert isinstance(status, dict)
    assert {row["name"] for row in status["processes"]} == set(PROCESSES)
    assert {row["state"] for row in status["processes"]} == {"running"}
    told = composed.devnet.rpc("devnet_info")
    assert isinstance(told, dict)
    assert told["l1"]["rpc"] == [composed.devnet.rpc_url(index) for index in range(4)]


def test_the_l2_transacts_and_a_deposit_arrives(composed: Composed) -> None:
    devnet, sender, receiver = composed.devnet, account(3), account(4).address
    before = balance_of(devnet, receiver)
    devnet.l2_rpc("eth_sendRawTransaction", transfer(sender, nonce_of(devnet, sender), receiver))
    assert balance_of(devnet, receiver) == before + 1
    arrived = composed.cli("deposit", "1.5", "--to", receiver)
    assert isinstance(arrived, dict)
    assert arrived["succeeded"]
    assert balance_of(devnet, receiver) == before + 1 + 15 * 10**17
    wait_for(
        "the bridge to derive both",
        lambda: balance_of(devnet, receiver, 0) == before + 1 + 15 * 10**17,
    )


def test_a_container_has_no_rights_and_no_keys_of_others(composed: Composed) -> None:
    for service in PROCESSES:
        status = composed.sh(service, "cat /proc/1/status")
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        assert "Read-only file system" in composed.sh(service, "touch /opt/mine", check=False)
        assert composed.sh(service, "ls /data").split() == sorted(
            ["config", "genesis.json", "info.json", "keys", "l2-genesis.json", service]
        )
        keys = composed.sh(service, "ls /data/keys").split()
        assert keys
        assert all(key.startswith(f"{service}.") for key in keys)
        assert composed.sh(service, "ls /network /volumes", check=False).count(".json") == 0
        limit = 768 << 20 if service.startswith("validator") else 1 << 30
        assert composed.inspect(service, "HostConfig", "Memory") == limit
        assert composed.inspect(service, "HostConfig", "MemorySwap") == limit  # none beside it


def test_whoever_watches_may_read_rules_and_dashboards(composed: Composed) -> None:
    """As nobody: Prometheus' and Grafana's images have users of their own."""
    volume = f"{composed.project}_monitoring:/etc/faultline:ro"
    script = "cd /etc/faultline && find . -type f && find . -type f -exec cat {} +"
    nobody = ("run", "--rm", "--network", "none", "--user", "65534:65534")
    shown = composed.docker(*nobody, "--volume", volume, composed.image, "sh", "-c", script)
    for name in ("prometheus.yml", "rules/faultline.yml", "targets/devnet.json"):
        assert f"./prometheus/{name}\n" in shown
    assert "./grafana/dashboards/faultline-network.json\n" in shown
    assert '"watchtower:9152"' in shown


def test_who_takes_more_memory_than_there_is_ends_and_the_process_goes_on(
    composed: Composed,
) -> None:
    started = composed.inspect(NAME, "State", "StartedAt")
    hungry = "python -c 'import mmap; mmap.mmap(-1, 1 << 30).write(bytes(1 << 30))'; echo ended $?"
    assert "ended 137" in composed.sh(NAME, hungry)
    assert composed.inspect(NAME, "State", "StartedAt") == started
    composed.wait_for_progress(VICTIM)


def test_no_port_is_published_beyond_loopback(composed: Composed) -> None:
    for service in PROCESSES:
        bindings = composed.inspect(service, "HostConfig", "PortBindings")
        assert isinstance(bindings, dict)
        hosts = {entry["HostIp"] for entries in bindings.values() for entry in entries}
        assert hosts == {"127.0.0.1"}


def test_a_container_that_was_killed_by_hand_is_started_by_hand(composed: Composed) -> None:
    composed.compose("kill", "--signal", "KILL", NAME)
    assert composed.inspect(NAME, "State", "Status") == "exited"
    composed.wait_for_progress(0)
    composed.compose("up", "--detach", "--wait", NAME)
    composed.wait_for_progress(VICTIM)


def test_a_process_that_dies_is_started_again_by_docker(composed: Composed) -> None:
    started = composed.inspect(NAME, "State", "StartedAt")
    composed.sh(NAME, "kill -KILL -1", check=False)
    wait_for(
        "docker to start it again",
        lambda: (
            composed.inspect(NAME, "RestartCount") == 1
            and composed.inspect(NAME, "State", "StartedAt") != started
        ),
    )
    composed.wait_until_healthy(NAME)
    composed.wait_for_progress(VICTIM)


def test_a_container_that_was_paused_catches_up(composed: Composed) -> None:
    composed.compose("pause", NAME)
    composed.wait_for_progress(0, blocks=6)
    composed.compose("unpause", NAME)
    composed.wait_for_progress(VICTIM)
    composed.wait_until_healthy(NAME)


def test_a_container_whose_network_was_cut_catches_up(composed: Composed) -> None:
    network, container = f"{composed.project}_devnet", composed.container(NAME)
    composed.docker("network", "disconnect", network, container)
    composed.wait_for_progress(0, blocks=6)
    composed.docker("network", "connect", "--alias", NAME, network, container)
    wait_for("its port to be back", partial(answers, composed, VICTIM))
    composed.wait_for_progress(VICTIM)
    composed.wait_until_healthy(NAME)
    wait_for("all its peers", lambda: peers(composed, VICTIM) == len(PROCESSES) - 1)


def test_faults_are_made_and_healed_from_inside(composed: Composed) -> None:
    composed.cli("break", "delay", "ms=100", "--on", NAME)
    active = composed.cli("break", "active")
    assert isinstance(active, dict)
    assert active[NAME]
    composed.cli("break", "heal")
    active = composed.cli("break", "active")
    assert isinstance(active, dict)
    assert not any(active.values())


def test_a_supervisors_commands_say_what_docker_does_instead(composed: Composed) -> None:
    done = composed.compose("run", "--rm", "-T", "cli", "processes", "stop", NAME, check=False)
    assert done.returncode == 1
    assert f"this devnet runs in containers: `docker compose stop {NAME}` does that" in done.stderr


def test_a_wrong_value_ends_with_2_and_says_which(composed: Composed) -> None:
    done = prepared(composed, "FAULTLINE_NETWORK_SLOT_SECONDS=soon")
    assert done.returncode == 2
    assert (
        "environment FAULTLINE_NETWORK_SLOT_SECONDS: network.slot_seconds: found 'soon', "
        "wanted integer" in done.stderr
    )
    done = prepared(composed, "FAULTLINE_NETWORK_SLOT_SECONDS=4")
    assert done.returncode == 2
    assert "found 4, wanted 2, which the network in /network was made with" in done.stderr
    assert "docker compose down --volumes" in done.stderr


def test_down_and_up_continue_the_chain(composed: Composed) -> None:
    devnet, receiver = composed.devnet, account(4).address
    genesis, l2_genesis = block_hash(composed, 0), l2_block_hash(composed, 0)
    final, balance = devnet.number("finalized"), balance_of(devnet, receiver)
    final_hash = block_hash(composed, final)
    composed.compose("down")
    composed.compose("up", "--detach", "--wait", "--wait-timeout", "600")
    assert (block_hash(composed, 0), l2_block_hash(composed, 0)) == (genesis, l2_genesis)
    assert block_hash(composed, final) == final_hash
    assert balance_of(devnet, receiver) == balance
    for validator in range(4):
        composed.wait_for_progress(validator)


def test_every_process_ends_within_its_grace(composed: Composed) -> None:
    composed.compose("stop")
    codes = {name: composed.inspect(name, "State", "ExitCode") for name in PROCESSES}
    assert codes == dict.fromkeys(PROCESSES, 0)  # 137 would be a kill after the grace
    composed.compose("up", "--detach", "--wait", "--wait-timeout", "600")


def prepared(composed: Composed, setting: str) -> subprocess.CompletedProcess[str]:
    """What runs before the processes, with one setting more."""
    return composed.compose("run", "--rm", "-T", "--env", setting, "init", check=False)


def answers(composed: Composed, validator: int) -> bool:
    """Whether a validator's port answers."""
    try:
        return composed.devnet.rpc("eth_chainId", validator=validator) == "0x384"
    except (OSError, RpcFailure):
        return False


def peers(composed: Composed, validator: int) -> int:
    """How many peers a validator has."""
    return int(str(composed.devnet.rpc("net_peerCount", validator=validator)), 16)


def block_hash(composed: Composed, number: int) -> str:
    """Hash of an L1 block."""
    return hash_of(composed.devnet.rpc("eth_getBlockByNumber", hex(number), False))


def l2_block_hash(composed: Composed, number: int) -> str:
    """Hash of an L2 block."""
    return hash_of(composed.devnet.l2_rpc("eth_getBlockByNumber", hex(number), False))


def hash_of(block: object) -> str:
    """A block's hash, as it was answered."""
    assert isinstance(block, dict)
    return str(block["hash"])
