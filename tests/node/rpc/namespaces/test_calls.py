"""Calls, estimates and access lists: in which environment they run, and how they fail."""

from __future__ import annotations

import orjson
import pytest

from node.errors import InvalidCall
from node.rpc.simulation import IN_PLACE_US, WORKER_US
from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend, FakeResult

REVERT = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (10).to_bytes(32, "big")
USER_ERROR = REVERT + b"user error".ljust(32, b"\0")


async def test_a_call_runs_in_the_block_it_names() -> None:
    async with running() as server:
        client = await server.http()
        chain, asked = server.backend.chain, server.backend.engine.asked
        call = {"to": "0x" + "11" * 20, "data": "0x01"}
        overrides = {"0x" + "22" * 20: {"balance": "0x1"}}
        assert await client.result("eth_call", call, "0x2", overrides, {"time": "0x5"}) == "0x2a"
        block = chain.canonical[2]
        assert asked == [
            {
                "root": block.header.state_root,
                "header": block.header.encode(),
                "ancestors": chain.canonical[1].hash + chain.canonical[0].hash,
                "call": b'{"to":"0x%b","data":"0x01"}' % (b"11" * 20),
                "gas_cap": 60_000_000,
                "state_overrides": b'{"0x%b":{"balance":"0x1"}}' % (b"22" * 20),
                "block_overrides": b'{"time":"0x5"}',
                "deadline_us": IN_PLACE_US,
            }
        ]


async def test_gas_is_estimated_in_the_next_slot() -> None:
    async with running() as server:
        client = await server.http()
        chain, asked = server.backend.chain, server.backend.engine.asked
        for method in ("eth_estimateGas", "eth_createAccessList"):
            await client.result(method, {})
            assert asked[-1]["root"] == chain.head.header.state_root
            assert asked[-1]["header"] == chain.next_header().encode()
        assert asked[0]["ancestors"] == b"".join(block.hash for block in reversed(chain.canonical))
        await client.result("eth_estimateGas", {}, "latest")
        assert asked[-1]["header"] == chain.head.header.encode()
        await client.result("eth_call", {}, "pending")
        assert asked[-1]["header"] == chain.next_header().encode()
        # When the head moves, so does the environment
        head = chain.canonical.pop()
        await client.result("eth_estimateGas", {})
        assert asked[-1]["header"] == chain.next_header().encode()
        assert asked[-1]["root"] != head.header.state_root


async def test_a_long_call_moves_to_a_worker_and_ends_there() -> None:
    backend = Backend()
    backend.engine.takes_us = IN_PLACE_US + 1
    async with running(backend) as server:
        client = await server.http()
        assert await client.result("eth_call", {}, "latest") == "0x2a"
        assert [one["deadline_us"] for one in backend.engine.asked] == [IN_PLACE_US, WORKER_US]
        backend.engine.takes_us = WORKER_US + 1
        assert await client.error("eth_call", {}, "latest") == (
            -32000,
            "execution aborted (timeout = 5s)",
        )


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (
            FakeResult("revert", USER_ERROR),
            {
                "code": 3,
                "message": "execution reverted: user error",
                "data": "0x" + USER_ERROR.hex(),
            },
        ),
        (
            FakeResult("revert", b"\x01\x02"),
            {"code": 3, "message": "execution reverted", "data": "0x0102"},
        ),
        (FakeResult("revert", b""), {"code": 3, "message": "execution reverted", "data": "0x"}),
        (FakeResult("halt", b"out of gas"), {"code": -32000, "message": "out of gas"}),
    ],
)
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
async def test_failed_calls_are_told_as_geth_tells_them(
    method: str, result: FakeResult, error: dict[str, object]
) -> None:
    backend = Backend()
    backend.engine.result = result
    async with running(backend) as server:
        client = await server.http()
        assert await client.call(method, {}) == {"jsonrpc": "2.0", "id": 1, "error": error}


async def test_what_the_engine_refuses_keeps_its_code_and_message() -> None:
    backend = Backend()
    async with running(backend) as server:
        client = await server.http()
        backend.engine.error = InvalidCall("nonce too low", -38010)
        assert await client.error("eth_call", {}) == (-38010, "nonce too low")
        backend.engine.error = ValueError("gas: expected a quantity")
        assert await client.error("eth_call", {}) == (
            -32602,
            "invalid argument 0: gas: expected a quantity",
        )


async def test_arguments_of_calls_are_checked() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.error("eth_call") == (
            -32602,
            "missing value for required argument 0",
        )
        assert await client.error("eth_call", "0x") == (
            -32602,
            "invalid argument 0: json: cannot unmarshal string into Go value of type "
            "ethapi.TransactionArgs",
        )
        assert await client.error("eth_call", {}, "latest", 1) == (
            -32602,
            "invalid argument 2: json: cannot unmarshal number into Go value of type "
            "override.StateOverride",
        )
        assert await client.error("eth_call", {}, "latest", {}, {}, 5) == (
            -32602,
            "too many arguments, want at most 4",
        )


async def test_simulations_are_built_on_the_block_that_is_named() -> None:
    """Given a request, when simulated on a block, then the engine has its header, state and ancestors, and geth's gas."""
    async with running() as server:
        client = await server.http()
        backend = server.backend
        request = {"blockStateCalls": [{"calls": [{"gas": "0x1"}]}], "validation": True}
        assert await client.result("eth_simulateV1", request, "0x1") == []
        assert await client.result("eth_simulateV1", request) == []
        assert await client.result("eth_simulateV1", request, "pending") == []

        base, head = backend.chain.canonical[1], backend.chain.head
        named, latest, pending = backend.engine.asked
        assert named == {
            "root": base.header.state_root,
            "header": base.header.encode(),
            "ancestors": backend.chain.ancestors(base.hash),
            "request": orjson.dumps(request),
            "gas_cap": 50_000_000,
            "deadline_us": WORKER_US,
        }
        assert latest == pending
        assert latest["header"] == head.header.encode()


async def test_simulations_are_refused_with_the_engines_codes() -> None:
    backend = Backend()
    async with running(backend) as server:
        client = await server.http()
        assert await client.error("eth_simulateV1", {}, "0x99") == (-32000, "header not found")
        assert await client.error("eth_simulateV1", []) == (
            -32602,
            "invalid argument 0: json: cannot unmarshal array into Go value of type ethapi.simOpts",
        )
        backend.engine.error = InvalidCall("block gas limit reached", -38015)
        assert await client.error("eth_simulateV1", {}) == (-38015, "block gas limit reached")
        backend.engine.error = TimeoutError()
        assert await client.error("eth_simulateV1", {}) == (
            -32000,
            "execution aborted (timeout = 5s)",
        )
