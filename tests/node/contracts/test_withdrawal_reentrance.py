"""Reentrance into the Portal through a target, the messenger and the bridge: refused by name, nothing lost, nothing paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, cast

import orjson
import pytest

from node.contracts import addresses
from node.contracts.bindings import initiate_withdrawal
from node.eth.primitives import Address
from node.rollup.outputs import BridgeWithdrawal
from tests.kit.contract_network import WITHDRAWALS
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.crossing import ACCEPT, GAS, instruct
from tests.kit.execution_chain import ETHER, SENDER, address_of
from tests.kit.two_worlds import (
    L2_BRIDGE,
    L2_MESSENGER,
    PORTAL,
    TwoWorlds,
    deploy_l1,
    fields,
    withdrawals_of,
)

PAID: Final = Address(b"\x9a" * 20)
"""Target of the withdrawal that is finalized from within."""

Send = Callable[[TwoWorlds, Address], Receipt]
"""Something on L2 that ends in a call of an L1 address, with one Ether."""


def by_itself(worlds: TwoWorlds, target: Address) -> Receipt:
    """A withdrawal whose target it is."""
    call = initiate_withdrawal(target, gas_limit=1_000_000)
    return worlds.l2.send(SENDER, addresses.MESSAGE_PASSER, call, value=ETHER)


def by_messenger(worlds: TwoWorlds, target: Address) -> Receipt:
    """A message."""
    return worlds.l2.transact(
        SENDER, L2_MESSENGER, "sendMessage", target, b"", 1_000_000, value=ETHER
    )


def by_bridge(worlds: TwoWorlds, target: Address) -> Receipt:
    """Ether by the bridge."""
    return worlds.l2.transact(SENDER, L2_BRIDGE, "bridgeETHTo", target, 5 * GAS, b"", value=ETHER)


WAYS: Final[dict[str, Send]] = {
    "target": by_itself,
    "messenger": by_messenger,
    "bridge": by_bridge,
}


def forms(withdrawal: BridgeWithdrawal) -> dict[str, bytes]:
    """Both ways to finalize it."""
    return {
        "own": PORTAL.input("finalizeWithdrawalTransaction", fields(withdrawal)),
        "another's": PORTAL.input(
            "finalizeWithdrawalTransactionExternalProof", fields(withdrawal), address_of(SENDER)
        ),
    }


def sent(receipt: Receipt) -> BridgeWithdrawal:
    """The one withdrawal of an L2 transaction."""
    (withdrawal,) = withdrawals_of(receipt)
    return withdrawal


def finalize(worlds: TwoWorlds, withdrawal: BridgeWithdrawal) -> Receipt:
    """Raises Reverted."""
    name = "finalizeWithdrawalTransaction"
    return worlds.l1.transact(SENDER, PORTAL, name, fields(withdrawal))


def outcome(receipt: Receipt) -> object:
    """Whether the one target of a finalization succeeded."""
    (event,) = PORTAL.events(receipt, "WithdrawalFinalized")
    return event["success"]


def errors_within(worlds: TwoWorlds) -> list[str]:
    """Errors by name of calls of the Portal inside of the newest transaction."""
    chain = worlds.l1.chain
    before, newest = chain.blocks[-2:]
    ancestors = b"".join(block.block_hash for block in reversed(chain.blocks[-257:-1]))
    trace = chain.engine.trace_transaction(
        before.state_root, newest.block, ancestors, 0, b'{"tracer":"callTracer"}'
    )
    return [
        PORTAL.error(bytes.fromhex(str(call["output"]).removeprefix("0x"))).name
        for call in inner_calls(orjson.loads(trace))
        if call["to"] == "0x" + PORTAL.address.hex() and "error" in call and "output" in call
    ]


def inner_calls(call: dict[str, object]) -> Iterator[dict[str, object]]:
    """Everything below a call, in order."""
    for inner in cast(list[dict[str, object]], call.get("calls", [])):
        yield inner
        yield from inner_calls(inner)


@pytest.mark.parametrize("form", ["own", "another's"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_finalized_from_within(way: str, form: str) -> None:
    """Given a contract that finalizes a ripe withdrawal while another's call reaches it, then that waits; both are paid once."""
    worlds = TwoWorlds.open()
    puppet = deploy_l1(worlds.l1, "Puppet")
    call = initiate_withdrawal(PAID, gas_limit=0)
    ripe = sent(worlds.l2.send(SENDER, addresses.MESSAGE_PASSER, call, value=2 * ETHER))
    outer = sent(WAYS[way](worlds, puppet.address))
    worlds.prove([ripe, outer])
    worlds.network.pass_blocks(WITHDRAWALS.proof_maturity_s // 2 + 1)
    order = instruct(puppet, ACCEPT, PORTAL.address, forms(ripe)[form])
    worlds.l1.send(SENDER, puppet.address, order)
    locked = worlds.locked_wei()

    receipt = finalize(worlds, outer)

    assert errors_within(worlds) == ["OptimismPortal_NoReentrancy"]
    assert outcome(receipt) is True
    assert worlds.l1.read(puppet, "calls") == 1
    assert worlds.l1.read(puppet, "paid") == ETHER
    assert worlds.l1.read(puppet, "succeeded") is False
    assert worlds.l1.balance(PAID) == 0
    assert outcome(finalize(worlds, ripe)) is True
    for withdrawal in (outer, ripe):
        with pytest.raises(Reverted, match="OptimismPortal_AlreadyFinalized"):
            finalize(worlds, withdrawal)
    assert worlds.l1.balance(PAID) == 2 * ETHER
    assert worlds.locked_wei() == locked - 3 * ETHER


@pytest.mark.parametrize("form", ["own", "another's"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_finalizes_itself_from_within(way: str, form: str) -> None:
    """Given a contract that finalizes the very withdrawal whose call reaches it, then it is paid once."""
    worlds = TwoWorlds.open()
    puppet = deploy_l1(worlds.l1, "Puppet")
    outer = sent(WAYS[way](worlds, puppet.address))
    worlds.prove([outer])
    worlds.network.pass_blocks(WITHDRAWALS.proof_maturity_s // 2 + 1)
    order = instruct(puppet, ACCEPT, PORTAL.address, forms(outer)[form])
    worlds.l1.send(SENDER, puppet.address, order)
    locked = worlds.locked_wei()

    receipt = finalize(worlds, outer)

    assert errors_within(worlds) == ["OptimismPortal_NoReentrancy"]
    assert outcome(receipt) is True
    assert worlds.l1.read(puppet, "paid") == ETHER
    assert worlds.locked_wei() == locked - ETHER
