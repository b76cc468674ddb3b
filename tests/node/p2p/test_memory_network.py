"""The network without sockets behaves as the one with them."""

from __future__ import annotations

from random import Random

import pytest
import trio
import trio.testing

from node.p2p.network import LinkFault, PeerId, RequestFailed, RequestKind, Topic, Verdict
from tests.kit.memory_network import MemoryHub, MemoryNetwork


class Recorder:
    """A process of a simulation."""

    def __init__(self, hub: MemoryHub, name: str) -> None:
        self.name = name
        self.network: MemoryNetwork = hub.network(name)
        self.heard: list[tuple[float, PeerId, bytes]] = []
        self.connected: list[PeerId] = []
        self.network.subscribe(Topic.L1_VOTE, self.on_vote)
        self.network.serve(RequestKind.STATUS, self.on_status)
        self.network.on_connect(self.on_connect)

    async def on_vote(self, peer: PeerId, message: bytes) -> Verdict:
        self.heard.append((trio.current_time(), peer, message))
        return Verdict.REJECT if message.startswith(b"bad") else Verdict.ACCEPT

    async def on_status(self, _: PeerId, body: bytes) -> bytes:
        return body * 2

    async def on_connect(self, peer: PeerId) -> None:
        self.connected.append(peer)

    def words(self) -> list[bytes]:
        return [message for _, _, message in self.heard]


async def start(nursery: trio.Nursery, hub: MemoryHub, count: int) -> list[Recorder]:
    """Processes that are all connected."""
    recorders = [Recorder(hub, f"node-{index}") for index in range(count)]
    for recorder in recorders:
        await nursery.start(recorder.network.run)
    await trio.sleep(2.0)
    assert all(len(recorder.network.peers()) == count - 1 for recorder in recorders)
    return recorders


async def test_everybody_hears_everything_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    nodes = await start(nursery, MemoryHub(dice=Random(1)), 4)

    for index in range(20):
        nodes[0].network.publish(Topic.L1_VOTE, b"%d" % index)
    await trio.sleep(1.0)

    for node in nodes[1:]:
        assert sorted(node.words(), key=int) == [b"%d" % index for index in range(20)]
    assert nodes[0].words() == []
    assert all(len(node.connected) == 3 for node in nodes)


async def test_forwarding_makes_up_for_losses(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    hub = MemoryHub(dice=Random(2), drop_ratio=0.3)
    nodes = await start(nursery, hub, 6)

    for index in range(50):
        nodes[0].network.publish(Topic.L1_VOTE, b"%d" % index)
    await trio.sleep(2.0)

    heard = sum(len(node.words()) for node in nodes[1:])
    assert heard >= 0.96 * 5 * 50


async def test_a_partition_cuts_and_heals(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    hub = MemoryHub(dice=Random(3))
    nodes = await start(nursery, hub, 4)

    hub.partition([{"node-0", "node-1"}, {"node-2", "node-3"}])
    nodes[0].network.publish(Topic.L1_VOTE, b"left")
    await trio.sleep(1.0)
    assert [node.words() for node in nodes] == [[], [b"left"], [], []]
    with pytest.raises(RequestFailed, match="not connected"):
        await nodes[0].network.request(nodes[2].network.peer_id, RequestKind.STATUS, b"")

    hub.heal()
    await trio.sleep(2.0)
    nodes[0].network.publish(Topic.L1_VOTE, b"all")
    await trio.sleep(1.0)
    assert all(b"all" in node.words() for node in nodes[1:])
    assert len(nodes[0].connected) == 5


async def test_requests_faults_reports_and_restarts(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    hub = MemoryHub(dice=Random(4))
    one, other = await start(nursery, hub, 2)
    assert await one.network.request(other.network.peer_id, RequestKind.STATUS, b"x") == b"xx"

    # A delay counts on both ways
    one.network.set_fault(LinkFault(delay_ms=500))
    started_s = trio.current_time()
    await one.network.request(other.network.peer_id, RequestKind.STATUS, b"x")
    assert trio.current_time() - started_s >= 1.0
    with pytest.raises(RequestFailed, match="no answer"):
        await one.network.request(other.network.peer_id, RequestKind.STATUS, b"x", timeout_s=0.4)

    # A blocked peer is gone, and comes back
    one.network.set_fault(LinkFault(blocked=frozenset({other.network.peer_id})))
    assert one.network.peers() == []
    one.network.set_fault(LinkFault())
    await trio.sleep(2.0)
    assert len(one.network.peers()) == 1

    # A severe report bans for a while
    one.network.report(other.network.peer_id, "forgery", severe=True)
    assert one.network.peers() == []
    await trio.sleep(30.0)
    assert len(one.network.peers()) == 1


async def test_rejected_messages_ban_their_forwarder(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    nodes = await start(nursery, MemoryHub(dice=Random(5)), 3)

    for index in range(5):
        nodes[0].network.publish(Topic.L1_VOTE, b"bad %d" % index)
    await trio.sleep(1.0)

    assert nodes[0].network.peers() == []
    assert len(nodes[1].network.peers()) == 1


def test_one_seed_gives_one_history() -> None:
    async def history(seed: int) -> list[list[tuple[float, PeerId, bytes]]]:
        async with trio.open_nursery() as nursery:
            hub = MemoryHub(dice=Random(seed), drop_ratio=0.2)
            nodes = await start(nursery, hub, 4)
            for index in range(10):
                nodes[index % 4].network.publish(Topic.L1_VOTE, b"%d" % index)
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
        return [node.heard for node in nodes]

    def run(seed: int) -> list[list[tuple[float, PeerId, bytes]]]:
        clock = trio.testing.MockClock(autojump_threshold=0)
        return trio.run(history, seed, clock=clock)

    assert run(7) != run(8)
