"""Deriving and batching over real parts: consensus, pool, contracts and both engines in one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.options import BatchingOptions
from tests.kit.real_rollup import make_rollup, running_l1, running_l2

OPTIONS = BatchingOptions(interval_ms=100)


@pytest.mark.slow
async def test_blocks_and_deposits_reach_everybody_through_l1(tmp_path: Path) -> None:
    rollup = make_rollup()
    async with running_l1(rollup, tmp_path / "l1") as l1:
        async with running_l2(rollup, l1, tmp_path / "l2", batching=OPTIONS) as l2:
            # Given a deposit on L1, and L2 blocks with transfers before and after it
            await l1.deposit(0, to=b"\xdd" * 20, value=5 * 10**17)
            await l1.mine()
            await l1.mine()
            l2.build(l2.transfers(1, 20))
            l2.build(l2.transfers(1, 20), advances=True)
            l2.build(l2.transfers(1, 20), advances=True)
            assert l2.balance(b"\xdd" * 20) == 5 * 10**17
            # When the batcher posts them
            await l1.waiting(1)
            await l2.settled(3)
            # Then they are safe as they are, and final once L1 is
            assert l2.metric("faultline_deriving_blocks_total", outcome="executed") == 0
            for _ in range(6):
                await l1.mine()
            await l2.caught_up()
            with trio.fail_after(30), l2.chain.subscribe() as events:
                while l2.chain.finalized.header.number < 3:
                    await events.receive()
            head = l2.chain.head.hash
            gas = l1.chain.head.header.gas_limit
            assert gas == 120_000_000
        # And a replica that has nothing but L1 makes the same blocks
        async with running_l2(rollup, l1, tmp_path / "late") as late:
            await late.caught_up()
            assert late.chain.head.hash == head
            assert late.balance(b"\xdd" * 20) == 5 * 10**17
            assert late.metric("faultline_deriving_blocks_total", outcome="executed") == 3


@pytest.mark.slow
async def test_a_batch_survives_a_reorganisation_of_l1(tmp_path: Path) -> None:
    rollup = make_rollup()
    async with (
        running_l1(rollup, tmp_path / "l1") as l1,
        running_l2(rollup, l1, tmp_path / "l2", batching=OPTIONS) as l2,
    ):
        await l1.mine()
        fork = await l1.mine()
        await l2.caught_up()
        l2.build(l2.transfers(0, 50), advances=True)
        l2.build(l2.transfers(0, 50))
        await l1.waiting(1)
        # Given a batch in a block that nobody votes for
        lost = await l1.mine(voted=False)
        await l2.safe_at(2)
        # When another branch wins
        await l1.mine(on=fork.hash, takes=0)
        while l1.chain.is_canonical(lost.hash):
            await l1.mine(on=list(rollup.builder.blocks)[-1], takes=0)
        await l2.caught_up()
        assert l2.chain.safe.header.number == 0
        assert l2.chain.head.header.number == 2
        # Then the batch comes again, and nothing was executed twice
        await l2.settled(2)
        assert l2.metric("faultline_deriving_blocks_total", outcome="executed") == 0
        assert l2.metric("faultline_deriving_l1_reorgs_total") == 1


@pytest.mark.slow
async def test_garbage_between_batches_resets_the_l2_and_nobody_stops(tmp_path: Path) -> None:
    rollup = make_rollup()
    async with running_l1(rollup, tmp_path / "l1") as l1:
        board = FaultBoard(L2_FAULTS)
        async with running_l2(rollup, l1, tmp_path / "l2", board=board, batching=OPTIONS) as l2:
            for round_ in range(3):
                for fault in ("garbage-batch", "bomb-batch", "overlapping-batch"):
                    await board.inject(fault, {})
                    await l1.mine()
                    await l2.caught_up()
                    number = l2.chain.head.header.number
                    l2.build(l2.transfers(round_, 5), advances=True)
                    await l1.waiting(1)
                    await l2.settled(number + 1)
                number = l2.chain.head.header.number
                l2.build(l2.transfers(round_, 5))
                await l2.settled(number + 1)
            head = l2.chain.head
            assert l2.metric("faultline_deriving_records_without_content_total") >= 6
        async with running_l2(rollup, l1, tmp_path / "late") as late:
            await late.caught_up()
            assert late.chain.head.hash == head.hash


@pytest.mark.slow
async def test_a_restarted_node_goes_on_where_it_was(tmp_path: Path) -> None:
    rollup = make_rollup()
    async with running_l1(rollup, tmp_path / "l1") as l1:
        async with running_l2(rollup, l1, tmp_path / "l2", batching=OPTIONS) as l2:
            await l1.mine()
            await l2.caught_up()
            for _ in range(10):
                l2.build(l2.transfers(0, 30))
            await l2.settled(10)
            l2.build(l2.transfers(0, 30), advances=True)
            await l1.waiting(1)
            head = l2.chain.head.hash
        async with running_l2(rollup, l1, tmp_path / "l2", batching=OPTIONS) as l2:
            assert l2.chain.head.hash == head
            await l2.caught_up()
            await l2.settled(11)
            assert l2.chain.head.hash == head
            assert l2.metric("faultline_deriving_blocks_total", outcome="executed") == 0
            assert l2.metric("faultline_deriving_blocks_total", outcome="matched") == 1
