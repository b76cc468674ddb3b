"""Every namespace over a chain of the native engine: what a wallet sees of real blocks."""

from __future__ import annotations

from typing import Final

import orjson
import pytest

from node.eth.hashing import keccak256
from tests.kit.execution_chain import (
    DEPOSITED_TOPIC,
    ETHER,
    HISTORIAN,
    KEEPER,
    PAUPER,
    PORTAL,
    PROPOSER,
    SENDER,
    SPONSOR,
    address_of,
    sign,
    word,
)
from tests.node.rpc.clients import HttpClient, running_with
from tests.node.rpc.real import RealBackend

ACCOUNT: Final = "0x" + address_of(SENDER).hex()


def name(value: bytes) -> str:
    return "0x" + value.hex()


@pytest.fixture
def backend() -> RealBackend:
    """Block 1: a transfer, a stored word, a log; block 2: nothing; block 3: a deployment."""
    made = RealBackend()
    made.chain.grow(
        [
            sign(SENDER, nonce=0, value=ETHER),
            sign(SENDER, nonce=1, to=KEEPER, gas=100_000, data=word(5) + word(7)),
            sign(SENDER, nonce=2, to=PORTAL, gas=100_000, data=b"hello"),
        ]
    )
    made.chain.grow()
    init_code = bytes.fromhex("602a5f5260205ff3")
    made.chain.grow([sign(SPONSOR, nonce=0, to=b"", gas=200_000, data=init_code)])
    return made


async def _first(client: HttpClient) -> list[str]:
    block = await client.result("eth_getBlockByNumber", "0x1", False)
    assert isinstance(block, dict)
    transactions: list[str] = block["transactions"]
    return transactions


async def test_state_is_that_of_the_block_named(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        assert await client.result("eth_getBalance", ACCOUNT, "0x0") == hex(10_000 * ETHER)
        now = await client.result("eth_getBalance", ACCOUNT)
        assert isinstance(now, str)
        assert int(now, 16) < 9_999 * ETHER
        assert await client.result("eth_getTransactionCount", ACCOUNT, "latest") == "0x3"
        assert await client.result("eth_getTransactionCount", ACCOUNT, "0x0") == "0x0"
        assert await client.result("eth_getStorageAt", name(KEEPER), "0x5") == name(word(7))
        assert await client.result("eth_getStorageAt", name(KEEPER), "0x5", "0x0") == name(word(0))
        assert await client.result("eth_getCode", name(KEEPER)) == "0x6020355f355500"


async def test_blocks_transactions_and_receipts_agree(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        first = backend.chain.blocks[1]
        block = await client.result("eth_getBlockByNumber", "0x1", True)
        assert isinstance(block, dict)
        assert block["hash"] == name(first.hash)
        assert block["miner"] == name(PROPOSER)
        receipts = await client.result("eth_getBlockReceipts", "0x1")
        assert isinstance(receipts, list)
        for index, transaction in enumerate(block["transactions"]):
            by_hash = await client.result("eth_getTransactionByHash", transaction["hash"])
            assert by_hash == transaction
            receipt = receipts[index]
            name_of = transaction["hash"]
            assert await client.result("eth_getTransactionReceipt", name_of) == receipt
            assert receipt["status"] == "0x1"
            assert receipt["transactionIndex"] == transaction["transactionIndex"] == hex(index)
        header = await client.result("eth_getHeaderByHash", name(first.hash))
        assert isinstance(header, dict)
        assert {key: block[key] for key in header} == header
        created = await client.result("eth_getBlockReceipts", "latest")
        assert isinstance(created, list)
        address = created[0]["contractAddress"]
        assert await client.result("eth_getCode", address) == name(word(42))
        assert await client.result("eth_call", {"to": address}) == "0x"


async def test_calls_estimates_and_lists_run(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        store = {"from": ACCOUNT, "to": name(KEEPER), "data": name(word(9) + word(1))}
        assert await client.result("eth_call", store, "latest") == "0x"
        estimate = await client.result("eth_estimateGas", store)
        assert isinstance(estimate, str)
        assert 43_000 < int(estimate, 16) < 46_000
        transfer = {"from": ACCOUNT, "to": "0x" + "77" * 20, "value": "0x1"}
        assert await client.result("eth_estimateGas", transfer) == "0x5208"
        listed = await client.result("eth_createAccessList", store)
        assert isinstance(listed, dict)
        assert listed["accessList"] == [{"address": name(KEEPER), "storageKeys": [name(word(9))]}]
        code = {"0x" + "55" * 20: {"code": "0x425f5260205ff3"}}  # returns the block's time
        asked = {"to": "0x" + "55" * 20}
        head = backend.chain.head.header
        at_head = await client.result("eth_call", asked, "latest", code)
        assert at_head == name(word(head.timestamp))
        later = await client.result("eth_call", asked, "pending", code)
        assert later == name(word(head.timestamp + 2))
        moved = await client.result("eth_call", asked, "latest", code, {"time": "0xffff"})
        assert moved == name(word(0xFFFF))


async def test_failing_calls_say_why(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        reverting = {"0x" + "55" * 20: {"code": "0x60ab5f5360015ffd"}}
        asked = {"to": "0x" + "55" * 20}
        assert await client.call("eth_call", asked, "latest", reverting) == {
            "jsonrpc": "2.0",
            "id": 1,
            "error": {"code": 3, "message": "execution reverted", "data": "0xab"},
        }
        poor = {"from": "0x" + address_of(PAUPER).hex(), "to": ACCOUNT, "value": "0x1"}
        code, message = await client.error("eth_estimateGas", poor)
        assert code == -32000
        assert "insufficient funds" in str(message)
        code, message = await client.error("eth_call", {"gas": "x"})
        assert code == -32602
        assert str(message).startswith("invalid argument 0: gas: ")
        endless = {"0x" + "55" * 20: {"code": "0x5b5f56"}}
        code, message = await client.error("eth_call", asked, "latest", endless)
        assert (code, message) == (-32000, "out of gas")


async def test_logs_are_found_by_address_and_topic(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        whole = {"fromBlock": "earliest", "toBlock": "latest"}
        found = await client.result("eth_getLogs", whole | {"address": name(PORTAL)})
        assert isinstance(found, list)
        assert [(log["blockNumber"], log["data"]) for log in found] == [
            ("0x1", name(b"hello")),
        ]
        by_topic = await client.result("eth_getLogs", whole | {"topics": [name(DEPOSITED_TOPIC)]})
        assert by_topic == found
        none = await client.result("eth_getLogs", whole | {"topics": [name(keccak256(b"x"))]})
        assert none == []


async def test_subscribers_hear_of_heads_and_logs(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.websocket()
        await client.result("eth_subscribe", "newHeads")
        await client.result("eth_subscribe", "logs", {"address": name(PORTAL)})
        block = backend.chain.grow([sign(SENDER, nonce=3, to=PORTAL, gas=100_000, data=b"again")])
        await server.service.head_changed([block], [])
        head, log = [(await client.message())["params"] for _ in range(2)]
        assert isinstance(head, dict)
        assert isinstance(log, dict)
        assert head["result"]["hash"] == name(block.hash)
        assert "transactions" not in head["result"]
        assert log["result"]["data"] == name(b"again")
        assert log["result"]["removed"] is False
        await server.service.head_changed([], [block])
        taken_back = (await client.message())["params"]
        assert isinstance(taken_back, dict)
        assert taken_back["result"] == log["result"] | {"removed": True}


async def test_proofs_lead_to_the_state_root(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        proof = await client.result("eth_getProof", name(KEEPER), ["0x5"], "latest")
        assert isinstance(proof, dict)
        first_node = bytes.fromhex(proof["accountProof"][0][2:])
        assert keccak256(first_node) == backend.chain.head.header.state_root
        assert proof["storageProof"][0]["value"] == "0x7"
        first_slot_node = bytes.fromhex(proof["storageProof"][0]["proof"][0][2:])
        assert name(keccak256(first_slot_node)) == proof["storageHash"]


async def test_fees_follow_real_blocks(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        assert await client.result("eth_maxPriorityFeePerGas") == hex(10**9)
        history = await client.result("eth_feeHistory", "0x4", "latest", [50])
        assert isinstance(history, dict)
        fees = [block.header.base_fee_per_gas for block in backend.chain.blocks]
        fees.append(backend.chain.next_header().base_fee_per_gas)
        assert history["baseFeePerGas"] == [hex(fee) for fee in fees]
        assert history["reward"] == [["0x0"], [hex(10**9)], ["0x0"], [hex(10**9)]]


async def test_raw_objects_hash_to_their_names(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        block = backend.chain.blocks[1]
        raw_header = await client.result("debug_getRawHeader", "0x1")
        assert isinstance(raw_header, str)
        assert keccak256(bytes.fromhex(raw_header[2:])) == block.hash
        transactions = await _first(client)
        for transaction in transactions:
            raw = await client.result("debug_getRawTransaction", transaction)
            assert isinstance(raw, str)
            assert name(keccak256(bytes.fromhex(raw[2:]))) == transaction
            assert await client.result("eth_getRawTransactionByHash", transaction) == raw
        receipts = await client.result("debug_getRawReceipts", "0x1")
        assert isinstance(receipts, list)
        assert len(receipts) == 3


async def test_traces_and_witnesses_re_execute_blocks(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        transactions = await _first(client)
        trace = await client.result("debug_traceTransaction", transactions[1])
        assert isinstance(trace, dict)
        assert trace["failed"] is False
        assert [step["op"] for step in trace["structLogs"]][-2:] == ["SSTORE", "STOP"]
        by_call = {"tracer": "callTracer"}
        traces = await client.result("debug_traceBlockByNumber", "0x1", by_call)
        assert isinstance(traces, list)
        assert [one["txHash"] for one in traces] == transactions
        assert traces[0]["result"]["type"] == "CALL"
        raw = name(backend.chain.blocks[1].rlp)
        assert await client.result("debug_traceBlock", raw, by_call) == traces
        witness = await client.result("debug_executionWitness", "0x1")
        assert isinstance(witness, dict)
        nodes = [keccak256(bytes.fromhex(node[2:])) for node in witness["state"]]
        assert backend.chain.blocks[0].header.state_root in nodes
        assert witness["headers"] == [name(backend.chain.blocks[0].header.encode())]


async def test_a_block_that_nobody_judged_crashes_no_handler(backend: RealBackend) -> None:
    """Given a block with any byte changed, when it is traced, then there is an answer or a reason, and one names the transaction."""
    raw = backend.chain.blocks[1].rlp
    answers: dict[int, list[object]] = {}
    async with running_with(backend) as server:
        client = await server.http()
        for place in range(len(raw)):
            changed = raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]
            answer = await client.call("debug_traceBlock", name(changed))
            assert isinstance(answer, dict)
            error = answer.get("error", {"code": 0, "message": ""})
            answers.setdefault(error["code"], []).append(error["message"])
    assert set(answers) == {0, -32000}
    assert any("a transaction of this chain" in str(one) for one in answers[-32000])


async def test_a_witness_holds_every_header_that_a_block_looks_back_at(
    backend: RealBackend,
) -> None:
    """Given a block that reads the hash of one far below, its witness alone executes it again."""
    chain = backend.chain
    for _ in range(6):
        chain.grow()
    asked = chain.head.header.number - 5
    look_back = sign(SENDER, nonce=3, to=HISTORIAN, gas=100_000, data=word(asked))
    block, parent = chain.grow([look_back]), chain.blocks[-2]
    async with running_with(backend) as server:
        client = await server.http()
        witness = await client.result("debug_executionWitness", name(block.hash))
        assert isinstance(witness, dict)
    nodes, codes, headers = (
        [bytes.fromhex(one[2:]) for one in witness[part]] for part in ("state", "codes", "headers")
    )
    assert headers == [one.header.encode() for one in reversed(chain.blocks[asked:-1])]
    again = chain.execution.engine.stateless(
        parent.header.encode(), block.rlp, nodes, codes, headers
    )
    assert again.state_root == block.header.state_root


async def test_a_waiting_transaction_is_printed_without_a_block(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        raw = sign(SENDER, nonce=3, value=1)
        answer = await client.result("eth_sendRawTransaction", name(raw))
        assert answer == name(keccak256(raw))
        rendered = backend.chain.execution.engine.pending_json([raw])
        printed = orjson.loads(rendered[0])
        assert printed["hash"] == answer
        assert (printed["blockHash"], printed["from"]) == (None, ACCOUNT)
