"""Games counted once for each thing they come to, whatever L1 does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from bridge.app.supply import Supply, genesis_supply
from bridge.app.watching import Watcher
from node.contracts.addresses import PORTAL
from sequencer.batching.options import BatchingOptions
from tests.kit.real_bridge import (
    CHALLENGERS,
    Claimant,
    make_disputed_rollup,
    running_parts,
    true_roots,
)
from tests.kit.real_rollup import ETHER, RealL1, RealL2, running_l1, running_l2


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[RealL1, RealL2, CollectorRegistry]]:
    """A network with somebody who counts."""
    rollup = make_disputed_rollup()
    (folder / "l1").mkdir()
    (folder / "l2").mkdir()
    registry = CollectorRegistry()
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=BatchingOptions(interval_ms=100)) as l2,
        running_parts(l2, CHALLENGERS[0], folder) as parts,
        trio.open_nursery() as nursery,
    ):
        supply = Supply(
            None,
            genesis_wei=genesis_supply(rollup.l2_document),
            l2=l2.chain,
            l1=l2.view,
            engine=l2.engine,
        )
        watcher = Watcher(
            l1=l2.view, games=parts.games, states=parts.states, supply=supply, registry=registry
        )
        await nursery.start(watcher.run)
        yield l1, l2, registry
        nursery.cancel_scope.cancel()


async def until(registry: CollectorRegistry, wanted: float, name: str, **labels: str) -> None:
    """Wait until a sample says so."""
    with trio.fail_after(30):
        while registry.get_sample_value(name, labels) != float(wanted):  # noqa: ASYNC110  # seen from outside
            await trio.sleep(0.01)


async def test_locked_ether_and_games_are_seen(tmp_path: Path) -> None:
    async with watched(tmp_path) as (l1, l2, registry):
        locked = l1.engine.accounts(l1.chain.head.header.state_root, [PORTAL])[0][1]
        await until(registry, locked, "faultline_bridge_locked_wei")
        await until(registry, locked, "faultline_l2_supply_wei")
        await until(registry, 0, "faultline_bridge_games_total", outcome="made")
        await l1.deposit(0, to=b"\x31" * 20, value=2 * ETHER)
        await l1.mine()
        await l2.caught_up()
        await until(registry, locked + 2 * ETHER, "faultline_bridge_locked_wei")
        for _ in range(3):
            await l2.build_posted()
            await l1.mine()
            await l2.caught_up()
        claimant = Claimant(l1=l1, l2=l2, account=l1.rollup.users[3])
        await claimant.claim(true_roots(l2, 1, l2.chain.safe.header.number))
        lost = await l1.mine()
        await l2.caught_up()
        await until(registry, 1, "faultline_bridge_games_total", outcome="made")
        # A game that L1 leaves and makes again is another one that was made
        await l1.mine(on=lost.parent_hash, takes=0)
        while l1.chain.is_canonical(lost.hash):
            await l1.mine(on=list(l1.rollup.builder.blocks)[-1], takes=0)
        await l2.caught_up()
        for _ in range(2):
            await l1.mine()
            await l2.caught_up()
        await until(registry, 2, "faultline_bridge_games_total", outcome="made")
        assert registry.get_sample_value("faultline_bridge_games_total", {"outcome": "stands"}) == 0
