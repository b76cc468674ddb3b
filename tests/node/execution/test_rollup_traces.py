"""Traces of a rollup's blocks: deposits first, and a state that is what execution left, fees included."""

from __future__ import annotations

import json
from typing import cast

import pytest

from tests.kit.execution_chain import ETHER, KEEPER, SENDER, address_of, header_bytes, word
from tests.kit.rollup_chain import (
    FAUCET,
    GAS_LIMIT,
    L1_FEE_VAULT,
    LOGGER,
    REVERTER,
    RollupChain,
    deposit,
    keep,
    sign_l2,
)

PAYEE = bytes([0x77] * 20)
"""Has nothing at genesis."""

Json = dict[str, "Json"] | list["Json"] | str | int | bool | None


def trace(
    chain: RollupChain, block: bytes, tracer: str | None, config: dict[str, object] | None = None
) -> list[dict[str, Json]]:
    """The trace of each transaction of a block on the head."""
    options = {"tracer": tracer, "tracerConfig": config or {}} if tracer else {}
    answer = chain.engine.trace_block(
        chain.head.state_root, block, b"", json.dumps(options).encode()
    )
    return [entry["result"] for entry in json.loads(answer)]


def frame(chain: RollupChain, block: bytes, index: int) -> dict[str, Json]:
    return trace(chain, block, "callTracer")[index]


def test_deposits_have_frames_like_any_call() -> None:
    chain = RollupChain.open()
    block = chain.seal([sign_l2(nonce=0)], deposits=[deposit(mint=5, value=2), keep(1, 2)]).block
    first, second, third = trace(chain, block, "callTracer")
    assert first == {
        "from": "0x" + FAUCET.hex(),
        "gas": hex(100_000),
        "gasUsed": hex(21_000),
        "to": "0x" + PAYEE.hex(),
        "input": "0x",
        "value": "0x2",
        "type": "CALL",
    }
    assert second["input"] == "0x" + (word(1) + word(2)).hex()
    assert third["from"] == SENDER.address.lower()


def test_failed_deposits_say_why() -> None:
    chain = RollupChain.open()
    block = chain.seal(deposits=[deposit(to=REVERTER), deposit(value=9)]).block
    reverted, poor = trace(chain, block, "callTracer")
    assert reverted["error"] == "execution reverted"
    assert poor["error"] == "insufficient balance for transfer"


def test_failed_deposits_have_done_nothing_that_a_bundler_forbids() -> None:
    """Given a deposit that never had a frame, when its validation is traced, then there is one, and nothing in it."""
    chain = RollupChain.open()
    block = chain.seal(deposits=[deposit(value=9)]).block
    (poor,) = trace(chain, block, "erc7562Tracer")
    assert poor["error"] == "insufficient balance for transfer"
    assert (poor["usedOpcodes"], poor["contractSize"], poor["extCodeAccessInfo"]) == ({}, {}, [])


def test_instructions_of_a_deposit() -> None:
    chain = RollupChain.open()
    block = chain.seal(deposits=[deposit(to=KEEPER, data=word(1) + word(2))]).block
    (result,) = trace(chain, block, None)
    logs = cast(list[dict[str, Json]], result["structLogs"])
    assert [log["op"] for log in logs][-2:] == ["SSTORE", "STOP"]
    assert not result["failed"]


def test_differences_add_up_to_the_next_state() -> None:
    """Mint, fees and vaults are in the trace: applied to the parent's balances they give the block's."""
    chain = RollupChain.open()
    transfers = [sign_l2(nonce=nonce, value=3) for nonce in range(3)]
    sealed = chain.seal(
        transfers, deposits=[deposit(mint=ETHER, value=7), deposit(mint=4, to=REVERTER)]
    )
    diffs = trace(chain, sealed.block, "prestateTracer", {"diffMode": True})
    balances: dict[str, int] = {}
    for diff in diffs:
        for address, account in cast(dict[str, dict[str, str]], diff["post"]).items():
            if "balance" in account:
                balances[address] = int(account["balance"], 16)
    chain.commit(sealed)
    assert balances["0x" + L1_FEE_VAULT.hex()] > 0
    for known in (FAUCET, PAYEE, address_of(SENDER), L1_FEE_VAULT):
        assert balances["0x" + known.hex()] == chain.balance(known)


@pytest.mark.parametrize("limit", ["gas", "witness"])
def test_deposit_that_failed_by_our_rule_has_failed_in_the_trace(limit: str) -> None:
    """What no EVM knows of must not make a trace tell another story than the receipts."""
    chain = RollupChain.open()
    if limit == "gas":
        loop = deposit(to=b"", data=bytes.fromhex("5b5f56"), gas=GAS_LIMIT - 50_000)
        given_deposits = [loop, deposit(mint=5, value=2, gas=60_000)]
    else:
        chain = RollupChain.open(extra_accounts=many_accounts(), witness_limit_bytes=245_760)
        given_deposits = [
            deposit(to=b"", data=spray(300), gas=900_000),
            deposit(mint=5, value=2, gas=60_000),
        ]
    sealed = (
        chain.seal([sign_l2(nonce=0, value=1)], deposits=given_deposits)
        if (limit == "witness")
        else chain.seal(deposits=given_deposits)
    )
    receipts = json.loads(chain.engine.receipts_json(sealed.block, sealed.receipts))
    by_rule = 1 if limit == "gas" else 0
    assert receipts[by_rule]["status"] == "0x0"
    options = json.dumps({"tracer": "callTracer"}).encode()
    for index, receipt in enumerate(receipts):
        one = json.loads(
            chain.engine.trace_transaction(chain.head.state_root, sealed.block, b"", index, options)
        )
        assert one == frame(chain, sealed.block, index)
        assert one["gasUsed"] == receipt["gasUsed"]
        assert ("error" in one) is (receipt["status"] == "0x0")
    assert "limit of the block" in frame(chain, sealed.block, by_rule)["error"]  # type: ignore[operator]
    diffs = trace(chain, sealed.block, "prestateTracer", {"diffMode": True})
    chain.commit(sealed)
    last = cast(dict[str, dict[str, str]], diffs[1]["post"])
    assert int(last["0x" + FAUCET.hex()]["balance"], 16) == chain.balance(FAUCET)


def many_accounts() -> dict[str, object]:
    """Accounts enough that a spray of reads is long."""
    return {f"0x{0x5000 + place:040x}": {"balance": "0x1"} for place in range(600)}


def spray(count: int) -> bytes:
    """Code that asks for the balances of many accounts."""
    return b"".join(
        b"\x61" + (0x5000 + place).to_bytes(2, "big") + b"\x31\x50" for place in range(count)
    )


def test_block_is_traced_with_logs_counted_from_the_first_deposit() -> None:
    chain = RollupChain.open()
    topic = word(5)
    deposits = [deposit(to=LOGGER, data=topic)]
    block = chain.seal([sign_l2(nonce=0, to=LOGGER, data=topic, gas=100_000)], deposits=deposits)
    frames = trace(chain, block.block, "callTracer", {"withLog": True})
    indexes = [cast(list[dict[str, Json]], it["logs"])[0]["index"] for it in frames]
    assert indexes == ["0x0", "0x1"]


def test_calls_are_traced_on_a_rollup() -> None:
    chain = RollupChain.open()
    call = {"to": "0x" + REVERTER.hex(), "from": "0x" + PAYEE.hex()}
    answer = chain.engine.trace_call(
        chain.head.state_root,
        chain.header,
        b"",
        json.dumps(call).encode(),
        json.dumps({"tracer": "callTracer"}).encode(),
    )
    assert json.loads(answer)["error"] == "execution reverted"


def test_a_call_within_a_rollups_block_sees_its_deposits() -> None:
    """Given a deposit that mints, when a call is traced behind it and before it, then only the first one sees the ether."""
    chain = RollupChain.open()
    block = chain.seal([sign_l2(nonce=0)], deposits=[deposit(to=PAYEE, mint=5, value=5)])
    parent = chain.head.state_root

    def balance(index: int) -> object:
        answer = chain.engine.trace_call(
            parent,
            header_bytes(block.block),
            b"",
            json.dumps({"to": "0x" + PAYEE.hex()}).encode(),
            json.dumps({"tracer": "prestateTracer"}).encode(),
            block=block.block,
            index=index,
        )
        return json.loads(answer).get("0x" + PAYEE.hex(), {}).get("balance", "0x0")

    before = balance(0)
    assert int(cast(str, balance(1)), 16) == int(cast(str, before), 16) + 5


def test_execution_witness_of_a_rollups_block() -> None:
    chain = RollupChain.open()
    block = chain.seal([sign_l2(nonce=0)], deposits=[deposit(mint=1)])
    answer = json.loads(chain.engine.execution_witness(chain.header, block.block, b""))
    nodes = [bytes.fromhex(node[2:]) for node in answer["state"]]
    codes = [bytes.fromhex(code[2:]) for code in answer["codes"]]
    assert answer["headers"] == []
    again = chain.engine.stateless(chain.header, block.block, nodes, codes, [])
    assert again.block_hash == block.block_hash
