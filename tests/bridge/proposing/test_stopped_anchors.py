"""What a proposer does once the guardian has stopped every claim that a new one could start from."""

from __future__ import annotations

from pathlib import Path

from bridge.games.book import Games
from node.contracts import disputes
from node.contracts.addresses import ANCHOR_STATE_REGISTRY
from node.eth.primitives import ZERO_ADDRESS, Address
from tests.bridge.proposing.scene import Scene, scene
from tests.kit.real_bridge import GUARDIAN, Claimant

SLOTS_MAX = 80
"""Within so many, two games have become the anchor."""


def anchors(games: Games) -> tuple[Address, Address]:
    """The anchor and the one before it."""
    newest, before = (
        Address(games.state.call(ANCHOR_STATE_REGISTRY, disputes.ask(name))[12:])
        for name in ("anchorGame", "previousAnchorGame")
    )
    return newest, before


async def stop_all(here: Scene) -> None:
    """The guardian stops both anchors and all games so far, again until no anchor is left."""
    guardian = Claimant(l1=here.l1, l2=here.l2, account=GUARDIAN)
    for _ in range(SLOTS_MAX):
        games = await here.games()
        if games.anchor.is_stopped:
            return
        for game in anchors(games):
            await guardian.send(ANCHOR_STATE_REGISTRY, disputes.blacklist(game))
        await guardian.send(ANCHOR_STATE_REGISTRY, disputes.retire_games())
        await here.slot()
    raise AssertionError("an anchor that cannot be stopped")


async def test_nothing_is_published_or_claimed_while_no_claim_can_start(tmp_path: Path) -> None:
    async with scene(tmp_path) as here, here.proposing():
        for _ in range(SLOTS_MAX):
            if ZERO_ADDRESS not in anchors(await here.games()):
                break
            await here.slot()
        assert ZERO_ADDRESS not in anchors(await here.games())
        await stop_all(here)
        # What was on its way is taken, or given up
        for _ in range(3):
            await here.slot()
        made, calls, reverted = (await here.games()).count, here.calls(), here.transactions()[1]
        for _ in range(12):
            await here.slot()
        assert (await here.games()).count == made
        assert here.calls()["publish"] == calls["publish"] > 0
        assert here.transactions()[1] == reverted
