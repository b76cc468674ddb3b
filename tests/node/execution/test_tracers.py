"""geth's native tracers on nested calls, and their options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import pytest

from node.errors import InvalidCall
from node.eth.hashing import keccak256
from tests.kit.execution_chain import (
    KEEPER,
    PROPOSER,
    SENDER,
    address_of,
    word,
)
from tests.kit.questions import SHA256
from tests.kit.traced_block import CHILD, ENDER, PARENT, REASON, Traced, hex_of, traced_block


@pytest.fixture(scope="module")
def traced() -> Traced:
    return traced_block()


def test_calls_are_nested_as_geth_nests_them(traced: Traced) -> None:
    """Given nested calls with logs, when traced, then failed ones have reasons and no logs, and logs count block-wide."""
    # When
    trace = cast(
        "dict[str, object]",
        traced.transaction(1, {"tracer": "callTracer", "tracerConfig": {"withLog": True}}),
    )

    # Then
    child, precompiled = cast("list[dict[str, object]]", trace.pop("calls"))
    gas = {name: child.pop(name) for name in ("gas", "gasUsed")}
    assert int(cast("str", gas["gas"]), 16) > int(cast("str", gas["gasUsed"]), 16) > 0
    assert child == {
        "type": "CALL",
        "from": hex_of(PARENT),
        "to": hex_of(CHILD),
        "input": "0x",
        "output": hex_of(REASON),
        "error": "execution reverted",
        "revertReason": "no",
        "value": "0x1",
    }
    assert (precompiled["type"], precompiled["to"]) == ("STATICCALL", hex_of(SHA256))
    assert "value" not in precompiled
    log = {"address": hex_of(PARENT), "topics": [], "data": "0x"}
    receipt = json.loads(traced.chain.engine.receipt_json(traced.block.block, traced.block.receipts, 1))  # fmt: skip
    assert trace == {
        "type": "CALL",
        "from": hex_of(address_of(SENDER)),
        "to": hex_of(PARENT),
        "input": hex_of(b"\x01\x02\x03\x04rest"),
        "gas": hex(200_000),
        "gasUsed": receipt["gasUsed"],
        "value": "0x0",
        "logs": [
            {**log, "index": "0x2", "position": "0x0"},
            {**log, "index": "0x3", "position": "0x2"},
        ],
    }


def test_only_the_outermost_call(traced: Traced) -> None:
    options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
    assert "calls" not in cast("dict[str, object]", traced.transaction(1, options))


def test_a_destruction_is_a_call(traced: Traced) -> None:
    trace = cast("dict[str, object]", traced.transaction(4, {"tracer": "callTracer"}))
    assert trace["calls"] == [
        {
            "type": "SELFDESTRUCT",
            "from": hex_of(ENDER),
            "to": hex_of(PROPOSER),
            "gas": "0x0",
            "gasUsed": "0x0",
            "input": "0x",
            "value": "0x7",
        }
    ]


def test_who_leaves_all_to_himself_ends_too(traced: Traced) -> None:
    """Given a contract that is its own heir, when traced, then that is a frame with its own ether, not one of another transfer's."""
    overrides = {KEEPER: {"code": bytes.fromhex("30ff"), "balance": 9}}
    call = {"from": address_of(SENDER), "to": KEEPER, "value": 5}
    for tracer in ("callTracer", "erc7562Tracer"):
        trace = traced.call(call, {"tracer": tracer, "stateOverrides": overrides})
        (end,) = cast("list[dict[str, object]]", trace["calls"])
        assert {name: end[name] for name in ("type", "from", "to", "value", "gas", "input")} == {
            "type": "SELFDESTRUCT",
            "from": hex_of(KEEPER),
            "to": hex_of(KEEPER),
            "value": "0xe",
            "gas": "0x0",
            "input": "0x",
        }


def test_flat_calls_leave_precompiles_out(traced: Traced) -> None:
    """Given nested calls, when flattened, then each says where it stands, and precompiles only show if asked for."""
    # When
    plain = cast("list[dict[str, object]]", traced.transaction(1, {"tracer": "flatCallTracer"}))
    config = {"includePrecompiles": True, "convertParityErrors": True}
    whole = cast(
        "list[dict[str, object]]",
        traced.transaction(1, {"tracer": "flatCallTracer", "tracerConfig": config}),
    )

    # Then
    assert [one["traceAddress"] for one in plain] == [[], [0]]
    assert [one["traceAddress"] for one in whole] == [[], [0], [1]]
    assert [one.get("error") for one in plain] == [None, "execution reverted"]
    assert [one.get("error") for one in whole] == [None, "Reverted", None]
    assert [one["subtraces"] for one in plain] == [1, 0]
    outermost = plain[0]
    assert {name: outermost[name] for name in outermost if name not in ("action", "result")} == {
        "blockHash": hex_of(traced.block.block_hash),
        "blockNumber": 2,
        "subtraces": 1,
        "traceAddress": [],
        "transactionHash": hex_of(traced.block.transaction_hashes[1]),
        "transactionPosition": 1,
        "type": "call",
    }
    created = cast("list[dict[str, dict[str, object]]]", traced.transaction(3, {"tracer": "flatCallTracer"}))  # fmt: skip
    assert created[0]["action"]["creationMethod"] == "create"
    assert created[0]["result"]["code"] == "0x01"


def test_selectors_are_counted(traced: Traced) -> None:
    assert traced.transaction(1, {"tracer": "4byteTracer"}) == {"0x01020304-4": 1}


def test_the_state_before_holds_what_was_read(traced: Traced) -> None:
    """Given a store, when its prestate is traced, then accounts stand as they were, empty ones left out."""
    # When
    before = cast(
        "dict[str, dict[str, object]]", traced.transaction(2, {"tracer": "prestateTracer"})
    )

    # Then
    code = bytes.fromhex("6020355f355500")
    assert before[hex_of(KEEPER)] == {
        "balance": "0x0",
        "code": hex_of(code),
        "codeHash": hex_of(keccak256(code)),
        "storage": {hex_of(word(1)): hex_of(word(0))},
    }
    assert before[hex_of(address_of(SENDER))]["nonce"] == 2
    assert set(before) == {hex_of(KEEPER), hex_of(address_of(SENDER)), hex_of(PROPOSER)}


def test_the_difference_holds_what_has_changed(traced: Traced) -> None:
    """Given a store, when its difference is traced, then only new values stand after and only old ones before."""
    config = {"diffMode": True, "disableCode": True}

    difference = cast(
        "dict[str, dict[str, dict[str, object]]]",
        traced.transaction(2, {"tracer": "prestateTracer", "tracerConfig": config}),
    )

    assert difference["post"][hex_of(KEEPER)] == {"storage": {hex_of(word(1)): hex_of(word(2))}}
    assert "storage" not in difference["pre"][hex_of(KEEPER)]
    assert difference["post"][hex_of(address_of(SENDER))]["nonce"] == 3
    created = cast(
        "dict[str, dict[str, dict[str, object]]]",
        traced.transaction(3, {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}),
    )
    (new,) = set(created["post"]) - set(created["pre"])
    assert created["post"][new] == {
        "code": "0x01",
        "codeHash": hex_of(keccak256(b"\x01")),
        "nonce": 1,
    }


def test_many_tracers_at_once_give_what_each_gives(traced: Traced) -> None:
    config: dict[str, object] = {
        "callTracer": {"withLog": True},
        "prestateTracer": None,
        "4byteTracer": None,
        "flatCallTracer": {},
        "noopTracer": None,
        "erc7562Tracer": {"withLog": True},
        "keccak256PreimageTracer": None,
        "opcountTracer": None,
        "bigramTracer": {},
    }

    together = traced.transaction(1, {"tracer": "muxTracer", "tracerConfig": config})

    assert together == {
        name: traced.transaction(1, {"tracer": name, "tracerConfig": options})
        for name, options in config.items()
    }


def test_a_block_is_traced_transaction_by_transaction(traced: Traced) -> None:
    options = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}

    traces = traced.all(options)

    assert traces == [
        {"txHash": hex_of(transaction), "result": traced.transaction(index, options)}
        for index, transaction in enumerate(traced.block.transaction_hashes)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracer": "fooTracer"}, "ReferenceError: fooTracer is not defined at <eval>:1:2(0)"),
        (
            {"tracer": "{step: function() {}}"},
            "tracers written in JavaScript are not supported",
        ),
        (
            {"tracer": "callTracerLegacy"},
            "callTracerLegacy is written in JavaScript, which is not supported",
        ),
        (
            {"tracer": "erc7562Tracer", "tracerConfig": {"stackTopItemsSize": -1}},
            "tracerConfig: stackTopItemsSize is below zero",
        ),
        (
            {"tracer": "erc7562Tracer", "tracerConfig": {"ignoredOpcodes": ["54"]}},
            "tracerConfig: hex string without 0x prefix",
        ),
        (
            {"tracer": "muxTracer", "tracerConfig": {"fooTracer": {}}},
            "ReferenceError: fooTracer is not defined at <eval>:1:2(0)",
        ),
        (
            {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True, "includeEmpty": True}},
            "cannot use diffMode with includeEmpty",
        ),
        ({"timeout": "soon"}, 'time: invalid duration "soon"'),
        (
            {"enableMemory": "yes"},
            'invalid argument 1: enableMemory: invalid type: string "yes", expected a boolean',
        ),
    ],
)
def test_options_are_refused_before_anything_runs(
    traced: Traced, options: Mapping[str, object], message: str
) -> None:
    with pytest.raises(InvalidCall) as caught:
        traced.transaction(0, options)
    assert str(caught.value) == message
