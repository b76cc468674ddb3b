"""Pool first, then JSON-RPC; and nothing is lost when they cannot keep up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import trio

from node.app.following import SYNC_LOOK_S, follow_chain, follow_sync
from node.chain.chain import Chain
from node.eth.blocks import Block
from node.eth.primitives import Address
from node.rpc.backend import SyncProgress
from node.sync.service import Progress
from tests.kit.chain_harness import Machine, make_network

OTHER = Address(b"\x0f" * 20)


@dataclass(slots=True)
class Follower:
    """Writes down what it is told; `gate` holds it up."""

    told: list[tuple[str, bytes]] = field(default_factory=list)
    gate: trio.Event = field(default_factory=trio.Event)
    dropped: list[bytes] = field(default_factory=list)
    returned: list[bytes] = field(default_factory=list)

    async def on_head(self, head: Block, dropped: Sequence[Block] = ()) -> None:
        self.returned += [one.hash for one in dropped]
        self.told.append(("pool", head.hash))
        await self.gate.wait()

    async def head_changed(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        self.dropped += [one.hash for one in dropped]
        self.told += [("rpc", one.hash) for one in added]
        await trio.lowlevel.checkpoint()

    def heard(self, who: str) -> list[bytes]:
        return [block_hash for name, block_hash in self.told if name == who]


async def settled(chain: Chain, follower: Follower) -> None:
    await trio.testing.wait_all_tasks_blocked()
    assert follower.heard("rpc")[-1:] == [chain.head.hash]


async def test_the_pool_hears_of_a_block_before_anybody_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    blocks = builder.extend(builder.genesis_hash, range(4, 8))
    follower = Follower()
    follower.gate.set()
    async with machine.running(8) as chain, trio.open_nursery() as nursery:
        await nursery.start(follow_chain, chain, follower, follower)
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")
        await settled(chain, follower)

        genesis = ("pool", chain.genesis.hash)
        assert follower.told == [
            genesis,
            *((who, block.hash) for block in blocks for who in ("pool", "rpc")),
        ]
        nursery.cancel_scope.cancel()


async def test_who_lapsed_is_told_what_it_missed_once_and_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    first = builder.extend(builder.genesis_hash, range(4, 8))
    lost = builder.build(first[-1].hash, 8)
    won = builder.extend(first[-1].hash, range(9, 309))
    follower = Follower()
    follower.gate.set()
    async with machine.running(309) as chain, trio.open_nursery() as nursery:
        await nursery.start(follow_chain, chain, follower, follower)
        for block in [*first, lost]:
            await chain.import_envelope(block.envelope, origin="peer")
        await settled(chain, follower)

        follower.gate = trio.Event()
        for block in won:
            await chain.import_envelope(block.envelope, origin="peer")
        follower.gate.set()
        await settled(chain, follower)

        told = [one.hash for one in [*first, lost, *won]]
        assert follower.heard("rpc") == told
        assert follower.dropped == follower.returned == [lost.hash]
        nursery.cancel_scope.cancel()


async def test_catching_up_is_told_when_it_begins_and_when_it_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun: SyncProgress = Progress(starting_block=1, current_block=2, highest_block=90)
    now: list[SyncProgress | None] = [None]
    told: list[SyncProgress | None] = []

    def tell(progress: SyncProgress | None) -> None:
        told.append(progress)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(follow_sync, lambda: now[0], tell))
        for progress in (None, begun, begun, None, None):
            now[0] = progress
            await trio.sleep(1.5 * SYNC_LOOK_S)

        assert told == [begun, None]
        nursery.cancel_scope.cancel()
