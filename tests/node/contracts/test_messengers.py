"""Messages between the chains: delivered once, failed ones tried again, and nobody speaks for another."""

from __future__ import annotations

import pytest

from node.contracts import addresses, messages
from node.contracts.messages import CrossMessage
from node.eth.primitives import Address
from node.rollup.deposits import alias
from node.rollup.outputs import message_nonce
from tests.kit.contract_network import FORCER, GUARDIAN
from tests.kit.contract_world import Reverted
from tests.kit.crossing import ACCEPT, ME, PAYLOAD, REFUSE, as_l1_messenger, instruct, to_l1, to_l2
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of
from tests.kit.two_worlds import (
    L1_MESSENGER,
    L2_MESSENGER,
    SYSTEM_CONFIG,
    TwoWorlds,
    deploy_l1,
    deploy_l2,
    withdrawals_of,
)


@pytest.fixture
def worlds() -> TwoWorlds:
    """Both chains."""
    return TwoWorlds.open()


# -- delivery


def test_a_message_of_l1_is_delivered_on_l2(worlds: TwoWorlds) -> None:
    """Given a message with Ether, then its target is called with both, and can ask who sent it."""
    puppet = deploy_l2(worlds.l2, "Puppet")

    message, receipt = to_l2(worlds, puppet.address, value=7)

    read = worlds.l2.read
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert read(puppet, "calls") == 1
    assert read(puppet, "paid") == 7
    assert read(puppet, "heard") == PAYLOAD[:32]
    assert read(puppet, "sender_seen") == "0x" + ME.hex()
    assert read(L2_MESSENGER, "successfulMessages", message.hash()) is True
    assert read(L2_MESSENGER, "failedMessages", message.hash()) is False
    assert worlds.locked_wei() == 7


def test_a_message_of_l2_is_delivered_on_l1(worlds: TwoWorlds) -> None:
    puppet = deploy_l1(worlds.l1, "Puppet")
    worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", ME, b"", 0, value=9)
    worlds.deliver()

    message, receipt = to_l1(worlds, puppet.address, value=7)

    read = worlds.l1.read
    assert messages.outcomes(receipt.logs, L1_MESSENGER.address) == {message.hash(): True}
    assert read(puppet, "calls") == 1
    assert read(puppet, "paid") == 7
    assert read(puppet, "heard") == PAYLOAD[:32]
    assert read(puppet, "sender_seen") == "0x" + ME.hex()
    assert read(L1_MESSENGER, "successfulMessages", message.hash()) is True
    assert worlds.locked_wei() == 2


def test_both_logs_of_a_message_follow_the_portal_s(worlds: TwoWorlds) -> None:
    receipt = worlds.l1.transact(
        SENDER, L1_MESSENGER, "sendMessage", b"\x7a" * 20, PAYLOAD, 5, value=3
    )
    assert L1_MESSENGER.events(receipt, "SentMessage") == [
        {
            "target": "0x" + "7a" * 20,
            "sender": "0x" + ME.hex(),
            "message": PAYLOAD,
            "messageNonce": message_nonce(0),
            "gasLimit": 5,
        }
    ]
    assert L1_MESSENGER.events(receipt, "SentMessageExtension1") == [
        {"sender": "0x" + ME.hex(), "value": 3}
    ]
    places = [log.address for log in receipt.logs]
    assert places == [addresses.PORTAL, *[L1_MESSENGER.address] * 2]


def test_nonces_count_what_was_sent(worlds: TwoWorlds) -> None:
    for count in range(3):
        assert worlds.l1.read(L1_MESSENGER, "messageNonce") == message_nonce(count)
        assert worlds.l2.read(L2_MESSENGER, "messageNonce") == message_nonce(count)
        worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", ME, b"", 0)
        worlds.l2.transact(SENDER, L2_MESSENGER, "sendMessage", ME, b"", 0)
    assert len(worlds.deliver()) == 3


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, messages.MAX_MESSAGE_BYTES])
def test_messages_of_every_length_arrive(worlds: TwoWorlds, length: int) -> None:
    puppet = deploy_l2(worlds.l2, "Puppet")
    data = bytes(index % 255 + 1 for index in range(length))
    message, receipt = to_l2(worlds, puppet.address, data=data)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert worlds.l2.read(puppet, "calls") == 1


def test_a_message_longer_than_any_deposit_is_refused(worlds: TwoWorlds) -> None:
    data = bytes(messages.MAX_MESSAGE_BYTES + 1)
    with pytest.raises(Reverted, match=r"^\(\)$"):
        worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", ME, data, 0)
    with pytest.raises(Reverted, match=r"^\(\)$"):
        worlds.l2.read(L2_MESSENGER, "sendMessage", ME, data, 0)


def test_an_account_without_code_gets_its_ether(worlds: TwoWorlds) -> None:
    message, receipt = to_l2(worlds, b"\x7e" * 20, value=11)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert worlds.l2.balance(b"\x7e" * 20) == 11


# -- who may speak


def test_nobody_but_the_other_messenger_brings_a_message(worlds: TwoWorlds) -> None:
    """Given a message that was never sent, then anyone, L1's messenger's own address and the portal included, is refused."""
    message = CrossMessage(
        nonce=message_nonce(0), sender=ME, target=ME, value=0, gas_limit=0, data=b""
    )
    l2_senders = [ME, L1_MESSENGER.address, addresses.PORTAL, alias(addresses.PORTAL)]
    for sender in l2_senders:
        with pytest.raises(Reverted, match="message cannot be replayed"):
            worlds.l2.ask(L2_MESSENGER, message.relay(), sender=sender)
    for sender in (ME, addresses.PORTAL, L2_MESSENGER.address):
        with pytest.raises(Reverted, match="message cannot be replayed"):
            worlds.l1.ask(L1_MESSENGER, message.relay(), sender=sender)


def test_a_withdrawal_of_another_is_no_message(worlds: TwoWorlds) -> None:
    """Given a withdrawal by anyone that calls L1's messenger with a message, then the Portal brings it and it is refused."""
    message = CrossMessage(
        nonce=message_nonce(0),
        sender=address_of(DEPOSITOR),
        target=ME,
        value=0,
        gas_limit=0,
        data=b"",
    )
    passer = worlds.network.passer
    sent = worlds.l2.transact(
        SENDER, passer, "initiateWithdrawal", L1_MESSENGER.address, 500_000, message.relay()
    )
    (receipt,) = worlds.settle(*withdrawals_of(sent))
    (settled,) = worlds.network.portal.events(receipt, "WithdrawalFinalized")
    assert settled["success"] is False
    assert worlds.l1.read(L1_MESSENGER, "failedMessages", message.hash()) is False


def test_a_deposit_of_another_is_no_message(worlds: TwoWorlds) -> None:
    message = CrossMessage(
        nonce=message_nonce(0), sender=ME, target=ME, value=0, gas_limit=0, data=b""
    )
    worlds.l1.transact(
        SENDER,
        worlds.network.portal,
        "depositTransaction",
        L2_MESSENGER.address,
        0,
        500_000,
        False,
        message.relay(),
    )
    (receipt,) = worlds.deliver()
    assert not receipt.succeeded
    assert worlds.l2.read(L2_MESSENGER, "failedMessages", message.hash()) is False


@pytest.mark.parametrize(
    "target",
    [addresses.L2_CROSS_DOMAIN_MESSENGER, addresses.MESSAGE_PASSER],
    ids=["self", "passer"],
)
def test_messages_to_system_contracts_of_l2_are_refused(worlds: TwoWorlds, target: Address) -> None:
    """Given a message in whose name the messenger would act on itself or on the passer, then its deposit fails."""
    message, receipt = to_l2(worlds, target, value=5)
    assert not receipt.succeeded
    assert worlds.l2.read(L2_MESSENGER, "failedMessages", message.hash()) is False
    # The mint stays with the alias, as any failed deposit's does.
    assert worlds.l2.balance(alias(addresses.L1_CROSS_DOMAIN_MESSENGER)) == 5


@pytest.mark.parametrize(
    "target", [addresses.L1_CROSS_DOMAIN_MESSENGER, addresses.PORTAL], ids=["self", "portal"]
)
def test_messages_to_system_contracts_of_l1_are_refused(worlds: TwoWorlds, target: Address) -> None:
    message, receipt = to_l1(worlds, target)
    (settled,) = worlds.network.portal.events(receipt, "WithdrawalFinalized")
    assert settled["success"] is False
    assert worlds.l1.read(L1_MESSENGER, "failedMessages", message.hash()) is False


def test_nobody_is_the_sender_while_no_message_is_delivered(worlds: TwoWorlds) -> None:
    for world, messenger in ((worlds.l1, L1_MESSENGER), (worlds.l2, L2_MESSENGER)):
        with pytest.raises(Reverted, match="CrossDomainMessenger: xDomainMessageSender is not set"):
            world.read(messenger, "xDomainMessageSender")


@pytest.mark.parametrize("version", [2, 3, 0xFFFF])
def test_unknown_versions_are_refused(worlds: TwoWorlds, version: int) -> None:
    message = CrossMessage(
        nonce=version << 240, sender=ME, target=ME, value=0, gas_limit=0, data=b""
    )
    for world, messenger in ((worlds.l1, L1_MESSENGER), (worlds.l2, L2_MESSENGER)):
        with pytest.raises(Reverted, match="only version 0 or 1 messages are supported"):
            world.ask(messenger, message.relay())


@pytest.mark.parametrize("version", [0, 1])
def test_known_versions_have_one_name(worlds: TwoWorlds, version: int) -> None:
    """Given a message of either version from L1's messenger, then it is delivered under the hash of version 1, and once."""
    message = CrossMessage(
        nonce=version << 240 | 5,
        sender=ME,
        target=Address(b"\x7e" * 20),
        value=3,
        gas_limit=0,
        data=b"",
    )
    receipt = as_l1_messenger(worlds, message.relay(), value=3)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert not as_l1_messenger(worlds, message.relay(), value=3).succeeded
    assert worlds.l2.balance(b"\x7e" * 20) == 3


@pytest.mark.parametrize("value", [0, 2, 4])
def test_a_first_delivery_brings_its_own_ether(worlds: TwoWorlds, value: int) -> None:
    """Given the other messenger's word with other Ether than the message's, then it is refused: others' would be paid out."""
    message = CrossMessage(
        nonce=message_nonce(5),
        sender=ME,
        target=Address(b"\x7e" * 20),
        value=3,
        gas_limit=0,
        data=b"",
    )
    assert not as_l1_messenger(worlds, message.relay(), value=value).succeeded


def test_a_failed_message_is_not_brought_twice(worlds: TwoWorlds) -> None:
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message = CrossMessage(
        nonce=message_nonce(5), sender=ME, target=puppet.address, value=3, gas_limit=0, data=b""
    )
    receipt = as_l1_messenger(worlds, message.relay(), value=3)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): False}
    assert not as_l1_messenger(worlds, message.relay(), value=3).succeeded


# -- pause


def test_a_pause_holds_back_what_comes_from_l2(worlds: TwoWorlds) -> None:
    """Given a pause, then a failed message of L2 waits too; what goes to L2 goes on; after the pause it is delivered."""
    puppet = deploy_l1(worlds.l1, "Puppet")
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message, _ = to_l1(worlds, puppet.address)
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, ACCEPT))

    worlds.l1.transact(GUARDIAN, SYSTEM_CONFIG, "pause", bytes(20))

    assert worlds.l1.read(L1_MESSENGER, "paused") is True
    assert worlds.l2.read(L2_MESSENGER, "paused") is False
    with pytest.raises(Reverted, match="CrossDomainMessenger: paused"):
        worlds.l1.ask(L1_MESSENGER, message.relay())
    _, receipt = to_l2(worlds, b"\x7e" * 20, value=1)
    assert receipt.succeeded
    worlds.l1.transact(GUARDIAN, SYSTEM_CONFIG, "unpause", bytes(20))
    again = worlds.l1.send(FORCER, L1_MESSENGER.address, message.relay())
    assert messages.outcomes(again.logs, L1_MESSENGER.address) == {message.hash(): True}


# -- names


def test_counterparts_are_named_by_old_and_new_names(worlds: TwoWorlds) -> None:
    l1, l2 = worlds.l1.read, worlds.l2.read
    for name in ("otherMessenger", "OTHER_MESSENGER"):
        assert l1(L1_MESSENGER, name) == "0x" + L2_MESSENGER.address.hex()
        assert l2(L2_MESSENGER, name) == "0x" + L1_MESSENGER.address.hex()
    assert l2(L2_MESSENGER, "l1CrossDomainMessenger") == "0x" + L1_MESSENGER.address.hex()
    for name in ("portal", "PORTAL"):
        assert l1(L1_MESSENGER, name) == "0x" + addresses.PORTAL.hex()
    for name in ("systemConfig", "superchainConfig"):
        assert l1(L1_MESSENGER, name) == "0x" + addresses.SYSTEM_CONFIG.hex()


def test_unknown_functions_take_nothing(worlds: TwoWorlds) -> None:
    for data in (b"", b"\xde\xad\xbe\xef"):
        assert not worlds.l1.send(SENDER, L1_MESSENGER.address, data, value=1).succeeded
        assert not worlds.l2.send(SENDER, L2_MESSENGER.address, data, value=1).succeeded
