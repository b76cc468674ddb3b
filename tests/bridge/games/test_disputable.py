"""From which L2 block on states are kept for those who disprove claims."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bridge.games.book import GameBook
from bridge.games.disputable import disputable_from
from bridge.games.reading import lowest_start
from node.contracts import disputes
from tests.bridge.disputes.scene import scene


@pytest.mark.slow
async def test_states_are_needed_from_the_anchor_before_the_anchor_and_from_where_open_games_start(
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
        # Given games on genesis, of which one stands and becomes the anchor
        lasting = await stage.game(parts, stage.roots(1, 4))
        await stage.game(parts, stage.roots(1, 5, 5))
        await stage.resolved(parts, lasting)
        with trio.fail_after(60):
            while (await parts.games.look()).anchor.l2_block != 4:
                await stage.hurried.send(lasting, disputes.close_game())
                await stage.mine()
        # And another that stands and takes its place
        newer = await stage.game(parts, stage.roots(5, 6), start=4)
        await stage.resolved(parts, newer)
        assert disputable_from(parts.games, parts.states) == 0
        with trio.fail_after(60):
            while (await parts.games.look()).anchor.l2_block != 6:
                await stage.hurried.send(newer, disputes.close_game())
                await stage.mine()
        # Then nothing below the first one counts, but for where a game starts that is still open
        with trio.fail_after(60):
            while lowest_start(parts.states.finalized()) != 4:
                await stage.mine()
                await parts.games.look()
        assert disputable_from(parts.games, parts.states) == 0
        for game in (await parts.games.look()).open:
            await stage.resolved(parts, game.address)
        # And the first one counts from then on: should the guardian stop the second, games start there again
        await parts.games.look()
        assert disputable_from(parts.games, parts.states) == 4
