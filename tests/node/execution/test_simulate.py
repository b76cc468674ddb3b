"""`eth_simulateV1`: a simulated block is a real one but for its signatures; bounds, and what a hostile caller may try.

What geth has recorded is in `test_simulate_recorded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import InvalidCall, MissingState
from node.eth.headers import Withdrawal, header_of_block
from node.eth.primitives import Address
from tests.kit.execution_chain import (
    ETHER,
    GWEI,
    KEEPER,
    PORTAL,
    PROPOSER,
    SENDER,
    ExecutionChain,
    address_of,
    sign,
    word,
)
from tests.kit.questions import (
    ACCOUNTS,
    GAS_CAP,
    LOOP,
    REVERTER,
    SHA256,
    TREE,
    Asked,
    SimulatedBlock,
    SimulatedCall,
    encoded,
)

CODE: Final = Address(bytes([0xC0] * 20))
"""Where tests put code by an override."""

OTHER: Final = Address(bytes([0xC1] * 20))

HISTORY: Final = Address(bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935"))
"""EIP-2935."""

ETHER_LOGS: Final = "0x" + "ee" * 20
"""ERC-7528."""

FIRST: Final = address_of(SENDER)


def with_code(code: str, **fields: object) -> dict[Address, object]:
    """An override that puts code at CODE."""
    return {CODE: {"code": "0x" + code, **fields}}


def only_call(blocks: list[SimulatedBlock]) -> SimulatedCall:
    """The outcome of the one call of a request."""
    ((call,),) = (block["calls"] for block in blocks if block["calls"])
    return call


def refused(
    asked: Asked,
    *blocks: Mapping[str, object],
    gas_cap: int = GAS_CAP,
    validation: bool = False,
) -> tuple[int, str]:
    """Code and message of a refusal."""
    with pytest.raises(InvalidCall) as caught:
        asked.simulate(*blocks, gas_cap=gas_cap, validation=validation)
    return caught.value.code, str(caught.value)


# -- as a real block


def test_a_simulated_block_has_the_roots_of_a_real_one() -> None:
    """Given a block of transactions, withdrawals and system calls, when the same is simulated, then its roots are the same."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    chain.grow()
    ask = Asked(ExecutionChain(chain.engine, list(chain.blocks)))
    attributes = chain.attributes()
    fields = {"maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI, "gas": 100_000}
    real = chain.seal(
        [
            sign(SENDER, nonce=0, value=ETHER, **fields),
            sign(SENDER, nonce=1, to=KEEPER, data=word(3) + word(7), **fields),
            sign(SENDER, nonce=2, to=REVERTER, data=b"why", **fields),
        ],
        withdrawals=[Withdrawal(index=1, validator_index=2, address=OTHER, amount_gwei=5)],
    )
    header = header_of_block(real.block)

    (block,) = ask.simulate(
        {
            "blockOverrides": {
                "time": attributes.timestamp,
                "feeRecipient": PROPOSER,
                "prevRandao": attributes.prev_randao,
                "beaconRoot": attributes.parent_beacon_block_root,
                "withdrawals": [{"index": 1, "validatorIndex": 2, "address": OTHER, "amount": 5}],
            },
            "calls": [
                {"from": FIRST, "to": b"\x77" * 20, "value": ETHER, **fields},
                {"from": FIRST, "to": KEEPER, "data": word(3) + word(7), **fields},
                {"from": FIRST, "to": REVERTER, "data": b"why", **fields},
            ],
        },
        validation=True,
        returnFullTransactions=True,
    )

    assert block["stateRoot"] == "0x" + header.state_root.hex()
    assert block["receiptsRoot"] == "0x" + header.receipts_root.hex()
    assert block["logsBloom"] == "0x" + header.logs_bloom.hex()
    assert block["gasUsed"] == hex(header.gas_used)
    assert block["baseFeePerGas"] == hex(header.base_fee_per_gas or 0)
    assert block["withdrawalsRoot"] == "0x" + (header.withdrawals_root or b"").hex()
    assert block["requestsHash"] == "0x" + (header.requests_hash or b"").hex()
    assert block["parentHash"] == "0x" + header.parent_hash.hex()
    assert [one["nonce"] for one in block["transactions"]] == ["0x0", "0x1", "0x2"]
    assert [one["status"] for one in block["calls"]] == ["0x1", "0x1", "0x0"]
    assert block["calls"][2]["error"] == {
        "message": "execution reverted",
        "code": 3,
        "data": "0x776879",
    }


def test_the_portals_deposits_are_requests(asked: Asked) -> None:
    """Given a call that makes the portal log a deposit, when simulated, then the block's requests are not those of none."""
    (nothing,), (deposit,) = (
        asked.simulate({"calls": [{"from": FIRST, "to": to, "data": word(1)}]})
        for to in (OTHER, PORTAL)
    )
    assert (len(nothing["calls"][0]["logs"]), len(deposit["calls"][0]["logs"])) == (0, 1)
    assert deposit["requestsHash"] != nothing["requestsHash"]


def test_blocks_stand_on_each_other(asked: Asked) -> None:
    """Given code that asks for hashes, when blocks follow each other, then each sees those below, gaps and base included."""
    # Returns the hash of the block that many below the own.
    code = "5f354303405f5260205ff3"
    ask = {"from": FIRST, "to": CODE}
    blocks = asked.simulate(
        {"stateOverrides": with_code(code), "calls": [{**ask, "data": word(1)}]},
        {
            "blockOverrides": {"number": 5},
            "calls": [{**ask, "data": word(back)} for back in (1, 3, 4, 5, 6)],
        },
    )
    hashes = {int(block["number"], 16): block["hash"] for block in blocks}
    base, genesis = ("0x" + block.block_hash.hex() for block in reversed(asked.chain.blocks))

    assert list(hashes) == [2, 3, 4, 5]
    assert [block["parentHash"] for block in blocks] == [base, hashes[2], hashes[3], hashes[4]]
    assert blocks[0]["calls"][0]["returnData"] == base
    assert [call["returnData"] for call in blocks[-1]["calls"]] == [
        hashes[4],
        hashes[2],
        base,
        genesis,
        "0x" + "00" * 32,
    ]


def test_a_state_goes_from_block_to_block(asked: Asked) -> None:
    """Given code, storage and a creation, when later blocks look, then all of it is there, until it is overridden."""
    # With input: stores the second word at the first. Without: returns slot 1.
    keeper = "36600e576001545f5260205ff3005b6020355f355500"
    look = {"from": FIRST, "to": CODE}
    store = {**look, "data": word(1) + word(9)}
    blocks = asked.simulate(
        {"stateOverrides": with_code(keeper), "calls": [store, look]},
        {"calls": [look]},
        {"stateOverrides": {CODE: {"state": {word(2): word(1)}}}, "calls": [look]},
        {"stateOverrides": {CODE: {"stateDiff": {word(1): word(5)}}}, "calls": [look]},
    )
    seen = [int(block["calls"][-1]["returnData"], 16) for block in blocks]
    assert seen == [9, 9, 0, 5]
    assert asked.call({"to": CODE}).output == b""  # nothing is stored


def test_what_is_destroyed_and_made_again_begins_without_storage(asked: Asked) -> None:
    """Given storage in one block, when a later override replaces all of it and another adds a word, then roots say only that."""
    slots = {word(1): word(1), word(2): word(2)}
    code = {"code": "0x00", "nonce": 1}
    silent = {HISTORY: {"code": b""}}  # else a root follows from all roots before it
    detour = asked.simulate(
        {"stateOverrides": silent | {CODE: {**code, "stateDiff": {word(7): word(7)}}}},
        {"stateOverrides": {CODE: {"state": {word(1): word(1)}}}},
        {"stateOverrides": {CODE: {"stateDiff": {word(2): word(2)}}}},
    )
    straight = asked.simulate(
        {"stateOverrides": silent}, {}, {"stateOverrides": {CODE: {**code, "state": slots}}}
    )
    assert detour[-1]["stateRoot"] == straight[-1]["stateRoot"] != detour[-2]["stateRoot"]


def test_a_withdrawal_of_nothing_clears_an_empty_account(asked: Asked) -> None:
    """Given an account that an override made of nothing, when a withdrawal of nothing touches it, then it is gone (EIP-161)."""
    nothing = {"stateOverrides": {CODE: {"balance": 0}}}
    touched = {"withdrawals": [{"address": CODE, "amount": 0}]}
    roots = [
        asked.simulate(block)[0]["stateRoot"]
        for block in ({}, nothing, nothing | {"blockOverrides": touched})
    ]
    assert roots[0] == roots[2] != roots[1]


def test_the_last_nonce_is_followed_by_the_first(asked: Asked) -> None:
    """Given a sender with the last nonce, when nobody checks it, then a call counts on from zero, and a creation halts."""
    overrides = {OTHER: {"nonce": 2**64 - 1}}
    calls = [{"from": OTHER, "to": CODE}, {"from": OTHER, "to": CODE}]
    (block,) = asked.simulate(
        {"stateOverrides": overrides, "calls": calls}, returnFullTransactions=True
    )
    assert [one["nonce"] for one in block["transactions"]] == [hex(2**64 - 1), "0x0"]
    creation = {"from": OTHER, "gas": 100_000}
    call = only_call(asked.simulate({"stateOverrides": overrides, "calls": [creation]}))
    assert call["error"] == {"message": "nonce uint64 overflow", "code": -32015}


# -- logs


def test_transfers_are_logs_if_asked_for(asked: Asked) -> None:
    """Given calls, a creation and SELFDESTRUCT that move ether, when traced, then each is a log, and none is in a receipt."""
    # Sends 1 wei to OTHER, creates with 2 wei, logs, destroys itself in favour of OTHER.
    other = OTHER.hex()
    code = f"5f5f5f5f600173{other}5af1505f5f6002f0505f5fa073{other}ff"
    request = {
        "stateOverrides": with_code(code, balance=10, nonce=1),
        "calls": [{"from": FIRST, "to": CODE, "value": 5}],
    }
    (traced,), (plain,) = (asked.simulate(request, traceTransfers=on) for on in (True, False))
    logs = traced["calls"][0]["logs"]

    assert [log["address"] for log in logs] == [ETHER_LOGS] * 3 + ["0x" + CODE.hex(), ETHER_LOGS]
    assert [int(log["data"], 16) for log in logs if log["address"] == ETHER_LOGS] == [5, 1, 2, 12]
    assert [int(log["logIndex"], 16) for log in logs] == [0, 1, 2, 3, 4]
    assert {log["blockHash"] for log in logs} == {traced["hash"]}
    assert len(plain["calls"][0]["logs"]) == 1
    assert traced["receiptsRoot"] == plain["receiptsRoot"]
    assert traced["hash"] == plain["hash"]


def test_what_fails_leaves_no_log_and_its_number_is_gone(asked: Asked) -> None:
    """Given a callee that logs and reverts, when its caller logs too, then only that log is left, with the second number."""
    logs_and_reverts = "5f5fa05f5ffd"
    code = f"5f5f5f5f5f73{OTHER.hex()}5af1505f5fa000"
    overrides = with_code(code) | {OTHER: {"code": "0x" + logs_and_reverts}}
    call = only_call(asked.simulate({"stateOverrides": overrides, "calls": [{"to": CODE}]}))
    assert [log["logIndex"] for log in call["logs"]] == ["0x1"]
    failed = only_call(asked.simulate({"stateOverrides": overrides, "calls": [{"to": OTHER}]}))
    assert (failed["status"], failed["logs"]) == ("0x0", [])


def test_a_halt_is_told_in_geths_words(asked: Asked) -> None:
    """Given a halt after a call that ended well, when told, then it is the outermost frame's own instruction."""
    code = f"5f5f5f5f5f73{OTHER.hex()}5af1500c"
    call = only_call(
        asked.simulate({"stateOverrides": with_code(code), "calls": [{"to": CODE, "gas": 50_000}]})
    )
    assert call["error"] == {"message": "invalid opcode: opcode 0xc not defined", "code": -32015}
    assert call["returnData"] == "0x"


# -- rules and refusals


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ({"nonce": 5}, -38011, "nonce too high"),
        ({"nonce": 0}, -38010, "nonce too low"),
        ({"maxFeePerGas": 1}, -38012, "max fee per gas less than block base fee"),
        ({"gas": 20_999}, -38013, "intrinsic gas too low"),
        ({"value": 10**30}, -38014, "insufficient funds"),
        ({"gas": 60_000_001}, -38015, "block gas limit reached"),
        ({"maxPriorityFeePerGas": 10**10}, -32602, "max priority fee per gas higher"),
        ({"to": None, "data": bytes(49_153)}, -38025, "max initcode size exceeded"),
        ({"gasPrice": 10**9, "maxFeePerGas": 10**9}, -32000, "both gasPrice and"),
        ({"chainId": 1}, -32000, "chainId does not match"),
        ({"authorizationList": []}, -32603, "EIP-7702 transaction with empty auth list"),
        ({"blobVersionedHashes": []}, -32603, "blob transaction missing blob hashes"),
    ],
)
def test_calls_that_may_not_run_are_refused(
    asked: Asked, call: dict[str, object], code: int, words: str
) -> None:
    fine = {"from": FIRST, "to": OTHER, "maxFeePerGas": 2 * GWEI, "gas": 1_000_000, "nonce": 1}
    got, message = refused(asked, {"calls": [fine | call]}, validation=True)
    assert (got, words in message) == (code, True), message


def test_without_validation_nobody_counts_nonces_or_pays(asked: Asked) -> None:
    """Given a contract without ether that calls with a wrong nonce, when simulated, then it runs, and its nonce is shown."""
    (block,) = asked.simulate(
        {"calls": [{"from": LOOP, "to": OTHER, "nonce": 77}]}, returnFullTransactions=True
    )
    assert block["calls"][0]["status"] == "0x1"
    assert block["transactions"][0]["nonce"] == hex(77)
    assert block["baseFeePerGas"] == "0x0"


def test_calls_share_the_blocks_gas_and_the_servers(asked: Asked) -> None:
    """Given calls that name no gas, when they run, then each has what the block or the server has left."""
    (block,) = asked.simulate(
        {"blockOverrides": {"gasLimit": 100_000}, "calls": [{"to": OTHER}, {"to": OTHER}]},
        returnFullTransactions=True,
    )
    assert [one["gas"] for one in block["transactions"]] == [hex(100_000), hex(79_000)]


def test_a_server_gives_no_more_gas_than_it_has(asked: Asked) -> None:
    """Given a call that burns all gas of the server, when another follows, then it has none."""
    code, message = refused(
        asked, {"calls": [{"to": LOOP}]}, {"calls": [{"to": OTHER}]}, gas_cap=100_000
    )
    assert (code, "have 0, want 21000" in message) == (-38013, True)
    burnt = only_call(asked.simulate({"calls": [{"to": LOOP}]}, gas_cap=100_000))
    assert burnt["gasUsed"] == hex(100_000)
    words = "out of gas (gas limit was capped by the RPC server's global gas cap)"
    assert burnt["error"] == {"message": words, "code": -32015}


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        ([], -32602),
        ([{}] * 257, -38026),
        ([{"blockOverrides": {"number": 258}}], -38026),
        ([{"blockOverrides": {"number": 2**200}}], -38026),
        ([{"blockOverrides": {"number": 1}}], -38020),
        ([{"blockOverrides": {"number": 3}}, {"blockOverrides": {"number": 3}}], -38020),
        ([{"blockOverrides": {"time": 1}}], -38021),
        ([{"blockOverrides": {"time": 2**64 - 1}}, {}], -38021),
        ([{"calls": [{}] * 5_001}], -38026),
        ([{"calls": [{}] * 5_000}] * 2 + [{"calls": [{}]}], -38026),
        ([{"blockOverrides": {"baseFeePerGas": 2**64}}], -32000),
        ([{"stateOverrides": {CODE: {"state": {}, "stateDiff": {}}}}], -32000),
        ([{"stateOverrides": {CODE: {"movePrecompileToAddress": OTHER}}}], -32000),
        ([{"calls": {}}], -32602),
        ([{"calls": [7]}], -32602),
        ([{"blockOverrides": {"withdrawals": [{"amount": -1}]}}], -32602),
        ([{"blockOverrides": {"number": "0x"}}], -32602),
    ],
)
def test_requests_out_of_bounds_are_refused(
    asked: Asked, blocks: list[dict[str, object]], code: int
) -> None:
    assert refused(asked, *blocks)[0] == code


def test_the_most_blocks_are_answered(asked: Asked) -> None:
    blocks = asked.simulate({"blockOverrides": {"number": 257}})
    assert [int(block["number"], 16) for block in blocks] == list(range(2, 258))


def test_a_precompile_moves_for_one_block(asked: Asked) -> None:
    """Given the SHA-256 moved and code in its place, when called in this block and the next, then it is where it is then."""
    ask = [{"to": CODE, "data": b"x"}, {"to": SHA256, "data": b"x"}]
    overrides = {SHA256: {"movePrecompileToAddress": CODE, "code": "0x60015f5260205ff3"}}
    moved, back = asked.simulate({"stateOverrides": overrides, "calls": ask}, {"calls": ask})
    digest = "0x2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert [call["returnData"] for call in moved["calls"]] == [digest, "0x" + word(1).hex()]
    assert [call["returnData"] for call in back["calls"]] == ["0x", digest]


def test_a_system_contract_that_is_taken_away_is_missed(asked: Asked) -> None:
    queue = Address(bytes.fromhex("00000961ef480eb55e80d19ad83579a64c007002"))
    code, message = refused(asked, {"stateOverrides": {queue: {"code": b""}}})
    assert (code, "empty system contract" in message) == (-32000, True)


# -- hostile


@pytest.mark.parametrize("target", [LOOP, TREE])
def test_a_deadline_ends_it(asked: Asked, target: Address) -> None:
    with pytest.raises(TimeoutError, match="execution aborted"):
        asked.simulate({"calls": [{"to": target}]}, deadline_us=2_000)


def test_a_deadline_ends_system_contracts_that_loop(asked: Asked) -> None:
    """Given loops put in the place of system contracts, when many blocks run them, then the deadline still holds."""
    with pytest.raises(TimeoutError):
        asked.simulate(
            {"stateOverrides": {HISTORY: {"code": "0x5b5f56"}}},
            *([{}] * 200),
            deadline_us=20_000,
        )


def test_a_deadline_ends_many_cheap_calls(asked: Asked) -> None:
    with pytest.raises(TimeoutError):
        asked.simulate({"calls": [{"gas": 21_000, "to": OTHER}] * 2_000}, deadline_us=1_000)


@pytest.mark.parametrize("code", ["620aae605ff3", "5b620100005fa05f56"], ids=["returned", "logged"])
def test_an_answer_has_a_size(asked: Asked, code: str) -> None:
    """Given calls that return or log much, when all of it would not fit an answer, then it is refused."""
    calls = [{"to": CODE, "gas": 6_000_000}] * 10
    request: dict[str, object] = {"stateOverrides": with_code(code), "calls": calls}
    got, message = refused(asked, *([request] * 20), gas_cap=2**63)
    assert (got, message) == (-32000, "the answer is larger than 64 MiB")


def test_a_state_that_is_gone_is_missed(asked: Asked) -> None:
    with pytest.raises(MissingState):
        asked.chain.engine.simulate(
            b"\x01" * 32,
            asked.chain.header,
            asked.chain.ancestors[32:],
            encoded({"blockStateCalls": [{"calls": [{"to": OTHER}]}]}),
            gas_cap=10**6,
        )


_leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2**70).map(hex),
    st.sampled_from(["0x", "", "latest", "0x" + "00" * 20, "0x" + "11" * 32, "0x5f5f5ffd"]),
)
_names = st.sampled_from(
    [
        "blockStateCalls",
        "blockOverrides",
        "stateOverrides",
        "calls",
        "number",
        "time",
        "gasLimit",
        "withdrawals",
        "amount",
        "from",
        "to",
        "gas",
        "value",
        "nonce",
        "input",
        "accessList",
        "storageKeys",
        "address",
        "authorizationList",
        "blobVersionedHashes",
        "code",
        "balance",
        "state",
        "stateDiff",
        "validation",
        "movePrecompileToAddress",
        "baseFeePerGas",
        "blobBaseFee",
        "traceTransfers",
        "returnFullTransactions",
    ]
)
_anything = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@given(
    block=st.dictionaries(_names, _anything, max_size=4),
    options=st.dictionaries(_names, _anything, max_size=2),
)
@settings(max_examples=150, deadline=None)
def test_any_shape_is_answered_or_refused(
    block: dict[str, object], options: dict[str, object]
) -> None:
    """Given JSON of any shape, when asked, then there is an answer or a refusal, never a crash."""
    ask = _anyone()
    with suppress(InvalidCall):
        answer = ask.chain.engine.simulate(
            ask.chain.head.state_root,
            ask.chain.header,
            ask.chain.ancestors[32:],
            encoded({"blockStateCalls": [block]} | options),
            gas_cap=10**6,
            deadline_us=10**6,
        )
        assert answer.startswith(b"[{")


@cache
def _anyone() -> Asked:
    """One chain for all examples."""
    return Asked(ExecutionChain.open())
