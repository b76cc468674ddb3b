"""Connections' lifetimes among real hosts on loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from prometheus_client import CollectorRegistry

from node.p2p import peers
from node.p2p.network import LinkFault, PeerId, RequestFailed, RequestKind, Topic
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork, NetworkSettings, StaticPeer, peer_id_of
from tests.node.p2p.nodes import (
    GENESIS,
    Node,
    seed_of,
    settle,
    start_mesh,
    start_node,
    still_serves,
    stranger_host,
    until,
)

CHILD = """
import sys, trio
from prometheus_client import CollectorRegistry
from node.p2p.service import Libp2pNetwork, NetworkSettings

async def main():
    settings = NetworkSettings(
        name="child", seed=bytes.fromhex(sys.argv[1]), genesis_hash=bytes.fromhex(sys.argv[2])
    )
    network = Libp2pNetwork(settings, CollectorRegistry())
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        print(network.port, flush=True)

trio.run(main)
"""


@contextmanager
def child_process() -> Iterator[tuple[subprocess.Popen[bytes], StaticPeer]]:
    """A network in a process of its own."""
    seed = seed_of("child")
    command = [sys.executable, "-c", CHILD, seed.hex(), GENESIS.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        address = f"/ip4/127.0.0.1/tcp/{port}"
        try:
            yield process, StaticPeer(name="child", peer_id=peer_id_of(seed), address=address)
        finally:
            process.kill()


def count_dials(node: Node) -> list[PeerId]:
    """Whom a node dials from now on."""
    host = node.network._host
    dial, dials = host.dial, list[PeerId]()

    async def counted(peer: PeerId, address: str) -> None:
        try:
            await dial(peer, address)
        finally:
            dials.append(peer)

    host.dial = counted  # type: ignore[method-assign]
    return dials


async def test_peers_are_named_and_pinged(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    await until("a ping", lambda: other.network.peers()[0].round_trip_ms > 0)

    (info,) = other.network.peers()
    assert (info.peer_id, info.name, info.inbound) == (one.peer_id, one.name, False)
    assert info.address == one.as_peer().address
    assert other.network.names() == {one.name: one.peer_id, other.name: other.peer_id}
    assert one.network.peers()[0].name == ""


async def test_callbacks_hear_of_every_connection(nursery: trio.Nursery) -> None:
    heard: list[PeerId] = []

    def prepare(network: Libp2pNetwork) -> None:
        async def callback(peer: PeerId) -> None:
            heard.append(peer)

        async def broken(peer: PeerId) -> None:
            raise RuntimeError(peer)

        network.on_connect(broken)
        network.on_connect(callback)

    node = await start_node(nursery, "node", prepare=prepare)
    friend = await start_node(nursery, "friend", (node.as_peer(),))
    await until("the callback", lambda: heard == [friend.peer_id])

    assert node.metric("faultline_p2p_handler_bugs_total") == 1
    assert await friend.network.request(node.peer_id, RequestKind.STATUS, b"x") == b"x"


async def test_a_peer_that_comes_late_or_again_is_found(nursery: trio.Nursery) -> None:
    # Given a node that dials a peer which does not run
    first = await start_node(nursery, "peer")
    peer, port = first.as_peer(), first.network.port
    first.scope.cancel()
    node = await start_node(nursery, "node", (peer,))
    assert node.network.peers() == []

    # When the peer starts on its port
    settings = NetworkSettings(name="peer", seed=seed_of("peer"), genesis_hash=GENESIS, port=port)
    network = Libp2pNetwork(settings, CollectorRegistry())
    await nursery.start(network.run)

    # Then it is connected within a few redials
    await until("the redial", lambda: node.peer_names() == {"peer"})


async def test_two_that_dial_each_other_end_up_connected(nursery: trio.Nursery) -> None:
    ports = []
    for name in ("left", "right"):
        node = await start_node(nursery, name)
        ports.append(node.network.port)
        node.scope.cancel()
    networks = []
    for name, port, other, other_port in (
        ("left", ports[0], "right", ports[1]),
        ("right", ports[1], "left", ports[0]),
    ):
        peer = StaticPeer(
            name=other,
            peer_id=peer_id_of(seed_of(other)),
            address=f"/ip4/127.0.0.1/tcp/{other_port}",
        )
        settings = NetworkSettings(
            name=name, seed=seed_of(name), genesis_hash=GENESIS, port=port, peers=(peer,)
        )
        networks.append(Libp2pNetwork(settings, CollectorRegistry()))

    async with trio.open_nursery() as starting:
        for network in networks:
            starting.start_soon(nursery.start, network.run)

    await until("both", lambda: all(len(network.peers()) == 1 for network in networks))
    assert [network.peers()[0].score for network in networks] == [0.0, 0.0]


async def test_an_impostor_is_not_connected(nursery: trio.Nursery) -> None:
    impostor = await start_node(nursery, "impostor")
    wanted = StaticPeer(
        name="wanted", peer_id=peer_id_of(seed_of("wanted")), address=impostor.as_peer().address
    )
    node = await start_node(nursery, "node", (wanted,))
    friend = await start_node(nursery, "friend", (node.as_peer(),))

    dials = count_dials(node)
    await settle([node, friend])
    await until("some dials", lambda: len(dials) >= 2)

    assert {info.peer_id for info in node.network.peers()} == {friend.peer_id}


async def test_a_killed_process_is_noticed_at_once(nursery: trio.Nursery) -> None:
    with child_process() as (process, peer):
        node = await start_node(nursery, "node", (peer,))
        await until("the child", lambda: node.peer_names() == {"child"})

        process.kill()

        await until("its end", lambda: not node.network.peers())


async def test_a_frozen_process_is_noticed_by_its_silence(nursery: trio.Nursery) -> None:
    with child_process() as (process, peer):
        node = await start_node(nursery, "node", (peer,))
        friend = await start_node(nursery, "friend", (node.as_peer(),))
        await until("the child", lambda: "child" in node.peer_names())

        process.send_signal(signal.SIGSTOP)
        await until("the silence", lambda: "child" not in node.peer_names())
        await still_serves(node, friend)
        process.send_signal(signal.SIGCONT)

        await until("its return", lambda: "child" in node.peer_names())
        assert node.blamed(Misbehaviour.SILENT) >= 1


async def test_a_partition_cuts_and_heals(nursery: trio.Nursery) -> None:
    # Given four connected nodes
    nodes = await start_mesh(nursery, 4)
    left, right = nodes[:2], nodes[2:]

    # When they are split in two halves
    for half, other in ((left, right), (right, left)):
        for node in half:
            node.network.set_fault(LinkFault(blocked=frozenset(n.peer_id for n in other)))
    await until("the cut", lambda: all(len(node.network.peers()) == 1 for node in nodes))

    # Then neither gossip nor requests cross, and both halves go on
    left[0].network.publish(Topic.L1_VOTE, b"left")
    await until("the left half", lambda: left[1].messages() == [b"left"])
    with pytest.raises(RequestFailed, match="not connected"):
        await left[0].network.request(right[0].peer_id, RequestKind.STATUS, b"")
    assert right[0].messages() == right[1].messages() == []

    # When it heals, then everybody hears everybody
    for node in nodes:
        node.network.set_fault(LinkFault())
    await settle(nodes)
    left[0].network.publish(Topic.L1_EVIDENCE, b"healed")
    await until("gossip", lambda: all(n.messages(Topic.L1_EVIDENCE) for n in nodes[1:]))


async def test_one_side_alone_can_cut_a_link(nursery: trio.Nursery) -> None:
    one, other = await start_mesh(nursery, 2)

    one.network.set_fault(LinkFault(blocked=frozenset({other.peer_id})))
    dials = count_dials(other)
    await until("the cut", lambda: not one.network.peers() and not other.network.peers())
    await until("some dials", lambda: len(dials) >= 2)

    assert not one.network.peers()
    # Whoever dials holds the connection until the other side has looked who it is.
    await until("the refusal", lambda: not other.network.peers())


async def test_reports_add_up_and_severe_ones_act_at_once(nursery: trio.Nursery) -> None:
    victim, blamed, friend = await start_mesh(nursery, 3)

    victim.network.report(blamed.peer_id, "an odd thing")
    assert -10.1 < min(info.score for info in victim.network.peers()) < -9.0
    victim.network.report(blamed.peer_id, "forged a block", severe=True)

    await until("the ban", lambda: len(victim.network.peers()) == 1)
    assert victim.network.peers()[0].peer_id == friend.peer_id


async def test_strangers_are_admitted_up_to_a_bound(nursery: trio.Nursery) -> None:
    node = await start_node(nursery, "node")
    for index in range(peers.STRANGERS_MAX):
        await start_node(nursery, f"stranger-{index}", (node.as_peer(),))
    await until("strangers", lambda: len(node.network.peers()) == peers.STRANGERS_MAX)

    one_more = await start_node(nursery, "one-more", (node.as_peer(),))
    dials = count_dials(one_more)
    await until("some dials", lambda: len(dials) >= 2)

    assert len(node.network.peers()) == peers.STRANGERS_MAX
    assert not any(info.peer_id == one_more.peer_id for info in node.network.peers())


async def test_a_stranger_that_only_listens_does_no_harm(nursery: trio.Nursery) -> None:
    victim, friend = await start_mesh(nursery, 2)

    async with stranger_host(victim):
        await still_serves(victim, friend)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:9000", "/ip4/127.0.0.1/udp/9000", "/ip4//tcp/1"]
)
def test_a_configured_address_is_checked(address: str) -> None:
    peer = StaticPeer(name="peer", peer_id=peer_id_of(seed_of("peer")), address=address)
    settings = NetworkSettings(
        name="node", seed=seed_of("node"), genesis_hash=GENESIS, peers=(peer,)
    )

    with pytest.raises(ValueError, match="want a TCP multiaddr like /ip4/"):
        Libp2pNetwork(settings, CollectorRegistry())
