"""Which network this is, and how the node stands in it."""

from __future__ import annotations

from node.sync.service import Progress
from tests.node.rpc.clients import running


async def test_the_network_is_named() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_chainId") == "0x384"
        assert await client.result("net_version") == "900"
        assert await client.result("net_listening") is True
        assert await client.result("net_peerCount") == "0x3"
        assert await client.result("web3_clientVersion") == "faultline/test"
        assert (
            await client.result("web3_sha3", "0x")
            == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        )
        names = ("debug", "devnet", "erigon", "eth", "net", "ots", "rpc", "txpool", "web3")
        assert await client.result("rpc_modules") == dict.fromkeys(names, "1.0")


async def test_catching_up_is_told() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_syncing") is False
        server.backend.progress = Progress(starting_block=1, current_block=2, highest_block=16)
        assert await client.result("eth_syncing") == {
            "startingBlock": "0x1",
            "currentBlock": "0x2",
            "highestBlock": "0x10",
        }
