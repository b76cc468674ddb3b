"""js-libp2p, another implementation, gossips with us."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from node.p2p.network import Topic
from node.p2p.scores import Misbehaviour
from tests.e2e.environments import node_project
from tests.node.p2p.nodes import GENESIS, start_node, until

SCRIPTS = Path(__file__).parent / "js"


@contextmanager
def js_peer(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs js_peer.mjs."""
    project = node_project(SCRIPTS)
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, project / script.name)
    command = ["node", str(project / "js_peer.mjs"), *arguments]
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
