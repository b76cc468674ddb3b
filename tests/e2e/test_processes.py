"""A devnet of real processes is killed, split, slashed and joined late, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.devnet import FOLLOWERS, Devnet, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

VALIDATORS = 4


def consensus(devnet: Devnet, validator: int = 0) -> dict[str, object]:
    """What `devnet_consensus` answers."""
    answer = devnet.rpc("devnet_consensus", validator=validator)
    assert isinstance(answer, dict)
    return answer


def slashed(devnet: Devnet, validator: int = 0) -> list[int]:
    """Indexes of slashed validators in the head's state."""
    validators = consensus(devnet, validator)["validators"]
    assert isinstance(validators, list)
    return [int(entry["index"]) for entry in validators if entry["slashed"]]


def agree(devnet: Devnet, number: int) -> bool:
    """Whether every validator holds the same block at a number."""
    hashes = set()
    for validator in range(VALIDATORS):
        block = devnet.rpc("eth_getBlockByNumber", hex(number), False, validator=validator)
        if not isinstance(block, dict):
            return False
        hashes.add(block["hash"])
    return len(hashes) == 1


@pytest.mark.parametrize("validator", range(VALIDATORS))
def test_a_killed_validator_comes_back(devnet_to_break: Devnet, validator: int) -> None:
    devnet = devnet_to_break
    name = f"validator-{validator}"
    before = devnet.number("finalized", validator)
    devnet.kill_process(name)
    wait_for(f"{name} to answer again", lambda: _answers(devnet, validator))
    assert devnet.number("finalized", validator) >= before - 1
    target = devnet.number("latest", (validator + 1) % VALIDATORS) + 2
    devnet.wait_for_final(target)
    assert agree(devnet, target)
    assert slashed(devnet) == []


def _answers(devnet: Devnet, validator: int) -> bool:
    try:
        return devnet.rpc("eth_chainId", validator=validator) == "0x384"
    except OSError:
        return False


def test_a_split_network_heals(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    groups = [["validator-0", "validator-1", *FOLLOWERS], ["validator-2", "validator-3"]]
    for validator in range(VALIDATORS):
        devnet.rpc("devnet_break", "partition", {"groups": groups}, validator=validator)
    final_before = max(devnet.number("finalized", validator) for validator in range(VALIDATORS))

    def both_sides_have_grown_apart() -> bool:
        number = min(devnet.number("latest", 0), devnet.number("latest", 2))
        return number > final_before + 4 and not agree(devnet, number)

    wait_for("two different heads", both_sides_have_grown_apart)
    for validator in range(VALIDATORS):
        devnet.rpc("devnet_heal", validator=validator)
    devnet.wait_for_final(max(devnet.number("latest", v) for v in range(VALIDATORS)) + 1)
    assert agree(devnet, devnet.number("finalized"))
    assert slashed(devnet) == []


def test_a_stopped_network_continues_its_chain(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    final = devnet.number("finalized")
    block = devnet.rpc("eth_getBlockByNumber", hex(final), False)
    devnet.down()
    devnet.up()
    assert devnet.rpc("eth_getBlockByNumber", hex(final), False) == block
    devnet.wait_for_final(final + 4)
    assert slashed(devnet) == []


def test_two_devnets_side_by_side(devnet_to_break: Devnet, tmp_path: Path) -> None:
    with running_devnet(tmp_path) as other:
        other.wait_for_final(1)
        first = devnet_to_break.rpc("eth_getBlockByNumber", "0x0", False)
        second = other.rpc("eth_getBlockByNumber", "0x0", False)
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert first["hash"] != second["hash"]
        assert devnet_to_break.number() > 0
