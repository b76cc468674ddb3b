"""Calls on a chain of proof of work, and blocks that overrides move across forks: the rules are geth's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, cast

import pytest

from node.errors import InvalidCall
from node.eth.primitives import Address
from node.execution.adapter import RevmEngine
from tests.kit.execution_chain import ExecutionChain, header_bytes, word
from tests.kit.questions import NOBODY, Asked, encoded, words_of

ODD: Final = Address(bytes([0x0D] * 20))
"""Its code begins with 0xef: before London it might."""

PRETENDER: Final = Address(bytes([0x9E] * 20))
"""Its code is that of an account that has delegated itself, long before anybody could."""

TARGET: Final = Address(bytes([0x7A] * 20))
"""Returns 1; where PRETENDER points."""

LATER: Final = Address(bytes([0x1A] * 20))
"""Begins with an instruction of Shanghai."""

READER: Final = Address(bytes([0x4E] * 20))
"""Returns randao and blob base fee."""

BLOBS: Final = {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477}

CONFIG: Final[Mapping[str, object]] = {
    "chainId": 1,
    **dict.fromkeys(
        [
            *("homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock"),
            *("constantinopleBlock", "petersburgBlock", "istanbulBlock"),
        ],
        0,
    ),
    "berlinBlock": 5,
    "londonBlock": 6,
    "terminalTotalDifficulty": 1 << 40,
    "shanghaiTime": 100,
    "cancunTime": 200,
    "pragueTime": 300,
    "blobSchedule": {"cancun": BLOBS, "prague": BLOBS},
}

CODES: Final[Mapping[bytes, str]] = {
    ODD: "0xef01",
    PRETENDER: "0xef0100" + TARGET.hex(),
    TARGET: "0x60015f5260205ff3",
    LATER: "0x5f",
    READER: "0x446000524a60205260406000f3",
}


@pytest.fixture(scope="module")
def old() -> Asked:
    """The genesis block of a chain with the rules of Istanbul."""
    genesis = {
        "config": CONFIG,
        "difficulty": "0x20000",
        "gasLimit": "0x1c9c380",
        "timestamp": "0x0",
        "alloc": {
            "0x" + address.hex(): {"balance": "0x0", "code": code}
            for address, code in CODES.items()
        },
    }
    engine = RevmEngine(json.dumps(genesis).encode())
    return Asked(ExecutionChain(engine, [engine.genesis()]))


def prague(number: int = 6) -> dict[str, object]:
    """Overrides that move a block behind the merge and Prague."""
    return {"number": number, "time": 300, "prevRandao": word(7)}


def test_code_that_begins_like_a_delegation_is_code(old: Asked) -> None:
    """Given codes of before London, when called, then they run as they are: only Prague knows delegations."""
    for address in (ODD, PRETENDER):
        result = old.call({"to": address})
        assert (result.status, result.output) == (
            "halt",
            b"invalid opcode: opcode 0xef not defined",
        )
    delegated = old.call({"to": PRETENDER}, block=prague())
    assert (delegated.status, delegated.output) == ("success", word(1))
    assert (
        old.call({"to": ODD}, block=prague()).output == b"invalid opcode: opcode 0xef not defined"
    )


@pytest.mark.parametrize(
    "code", ["ef", "ef01", "ef0100", "ef0100" + "11" * 19, "ef0101" + "11" * 20]
)
def test_any_code_may_be_an_overrides(asked: Asked, code: str) -> None:
    result = asked.call({"to": TARGET}, state={TARGET: {"code": bytes.fromhex(code)}})
    assert (result.status, result.output) == ("halt", b"invalid opcode: opcode 0xef not defined")
    block = {"stateOverrides": {TARGET: {"code": bytes.fromhex(code)}}, "calls": [{"to": TARGET}]}
    assert asked.simulate(block)[0]["calls"][0]["status"] == "0x0"


def test_a_time_alone_brings_no_fork_of_proof_of_stake(old: Asked) -> None:
    """Given a block of work, when a call is moved in time, then its rules stay; a randao makes it one of stake."""
    assert old.call({"to": LATER}, block={"time": 300}).output == b"invalid opcode: PUSH0"
    assert old.call({"to": LATER}, block={"time": 300, "number": 6}).status == "halt"
    assert old.call({"to": LATER}, block=prague(number=5)).status == "halt"
    assert old.call({"to": LATER}, block=prague()).status == "success"


def test_a_moved_block_has_the_fields_of_its_fork(old: Asked) -> None:
    assert words_of(old.call({"to": READER}, block=prague()).output) == [7, 0]
    paid = old.call({"to": READER}, block=prague() | {"blobBaseFee": 9})
    assert words_of(paid.output) == [7, 9]
    london = old.call({"to": TARGET}, block={"number": 6})
    assert (london.status, london.output) == ("halt", b"invalid opcode: PUSH0")


def test_before_berlin_there_is_no_access_list(old: Asked) -> None:
    """Given no access list, or one without items, before Berlin: the second is refused, and no list is made."""
    words = f"transaction type not supported: access list tx (sender {NOBODY})"
    assert old.call({"to": NOBODY}).status == "success"
    with pytest.raises(InvalidCall) as called:
        old.call({"to": NOBODY, "accessList": []})
    with pytest.raises(InvalidCall) as listed:
        old.access_list({"to": NOBODY})
    with pytest.raises(InvalidCall) as simulated:
        old.simulate({"calls": [{"to": NOBODY, "accessList": []}]})

    assert str(called.value) == f"err: {words} (supplied gas 50000000)"
    assert str(listed.value) == f"failed to apply transaction: err: {words}"
    assert (str(simulated.value), simulated.value.code) == (
        f"err: {words} (supplied gas 30000000)",
        -32603,
    )


def test_an_instruction_that_is_not_there_yet_costs_nothing(old: Asked) -> None:
    head = old.chain.head
    trace = json.loads(
        old.chain.engine.trace_call(
            head.state_root, header_bytes(head.block), b"", encoded({"to": LATER}), b"{}"
        )
    )
    step = cast("list[dict[str, object]]", trace["structLogs"])[0]
    assert (step["op"], step["gasCost"], trace["failed"]) == ("PUSH0", 0, True)
