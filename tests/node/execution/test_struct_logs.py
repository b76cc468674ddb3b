"""geth's default tracer, instruction by instruction."""

from __future__ import annotations

from typing import cast

import pytest

from tests.kit.execution_chain import (
    KEEPER,
    word,
)
from tests.kit.traced_block import REASON, Traced, hex_of, traced_block


@pytest.fixture(scope="module")
def traced() -> Traced:
    return traced_block()


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


def test_a_creation_without_code_runs_nothing(traced: Traced) -> None:
    """Given creations without code, outermost and within, when traced, then they leave no instruction, as in geth."""
    assert traced.call({}, {})["structLogs"] == []
    creates = {hex_of(KEEPER): {"code": "0x5f5f5ff0"}}
    inner = traced.call({"to": KEEPER}, {"stateOverrides": creates})
    steps = cast("list[dict[str, object]]", inner["structLogs"])
    assert [(step["op"], step["depth"]) for step in steps] == [
        *[("PUSH0", 1)] * 3,
        ("CREATE", 1),
        ("STOP", 1),
    ]
