"""State and block overrides of a call, as geth applies them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from node.errors import InvalidCall
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from tests.kit.execution_chain import (
    ETHER,
    HISTORIAN,
    KEEPER,
    PROPOSER,
    SENDER,
    address_of,
    word,
)
from tests.kit.questions import (
    ENVIRONMENT,
    HASHER,
    ORIGIN,
    SHA256,
    TOKEN,
    Asked,
    words_of,
)


def test_accounts_are_overridden(asked: Asked) -> None:
    """Given overrides of code, balance, nonce and storage, when called, then they count, for this call only."""
    slot = keccak256(bytes(12) + b"\x11" * 20 + word(0))
    ask = {"to": TOKEN, "data": b"\x70\xa0\x82\x31" + bytes(12) + b"\x11" * 20}
    other = word(99)

    assert asked.call(ask, state={TOKEN: {"stateDiff": {slot: word(43)}}}).output == word(43)
    assert asked.call(ask, state={TOKEN: {"stateDiff": {other: word(43)}}}).output == word(42)
    assert asked.call(ask, state={TOKEN: {"state": {other: word(43)}}}).output == word(0)
    assert asked.call(ask, state={TOKEN: {"code": b""}}).output == b""
    assert asked.call({"to": PROPOSER}, state={PROPOSER: {"code": bytes.fromhex("60015f5260205ff3")}}).output == word(1)  # fmt: skip
    rich = asked.call(
        {"from": ORIGIN, "to": ENVIRONMENT, "value": ETHER},
        state={ORIGIN: {"balance": 3 * ETHER}},
    )
    assert words_of(rich.output)[8] == 2 * ETHER
    assert asked.call(ask).output == word(42)


def test_a_creator_counts_from_its_overridden_nonce(asked: Asked) -> None:
    """Given a creator's nonce, when it creates, then the address follows from it: twice the same collides."""
    create = {"from": address_of(SENDER), "data": bytes.fromhex("305f5260205ff3")}
    first = asked.call(create, state={address_of(SENDER): {"nonce": 7}}).output
    again = asked.call(create, state={address_of(SENDER): {"nonce": 7}}).output
    other = asked.call(create, state={address_of(SENDER): {"nonce": 8}}).output
    assert first == again != other


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {TOKEN: {"state": {}, "stateDiff": {}}},
            "account 0x7474747474747474747474747474747474747474 has both 'state' and 'stateDiff'",
        ),
        (
            {TOKEN: {"movePrecompileToAddress": KEEPER}},
            "account 0x7474747474747474747474747474747474747474 is not a precompile",
        ),
        (
            {SHA256: {"movePrecompileToAddress": TOKEN}, TOKEN: {"nonce": 1}},
            "account 0x7474747474747474747474747474747474747474 is already overridden",
        ),
    ],
)
def test_overrides_that_contradict_are_refused(
    asked: Asked, state: Mapping[Address, object], message: str
) -> None:
    with pytest.raises(InvalidCall) as caught:
        asked.call({"to": TOKEN}, state=state)
    assert str(caught.value) == message


def test_a_precompile_moves(asked: Asked) -> None:
    """Given SHA-256 moved away, when its old and new place are called, then it answers at the new one alone."""
    digest = asked.call({"to": HASHER, "data": b"data"}).output
    moved = {SHA256: {"movePrecompileToAddress": KEEPER}}

    assert asked.call({"to": KEEPER, "data": b"data"}, state=moved).output == digest
    assert asked.call({"to": HASHER, "data": b"data"}, state=moved).output != digest


def test_the_block_is_overridden(asked: Asked) -> None:
    """Given overrides of the block, when a contract tells its environment, then it tells them."""
    overrides = {
        "number": 1 << 70,
        "time": 1 << 33,
        "feeRecipient": KEEPER,
        "prevRandao": word(5),
        "gasLimit": 6,
        "baseFeePerGas": 7,
        "blobBaseFee": 8,
    }

    told = words_of(
        asked.call(
            {"from": address_of(SENDER), "to": ENVIRONMENT, "gasPrice": 9, "gas": 100_000},
            block=overrides,
        ).output
    )

    assert told[:8] == [1 << 70, 1 << 33, int.from_bytes(KEEPER), 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("name", "value"), [("beaconRoot", word(1)), ("withdrawals", [])])
def test_overrides_that_no_call_has_are_refused(asked: Asked, name: str, value: object) -> None:
    with pytest.raises(InvalidCall, match=f'block override "{name}" is not supported'):
        asked.call({"to": TOKEN}, block={name: value})


def test_hashes_of_blocks_are_the_chains(asked: Asked) -> None:
    """Given a contract that returns a block's hash, when called ahead, then known hashes are told and others are zero."""
    code = {HISTORIAN: {"code": bytes.fromhex("5f35405f5260205ff3")}}
    genesis = asked.chain.blocks[0].block_hash

    assert asked.call({"to": HISTORIAN, "data": word(0)}, state=code).output == genesis
    ahead = {"number": 5}
    assert asked.call({"to": HISTORIAN, "data": word(0)}, state=code, block=ahead).output == genesis
    assert asked.call({"to": HISTORIAN, "data": word(3)}, state=code, block=ahead).output == word(0)
