"""What bundlers ask of a validation (erc7562Tracer), what was hashed, and which instructions ran, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import pytest

from node.errors import InvalidCall
from node.eth.hashing import keccak256
from tests.kit.execution_chain import KEEPER, word
from tests.kit.questions import TOKEN
from tests.kit.traced_block import CHILD, Traced, hex_of, traced_block

Frame = dict[str, object]


@pytest.fixture(scope="module")
def traced() -> Traced:
    return traced_block()


def validation(traced: Traced, code: str, config: Mapping[str, object] | None = None) -> Frame:
    """The trace of a call of code."""
    overrides = {KEEPER: {"code": bytes.fromhex(code), "stateDiff": {word(1): word(7)}}}
    options = {
        "tracer": "erc7562Tracer",
        "stateOverrides": overrides,
        "tracerConfig": dict(config or {}),
    }
    return traced.call({"to": KEEPER, "gas": 200_000}, options)


def test_slots_are_told_as_they_were_before(traced: Traced) -> None:
    """Given reads and writes, when traced, then what stood in a slot shows only where it was read first."""
    # Reads 1, writes 1 and 2, reads both, and the same of transient storage.
    trace = validation(traced, "600154506009600155600960025560015450600254506009600c5d600c5c50")

    assert trace["accessedSlots"] == {
        "reads": {hex_of(word(1)): [hex_of(word(7))]},
        "writes": {hex_of(word(1)): 1, hex_of(word(2)): 1},
        "transientReads": {hex_of(word(12)): 1},
        "transientWrites": {hex_of(word(12)): 1},
    }
    assert trace["usedOpcodes"] == {"0x0": 1, "0x54": 3, "0x55": 2, "0x5c": 1, "0x5d": 1}


def test_gas_is_a_question_unless_a_call_is_given_it(traced: Traced) -> None:
    """Given GAS before a call and before anything else, when traced, then only the latter counts."""
    call = f"5f5f5f5f5f73{TOKEN.hex()}5af1"
    assert "0x5a" not in cast("Frame", validation(traced, call)["usedOpcodes"])
    used = cast("Frame", validation(traced, call + "5a50")["usedOpcodes"])
    assert used["0x5a"] == 1


def test_codes_that_are_looked_at_are_told(traced: Traced) -> None:
    """Given EXTCODE instructions, when traced, then whoever asks only whether there is code is left out."""
    asks = f"73{CHILD.hex()}3b15"  # EXTCODESIZE, ISZERO
    looks = f"73{TOKEN.hex()}3f50"  # EXTCODEHASH
    trace = validation(traced, asks + looks + "6001")
    assert trace["extCodeAccessInfo"] == [hex_of(TOKEN)]
    sizes = cast("dict[str, dict[str, int]]", trace["contractSize"])
    assert {name: one["opcode"] for name, one in sizes.items()} == {
        hex_of(CHILD): 0x3B,
        hex_of(TOKEN): 0x3F,
    }
    code = traced.chain.engine.code(traced.block.state_root, TOKEN)
    assert sizes[hex_of(TOKEN)]["contractSize"] == len(code)


def test_looking_at_an_account_leaves_it_cold(traced: Traced) -> None:
    """Given a look at a cold account, when traced, then it costs what it costs without a tracer."""
    code = f"73{CHILD.hex()}3b50600354505a5f5260205ff3"
    overrides = {KEEPER: {"code": bytes.fromhex(code)}}
    call = {"to": KEEPER, "gas": 100_000}
    traces = [
        traced.call(call, {"tracer": tracer, "stateOverrides": overrides})
        for tracer in ("erc7562Tracer", "callTracer")
    ]
    assert traces[0]["output"] == traces[1]["output"]
    assert traces[0]["gasUsed"] == traces[1]["gasUsed"]


def test_gas_that_ran_out_is_told_of_inner_frames(traced: Traced) -> None:
    """Given a call with too little gas, when traced, then its frame says so, and one that reverts does not."""
    calls = f"5f5f5f5f5f73{TOKEN.hex()}6005f1505f5f5f5f5f73{CHILD.hex()}5af1"
    trace = validation(traced, calls)
    inner = cast("list[Frame]", trace["calls"])
    assert [one["outOfGas"] for one in inner] == [True, False]
    assert [one["error"] for one in inner] == ["out of gas", "execution reverted"]
    assert trace["outOfGas"] is False


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("5f5f55", "out of gas: write protection"),
        ("5f5f5ff0", "out of gas: write protection"),
        ("5fff", "out of gas: write protection"),
        ("5f5f5f5f600160015af1", "out of gas: write protection"),
        ("5f5fa0", "write protection"),
        ("5f5f5d", "write protection"),
        ("5f19515f", "gas uint64 overflow"),
        ("f8", "invalid opcode: EXTCALL"),
        ("0c", "invalid opcode: opcode 0xc not defined"),
    ],
)
def test_a_static_frame_fails_in_geths_words(traced: Traced, code: str, words: str) -> None:
    """Given code that a static call must not run, when traced, then words and lack of gas are geth 1.17.8's."""
    overrides = {
        KEEPER: {"code": bytes.fromhex(f"5f5f5f5f73{TOKEN.hex()}61fffffa")},
        TOKEN: {"code": bytes.fromhex(code)},
    }
    trace = traced.call({"to": KEEPER}, {"tracer": "erc7562Tracer", "stateOverrides": overrides})
    (inner,) = cast("list[Frame]", trace["calls"])
    assert (inner["error"], inner["outOfGas"]) == (words, words.startswith("out of gas"))


def test_code_that_cannot_be_paid_for_is_not_too_long(traced: Traced) -> None:
    """Given a creation that returns 64 KiB, when there is no gas for them, then that is what is told, as geth does."""
    # MSTOREs the init code "61ffff5ff3" and creates with what little gas is left.
    code = "6461ffff5ff35f526005601b5ff0"
    assert [one["error"] for one in cast("list[Frame]", validation(traced, code)["calls"])] == [
        "contract creation code storage out of gas"
    ]


def test_what_is_hashed_is_told_once_in_order(traced: Traced) -> None:
    """Given hashes in several frames, when traced, then the outermost frame lists what was hashed, ascending."""
    hashes = "60025f5360015f205060015f5360015f205060015f205060206000f3"
    trace = validation(traced, hashes)
    assert trace["keccak"] == ["0x01", "0x02"]
    overrides = {KEEPER: {"code": bytes.fromhex(hashes)}}
    options = {"tracer": "keccak256PreimageTracer", "stateOverrides": overrides}
    assert traced.call({"to": KEEPER}, options) == {
        hex_of(keccak256(one)): hex_of(one) for one in (b"\x01", b"\x02")
    }


def test_logs_show_if_asked_for(traced: Traced) -> None:
    config = {"tracer": "erc7562Tracer", "tracerConfig": {"withLog": True}}
    with_logs = cast("Frame", traced.transaction(1, config))
    calls = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
    assert with_logs["logs"] == cast("Frame", traced.transaction(1, calls))["logs"]
    assert "logs" not in cast("Frame", traced.transaction(1, {"tracer": "erc7562Tracer"}))


def test_an_instruction_without_its_operands_is_counted(traced: Traced) -> None:
    """Given instructions that find too little on the stack, when traced, then they count, where geth's handler crashes."""
    for opcode in (0x20, 0x3B, 0x54, 0x55, 0xF1):
        trace = validation(traced, f"{opcode:02x}")
        assert trace["usedOpcodes"] == {hex(opcode): 1}
        assert str(trace["error"]).startswith("stack underflow")


def test_instructions_are_counted(traced: Traced) -> None:
    """Given a few instructions, when counted, then each way of counting is that of geth's script."""
    overrides = {KEEPER: {"code": bytes.fromhex("5f5f5001")}}

    def counted(tracer: str) -> object:
        return traced.call({"to": KEEPER}, {"tracer": tracer, "stateOverrides": overrides})

    assert counted("opcountTracer") == 4
    assert counted("unigramTracer") == {"PUSH0": 2, "POP": 1, "ADD": 1}
    assert counted("bigramTracer") == {"PUSH0-PUSH0": 1, "PUSH0-POP": 1, "POP-ADD": 1}
    assert counted("trigramTracer") == {"--PUSH0": 1, "-PUSH0-POP": 1, "PUSH0-POP-ADD": 1}


HASHES: Final = "5b595f20505f59525f56"
"""Hashes all of its memory, which grows by a word each time."""

READS: Final = "5b5a54505f56"
"""Reads a slot that it has not read yet, again and again."""

LOOKS: Final = "5b303b505f56"
"""Asks for the size of its own code, again and again."""


@pytest.mark.parametrize(
    ("tracer", "loop"),
    [
        ("keccak256PreimageTracer", HASHES),
        ("erc7562Tracer", HASHES),
        ("erc7562Tracer", READS),
        ("erc7562Tracer", LOOKS),
    ],
)
def test_a_trace_that_grows_too_large_is_given_up(traced: Traced, tracer: str, loop: str) -> None:
    """Given loops that fill the answer, when traced with gas without end, then they stop at 64 MiB."""
    options = {
        "tracer": tracer,
        "timeout": "60s",
        "stateOverrides": {KEEPER: {"code": bytes.fromhex(loop)}},
    }
    with pytest.raises(InvalidCall, match="the answer is larger than 64 MiB"):
        traced.call({"to": KEEPER}, options, gas_cap=1 << 40)
