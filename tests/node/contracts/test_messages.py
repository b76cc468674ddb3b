"""Bindings of the bridge: each call is the artifact's, each log the contract's own, each name and gas what the messengers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings, strategies as st

from node.contracts import addresses, messages
from node.contracts.artifacts import load
from node.contracts.messages import CreatedToken, CrossMessage
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import message_nonce
from tests.kit.contract_world import Contract, Log
from tests.kit.execution_chain import SENDER, address_of
from tests.kit.two_worlds import (
    FACTORY,
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    TwoWorlds,
    withdrawals_of,
)

TO = Address(b"\x7a" * 20)
LOCAL = Address(b"\x10" * 20)
REMOTE = Address(b"\x20" * 20)
TOKEN = Contract(load("OptimismMintableERC20"), LOCAL)

MESSAGE = CrossMessage(
    nonce=message_nonce(7),
    sender=LOCAL,
    target=TO,
    value=5,
    gas_limit=21_000,
    data=b"hello",
)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            messages.send_message(TO, gas_limit=9, data=b"x"),
            L1_MESSENGER.input("sendMessage", TO, b"x", 9),
        ),
        (
            MESSAGE.relay(),
            L2_MESSENGER.input("relayMessage", message_nonce(7), LOCAL, TO, 5, 21_000, b"hello"),
        ),
        (
            messages.resend_message(MESSAGE, 700_000),
            L1_MESSENGER.input(
                "resendMessage", message_nonce(7), LOCAL, TO, 5, 21_000, b"hello", 700_000
            ),
        ),
        (
            messages.is_delivered(Hash32(b"\x01" * 32)),
            L1_MESSENGER.input("successfulMessages", b"\x01" * 32),
        ),
        (
            messages.has_failed(Hash32(b"\x01" * 32)),
            L1_MESSENGER.input("failedMessages", b"\x01" * 32),
        ),
        (
            messages.bridge_ether(TO, extra=b"e"),
            L1_BRIDGE.input("bridgeETHTo", TO, messages.TRANSFER_GAS, b"e"),
        ),
        (
            messages.bridge_tokens(LOCAL, REMOTE, TO, 8, gas_limit=3),
            L2_BRIDGE.input("bridgeERC20To", LOCAL, REMOTE, TO, 8, 3, b""),
        ),
        (
            messages.withdraw_to(LOCAL, TO, 8, gas_limit=3, extra=b"e"),
            L2_BRIDGE.input("withdrawTo", LOCAL, TO, 8, 3, b"e"),
        ),
        (messages.held_for(LOCAL, REMOTE), L1_BRIDGE.input("deposits", LOCAL, REMOTE)),
        (
            messages.create_token(REMOTE, name="Näme", symbol="SYM", decimals=6),
            FACTORY.input("createOptimismMintableERC20WithDecimals", REMOTE, "Näme", "SYM", 6),
        ),
        (messages.approve(TO, 5), TOKEN.input("approve", TO, 5)),
        (messages.allowance(TO, LOCAL), TOKEN.input("allowance", TO, LOCAL)),
        (messages.balance_of(TO), TOKEN.input("balanceOf", TO)),
        (messages.decimals_of(), TOKEN.input("decimals")),
        (messages.remote_token(), TOKEN.input("remoteToken")),
    ],
)
def test_calls_are_those_of_the_artifacts(call: bytes, expected: bytes) -> None:
    assert call == expected


def test_a_message_is_named_by_its_call() -> None:
    """Given a message, then its name is keccak of `relayMessage` as another encoder writes it."""
    kinds = ["uint256", "address", "address", "uint256", "uint256", "bytes"]
    values = [message_nonce(7), LOCAL, TO, 5, 21_000, b"hello"]
    assert MESSAGE.hash() == keccak256(bytes.fromhex("d764ad0b") + encode(kinds, values))


@given(st.integers(0, messages.MAX_MESSAGE_BYTES), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_base_gas_is_what_the_messengers_say(length: int, gas_limit: int) -> None:
    asked = WORLDS.l2.read(L2_MESSENGER, "baseGas", bytes(length), gas_limit)
    assert messages.base_gas(length, gas_limit) == asked
    assert WORLDS.l1.read(L1_MESSENGER, "baseGas", bytes(length), gas_limit) == asked


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 32_511, messages.MAX_MESSAGE_BYTES])
def test_base_gas_covers_the_floor_of_any_message(length: int) -> None:
    """Given no gas asked for and bytes without a zero, then EIP-7623's floor is still covered, and so is the Portal's minimum."""
    call = replace(MESSAGE, data=b"\xff" * length).relay()
    assert len(call) - length <= 260
    assert messages.base_gas(length, 0) >= 21_000 + 40 * len(call)


WORLDS = TwoWorlds.open()
"""For views."""


def test_logs_of_both_messengers_give_the_message_back() -> None:
    worlds = TwoWorlds.open()
    me = address_of(SENDER)
    call = messages.send_message(TO, gas_limit=50_000, data=b"hello")

    on_l1 = worlds.l1.send(SENDER, addresses.L1_CROSS_DOMAIN_MESSENGER, call, value=3)
    on_l2 = worlds.l2.send(SENDER, addresses.L2_CROSS_DOMAIN_MESSENGER, call, value=3)

    message = replace(MESSAGE, nonce=message_nonce(0), sender=me, value=3, gas_limit=50_000)
    assert messages.sent_messages(on_l1.logs, addresses.L1_CROSS_DOMAIN_MESSENGER) == (message,)
    assert messages.sent_messages(on_l2.logs, addresses.L2_CROSS_DOMAIN_MESSENGER) == (message,)
    (withdrawal,) = withdrawals_of(on_l2)
    assert withdrawal.data == message.relay()
    assert withdrawal.gas_limit == messages.base_gas(5, 50_000)
    (delivered,) = worlds.deliver()
    name = message.hash()
    assert messages.outcomes(delivered.logs, addresses.L2_CROSS_DOMAIN_MESSENGER) == {name: True}
    assert messages.outcomes(delivered.logs, addresses.L1_CROSS_DOMAIN_MESSENGER) == {}


def test_logs_that_are_none_of_a_message_are_passed_over() -> None:
    """Given logs of others, cut ones and one without its second half, then no message is read."""
    worlds = TwoWorlds.open()
    call = messages.send_message(TO, gas_limit=50_000, data=b"hello")
    receipt = worlds.l1.send(SENDER, addresses.L1_CROSS_DOMAIN_MESSENGER, call, value=3)
    messenger = addresses.L1_CROSS_DOMAIN_MESSENGER
    _, sent, extension = receipt.logs
    cut = Log(address=sent.address, topics=sent.topics, data=sent.data[:-1])
    short = Log(address=extension.address, topics=extension.topics, data=b"")
    assert messages.sent_messages(receipt.logs, TO) == ()
    assert messages.sent_messages([sent], messenger) == ()
    assert messages.sent_messages([extension], messenger) == ()
    assert messages.sent_messages([cut, extension], messenger) == ()
    assert messages.sent_messages([sent, short], messenger) == ()
    assert len(messages.sent_messages([sent, extension] * 2, messenger)) == 2


def test_a_new_token_is_read_from_the_factory_s_log() -> None:
    worlds = TwoWorlds.open()
    call = messages.create_token(REMOTE, name="Stand-in", symbol="STI", decimals=6)
    receipt = worlds.l2.send(SENDER, addresses.MINTABLE_ERC20_FACTORY, call)
    older, log = receipt.logs
    created = messages.read_created_token(log.topics, log.data)
    assert created is not None
    assert created == CreatedToken(local=created.local, remote=REMOTE, deployer=address_of(SENDER))
    token = Contract(load("OptimismMintableERC20"), created.local)
    assert worlds.l2.read(token, "decimals") == 6
    assert messages.read_created_token(older.topics, older.data) is None
    assert messages.read_created_token(log.topics, log.data[:-1]) is None


@pytest.mark.parametrize(
    ("name", "symbol", "said"), [("n" * 65, "S", "65 bytes, at most 64"), ("n", "ä" * 17, "34")]
)
def test_names_that_the_factory_cannot_hold_are_refused(name: str, symbol: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        messages.create_token(REMOTE, name=name, symbol=symbol)
