"""What a rollup's transaction costs besides its gas, where it goes, and what receipts and JSON say of it.

The fees are computed here once more, from the OP Stack's specification (Fjord's and Isthmus' execution engine).
"""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import InvalidBlock, InvalidCall, StorageError
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.execution.engine import BlockResult
from tests.kit.execution_chain import DEPOSITOR, GWEI, SENDER, SPONSOR, address_of, word
from tests.kit.rollup_chain import (
    BASE_FEE,
    BASE_FEE_VAULT,
    CHAIN_ID,
    FAUCET,
    L1_BASE_FEE,
    L1_BASE_FEE_SCALAR,
    L1_BLOB_BASE_FEE,
    L1_BLOB_BASE_FEE_SCALAR,
    L1_FEE_VAULT,
    LOGGER,
    OPERATOR_FEE_CONSTANT,
    OPERATOR_FEE_SCALAR,
    OPERATOR_FEE_VAULT,
    SEQUENCER_FEE_VAULT,
    RollupChain,
    deposit,
    sign_l2,
)

NOISE = b"".join(keccak256(word(place)) for place in range(20))
"""Bytes without a repetition of three."""

PAYEE = keccak256(b"payee")[:20]
"""Neither has its address one."""


def estimated_size(raw: bytes) -> int:
    """Millionths of a byte, of bytes in which FastLZ finds nothing: a control byte for every 32 literals."""
    literals, rest = divmod(len(raw), 32)
    compressed = 33 * literals + (rest + 1 if rest else 0)
    return max(100_000_000, 836_500 * compressed - 42_585_600)


def l1_fee(raw: bytes) -> int:
    """Fjord's."""
    price = 16 * L1_BASE_FEE_SCALAR * L1_BASE_FEE + L1_BLOB_BASE_FEE_SCALAR * L1_BLOB_BASE_FEE
    return estimated_size(raw) * price // 10**12


def operator_fee(gas_used: int) -> int:
    """Isthmus'."""
    return gas_used * OPERATOR_FEE_SCALAR // 10**6 + OPERATOR_FEE_CONSTANT


def number(value: object) -> int:
    """A quantity of JSON-RPC."""
    assert isinstance(value, str)
    return int(value, 16)


def receipts(chain: RollupChain, block: BlockResult) -> list[dict[str, object]]:
    answer: list[dict[str, object]] = json.loads(
        chain.engine.receipts_json(block.block, block.receipts)
    )
    return answer


@pytest.mark.parametrize("data", [b"", NOISE], ids=["short", "long"])
def test_every_fee_leaves_the_sender_and_reaches_its_vault(data: bytes) -> None:
    chain = RollupChain.open()
    sender = address_of(SENDER)
    before = chain.balance(sender)
    raw = sign_l2(nonce=0, to=PAYEE, value=5, data=data, gas=100_000, maxPriorityFeePerGas=3)
    (receipt,) = receipts(chain, chain.grow([raw]))
    gas_used = number(receipt["gasUsed"])
    vaults = {
        SEQUENCER_FEE_VAULT: 3 * gas_used,
        BASE_FEE_VAULT: BASE_FEE * gas_used,
        L1_FEE_VAULT: l1_fee(raw),
        OPERATOR_FEE_VAULT: operator_fee(gas_used),
    }
    assert {vault: chain.balance(vault) for vault in vaults} == vaults
    assert before - chain.balance(sender) == 5 + sum(vaults.values())
    assert number(receipt["l1Fee"]) == l1_fee(raw)
    assert number(receipt["l1GasUsed"]) == estimated_size(raw) * 16 // 10**6


def test_receipt_names_what_the_fee_was_computed_from() -> None:
    chain = RollupChain.open()
    (receipt,) = receipts(chain, chain.grow([sign_l2(nonce=0)]))
    assert {name: number(value) for name, value in receipt.items() if "Scalar" in name} == {
        "l1BaseFeeScalar": L1_BASE_FEE_SCALAR,
        "l1BlobBaseFeeScalar": L1_BLOB_BASE_FEE_SCALAR,
        "operatorFeeScalar": OPERATOR_FEE_SCALAR,
    }
    assert number(receipt["l1GasPrice"]) == L1_BASE_FEE
    assert number(receipt["l1BlobBaseFee"]) == L1_BLOB_BASE_FEE
    assert number(receipt["operatorFeeConstant"]) == OPERATOR_FEE_CONSTANT
    assert not {"depositNonce", "depositReceiptVersion"} & receipt.keys()


def test_no_fee_of_l1_where_nothing_is_set() -> None:
    chain = RollupChain.open(fees={})
    (receipt,) = receipts(chain, chain.grow([sign_l2(nonce=0)]))
    assert number(receipt["l1Fee"]) == chain.balance(L1_FEE_VAULT) == 0
    assert not {"operatorFeeScalar", "operatorFeeConstant"} & receipt.keys()


def test_sender_must_afford_the_fee_of_l1() -> None:
    cost = 21_000 * BASE_FEE + l1_fee(b"") + operator_fee(21_000)
    for missing, full in ((0, True), (1, False)):
        account = {"0x" + "00" * 19 + "aa": {"balance": "0x0"}}
        account[SPONSOR.address] = {"balance": hex(cost - missing)}
        chain = RollupChain.open(extra_accounts=account)
        raw = sign_l2(SPONSOR, nonce=0, maxFeePerGas=BASE_FEE, maxPriorityFeePerGas=0)
        assert chain.derive([raw]).is_full is full


def test_every_type_is_charged() -> None:
    chain = RollupChain.open()
    raws = [
        sign_l2(nonce=0, gasPrice=GWEI),
        sign_l2(nonce=1, gasPrice=GWEI, accessList=[]),
        sign_l2(nonce=2),
        delegation(nonce=3),
    ]
    found = receipts(chain, chain.grow(raws))
    assert [receipt["type"] for receipt in found] == ["0x0", "0x1", "0x2", "0x4"]
    assert all(number(receipt["l1Fee"]) > 0 for receipt in found)
    assert chain.balance(L1_FEE_VAULT) == sum(number(receipt["l1Fee"]) for receipt in found)
    paid = sum(operator_fee(number(receipt["gasUsed"])) for receipt in found)
    assert chain.balance(OPERATOR_FEE_VAULT) == paid


def delegation(nonce: int) -> bytes:
    """An EIP-7702 transaction that lets one account run another's code."""
    authorization = DEPOSITOR.sign_authorization(
        {"chainId": CHAIN_ID, "address": LOGGER, "nonce": 0}
    )
    return sign_l2(nonce=nonce, gas=100_000, authorizationList=[authorization])


def test_receipts_hash_to_the_header(rendered: tuple[RollupChain, BlockResult]) -> None:
    """Deposits' receipts hold nonce and version, as Canyon has them."""
    chain, block = rendered
    raws = chain.engine.raw_receipts(block.receipts)
    fields = rlp.decode(raws[1][1:])
    assert raws[1][:1] == b"\x7e"
    assert isinstance(fields, list)
    assert fields[4:] == [b"\x01", b"\x01"]
    (first,) = (rlp.decode(raws[0][1:]),)
    assert isinstance(first, list)
    assert first[4:] == [b"", b"\x01"]
    assert len(raws) == 3
    again = chain.engine.execute(chain.header, block.block, b"")
    assert header_of_block(again.block).receipts_root == header_of_block(block.block).receipts_root


@pytest.fixture(scope="module")
def rendered() -> tuple[RollupChain, BlockResult]:
    """A chain, and a block on its head with two deposits and a transaction."""
    chain = RollupChain.open()
    deposits = [deposit(), deposit(mint=7, value=2, to=b"", data=b"\x00", source=word(9))]
    return chain, chain.seal([sign_l2(nonce=0)], deposits=deposits)


def test_deposits_in_json(rendered: tuple[RollupChain, BlockResult]) -> None:
    chain, block = rendered
    found = json.loads(chain.engine.transaction_json(block.block, block.receipts, 1))
    raw = chain.engine.raw_transactions(block.block)[1]
    assert found == {
        "blockHash": "0x" + block.block_hash.hex(),
        "blockNumber": "0x1",
        "blockTimestamp": "0x64",
        "from": "0x" + FAUCET.hex(),
        "gas": hex(100_000),
        "gasPrice": "0x0",
        "hash": "0x" + keccak256(raw).hex(),
        "input": "0x00",
        "nonce": "0x1",
        "to": None,
        "transactionIndex": "0x1",
        "value": "0x2",
        "type": "0x7e",
        "v": "0x0",
        "r": "0x0",
        "s": "0x0",
        "sourceHash": "0x" + word(9).hex(),
        "mint": "0x7",
        "depositReceiptVersion": "0x1",
    }
    first = json.loads(chain.engine.transaction_json(block.block, block.receipts, 0))
    assert "mint" not in first
    full = json.loads(chain.engine.block_json(block.block, block.receipts, full=True))
    assert full["transactions"][:2] == [first, found]
    assert full["withdrawals"] == []
    hashes = json.loads(chain.engine.block_json(block.block, block.receipts, full=False))
    assert [tx["hash"] for tx in full["transactions"]] == hashes["transactions"]
    assert hashes["transactions"] == ["0x" + it.hex() for it in block.transaction_hashes]


def test_receipts_of_deposits_in_json(rendered: tuple[RollupChain, BlockResult]) -> None:
    chain, block = rendered
    found = receipts(chain, block)
    assert [receipt.get("depositNonce") for receipt in found] == ["0x0", "0x1", None]
    assert [receipt.get("depositReceiptVersion") for receipt in found] == ["0x1", "0x1", None]
    assert [("l1Fee" in receipt) for receipt in found] == [False, False, True]
    assert found[0]["effectiveGasPrice"] == "0x0"
    one = json.loads(chain.engine.receipt_json(block.block, block.receipts, 2))
    assert one == found[2]


def test_fee_history_counts_a_deposits_tip_as_nothing(
    rendered: tuple[RollupChain, BlockResult],
) -> None:
    chain, block = rendered
    tips = chain.engine.fee_percentiles(block.block, block.receipts, [0.0, 100.0])
    assert tips == [0, GWEI]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_an_error_and_nothing_worse(
    rendered: tuple[RollupChain, BlockResult], data: st.DataObject
) -> None:
    chain, block = rendered
    engine = chain.engine
    parts = [bytearray(block.block), bytearray(block.receipts)]
    part = data.draw(st.sampled_from(parts))
    for _ in range(data.draw(st.integers(1, 3))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    raw, record = map(bytes, parts)
    for render in (
        lambda: engine.block_json(raw, record, full=True),
        lambda: engine.receipts_json(raw, record),
        lambda: engine.logs(record, LOGGER, word(1)),
        lambda: engine.fee_percentiles(raw, record, [50.0]),
        lambda: engine.raw_receipts(record),
        lambda: engine.trace_block(chain.head.state_root, raw, b"", b"{}"),
    ):
        with suppress(InvalidBlock, InvalidCall, StorageError, ValueError):
            render()
