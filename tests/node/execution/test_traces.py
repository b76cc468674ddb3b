"""Traces and witnesses: geth's recordings, traced calls, and the bounds on hostile ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

import pytest

from node.errors import InvalidCall
from node.eth.hashing import keccak256
from tests.kit.execution_chain import (
    GWEI,
    KEEPER,
    SENDER,
    ExecutionChain,
    address_of,
    header_bytes,
    word,
)
from tests.kit.questions import LOOP, ORIGIN, TOKEN, TREE, encoded
from tests.kit.recorded_chain import Exchange, exchanges, needs_recordings, recorded_chain
from tests.kit.trace_recordings import BLOCKS, OPTIONS, digest_of, recorded_digests
from tests.kit.traced_block import Traced, hex_of, traced_block
from tests.kit.witness_recordings import kinds_of, recorded_witnesses


@pytest.fixture(scope="module")
def traced() -> Traced:
    return traced_block()


# -- recordings


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(one, id=one.name)
        for one in exchanges(
            "debug_traceTransaction", "debug_traceBlockByNumber", "debug_traceBlockByHash"
        )
        if one.result is not None
    ],
)
def test_traces_are_those_recorded(exchange: Exchange) -> None:
    chain, engine = recorded_chain(), recorded_chain().engine
    options = json.dumps(exchange.params[1]).encode() if len(exchange.params) > 1 else b""
    index = None
    if "Transaction/" in exchange.name:
        place = chain.place_of(exchange.params[0])
        assert place is not None
        (block, index), number = place, chain.blocks.index(place[0])
    else:
        found = chain.number_of(exchange.params[0])
        assert found is not None
        number, block = found, chain.blocks[found]
    parent, ancestors = chain.blocks[number - 1].state_root, chain.ancestors(number)

    trace = (
        engine.trace_block(parent, block.block, ancestors, options)
        if index is None
        else engine.trace_transaction(parent, block.block, ancestors, index, options)
    )

    assert json.loads(trace) == exchange.result


def test_the_genesis_block_is_not_traceable() -> None:
    chain = ExecutionChain.open()
    with pytest.raises(InvalidCall, match=r"^genesis is not traceable$"):
        chain.engine.trace_block(chain.head.state_root, chain.head.block, b"", b"{}")


# -- calls and bounds


def test_a_call_is_traced_with_its_overrides(traced: Traced) -> None:
    """Given overrides in the options, when a call is traced, then they count."""
    slot = keccak256(bytes(12) + b"\x11" * 20 + word(0))
    options = {
        "tracer": "callTracer",
        "stateOverrides": {TOKEN: {"stateDiff": {slot: word(43)}}},
        "blockOverrides": {"number": 9},
    }
    call = {"to": TOKEN, "data": b"\x70\xa0\x82\x31" + bytes(12) + b"\x11" * 20}

    trace = traced.call(call, options)

    assert (trace["from"], trace["output"]) == (hex_of(ORIGIN), hex_of(word(43)))
    with pytest.raises(InvalidCall, match=r"^tracing failed: insufficient funds for gas"):
        traced.call({**call, "value": 1}, {"tracer": "callTracer"})


def test_a_call_of_the_next_block_sees_this_ones_hash(traced: Traced) -> None:
    """Given a contract that returns a hash, when traced as of the next block, then it knows this one's."""
    code = {KEEPER: {"code": bytes.fromhex("5f35405f5260205ff3")}}
    options = {"tracer": "callTracer", "stateOverrides": code, "blockOverrides": {"number": 3}}

    newest, older, unknown = (
        traced.call({"to": KEEPER, "data": word(number)}, options)["output"] for number in (2, 1, 3)
    )

    assert newest == hex_of(traced.block.block_hash)
    assert older == hex_of(traced.parent.block_hash)
    assert unknown == hex_of(word(0))


@pytest.mark.parametrize(("index", "nonce"), [(0, 1), (1, 1), (2, 2), (4, 4)])
def test_a_call_within_a_block_sees_what_ran_before(traced: Traced, index: int, nonce: int) -> None:
    """Given a block's transactions, when a call is traced before one, then its state is that one's."""
    prestate = traced.within(
        index, {"from": address_of(SENDER), "to": ORIGIN}, {"tracer": "prestateTracer"}
    )
    sender = cast("dict[str, object]", prestate[hex_of(address_of(SENDER))])
    assert sender["nonce"] == nonce


def test_a_call_within_a_block_may_be_moved_ahead(traced: Traced) -> None:
    """Given a call before a transaction, when it is moved to the next block, then it sees this block's hash."""
    number = len(traced.chain.blocks)
    asks = {hex_of(KEEPER): {"code": f"0x60{number - 1:02x}405f5260205ff3"}}
    options = {"stateOverrides": asks, "tracer": "callTracer"}
    here = traced.within(1, {"to": KEEPER}, options)
    ahead = traced.within(1, {"to": KEEPER}, options | {"blockOverrides": {"number": number}})
    assert here["output"] == hex_of(word(0))
    assert ahead["output"] == hex_of(traced.block.block_hash)


def test_a_call_within_a_block_needs_a_transaction(traced: Traced) -> None:
    words = f"^transaction index 5 out of range for block {hex_of(traced.block.block_hash)}$"
    with pytest.raises(InvalidCall, match=words):
        traced.within(5, {"to": KEEPER}, {})
    with pytest.raises(InvalidCall, match="out of range"):
        traced.within((1 << 64) - 1, {"to": KEEPER}, {})


@pytest.mark.parametrize("options", [{"enableMemory": True}, {"disableStack": True}])
def test_a_trace_that_grows_too_large_is_given_up(
    traced: Traced, options: Mapping[str, object]
) -> None:
    """Given a loop of fifty million gas, when its instructions are traced, then it ends at 64 MiB."""
    with pytest.raises(InvalidCall, match="the answer is larger than 64 MiB"):
        traced.call({"to": LOOP}, {**options, "timeout": "60s"}, gas_cap=1 << 40)


def test_calls_without_end_are_given_up(traced: Traced) -> None:
    options = {"tracer": "callTracer", "timeout": "60s"}
    with pytest.raises(InvalidCall, match="the answer is larger than 64 MiB"):
        traced.call({"to": TREE}, options, gas_cap=1 << 40)


def test_the_deepest_calls_are_traced(traced: Traced) -> None:
    """Given a recursion to the greatest depth, when traced, then every frame is there, the refused one too."""
    recursion = {KEEPER: {"code": bytes.fromhex("5f5f5f5f5f305af100")}}
    head = traced.block

    trace = traced.chain.engine.trace_call(
        head.state_root,
        header_bytes(head.block),
        traced.ancestors,
        encoded({"to": KEEPER}),
        encoded({"tracer": "callTracer", "stateOverrides": recursion}),
        gas_cap=1 << 60,
    )

    assert trace.count(b'"type":"CALL"') == 1_026
    assert trace.count(b'"error":"max call depth exceeded"') == 1


def test_a_trace_ends_at_its_timeout_or_deadline(traced: Traced) -> None:
    """Given an endless loop, when traced, then geth's timeout ends it in geth's words, and a deadline in ours."""
    options = {"tracer": "noopTracer", "timeout": "5ms"}
    with pytest.raises(InvalidCall, match=r"^execution timeout$"):
        traced.call({"to": LOOP}, options, gas_cap=1 << 62)
    with pytest.raises(TimeoutError):
        traced.call({"to": LOOP}, {"tracer": "noopTracer"}, gas_cap=1 << 62, deadline_us=5_000)


# -- witnesses


def test_a_witness_executes_its_block(traced: Traced) -> None:
    """Given a witness, when a block is executed from it alone, then it gives the same block."""
    # Given
    engine = traced.chain.engine
    parent = header_bytes(traced.parent.block)

    # When
    witness = json.loads(engine.execution_witness(parent, traced.block.block, traced.ancestors))

    # Then
    nodes, codes = (
        [bytes.fromhex(one[2:]) for one in witness[name]] for name in ("state", "codes")
    )
    again = engine.stateless(parent, traced.block.block, nodes, codes, [parent])
    assert again.state_root == traced.block.state_root
    assert witness["keys"] == []


def test_gas_prices_do_not_matter_to_a_traced_call(traced: Traced) -> None:
    trace = traced.call({"to": TOKEN, "gas": 50_000}, {"tracer": "callTracer"})
    paid = {"from": address_of(SENDER), "to": TOKEN, "gas": 50_000, "gasPrice": 9 * GWEI}
    assert traced.call(paid, {"tracer": "callTracer"})["gasUsed"] == trace["gasUsed"]


# -- every block by every tracer


FREE_INSTRUCTION: Final = 50
"""Here an instruction runs without any gas; geth shows what it would have cost, we show the gas that was left: none."""


@needs_recordings
@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=lambda one: json.dumps(one)[1:-1].replace('"', ""))
def test_every_block_is_traced_as_geth_does(options: Mapping[str, object]) -> None:
    """Given each block of the recorded chain, when traced, then the whole answer is that of geth 1.17.8."""
    chain, recorded = recorded_chain(), recorded_digests()[json.dumps(options)]
    differing = [
        number
        for number in range(1, BLOCKS + 1)
        if digest_of(
            json.loads(
                chain.engine.trace_block(
                    chain.blocks[number - 1].state_root,
                    chain.blocks[number].block,
                    chain.ancestors(number),
                    json.dumps(options).encode(),
                )
            )
        )
        != recorded[number - 1]
    ]
    assert differing == ([] if "tracer" in options else [FREE_INSTRUCTION])


# -- witnesses of the recorded chain

CREATED: Final[Mapping[int, int]] = {45: 2}
"""Codes that geth counts as read by their number: the block itself created them, so its parent's state lacks them."""


@needs_recordings
def test_every_block_needs_the_witness_that_geth_names() -> None:
    """Given each block of the recorded chain, when its witness is made, then it is geth 1.17.8's, and nothing else is read."""
    # Given
    chain, recorded = recorded_chain(), recorded_witnesses()
    assert len(recorded) == BLOCKS - 8
    created: dict[int, int] = {}
    for number, wanted in recorded.items():
        parent, block = header_bytes(chain.blocks[number - 1].block), chain.blocks[number]

        # When
        witness = json.loads(
            chain.engine.execution_witness(parent, block.block, chain.ancestors(number))
        )

        # Then
        found = kinds_of(witness)
        assert found["state"] == wanted["state"], number
        assert set(found["codes"]) <= set(wanted["codes"]), number
        if len(found["codes"]) != len(wanted["codes"]):
            created[number] = len(wanted["codes"]) - len(found["codes"])
        nodes, codes = (
            [bytes.fromhex(one[2:]) for one in witness[kind]] for kind in ("state", "codes")
        )
        again = chain.engine.stateless(parent, block.block, nodes, codes, [parent])
        assert again.state_root == block.state_root
    assert created == CREATED
