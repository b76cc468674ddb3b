"""From which L2 block on states are kept for those who disprove claims."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bridge.games.book import GameBook
from bridge.games.disputable import disputable_from
from node.contracts import disputes
from tests.bridge.disputes.scene import scene


@pytest.mark.slow
async def test_states_are_needed_from_the_anchor_and_from_where_open_games_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as stage, stage.parts() as parts:
        # Given nothing that was looked at, then everything is needed
        assert (
            disputable_from(
                GameBook(stage.l1.chain, parts.states, parts.l1_engine, parts.worker), parts.states
            )
            == 0
        )
        # Given games on the anchor, of which one stands and becomes the anchor
        lasting = await stage.game(parts, stage.roots(1, 4))
        await stage.game(parts, stage.roots(1, 5, 5))
        await stage.resolved(parts, lasting)
        with trio.fail_after(60):
            while (await parts.games.look()).anchor.l2_block != 4:
                await stage.hurried.send(lasting, disputes.close_game())
                await stage.mine()
        # Then the other one's start counts as long as it is open
        assert disputable_from(parts.games, parts.states) == 0
        # And the anchor once it is the anchor of L1's final block
        for game in (await parts.games.look()).open:
            await stage.resolved(parts, game.address)
        with trio.fail_after(60):
            while disputable_from(parts.games, parts.states) != 4:
                await stage.mine()
                await parts.games.look()
