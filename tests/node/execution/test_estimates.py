"""`eth_estimateGas`: geth's estimator."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from node.errors import InvalidCall
from node.execution.answers import CallResult
from tests.kit.execution_chain import (
    GWEI,
    KEEPER,
    PROPOSER,
    SENDER,
    address_of,
    word,
)
from tests.kit.questions import (
    HASHER,
    LOOP,
    NOBODY,
    REVERTER,
    SPENDER,
    TOKEN,
    Asked,
)


def test_a_transfer_takes_21000(asked: Asked) -> None:
    transfer = {"from": address_of(SENDER), "to": PROPOSER, "value": 1}
    assert asked.estimate(transfer) == CallResult("success", b"", 21_000)


@pytest.mark.parametrize(
    ("to", "data"),
    [(KEEPER, word(1) + word(2)), (TOKEN, bytes(36)), (HASHER, b"x" * 1_000), (SPENDER, b"")],
)
def test_an_estimate_is_enough_and_little_more(asked: Asked, to: bytes, data: bytes) -> None:
    """Given a call, when estimated, then it succeeds with that much, and fails with what is 1.5 % less or is within it."""
    estimate = asked.estimate({"to": to, "data": data})

    enough = asked.call({"to": to, "data": data, "gas": estimate.gas_used})
    assert enough.status == "success"
    if estimate.gas_used - enough.gas_used > 0.015 * estimate.gas_used:
        less = asked.call({"to": to, "data": data, "gas": int(estimate.gas_used * 0.98)})
        assert less.status != "success"


def test_data_without_use_costs_its_floor(asked: Asked) -> None:
    """EIP-7623: 40 gas for a byte that is not zero, estimated as closely as geth does."""
    estimate = asked.estimate({"to": PROPOSER, "data": b"\x01" * 1_000})
    assert 61_000 <= estimate.gas_used == 61_825


def test_an_estimate_tells_how_the_call_fails(asked: Asked) -> None:
    assert asked.estimate({"to": REVERTER, "data": b"why"}) == CallResult("revert", b"why", 0)
    halted = asked.estimate({"to": f"0x{0xDEAD00:040x}"})
    assert halted == CallResult("halt", b"invalid opcode: INVALID", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": LOOP}, "gas required exceeds allowance (16777216)"),
        ({"to": LOOP, "gas": 30_000}, "gas required exceeds allowance (30000)"),
        (
            {"from": PROPOSER, "to": TOKEN, "value": 10**30, "gasPrice": GWEI},
            "insufficient funds for transfer",
        ),
        (
            {"from": bytes(20), "to": TOKEN, "value": 1},
            "failed with 16777216 gas: insufficient funds for gas * price + value: "
            f"address {NOBODY} have 0 want 1",
        ),
    ],
)
def test_estimates_are_refused_in_geths_words(
    asked: Asked, arguments: Mapping[str, object], message: str
) -> None:
    with pytest.raises(InvalidCall) as caught:
        asked.estimate(arguments)
    assert str(caught.value) == message


def test_an_estimate_is_bounded_by_what_the_sender_can_pay(asked: Asked) -> None:
    """Given a sender that can pay 22,000 gas, when a dear call is estimated, then that was the allowance."""
    poor = {PROPOSER: {"balance": 22_000 * 10 * GWEI}}
    call = {
        "from": PROPOSER,
        "to": KEEPER,
        "data": word(1) + word(2),
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": 0,
    }
    with pytest.raises(InvalidCall, match=r"gas required exceeds allowance \(22000\)"):
        asked.estimate(call, state=poor)
