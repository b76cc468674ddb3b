"""Everything that can go over the bridge, in any order: nothing arrives twice, nothing is lost, nothing is paid out of another's.

A state machine sends Ether and tokens both ways, through bridges, messengers and the plain ways below them, to receivers
that refuse now and then; it delivers, settles, tries and brings again in any order, forges what it can, and after each step compares
what both chains hold with what is under way.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.contracts import addresses, messages
from node.contracts.messages import CrossMessage
from node.eth.primitives import Address
from node.rollup.deposits import alias
from node.rollup.outputs import BridgeWithdrawal
from tests.kit.contract_world import Contract, Receipt, Reverted, World
from tests.kit.crossing import ACCEPT, GAS, ME, PLAIN, REFUSE, REFUSING, Pair, instruct
from tests.kit.execution_chain import DEPOSITOR, SENDER
from tests.kit.two_worlds import (
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    PORTAL,
    L2World,
    TwoWorlds,
    deploy_l1,
    deploy_l2,
    withdrawals_of,
)

AMOUNTS = st.integers(0, 60)
"""Wei or tokens."""

WAYS = st.sampled_from(["bridge", "messenger", "plain"])
"""Who takes Ether over."""

LARGE = Address(b"\xb9" * 20)
"""A receiver on L2 whose code is more than a deposit's gas pays witness for: it fails as a whole."""

ALIAS = alias(addresses.L1_CROSS_DOMAIN_MESSENGER)
"""L1's messenger on L2, which has the Ether of such deposits."""

PER_BLOCK = 4
"""Most deposits that wait: what they burn on L1 rises with demand."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Tokens under way."""

    message: CrossMessage
    """The bridges' message."""
    amount: int
    """How many."""


class Bridge(RuleBasedStateMachine):
    """Both chains, and what was sent."""

    @initialize()
    def start(self) -> None:
        code = {"balance": "0x0", "code": "0x" + "00" * 24_576}
        self.worlds = TwoWorlds.open(l2_accounts={"0x" + LARGE.hex(): code})
        l1, l2 = self.worlds.l1, self.worlds.l2
        self.pair = Pair(self.worlds)
        self.liar = deploy_l2(l2, "Liar")
        ids = [bytes.fromhex("01ffc9a7"), bytes.fromhex("ec4fc8e3")]
        l2.transact(SENDER, self.liar, "pretend", 0, ids, self.pair.l1.address)
        self.puppets = {1: deploy_l1(l1, "Puppet"), 2: deploy_l2(l2, "Puppet")}
        self.minted = 0
        self.waiting = 0
        self.arrived = 0
        self.refused = 0
        self.pending: list[BridgeWithdrawal] = []
        self.settled: list[BridgeWithdrawal] = []
        self.sent: dict[int, list[CrossMessage]] = {1: [], 2: []}
        self.transfers: list[Transfer] = []
        self.faked = 0

    # -- sending

    @precondition(lambda self: self.waiting < PER_BLOCK)
    @rule(amount=AMOUNTS, way=st.one_of(WAYS, st.just("too little")))
    def send_ether_to_l2(self, amount: int, way: str) -> None:
        to = self.puppets[2].address
        if way == "bridge":
            receipt = self.on_l1(L1_BRIDGE, "bridgeETHTo", to, GAS, b"", value=amount)
        elif way == "messenger":
            receipt = self.on_l1(L1_MESSENGER, "sendMessage", to, b"hi", GAS, value=amount)
        elif way == "too little":
            receipt = self.on_l1(L1_MESSENGER, "sendMessage", LARGE, b"", GAS, value=amount)
        else:
            # By another key: a deposit takes a nonce of its sender's on L2.
            receipt = self.worlds.l1.transact(
                DEPOSITOR,
                PORTAL,
                "depositTransaction",
                to,
                amount,
                200_000,
                False,
                b"",
                value=amount,
            )
        self.minted += amount
        self.keep(1, receipt)

    @rule(amount=AMOUNTS, way=WAYS)
    def send_ether_to_l1(self, amount: int, way: str) -> None:
        to = self.puppets[1].address
        if way == "bridge":
            receipt = self.on_l2(L2_BRIDGE, "bridgeETHTo", to, GAS, b"", value=amount)
        elif way == "messenger":
            receipt = self.on_l2(L2_MESSENGER, "sendMessage", to, b"hi", GAS, value=amount)
        else:
            passer = self.worlds.network.passer
            receipt = self.on_l2(passer, "initiateWithdrawal", to, GAS, b"", value=amount)
        self.keep(2, receipt)

    @precondition(lambda self: self.waiting < PER_BLOCK)
    @rule(amount=AMOUNTS)
    def send_tokens_to_l2(self, amount: int) -> None:
        remote = self.pair.l2.address
        if self.worlds.l1.number(self.pair.l1, "balanceOf", ME) < amount or self.is_stopped():
            with pytest.raises(Reverted):
                self.on_l1(L1_BRIDGE, "bridgeERC20", self.pair.l1.address, remote, amount, GAS, b"")
            return
        receipt = self.on_l1(
            L1_BRIDGE, "bridgeERC20", self.pair.l1.address, remote, amount, GAS, b""
        )
        self.transfers.append(Transfer(self.keep(1, receipt), amount))

    @rule(amount=AMOUNTS)
    def send_tokens_to_l1(self, amount: int) -> None:
        owned = self.worlds.l2.read(self.pair.l2, "balanceOf", ME)
        assert isinstance(owned, int)
        if owned < amount:
            with pytest.raises(Reverted, match="exceeds balance"):
                self.on_l2(L2_BRIDGE, "withdraw", self.pair.l2.address, amount, GAS, b"")
            return
        receipt = self.on_l2(L2_BRIDGE, "withdraw", self.pair.l2.address, amount, GAS, b"")
        self.transfers.append(Transfer(self.keep(2, receipt), amount))

    # -- lying

    @precondition(lambda self: self.waiting < PER_BLOCK and not self.is_stopped())
    @rule(amount=st.integers(0, 5))
    def send_tokens_to_a_fake(self, amount: int) -> None:
        if self.worlds.l1.number(self.pair.l1, "balanceOf", ME) < amount:
            return
        token = self.pair.l1.address
        receipt = self.on_l1(L1_BRIDGE, "bridgeERC20", token, self.liar.address, amount, GAS, b"")
        self.keep(1, receipt)
        self.faked += amount

    @rule(amount=AMOUNTS)
    def withdraw_of_a_fake(self, amount: int) -> None:
        token = self.pair.l1.address
        receipt = self.on_l2(L2_BRIDGE, "bridgeERC20", self.liar.address, token, amount, GAS, b"")
        self.keep(2, receipt)

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        withdrawal = data.draw(st.sampled_from(self.settled))
        with pytest.raises(Reverted, match="AlreadyFinalized"):
            self.worlds.settle(withdrawal)

    @precondition(lambda self: self.sent[1] + self.sent[2])
    @rule(side=st.sampled_from([1, 2]), data=st.data())
    def bring_what_nobody_failed_to_deliver(self, side: int, data: st.DataObject) -> None:
        """A message that is on its way or has arrived is not for anyone to bring."""
        if not self.sent[side]:
            return
        message = data.draw(st.sampled_from(self.sent[side]))
        if self.state(side, message) != (False, True):
            world, messenger = self.far(side)
            with pytest.raises(Reverted, match=r"cannot be replayed|already been relayed"):
                world.ask(messenger, message.relay())

    # -- receiving

    @rule(side=st.sampled_from([1, 2]), mood=st.sampled_from([ACCEPT, REFUSE]))
    def tell_a_receiver(self, side: int, mood: int) -> None:
        puppet = self.puppets[side]
        world = self.worlds.l1 if side == 1 else self.worlds.l2
        assert world.send(SENDER, puppet.address, instruct(puppet, mood)).succeeded

    @rule(manner=st.sampled_from([PLAIN, REFUSING]))
    def tell_the_token(self, manner: int) -> None:
        self.worlds.l1.transact(SENDER, self.pair.l1, "behave", manner, 0, bytes(20))

    @precondition(lambda self: self.waiting)
    @rule()
    def deliver(self) -> None:
        assert len(self.worlds.deliver()) == self.waiting
        self.waiting = 0
        self.arrived = len(self.sent[1])

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Some of what waits, in any order."""
        chosen = data.draw(st.lists(st.sampled_from(self.pending), unique_by=id, max_size=3))
        for withdrawal, receipt in zip(chosen, self.worlds.settle(*chosen), strict=True):
            (end,) = PORTAL.events(receipt, "WithdrawalFinalized")
            # Below the messengers nothing is tried again: what is refused stays in the Portal.
            self.refused += 0 if end["success"] else withdrawal.value
        self.settled += chosen
        self.pending = [withdrawal for withdrawal in self.pending if withdrawal not in chosen]

    @rule(side=st.sampled_from([1, 2]), data=st.data())
    def try_again(self, side: int, data: st.DataObject) -> None:
        """A failed message; whatever becomes of it, its transaction succeeds."""
        failed = [it for it in self.sent[side] if self.state(side, it) == (False, True)]
        if failed:
            message = data.draw(st.sampled_from(failed))
            world, messenger = self.far(side)
            assert world.send(SENDER, messenger.address, message.relay()).succeeded

    @precondition(lambda self: self.sent[1] and self.waiting < PER_BLOCK)
    @rule(data=st.data())
    def bring_again(self, data: st.DataObject) -> None:
        """Any message of L1, whether it needs it or not."""
        message = data.draw(st.sampled_from(self.sent[1]))
        call = messages.resend_message(message, 900_000)
        assert self.worlds.l1.send(DEPOSITOR, L1_MESSENGER.address, call).succeeded
        self.waiting += 1

    # -- what always holds

    @invariant()
    def ether_is_where_it_was_sent(self) -> None:
        """The Portal covers what L2 has and what is on its way; the messengers hold what failed, the alias what was lost; the bridges hold none."""
        l1, l2 = self.worlds.l1, self.worlds.l2
        left = l2.balance(addresses.MESSAGE_PASSER)
        under_way = sum(withdrawal.value for withdrawal in self.pending)
        assert self.worlds.locked_wei() == self.minted - left + under_way + self.refused
        for side, world in ((1, l2), (2, l1)):
            held = sum(it.value for it in self.sent[side] if self.state(side, it) == (False, True))
            assert world.balance(self.far(side)[1].address) == held
        assert l1.balance(L1_BRIDGE.address) == l2.balance(L2_BRIDGE.address) == 0
        lost = [it for it in self.sent[1][: self.arrived] if self.state(1, it) == (False, False)]
        assert l2.balance(ALIAS) == sum(it.value for it in lost)

    @invariant()
    def tokens_are_where_they_were_sent(self) -> None:
        """A pair holds what its counterpart's owners have and what is on its way; the bridge has all pairs' tokens."""
        l1, l2 = self.worlds.l1, self.worlds.l2
        supply = l2.read(self.pair.l2, "totalSupply")
        assert isinstance(supply, int)
        under_way = sum(
            transfer.amount
            for transfer in self.transfers
            if not self.state(self.side_of(transfer.message), transfer.message)[0]
        )
        held = self.pair.held()
        assert held == supply + under_way
        fake = self.pair.held(self.liar)
        assert isinstance(held, int)
        assert isinstance(fake, int)
        assert 0 <= fake <= self.faked
        assert l1.read(self.pair.l1, "balanceOf", L1_BRIDGE.address) == held + fake

    # -- helpers

    def on_l1(self, contract: Contract, name: str, *arguments: object, value: int = 0) -> Receipt:
        return self.worlds.l1.transact(SENDER, contract, name, *arguments, value=value)

    def on_l2(self, contract: Contract, name: str, *arguments: object, value: int = 0) -> Receipt:
        return self.worlds.l2.transact(SENDER, contract, name, *arguments, value=value)

    def keep(self, side: int, receipt: Receipt) -> CrossMessage:
        """Remembers what a transaction of a side sent; its message, or one that is none."""
        near = L1_MESSENGER if side == 1 else L2_MESSENGER
        found = messages.sent_messages(receipt.logs, near.address)
        self.sent[side] += found
        if side == 1:
            self.waiting += 1
        else:
            self.pending += withdrawals_of(receipt)
        none = CrossMessage(nonce=0, sender=ME, target=Address(ME), value=0, gas_limit=0, data=b"")
        return found[0] if found else none

    def far(self, side: int) -> tuple[World | L2World, Contract]:
        """The world and messenger that messages of a side arrive at."""
        return (self.worlds.l2, L2_MESSENGER) if side == 1 else (self.worlds.l1, L1_MESSENGER)

    def side_of(self, message: CrossMessage) -> int:
        """Which side sent a message."""
        return 1 if message.sender == L1_BRIDGE.address else 2

    def state(self, side: int, message: CrossMessage) -> tuple[bool, bool]:
        """Whether a message was delivered, and whether that has failed."""
        world, messenger = self.far(side)
        name = message.hash()
        delivered = world.read(messenger, "successfulMessages", name)
        failed = world.read(messenger, "failedMessages", name)
        return bool(delivered), bool(failed)

    def is_stopped(self) -> bool:
        """Whether the token moves nothing."""
        return self.worlds.l1.read(self.pair.l1, "manner") == REFUSING


TestBridge = Bridge.TestCase
TestBridge.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
