"""Receipts of a block are rendered in one crossing and told apart by text; what comes out is what decoding gives."""

from __future__ import annotations

import orjson
from hypothesis import given, strategies as st

from node.rpc.rendering import ASKED_BLOCKS_MAX, KEPT_BYTES_MAX, Renderer, split_receipts
from tests.kit.execution_chain import PORTAL, SENDER, ExecutionChain, sign
from tests.node.rpc.fakes import FakeEngine, InlineWorker, make_block
from tests.node.rpc.real import RealChain

HEX = st.binary(max_size=4).map(lambda data: "0x" + data.hex())
LOGS = st.lists(st.builds(lambda one: {"address": one, "blockHash": one, "data": one}, HEX))


def make_receipt(gas: str, logs: list[dict[str, str]], *, blob: bool) -> dict[str, object]:
    """Keys in the engine's order."""
    first = {"blobGasPrice": gas} if blob else {}
    return {**first, "blockHash": gas, "cumulativeGasUsed": gas, "logs": logs, "type": gas}


RECEIPT = st.builds(make_receipt, HEX, LOGS, blob=st.booleans())


@given(st.lists(RECEIPT, max_size=6))
def test_receipts_come_apart_as_they_are_written(receipts: list[dict[str, object]]) -> None:
    parts = split_receipts(orjson.dumps(receipts))
    assert [orjson.loads(part) for part in parts] == receipts
    assert parts == [orjson.dumps(receipt) for receipt in receipts]


def test_receipts_of_the_engine_come_apart_as_each_is_rendered() -> None:
    chain = RealChain(ExecutionChain.open())
    block = chain.grow(
        [
            sign(SENDER, nonce=0, value=1),
            sign(SENDER, nonce=1, to=PORTAL, gas=100_000, data=b"logged" * 8),
            sign(SENDER, nonce=2, value=1),
        ]
    )
    engine = chain.execution.engine
    assert split_receipts(engine.receipts_json(block.rlp, block.receipts)) == [
        engine.receipt_json(block.rlp, block.receipts, index) for index in range(3)
    ]


class CountingEngine(FakeEngine):
    """Counts how often receipts are rendered."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = 0
        self.single = 0

    def receipts_json(self, block: bytes, receipts: bytes) -> bytes:
        self.whole += 1
        return super().receipts_json(block, receipts)

    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        self.single += 1
        return super().receipt_json(block, receipts, index)


def test_the_second_receipt_of_a_block_has_all_of_them_rendered_once() -> None:
    engine = CountingEngine()
    renderer = Renderer(engine, InlineWorker())
    block = make_block(1, None, transactions=[b"transaction %d" % at for at in range(20)])
    rendered = [renderer.receipt(block, index) for index in range(20)]
    assert orjson.loads(orjson.dumps(rendered)) == [
        orjson.loads(engine.receipt_json(block.rlp, block.receipts, index)) for index in range(20)
    ]
    assert (engine.single, engine.whole) == (21, 1)


def test_what_is_kept_is_bounded() -> None:
    engine = CountingEngine()
    renderer = Renderer(engine, InlineWorker())
    transactions = [b"transaction %d" % at for at in range(60)]
    for number in range(ASKED_BLOCKS_MAX + 50):
        block = make_block(number, None, transactions=transactions)
        for index in range(3):
            renderer.receipt_now(block, index)
    kept = sum(sum(map(len, one)) for one in renderer._receipts.values())
    assert kept == renderer._receipts_bytes <= KEPT_BYTES_MAX
    assert len(renderer._asked) <= ASKED_BLOCKS_MAX
