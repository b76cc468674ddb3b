"""Arguments: what is accepted, and geth's words for what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.jsonrpc import RpcError
from node.rpc.parameters import BlockHash, Params, Tag
from tests.node.rpc.test_jsonrpc import refusal

HASH = "0x" + "ab" * 32
ADDRESS = "0x" + "cd" * 20

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=80)
    | st.text(alphabet="0123456789abcdefxX ", max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=6,
)

READERS: list[Callable[[Params, int], object]] = [
    parameters.address,
    parameters.hash32,
    parameters.data,
    parameters.quantity,
    parameters.decimal_or_hex,
    parameters.block_id,
    parameters.block_number,
    parameters.boolean,
    parameters.text,
    lambda params, index: parameters.json_object(params, index, "T"),
    lambda params, index: parameters.storage_key(parameters.required(params, index), index),
]


@given(st.sampled_from(READERS), ANYTHING)
def test_a_reader_gives_a_value_or_an_error_for_the_caller(
    reader: Callable[[Params, int], object], value: object
) -> None:
    refused = refusal(lambda: reader([value], 0))
    assert refused is None or refused.code in (-32602, -32000)


@given(st.binary(max_size=64))
def test_bytes_survive(given_bytes: bytes) -> None:
    assert parameters.data(["0x" + given_bytes.hex()], 0) == given_bytes


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive(number: int) -> None:
    assert parameters.quantity([hex(number)], 0) == number
    assert parameters.decimal_or_hex([hex(number)], 0) == number


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (parameters.address, None, "missing value for required argument 0"),
        (
            parameters.address,
            5,
            "invalid argument 0: json: cannot unmarshal non-string into Go value of type "
            "common.Address",
        ),
        (
            parameters.address,
            "cd" * 20,
            "invalid argument 0: json: cannot unmarshal hex string without 0x prefix into Go "
            "value of type common.Address",
        ),
        (
            parameters.address,
            "0x" + "cd" * 19 + "c",
            "invalid argument 0: json: cannot unmarshal hex string of odd length into Go value "
            "of type common.Address",
        ),
        (
            parameters.address,
            "0x" + "cd" * 19,
            "invalid argument 0: hex string has length 38, want 40 for common.Address",
        ),
        (
            parameters.address,
            "0x" + "zz" * 20,
            "invalid argument 0: json: cannot unmarshal invalid hex string into Go value of type "
            "common.Address",
        ),
        (
            parameters.address,
            "0x" + "cd" * 19 + "  ",
            "invalid argument 0: json: cannot unmarshal invalid hex string into Go value of type "
            "common.Address",
        ),
        (
            parameters.hash32,
            "0x01",
            "invalid argument 0: hex string has length 2, want 64 for common.Hash",
        ),
        (
            parameters.quantity,
            "0x01",
            "invalid argument 0: json: cannot unmarshal hex number with leading zero digits into "
            "Go value of type hexutil.Uint64",
        ),
        (
            parameters.quantity,
            "0x",
            'invalid argument 0: json: cannot unmarshal hex string "0x" into Go value of type '
            "hexutil.Uint64",
        ),
        (parameters.block_number, "2", "invalid argument 0: hex string without 0x prefix"),
        (parameters.block_number, 2, "invalid argument 0: hex string without 0x prefix"),
        (parameters.block_number, "", "invalid argument 0: empty hex string"),
        (
            parameters.block_number,
            "0x10000000000000000",
            "invalid argument 0: hex number > 64 bits",
        ),
        (
            parameters.block_number,
            "0xffffffffffffffff",
            "invalid argument 0: block number larger than int64",
        ),
        (
            parameters.block_id,
            {"blockHash": HASH, "blockNumber": "0x1"},
            "invalid argument 0: cannot specify both BlockHash and BlockNumber, choose one or the "
            "other",
        ),
        (
            parameters.block_id,
            {},
            "invalid argument 0: must specify either BlockHash or BlockNumber",
        ),
        (
            parameters.boolean,
            "true",
            "invalid argument 0: json: cannot unmarshal string into Go value of type bool",
        ),
        (
            parameters.decimal_or_hex,
            "9" * 5_000,
            f'invalid argument 0: invalid hex or decimal integer "{"9" * 80}"',
        ),
    ],
)
def test_complaints_are_those_of_geth(
    reader: Callable[[Params, int], object], value: object, message: str
) -> None:
    with pytest.raises(RpcError) as refused:
        reader([value], 0)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("value", "block_id"),
    [
        (None, Tag.LATEST),
        ("latest", Tag.LATEST),
        ("safe", Tag.SAFE),
        ("finalized", Tag.FINALIZED),
        ("pending", Tag.PENDING),
        ("earliest", Tag.EARLIEST),
        ("0x0", 0),
        ("0x1f", 31),
        (HASH, BlockHash(Hash32(b"\xab" * 32))),
        ({"blockHash": HASH}, BlockHash(Hash32(b"\xab" * 32))),
        (
            {"blockHash": HASH, "requireCanonical": True},
            BlockHash(Hash32(b"\xab" * 32), require_canonical=True),
        ),
        ({"blockNumber": "0x2"}, 2),
        ({"blockNumber": "safe"}, Tag.SAFE),
    ],
)
def test_blocks_are_named_in_every_way(value: object, block_id: object) -> None:
    assert parameters.block_id([value], 0) == block_id


def test_the_list_of_arguments_is_checked() -> None:
    assert parameters.positional(None, 1) == ()
    with pytest.raises(RpcError, match=r"^non-array args$"):
        parameters.positional({"a": 1}, 1)
    with pytest.raises(RpcError, match=r"^too many arguments, want at most 1$"):
        parameters.positional([1, 2], 1)
    with pytest.raises(RpcError, match=r"^missing value for required argument 3$"):
        parameters.address([], 3)


@pytest.mark.parametrize(
    ("given_key", "slot", "length"),
    [("0x0", bytes(32), 1), ("1", bytes(31) + b"\x01", 1), (HASH, b"\xab" * 32, 32)],
)
def test_storage_keys_may_be_short(given_key: str, slot: bytes, length: int) -> None:
    assert parameters.storage_key(given_key, 0) == (slot, length)


def test_objects_nested_too_deeply_are_refused_not_crashed_on() -> None:
    nested: object = {}
    for _ in range(400):
        nested = {"a": nested}
    with pytest.raises(RpcError, match=r"^invalid argument 0: "):
        parameters.json_object([nested], 0, "T")
