"""The ABI's encoding: equal to eth-abi's, one to one, total on hostile bytes."""

from __future__ import annotations

from enum import StrEnum

import eth_abi.abi
import pytest
from hypothesis import given, settings, strategies as st

from node.contracts.abi import AbiReason, Value, decode, encode, encode_call, kinds_of, selector
from node.errors import Rejected

SCALARS: dict[str, st.SearchStrategy[Value]] = {
    "uint8": st.integers(0, 2**8 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20),
    "bytes4": st.binary(min_size=4, max_size=4),
    "bytes32": st.binary(min_size=32, max_size=32),
}

KINDS: dict[str, st.SearchStrategy[Value]] = {
    **SCALARS,
    "bytes": st.binary(max_size=100),
    "bytes[]": st.lists(st.binary(max_size=70), max_size=4).map(tuple),
    **{f"{kind}[]": st.lists(scalar, max_size=4).map(tuple) for kind, scalar in SCALARS.items()},
    "(uint64,bytes32)": st.tuples(SCALARS["uint64"], SCALARS["bytes32"]),
    "(address,bytes,(uint8,bool))": st.tuples(
        SCALARS["address"],
        st.binary(max_size=40),
        st.tuples(SCALARS["uint8"], SCALARS["bool"]),
    ),
    "(uint256,bytes)[]": st.lists(
        st.tuples(SCALARS["uint256"], st.binary(max_size=40)), max_size=3
    ).map(tuple),
    "(uint8,address)[]": st.lists(st.tuples(SCALARS["uint8"], SCALARS["address"]), max_size=3).map(
        tuple
    ),
}

ARGUMENTS = st.lists(st.sampled_from(sorted(KINDS)), max_size=6).flatmap(
    lambda kinds: st.tuples(st.just(tuple(kinds)), st.tuples(*(KINDS[kind] for kind in kinds)))
)


@given(ARGUMENTS)
def test_encoding_is_eth_abi_s(arguments: tuple[tuple[str, ...], tuple[Value, ...]]) -> None:
    kinds, values = arguments
    encoded = encode(kinds, values)
    assert encoded == eth_abi.abi.encode(kinds, values)
    assert decode(kinds, encoded) == values


@given(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=4),
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.integers(0, 200), max_size=12).map(
            lambda words: b"".join(word.to_bytes(32) for word in words)
        ),
    ),
)
@settings(max_examples=300)
def test_decoding_is_total_and_one_to_one(kinds: list[str], data: bytes) -> None:
    """Given any bytes, then they are refused, or are exactly what their values encode to."""
    answer = attempt(kinds, data)
    assert isinstance(answer, AbiReason) or encode(kinds, answer) == data


def attempt(kinds: list[str], data: bytes) -> tuple[Value, ...] | StrEnum:
    """The values, or why there are none."""
    try:
        return decode(kinds, data)
    except Rejected as rejected:
        return rejected.reason


@pytest.mark.parametrize(
    ("kinds", "words", "reason"),
    [
        (("uint8",), [256], AbiReason.PADDING),
        (("bool",), [2], AbiReason.PADDING),
        (("address",), [1 << 160], AbiReason.PADDING),
        (("bytes4",), [1], AbiReason.PADDING),
        (("bytes",), [32, 1, 1], AbiReason.PADDING),
        (("bytes",), [64, 0], AbiReason.OFFSET),
        (("bytes",), [32, 2**255], AbiReason.LENGTH),
        (("bytes",), [32, 33, 0], AbiReason.LENGTH),
        (("bytes[]",), [32, 1_025], AbiReason.LENGTH),
        (("uint256[]",), [32, 1_024], AbiReason.LENGTH),
        (("uint256",), [], AbiReason.LENGTH),
        (("uint256",), [1, 1], AbiReason.LENGTH),
    ],
)
def test_refusals_are_named(kinds: tuple[str, ...], words: list[int], reason: AbiReason) -> None:
    with pytest.raises(Rejected) as rejected:
        decode(kinds, b"".join(word.to_bytes(32) for word in words))
    assert rejected.value.reason == reason


@pytest.mark.parametrize(
    ("kinds", "values"),
    [
        (("uint8",), (256,)),
        (("uint8",), (-1,)),
        (("uint8",), (b"\x01",)),
        (("bool",), (2,)),
        (("address",), (bytes(19),)),
        (("bytes4",), (bytes(5),)),
        (("bytes",), (5,)),
        (("bytes[]",), (b"",)),
        (("string",), (5,)),
        (("int8",), (1,)),
        (("uint8",), ()),
    ],
)
def test_values_that_do_not_fit_are_refused(
    kinds: tuple[str, ...], values: tuple[Value, ...]
) -> None:
    with pytest.raises(ValueError, match=r"kind|fit|bytes|list"):
        encode(kinds, values)


def test_signatures() -> None:
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert kinds_of("burn()") == ()
    assert encode_call("burn()") == selector("burn()")
    assert kinds_of("f(bytes[],uint8)") == ("bytes[]", "uint8")
