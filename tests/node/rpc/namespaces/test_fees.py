"""Fees: what is suggested, and fee histories in geth's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from node.rpc import fees
from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend, FakeChain, InlineWorker, make_block

Answer = TypeVar("Answer")

GWEI = 10**9


async def test_tips_of_recent_blocks_are_suggested() -> None:
    async with running() as server:
        client = await server.http()
        base_fee = server.backend.chain.head.header.base_fee_per_gas
        assert await client.result("eth_maxPriorityFeePerGas") == hex(3 * GWEI)
        assert await client.result("eth_gasPrice") == hex(3 * GWEI + base_fee)
        next_base_fee = server.backend.chain.next_header().base_fee_per_gas
        assert await client.result("eth_baseFee") == hex(next_base_fee)
        assert await client.result("eth_blobBaseFee") == "0x1"


async def test_without_tips_the_last_suggestion_stands() -> None:
    backend = Backend(chain=FakeChain(1))
    async with running(backend) as server:
        client = await server.http()
        assert await client.result("eth_maxPriorityFeePerGas") == hex(GWEI)
        backend.engine.percentiles = [5 * GWEI]
        backend.chain.append(make_block(1, backend.chain.head, transactions=[b"a"]))
        assert await client.result("eth_maxPriorityFeePerGas") == hex(5 * GWEI)
        for number in range(2, 30):
            backend.chain.append(make_block(number, backend.chain.head))
        assert await client.result("eth_maxPriorityFeePerGas") == hex(5 * GWEI)
        backend.engine.percentiles = [1]
        backend.chain.append(make_block(30, backend.chain.head, transactions=[b"a"]))
        assert await client.result("eth_maxPriorityFeePerGas") == hex(5 * GWEI)
        backend.engine.percentiles = [900 * GWEI]
        for number in range(31, 60):
            backend.chain.append(make_block(number, backend.chain.head, transactions=[b"a"]))
        assert await client.result("eth_maxPriorityFeePerGas") == hex(500 * GWEI)


async def test_a_history_ends_with_the_fee_of_the_block_that_follows() -> None:
    async with running() as server:
        client = await server.http()
        fees = [hex(GWEI + number) for number in range(5)]
        history = await client.result("eth_feeHistory", "0x2", "0x2", [10, 50])
        assert history == {
            "oldestBlock": "0x1",
            "reward": [[hex(3 * GWEI)] * 2] * 2,
            "baseFeePerGas": fees[1:4],
            "gasUsedRatio": [0.0007, 0.0007],
            "baseFeePerBlobGas": ["0x1"] * 3,
            "blobGasUsedRatio": [0, 0],
        }
        latest = await client.result("eth_feeHistory", 1, "latest", [])
        assert latest == {
            "oldestBlock": "0x3",
            "baseFeePerGas": fees[3:5],
            "gasUsedRatio": [0.0007],
            "baseFeePerBlobGas": ["0x1", "0x1"],
            "blobGasUsedRatio": [0],
        }
        whole = await client.result("eth_feeHistory", "5000", "latest", [50])
        assert isinstance(whole, dict)
        assert (whole["oldestBlock"], len(whole["baseFeePerGas"])) == ("0x0", 5)
        assert whole["reward"][0] == ["0x0"]


async def test_histories_that_make_no_sense_are_refused() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_feeHistory", "0x0", "latest", []) == {
            "oldestBlock": "0x0",
            "gasUsedRatio": None,
        }
        for percentiles, problem in (
            ([101], "invalid reward percentile: 101.000000"),
            ([-1], "invalid reward percentile: -1.000000"),
            ([50, 10], "invalid reward percentile: #0:50.000000 >= #1:10.000000"),
            ([1] * 101, "invalid reward percentile: over the query limit 100"),
        ):
            assert await client.error("eth_feeHistory", "0x1", "latest", percentiles) == (
                -32000,
                problem,
            )
        assert await client.error("eth_feeHistory", "0x1", "0x99", []) == (
            -32000,
            "request beyond head block: requested 153, head 3",
        )
        assert await client.error("eth_feeHistory", "0x1", "latest", ["a"]) == (
            -32602,
            "invalid argument 2: json: cannot unmarshal string into Go value of type float64",
        )


class CountingWorker(InlineWorker):
    """Counts what it is given."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[[], Answer]) -> Answer:
        self.runs += 1
        return await super().run(work)


async def test_a_long_history_holds_few_blocks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given blocks that fill a portion each, then they are read one by one and the answer is the same."""
    worker = CountingWorker()
    async with running(Backend(chain=FakeChain(9), worker=worker)) as server:
        client = await server.http()
        asked = ("0x7", "latest", [10, 50])
        together = await client.result("eth_feeHistory", *asked)
        assert worker.runs == 1
        monkeypatch.setattr(fees, "PORTION_BYTES", 1)
        assert await client.result("eth_feeHistory", *asked) == together
        assert worker.runs == 8
