"""What an L2 says of itself: op-node's field names, integers in references, null while a block is unsafe."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from node.eth.hashing import keccak256
from node.rollup.outputs import output_of
from tests.node.rpc.clients import Running, running, running_with
from tests.node.rpc.fake_pool import FakePooled
from tests.node.rpc.fakes import FakeChain
from tests.node.rpc.l2 import RULES, SETTINGS, FakeView, L2Backend, l1_block

L1_FIELDS = {"hash", "number", "parentHash", "timestamp"}
L2_FIELDS = {*L1_FIELDS, "l1origin", "sequenceNumber"}


def l2(backend: L2Backend | None = None) -> AbstractAsyncContextManager[Running[L2Backend]]:
    return running_with(backend or L2Backend(), settings=SETTINGS)


def named(value: bytes) -> str:
    return "0x" + value.hex()


async def test_an_output_has_its_preimage_and_the_root_that_follows_from_it() -> None:
    async with l2() as server:
        client = await server.http()
        block = server.backend.chain.canonical[2]
        found = await client.result("optimism_outputAtBlock", "0x2")
        status = await client.result("optimism_syncStatus")
        assert found == {
            "version": "0x" + "00" * 32,
            "outputRoot": named(output_of(block.header).root()),
            "blockRef": {
                "hash": named(block.hash),
                "number": 2,
                "parentHash": named(block.header.parent_hash),
                "timestamp": block.header.timestamp,
                "l1origin": {"hash": named(l1_block(0).hash), "number": 0},
                "sequenceNumber": 2,
            },
            "withdrawalStorageRoot": named(block.header.withdrawals_root),
            "stateRoot": named(block.header.state_root),
            "syncStatus": status,
        }
        preimage = bytes(32) + b"".join(
            (block.header.state_root, block.header.withdrawals_root, block.hash)
        )
        assert found["outputRoot"] == named(keccak256(preimage))


async def test_outputs_are_asked_for_by_quantity() -> None:
    async with l2() as server:
        client = await server.http()
        assert await client.error("optimism_outputAtBlock", "0x99") == (-32000, "header not found")
        assert await client.error("optimism_outputAtBlock", 2) == (
            -32602,
            "invalid argument 0: json: cannot unmarshal non-string into Go value of type "
            "hexutil.Uint64",
        )


async def test_the_status_names_heads_of_both_chains() -> None:
    async with l2() as server:
        client = await server.http()
        status = await client.result("optimism_syncStatus")
        assert isinstance(status, dict)
        l1 = ("current_l1", "current_l1_finalized", "head_l1", "safe_l1", "finalized_l1")
        assert [status[name]["number"] for name in l1] == [6, 5, 9, 7, 5]
        assert all(set(status[name]) == L1_FIELDS for name in l1)
        assert status["head_l1"]["hash"] == named(l1_block(9).hash)
        heads = ("unsafe_l2", "safe_l2", "finalized_l2")
        assert [status[name]["number"] for name in heads] == [3, 2, 1]
        assert all(set(status[name]) == L2_FIELDS for name in heads)
        assert status["pending_safe_l2"] == status["local_safe_l2"] == status["safe_l2"]
        assert status["cross_unsafe_l2"] == status["unsafe_l2"]


@pytest.mark.parametrize("blocks_per_origin", [1, 2, 3, 7, 40, 100])
async def test_a_sequence_number_counts_blocks_of_the_same_origin(blocks_per_origin: int) -> None:
    backend = L2Backend(chain=FakeChain(length=90))
    backend.view = FakeView(backend.chain, blocks_per_origin=blocks_per_origin)
    async with l2(backend) as server:
        client = await server.http()
        for number in (0, 1, 6, 38, 39, 40, 41, 89):
            found = await client.result("optimism_outputAtBlock", hex(number))
            assert isinstance(found, dict)
            assert found["blockRef"]["l1origin"]["number"] == number // blocks_per_origin
            assert found["blockRef"]["sequenceNumber"] == number % blocks_per_origin


async def test_a_block_has_a_batch_once_l1_holds_it() -> None:
    async with l2() as server:
        client = await server.http()
        assert await client.result("rollup_batchOf", "0x2") == {
            "blockNumber": "0x2",
            "recordIndex": "0x1",
            "l1TransactionHash": named(keccak256(b"append 2")),
            "l1BlockNumber": "0x5",
            "l1BlockHash": named(l1_block(5).hash),
        }
        assert await client.result("rollup_batchOf", 2) == (
            await client.result("rollup_batchOf", "0x2")
        )
        assert await client.result("rollup_batchOf", "0x3") is None
        assert await client.result("rollup_batchOf", "latest") is None
        assert await client.result("rollup_batchOf", "0x0") is None
        assert await client.error("rollup_batchOf", "0x63") == (-32000, "header not found")
        for nonsense in (-1, 2.5, True, 1 << 63, "2", ["0x2"]):
            code, message = await client.error("rollup_batchOf", nonsense)
            assert code == -32602
            assert "argument 0" in str(message)
        assert await client.error("rollup_batchOf") == (
            -32602,
            "missing value for required argument 0",
        )


async def test_a_transaction_is_followed_from_the_pool_to_finality() -> None:
    backend = L2Backend()
    pooled = FakePooled(raw=b"waits")
    backend.pool.waiting[pooled.sender] = [pooled]
    async with l2(backend) as server:
        client = await server.http()

        async def status(raw: bytes) -> dict[str, object]:
            found = await client.result("rollup_transactionStatus", named(keccak256(raw)))
            assert isinstance(found, dict)
            return found

        assert await status(b"nobody's") == {"status": "unknown", "reason": None}
        assert await status(b"waits") == {
            "status": "waiting",
            "reason": "an earlier nonce is missing",
        }
        expected = {1: "finalized", 2: "safe", 3: "unsafe"}
        for number, standing in expected.items():
            block = backend.chain.canonical[number]
            assert await status(b"transaction %d" % number) == {
                "status": standing,
                "reason": None,
                "blockHash": named(block.hash),
                "blockNumber": hex(number),
                "transactionIndex": "0x0",
                "batch": await client.result("rollup_batchOf", hex(number)),
            }


async def test_the_configuration_has_op_nodes_names_and_ours() -> None:
    async with l2() as server:
        client = await server.http()
        found = await client.result("optimism_rollupConfig")
        assert isinstance(found, dict)
        genesis = server.backend.chain.canonical[0]
        assert found["genesis"]["l1"] == {"hash": named(l1_block(0).hash), "number": 0}
        assert found["genesis"]["l2"] == {"hash": named(genesis.hash), "number": 0}
        assert found["genesis"]["l2_time"] == genesis.header.timestamp
        assert found["genesis"]["system_config"]["batcherAddr"] == named(RULES.batcher)
        assert found["genesis"]["system_config"]["scalar"] == (
            "0x01" + "00" * 23 + "00000000" + f"{RULES.l1_base_fee_scalar:08x}"
        )
        assert (found["l1_chain_id"], found["l2_chain_id"]) == (900, 901)
        assert (found["max_sequencer_drift"], found["seq_window_size"]) == (600, 30)
        assert found["isthmus_time"] == found["regolith_time"] == 0
        assert found["batch_inbox_address"] == named(RULES.inbox)
        assert found["deposit_contract_address"] == named(RULES.portal)
        assert found["faultline"] == RULES.document() | {"config_hash": named(RULES.config_hash())}
        assert await client.result("optimism_version") == "faultline/test"


async def test_an_l2_has_no_consensus_of_its_own_and_an_l1_no_rollup() -> None:
    async with l2() as server, running() as other:
        client, of_l1 = await server.http(), await other.http()
        for asked, method in (
            (client, "devnet_consensus"),
            (client, "devnet_finalityProof"),
            (client, "devnet_break"),
            (of_l1, "optimism_syncStatus"),
            (of_l1, "rollup_batchOf"),
        ):
            assert (await asked.error(method))[0] == -32601
        modules = await client.result("rpc_modules")
        assert isinstance(modules, dict)
        assert {"optimism", "rollup", "eth"} <= modules.keys()


async def test_info_names_the_contracts_of_both_chains() -> None:
    contracts = {
        "l1": {"portal": named(RULES.portal)},
        "l2": {"l1Block": "0x42" + "00" * 18 + "15"},
    }
    async with l2(L2Backend(contracts=contracts)) as server:
        info = await (await server.http()).result("devnet_info")
        assert info == {"name": "test", "contracts": contracts}


async def test_a_wallet_pays_the_constant_base_fee_and_a_small_tip() -> None:
    async with l2() as server:
        client = await server.http()
        base_fee = server.backend.chain.head.header.base_fee_per_gas
        assert await client.result("eth_maxPriorityFeePerGas") == hex(1_000_000)
        assert await client.result("eth_gasPrice") == hex(base_fee + 1_000_000)
        history = await client.result("eth_feeHistory", "0x2", "latest", [50])
        assert isinstance(history, dict)
        assert len(history["baseFeePerGas"]) == 3
