"""Gas of everything that goes over the bridge, to the unit: what the README says is what is charged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from node.contracts import addresses, messages
from tests.kit.contract_world import Receipt
from tests.kit.crossing import FRIEND, GAS, ME, REFUSE, Pair, instruct
from tests.kit.execution_chain import SENDER
from tests.kit.gas import check_gas
from tests.kit.two_worlds import (
    FACTORY,
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    TwoWorlds,
    deploy_l2,
    withdrawals_of,
)

NOISE: Final = bytes(index % 255 + 1 for index in range(100))
"""A message without a zero."""

Steps = tuple[Receipt, Receipt]
"""Sending on one side, arriving on the other."""

QUIET_BLOCKS: Final = 10
"""Empty L1 blocks before what is measured: the price of L2 gas is at its floor again."""


def twice(send: Callable[[TwoWorlds], Receipt], *, to_l2: bool) -> Callable[[], Steps]:
    """Something that goes over, after an equal one: no counter is new."""

    def run() -> Steps:
        worlds = TwoWorlds.open()
        worlds.l1.transact(SENDER, L1_BRIDGE, "depositETHTo", FRIEND, GAS, b"", value=100)
        worlds.deliver()
        steps = [over(worlds, send, to_l2=to_l2) for _ in range(2)]
        return steps[-1]

    return run


def over(worlds: TwoWorlds, send: Callable[[TwoWorlds], Receipt], *, to_l2: bool) -> Steps:
    """Sends and lets arrive."""
    worlds.network.pass_blocks(QUIET_BLOCKS)
    sent = send(worlds)
    arrived = worlds.deliver() if to_l2 else worlds.settle(*withdrawals_of(sent))
    return sent, arrived[0]


def tokens(*, to_l2: bool) -> Callable[[], Steps]:
    """Tokens that go over, after equal ones."""

    def run() -> Steps:
        worlds = TwoWorlds.open()
        pair = Pair(worlds)
        pair.deposit(400)
        call = messages.bridge_tokens(pair.l1.address, pair.l2.address, ME, 10)

        def send(worlds: TwoWorlds) -> Receipt:
            if to_l2:
                return worlds.l1.send(SENDER, L1_BRIDGE.address, call)
            return worlds.l2.transact(
                SENDER, L2_BRIDGE, "withdrawTo", pair.l2.address, ME, 10, GAS, b""
            )

        steps = [over(worlds, send, to_l2=to_l2) for _ in range(2)]
        return steps[-1]

    return run


def replay() -> Steps:
    """A message that failed, and its second attempt."""
    worlds = TwoWorlds.open()
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    sent = worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", puppet.address, NOISE, GAS)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    (failed,) = worlds.deliver()
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, 0))
    return failed, worlds.l2.send(SENDER, L2_MESSENGER.address, message.relay())


def creation() -> Steps:
    """A token of the factory, and another."""
    worlds = TwoWorlds.open()
    made = [
        worlds.l2.transact(
            SENDER, FACTORY, "createOptimismMintableERC20", remote, "Stand-in", "STI"
        )
        for remote in (b"\x01" * 20, b"\x02" * 20)
    ]
    return made[0], made[1]


COSTS: Final[dict[str, tuple[Callable[[], Steps], tuple[int, int]]]] = {
    "message to L2": (
        twice(
            lambda worlds: worlds.l1.transact(
                SENDER, L1_MESSENGER, "sendMessage", FRIEND, NOISE, GAS
            ),
            to_l2=True,
        ),
        (632_199, 59_532),
    ),
    "message to L1": (
        twice(
            lambda worlds: worlds.l2.transact(
                SENDER, L2_MESSENGER, "sendMessage", FRIEND, NOISE, GAS
            ),
            to_l2=False,
        ),
        (115_127, 111_698),
    ),
    "Ether to L2": (
        twice(
            lambda worlds: worlds.l1.transact(
                SENDER, L1_BRIDGE, "depositETHTo", FRIEND, GAS, b"", value=7
            ),
            to_l2=True,
        ),
        (661_240, 85_055),
    ),
    "Ether to L1": (
        twice(
            lambda worlds: worlds.l2.transact(
                SENDER,
                L2_BRIDGE,
                "withdrawTo",
                addresses.LEGACY_ETHER,
                FRIEND,
                7,
                GAS,
                b"",
                value=7,
            ),
            to_l2=False,
        ),
        (147_375, 146_195),
    ),
    "tokens to L2": (tokens(to_l2=True), (687_115, 89_267)),
    "tokens to L1": (tokens(to_l2=False), (157_747, 149_003)),
    "failed message, replay": (replay, (62_025, 155_601)),
    "new token": (creation, (1_187_119, 1_187_119)),
}
"""Both steps, and what they cost."""


@pytest.mark.parametrize(("steps", "gas"), COSTS.values(), ids=list(COSTS))
def test_gas_is_what_the_readme_says(steps: Callable[[], Steps], gas: tuple[int, int]) -> None:
    sent, arrived = steps()
    check_gas(sent, gas[0])
    check_gas(arrived, gas[1])


def test_what_l1_charges_is_mostly_the_gas_of_l2() -> None:
    """Given the lowest price of L2 gas, then a message burns on L1 what it may use on L2, and the way there costs less."""
    steps, _ = COSTS["message to L2"]
    sent, _ = steps()
    bought = messages.base_gas(len(NOISE), GAS)
    assert bought < sent.gas_used < bought + 140_000
