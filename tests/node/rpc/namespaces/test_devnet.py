"""The devnet's own methods, and who may break it."""

from __future__ import annotations

import pytest

from node.rpc.service import RpcSettings
from tests.node.rpc.clients import running
from tests.node.rpc.fakes import Backend


def settings(**changed: object) -> RpcSettings:
    given: dict[str, object] = {
        "port": 0,
        "chain_id": 900,
        "client_version": "faultline/test",
        "watch_origin": "http://127.0.0.1:8600",
    }
    return RpcSettings(**(given | changed))  # type: ignore[arg-type]


async def test_the_devnet_tells_of_itself() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("devnet_info") == {"name": "test"}
        assert await client.result("devnet_consensus") == {"head": "0x1"}
        assert await client.result("devnet_finalityProof", "0x" + "00" * 32) is None


async def test_faults_are_injected_healed_and_listed() -> None:
    async with running() as server:
        client = await server.http()
        partition = {"groups": [["validator-0"], ["validator-1"]]}
        assert await client.result("devnet_break", "partition", partition) == {
            "injected": "partition"
        }
        assert await client.result("devnet_breaks") == ["partition"]
        assert await client.result("devnet_heal", "partition") == {"healed": "partition"}
        assert await client.result("devnet_heal") == {"healed": None}
        assert await client.error("devnet_break", "unknown") == (
            -32602,
            "name: no fault is called unknown",
        )
        assert await client.error("devnet_break", "delay", []) == (
            -32602,
            "invalid argument 1: fault parameters must be an object",
        )


async def test_without_faults_in_the_manifest_the_methods_do_not_exist() -> None:
    async with running(Backend(faults=None)) as server:
        client = await server.http()
        for method in ("devnet_break", "devnet_heal", "devnet_breaks"):
            assert await client.error(method) == (
                -32601,
                f"the method {method} does not exist/is not available",
            )


@pytest.mark.parametrize("method", ["devnet_break", "devnet_heal", "devnet_breaks"])
async def test_only_the_watch_page_may_break(method: str) -> None:
    async with running(settings=settings()) as server:
        client = await server.http()
        answer = await client.call(method, "delay", headers=["Origin: https://evil.example"])
        if method == "devnet_breaks":
            answer = await client.call(method, headers=["Origin: https://evil.example"])
        assert answer == {
            "jsonrpc": "2.0",
            "id": 1,
            "error": {
                "code": -32000,
                "message": "faults are refused to web pages of https://evil.example",
            },
        }
        origin = "Origin: http://127.0.0.1:8600"
        allowed = await client.call("devnet_break", "delay", headers=[origin])
        assert allowed == {"jsonrpc": "2.0", "id": 1, "result": {"injected": "delay"}}


@pytest.mark.parametrize(("published", "allowed"), [(False, False), (True, True)])
async def test_faults_need_a_port_that_only_this_machine_reaches(
    published: bool, allowed: bool
) -> None:
    bound = settings(host="0.0.0.0", published_on_loopback=published)  # noqa: S104
    async with running(settings=bound) as server:
        client = await server.http()
        answer = await client.call("devnet_break", "delay")
        assert isinstance(answer, dict)
        assert ("result" in answer) is allowed
        if not allowed:
            assert answer["error"]["message"].startswith("faults are refused: this port is not")
