"""Messages that fail: kept with their Ether, tried again by anyone as they were, delivered once."""

from __future__ import annotations

from typing import Final

import pytest

from node.contracts import messages
from node.contracts.messages import CrossMessage
from node.eth.primitives import Address
from node.rollup.outputs import message_nonce
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Reverted
from tests.kit.crossing import (
    ACCEPT,
    BOAST,
    BURN,
    ME,
    MOAN,
    PAYLOAD,
    REFUSE,
    TALKERS,
    instruct,
    to_l1,
    to_l2,
)
from tests.kit.execution_chain import DEPOSITOR, SENDER
from tests.kit.two_worlds import (
    L1_MESSENGER,
    L2_MESSENGER,
    TwoWorlds,
    deploy_l1,
    deploy_l2,
    withdrawals_of,
)

FORCER_L2: Final = DEPOSITOR
"""Anyone on L2."""


@pytest.fixture
def worlds() -> TwoWorlds:
    """Both chains."""
    return TwoWorlds.open(l1_accounts=TALKERS, l2_accounts=TALKERS)


# -- failure and replay


@pytest.mark.parametrize("mood", [REFUSE, BURN])
def test_what_failed_on_l2_is_tried_again_by_anyone(worlds: TwoWorlds, mood: int) -> None:
    """Given a target that refuses, then its message and Ether wait in the messenger until it accepts, and go over once."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, mood))

    message, receipt = to_l2(worlds, puppet.address, value=7)

    assert receipt.succeeded
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): False}
    assert worlds.l2.balance(L2_MESSENGER.address) == 7
    again = worlds.l2.send(FORCER_L2, L2_MESSENGER.address, message.relay())
    assert messages.outcomes(again.logs, L2_MESSENGER.address) == {message.hash(): False}

    worlds.l2.send(SENDER, puppet.address, instruct(puppet, ACCEPT))
    again = worlds.l2.send(FORCER_L2, L2_MESSENGER.address, message.relay())
    assert messages.outcomes(again.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert worlds.l2.read(puppet, "sender_seen") == "0x" + ME.hex()
    assert worlds.l2.read(puppet, "paid") == 7
    assert worlds.l2.balance(L2_MESSENGER.address) == 0
    with pytest.raises(Reverted, match="message has already been relayed"):
        worlds.l2.ask(L2_MESSENGER, message.relay())


@pytest.mark.parametrize("mood", [REFUSE, BURN])
def test_what_failed_on_l1_is_tried_again_by_anyone(worlds: TwoWorlds, mood: int) -> None:
    puppet = deploy_l1(worlds.l1, "Puppet")
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, mood))
    worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", ME, b"", 0, value=9)
    worlds.deliver()

    message, receipt = to_l1(worlds, puppet.address, value=7)

    assert messages.outcomes(receipt.logs, L1_MESSENGER.address) == {message.hash(): False}
    assert worlds.l1.balance(L1_MESSENGER.address) == 7
    again = worlds.l1.send(FORCER, L1_MESSENGER.address, message.relay(), gas=5_000_000)
    assert messages.outcomes(again.logs, L1_MESSENGER.address) == {message.hash(): False}

    worlds.l1.send(SENDER, puppet.address, instruct(puppet, ACCEPT))
    again = worlds.l1.send(FORCER, L1_MESSENGER.address, message.relay())
    assert messages.outcomes(again.logs, L1_MESSENGER.address) == {message.hash(): True}
    assert worlds.l1.read(puppet, "paid") == 7
    assert worlds.l1.balance(L1_MESSENGER.address) == 0
    with pytest.raises(Reverted, match="message has already been relayed"):
        worlds.l1.ask(L1_MESSENGER, message.relay())


@pytest.mark.parametrize(("target", "delivered"), [(BOAST, True), (MOAN, False)])
def test_long_answers_cost_the_messenger_nothing(
    worlds: TwoWorlds, target: Address, delivered: bool
) -> None:
    """Given a target that answers with 100,000 bytes, then it pays for them from its own gas, and the outcome is kept."""
    message, receipt = to_l2(worlds, target)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): delivered}
    message, receipt = to_l1(worlds, target)
    assert messages.outcomes(receipt.logs, L1_MESSENGER.address) == {message.hash(): delivered}


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": message_nonce(1)},
        {"sender": Address(b"\x01" * 20)},
        {"target": Address(b"\x01" * 20)},
        {"value": 8},
        {"gas_limit": 0},
        {"data": PAYLOAD + b"\0"},
    ],
)
def test_a_failed_message_is_tried_again_as_it_was(
    worlds: TwoWorlds, change: dict[str, object]
) -> None:
    """Given any one field of a failed message changed, then it is another message, which nobody sent."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message, _ = to_l2(worlds, puppet.address, value=7)
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, ACCEPT))
    values = {name: getattr(message, name) for name in CrossMessage.__slots__} | change
    forged = CrossMessage(**values)
    with pytest.raises(Reverted, match="message cannot be replayed"):
        worlds.l2.ask(L2_MESSENGER, forged.relay())


def test_ether_is_not_sent_along_with_a_replay(worlds: TwoWorlds) -> None:
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message, _ = to_l2(worlds, puppet.address, value=7)
    with pytest.raises(
        Reverted, match="value must be zero unless message is from a system address"
    ):
        worlds.l2.ask(L2_MESSENGER, message.relay(), sender=ME, value=7)


def test_estimates_fail_where_messages_would(worlds: TwoWorlds) -> None:
    """Given address one as origin, then a failing replay reverts, so that an estimate is enough for the message."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message, _ = to_l2(worlds, puppet.address)
    estimator = bytes(19) + b"\x01"
    with pytest.raises(Reverted, match="CrossDomainMessenger: failed to relay message"):
        worlds.l2.ask(L2_MESSENGER, message.relay(), sender=estimator)
    assert worlds.l2.ask(L2_MESSENGER, message.relay(), sender=ME) == b""


# -- reentrancy


def test_a_message_within_a_message_fails_and_waits(worlds: TwoWorlds) -> None:
    """Given a target that tries another failed message again, then that one stays failed, and can be delivered later."""
    refuser = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, refuser.address, instruct(refuser, REFUSE))
    inner, _ = to_l2(worlds, refuser.address, value=4)
    worlds.l2.send(SENDER, refuser.address, instruct(refuser, ACCEPT))
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(
        SENDER, puppet.address, instruct(puppet, ACCEPT, L2_MESSENGER.address, inner.relay())
    )

    outer, receipt = to_l2(worlds, puppet.address, gas=1_000_000)

    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {
        inner.hash(): False,
        outer.hash(): True,
    }
    assert worlds.l2.read(puppet, "succeeded") is True
    assert worlds.l2.read(refuser, "calls") == 0
    again = worlds.l2.send(FORCER_L2, L2_MESSENGER.address, inner.relay())
    assert messages.outcomes(again.logs, L2_MESSENGER.address) == {inner.hash(): True}
    assert worlds.l2.read(refuser, "paid") == 4


def test_a_message_cannot_deliver_itself_twice(worlds: TwoWorlds) -> None:
    """Given a target that tries the very message again that is calling it, then it is called once and paid once."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    message, _ = to_l2(worlds, puppet.address, value=4, gas=1_000_000)
    worlds.l2.send(
        SENDER, puppet.address, instruct(puppet, ACCEPT, L2_MESSENGER.address, message.relay())
    )
    receipt = worlds.l2.send(FORCER_L2, L2_MESSENGER.address, message.relay())
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): True}
    assert len(L2_MESSENGER.events(receipt, "FailedRelayedMessage")) == 1
    assert worlds.l2.read(puppet, "calls") == 1
    assert worlds.l2.read(puppet, "paid") == 4
    with pytest.raises(Reverted, match="message has already been relayed"):
        worlds.l2.ask(L2_MESSENGER, message.relay())


def test_a_message_can_send_another(worlds: TwoWorlds) -> None:
    """Given a target that answers by a message of its own, then the answer goes out in its own name."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    reply = messages.send_message(Address(b"\x7e" * 20), gas_limit=0, data=b"reply")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, ACCEPT, L2_MESSENGER.address, reply, 4))
    outer, receipt = to_l2(worlds, puppet.address, value=4, gas=1_000_000)
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {outer.hash(): True}
    (answer,) = messages.sent_messages(receipt.logs, L2_MESSENGER.address)
    assert (answer.sender, answer.value, answer.data) == (puppet.address, 4, b"reply")
    (settled,) = worlds.settle(*withdrawals_of(receipt))
    assert messages.outcomes(settled.logs, L1_MESSENGER.address) == {answer.hash(): True}
    assert worlds.l1.balance(b"\x7e" * 20) == 4
