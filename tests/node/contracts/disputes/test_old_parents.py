"""A claim starts at the anchor or above it: below, nobody may have the states any more on which it could be disproved."""

from __future__ import annotations

import pytest

from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import AIR_GAP, LIAR, DisputeWorld, wrong_root
from tests.node.contracts.disputes.ends import stand


def test_a_game_that_stands_below_the_anchor_is_no_parent_any_more() -> None:
    """Given games that stand at blocks 2, 4 and 6, when 4 is the anchor, then 2 is refused, and 4 and 6 are not."""
    world = DisputeWorld.open()
    world.append([[]] * 8)
    below, at, above = world.game(2), world.game(4), world.game(6)
    for game in (below, at, above):
        stand(world, game)
    world.game(3, parent=below)
    world.pass_blocks(AIR_GAP)
    world.network.world.transact(FORCER, at.contract, "closeGame")
    with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
        world.game(5, parent=below, wrong={3: wrong_root()}, sender=LIAR)
    world.game(8, parent=at)
    world.game(8, parent=above)
