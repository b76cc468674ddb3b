"""Deposits that fail on L2 as a whole, for want of witness: their messages are brought again with more gas, and arrive once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from node.contracts import addresses, messages
from node.contracts.messages import CrossMessage
from node.eth.primitives import Address
from node.rollup.deposits import alias
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.crossing import FRIEND, ME, REFUSE, Pair, instruct, to_l2
from tests.kit.execution_chain import SENDER
from tests.kit.two_worlds import L1_BRIDGE, L1_MESSENGER, L2_MESSENGER, TwoWorlds, deploy_l2

LARGE: Final = Address(b"\xb9" * 20)
"""A receiver whose code is as long as codes get."""

ALIAS: Final = alias(addresses.L1_CROSS_DOMAIN_MESSENGER)
"""L1's messenger on L2: has the Ether of deposits that failed."""


@pytest.fixture
def worlds() -> TwoWorlds:
    """Both chains."""
    code = {"balance": "0x0", "code": "0x" + "00" * 24_576}
    return TwoWorlds.open(l2_accounts={"0x" + LARGE.hex(): code})


def resend(worlds: TwoWorlds, message: CrossMessage, gas: int) -> Receipt:
    """Brings a message again, by anyone; the receipt on L2."""
    sent = worlds.l1.send(FORCER, L1_MESSENGER.address, messages.resend_message(message, gas))
    assert sent.succeeded
    (receipt,) = worlds.deliver()
    return receipt


def is_noted(worlds: TwoWorlds, message: CrossMessage) -> tuple[object, object]:
    """Whether L2's messenger delivered a message, and whether that failed."""
    name = message.hash()
    return (
        worlds.l2.read(L2_MESSENGER, "successfulMessages", name),
        worlds.l2.read(L2_MESSENGER, "failedMessages", name),
    )


def test_a_deposit_that_touches_too_much_is_brought_again(worlds: TwoWorlds) -> None:
    """Given a receiver with more code than the deposit's gas pays witness for, then the message is not lost, and arrives once."""
    message, receipt = to_l2(worlds, LARGE, value=7)
    assert not receipt.succeeded
    assert is_noted(worlds, message) == (False, False)
    assert worlds.l2.balance(ALIAS) == 7

    receipt = resend(worlds, message, 900_000)

    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert (worlds.l2.balance(LARGE), worlds.l2.balance(ALIAS)) == (7, 0)
    assert worlds.locked_wei() == 7
    assert not resend(worlds, message, 900_000).succeeded
    assert (worlds.l2.balance(LARGE), worlds.l2.balance(ALIAS)) == (7, 0)


def test_ether_of_the_bridge_is_brought_again(worlds: TwoWorlds) -> None:
    sent = worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", LARGE, 400_000, b"", value=7)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    (receipt,) = worlds.deliver()
    assert not receipt.succeeded
    assert resend(worlds, message, 1_200_000).succeeded
    assert (worlds.l2.balance(LARGE), worlds.l2.balance(ALIAS)) == (7, 0)


def test_who_asks_for_enough_needs_no_second_deposit(worlds: TwoWorlds) -> None:
    """Given 600,000 gas asked for, then Ether arrives at the longest code at once."""
    worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", LARGE, 600_000, b"", value=7)
    (receipt,) = worlds.deliver()
    assert receipt.succeeded
    assert worlds.l2.balance(LARGE) == 7


def test_tokens_sent_with_too_little_are_brought_again(worlds: TwoWorlds) -> None:
    """Given no gas asked for, then tokens of the bridge that did not arrive are minted by a second deposit, and once."""
    pair = Pair(worlds)
    call = messages.bridge_tokens(pair.l1.address, pair.l2.address, ME, 400, gas_limit=0)
    sent = worlds.l1.send(SENDER, L1_BRIDGE.address, call)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    (receipt,) = worlds.deliver()
    assert not receipt.succeeded
    assert (pair.balances(), pair.held()) == ((600, 400, 0), 400)
    assert resend(worlds, message, 700_000).succeeded
    assert (pair.balances(), pair.held()) == ((600, 400, 400), 400)
    assert not resend(worlds, message, 700_000).succeeded
    assert (pair.balances(), pair.held()) == ((600, 400, 400), 400)


def test_a_transfer_with_the_gas_that_is_asked_for_by_default_needs_no_second_deposit(
    worlds: TwoWorlds,
) -> None:
    pair = Pair(worlds)
    call = messages.bridge_tokens(pair.l1.address, pair.l2.address, ME, 400)
    worlds.l1.send(SENDER, L1_BRIDGE.address, call)
    (receipt,) = worlds.deliver()
    assert receipt.succeeded
    assert pair.balances() == (600, 400, 400)


def test_what_arrived_is_not_brought_again(worlds: TwoWorlds) -> None:
    """Given a message that was delivered, and one that was noted as failed, then a second deposit changes neither."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    lost, _ = to_l2(worlds, LARGE, value=50)
    delivered, _ = to_l2(worlds, puppet.address, value=3)
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    failed, _ = to_l2(worlds, puppet.address, value=4)
    for message, noted in ((delivered, (True, False)), (failed, (False, True))):
        assert not resend(worlds, message, 900_000).succeeded
        assert is_noted(worlds, message) == noted
    # What waits for the lost one was nobody else's to spend.
    assert worlds.l2.balance(ALIAS) == 50
    assert worlds.l2.read(puppet, "paid") == 3
    assert worlds.l2.balance(L2_MESSENGER.address) == 4
    assert resend(worlds, lost, 900_000).succeeded
    assert worlds.l2.balance(LARGE) == 50


def test_two_that_were_lost_are_paid_their_own(worlds: TwoWorlds) -> None:
    small, _ = to_l2(worlds, LARGE, value=1)
    large, _ = to_l2(worlds, LARGE, value=10)
    assert resend(worlds, large, 900_000).succeeded
    assert worlds.l2.balance(ALIAS) == 1
    assert not resend(worlds, large, 900_000).succeeded
    assert resend(worlds, small, 900_000).succeeded
    assert (worlds.l2.balance(LARGE), worlds.l2.balance(ALIAS)) == (11, 0)


def test_a_second_deposit_before_the_first_has_arrived_changes_nothing(worlds: TwoWorlds) -> None:
    """Given both deposits in a row, then the first delivers and the second is refused."""
    sent = worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", FRIEND, b"", 0, value=7)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    worlds.l1.send(FORCER, L1_MESSENGER.address, messages.resend_message(message, 900_000))
    first, second = worlds.deliver()
    assert (first.succeeded, second.succeeded) == (True, False)
    assert (worlds.l2.balance(FRIEND), worlds.l2.balance(ALIAS)) == (7, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 0},
        {"sender": FRIEND},
        {"target": FRIEND},
        {"value": 8},
        {"gas_limit": 1},
        {"data": b"x"},
    ],
)
def test_only_what_was_sent_is_brought_again(worlds: TwoWorlds, change: dict[str, object]) -> None:
    """Given any field of a lost message changed, then L1's messenger does not speak for it."""
    message, _ = to_l2(worlds, LARGE, value=7)
    forged = replace(message, **change)  # type: ignore[arg-type]
    with pytest.raises(Reverted, match="CrossDomainMessenger: message was not sent"):
        worlds.l1.ask(L1_MESSENGER, messages.resend_message(forged, 900_000))
    # What L2 sent is not L1's to bring.
    sent = worlds.l2.transact(SENDER, L2_MESSENGER, "sendMessage", FRIEND, b"", 0)
    (other,) = messages.sent_messages(sent.logs, L2_MESSENGER.address)
    with pytest.raises(Reverted, match="CrossDomainMessenger: message was not sent"):
        worlds.l1.ask(L1_MESSENGER, messages.resend_message(other, 900_000))


def test_a_second_deposit_has_no_less_gas_than_the_first(worlds: TwoWorlds) -> None:
    """Given less gas than at first, then it is refused: with it the message could be noted as failed where it need not be."""
    message, _ = to_l2(worlds, LARGE, value=7)
    least = messages.base_gas(len(message.data), message.gas_limit)
    with pytest.raises(Reverted, match="CrossDomainMessenger: less gas than at first"):
        worlds.l1.ask(L1_MESSENGER, messages.resend_message(message, least - 1))
    assert worlds.l1.ask(L1_MESSENGER, messages.resend_message(message, least)) == b""
