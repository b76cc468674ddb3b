"""SystemConfig: the guardian's pause, its end, and the constants that tools look for."""

from __future__ import annotations

import pytest

from node.contracts import addresses, withdrawals
from node.contracts.abi import encode_call
from node.eth.primitives import Address
from tests.kit.contract_network import GUARDIAN, SYSTEM, Network
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR, address_of

EVERYONE = bytes(20)
"""Identifier of all chains."""

ELSEWHERE = b"\xe1" * 20
"""Identifier of a chain that is not here."""


@pytest.fixture
def network() -> Network:
    """Nothing is paused."""
    return Network.open()


def act(network: Network, name: str, identifier: bytes) -> list[dict[str, object]]:
    """The guardian's act; its event."""
    receipt = network.world.transact(GUARDIAN, network.system_config, name, identifier)
    event = {"pause": "Paused", "unpause": "Unpaused", "extend": "PauseExtended"}[name]
    return network.system_config.events(receipt, event)


def paused(network: Network, identifier: bytes = EVERYONE) -> bool:
    """Whether withdrawals of a chain are held up."""
    # Two functions have that name.
    answer = network.world.ask(
        network.system_config, encode_call("paused(address)", Address(identifier))
    )
    return int.from_bytes(answer) == 1


def now(network: Network) -> int:
    """The head's time."""
    return 100 + 2 * network.height


@pytest.mark.parametrize("identifier", [EVERYONE, addresses.PORTAL])
def test_a_pause_begins_and_is_lifted(network: Network, identifier: bytes) -> None:
    named = [{"identifier": "0x" + identifier.hex()}]
    assert not paused(network)
    assert network.world.read(network.system_config, "expiration", identifier) == 0
    assert network.world.read(network.system_config, "pausable", identifier) is True

    assert act(network, "pause", identifier) == named

    assert paused(network)
    assert paused(network, addresses.PORTAL)
    assert network.world.read(network.portal, "paused") is True
    assert network.world.read(network.system_config, "pausable", identifier) is False
    expiration = network.world.number(network.system_config, "expiration", identifier)
    assert expiration == now(network) + SYSTEM.pause_expiry_s
    assert act(network, "unpause", identifier) == named
    assert not paused(network)
    assert network.world.read(network.portal, "paused") is False


def test_another_chain_s_pause_is_not_ours(network: Network) -> None:
    act(network, "pause", ELSEWHERE)
    assert paused(network, ELSEWHERE)
    assert not paused(network)
    assert not paused(network, addresses.PORTAL)


def test_every_chain_s_pause_is_every_chain_s(network: Network) -> None:
    act(network, "pause", EVERYONE)
    assert paused(network, ELSEWHERE)


def test_without_an_argument_it_is_about_this_chain(network: Network) -> None:
    """Given `paused()` as the Portal, the registry and the messengers call it, then both pauses count."""
    for identifier in (EVERYONE, addresses.PORTAL):
        act(network, "pause", identifier)
        answer = network.world.ask(network.system_config, withdrawals.is_paused())
        assert int.from_bytes(answer) == 1
        act(network, "unpause", identifier)
        answer = network.world.ask(network.system_config, withdrawals.is_paused())
        assert int.from_bytes(answer) == 0


def test_a_pause_ends_by_itself_and_has_to_be_lifted_before_the_next(network: Network) -> None:
    """Given a pause, then it holds to its last second; expired it cannot begin again before it is lifted."""
    act(network, "pause", EVERYONE)
    expiration = network.world.number(network.system_config, "expiration", EVERYONE)
    # Calls are answered in the head's own environment.
    network.pass_blocks((expiration - now(network)) // 2 - 1)
    assert now(network) == expiration - 2
    assert paused(network)
    network.pass_blocks(1)
    assert not paused(network)
    with pytest.raises(Reverted) as reverted:
        act(network, "pause", EVERYONE)
    assert reverted.value.name == "SuperchainConfig_AlreadyPaused"
    assert reverted.value.values == ("0x" + EVERYONE.hex(),)
    act(network, "unpause", EVERYONE)
    act(network, "pause", EVERYONE)
    assert paused(network)


def test_a_pause_can_begin_anew(network: Network) -> None:
    with pytest.raises(Reverted) as reverted:
        act(network, "extend", addresses.PORTAL)
    assert reverted.value.name == "SuperchainConfig_NotAlreadyPaused"
    assert reverted.value.values == ("0x" + addresses.PORTAL.hex(),)
    act(network, "pause", addresses.PORTAL)
    network.pass_blocks(300)
    assert act(network, "extend", addresses.PORTAL) == [
        {"identifier": "0x" + addresses.PORTAL.hex()}
    ]
    expiration = network.world.number(network.system_config, "expiration", addresses.PORTAL)
    assert expiration == now(network) + SYSTEM.pause_expiry_s


@pytest.mark.parametrize("name", ["pause", "unpause", "extend"])
def test_nobody_but_the_guardian_acts(network: Network, name: str) -> None:
    act(network, "pause", EVERYONE)
    with pytest.raises(Reverted, match="SuperchainConfig_OnlyGuardian"):
        network.world.transact(DEPOSITOR, network.system_config, name, EVERYONE)
    assert paused(network)


def test_the_constants_are_the_rollup_s(network: Network) -> None:
    expected = {
        "guardian": GUARDIAN.address.lower(),
        "pauseExpiry": SYSTEM.pause_expiry_s,
        "superchainConfig": "0x" + addresses.SYSTEM_CONFIG.hex(),
        "optimismPortal": "0x" + addresses.PORTAL.hex(),
        "disputeGameFactory": "0x" + addresses.DISPUTE_GAME_FACTORY.hex(),
        "l1CrossDomainMessenger": "0x" + addresses.L1_CROSS_DOMAIN_MESSENGER.hex(),
        "l1StandardBridge": "0x" + addresses.L1_STANDARD_BRIDGE.hex(),
        "batchInbox": "0x" + addresses.INBOX.hex(),
        "batcherHash": SYSTEM.batcher.rjust(32, b"\0"),
        "l2ChainId": 901,
        "gasLimit": 7_000_000,
        "basefeeScalar": SYSTEM.base_fee_scalar,
        "blobbasefeeScalar": SYSTEM.blob_base_fee_scalar,
        "operatorFeeScalar": SYSTEM.operator_fee_scalar,
        "operatorFeeConstant": SYSTEM.operator_fee_constant,
        "owner": "0x" + bytes(20).hex(),
        "isCustomGasToken": False,
        "version": "3.4.0",
    }
    answers = {name: network.world.read(network.system_config, name) for name in expected}
    assert answers == expected


def test_guardian_s_calls_are_the_artifact_s(network: Network) -> None:
    contract = network.system_config
    assert withdrawals.pause() == contract.input("pause", EVERYONE)
    assert withdrawals.unpause(addresses.PORTAL) == contract.input("unpause", addresses.PORTAL)
    assert address_of(GUARDIAN) == SYSTEM.guardian
