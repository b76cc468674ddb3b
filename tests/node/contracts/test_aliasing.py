"""Who a deposit comes from on L2, by what its L1 caller is."""

from __future__ import annotations

from typing import cast

import pytest
from eth_account.datastructures import SignedSetCodeAuthorization

from node.contracts import addresses
from node.eth.primitives import Address
from node.rollup.deposits import alias
from tests.kit.contract_network import Network, forwarder
from tests.kit.contract_world import Receipt
from tests.kit.execution_chain import CHAIN_ID, DEPOSITOR, PAUPER, SPONSOR, address_of, sign

CONTRACT = Address(b"\x0c" * 20)
"""Passes deposits on."""

HIGHEST = Address(b"\xff" * 20)
"""The same; its alias wraps around."""

WRAPPING = Address((2**160 - 0x1111000000000000000000000000000000001111).to_bytes(20))
"""The same; the lowest address whose alias wraps around, to zero."""

SHORT = Address(b"\x17" * 20)
"""23 bytes of code that are no delegation, and pay what they are paid to the address in their input."""

SHORT_CODE = bytes.fromhex("5f5f5f5f345f355af1").ljust(23, b"\0")
"""call(gas, input[:32], callvalue, 0, 0, 0, 0)"""

GAS = 60_000
"""Of the deposits."""


@pytest.fixture
def network() -> Network:
    """Contracts that call the portal."""
    forwarding = "0x" + forwarder(addresses.PORTAL).hex()
    accounts: dict[str, object] = {
        "0x" + address.hex(): {"balance": "0x0", "code": forwarding}
        for address in (CONTRACT, HIGHEST, WRAPPING)
    }
    accounts["0x" + SHORT.hex()] = {"balance": "0x0", "code": "0x" + SHORT_CODE.hex()}
    return Network.open(extra_accounts=accounts)


def deposit(network: Network) -> bytes:
    """Input of a deposit."""
    return network.portal.input("depositTransaction", bytes(20), 0, GAS, False, b"")


def depositor(network: Network, receipt: Receipt) -> str:
    """The one deposit's `from`."""
    assert receipt.succeeded
    (event,) = network.portal.events(receipt, "TransactionDeposited")
    return str(event["sender"])


def text(address: bytes) -> str:
    """As decoded logs have it."""
    return "0x" + address.hex()


def delegation(nonce: int, delegate: Address) -> SignedSetCodeAuthorization:
    """The pauper's consent to run a contract's code."""
    terms = {"chainId": CHAIN_ID, "address": delegate, "nonce": nonce}
    return cast(SignedSetCodeAuthorization, PAUPER.sign_authorization(terms))


def test_an_account_keeps_its_address(network: Network) -> None:
    receipt = network.world.send(DEPOSITOR, addresses.PORTAL, deposit(network))
    assert depositor(network, receipt) == text(address_of(DEPOSITOR))


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (CONTRACT, "0x1d1d0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c1d1d"),
        (HIGHEST, "0x1111000000000000000000000000000000001110"),
        (WRAPPING, "0x" + "00" * 20),
    ],
)
def test_a_contract_is_aliased(network: Network, contract: Address, expected: str) -> None:
    receipt = network.world.send(DEPOSITOR, contract, deposit(network))
    assert depositor(network, receipt) == expected == text(alias(contract))


def test_a_plain_payment_of_a_contract_is_aliased_but_credits_its_own_address(
    network: Network,
) -> None:
    """As the OP Stack does it: the target is the caller itself, and it is a call from the alias."""
    receipt = network.world.send(DEPOSITOR, CONTRACT, value=5)
    (event,) = network.portal.events(receipt, "TransactionDeposited")
    assert (event["sender"], event["to"]) == (text(alias(CONTRACT)), text(CONTRACT))


def test_a_constructor_is_aliased(network: Network) -> None:
    """Given a contract without code yet, which deposits while it is made, then it is a contract all the same."""
    data = deposit(network)
    # Copies what follows its code, calls the portal with it, and stops.
    copy = bytes([0x61, *len(data).to_bytes(2), 0x60, 0, 0x5F, 0x39])
    call = bytes([0x5F, 0x5F, 0x61, *len(data).to_bytes(2), 0x5F, 0x5F, 0x73]) + addresses.PORTAL
    head = bytearray(copy + call + bytes.fromhex("5af100"))
    head[4] = len(head)

    receipt = network.world.send(DEPOSITOR, None, bytes(head) + data)

    assert receipt.contract is not None
    assert depositor(network, receipt) == text(alias(Address(receipt.contract)))


def test_a_delegated_account_keeps_its_address(network: Network) -> None:
    """Given an account that delegates to code (EIP-7702), then it deposits as itself when others call it, too."""
    raw = sign(
        SPONSOR,
        nonce=0,
        to=address_of(PAUPER),
        data=deposit(network),
        gas=1_000_000,
        authorizationList=[delegation(0, CONTRACT)],
    )
    (receipt,) = network.world.mine([raw])

    assert network.world.code(address_of(PAUPER)) == bytes.fromhex("ef0100") + CONTRACT
    assert depositor(network, receipt) == text(address_of(PAUPER))


def test_an_account_whose_delegation_was_taken_back_keeps_its_address(network: Network) -> None:
    fields = {"to": address_of(DEPOSITOR), "gas": 1_000_000}
    network.world.mine(
        [
            sign(SPONSOR, nonce=0, authorizationList=[delegation(0, CONTRACT)], **fields),
            sign(SPONSOR, nonce=1, authorizationList=[delegation(1, Address(bytes(20)))], **fields),
        ]
    )
    assert network.world.code(address_of(PAUPER)) == b""
    network.world.mine([sign(SPONSOR, nonce=2, to=address_of(PAUPER), value=10**18)])

    network.world.nonces[PAUPER.address] = 2
    receipt = network.world.send(PAUPER, addresses.PORTAL, value=1, gas=500_000)
    assert depositor(network, receipt) == text(address_of(PAUPER))


def test_code_as_long_as_a_delegation_is_no_delegation(network: Network) -> None:
    receipt = network.world.send(
        DEPOSITOR, SHORT, bytes(12) + addresses.PORTAL, value=7, gas=500_000
    )
    assert len(network.world.code(SHORT)) == 23
    assert depositor(network, receipt) == text(alias(SHORT))
