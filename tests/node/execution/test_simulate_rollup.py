"""`eth_simulateV1` on a rollup: what its blocks have, what they lack, and where fees go."""

from __future__ import annotations

import json
from typing import cast

import pytest

from node.errors import InvalidCall
from node.eth.headers import header_of_block
from tests.kit.execution_chain import ETHER, GWEI, SENDER, address_of, word
from tests.kit.questions import GAS_CAP, SimulatedBlock, encoded
from tests.kit.rollup_chain import (
    BASE_FEE,
    BASE_FEE_VAULT,
    L1_FEE_VAULT,
    LOGGER,
    MESSAGE_PASSER,
    OPERATOR_FEE_VAULT,
    SEQUENCER_FEE_VAULT,
    RollupChain,
)


@pytest.fixture(scope="module")
def chain() -> RollupChain:
    """A rollup of one block; nobody changes it."""
    made = RollupChain.open()
    made.grow()
    return made


def simulated(
    chain: RollupChain, *blocks: dict[str, object], **options: object
) -> list[SimulatedBlock]:
    """Blocks on the rollup's head."""
    answer = chain.engine.simulate(
        chain.head.state_root,
        chain.header,
        b"",
        encoded({"blockStateCalls": list(blocks)} | options),
        gas_cap=GAS_CAP,
    )
    return cast("list[SimulatedBlock]", json.loads(answer))


def balance_code(account: bytes) -> str:
    """Code that returns an account's balance."""
    return f"0x73{account.hex()}315f5260205ff3"


def balances(block: SimulatedBlock) -> list[int]:
    """What the calls of a block have returned."""
    return [int(call["returnData"], 16) for call in block["calls"]]


def test_a_block_has_what_a_rollups_has(chain: RollupChain) -> None:
    """Given a call that logs, when simulated with validation, then the header is a rollup's, and the log is in it."""
    head = header_of_block(chain.head.block)
    fees = {"maxFeePerGas": 2 * BASE_FEE, "gas": 100_000}
    call = {"from": address_of(SENDER), "to": LOGGER, "data": word(1), **fees}
    (block,) = simulated(chain, {"calls": [call]}, validation=True)

    assert int(block["number"], 16) == head.number + 1
    assert block["parentHash"] == "0x" + chain.head.block_hash.hex()
    assert int(block["baseFeePerGas"], 16) == BASE_FEE
    assert block["miner"] == "0x" + SEQUENCER_FEE_VAULT.hex()
    assert block["gasLimit"] == hex(head.gas_limit)
    assert block["requestsHash"] == "0x" + (head.requests_hash or b"").hex()
    assert block["withdrawalsRoot"] == "0x" + (head.withdrawals_root or b"").hex()
    assert (block["blobGasUsed"], block["extraData"]) == ("0x0", "0x")
    assert block["calls"][0]["status"] == "0x1"
    assert len(block["calls"][0]["logs"]) == 1


def test_the_withdrawals_root_follows_the_message_passer(chain: RollupChain) -> None:
    """Given a call that stores in the message passer, when simulated, then the block's withdrawals root is another."""
    store = {"to": MESSAGE_PASSER, "data": word(77) + word(1)}
    nothing, stored = simulated(chain, {}, {"calls": [store]})
    assert stored["withdrawalsRoot"] != nothing["withdrawalsRoot"]


def test_fees_go_to_the_vaults_and_none_to_l1(chain: RollupChain) -> None:
    """Given a call that pays for gas, when vaults are looked at after it, then base fee and tip are there, and no more."""
    vaults = [BASE_FEE_VAULT, SEQUENCER_FEE_VAULT, L1_FEE_VAULT, OPERATOR_FEE_VAULT]
    looks = {bytes([0xB0 + at] * 20): {"code": balance_code(one)} for at, one in enumerate(vaults)}
    asks: list[object] = [{"to": place, "gas": 50_000} for place in looks]
    paying = {
        "from": address_of(SENDER),
        "to": b"\x77" * 20,
        "maxFeePerGas": BASE_FEE + 3,
        "maxPriorityFeePerGas": 3,
        "value": ETHER,
        "gas": 21_000,
    }
    overrides: dict[str, object] = {"baseFeePerGas": BASE_FEE}
    before, after = simulated(
        chain,
        {"stateOverrides": looks, "calls": asks},
        {"blockOverrides": overrides, "calls": [paying, *asks]},
    )
    was, now = balances(before), balances(after | {"calls": after["calls"][1:]})
    assert [new - old for new, old in zip(now, was, strict=True)] == [
        21_000 * BASE_FEE,
        21_000 * 3,
        0,
        0,
    ]


def test_calls_without_fees_leave_the_vaults_alone(chain: RollupChain) -> None:
    looks = {b"\xb0" * 20: {"code": balance_code(BASE_FEE_VAULT)}}
    ask = {"to": b"\xb0" * 20, "gas": 50_000}
    overrides: dict[str, object] = {"baseFeePerGas": 5 * GWEI}
    (block,) = simulated(
        chain, {"blockOverrides": overrides, "stateOverrides": looks, "calls": [ask, ask]}
    )
    first, second = balances(block)
    assert first == second


def test_older_hashes_are_those_of_the_history_contract(chain: RollupChain) -> None:
    """Given code that asks for hashes, when blocks follow each other, then each sees those below, the base's parent included."""
    asker = {b"\xc0" * 20: {"code": "0x5f354303405f5260205ff3"}}
    calls = [{"to": b"\xc0" * 20, "data": word(back)} for back in (1, 2, 3)]
    first, second = simulated(chain, {"stateOverrides": asker}, {"calls": calls})
    base, genesis = ("0x" + block.block_hash.hex() for block in reversed(chain.blocks))
    assert [call["returnData"] for call in second["calls"]] == [first["hash"], base, genesis]


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ({"blockOverrides": {"withdrawals": []}}, -32602),
        (
            {"calls": [{"to": b"\x77" * 20, "blobVersionedHashes": [b"\x01" + bytes(31)]}]},
            -32000,
        ),
    ],
)
def test_what_a_rollup_has_not_is_refused(
    chain: RollupChain, block: dict[str, object], code: int
) -> None:
    with pytest.raises(InvalidCall, match="on a rollup") as caught:
        simulated(chain, block)
    assert caught.value.code == code
