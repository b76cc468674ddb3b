"""What L2 gas costs on L1: the base fee's moves, and the gas that is burnt for it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from tests.kit.contract_network import Network
from tests.kit.contract_world import Receipt
from tests.kit.execution_chain import DEPOSITOR
from tests.node.contracts.metering_model import (
    MAX_BASE_FEE,
    MAX_GAS,
    MIN_BASE_FEE,
    Params,
    bought,
    burnt,
    clamp,
    decayed,
    exactly_decayed,
)

OVERHEAD_GAS = 60_000
"""What is not counted as used: the transaction itself, and the memory that its data may take."""


def params(network: Network) -> Params:
    """The portal's."""
    answer = network.world.read(network.portal, "params")
    assert isinstance(answer, tuple)
    return Params(base_fee=answer[0], bought=answer[1], number=answer[2])


def buy(network: Network, amount: int, *, gas: int = 16_700_000) -> Receipt:
    """A deposit of so much gas in a block of its own."""
    data = network.portal.input("depositTransaction", bytes(20), 0, amount, False, b"")
    return network.world.send(DEPOSITOR, addresses.PORTAL, data, gas=gas)


def with_params(start: Params) -> Network:
    """A portal whose last deposit left this, set in storage as genesis would."""
    word = start.base_fee | start.bought << 128 | start.number << 192
    return Network.open(storage={addresses.PORTAL: {0: word}})


def test_the_first_deposit_pays_the_lowest_base_fee() -> None:
    network = Network.open()
    network.pass_blocks(2)
    receipt = buy(network, 1_000_000)
    assert params(network) == Params(base_fee=MIN_BASE_FEE, bought=1_000_000, number=3)
    # The burning ends once what was used reaches the price; what comes before and after is not part of it.
    assert 1_000_000 <= receipt.gas_used < 1_000_000 + OVERHEAD_GAS


def test_a_small_deposit_burns_nothing() -> None:
    """Given a price below what the call itself uses, then nothing is burnt on top."""
    network = Network.open()
    buy(network, 21_000)
    small, larger = buy(network, 21_000), buy(network, 30_000)
    assert abs(larger.gas_used - small.gas_used) < 100


def test_full_blocks_raise_the_price_until_nobody_can_pay() -> None:
    """Given full blocks one after another, then the base fee grows 2.125-fold each, and a transaction runs out of gas."""
    network = Network.open()
    state = Params()
    fees = []
    for _ in range(3):
        assert buy(network, MAX_GAS).succeeded
        expected = bought(state, network.height, MAX_GAS)
        assert expected is not None
        state = expected
        assert params(network) == state
        fees.append(state.base_fee)
    assert fees == [10**9, 2_125_000_000, 4_515_625_000]

    receipt = buy(network, MAX_GAS)
    assert not receipt.succeeded
    assert params(network) == state

    network.pass_blocks(20)
    assert buy(network, MAX_GAS).succeeded
    assert params(network).base_fee == MIN_BASE_FEE


def test_price_is_burnt_to_the_gas() -> None:
    """Given a higher base fee, then gas used grows with the price, but for a fixed part."""
    for base_fee, amount in ((10**9, 2_000_000), (3 * 10**9, 2_000_000), (5 * 10**9, 2_500_000)):
        network = with_params(Params(base_fee=base_fee, bought=300_000, number=0))
        receipt = buy(network, amount)
        state = params(network)
        assert state == Params(base_fee=base_fee, bought=amount, number=1)
        # The kit's base fee is below 1 gwei, so the floor counts.
        price = burnt(state, amount, 0)
        assert price <= receipt.gas_used < price + OVERHEAD_GAS


@pytest.mark.parametrize(
    "start",
    [
        Params(base_fee=MAX_BASE_FEE, bought=MAX_GAS, number=0),
        Params(base_fee=MAX_BASE_FEE, bought=0, number=0),
        Params(base_fee=MAX_BASE_FEE // 2, bought=2**64 - 1, number=0),
        Params(base_fee=1, bought=0, number=0),
        Params(base_fee=MIN_BASE_FEE, bought=300_000, number=0),
    ],
)
@pytest.mark.parametrize("elapsed", [1, 2, 3, 700])
def test_no_state_overflows(start: Params, elapsed: int) -> None:
    """Given the highest base fee after the fullest block, then the next deposit is charged as the model says, or runs out of gas."""
    network = with_params(start)
    network.pass_blocks(elapsed - 1)
    expected = bought(start, elapsed, 21_000)
    assert expected is not None
    receipt = buy(network, 21_000)
    if burnt(expected, 21_000, 0) < 16_000_000:
        assert receipt.succeeded
        assert params(network) == expected
    else:
        assert not receipt.succeeded
        assert receipt.gas_used == 16_700_000
        assert params(network) == start


@pytest.mark.parametrize(
    ("elapsed", "base_fee"),
    # The first block after keeps the price of a block at its target; each empty one takes an eighth.
    [(1, 64 * 10**9), (2, 56 * 10**9), (3, 49 * 10**9), (4, 42_875_000_000), (40, 10**9)],
)
def test_empty_blocks_take_an_eighth_each(elapsed: int, base_fee: int) -> None:
    network = with_params(Params(base_fee=64 * 10**9, bought=300_000, number=0))
    network.pass_blocks(elapsed - 1)
    assert buy(network, 21_000).succeeded
    assert params(network) == Params(base_fee=base_fee, bought=21_000, number=elapsed)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(21_000, MAX_GAS)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_params_are_the_model_s(purchases: list[tuple[int, int]]) -> None:
    network, state = Network.open(), Params()
    for blocks, amount in purchases:
        network.pass_blocks(blocks - 1)
        receipt = buy(network, amount)
        expected = bought(state, network.height, amount)
        if expected is not None and receipt.succeeded:
            state = expected
        else:
            # No block of one deposit is over the limit: it could not pay.
            assert expected is not None
            assert burnt(expected, amount, 0) > 16_000_000
        assert params(network) == state


@given(st.integers(MIN_BASE_FEE, MAX_BASE_FEE), st.integers(0, 2_000))
def test_decay_is_exact_to_a_few_parts_in_10_18(base_fee: int, blocks: int) -> None:
    """Rounding down in fixed point loses less than what the OP Stack's logarithms do; beyond, the floor rules."""
    exact = exactly_decayed(base_fee, blocks)
    fixed = decayed(base_fee, blocks)
    assert fixed <= exact
    assert exact - fixed <= Decimal(base_fee) * 20 / 10**18 + 1
    assert clamp(fixed) >= MIN_BASE_FEE


def test_the_burning_is_the_caller_s() -> None:
    """Given too little gas for the price, then the deposit fails and the portal's balance does not move."""
    network = Network.open()
    before = network.world.balance(addresses.PORTAL)
    data = network.portal.input("depositTransaction", bytes(20), 0, 2_000_000, False, b"")
    receipt = network.world.send(DEPOSITOR, addresses.PORTAL, data, value=9, gas=1_900_000)
    assert not receipt.succeeded
    assert receipt.gas_used == 1_900_000
    assert network.world.balance(addresses.PORTAL) == before
