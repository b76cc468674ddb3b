"""What a fault does to batches, and when it has done it."""

from __future__ import annotations

import pytest

from node.execution.engine import PackedBlock
from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.misbehaving import Deed, Misbehaviour

BLOCK = PackedBlock(timestamp=100, advances_origin=False, transactions=())


@pytest.mark.parametrize("deed", Deed)
async def test_a_batch_that_is_thrown_away_has_used_nothing(deed: Deed) -> None:
    board = FaultBoard(L2_FAULTS)
    misbehaviour = Misbehaviour(board)
    await board.inject(deed.value, {})

    assert misbehaviour.next_deed() is deed
    assert misbehaviour.next_deed() is deed
    misbehaviour.posted(None, is_lying=False)
    assert misbehaviour.next_deed() is deed
    misbehaviour.posted(deed, is_lying=False)
    assert misbehaviour.next_deed() is None


async def test_a_lie_lasts_until_it_is_posted() -> None:
    board = FaultBoard(L2_FAULTS)
    misbehaviour = Misbehaviour(board)
    assert misbehaviour.claims([BLOCK]) is None
    await board.inject("lie-timestamps", {"seconds": 5, "count": 1})

    for _ in range(2):
        claimed = misbehaviour.claims([BLOCK])
        assert claimed is not None
        assert [one.timestamp for one in claimed] == [105]
    misbehaviour.posted(None, is_lying=True)
    assert misbehaviour.claims([BLOCK]) is None


async def test_without_a_board_nothing_is_done_wrong() -> None:
    misbehaviour = Misbehaviour(None)
    misbehaviour.posted(Deed.GARBAGE, is_lying=True)
    assert misbehaviour.next_deed() is None
    assert misbehaviour.claims([BLOCK]) is None
