"""Calls as wallets write them, and as nobody should: every wrong shape is refused and names its field."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import InvalidCall, MissingState
from tests.kit.execution_chain import (
    SENDER,
    ExecutionChain,
    word,
)
from tests.kit.questions import (
    ACCOUNTS,
    GAS_CAP,
    LOOP,
    TOKEN,
    Asked,
)

# -- shapes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('{"gas": 5}', "gas: invalid type: integer `5`, expected a hex string"),
        ('{"gas": "5"}', "gas: hex string without 0x prefix"),
        ('{"gas": "0x"}', 'gas: hex string "0x"'),
        ('{"gas": "0x05"}', "gas: hex number with leading zero digits"),
        ('{"gas": "0x10000000000000000"}', "gas: hex number > 64 bits"),
        ('{"value": "0x1%s"}' % ("0" * 64), "value: hex number > 256 bits"),
        ('{"value": "0xg"}', "value: invalid hex string"),
        ('{"data": "0x1"}', "data: hex string of odd length"),
        ('{"input": "0xgg"}', "input: invalid hex string"),
        ('{"to": "0x12"}', "to: hex string has length 2, want 40"),
        ('{"to": ""}', "to: hex string has length 0, want 40"),
        ('{"from": {}}', "from: invalid type: map, expected a hex string"),
        ('{"accessList": [{"address": "0x1"}]}', "accessList: address: hex string has length 1, want 40"),
        ('{"accessList": [{}]}', "accessList.address: missing required field"),
        ('{"authorizationList": [{}]}', "authorizationList.chainId: missing required field"),
        ("[]", "invalid type: sequence, expected an object"),
        ('"0x"', 'invalid type: string "0x", expected an object'),
        ("{", "EOF while parsing an object"),
    ],
)  # fmt: skip
def test_a_wrong_shape_names_its_field(asked: Asked, call: str, message: str) -> None:
    engine, head = asked.chain.engine, asked.chain.head
    with pytest.raises(InvalidCall) as caught:
        engine.call(head.state_root, asked.chain.header, b"", call.encode(), gas_cap=GAS_CAP)

    assert str(caught.value) == f"invalid argument 0: {message}"
    assert caught.value.code == -32602


def test_overrides_of_a_wrong_shape_name_their_place(asked: Asked) -> None:
    with pytest.raises(InvalidCall, match=r"^invalid argument 2: balance: invalid hex string$"):
        asked.call({"to": TOKEN}, state={TOKEN: {"balance": "0xz"}})
    with pytest.raises(InvalidCall, match=r"^invalid argument 3: time: hex number > 64 bits$"):
        asked.call({"to": TOKEN}, block={"time": 1 << 64})


def test_unknown_fields_are_passed_over(asked: Asked) -> None:
    assert asked.call({"to": TOKEN, "type": "0x2", "nonce": 7, "kzg": []}).status == "success"


# -- anything


def numbers() -> st.SearchStrategy[str]:
    edges = [0, 1, 20_999, 21_000, 2**64 - 1, 2**64, 2**128, 2**255, 2**256 - 1]
    return st.one_of(st.sampled_from(edges), st.integers(0, 2**256 - 1)).map(hex)


def addresses() -> st.SearchStrategy[str]:
    known = [SENDER.address, "0x" + TOKEN.hex(), "0x" + LOOP.hex(), "0x" + word(2)[12:].hex()]
    return st.one_of(
        st.sampled_from(known),
        st.binary(min_size=20, max_size=20).map(lambda data: "0x" + data.hex()),
    )


def hex_bytes(size: int) -> st.SearchStrategy[str]:
    return st.binary(max_size=size).map(lambda data: "0x" + data.hex())


def words() -> st.SearchStrategy[str]:
    return st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())


CALLS: Final = st.fixed_dictionaries(
    {},
    optional={
        "from": addresses(),
        "to": addresses() | st.none(),
        "gas": numbers(),
        "gasPrice": numbers(),
        "maxFeePerGas": numbers(),
        "maxPriorityFeePerGas": numbers(),
        "value": numbers(),
        "nonce": numbers(),
        "data": hex_bytes(80),
        "input": hex_bytes(80) | st.integers(),
        "chainId": st.sampled_from(["0x384", "0x1"]),
        "accessList": st.lists(
            st.fixed_dictionaries(
                {}, optional={"address": addresses(), "storageKeys": st.lists(words())}
            ),
            max_size=2,
        ),
        "maxFeePerBlobGas": numbers(),
        "blobVersionedHashes": st.lists(words(), max_size=7),
        "authorizationList": st.lists(
            st.fixed_dictionaries(
                {
                    "chainId": numbers(),
                    "address": addresses(),
                    "nonce": numbers(),
                    "yParity": st.sampled_from(["0x0", "0x1", "0x2", "0x100"]),
                    "r": numbers(),
                    "s": numbers(),
                }
            ),
            max_size=2,
        ),
    },
)

STATES: Final = st.dictionaries(
    addresses(),
    st.fixed_dictionaries(
        {},
        optional={
            "nonce": numbers(),
            "balance": numbers(),
            "code": hex_bytes(40) | st.just("0xef0100" + "11" * 20) | st.just("0xef01"),
            "state": st.dictionaries(words(), words(), max_size=2),
            "stateDiff": st.dictionaries(words(), words(), max_size=2),
            "movePrecompileToAddress": addresses(),
        },
    ),
    max_size=3,
)

BLOCKS: Final = st.fixed_dictionaries(
    {},
    optional={
        "number": numbers(),
        "time": numbers(),
        "gasLimit": numbers(),
        "baseFeePerGas": numbers(),
        "blobBaseFee": numbers(),
        "prevRandao": words(),
        "feeRecipient": addresses(),
    },
)

HOSTILE: Final = ExecutionChain.open(extra_accounts=ACCOUNTS)


@given(call=CALLS, state=STATES, block=BLOCKS)
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_is_answered_or_refused(
    call: dict[str, object], state: dict[str, object], block: dict[str, object]
) -> None:
    """Given any call and overrides, when asked, then the answer is a result or a refusal, never another exception."""
    arguments = (
        HOSTILE.head.state_root,
        HOSTILE.header,
        HOSTILE.ancestors[32:],
        json.dumps(call).encode(),
    )
    overrides, fields = json.dumps(state).encode(), json.dumps(block).encode()
    engine = HOSTILE.engine
    for ask in (
        lambda: engine.call(*arguments, gas_cap=10**6, state_overrides=overrides, block_overrides=fields).status,
        lambda: engine.estimate_gas(*arguments, gas_cap=10**6, state_overrides=overrides, block_overrides=fields).status,
        lambda: engine.access_list(*arguments, gas_cap=10**6, state_overrides=overrides),
        lambda: engine.trace_call(*arguments, json.dumps({"stateOverrides": state, "blockOverrides": block, "tracer": "callTracer"}).encode(), gas_cap=10**5),
    ):  # fmt: skip
        with suppress(InvalidCall, MissingState):
            assert ask()


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_call_are_refused(call: bytes) -> None:
    with pytest.raises(InvalidCall) as caught:
        HOSTILE.engine.call(
            HOSTILE.head.state_root, HOSTILE.header, b"", b"\xff" + call, gas_cap=GAS_CAP
        )
    assert caught.value.code == -32602
