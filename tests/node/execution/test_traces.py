"""Traces and witnesses: geth's recordings, its native tracers on nested calls, and the bounds on hostile ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import pytest

from node.errors import InvalidCall
from node.eth.hashing import keccak256
from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    DEPOSITOR,
    GWEI,
    KEEPER,
    PROPOSER,
    SENDER,
    ExecutionChain,
    address_of,
    header_bytes,
    sign,
    word,
)
from tests.kit.recorded_chain import Exchange, exchanges, needs_recordings, recorded_chain
from tests.kit.simulations import ACCOUNTS, LOOP, ORIGIN, SHA256, TOKEN, TREE, encoded

PARENT: Final = bytes([0x50] * 20)
"""Logs, calls CHILD with one wei, calls SHA-256, then logs again."""

CHILD: Final = bytes([0x43] * 20)
"""Logs and reverts with Error("no")."""

ENDER: Final = bytes([0x45] * 20)
"""Destroys itself in favour of PROPOSER."""

REASON: Final = bytes.fromhex("08c379a0") + word(32) + word(2) + b"no".ljust(32, b"\0")
"""Solidity's Error("no")."""

LOG: Final = "5f5fa0"

TRACED: Final[Mapping[str, object]] = dict(ACCOUNTS) | {
    "0x" + PARENT.hex(): {
        "balance": "0x5",
        "code": f"0x{LOG}5f5f5f5f600173{CHILD.hex()}5af15060205f60205f60025afa50{LOG}00",
    },
    "0x" + CHILD.hex(): {
        "balance": "0x0",
        # The reason stands behind the code, which is 15 bytes long.
        "code": f"0x{LOG}6064600f60003960645ffd00{REASON.hex()}",
    },
    "0x" + ENDER.hex(): {"balance": "0x7", "code": f"0x73{PROPOSER.hex()}ff"},
}


@dataclass(frozen=True, slots=True)
class Traced:
    """A block on a chain, and its parent's state."""

    chain: ExecutionChain
    parent: BlockResult
    block: BlockResult

    @property
    def ancestors(self) -> bytes:
        return self.parent.block_hash + self.chain.blocks[0].block_hash

    def transaction(
        self,
        index: int,
        options: Mapping[str, object] | None = None,
        *,
        deadline_us: int | None = None,
    ) -> object:
        trace = self.chain.engine.trace_transaction(
            self.parent.state_root,
            self.block.block,
            self.ancestors,
            index,
            b"" if options is None else json.dumps(options).encode(),
            deadline_us=deadline_us,
        )
        return cast("object", json.loads(trace))

    def all(self, options: Mapping[str, object]) -> list[dict[str, object]]:
        trace = self.chain.engine.trace_block(
            self.parent.state_root, self.block.block, self.ancestors, json.dumps(options).encode()
        )
        return cast("list[dict[str, object]]", json.loads(trace))

    def call(
        self, arguments: Mapping[str, object], options: Mapping[str, object], **limits: int
    ) -> dict[str, object]:
        trace = self.chain.engine.trace_call(
            self.block.state_root,
            header_bytes(self.block.block),
            self.ancestors,
            encoded(dict(arguments)),
            encoded(dict(options)),
            **limits,
        )
        return cast("dict[str, object]", json.loads(trace))


@pytest.fixture(scope="module")
def traced() -> Traced:
    """A log, nested calls, a store and a creation, after a block of its own."""
    chain = ExecutionChain.open(extra_accounts=TRACED)
    parent = chain.grow([sign(SENDER, nonce=0)])
    block = chain.grow(
        [
            sign(DEPOSITOR, nonce=0, to=PARENT, gas=200_000),
            sign(SENDER, nonce=1, to=PARENT, data=b"\x01\x02\x03\x04rest", gas=200_000),
            sign(SENDER, nonce=2, to=KEEPER, data=word(1) + word(2), gas=100_000),
            sign(SENDER, nonce=3, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=99_000),
            sign(SENDER, nonce=4, to=ENDER, gas=99_000),
        ]
    )
    return Traced(chain, parent, block)


def hex_of(address: bytes) -> str:
    return "0x" + address.hex()


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


# -- tracers


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


# -- instructions


def test_instructions_show_what_was_asked_for(traced: Traced) -> None:
    """Given a store, when its instructions are traced, then each shows stack, memory and storage before it."""
    plain = cast("dict[str, object]", traced.transaction(2))

    assert (plain["failed"], plain["returnValue"]) == (False, "0x")
    assert plain["structLogs"] == [
        {"pc": 0, "op": "PUSH1", "gas": 78_720, "gasCost": 3, "depth": 1, "stack": []},
        {"pc": 2, "op": "CALLDATALOAD", "gas": 78_717, "gasCost": 3, "depth": 1, "stack": ["0x20"]},
        {"pc": 3, "op": "PUSH0", "gas": 78_714, "gasCost": 2, "depth": 1, "stack": ["0x2"]},
        {"pc": 4, "op": "CALLDATALOAD", "gas": 78_712, "gasCost": 3, "depth": 1, "stack": ["0x2", "0x0"]},
        {
            "pc": 5, "op": "SSTORE", "gas": 78_709, "gasCost": 22_100, "depth": 1,
            "stack": ["0x2", "0x1"], "storage": {hex_of(word(1)): hex_of(word(2))},
        },
        {"pc": 6, "op": "STOP", "gas": 56_609, "gasCost": 0, "depth": 1, "stack": []},
    ]  # fmt: skip
    bare = cast(
        "dict[str, list[dict[str, object]]]",
        traced.transaction(2, {"disableStack": True, "disableStorage": True}),
    )
    assert bare["structLogs"][4] == {
        "pc": 5,
        "op": "SSTORE",
        "gas": 78_709,
        "gasCost": 22_100,
        "depth": 1,
    }
    short = cast("dict[str, list[object]]", traced.transaction(2, {"limit": 100}))
    assert len(short["structLogs"]) == 2


def test_deeper_instructions_tell_their_depth(traced: Traced) -> None:
    trace = cast(
        "dict[str, list[dict[str, object]]]",
        traced.transaction(1, {"enableMemory": True, "enableReturnData": True}),
    )
    logs = trace["structLogs"]
    assert {log["depth"] for log in logs} == {1, 2}
    reverted = next(log for log in logs if log["op"] == "REVERT")
    assert "".join(one[2:] for one in cast("list[str]", reverted["memory"]))[:200] == REASON.hex()
    after = logs[logs.index(reverted) + 1]
    assert (after["depth"], after["returnData"]) == (1, hex_of(REASON))


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


@pytest.mark.parametrize("options", [{"enableMemory": True}, {"disableStack": True}])
def test_a_trace_that_grows_too_large_is_given_up(
    traced: Traced, options: Mapping[str, object]
) -> None:
    """Given a loop of fifty million gas, when its instructions are traced, then it ends at 64 MiB."""
    with pytest.raises(InvalidCall, match="exceeds its largest size"):
        traced.call({"to": LOOP}, options, gas_cap=1 << 40)


def test_calls_without_end_are_given_up(traced: Traced) -> None:
    with pytest.raises(InvalidCall, match="exceeds its largest size"):
        traced.call({"to": TREE}, {"tracer": "callTracer"}, gas_cap=1 << 40)


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
