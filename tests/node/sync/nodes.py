"""Nodes of a small network in one process: chain, gossip and sync over the hub in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from node.chain.chain import Chain
from node.chain.importing import ImportOutcome
from node.p2p.network import PeerId
from node.runtime.clock import SlotClock
from node.sync.gossip import GossipService
from node.sync.service import SyncService
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, TestNetwork
from tests.kit.memory_network import MemoryHub, MemoryNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningNode:
    """One process."""

    chain: Chain
    """Its chain."""
    network: MemoryNetwork
    """Its place in the hub."""
    gossip: GossipService
    """Its gossip."""
    sync: SyncService
    """Its sync."""

    async def give(self, blocks: Sequence[BuiltBlock]) -> None:
        """Import blocks without telling anybody."""
        for block in blocks:
            outcome = await self.chain.import_envelope(block.envelope, origin="")
            assert outcome in (ImportOutcome.IMPORTED, ImportOutcome.KNOWN), outcome

    async def reaches(self, block: BuiltBlock, *, within_s: float = 60.0) -> None:
        """Return when this block is the head."""
        with trio.fail_after(within_s), self.chain.subscribe() as events:
            while self.chain.head.hash != block.hash:
                await events.receive()

    def scores(self) -> dict[PeerId, float]:
        """What it thinks of its peers."""
        return {info.peer_id: info.score for info in self.network.peers()}


def chain_of(
    network: TestNetwork, slots: range, parent: BuiltBlock | None = None
) -> list[BuiltBlock]:
    """A block in each of these slots, on genesis or on a parent."""
    builder = network.builder
    return builder.extend(builder.genesis_hash if parent is None else parent.hash, slots)


@asynccontextmanager
async def running_node(
    hub: MemoryHub, name: str, machine: Machine, clock: SlotClock
) -> AsyncIterator[RunningNode]:
    """A process until the end of the block."""
    chain = await machine.open(clock)
    network = hub.network(name)
    gossip = GossipService(chain, network)
    sync = SyncService(chain, network, machine.registry)
    # The network outlives who speaks through it.
    async with trio.open_nursery() as outer:
        await outer.start(network.run)
        async with trio.open_nursery() as nursery:
            await nursery.start(chain.run)
            nursery.start_soon(gossip.run)
            nursery.start_soon(sync.run)
            yield RunningNode(chain=chain, network=network, gossip=gossip, sync=sync)
            nursery.cancel_scope.cancel()
        outer.cancel_scope.cancel()
