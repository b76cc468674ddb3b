"""Messages and tokens that go over the bridge, for tests: sent, delivered, refused by puppets, tried again.

to_l2, to_l1 -> the message and the receipt of its delivery
"""

from __future__ import annotations

from typing import Final

from node.contracts import addresses, messages
from node.contracts.messages import CrossMessage
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import Deposit, alias, encode_deposit
from tests.kit.contract_world import Contract, Receipt
from tests.kit.execution_chain import SENDER, address_of
from tests.kit.two_worlds import (
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    TwoWorlds,
    create_token,
    deploy_l1,
    withdrawals_of,
)

ME: Final = address_of(SENDER)
"""Who sends."""

FRIEND: Final = Address(b"\x7e" * 20)
"""Somebody else, without a key here."""

GAS: Final = 200_000
"""Least gas of every transfer."""

EXTRA: Final = b"for the books"
"""What transfers say to readers of logs."""

PLAIN, SILENT, REFUSING = range(3)
"""An odd token's manners: answers true, nothing, false."""

ACCEPT, REFUSE, BURN = range(3)
"""A puppet's moods."""

PAYLOAD: Final = b"\x5a" * 40
"""What messages say."""

BOAST: Final = Address(b"\xb0" * 20)
"""Succeeds with 100,000 bytes."""

MOAN: Final = Address(b"\xb1" * 20)
"""Reverts with 100,000 bytes."""

TALKERS: Final[dict[str, object]] = {
    "0x" + BOAST.hex(): {"balance": "0x0", "code": "0x620186a05ff3"},
    "0x" + MOAN.hex(): {"balance": "0x0", "code": "0x620186a05ffd"},
}
"""Their codes."""


def to_l2(
    worlds: TwoWorlds, target: bytes, *, gas: int = 200_000, data: bytes = PAYLOAD, value: int = 0
) -> tuple[CrossMessage, Receipt]:
    """Sends a message to L2; the message and the receipt of its delivery."""
    sent = worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", target, data, gas, value=value)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    (receipt,) = worlds.deliver()
    return message, receipt


def to_l1(
    worlds: TwoWorlds, target: bytes, *, gas: int = 200_000, data: bytes = PAYLOAD, value: int = 0
) -> tuple[CrossMessage, Receipt]:
    """Sends a message to L1 and settles its withdrawal; the message and the receipt of that."""
    sent = worlds.l2.transact(SENDER, L2_MESSENGER, "sendMessage", target, data, gas, value=value)
    (message,) = messages.sent_messages(sent.logs, L2_MESSENGER.address)
    (receipt,) = worlds.settle(*withdrawals_of(sent))
    return message, receipt


def as_l1_messenger(
    worlds: TwoWorlds, data: bytes, *, value: int = 0, gas: int = 900_000
) -> Receipt:
    """A deposit in the name of L1's messenger, which only the rules could make."""
    deposit = Deposit(
        source_hash=Hash32(keccak256(data)),
        sender=alias(addresses.L1_CROSS_DOMAIN_MESSENGER),
        to=addresses.L2_CROSS_DOMAIN_MESSENGER,
        mint=value,
        value=value,
        gas=gas,
        data=data,
    )
    (receipt,) = worlds.l2.mine(deposits=[encode_deposit(deposit)])
    return receipt


def instruct(
    puppet: Contract, mood: int, target: bytes = bytes(20), payload: bytes = b"", value: int = 0
) -> bytes:
    """Tells a puppet what to do."""
    return puppet.input("instruct", mood, target, value, payload)


class Pair:
    """A token of L1 with its counterpart on L2, and a thousand for the sender."""

    def __init__(self, worlds: TwoWorlds) -> None:
        self.worlds = worlds
        self.l1 = deploy_l1(worlds.l1, "OddToken")
        self.l2 = create_token(worlds, self.l1.address)
        worlds.l1.transact(SENDER, self.l1, "issue", ME, 1_000)
        worlds.l1.transact(SENDER, self.l1, "approve", L1_BRIDGE.address, 2**256 - 1)

    def deposit(self, amount: int, *, remote: Contract | None = None) -> Receipt:
        """Sends to oneself on L2; the receipt of the delivery."""
        token = remote or self.l2
        self.worlds.l1.transact(
            SENDER, L1_BRIDGE, "bridgeERC20", self.l1.address, token.address, amount, GAS, EXTRA
        )
        (receipt,) = self.worlds.deliver()
        return receipt

    def withdraw(self, amount: int) -> Receipt:
        """Sends to oneself on L1; the receipt of the finalization."""
        sent = self.worlds.l2.transact(
            SENDER, L2_BRIDGE, "withdraw", self.l2.address, amount, GAS, EXTRA
        )
        (receipt,) = self.worlds.settle(*withdrawals_of(sent))
        return receipt

    def held(self, remote: Contract | None = None) -> object:
        """What the bridge keeps for a pair."""
        token = remote or self.l2
        return self.worlds.l1.read(L1_BRIDGE, "deposits", self.l1.address, token.address)

    def balances(self) -> tuple[object, object, object]:
        """The sender's on L1, the bridge's on L1, the sender's on L2."""
        l1, l2 = self.worlds.l1, self.worlds.l2
        return (
            l1.read(self.l1, "balanceOf", ME),
            l1.read(self.l1, "balanceOf", L1_BRIDGE.address),
            l2.read(self.l2, "balanceOf", ME),
        )
