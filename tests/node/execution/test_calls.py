"""`eth_call`: geth's answers, its refusals word for word, deadlines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from eth_account.datastructures import SignedSetCodeAuthorization

from node.errors import InvalidCall, MissingState
from node.execution.answers import CallResult
from tests.kit.execution_chain import (
    GWEI,
    SENDER,
    SPONSOR,
    ExecutionChain,
    address_of,
    sign,
    word,
)
from tests.kit.questions import (
    ACCOUNTS,
    ENVIRONMENT,
    GAS_CAP,
    HALTS,
    LOOP,
    NOBODY,
    REVERTER,
    SENDER_TEXT,
    TOKEN,
    TREE,
    Asked,
    encoded,
    words_of,
)
from tests.kit.recorded_chain import Exchange, exchanges, needs_recordings, recorded_chain

# -- recordings


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(one, id=one.name)
        for one in exchanges("eth_call", "eth_estimateGas", "eth_createAccessList")
    ],
)
def test_answers_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    head = chain.blocks[-1]
    ask = Asked(ExecutionChain(chain.engine, chain.blocks))
    arguments = cast("dict[str, object]", exchange.params[0])

    if exchange.name.startswith("eth_createAccessList"):
        assert ask.access_list(arguments) == exchange.result
        return
    estimated = exchange.name.startswith("eth_estimateGas")
    result = ask.estimate(arguments) if estimated else ask.call(arguments)

    if exchange.error is not None:
        want = CallResult("revert", bytes.fromhex(str(exchange.error["data"])[2:]), result.gas_used)
        assert result == want
    elif estimated:
        assert (result.status, hex(result.gas_used)) == ("success", exchange.result)
    else:
        assert (result.status, "0x" + result.output.hex()) == ("success", exchange.result)
    assert head.block_hash in chain.ancestors(len(chain.blocks))


# -- how calls end


def test_a_call_needs_nothing_but_a_callee(asked: Asked) -> None:
    """Given a token, when its balance is asked for without sender, gas or fees, then it is told."""
    result = asked.call({"to": TOKEN, "data": b"\x70\xa0\x82\x31" + bytes(12) + b"\x11" * 20})

    assert (result.status, result.output) == ("success", word(42))
    assert 21_000 < result.gas_used < 30_000


def test_input_is_preferred_to_data(asked: Asked) -> None:
    result = asked.call({"to": REVERTER, "data": b"old", "input": b"new"})
    assert (result.status, result.output) == ("revert", b"new")


def test_a_creation_gives_its_code(asked: Asked) -> None:
    result = asked.call({"data": bytes.fromhex("60015f5360015ff3")})
    assert (result.status, result.output) == ("success", b"\x01")


@pytest.mark.parametrize(("at", "words"), list(enumerate(HALTS.values())))
def test_halts_are_told_in_geths_words(asked: Asked, at: int, words: str) -> None:
    result = asked.call({"to": f"0x{0xDEAD00 + at:040x}", "gas": 1_000_000})
    assert result == CallResult("halt", words.encode(), 1_000_000)


def test_gas_is_capped(asked: Asked) -> None:
    result = asked.call({"to": LOOP, "gas": GAS_CAP}, gas_cap=100_000)
    assert result == CallResult("halt", b"out of gas", 100_000)


def test_a_call_without_fees_sees_no_base_fee(asked: Asked) -> None:
    """Given a contract that tells its environment, when called with and without fees, then the base fee is there or 0."""
    payer = {"from": address_of(SENDER), "to": ENVIRONMENT, "gas": 100_000}

    free = words_of(asked.call({"to": ENVIRONMENT}).output)
    paid = words_of(asked.call({**payer, "gasPrice": 5 * GWEI}).output)
    dynamic = words_of(
        asked.call({**payer, "maxFeePerGas": 9 * GWEI, "maxPriorityFeePerGas": GWEI}).output
    )

    base_fee = paid[5]
    assert base_fee > 0
    assert (free[5], free[7]) == (0, 0)
    assert paid[7] == 5 * GWEI
    assert (dynamic[5], dynamic[7]) == (base_fee, base_fee + GWEI)
    # What the gas may cost is gone while the call runs.
    assert paid[8] == balance_of(asked, address_of(SENDER)) - 100_000 * 5 * GWEI


def balance_of(asked: Asked, address: bytes) -> int:
    ((_, balance),) = asked.chain.engine.accounts(asked.chain.head.state_root, [address])
    return balance


def test_a_delegation_runs_in_its_account(asked: Asked) -> None:
    """Given an authorisation in the call, when its signer is called, then the code it names runs there."""
    authorization = cast(
        SignedSetCodeAuthorization,
        SPONSOR.sign_authorization({"chainId": 900, "address": TOKEN, "nonce": 0}),
    )
    call = {
        "to": address_of(SPONSOR),
        "data": b"\x70\xa0\x82\x31" + bytes(12) + b"\x11" * 20,
        "authorizationList": [
            {
                "chainId": authorization.chain_id,
                "address": TOKEN,
                "nonce": 0,
                "yParity": authorization.y_parity,
                "r": authorization.r,
                "s": authorization.s,
            }
        ],
    }

    result = asked.call(call)

    assert (result.status, result.output) == ("success", word(0))


# -- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"from": bytes(20), "to": TOKEN, "value": 1, "gas": 50_000},
            f"err: insufficient funds for gas * price + value: address {NOBODY} have 0 want 1 "
            "(supplied gas 50000)",
        ),
        (
            {"from": bytes(20), "to": TOKEN, "gasPrice": 10 * GWEI, "gas": 50_000},
            f"err: insufficient funds for gas * price + value: address {NOBODY} have 0 "
            f"want {50_000 * 10 * GWEI} (supplied gas 50000)",
        ),
        (
            {"to": TOKEN, "value": 2**256 - 1, "gasPrice": 2**255, "gas": 50_000},
            f"err: insufficient funds for gas * price + value: address {NOBODY} required balance "
            "exceeds 256 bits (supplied gas 50000)",
        ),
        (
            {"from": SENDER_TEXT, "to": TOKEN, "maxFeePerGas": 1, "gas": 50_000},
            "err: max fee per gas less than block base fee: address "
            f"{SENDER_TEXT}, maxFeePerGas: 1, baseFee: BASE_FEE (supplied gas 50000)",
        ),
        (
            {"to": TOKEN, "maxFeePerGas": 5, "maxPriorityFeePerGas": 6, "gas": 50_000},
            f"err: max priority fee per gas higher than max fee per gas: address {NOBODY}, "
            "maxPriorityFeePerGas: 6, maxFeePerGas: 5 (supplied gas 50000)",
        ),
        (
            {"to": TOKEN, "gas": 20_999},
            "err: intrinsic gas too low: have 20999, want 21000 (supplied gas 20999)",
        ),
        (
            {"to": TOKEN, "data": b"\x01" * 100, "gas": 24_000},
            "err: insufficient gas for floor data gas cost: have 24000, want 25000 "
            "(supplied gas 24000)",
        ),
        (
            {"to": TOKEN, "gasPrice": 1, "maxFeePerGas": 1},
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ),
        ({"to": TOKEN, "chainId": 1}, "chainId does not match node's (have=1, want=900)"),
        (
            {"to": TOKEN, "blobVersionedHashes": [], "gas": 50_000},
            "err: blob transaction missing blob hashes (supplied gas 50000)",
        ),
        (
            {"blobVersionedHashes": [b"\x01" * 32], "gas": 60_000},
            "blob transaction of type create",
        ),
        (
            {"to": TOKEN, "blobVersionedHashes": [b"\x02" * 32], "gas": 50_000},
            "err: blob 0 has invalid hash version (supplied gas 50000)",
        ),
        (
            {"to": TOKEN, "authorizationList": [], "gas": 50_000},
            f"err: EIP-7702 transaction with empty auth list (sender {NOBODY}) "
            "(supplied gas 50000)",
        ),
        (
            {"data": bytes(49_153), "gas": 1_000_000},
            "err: max initcode size exceeded: code size 49153 limit 49152 (supplied gas 1000000)",
        ),
    ],
)
def test_what_is_refused_is_refused_in_geths_words(
    asked: Asked, arguments: Mapping[str, object], message: str
) -> None:
    base_fee = words_of(asked.call({"from": SENDER_TEXT, "to": ENVIRONMENT, "gasPrice": 9 * GWEI, "gas": 99_000}).output)[5]  # fmt: skip

    with pytest.raises(InvalidCall) as caught:
        asked.call(arguments)

    assert str(caught.value) == message.replace("BASE_FEE", str(base_fee))
    assert caught.value.code == -32000


def test_a_state_that_is_not_kept_is_missing(asked: Asked) -> None:
    with pytest.raises(MissingState):
        asked.chain.engine.call(
            b"\x01" * 32, asked.chain.header, b"", encoded({"to": TOKEN}), gas_cap=GAS_CAP
        )


# -- deadlines


@pytest.mark.parametrize("to", [LOOP, TREE])
def test_a_hostile_call_is_given_up(asked: Asked, to: bytes) -> None:
    """Given endless loops and recursions, when called with a deadline, then they end soon after it."""
    begin = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"execution aborted \(timeout = 3ms\)"):
        asked.call({"to": to}, deadline_us=3_000, gas_cap=1 << 62)
    assert time.perf_counter() - begin < 5

    for ask in (asked.estimate, asked.access_list):
        with pytest.raises(TimeoutError):
            ask({"to": to, "gas": 16_000_000}, deadline_us=100)


def test_a_call_lets_other_threads_run(asked: Asked) -> None:
    """Given a long call on a thread, when another thread counts meanwhile, then it gets far."""
    counted = 0
    with ThreadPoolExecutor(max_workers=1) as threads:
        call = threads.submit(asked.call, {"to": LOOP}, deadline_us=100_000, gas_cap=1 << 62)
        while not call.done():
            counted += 1
        with pytest.raises(TimeoutError):
            call.result()
    assert counted > 1_000


def test_calls_from_several_threads_give_one_answer(asked: Asked) -> None:
    """Given calls on several threads, when blocks are built meanwhile, then every call sees the state it names."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    ask = {"to": TOKEN, "data": b"\x70\xa0\x82\x31" + bytes(12) + b"\x11" * 20}
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = [threads.submit(asked.call, ask) for _ in range(200)]
        for nonce in range(10):
            chain.grow([sign(SENDER, nonce=nonce)])
    assert {answer.result().output for answer in answers} == {word(42)}


def test_a_short_call_keeps_its_deadline(asked: Asked) -> None:
    assert asked.call({"to": TOKEN}, deadline_us=10_000_000).status == "success"
