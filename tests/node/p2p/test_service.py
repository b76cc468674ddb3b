"""The network as the rest of the node sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from prometheus_client import CollectorRegistry

from node.p2p.network import Network, RequestKind, Topic
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork, NetworkSettings, peer_id_of
from tests.kit.memory_network import MemoryNetwork
from tests.node.p2p.nodes import GENESIS, seed_of, start_mesh, start_node, until

STOCK = """
import sys, trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

seed, peer, port, topic = sys.argv[1:]
listen = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
host = new_host(create_new_key_pair(bytes.fromhex(seed)), listen_addrs=listen)
router = GossipSub(["/meshsub/1.1.0"], degree=3, degree_low=2, degree_high=4, heartbeat_interval=1)
pubsub = Pubsub(host, router, strict_signing=True)

async def publish():
    while True:
        await pubsub.publish(topic, b"\\x00from stock")
        await trio.sleep(0.2)

async def main():
    async with (
        host.run(listen), background_trio_service(pubsub), background_trio_service(router),
        trio.open_nursery() as nursery,
    ):
        await pubsub.wait_until_ready()
        subscription = await pubsub.subscribe(topic)
        address = Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")
        await host.connect(PeerInfo(ID.from_base58(peer), [address]))
        nursery.start_soon(publish)
        while True:
            message = await subscription.get()
            if message.data == b"\\x00from us":
                print("heard from us", flush=True)

trio.run(main)
"""


@contextmanager
def stock_peer(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs STOCK."""
    with subprocess.Popen(
        [sys.executable, "-c", STOCK, *arguments], stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def as_network(network: Libp2pNetwork | MemoryNetwork) -> Network:
    """Fails mypy unless both are what the node expects."""
    return network


async def test_it_is_a_network(nursery: trio.Nursery) -> None:
    node = await start_node(nursery, "node")

    network = as_network(node.network)

    assert network.peer_id == peer_id_of(seed_of("node"))
    assert network.names() == {"node": network.peer_id}
    assert network.peers() == []


def test_types_do_not_import_libp2p() -> None:
    code = "import sys, node.p2p.network, node.p2p.scores; sys.exit('libp2p' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_it_stops_in_less_than_a_second(nursery: trio.Nursery) -> None:
    nodes = await start_mesh(nursery, 4)
    for node in nodes:
        node.network.publish(Topic.L1_BLOCK, bytes(2_000_000))
    started_s = time.monotonic()

    nodes[0].scope.cancel()
    await until("its end", lambda: all(len(node.network.peers()) == 2 for node in nodes[1:]))

    assert time.monotonic() - started_s < 1.0


async def test_a_busy_port_is_an_oserror(nursery: trio.Nursery) -> None:
    # Given a network that listens already
    node = await start_node(nursery, "node")
    port = node.network.port

    # When another wants the same port
    settings = NetworkSettings(name="n", seed=seed_of("n"), genesis_hash=GENESIS, port=port)
    network = Libp2pNetwork(settings, CollectorRegistry())
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as second:
            await second.start(network.run)

    # Then it says which
    assert caught.group_contains(OSError, match=f"cannot listen on 127.0.0.1:{port}")


async def test_networks_of_another_genesis_do_not_mix(nursery: trio.Nursery) -> None:
    one = await start_node(nursery, "one")
    settings = NetworkSettings(
        name="other", seed=seed_of("other"), genesis_hash=bytes(32), peers=(one.as_peer(),)
    )
    other = Libp2pNetwork(settings, CollectorRegistry())
    await nursery.start(other.run)
    await until("the connection", lambda: len(other.peers()) == 1)

    other.publish(Topic.L1_VOTE, b"vote of another world")
    with pytest.raises(Exception, match="status to "):
        await other.request(one.peer_id, RequestKind.STATUS, b"")

    assert one.received == []


async def test_stock_py_libp2p_gossips_with_us_both_ways(nursery: trio.Nursery) -> None:
    # Given py-libp2p without our patches, in a process of its own
    node = await start_node(nursery, "node")
    topic = f"/faultline/{GENESIS[:4].hex()}/{Topic.L1_VOTE}"
    arguments = [seed_of("stock").hex(), node.peer_id, str(node.network.port), topic]
    with stock_peer(arguments) as stock:
        # When each publishes
        await until("the stock peer's message", lambda: b"from stock" in node.messages())
        for _ in range(20):
            node.network.publish(Topic.L1_VOTE, b"from us")

        # Then each hears the other
        assert stock.stdout is not None
        assert await trio.to_thread.run_sync(stock.stdout.readline) == b"heard from us\n"
    assert node.metric("faultline_p2p_handler_bugs_total") == 0
    assert not any(node.blamed(reason) for reason in Misbehaviour)
