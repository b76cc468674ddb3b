"""Peers that lie or know nothing: they delay, they are blamed, they stop nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import trio

from node.eth.primitives import Hash32
from node.p2p.network import PeerId, RequestKind
from node.sync import planner
from node.sync.messages import (
    Status,
    decode_range_request,
    decode_status,
    encode_blocks,
    encode_range_request,
    encode_root_request,
    encode_status,
)
from node.sync.service import PATIENCE_S
from tests.kit.chain_builder import BuiltBlock
from tests.kit.chain_harness import Machine, TestNetwork, clock_at, make_network
from tests.kit.memory_network import MemoryHub, MemoryNetwork
from tests.node.sync.nodes import chain_of, running_node

Answer = Callable[[PeerId, bytes], Awaitable[bytes]]


class Liar:
    """A peer that claims the best chain of all and answers as it is told to."""

    def __init__(self, hub: MemoryHub, claim: bytes, answer: Answer) -> None:
        self.network: MemoryNetwork = hub.network("liar")
        self.asked = 0
        self.was_asked = trio.Event()
        self._claim = claim
        self._answer = answer
        self.network.serve(RequestKind.STATUS, self._status)
        self.network.serve(RequestKind.BLOCKS_BY_RANGE, self._blocks)
        self.network.serve(RequestKind.BLOCKS_BY_ROOT, self._blocks)

    async def _status(self, peer: PeerId, body: bytes) -> bytes:
        decode_status(body)
        return self._claim

    async def _blocks(self, peer: PeerId, body: bytes) -> bytes:
        self.asked += 1
        self.was_asked.set()
        return await self._answer(peer, body)


async def _empty(peer: PeerId, body: bytes) -> bytes:
    return encode_blocks([])


async def _garbage(peer: PeerId, body: bytes) -> bytes:
    return b"\xff" * 100


async def _never(peer: PeerId, body: bytes) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


def _other_blocks(blocks: list[BuiltBlock]) -> Answer:
    async def answer(peer: PeerId, body: bytes) -> bytes:
        return encode_blocks([block.envelope for block in blocks])

    return answer


def _forged(blocks: list[BuiltBlock]) -> Answer:
    """Blocks as asked for, with the proposer's signature torn off."""

    async def answer(peer: PeerId, body: bytes) -> bytes:
        first, count = decode_range_request(body)
        chosen = blocks[first - 1 : first - 1 + count]
        return encode_blocks([block.envelope[:-64] + bytes(64) for block in chosen])

    return answer


def _endless(blocks: list[BuiltBlock]) -> Answer:
    """The same blocks over and over, whatever is asked."""

    async def answer(peer: PeerId, body: bytes) -> bytes:
        return encode_blocks([blocks[0].envelope] * 64)

    return answer


LIES: dict[str, Callable[[list[BuiltBlock]], Answer]] = {
    "empty": lambda _: _empty,
    "garbage": lambda _: _garbage,
    "never": lambda _: _never,
    "other numbers": lambda blocks: _other_blocks(blocks[40:60]),
    "not one chain": lambda blocks: _other_blocks([blocks[0], blocks[5], blocks[9]]),
    "forged": _forged,
    "endless": _endless,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_liar_with_the_best_claim_delays_but_does_not_stop_a_joiner(
    lie: str, network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 204))
    clock = clock_at(network.genesis, 204)
    claim = encode_status(
        replace(
            decode_status(encode_status_of(network, blocks[-1])),
            finalized_epoch=90,
            justified_epoch=100,
            head_hash=Hash32(b"\x66" * 32),
            head_number=204,
            head_slot=204,
        )
    )
    liar = Liar(hub, claim, LIES[lie](blocks))
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(liar.network.run)
        honest = await stack.enter_async_context(
            running_node(hub, "honest", Machine(network=network), clock)
        )
        await honest.give(blocks)
        joiner = await stack.enter_async_context(
            running_node(hub, "joiner", Machine(network=network), clock)
        )
        hub.partition([{"joiner", "liar"}, {"honest"}])
        with trio.fail_after(10):
            await liar.was_asked.wait()
        hub.heal()

        await joiner.reaches(blocks[-1], within_s=120)

        liar_score = joiner.scores().get(liar.network.peer_id, -1_000.0)
        assert liar_score < 0 or lie == "never"
        assert joiner.scores().get(honest.network.peer_id, 0.0) >= 0
        asked = liar.asked
        await trio.sleep(60)
        assert liar.asked - asked < 20
        nursery.cancel_scope.cancel()


async def test_duties_do_not_wait_for_what_a_liar_claims(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 60))
    clock = clock_at(network.genesis, 59.5)
    claim = replace(
        decode_status(encode_status_of(network, blocks[-1])),
        head_hash=Hash32(b"\x66" * 32),
        head_number=60,
        head_slot=60,
    )
    liar = Liar(hub, encode_status(claim), _never)
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(liar.network.run)
        node = await stack.enter_async_context(
            running_node(hub, "node", Machine(network=network), clock)
        )
        await node.give(blocks)
        with trio.fail_after(10):
            await liar.was_asked.wait()

        # The head is new: nobody can be far ahead of it.
        assert not node.sync.is_syncing()
        nursery.cancel_scope.cancel()


async def test_a_claim_that_never_comes_is_not_waited_for_long(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 60))
    clock = clock_at(network.genesis, 100)
    claim = replace(
        decode_status(encode_status_of(network, blocks[-1])),
        head_hash=Hash32(b"\x66" * 32),
        head_number=90,
        head_slot=100,
    )
    liar = Liar(hub, encode_status(claim), _never)
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(liar.network.run)
        node = await stack.enter_async_context(
            running_node(hub, "node", Machine(network=network), clock)
        )
        await node.give(blocks)
        with trio.fail_after(10):
            await liar.was_asked.wait()

        assert node.sync.is_syncing()
        rested = trio.current_time()
        while node.sync.is_syncing():
            await trio.sleep(0.5)
            # New identities claim the same again and again.
            node.sync._state = planner.connected(node.sync._state, "another")
            node.sync._state = planner.heard_status(node.sync._state, "another", claim, 0)
        assert trio.current_time() - rested <= PATIENCE_S + 1
        nursery.cancel_scope.cancel()


async def test_a_head_from_the_future_is_left_and_nobody_is_blamed(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 60))
    right, slow = clock_at(network.genesis, 60), clock_at(network.genesis, 50)
    async with (
        running_node(hub, "right", Machine(network=network), right) as ahead,
        running_node(hub, "slow", Machine(network=network), slow) as behind,
    ):
        await ahead.give(blocks)
        await trio.sleep(10)
        assert set(behind.scores().values()) == {0.0}
        assert set(ahead.scores().values()) == {0.0}

        await behind.reaches(blocks[-1])


def encode_status_of(network: TestNetwork, block: BuiltBlock) -> bytes:
    return encode_status(
        Status(
            genesis_hash=network.builder.genesis_hash,
            finalized_epoch=block.state.finalized.epoch,
            finalized_hash=block.state.finalized.block_hash,
            finalized_number=1,
            justified_epoch=block.state.justified.epoch,
            justified_hash=block.state.justified.block_hash,
            head_hash=block.hash,
            head_number=block.number,
            head_slot=block.slot,
        )
    )


async def test_a_peer_of_another_network_is_sent_away(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    clock = clock_at(network.genesis, 10)
    other = make_network(5)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            running_node(hub, "node", Machine(network=network), clock)
        )
        await stack.enter_async_context(
            running_node(hub, "stranger", Machine(network=other), clock)
        )
        await trio.sleep(3)

        assert all(score < 0 for score in node.scores().values())
        assert node.chain.head.header.number == 0


async def test_requests_are_answered_within_bounds(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 104))
    clock = clock_at(network.genesis, 104)
    envelopes = [block.envelope for block in blocks]
    async with running_node(hub, "node", Machine(network=network), clock) as node:
        await node.give(blocks)
        server = node.sync._server
        peer = PeerId("peer")

        async def ranged(first: int, count: int) -> bytes:
            return await server.blocks_by_range(peer, encode_range_request(first, count))

        async def rooted(root: Hash32, depth: int) -> bytes:
            return await server.blocks_by_root(peer, encode_root_request(root, depth))

        assert await ranged(1, 64) == encode_blocks(envelopes[:64])
        assert await ranged(90, 64) == encode_blocks(envelopes[89:])
        assert await ranged(101, 1) == encode_blocks([])
        assert await rooted(blocks[-1].hash, 64) == encode_blocks(envelopes[-64:])
        assert await rooted(blocks[2].hash, 64) == encode_blocks(envelopes[:3])
        assert await rooted(blocks[2].hash, 1) == encode_blocks([envelopes[2]])
        assert await rooted(Hash32(bytes(32)), 5) == encode_blocks([])
        assert await rooted(network.builder.genesis_hash, 5) == encode_blocks([])
