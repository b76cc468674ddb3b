"""js-libp2p, another implementation, gossips with us."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import trio

from node.p2p.gossip import TOPIC_RULES
from node.p2p.network import Topic
from node.p2p.scores import Misbehaviour
from node.p2p.service import Libp2pNetwork
from tests.e2e.environments import node_project
from tests.node.blobs.test_keeper import blob, name
from tests.node.p2p.nodes import GENESIS, start_node, until
from tests.node.sync.test_blobs import World

SCRIPTS = Path(__file__).parent / "js"


@contextmanager
def js_peer(*arguments: str, program: str = "js_peer.mjs") -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs a script of js-libp2p."""
    project = node_project(SCRIPTS)
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, project / script.name)
    command = ["node", str(project / program), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(300)
async def test_js_libp2p_gossips_with_us_both_ways(nursery: trio.Nursery) -> None:
    # Given a peer of js-libp2p that dials us, identifies us and pings us
    node = await start_node(nursery, "node")
    topic = f"/faultline/{GENESIS[:4].hex()}/{Topic.L1_VOTE}"
    address = f"/ip4/127.0.0.1/tcp/{node.network.port}/p2p/{node.peer_id}"
    with js_peer(address, topic) as peer:
        assert peer.stdout is not None
        assert await trio.to_thread.run_sync(peer.stdout.readline) == b"pinged true\n"

        # When each publishes
        await until("its message", lambda: b"from js" in node.messages())
        for _ in range(20):
            node.network.publish(Topic.L1_VOTE, b"from us")

        # Then each hears the other, and nobody is blamed
        assert await trio.to_thread.run_sync(peer.stdout.readline) == b"heard from us\n"
    assert not any(node.blamed(reason) for reason in Misbehaviour)
    assert node.metric("faultline_p2p_handler_bugs_total") == 0


@pytest.mark.timeout(300)
async def test_js_libp2p_asks_us_for_blobs(nursery: trio.Nursery) -> None:
    """Given a process with some blobs, when a peer asks for as many as a request may name, then it gets those, in their order."""
    world = World(kept={name(number): blob(number) for number in range(1, 6)})

    def prepare(network: Libp2pNetwork) -> None:
        world.serve_on(network)

    node = await start_node(nursery, "node", prepare=prepare)
    address = f"/ip4/127.0.0.1/tcp/{node.network.port}/p2p/{node.peer_id}"
    asked = ["0x" + name(number).hex() for number in (5, 4, 9, 3, 2, 1)]
    with js_peer(address, GENESIS.hex(), *asked, program="ask_blobs.mjs") as peer:
        assert peer.stdout is not None
        told = orjson.loads(await trio.to_thread.run_sync(peer.stdout.readline))
    assert told == [one for one in asked if one != asked[2]]
    assert not any(node.blamed(reason) for reason in Misbehaviour)


@pytest.mark.timeout(300)
async def test_js_libp2p_exchanges_large_messages_with_us(nursery: trio.Nursery) -> None:
    """Given messages that are too large to gossip, when either announces one, then the other fetches it, and nobody is blamed."""
    node = await start_node(nursery, "node")
    address = f"/ip4/127.0.0.1/tcp/{node.network.port}/p2p/{node.peer_id}"
    with js_peer(address, GENESIS.hex(), program="exchange_bodies.mjs") as peer:
        assert peer.stdout is not None
        theirs = await trio.to_thread.run_sync(peer.stdout.readline)
        await until("its body", lambda: bool(node.messages(Topic.L1_BLOCK)))
        body = os.urandom(TOPIC_RULES[Topic.L1_BLOCK].inline_bytes_max + 1)
        node.network.publish(Topic.L1_BLOCK, body)
        fetched = await trio.to_thread.run_sync(peer.stdout.readline)
    received = {told(one) for one in node.messages(Topic.L1_BLOCK)}
    assert received == {theirs}
    assert fetched == told(body)
    assert not any(node.blamed(reason) for reason in Misbehaviour)


def told(body: bytes) -> bytes:
    """A body as the peer tells of it."""
    return b"0x%s\n" % hashlib.sha256(body).hexdigest().encode()
