"""`eth_createAccessList`: what a call touches."""

from __future__ import annotations

from node.eth.primitives import Address
from tests.kit.execution_chain import (
    KEEPER,
    SENDER,
    address_of,
    word,
)
from tests.kit.questions import (
    HALTS,
    HASHER,
    REVERTER,
    Asked,
)


def test_an_access_list_holds_what_is_touched(asked: Asked) -> None:
    """Given a call that stores, when listed, then its callee is there for its slot, and the list costs what it says."""
    call = {"from": address_of(SENDER), "to": KEEPER, "data": word(1) + word(2)}

    listed = asked.access_list(call)

    entry = {"address": "0x" + KEEPER.hex(), "storageKeys": ["0x" + word(1).hex()]}
    assert listed == {
        "accessList": [entry],
        "gasUsed": hex(asked.call({**call, "accessList": [entry]}).gas_used),
    }


def test_accounts_that_are_warm_anyway_are_left_out(asked: Asked) -> None:
    """Given a call of a precompile, when listed, then nothing is: precompiles are warm."""
    assert asked.access_list({"to": HASHER, "data": b"x"})["accessList"] == []


def test_an_access_list_tells_that_the_call_fails(asked: Asked) -> None:
    listed = asked.access_list({"to": REVERTER, "data": b"why"})
    assert (listed["accessList"], listed["error"]) == ([], "execution reverted")


def test_an_access_list_names_what_halted(asked: Asked) -> None:
    """Given calls that halt, when listed, then the error names the instruction, which the halt alone does not."""
    for at, words in enumerate(HALTS.values()):
        listed = asked.access_list({"to": Address(bytes.fromhex(f"{0xDEAD00 + at:040x}"))})
        assert listed["error"] == words
