"""What the node says of its rules and of the history it keeps."""

from __future__ import annotations

from typing import cast

from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend


async def test_everything_is_kept_from_genesis_on() -> None:
    async with running(Backend()) as server:
        told = cast(
            "dict[str, dict[str, object]]", await (await server.http()).result("eth_capabilities")
        )
        head = server.backend.chain.head
        kept = {"disabled": False, "oldestBlock": "0x0"}

        assert told["head"] == {
            "number": hex(head.header.number),
            "hash": "0x" + head.hash.hex(),
        }
        window = {"type": "window", "retentionBlocks": "0xffffffffffffffff"}
        assert told["logs"] == {**kept, "deleteStrategy": window}
        for name in ("state", "tx", "receipts", "blocks", "stateproofs"):
            assert told[name] == kept


async def test_states_that_are_gone_are_not_promised() -> None:
    """Given states of the two oldest blocks pruned, when asked, then states begin behind them, and blocks do not."""
    made = Backend()
    gone = {block.header.state_root for block in made.chain.canonical[:2]}
    made.engine.pruned |= gone
    async with running(made) as server:
        told = cast(
            "dict[str, dict[str, object]]", await (await server.http()).result("eth_capabilities")
        )
        assert told["state"] == told["stateproofs"] == {"disabled": False, "oldestBlock": "0x2"}
        assert told["blocks"] == {"disabled": False, "oldestBlock": "0x0"}


async def test_a_node_without_a_schedule_tells_a_rollups_rules() -> None:
    async with running(Backend()) as server:
        client = await server.http()
        told = cast("dict[str, dict[str, object]]", await client.result("eth_config"))
        assert told["current"]["blobSchedule"] is None
        assert "P256VERIFY" in cast("dict[str, str]", told["current"]["precompiles"])
