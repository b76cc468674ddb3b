"""What runs before the containers' processes: the network is made once, continued after, and refused in words."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from deploy.docker.preparing import BOOT_SECONDS, FIXED, HINT
from deploy.lock import SupervisorLock
from deploy.network import load_network
from tests.deploy.docker.places import NAMES, Places


def test_a_network_is_made_for_containers(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    before_s = int(datetime.now(UTC).timestamp())
    assert places.prepare() == 0
    network = load_network(places.network)
    assert network.placement == "containers"
    assert tuple(plan.name for plan in network.processes()) == NAMES
    slot_s = network.manifest.network.slot_seconds
    genesis = orjson.loads(places.network.genesis.read_bytes())
    first_block_s = int(genesis["timestamp"], 16) + 4 * slot_s
    assert first_block_s >= before_s + BOOT_SECONDS
    printed = capsys.readouterr().out
    assert "http://127.0.0.1:8548  validator-3" in printed
    assert "http://127.0.0.1:9547  watchtower" in printed
    assert network.accounts[9].private_key in printed


def test_a_second_start_continues_the_network(places: Places) -> None:
    assert places.prepare() == 0
    genesis = places.network.genesis.read_bytes()
    keys = {file.name: file.read_bytes() for file in places.network.keys.iterdir()}
    assert places.prepare(FAULTLINE_L2_BATCH_INTERVAL_MS="500") == 0
    assert places.network.genesis.read_bytes() == genesis
    assert {file.name: file.read_bytes() for file in places.network.keys.iterdir()} == keys
    told = orjson.loads(places.share("sequencer").config("sequencer").read_bytes())
    assert told["batcher"]["interval_ms"] == 500


def test_what_compose_reads_itself_is_no_key_of_the_manifest(places: Places) -> None:
    assert places.prepare(FAULTLINE_PORT_DIGIT="1", FAULTLINE_IMAGE="mine:1") == 0


def test_a_start_that_was_cut_off_is_repeated(places: Places) -> None:
    places.network.data.mkdir()
    places.network.unfinished.touch()
    places.network.keys.mkdir()
    (places.network.keys / "validator-0.json").write_text("cut o")
    assert places.prepare() == 0
    assert load_network(places.network).processes()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "FAULTLINE_NETWORK_SLOT_SECONDS",
            "soon",
            "environment FAULTLINE_NETWORK_SLOT_SECONDS: network.slot_seconds: found 'soon', "
            "wanted integer",
        ),
        (
            "FAULTLINE_NETWORK_SLOTSECONDS",
            "4",
            "environment: FAULTLINE_NETWORK_SLOTSECONDS: unknown key, did you mean "
            "FAULTLINE_NETWORK_SLOT_SECONDS?",
        ),
        (
            "FAULTLINE_NETWORK_VALIDATORS",
            "2",
            "docker-compose.yml: network.validator_processes: found 4, wanted at most "
            "network.validators (2)",
        ),
        (
            "FAULTLINE_DATA",
            "/mine",
            "environment: FAULTLINE_DATA: found '/mine', wanted nothing: "
            "docker-compose.yml decides it",
        ),
        (
            "FAULTLINE_RPC_HOST",
            "10.0.0.1",
            "environment FAULTLINE_RPC_HOST: rpc.host: found '10.0.0.1', wanted nothing: "
            "docker-compose.yml decides it",
        ),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_made(
    places: Places, capsys: pytest.CaptureFixture[str], variable: str, value: str, message: str
) -> None:
    assert places.prepare(**{variable: value}) == 2
    assert capsys.readouterr().err == f"{message}\n"
    assert not places.network.network.exists()
    assert not any(places.share(name).keys.exists() for name in NAMES)


def test_a_value_that_the_data_was_not_made_with_is_named(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    assert places.prepare() == 0
    capsys.readouterr()
    assert places.prepare(FAULTLINE_NETWORK_SLOT_SECONDS="4") == 2
    assert capsys.readouterr().err == (
        "environment FAULTLINE_NETWORK_SLOT_SECONDS: network.slot_seconds: found 4, wanted 2, "
        f"which the network in {places.network.data} was made with\n{HINT}\n"
    )


def test_two_do_not_prepare_at_once(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    lock = SupervisorLock(places.network)
    assert places.prepare() == 1
    lock.release()
    assert "cannot be used: a devnet runs on" in capsys.readouterr().err


def test_what_compose_decides_is_in_force(places: Places) -> None:
    assert places.prepare() == 0
    in_force = load_network(places.network).manifest.model_dump(mode="json")
    assert {key: in_force[key[0]][key[1]] for key in FIXED} == FIXED
