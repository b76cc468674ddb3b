"""GasPriceOracle: FastLZ byte for byte, Fjord's and Isthmus' formulas, published figures."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from tests.kit.contract_network import FEES, Network
from tests.kit.contract_world import Reverted
from tests.node.contracts.fastlz_model import (
    SIGNATURE_BYTES,
    compressed_length,
    entry_of,
    estimated_size,
    l1_fee,
    three_at,
)

VECTORS: Final = json.loads(
    (Path(__file__).parents[2] / "vectors" / "contracts" / "fastlz.json").read_text()
)
"""Published lengths and one published fee."""

TRANSACTION: Final = bytes.fromhex(VECTORS["fee"]["transaction"].removeprefix("0x"))
"""A signed transaction of OP Mainnet."""

CALL_GAS: Final = 50_000_000
"""What the RPC gives a call."""


@pytest.fixture(scope="module")
def network() -> Network:
    """Nobody changes it."""
    return Network.open()


def gas_used(network: Network, data: bytes) -> int:
    """L1 gas as the oracle reckons it."""
    return network.world.number(network.oracle, "getL1GasUsed", data)


def expected_fee(compressed: int) -> int:
    """L1 fee at the terms of genesis."""
    return l1_fee(
        compressed,
        base_fee=FEES.l1_base_fee_wei,
        base_fee_scalar=FEES.l1_base_fee_scalar,
        blob_base_fee=FEES.l1_blob_base_fee_wei,
        blob_base_fee_scalar=FEES.l1_blob_base_fee_scalar,
    )


# -- the model is right


@pytest.mark.parametrize("case", VECTORS["lengths"], ids=lambda case: case["name"])
def test_the_model_gives_published_lengths(case: dict[str, int]) -> None:
    data = bytes.fromhex(str(case["data"]).removeprefix("0x"))
    assert compressed_length(data) == case["length"]


def test_the_model_gives_a_published_fee() -> None:
    fee = VECTORS["fee"]
    terms = {
        name: fee[name]
        for name in ("base_fee", "base_fee_scalar", "blob_base_fee", "blob_base_fee_scalar")
    }
    compressed = compressed_length(TRANSACTION)
    assert l1_fee(compressed, **terms) == fee["fee"]
    assert estimated_size(compressed) * 16 // 10**6 == fee["data_gas"]


# -- the contract is the model


@pytest.mark.parametrize("case", VECTORS["lengths"], ids=lambda case: case["name"])
def test_l1_gas_of_published_data(network: Network, case: dict[str, int]) -> None:
    data = bytes.fromhex(str(case["data"]).removeprefix("0x"))
    assert gas_used(network, data) == (
        estimated_size(case["length"] + SIGNATURE_BYTES) * 16 // 10**6
    )


REPETITIVE = st.lists(
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 30)), max_size=20
).map(lambda runs: b"".join(run * times for run, times in runs))
"""Bytes that compress."""


@given(st.one_of(st.binary(max_size=600), REPETITIVE))
@settings(max_examples=150, deadline=None)
def test_l1_gas_is_the_model_s(data: bytes) -> None:
    opened = SHARED[0]
    expected = estimated_size(compressed_length(data) + SIGNATURE_BYTES) * 16 // 10**6
    assert gas_used(opened, data) == expected
    assert opened.world.number(opened.oracle, "getL1Fee", data) == expected_fee(
        compressed_length(data) + SIGNATURE_BYTES
    )


SHARED = [Network.open()]
"""For hypothesis, which wants no fixtures; nobody changes it."""


@pytest.mark.parametrize("length", [12, 13, 14, 15, 16, 31, 32, 33, 262, 263, 264, 8_191, 8_200])
@pytest.mark.parametrize("pattern", [b"\0", b"ab", bytes(range(256))])
def test_edges_of_matches_and_distances(network: Network, length: int, pattern: bytes) -> None:
    data = (pattern * (length // len(pattern) + 1))[:length]
    data += bytes(range(255, 200, -1)) + data[:300]
    expected = estimated_size(compressed_length(data) + SIGNATURE_BYTES) * 16 // 10**6
    assert gas_used(network, data) == expected


def far_apart(distance: int) -> bytes:
    """Eight bytes twice, so far apart, and between them nothing that matches or takes their place in the table."""
    pattern = b"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7"
    taken = {entry_of(three_at(pattern, place)) for place in range(6)}
    data, seen = bytearray(b"\xff\xfe" + pattern), set[int]()
    dice = Random(7)
    while len(data) < distance + 2:
        data.append(dice.randrange(240))
        three = three_at(data, len(data) - 3)
        if three in seen or entry_of(three) in taken:
            data.pop()
        else:
            seen.add(three)
    return bytes(data) + pattern + bytes(range(0xE0, 0xF0))


def test_a_match_lies_less_than_8192_bytes_back(network: Network) -> None:
    """Given the same bytes one step nearer or farther, then only the nearer ones are a match."""
    lengths = [compressed_length(far_apart(distance)) for distance in (8_190, 8_191, 8_192)]
    assert lengths[1] - lengths[0] < 3 < lengths[2] - lengths[1]
    for distance in (8_190, 8_191, 8_192):
        data = far_apart(distance)
        expected = estimated_size(compressed_length(data) + SIGNATURE_BYTES) * 16 // 10**6
        assert gas_used(network, data) == expected


def test_the_longest_input_fits_the_rpc_s_gas(network: Network) -> None:
    """Given 32 KiB that compress badly, then a call answers; one byte more is refused by the decoder."""
    data = b"".join(number.to_bytes(4) for number in range(8_192))
    answer = network.world.read(network.oracle, "getL1Fee", data, gas=CALL_GAS)
    assert answer == expected_fee(compressed_length(data) + SIGNATURE_BYTES)
    with pytest.raises(Reverted, match=r"^\(\)$"):
        network.world.read(network.oracle, "getL1Fee", data + b"\0", gas=CALL_GAS)


def test_the_upper_bound_is_fjord_s(network: Network) -> None:
    for size in (0, 100, 255, 1_000, 30_000):
        padded = size + SIGNATURE_BYTES
        answer = network.world.read(network.oracle, "getL1FeeUpperBound", size)
        assert answer == expected_fee(padded + padded // 255 + 16)


@pytest.mark.parametrize("gas", [0, 1, 21_000, 7_000_000, 2**64, 2**255, 2**256 - 1])
def test_the_operator_fee_is_isthmus_(network: Network, gas: int) -> None:
    product = min(gas * FEES.operator_fee_scalar, 2**256 - 1)
    expected = product // 10**6 + FEES.operator_fee_constant
    assert network.world.read(network.oracle, "getOperatorFee", gas) == expected


def test_the_operator_fee_may_be_nothing() -> None:
    opened = Network.open(storage={addresses.L1_BLOCK: {}})
    assert opened.world.read(opened.oracle, "getOperatorFee", 2**256 - 1) == 0
    assert opened.world.read(opened.oracle, "getL1Fee", TRANSACTION) == 0


def test_other_answers(network: Network) -> None:
    names = (
        "isEcotone",
        "isFjord",
        "isIsthmus",
        "decimals",
        "DECIMALS",
        "l1BaseFee",
        "blobBaseFee",
        "baseFeeScalar",
        "blobBaseFeeScalar",
    )
    answers = [network.world.read(network.oracle, name) for name in names]
    assert answers == [
        True,
        True,
        True,
        6,
        6,
        FEES.l1_base_fee_wei,
        FEES.l1_blob_base_fee_wei,
        FEES.l1_base_fee_scalar,
        FEES.l1_blob_base_fee_scalar,
    ]


@pytest.mark.parametrize("name", ["overhead", "scalar"])
def test_terms_of_earlier_forks_are_refused(network: Network, name: str) -> None:
    with pytest.raises(Reverted) as reverted:
        network.world.read(network.oracle, name)
    message = f"GasPriceOracle: {name}() is deprecated"
    assert message in reverted.value.name
