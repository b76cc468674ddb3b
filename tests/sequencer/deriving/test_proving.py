"""The input of a STEP from what a replica holds: for every block of its chain, whatever record it came by."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import Temporary
from node.execution.adapter import RevmEngine
from node.execution.stepping import step_callable
from node.rollup.outputs import output_of
from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.options import BatchingOptions
from sequencer.deriving.proving import StepMaker
from tests.kit.real_rollup import RealL1, RealL2, RealRollup, make_rollup, running_l1, running_l2
from tests.kit.transfers import sign_transfer

OPTIONS = BatchingOptions(interval_ms=100)

WITHDRAWAL_REQUESTS = bytes.fromhex("00000961ef480eb55e80d19ad83579a64c007002")
"""EIP-7002's contract."""


def maker(l1: RealL1, l2: RealL2) -> StepMaker:
    return StepMaker(
        parameters=l2.rollup.parameters,
        l1=l2.view,
        l2=l2.chain,
        book=l2.deriver.book,
        l1_engine=l1.engine,
        engine=l2.engine,
    )


def every_block_steps(rollup: RealRollup, l1: RealL1, l2: RealL2) -> int:
    """Compare the STEP of each safe block with the chain; gives how many of them showed other requests."""
    step = step_callable(RevmEngine(rollup.l2_document), rollup.parameters)
    ours, shown = maker(l1, l2), 0
    for number in range(1, l2.chain.safe.header.number + 1):
        given = ours.prove(ours.gather(number))
        block = l2.chain.block_by_number(number)
        assert block is not None
        assert step(given.encode(), bytes(20), True) == output_of(block.header).root()
        shown += bool(given.last_request) and given.last_request[0] != 0x7E
        shown += bool(given.other_digests)
    return shown


async def ask_consensus(l1: RealL1, user: int) -> None:
    """Hand in a request of another type than the portal's."""
    raw = sign_transfer(
        l1.rollup.users[user],
        nonce=l1.user_nonce(user),
        to=WITHDRAWAL_REQUESTS,
        value=10**9,
        data=bytes(56),
        gas_limit=500_000,
    )
    submitted = await l1.pool.submit(raw)
    assert submitted.refusal is None, submitted.refusal


@pytest.mark.slow
async def test_a_replica_proves_every_block_of_its_chain(tmp_path: Path) -> None:
    """Given blocks with deposits, with other requests, and of records without content, when proven, then each steps to its root."""
    rollup = make_rollup()
    async with running_l1(rollup, tmp_path / "l1") as l1:
        board = FaultBoard(L2_FAULTS)
        async with running_l2(rollup, l1, tmp_path / "l2", board=board, batching=OPTIONS) as l2:
            # Given L1 blocks that ask nothing, something of the L2, something of consensus, and both
            await l1.mine()
            await l1.deposit(0, to=b"\xdd" * 20, value=5 * 10**17)
            await l1.mine()
            await ask_consensus(l1, 1)
            await l1.mine()
            await ask_consensus(l1, 1)
            await l1.deposit(0, to=b"\xdd" * 20, value=1)
            await l1.mine()
            await l2.caught_up()
            for _ in range(6):
                l2.build(l2.transfers(2, 3), advances=True)
                l2.build(l2.transfers(3, 2))
            with pytest.raises(Temporary, match="L2 block 1 is not derived from L1 yet"):
                maker(l1, l2).gather(1)
            await l2.settled(12)
            # And a record whose batch is garbage
            await board.inject("garbage-batch", {})
            await l1.mine()
            await l2.caught_up()
            number = l2.chain.head.header.number
            l2.build(l2.transfers(2, 1), advances=True)
            await l2.settled(number + 1)
            assert l2.metric("faultline_deriving_records_without_content_total") >= 1
            # Then
            assert every_block_steps(rollup, l1, l2) == 2
            head = l2.chain.safe.header.number
            with pytest.raises(Temporary, match=f"L2 block {head + 1} is not derived"):
                maker(l1, l2).gather(head + 1)
        # And whoever has nothing but L1 proves the same
        async with running_l2(rollup, l1, tmp_path / "late") as late:
            await late.caught_up()
            assert late.chain.safe.header.number == head
            assert every_block_steps(rollup, l1, late) == 2


@pytest.mark.slow
async def test_what_l1_drops_is_proven_no_more(tmp_path: Path) -> None:
    """Given what was gathered for a block, when L1 drops its record, then the next one is told to wait."""
    rollup = make_rollup()
    async with (
        running_l1(rollup, tmp_path / "l1") as l1,
        running_l2(rollup, l1, tmp_path / "l2", batching=OPTIONS) as l2,
    ):
        await l1.mine()
        fork = await l1.mine()
        await l2.caught_up()
        l2.build(l2.transfers(0, 5), advances=True)
        await l1.waiting()
        lost = await l1.mine(voted=False)
        await l2.safe_at(1)
        gathered = maker(l1, l2).gather(1)
        await l1.mine(on=fork.hash, takes=0)
        while l1.chain.is_canonical(lost.hash):
            await l1.mine(on=list(rollup.builder.blocks)[-1], takes=0)
        await l2.caught_up()
        with pytest.raises(Temporary, match="L2 block 1 is not derived from L1 yet"):
            maker(l1, l2).gather(1)
        # The block stands, unsafe; what was gathered still says what it was.
        assert maker(l1, l2).prove(gathered).record == gathered.logged.record
