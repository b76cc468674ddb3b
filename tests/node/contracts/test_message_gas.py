"""Gas of messages: a target gets what was promised or is not called, and no gas value loses a message.

Each test walks over every value around a bound; what it may not find is a call with less, or a message that is neither
delivered, nor kept as failed, nor left as it was.
"""

from __future__ import annotations

from typing import Final

import pytest

from node.contracts import messages
from node.contracts.messages import CrossMessage
from node.eth.primitives import Address
from node.rollup.outputs import BridgeWithdrawal, message_nonce
from tests.kit.contract_network import WITHDRAWALS
from tests.kit.contract_world import Contract
from tests.kit.crossing import ACCEPT, BURN, ME, as_l1_messenger, instruct
from tests.kit.execution_chain import SENDER
from tests.kit.two_worlds import (
    BLOCK_SECONDS,
    L1_MESSENGER,
    L2_MESSENGER,
    PORTAL,
    TwoWorlds,
    deploy_l1,
    deploy_l2,
    fields,
    withdrawals_of,
)

WIDTH: Final = 40
"""How far from a bound every single value is tried."""

CALL_SLACK: Final = 64
"""Gas that a puppet uses before it looks."""


def message_for(puppet: Contract, count: int, *, gas_limit: int, data: bytes = b"") -> CrossMessage:
    """A message of L1, without Ether."""
    return CrossMessage(
        nonce=message_nonce(count),
        sender=ME,
        target=puppet.address,
        value=0,
        gas_limit=gas_limit,
        data=data,
    )


class Replays:
    """Failed messages for one target, each tried again once with some gas."""

    def __init__(self, gas_limit: int) -> None:
        self.worlds = TwoWorlds.open()
        self.puppet = deploy_l2(self.worlds.l2, "Puppet")
        self.gas_limit = gas_limit
        self.count = 0

    def attempt(self, gas: int) -> bool | None:
        """Whether the target was called; None if the attempt ran out of gas. Checks what must hold in any case."""
        message = message_for(self.puppet, self.count, gas_limit=self.gas_limit)
        self.count += 1
        # So little gas that the first delivery only notes the failure.
        first = as_l1_messenger(self.worlds, message.relay(), gas=120_000)
        assert messages.outcomes(first.logs, L2_MESSENGER.address) == {message.hash(): False}
        calls = self.worlds.l2.read(self.puppet, "calls")
        assert isinstance(calls, int)

        receipt = self.worlds.l2.send(SENDER, L2_MESSENGER.address, message.relay(), gas=gas)

        called = self.worlds.l2.read(self.puppet, "calls") == calls + 1
        read = self.worlds.l2.read
        assert read(L2_MESSENGER, "failedMessages", message.hash()) is True
        assert read(L2_MESSENGER, "successfulMessages", message.hash()) is called
        if not receipt.succeeded:
            assert not called
            return None
        assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): called}
        if called:
            seen = read(self.puppet, "gas_seen")
            assert isinstance(seen, int)
            assert seen + CALL_SLACK >= self.gas_limit
        return called


@pytest.mark.slow
@pytest.mark.parametrize("gas_limit", [150_000, 1_000_000, 4_000_000])
def test_a_replay_calls_with_what_was_promised_or_not_at_all(gas_limit: int) -> None:
    """Given every gas value around the bound, then below it the message stays failed, from it on it is delivered."""
    replays = Replays(gas_limit)
    low, high = 120_000, 6_500_000
    assert replays.attempt(high) is True
    while high - low > 1:
        middle = (low + high) // 2
        if replays.attempt(middle):
            high = middle
        else:
            low = middle
    for gas in range(high - WIDTH, high + WIDTH):
        assert replays.attempt(gas) is (gas >= high)
    # What the messenger keeps beside the call: the call itself, what follows it, the check, all to be paid by 63/64.
    assert high * 63 >= gas_limit * 64 + 85_000 * 63


@pytest.mark.parametrize("gas_limit", [0, 1, 62, 63, 64, 65, 21_000, 1_000_000, 2_300_000])
def test_a_deposit_of_base_gas_always_calls(gas_limit: int) -> None:
    """Given gas as the sender's messenger reckons it, then the target is called with what was promised, also if it burns it all."""
    worlds = TwoWorlds.open()
    puppet = deploy_l2(worlds.l2, "Puppet")
    quiet = message_for(puppet, 0, gas_limit=gas_limit)
    receipt = as_l1_messenger(worlds, quiet.relay(), gas=messages.base_gas(0, gas_limit))
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) in (
        {quiet.hash(): True},
        {quiet.hash(): False},
    )
    if gas_limit >= 1_000_000:
        seen = worlds.l2.read(puppet, "gas_seen")
        assert isinstance(seen, int)
        assert seen + CALL_SLACK >= gas_limit

    worlds.l2.send(SENDER, puppet.address, instruct(puppet, BURN))
    greedy = message_for(puppet, 1, gas_limit=gas_limit)
    receipt = as_l1_messenger(worlds, greedy.relay(), gas=messages.base_gas(0, gas_limit))
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {greedy.hash(): False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "spare"), [(0, 250_000), (1_000, 250_000), (messages.MAX_MESSAGE_BYTES, 6_000)]
)
def test_the_gas_that_keeps_a_message_is_below_base_gas(length: int, spare: int) -> None:
    """Given less and less gas, then a delivery is noted as failed down to a bound below what any message brings.

    A long message's bound is the floor of its calldata (EIP-7623), which `base_gas` has with every byte as dear as one.
    """
    worlds = TwoWorlds.open()
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, ACCEPT))
    data = b"\xff" * length

    def is_kept(count: int, gas: int) -> bool:
        message = message_for(puppet, count, gas_limit=2**32 - 1, data=data)
        receipt = as_l1_messenger(worlds, message.relay(), gas=gas)
        kept = worlds.l2.read(L2_MESSENGER, "failedMessages", message.hash())
        assert kept is receipt.succeeded
        return receipt.succeeded

    low, high = 21_000, messages.base_gas(length, 0)
    assert is_kept(0, high)
    count = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_kept(count, middle) else (middle, high)
        count += 1
    for gas in range(high - WIDTH, high + WIDTH):
        count += 1
        assert is_kept(count, gas) is (gas >= high)
    assert messages.base_gas(length, 0) - high >= spare


@pytest.mark.slow
@pytest.mark.parametrize("gas_limit", [0, 150_000, 2_000_000])
def test_no_gas_of_a_finalization_loses_a_message(gas_limit: int) -> None:
    """Given every gas value up to the first that settles, then nothing has changed before it, and the target gets its gas."""
    worlds = TwoWorlds.open()
    puppet = deploy_l1(worlds.l1, "Puppet")
    sent = worlds.l2.transact(
        SENDER, L2_MESSENGER, "sendMessage", puppet.address, b"", gas_limit or 90_000
    )
    (message,) = messages.sent_messages(sent.logs, L2_MESSENGER.address)
    (withdrawal,) = withdrawals_of(sent)
    worlds.prove([withdrawal])
    worlds.network.pass_blocks(WITHDRAWALS.proof_maturity_s // BLOCK_SECONDS + 1)
    gas = settling_gas(worlds, withdrawal)
    call = PORTAL.input("finalizeWithdrawalTransaction", fields(withdrawal))
    for short in range(gas - 2 * WIDTH, gas):
        receipt = worlds.l1.send(SENDER, PORTAL.address, call, gas=short)
        assert not receipt.succeeded
        assert worlds.l1.read(puppet, "calls") == 0
        assert worlds.l1.read(L1_MESSENGER, "failedMessages", message.hash()) is False

    receipt = worlds.l1.send(SENDER, PORTAL.address, call, gas=gas)

    assert messages.outcomes(receipt.logs, L1_MESSENGER.address) == {message.hash(): True}
    seen = worlds.l1.read(puppet, "gas_seen")
    assert isinstance(seen, int)
    assert seen + CALL_SLACK >= gas_limit


def settling_gas(worlds: TwoWorlds, withdrawal: BridgeWithdrawal) -> int:
    """The least gas with which finalizing a proven withdrawal does not revert."""
    call = PORTAL.input("finalizeWithdrawalTransaction", fields(withdrawal))
    low, high = 21_000, 16_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if settles(worlds, call, middle):
            high = middle
        else:
            low = middle
    return high


def settles(worlds: TwoWorlds, call: bytes, gas: int) -> bool:
    """Whether a transaction with this gas, in the next block, would not revert; the block is thrown away."""
    nonce = worlds.l1.nonces.get(SENDER.address, 0)
    raw = worlds.l1.signed(SENDER, PORTAL.address, call, gas=gas)
    worlds.l1.nonces[SENDER.address] = nonce
    block = worlds.l1.chain.seal([raw])
    engine = worlds.l1.chain.engine
    return b'"status":"0x1"' in engine.receipts_json(block.block, block.receipts)


def test_gas_that_no_block_has_is_refused_at_the_sender() -> None:
    """Given a promise that no deposit can keep, then the Portal refuses it, and nothing is sent."""
    worlds = TwoWorlds.open()
    call = messages.send_message(Address(b"\x7a" * 20), gas_limit=2**32 - 1, data=b"")
    receipt = worlds.l1.send(SENDER, L1_MESSENGER.address, call)
    assert not receipt.succeeded
    assert worlds.l1.read(L1_MESSENGER, "messageNonce") == message_nonce(0)
