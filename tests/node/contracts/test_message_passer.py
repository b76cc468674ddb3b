"""L2ToL1MessagePasser: what a withdrawal leaves in storage and logs, and that its Ether is gone after `burn`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from node.eth.primitives import Address
from node.rollup.outputs import (
    BridgeWithdrawal,
    message_nonce,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.contract_network import FORCER, Network, forwarder
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.execution_chain import SENDER, address_of

TARGET = Address(b"\x7a" * 20)
"""Whom withdrawals call on L1."""

CONTRACT = Address(b"\x0c" * 20)
"""Withdraws what it is given."""


@pytest.fixture
def network() -> Network:
    """As at genesis, and a contract that withdraws."""
    forwarding = "0x" + forwarder(addresses.MESSAGE_PASSER).hex()
    return Network.open(
        extra_accounts={"0x" + CONTRACT.hex(): {"balance": "0x0", "code": forwarding}}
    )


def check(network: Network, receipt: Receipt, withdrawal: BridgeWithdrawal) -> None:
    """The withdrawal is logged, and stored where L1 looks for it."""
    name = withdrawal_hash(withdrawal)
    assert network.passer.events(receipt, "MessagePassed") == [
        {
            "nonce": withdrawal.nonce,
            "sender": "0x" + withdrawal.sender.hex(),
            "target": "0x" + withdrawal.target.hex(),
            "value": withdrawal.value,
            "gasLimit": withdrawal.gas_limit,
            "data": withdrawal.data,
            "withdrawalHash": name,
        }
    ]
    slot = int.from_bytes(sent_messages_slot(name))
    assert network.world.slot(addresses.MESSAGE_PASSER, slot) == 1
    assert network.world.read(network.passer, "sentMessages", name) is True


@pytest.mark.parametrize(
    ("value", "gas_limit", "data"),
    [(0, 0, b""), (10**18, 21_000, b"\x01"), (1, 2**256 - 1, bytes(range(256)) * 128)],
)
def test_a_withdrawal_is_stored_and_logged(
    network: Network, value: int, gas_limit: int, data: bytes
) -> None:
    receipt = network.world.transact(
        SENDER, network.passer, "initiateWithdrawal", TARGET, gas_limit, data, value=value
    )
    withdrawal = BridgeWithdrawal(
        nonce=message_nonce(0),
        sender=address_of(SENDER),
        target=TARGET,
        value=value,
        gas_limit=gas_limit,
        data=data,
    )
    check(network, receipt, withdrawal)
    assert network.world.balance(addresses.MESSAGE_PASSER) == value


def test_a_plain_payment_is_withdrawn_to_oneself(network: Network) -> None:
    receipt = network.world.send(SENDER, addresses.MESSAGE_PASSER, value=9)
    withdrawal = BridgeWithdrawal(
        nonce=message_nonce(0),
        sender=address_of(SENDER),
        target=address_of(SENDER),
        value=9,
        gas_limit=100_000,
        data=b"",
    )
    check(network, receipt, withdrawal)


def test_a_contract_withdraws_in_its_own_name(network: Network) -> None:
    receipt = network.world.send(
        SENDER, CONTRACT, network.passer.input("initiateWithdrawal", TARGET, 5, b"x"), value=3
    )
    withdrawal = BridgeWithdrawal(
        nonce=message_nonce(0),
        sender=CONTRACT,
        target=TARGET,
        value=3,
        gas_limit=5,
        data=b"x",
    )
    check(network, receipt, withdrawal)


def test_equal_withdrawals_differ_by_nonce(network: Network) -> None:
    names = set()
    for count in range(3):
        assert network.world.read(network.passer, "messageNonce") == message_nonce(count)
        receipt = network.world.transact(
            SENDER, network.passer, "initiateWithdrawal", TARGET, 0, b""
        )
        (event,) = network.passer.events(receipt, "MessagePassed")
        assert event["nonce"] == message_nonce(count)
        names.add(event["withdrawalHash"])
    assert len(names) == 3
    assert network.world.slot(addresses.MESSAGE_PASSER, 1) == 3


def test_what_was_not_sent_is_not_found(network: Network) -> None:
    """Given the words of the layout's first slots as names, then none of them is taken for a message."""
    network.world.transact(SENDER, network.passer, "initiateWithdrawal", TARGET, 0, b"")
    for name in (bytes(32), (1).to_bytes(32), b"\xff" * 32):
        assert network.world.read(network.passer, "sentMessages", name) is False


def test_burning_takes_the_ether_out_of_the_supply(network: Network) -> None:
    network.world.transact(
        SENDER, network.passer, "initiateWithdrawal", TARGET, 0, b"", value=10**18
    )
    receipt = network.world.transact(FORCER, network.passer, "burn")
    assert network.passer.events(receipt, "WithdrawerBalanceBurnt") == [{"amount": 10**18}]
    assert network.world.balance(addresses.MESSAGE_PASSER) == 0
    receipt = network.world.transact(FORCER, network.passer, "burn")
    assert network.passer.events(receipt, "WithdrawerBalanceBurnt") == [{"amount": 0}]


def test_more_data_than_a_transaction_carries_is_refused(network: Network) -> None:
    with pytest.raises(Reverted, match=r"^\(\)$"):
        network.world.transact(
            SENDER, network.passer, "initiateWithdrawal", TARGET, 0, bytes(32_769)
        )


def test_unknown_functions_take_nothing(network: Network) -> None:
    receipt = network.world.send(SENDER, addresses.MESSAGE_PASSER, b"\xde\xad\xbe\xef", value=1)
    assert not receipt.succeeded


@given(
    st.lists(
        st.tuples(st.integers(0, 10**18), st.integers(0, 2**256 - 1), st.binary(max_size=200)),
        max_size=5,
    )
)
@settings(max_examples=15, deadline=None)
def test_every_withdrawal_is_provable(withdrawals: list[tuple[int, int, bytes]]) -> None:
    network = Network.open()
    for count, (value, gas_limit, data) in enumerate(withdrawals):
        receipt = network.world.transact(
            SENDER, network.passer, "initiateWithdrawal", TARGET, gas_limit, data, value=value
        )
        withdrawal = BridgeWithdrawal(
            nonce=message_nonce(count),
            sender=address_of(SENDER),
            target=TARGET,
            value=value,
            gas_limit=gas_limit,
            data=data,
        )
        check(network, receipt, withdrawal)
