"""Bindings: each call is the artifact's, each log the contract's own."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given, strategies as st

from node.contracts import addresses, bindings
from node.contracts.bindings import MessagePassed, read_message_passed
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import BridgeWithdrawal, message_nonce, withdrawal_hash
from tests.kit.contract_network import Network
from tests.kit.execution_chain import SENDER, address_of

TO = Address(b"\x7a" * 20)
NETWORK = Network.open()
"""Its contracts' ABIs; the chain is not used."""

INBOX, PORTAL, PASSER = NETWORK.inbox, NETWORK.portal, NETWORK.passer


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            bindings.append(
                b"batch", first_block=7, block_count=3, origin=9, expected=Hash32(b"\xac" * 32)
            ),
            INBOX.input("append", b"batch", 7, 3, 9, b"\xac" * 32),
        ),
        (bindings.force_empty(12), INBOX.input("forceEmpty", 12)),
        (
            bindings.anchor_headers(300, [b"one", b"", bytes(600)]),
            INBOX.input("anchorHeaders", 300, [b"one", b"", bytes(600)]),
        ),
        (
            bindings.deposit_transaction(TO, value=5, gas=21_000),
            PORTAL.input("depositTransaction", TO, 5, 21_000, False, b""),
        ),
        (
            bindings.deposit_transaction(None, value=0, gas=90_000, data=b"\x60"),
            PORTAL.input("depositTransaction", bytes(20), 0, 90_000, True, b"\x60"),
        ),
        (
            bindings.initiate_withdrawal(TO, gas_limit=5, data=b"x"),
            PASSER.input("initiateWithdrawal", TO, 5, b"x"),
        ),
        (bindings.burn(), PASSER.input("burn")),
        (bindings.withdraw_fees(), NETWORK.vault.input("withdraw")),
        (bindings.l1_fee(b"raw"), NETWORK.oracle.input("getL1Fee", b"raw")),
    ],
)
def test_calls_are_those_of_the_artifacts(call: bytes, expected: bytes) -> None:
    assert call == expected


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_an_append_is_encoded_as_the_abi_has_it(batch: bytes, number: int, count: int) -> None:
    expected = Hash32(b"\xab" * 32)
    ours = bindings.append(
        batch, first_block=number, block_count=count, origin=7, expected=expected
    )
    kinds = ("bytes", "uint64", "uint32", "uint64", "bytes32")
    assert ours[4:] == encode(kinds, (batch, number, count, 7, expected))


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=4))
def test_anchoring_is_encoded_as_the_abi_has_it(headers: list[bytes]) -> None:
    assert bindings.anchor_headers(9, headers)[4:] == encode(("uint64", "bytes[]"), (9, headers))


def test_forcing_is_encoded_as_the_abi_has_it() -> None:
    assert bindings.force_empty(5)[4:] == encode(("uint64",), (5,))


def test_a_withdrawal_s_log_is_read_back() -> None:
    network = Network.open()
    receipt = network.world.send(
        SENDER,
        addresses.MESSAGE_PASSER,
        bindings.initiate_withdrawal(TO, gas_limit=5, data=b"xyz"),
        value=9,
    )
    (log,) = receipt.logs
    withdrawal = BridgeWithdrawal(
        nonce=message_nonce(0),
        sender=address_of(SENDER),
        target=TO,
        value=9,
        gas_limit=5,
        data=b"xyz",
    )
    assert read_message_passed(log.topics, log.data) == MessagePassed(
        nonce=withdrawal.nonce,
        sender=withdrawal.sender,
        target=TO,
        value=9,
        gas_limit=5,
        data=b"xyz",
        withdrawal_hash=withdrawal_hash(withdrawal),
    )
    assert read_message_passed(log.topics[:3], log.data) is None
    assert read_message_passed((bytes(32), *log.topics[1:]), log.data) is None
    assert read_message_passed(log.topics, log.data[:-1]) is None
    assert read_message_passed((*log.topics[:3], b"\xff" * 32), log.data) is None
