"""Blocks, transactions, receipts and logs as JSON: geth's recordings, and kinds that they do not hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Final, cast

import pytest
from eth_account import Account
from hypothesis import given, settings, strategies as st

from node.errors import InvalidBlock, StorageError
from node.eth.headers import Withdrawal
from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    DEPOSITED_TOPIC,
    DEPOSITOR,
    GWEI,
    KEEPER,
    PORTAL,
    PROPOSER,
    SENDER,
    SPONSOR,
    ExecutionChain,
    address_of,
    header_bytes,
    sign,
    word,
)
from tests.kit.recorded_chain import Exchange, exchanges, needs_recordings, recorded_chain

EMITTER: Final = bytes([0x65] * 20)
"""Logs its input's first word as data under the second and third as topics."""

ACCOUNTS: Final = {
    "0x" + EMITTER.hex(): {"balance": "0x0", "code": "0x604035602035" + "5f355f5260205fa200"}
}


@pytest.fixture(scope="module")
def chain() -> ExecutionChain:
    return ExecutionChain.open(extra_accounts=ACCOUNTS)


@pytest.fixture(scope="module")
def block(chain: ExecutionChain) -> BlockResult:
    """Types 0, 1, 2 and 4, a creation, a failed creation and a withdrawal."""
    authorization = SPONSOR.sign_authorization(
        {"chainId": 900, "address": "0x" + KEEPER.hex(), "nonce": 0}
    )
    access_list = [{"address": "0x" + KEEPER.hex(), "storageKeys": ["0x" + word(7).hex()]}]
    store = word(7) + word(8)
    return chain.grow(
        [
            sign(SENDER, nonce=0, gasPrice=5 * GWEI, value=1),
            sign(
                SENDER, nonce=1, gasPrice=5 * GWEI, accessList=access_list, to=KEEPER, data=store,
                gas=99_000,
            ),
            sign(SENDER, nonce=2, value=3),
            sign(SENDER, nonce=3, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=99_000),
            sign(SENDER, nonce=4, to=b"", data=bytes.fromhex("fe"), gas=99_000),
            sign(
                DEPOSITOR, nonce=0, to=PORTAL, data=b"deposit", gas=200_000,
                authorizationList=[authorization],
            ),
        ],
        withdrawals=[Withdrawal(index=0, validator_index=3, address=PROPOSER, amount_gwei=5)],
    )  # fmt: skip


def told(data: bytes) -> dict[str, object]:
    """A JSON object."""
    return cast("dict[str, object]", json.loads(data))


def quantity(value: int) -> str:
    return hex(value)


# -- recordings


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(one, id=one.name)
        for one in exchanges("eth_getBlockByNumber", "eth_getBlockByHash")
        if one.result is not None
    ],
)
def test_blocks_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    number, full = chain.number_of(exchange.params[0]), exchange.params[1]
    assert number is not None
    block = chain.blocks[number]

    rendered = told(chain.engine.block_json(block.block, block.receipts, full=bool(full)))

    assert rendered == exchange.result


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(one, id=one.name)
        for one in exchanges("eth_getTransactionByHash", "eth_getTransactionReceipt")
        if one.result is not None
    ],
)
def test_transactions_and_receipts_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    place = chain.place_of(exchange.params[0])
    assert place is not None
    block, index = place
    engine = chain.engine
    render = engine.receipt_json if "Receipt" in exchange.name else engine.transaction_json

    assert told(render(block.block, block.receipts, index)) == exchange.result


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(one, id=one.name)
        for one in exchanges("eth_getBlockReceipts")
        if one.result is not None
    ],
)
def test_lists_of_receipts_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    number = chain.number_of(exchange.params[0])
    assert number is not None
    block = chain.blocks[number]

    assert json.loads(chain.engine.receipts_json(block.block, block.receipts)) == exchange.result


@needs_recordings
@pytest.mark.parametrize(
    "exchange",
    [pytest.param(one, id=one.name) for one in exchanges("eth_getLogs") if one.result is not None],
)
def test_logs_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    wanted = cast("dict[str, str | list[str] | None]", exchange.params[0])
    first = chain.number_of(wanted.get("blockHash") or wanted.get("fromBlock", "latest"))
    last = chain.number_of(wanted.get("blockHash") or wanted.get("toBlock", "latest"))
    assert first is not None
    assert last is not None

    logs = chain.engine.logs_json(
        [(block.block, block.receipts) for block in chain.blocks[first : last + 1]],
        [bytes.fromhex(one[2:]) for one in listed(wanted.get("address"))],
        [
            [bytes.fromhex(one[2:]) for one in listed(position)]
            for position in cast("list[str | list[str] | None]", wanted.get("topics") or [])
        ],
    )

    assert [json.loads(log) for log in logs] == exchange.result


def listed(value: str | list[str] | None) -> list[str]:
    """A filter's value as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


@needs_recordings
def test_the_fee_history_is_the_recorded_one() -> None:
    chain = recorded_chain()
    (exchange,) = exchanges("eth_feeHistory")
    number = chain.number_of(exchange.params[1])
    assert number is not None
    block = chain.blocks[number]

    fees = chain.engine.fee_percentiles(
        block.block, block.receipts, cast("list[float]", exchange.params[2])
    )

    assert [quantity(fee) for fee in fees] == cast("dict[str, list[object]]", exchange.result)[
        "reward"
    ][0]


# -- every kind of transaction


def test_a_dynamic_fee_transaction_tells_what_it_pays(
    chain: ExecutionChain, block: BlockResult
) -> None:
    """Given a type 2 transaction, when mined and when pending, then gasPrice is what it pays, or may pay at most."""
    # Given
    raw = chain.engine.raw_transactions(block.block)[2]
    header = told(chain.engine.header_json(header_bytes(block.block)))
    base_fee = int(cast("str", header["baseFeePerGas"]), 16)
    common = {
        "from": "0x" + address_of(SENDER).hex(),
        "gas": "0x5208",
        "maxFeePerGas": quantity(10 * GWEI),
        "maxPriorityFeePerGas": quantity(GWEI),
        "hash": "0x" + block.transaction_hashes[2].hex(),
        "input": "0x",
        "nonce": "0x2",
        "to": "0x" + "77" * 20,
        "value": "0x3",
        "type": "0x2",
        "accessList": [],
        "chainId": "0x384",
    }

    # When
    mined = told(chain.engine.transaction_json(block.block, block.receipts, 2))
    pending = told(chain.engine.pending_json([raw])[0])

    # Then
    signature = {name: mined.pop(name) for name in ("r", "s", "v", "yParity")}
    assert signature["v"] == signature["yParity"]
    assert mined == common | {
        "blockHash": "0x" + block.block_hash.hex(),
        "blockNumber": "0x1",
        "blockTimestamp": header["timestamp"],
        "transactionIndex": "0x2",
        "gasPrice": quantity(base_fee + GWEI),
    }
    assert pending == common | signature | {
        "blockHash": None,
        "blockNumber": None,
        "blockTimestamp": None,
        "transactionIndex": None,
        "gasPrice": quantity(10 * GWEI),
    }


def test_each_kind_has_its_fields(chain: ExecutionChain, block: BlockResult) -> None:
    """Given types 0, 1, 2 and 4, when rendered, then each has the fields of its type and no others."""
    always = {
        "blockHash", "blockNumber", "blockTimestamp", "from", "gas", "gasPrice", "hash", "input",
        "nonce", "to", "transactionIndex", "value", "type", "chainId", "v", "r", "s",
    }  # fmt: skip
    listing = always | {"accessList", "yParity"}
    dynamic = listing | {"maxFeePerGas", "maxPriorityFeePerGas"}

    rendered = told(chain.engine.block_json(block.block, block.receipts, full=True))

    fields = [set(one) for one in cast("list[dict[str, object]]", rendered["transactions"])]
    assert fields == [
        always, listing, dynamic, dynamic, dynamic, dynamic | {"authorizationList"},
    ]  # fmt: skip


def test_a_legacy_signature_names_its_chain(chain: ExecutionChain) -> None:
    """Given legacy transactions with and without EIP-155, when rendered, then v is as signed and chainId only with it."""
    signed = sign(SENDER, nonce=9, gasPrice=GWEI)
    homestead = Account.from_key(SENDER.key).sign_transaction(
        {"nonce": 9, "gasPrice": GWEI, "gas": 21_000, "to": "0x" + "77" * 20, "value": 0}
    )

    with_chain, without = map(
        told, chain.engine.pending_json([signed, bytes(homestead.raw_transaction)])
    )

    assert (with_chain["chainId"], with_chain["v"]) in [("0x384", "0x72b"), ("0x384", "0x72c")]
    assert "chainId" not in without
    assert without["v"] == quantity(homestead.v)


def test_receipts_tell_creations_and_failures(chain: ExecutionChain, block: BlockResult) -> None:
    """Given a creation, a failed one and a deposit, when rendered, then receipts have address, status and logs."""
    # When
    receipts = cast(
        "list[dict[str, object]]",
        json.loads(chain.engine.receipts_json(block.block, block.receipts)),
    )

    # Then
    created, failed, deposit = receipts[3:]
    assert (created["status"], failed["status"]) == ("0x1", "0x0")
    assert created["contractAddress"] is not None
    assert failed["contractAddress"] not in (None, created["contractAddress"])
    assert failed["gasUsed"] == quantity(99_000)
    code = chain.engine.code(
        block.state_root, bytes.fromhex(cast("str", created["contractAddress"])[2:])
    )
    assert code == b"\x01"
    header = told(chain.engine.header_json(header_bytes(block.block)))
    assert deposit["logs"] == [
        {
            "address": "0x" + PORTAL.hex(),
            "topics": ["0x" + DEPOSITED_TOPIC.hex()],
            "data": "0x" + b"deposit".hex(),
            "blockNumber": "0x1",
            "transactionHash": "0x" + block.transaction_hashes[5].hex(),
            "transactionIndex": "0x5",
            "blockHash": "0x" + block.block_hash.hex(),
            "blockTimestamp": header["timestamp"],
            "logIndex": "0x0",
            "removed": False,
        }
    ]
    assert deposit["logsBloom"] == header["logsBloom"]
    singles = [
        told(chain.engine.receipt_json(block.block, block.receipts, index)) for index in range(6)
    ]
    assert singles == receipts


def test_a_block_is_its_header_and_its_contents(chain: ExecutionChain, block: BlockResult) -> None:
    """Given a block, when rendered with hashes, then it is the header with size, hashes and withdrawals."""
    header = told(chain.engine.header_json(header_bytes(block.block)))

    rendered = told(chain.engine.block_json(block.block, block.receipts, full=False))

    assert rendered == header | {
        "size": quantity(len(block.block)),
        "transactions": ["0x" + one.hex() for one in block.transaction_hashes],
        "uncles": [],
        "withdrawals": [
            {
                "index": "0x0",
                "validatorIndex": "0x3",
                "address": "0x" + PROPOSER.hex(),
                "amount": "0x5",
            }
        ],
    }
    assert header["hash"] == "0x" + block.block_hash.hex()


# -- filters


def emit(nonce: int, data: int, first: int, second: int) -> bytes:
    return sign(
        SENDER, nonce=nonce, to=EMITTER, data=word(data) + word(first) + word(second), gas=99_000
    )


@pytest.fixture(scope="module")
def emitting() -> tuple[ExecutionChain, list[BlockResult]]:
    """Two blocks with logs (0, 1, 2), (1, 1, 3) and (2, 4, 2): data and two topics."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    return chain, [chain.grow([emit(0, 0, 1, 2), emit(1, 1, 1, 3)]), chain.grow([emit(2, 2, 4, 2)])]


@pytest.mark.parametrize(
    ("addresses", "topics", "found"),
    [
        ([], [], [0, 1, 2]),
        ([EMITTER], [], [0, 1, 2]),
        ([KEEPER], [], []),
        ([KEEPER, EMITTER], [[word(1)]], [0, 1]),
        ([], [[word(1), word(4)]], [0, 1, 2]),
        ([], [[], [word(2)]], [0, 2]),
        ([], [[word(1)], [word(2)]], [0]),
        ([], [[word(2)]], []),
        ([], [[], [], []], []),
    ],
)
def test_filters_match_as_geths(
    emitting: tuple[ExecutionChain, list[BlockResult]],
    addresses: Sequence[bytes],
    topics: Sequence[Sequence[bytes]],
    found: list[int],
) -> None:
    """Given three logs, when filtered, then positions are alternatives, empty ones anything, and too many nothing."""
    chain, blocks = emitting
    pairs = [(block.block, block.receipts) for block in blocks]

    logs = [told(one) for one in chain.engine.logs_json(pairs, addresses, topics, removed=True)]

    assert [int(cast("str", log["data"]), 16) for log in logs] == found
    places = {0: ("0x0", "0x0"), 1: ("0x1", "0x1"), 2: ("0x0", "0x0")}
    assert [(log["logIndex"], log["transactionIndex"]) for log in logs] == [
        places[one] for one in found
    ]
    assert all(log["removed"] is True for log in logs)


# -- fees


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.lists(st.floats(0, 100), max_size=5).map(sorted),
)
@settings(max_examples=30, deadline=None)
def test_percentiles_are_geths(tips: list[int], percentiles: list[float]) -> None:
    """Given transactions of one size with tips, when asked, then a percentile is the tip where so much gas is reached."""
    chain = ExecutionChain.open()
    block = chain.grow(
        [
            sign(SENDER, nonce=nonce, maxFeePerGas=20 * GWEI, maxPriorityFeePerGas=tip * GWEI)
            for nonce, tip in enumerate(tips)
        ]
    )

    fees = chain.engine.fee_percentiles(block.block, block.receipts, percentiles)

    ascending = sorted(tips)
    expected = []
    for percentile in percentiles:
        threshold = int(block.gas_used * percentile / 100)
        place = next(
            (at for at in range(len(tips)) if 21_000 * (at + 1) >= threshold), len(tips) - 1
        )
        expected.append(ascending[place] * GWEI)
    assert fees == expected


def test_percentiles_without_transactions_are_zero() -> None:
    chain = ExecutionChain.open()
    assert chain.engine.fee_percentiles(chain.head.block, chain.head.receipts, [1.0, 99.0]) == [
        0,
        0,
    ]


@pytest.mark.parametrize("percentiles", [[-0.1], [100.1], [float("nan")], [50.0] * 101])
def test_percentiles_out_of_range_are_refused(percentiles: list[float]) -> None:
    chain = ExecutionChain.open()
    with pytest.raises(ValueError, match="percentiles"):
        chain.engine.fee_percentiles(chain.head.block, chain.head.receipts, percentiles)


# -- damage


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_an_error_and_nothing_worse(data: st.DataObject) -> None:
    """Given a stored block or record with other bytes in it, when rendered, then it is an answer or an error of ours."""
    chain, sealed = _damage_chain()
    parts = [bytearray(sealed.block), bytearray(sealed.receipts)]
    part = data.draw(st.sampled_from(parts))
    for _ in range(data.draw(st.integers(1, 3))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    rlp, receipts = map(bytes, parts)
    engine = chain.engine

    for render in (
        lambda: engine.block_json(rlp, receipts, full=True),
        lambda: engine.receipts_json(rlp, receipts),
        lambda: engine.logs_json([(rlp, receipts)], [], []),
        lambda: engine.fee_percentiles(rlp, receipts, [50.0]),
        lambda: engine.raw_receipts(receipts),
        lambda: engine.raw_transactions(rlp),
    ):
        with suppress(StorageError, InvalidBlock):
            render()


@cache
def _damage_chain() -> tuple[ExecutionChain, BlockResult]:
    """One chain for all examples."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    return chain, chain.grow([emit(0, 0, 1, 2), sign(SENDER, nonce=1)])


def test_a_record_of_another_block_is_refused(chain: ExecutionChain, block: BlockResult) -> None:
    other = ExecutionChain.open().grow([sign(SENDER, nonce=0)])
    with pytest.raises(StorageError, match="want 6 entries, got 1"):
        chain.engine.receipts_json(block.block, other.receipts)
    with pytest.raises(ValueError, match="index: 6 of 6"):
        chain.engine.receipt_json(block.block, block.receipts, 6)
