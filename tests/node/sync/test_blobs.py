"""Blobs that blocks wait for: whom a node asks, how often, whom it blames; and what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from node.chain.chain import Chain
from node.chain.events import BlobsWanted, ChainEvent, Subscription
from node.errors import Rejected
from node.eth.blobs import Blob
from node.eth.primitives import ZERO_HASH, Hash32
from node.p2p.network import Network, PeerId, PeerInfo, RequestFailed, RequestHandler, RequestKind
from node.runtime.events import Events
from node.sync.blob_messages import (
    decode_blob_request,
    decode_blobs,
    encode_blob_request,
    encode_blobs,
)
from node.sync.blobs import (
    ASKED_AT_ONCE_MAX,
    FETCHES_OF_STRANGERS_MAX,
    FETCHES_PER_PEER_MAX,
    PATIENCE_S,
    PAUSE_MAX_S,
    BlobService,
)
from tests.node.blobs.test_keeper import blob, name

STALL_S = 10.0
"""As long as the network waits for an answer."""


@dataclass(slots=True)
class World:
    """A chain that waits, a keeper, and peers that have some blobs or answer what they like."""

    wanted: dict[Hash32, str] = field(default_factory=dict)
    kept: dict[Hash32, Blob] = field(default_factory=dict)
    wrong: set[Hash32] = field(default_factory=set)
    have: dict[str, dict[Hash32, Blob]] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Hash32, ...], float]] = field(default_factory=list)
    blamed: list[tuple[str, bool]] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    stalling: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    withheld: bool = False
    events: Events[ChainEvent] = field(default_factory=Events)
    began_s: float = field(default_factory=trio.current_time)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    # the chain
    @property
    def wanted_blobs(self) -> dict[Hash32, str]:
        return {one: origin for one, origin in self.wanted.items() if one not in self.kept}

    def subscribe(self) -> Subscription:
        return self.events.subscribe(16)

    # the keeper
    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        found = tuple(self.kept[one] for one in hashes if one in self.kept)
        return found if len(found) == len(hashes) else None

    async def add_wanted(self, blobs: Sequence[Blob]) -> bool:
        if any(one.versioned_hash in self.wrong for one in blobs):
            return False
        self.kept |= {one.versioned_hash: one for one in blobs}
        return True

    # the network
    def serve(self, kind: RequestKind, handler: RequestHandler) -> None:
        assert kind is RequestKind.BLOBS

    def peers(self) -> list[PeerInfo]:
        return [
            PeerInfo(
                peer_id=PeerId(one),
                name="" if one in self.strangers else one,
                address="",
                inbound=False,
                score=0.0,
                round_trip_ms=1.0,
            )
            for one in self.have
        ]

    async def request(self, peer: PeerId, kind: RequestKind, body: bytes) -> bytes:
        hashes = decode_blob_request(body)
        self.asked.append((peer, hashes, trio.current_time()))
        await trio.sleep(0.01)
        if peer in self.silent:
            raise RequestFailed("nobody there")
        if peer in self.stalling:
            await trio.sleep(STALL_S)
            raise RequestFailed("no answer")
        if peer in self.answers:
            return self.answers[peer]
        return encode_blobs([self.have[peer][one] for one in hashes if one in self.have[peer]])

    def report(self, peer: PeerId, reason: str, *, severe: bool = False) -> None:
        self.blamed.append((peer, severe))

    def service(self) -> BlobService:
        return self.serve_on(cast("Network", self))

    def serve_on(self, network: Network) -> BlobService:
        return BlobService(
            cast("Chain", self),
            self,
            network,
            self.registry,
            are_withheld=lambda: self.withheld,
        )


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.service().run)
        await trio.testing.wait_all_tasks_blocked()
        world.events.send(BlobsWanted(block_hash=ZERO_HASH))
        yield
        nursery.cancel_scope.cancel()


async def test_the_sender_of_a_block_is_asked_first_and_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a full block, then its sender is asked for all its blobs at once, and nobody else for any."""
    blobs = {name(number): blob(number) for number in range(21)}
    world = World(wanted=dict.fromkeys(blobs, "delta"), have={"alpha": {}, "delta": blobs})
    async with running(world):
        await trio.sleep(1)
    assert [peer for peer, _, _ in world.asked] == ["delta"] * 4
    assert max(at_s for _, _, at_s in world.asked) < world.began_s + 0.1
    assert max(len(hashes) for _, hashes, _ in world.asked) == 6
    assert world.kept == blobs
    assert world.blamed == []


async def test_the_others_are_asked_in_turn_and_less_and_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a blob that nobody has, then everybody is asked once a round, the pauses grow to a bound, and nobody is blamed."""
    world = World(wanted={name(1): "alpha"}, have={"alpha": {}, "beta": {}, "gamma": {}})
    world.silent.add("beta")
    async with running(world):
        await trio.sleep(120)
        assert [peer for peer, _, _ in world.asked[:6]] == ["alpha", "beta", "gamma"] * 2
        assert len(world.asked) < 3 * (120 / PAUSE_MAX_S + 8)
        assert world.registry.get_sample_value("faultline_blobs_wanted") == 1
        # When somebody has it at last
        world.have["gamma"][name(1)] = blob(1)
        await trio.sleep(3 * PAUSE_MAX_S)
    assert world.kept == {name(1): blob(1)}
    assert world.registry.get_sample_value("faultline_blobs_wanted") == 0
    assert world.blamed == []


async def test_a_sender_that_does_not_answer_is_not_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a peer that sends a block and stalls when asked for its blobs, then others are asked beside it, and have them."""
    blobs = {name(number): blob(number) for number in range(21)}
    world = World(
        wanted=dict.fromkeys(blobs, "liar"), have={"liar": {}, "alpha": blobs, "beta": blobs}
    )
    world.stalling.add("liar")
    async with running(world):
        await trio.sleep(2.5 * PATIENCE_S)
        assert world.kept == blobs
        assert sum(peer == "liar" for peer, _, _ in world.asked) <= FETCHES_PER_PEER_MAX
    assert world.blamed == []


async def test_all_that_stall_are_asked_a_bounded_number_of_times(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peers = [f"peer {number}" for number in range(12)]
    world = World(wanted={name(1): peers[0]}, have={peer: {} for peer in peers})
    world.stalling |= set(peers)
    async with running(world):
        await trio.sleep(STALL_S - 0.5)
        assert len(world.asked) == ASKED_AT_ONCE_MAX
        await trio.sleep(10 * STALL_S)
    assert len(world.asked) <= ASKED_AT_ONCE_MAX * 12


async def test_strangers_are_asked_last(autojump_clock: trio.testing.MockClock) -> None:
    """Given a block that came from a stranger, when it and all others are silent, then a configured peer is not waited for."""
    strangers = [f"a{number}" for number in range(16)]
    have: dict[str, dict[Hash32, Blob]] = {one: {} for one in strangers}
    world = World(wanted={name(1): "a0"}, have={**have, "z": {name(1): blob(1)}})
    world.strangers |= set(strangers)
    world.stalling |= set(strangers)
    async with running(world):
        await trio.sleep(PATIENCE_S / 2)
        assert [peer for peer, _, _ in world.asked] == ["z"]
        assert set(world.kept) == {name(1)}


async def test_silent_strangers_leave_room_for_configured_peers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given more blobs that only strangers could have than there are requests, then those of a configured peer come at once."""
    strangers = [f"a{number}" for number in range(16)]
    hidden = {name(number): "a0" for number in range(1, 200)}
    have: dict[str, dict[Hash32, Blob]] = {one: {} for one in strangers}
    world = World(wanted=dict(hidden), have=have)
    world.strangers |= set(strangers)
    world.stalling |= set(strangers)
    async with running(world):
        await trio.sleep(PATIENCE_S / 2)
        assert len(world.asked) == FETCHES_OF_STRANGERS_MAX
        world.have["z"] = {name(200): blob(200)}
        world.wanted[name(200)] = "z"
        world.events.send(BlobsWanted(block_hash=ZERO_HASH))
        await trio.sleep(PATIENCE_S)
        assert name(200) in world.kept
        asked_of_strangers = [peer for peer, _, _ in world.asked if peer in world.strangers]
        assert len(asked_of_strangers) == FETCHES_OF_STRANGERS_MAX


@pytest.mark.parametrize(
    "answer",
    [
        encode_blobs([blob(2)]),
        encode_blobs([blob(1), blob(1)]),
        b"junk",
    ],
)
async def test_who_sends_something_else_is_out(
    autojump_clock: trio.testing.MockClock, answer: bytes
) -> None:
    world = World(wanted={name(1): "liar"}, have={"liar": {}, "honest": {name(1): blob(1)}})
    world.answers["liar"] = answer
    async with running(world):
        await trio.sleep(2)
    assert world.blamed == [("liar", True)]
    assert world.kept == {name(1): blob(1)}


async def test_who_sends_a_wrong_blob_is_out(autojump_clock: trio.testing.MockClock) -> None:
    world = World(wanted={name(1): "liar"}, have={"liar": {name(1): blob(1)}}, wrong={name(1)})
    async with running(world):
        await trio.sleep(0.2)
    assert world.blamed == [("liar", True)]
    assert world.kept == {}


async def test_a_peer_gets_what_is_here_unless_it_is_withheld(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(kept={name(number): blob(number) for number in (1, 3)})
    service = world.service()
    asked = [name(3), name(2), name(1)]
    answer = await service.on_request(PeerId("peer"), encode_blob_request(asked))
    assert decode_blobs(answer, asked) == (blob(3), blob(1))
    world.withheld = True
    answer = await service.on_request(PeerId("peer"), encode_blob_request(asked))
    assert decode_blobs(answer, asked) == ()
    with pytest.raises(Rejected):
        await service.on_request(PeerId("peer"), b"junk")


async def test_a_syncing_node_asks_the_sender_for_all_it_needs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    blobs = {name(number): blob(number) for number in range(8)}
    others = dict.fromkeys([name(number) for number in range(20, 30)], "alpha")
    world = World(wanted=dict.fromkeys(blobs, "delta") | others, have={"delta": blobs})
    await world.service().fetch_from(PeerId("delta"))
    assert world.kept == blobs
    assert [len(hashes) for _, hashes, _ in world.asked] == [6, 2]
