"""Fee vaults: who is paid, where, from which amount on."""

from __future__ import annotations

import pytest

from node.contracts import addresses
from node.contracts.alloc import VaultTerms, WithdrawalNetwork
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from tests.kit.contract_network import FEE_RECIPIENT, FORCER, Network
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import SENDER, address_of, word

MINIMUM = 10**16
"""Wei."""

REFUSER = Address(b"\x4e" * 20)
"""Takes no payment."""


def fund(network: Network, wei: int) -> None:
    """Pays into the vault, as fees would."""
    assert network.world.send(SENDER, network.vault.address, value=wei).succeeded


@pytest.mark.parametrize("vault", addresses.FEE_VAULTS)
def test_terms_are_those_of_the_allocation(vault: Address) -> None:
    network = Network.open()
    contract = type(network.vault)(network.vault.artifact, vault)
    answers = {
        name: network.world.read(contract, name)
        for name in (
            "RECIPIENT",
            "recipient",
            "MIN_WITHDRAWAL_AMOUNT",
            "minWithdrawalAmount",
            "WITHDRAWAL_NETWORK",
            "withdrawalNetwork",
            "totalProcessed",
        )
    }
    assert answers == {
        "RECIPIENT": "0x" + FEE_RECIPIENT.hex(),
        "recipient": "0x" + FEE_RECIPIENT.hex(),
        "MIN_WITHDRAWAL_AMOUNT": MINIMUM,
        "minWithdrawalAmount": MINIMUM,
        "WITHDRAWAL_NETWORK": 1,
        "withdrawalNetwork": 1,
        "totalProcessed": 0,
    }


def test_fees_are_paid_on_l2() -> None:
    """Given more than the minimum, when anyone asks, then the recipient has all of it, and both logs say so."""
    network = Network.open()
    fund(network, 3 * MINIMUM)

    receipt = network.world.transact(FORCER, network.vault, "withdraw")

    expected = {
        "value": 3 * MINIMUM,
        "to": "0x" + FEE_RECIPIENT.hex(),
        "sender": FORCER.address.lower(),
        "withdrawalNetwork": 1,
    }
    assert network.vault.events(receipt, "Withdrawal") == [expected]
    old = receipt.logs[0]
    assert old.topics == (keccak256(b"Withdrawal(uint256,address,address)"),)
    assert old.data == word(3 * MINIMUM) + bytes(12) + FEE_RECIPIENT + bytes(12) + address_of(
        FORCER
    )
    assert network.world.balance(FEE_RECIPIENT) == 3 * MINIMUM
    assert network.world.balance(network.vault.address) == 0
    assert network.world.read(network.vault, "totalProcessed") == 3 * MINIMUM

    fund(network, 2 * MINIMUM)
    network.world.transact(FORCER, network.vault, "withdraw")
    assert network.world.read(network.vault, "totalProcessed") == 5 * MINIMUM


def test_fees_are_withdrawn_to_l1() -> None:
    terms = VaultTerms(recipient=FEE_RECIPIENT, network=WithdrawalNetwork.L1, minimum_wei=0)
    network = Network.open(vaults=terms)
    fund(network, 7)

    receipt = network.world.transact(FORCER, network.vault, "withdraw")

    (message,) = network.passer.events(receipt, "MessagePassed")
    assert message["sender"] == "0x" + network.vault.address.hex()
    assert message["target"] == "0x" + FEE_RECIPIENT.hex()
    assert (message["value"], message["gasLimit"], message["data"]) == (7, 400_000, b"")
    assert network.world.balance(addresses.MESSAGE_PASSER) == 7
    (event,) = network.vault.events(receipt, "Withdrawal")
    assert event["withdrawalNetwork"] == 0


def test_less_than_the_minimum_stays() -> None:
    network = Network.open()
    fund(network, MINIMUM - 1)
    with pytest.raises(Reverted) as reverted:
        network.world.transact(FORCER, network.vault, "withdraw")
    message = "FeeVault: withdrawal amount must be greater than minimum withdrawal amount"
    assert message in reverted.value.name
    fund(network, 1)
    network.world.transact(FORCER, network.vault, "withdraw")


def test_a_recipient_that_refuses_loses_nothing() -> None:
    network = Network.open(
        vaults=VaultTerms(recipient=REFUSER),
        extra_accounts={"0x" + REFUSER.hex(): {"balance": "0x0", "code": "0x5f5ffd"}},
    )
    fund(network, MINIMUM)
    with pytest.raises(Reverted) as reverted:
        network.world.transact(FORCER, network.vault, "withdraw")
    message = "FeeVault: failed to send ETH to L2 fee recipient"
    assert message in reverted.value.name
    assert network.world.balance(network.vault.address) == MINIMUM
    assert network.world.read(network.vault, "totalProcessed") == 0


def test_unknown_functions_take_nothing() -> None:
    network = Network.open()
    assert not network.world.send(SENDER, network.vault.address, b"\x01", value=1).succeeded
