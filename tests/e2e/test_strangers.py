"""Processes that no manifest names: one that joins late and catches up, and some that mean harm."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import trio
from prometheus_client import CollectorRegistry

from node.consensus.limits import MAX_ENVELOPE_BYTES
from node.p2p.network import PeerId, RequestFailed, RequestKind, Topic
from node.p2p.peers import StaticPeer
from node.p2p.service import Libp2pNetwork, NetworkSettings
from tests.e2e.devnet import DEADLINE_S, Devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(1_500)]

ROUNDS = 100
"""Messages of each kind that a hostile peer sends at once."""

BLAMED = "faultline_p2p_misbehaviour_total"
"""What a process counts when it blames a peer."""


def peers_of(devnet: Devnet) -> list[dict[str, str]]:
    """The validators as static peers."""
    info = devnet.rpc("devnet_info")
    assert isinstance(info, dict)
    peers = []
    for process in info["processes"]:
        if process["role"] != "validator":
            continue
        address, _, peer_id = process["p2p"].rpartition("/p2p/")
        peers.append({"name": process["name"], "peer_id": peer_id, "address": address})
    return peers


@contextmanager
def late_joiner(
    devnet: Devnet,
    folder: Path,
    offset: int,
    keys: Path | None = None,
    known: Sequence[str] | None = None,
) -> Iterator[int]:
    """A node that starts from nothing, without keys or with somebody's; gives its RPC port. It dials all, or those that it knows."""
    rpc_port = 8545 + 15 + offset
    peers = [peer for peer in peers_of(devnet) if known is None or peer["name"] in known]
    (folder / "p2p.key").write_text(secrets.token_hex(32))
    config = {
        "name": "late-joiner",
        "data_dir": str(folder / "data"),
        "genesis_file": str(devnet.data / "genesis.json"),
        "l2_genesis_file": str(devnet.data / "l2-genesis.json"),
        "rpc": {"port": rpc_port},
        "metrics": {"port": 0},
        "keys_file": None if keys is None else str(keys),
        "p2p": {"port": 0, "key_file": str(folder / "p2p.key"), "peers": peers},
    }
    file = folder / "config.json"
    file.write_bytes(orjson.dumps(config))
    command = [sys.executable, "-m", "node", "--config", str(file)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield rpc_port
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0, (folder / "log").read_text()[-2_000:]


def test_a_late_joiner_catches_up(devnet: Devnet, tmp_path: Path) -> None:
    devnet.wait_for_final(8)
    known = devnet.number("finalized")
    with late_joiner(devnet, tmp_path, devnet.offset) as port:
        joiner = Devnet(data=tmp_path, offset=port - 8545)

        def has_caught_up() -> bool:
            try:
                return joiner.number("finalized") > known
            except OSError:
                return False

        wait_for("the late joiner to finalize what the others do", has_caught_up)
        number = hex(known)
        theirs = devnet.rpc("eth_getBlockByNumber", number, True)
        assert joiner.rpc("eth_getBlockByNumber", number, True) == theirs
        wait_for("syncing to end", lambda: joiner.rpc("eth_syncing") is False)


def garbage_over_tcp(port: int) -> None:
    """What scanners and broken programs send."""
    for opening in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x13/multistream/1.0.0\n", b"\xff" * 64):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.settimeout(2)
            try:
                connection.sendall(opening + os.urandom(200_000))
                while connection.recv(65_536):
                    pass
            except OSError:
                continue  # Cut off: that is the right answer.


def blamed(devnet: Devnet, process: int) -> float:
    """How often a process has blamed a peer."""
    samples = devnet.metrics(process).items()
    return sum(value for name, value in samples if name.startswith(BLAMED))


async def garbage_over_libp2p(devnet: Devnet) -> None:
    """A peer that completes every handshake and sends nonsense until every process has blamed it."""
    blamed_before = [blamed(devnet, process) for process in range(4)]
    genesis = devnet.rpc("eth_getBlockByNumber", "0x0", False)
    assert isinstance(genesis, dict)
    settings = NetworkSettings(
        name="stranger",
        seed=secrets.token_bytes(32),
        genesis_hash=bytes.fromhex(genesis["hash"][2:]),
        peers=tuple(
            StaticPeer(name=peer["name"], peer_id=PeerId(peer["peer_id"]), address=peer["address"])
            for peer in peers_of(devnet)
        ),
    )
    network = Libp2pNetwork(settings, CollectorRegistry())
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        for process in range(4):
            with trio.fail_after(DEADLINE_S):
                while (
                    await trio.to_thread.run_sync(blamed, devnet, process) <= blamed_before[process]
                ):
                    await send_garbage(network)
                    await trio.sleep(0.05)
        for peer in list(network.peers()):
            for kind in RequestKind:
                try:
                    await network.request(peer.peer_id, kind, os.urandom(1_000), timeout_s=5.0)
                except RequestFailed:
                    continue  # Refused, as it should be.
        nursery.cancel_scope.cancel()


async def send_garbage(network: Libp2pNetwork) -> None:
    """Nonsense on every topic, to whoever is connected now."""
    for _ in range(ROUNDS):
        for topic in (Topic.L1_BLOCK, Topic.L1_VOTE, Topic.L1_EVIDENCE, Topic.L1_TX):
            network.publish(topic, os.urandom(secrets.randbelow(4_096)))
        await trio.lowlevel.checkpoint()
    network.publish(Topic.L1_BLOCK, os.urandom(MAX_ENVELOPE_BYTES))


async def test_strangers_harm_nobody(devnet: Devnet) -> None:
    before = {
        process: devnet.metrics(process)["process_start_time_seconds"] for process in range(4)
    }
    for process in range(4):
        garbage_over_tcp(9000 + process + devnet.offset)
    await garbage_over_libp2p(devnet)
    devnet.wait_for_final(devnet.number() + 2)
    after = {process: devnet.metrics(process)["process_start_time_seconds"] for process in range(4)}
    assert after == before
    for process in range(4):
        samples = devnet.metrics(process)
        assert samples["faultline_p2p_handler_bugs_total"] == 0
