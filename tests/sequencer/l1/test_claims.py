"""Which L2 blocks the games of a real L1 claim."""

from __future__ import annotations

from pathlib import Path

from sequencer.batching.options import BatchingOptions
from sequencer.l1.claims import claimed_blocks
from tests.kit.real_bridge import Claimant, make_disputed_rollup, true_roots
from tests.kit.real_rollup import make_rollup, running_l1, running_l2


async def test_blocks_that_games_claim_are_named_the_newest_first(tmp_path: Path) -> None:
    rollup = make_disputed_rollup()
    async with (
        running_l1(rollup, tmp_path / "l1") as l1,
        running_l2(rollup, l1, tmp_path / "l2", batching=BatchingOptions(interval_ms=100)) as l2,
    ):
        assert list(claimed_blocks(l1.chain, l1.engine)) == []
        await l1.mine()
        await l1.mine()
        await l2.caught_up()
        for _ in range(4):
            l2.build()
        while l2.chain.safe.header.number < 4:
            await l1.mine()
            await l2.caught_up()
        claimant = Claimant(l1=l1, l2=l2, account=rollup.users[0])
        for last in (2, 4):
            await claimant.claim(true_roots(l2, 1, last))
            await l1.mine()
        assert list(claimed_blocks(l1.chain, l1.engine)) == [4, 2]


async def test_an_l1_without_games_claims_nothing(tmp_path: Path) -> None:
    rollup = make_rollup(users=1)
    async with running_l1(rollup, tmp_path / "l1") as l1:
        assert list(claimed_blocks(l1.chain, l1.engine)) == []
