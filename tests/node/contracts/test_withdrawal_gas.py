"""A withdrawal's target has the gas that was asked for, at every gas limit, or nothing happens at all.

The target fails unless it has its gas; asked in the name of an estimator, the Portal then says so. So at every gas
limit the answer has to be a refusal before the call, or success: a failure would be a withdrawal settled for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import NO_GAS
from node.errors import InvalidCall
from node.eth.primitives import Address
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR, address_of
from tests.kit.withdrawal_world import ALIEN, WithdrawalWorld, transaction

ESTIMATOR: Final = (1).to_bytes(20)
"""In whose name a failing target is an error."""

MOST_GAS: Final = 2**24
"""Of an L1 transaction (EIP-7825)."""

NONE_LEFT: Final = "out of gas"
"""Not enough even for the portal's own work."""

NOT_BEGUN: Final = "not begun"
"""Not enough for a transaction of such bytes."""

GAUGE_GAS: Final = 5
"""What a gauge has used before it knows what it has: PUSH3 and GAS."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What makes the call dear."""

    value: int
    """Wei."""
    is_delegated: bool = False
    """Whether the target is an account that delegates to the gauge (EIP-7702)."""
    data: bytes = b""
    """The call's input."""
    is_external: bool = False
    """Whether the form for others' proofs is used."""


SITUATIONS: Final = {
    "nothing": Situation(0),
    "value": Situation(1),
    "a delegation": Situation(1, is_delegated=True),
    "much data": Situation(1, data=bytes(20_000)),
    "another's proof": Situation(1, is_external=True),
}

LIMITS: Final = (100, 21_000, 200_000, 2_000_000, 15_000_000)
"""Gas that withdrawals ask for."""


def gauge(least: int) -> bytes:
    """Code that fails unless it began with at least so much gas."""
    return b"\x62" + (least - GAUGE_GAS).to_bytes(3) + bytes.fromhex("5a10600957005b5f5ffd")


def place(at: int) -> Address:
    """Where a gauge stands."""
    return Address((0x6A60_0000 + at).to_bytes(20))


def delegated(at: int) -> Address:
    """Where an account delegates to a gauge."""
    return Address((0x7702_0000 + at).to_bytes(20))


def opened() -> tuple[WithdrawalWorld, dict[tuple[str, int], MessagePassed]]:
    """A world with a gauge for each limit, and a ready withdrawal for each situation and limit."""
    accounts: dict[str, object] = {}
    for at, limit in enumerate(LIMITS):
        code = gauge(limit)
        accounts["0x" + place(at).hex()] = {"balance": "0x0", "code": "0x" + code.hex()}
        link = b"\xef\x01\x00" + place(at)
        accounts["0x" + delegated(at).hex()] = {"balance": "0x0", "code": "0x" + link.hex()}
    world = WithdrawalWorld.open(games=40, extra_accounts=accounts)
    ready = {}
    for name, situation in SITUATIONS.items():
        for at, limit in enumerate(LIMITS):
            where = delegated(at) if situation.is_delegated else place(at)
            message = world.initiate(
                where, value=situation.value, gas_limit=limit, data=situation.data
            )
            world.ready(message)
            ready[name, limit] = message
    return world, ready


WORLD, READY = opened()
"""Made once: nothing here changes it."""


def outcome(data: bytes, gas: int) -> str:
    """What a call with that gas limit comes to: nothing if it succeeds."""
    return attempt(WORLD, data, gas, ESTIMATOR)


def attempt(world: WithdrawalWorld, data: bytes, gas: int, sender: bytes) -> str:
    """What a call of the portal comes to: nothing, a refusal's name, or `NONE_LEFT`."""
    try:
        world.world.ask(world.network.portal, data, sender=sender, gas=gas)
    except Reverted as reverted:
        return reverted.name or NONE_LEFT
    except InvalidCall as refused:
        return NOT_BEGUN if "gas" in str(refused) else str(refused)
    return ""


def call_of(name: str, limit: int) -> bytes:
    """Calldata that finalizes; the estimator has no proof of its own."""
    message = READY[name, limit]
    return WORLD.network.portal.input(
        "finalizeWithdrawalTransactionExternalProof", transaction(message), DEPOSITOR.address
    )


def least_gas(data: bytes) -> int:
    """The lowest gas limit at which a call succeeds, by bisection."""
    low, high = 21_000, MOST_GAS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if outcome(data, middle) == "" else (middle, high)
    return high


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_target_has_its_gas_or_nothing_happens(name: str, limit: int) -> None:
    """Given every gas limit around the bound, and steps from none to all, then never is the target called with too little."""
    data = call_of(name, limit)
    bound = least_gas(data)
    around = range(bound - 150, bound + 150)
    steps = range(21_000, MOST_GAS, 39_989)
    seen = {gas: outcome(data, gas) for gas in (*around, *steps)}
    assert {why for gas, why in seen.items() if gas >= bound} == {""}
    too_little = {why for gas, why in seen.items() if gas < bound}
    # The refusal by text, or too little for the portal's own work.
    assert too_little <= {NO_GAS, NONE_LEFT, NOT_BEGUN}
    # At the bound itself it is the refusal, unless the transaction's bytes cost more than all it does.
    assert len({seen[gas] for gas in around if gas < bound} - {NO_GAS}) <= (limit < 500_000)
    assert NONE_LEFT not in {seen[gas] for gas in around}


@pytest.mark.parametrize("limit", LIMITS)
def test_the_bound_is_that_of_the_op_stack(limit: int) -> None:
    """Given two withdrawals that differ in their limit alone, then the least gas differs by 64/63 of it."""
    lowest, here = (least_gas(call_of("nothing", it)) for it in (LIMITS[0], limit))
    assert here - lowest == pytest.approx((limit - LIMITS[0]) * 64 / 63, abs=60)


def test_what_is_left_after_a_target_that_burns_everything_is_enough() -> None:
    """Given a target that burns all it gets, then at every gas limit nothing happens, or the withdrawal is settled."""
    burner = Address(b"\xfe" * 20)
    world = WithdrawalWorld.open(
        extra_accounts={"0x" + burner.hex(): {"balance": "0x0", "code": "0xfe"}}
    )
    message = world.initiate(burner, gas_limit=0)
    world.ready(message)
    portal = world.network.portal
    data = portal.input(
        "finalizeWithdrawalTransactionExternalProof", transaction(message), DEPOSITOR.address
    )
    gases = range(60_000, 1_000_000, 4_999)
    answers = [attempt(world, data, gas, address_of(DEPOSITOR)) for gas in gases]
    assert set(answers) <= {"", NO_GAS, NONE_LEFT, NOT_BEGUN}
    # Once it is enough it stays enough.
    assert answers == sorted(answers, key=lambda it: it == "")
    assert answers[-1] == ""


def test_a_withdrawal_may_ask_for_more_than_there_is() -> None:
    """Given a gas limit above any transaction's, up to the largest number, then it is never called with less."""
    world = WithdrawalWorld.open(games=6)
    portal = world.network.portal
    for limit in (MOST_GAS, 2**63, 2**64, 2**250, 2**255 // 32, 2**256 - 1):
        message = world.initiate(ALIEN, value=1, gas_limit=limit)
        world.ready(message)
        data = portal.input("finalizeWithdrawalTransaction", transaction(message))
        with pytest.raises(Reverted) as reverted:
            world.world.ask(portal, data, sender=address_of(DEPOSITOR), gas=MOST_GAS)
        assert reverted.value.name == NO_GAS
    assert world.world.balance(ALIEN) == 0


def test_one_that_was_refused_for_gas_settles_with_more() -> None:
    world = WithdrawalWorld.open()
    message = world.initiate(ALIEN, value=1, gas_limit=1_000_000)
    world.ready(message)
    with pytest.raises(Reverted) as reverted:
        world.finalize(message, gas=1_050_000)
    assert reverted.value.name == NO_GAS
    assert world.outcome(world.finalize(message, gas=1_300_000))
    assert world.world.balance(ALIEN) == 1
    assert world.world.balance(addresses.PORTAL) == world.locked_wei
