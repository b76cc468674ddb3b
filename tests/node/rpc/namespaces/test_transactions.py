"""Transactions mined, waiting and sent."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.eth.hashing import keccak256
from tests.node.rpc.clients import call_text, http_post, running
from tests.node.rpc.fake_pool import RICH, FakePooled
from tests.node.rpc.fakes import Backend, make_block

FIRST = keccak256(b"transaction 1")
NAME = "0x" + FIRST.hex()
UNKNOWN = "0x" + "00" * 31 + "01"


async def test_a_mined_transaction_is_found_in_every_way() -> None:
    async with running() as server:
        client = await server.http()
        block = "0x" + server.backend.chain.canonical[1].hash.hex()
        expected = {"hash": FIRST.hex(), "index": 0}
        raw = "0x" + b"transaction 1".hex()
        assert await client.result("eth_getTransactionByHash", NAME) == expected
        assert await client.result("eth_getTransactionReceipt", NAME) == {
            "transactionHash": "0x" + FIRST.hex()
        }
        assert await client.result("eth_getRawTransactionByHash", NAME) == raw
        for place, kind in ((block, "Hash"), ("0x1", "Number")):
            assert (
                await client.result(f"eth_getTransactionByBlock{kind}AndIndex", place, "0x0")
                == expected
            )
            assert (
                await client.result(f"eth_getTransactionByBlock{kind}AndIndex", place, "0x1")
                is None
            )
            assert (
                await client.result(f"eth_getRawTransactionByBlock{kind}AndIndex", place, "0x0")
                == raw
            )


async def test_unknown_transactions_are_null() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_getTransactionByHash", UNKNOWN) is None
        assert await client.result("eth_getTransactionReceipt", UNKNOWN) is None
        assert await client.result("eth_getRawTransactionByHash", UNKNOWN) == "0x"


async def test_a_waiting_transaction_has_no_block_yet() -> None:
    backend = Backend()
    backend.pool.ready[RICH] = [FakePooled(raw=b"waits")]
    async with running(backend) as server:
        client = await server.http()
        name = "0x" + keccak256(b"waits").hex()
        assert await client.result("eth_getTransactionByHash", name) == {"pending": b"waits".hex()}
        assert await client.result("eth_getTransactionReceipt", name) is None
        assert await client.result("eth_getRawTransactionByHash", name) == "0x" + b"waits".hex()


async def test_a_sent_transaction_is_answered_with_its_hash_or_geths_refusal() -> None:
    async with running() as server:
        client = await server.http()
        assert (
            await client.result("eth_sendRawTransaction", "0x0102")
            == "0x" + keccak256(b"\x01\x02").hex()
        )
        server.backend.pool.refusal = "nonce too low: next nonce 5, tx nonce 4"
        assert await client.error("eth_sendRawTransaction", "0x0102") == (
            -32000,
            "nonce too low: next nonce 5, tx nonce 4",
        )
        assert await client.error("eth_sendRawTransaction", "0102") == (
            -32602,
            "invalid argument 0: json: cannot unmarshal hex string without 0x prefix into Go "
            "value of type hexutil.Bytes",
        )


async def test_sending_synchronously_waits_for_the_receipt() -> None:
    async with running() as server:
        client, chain = await server.http(), server.backend.chain
        await client.send(http_post(call_text("eth_sendRawTransactionSync", "0x0102")))
        await wait_all_tasks_blocked()
        await server.service.head_changed([chain.head], [])
        block = make_block(4, chain.head, transactions=[b"\x01\x02"])
        chain.append(block, [b"\x01\x02"])
        await server.service.head_changed([block], [])
        assert (await client.reply()).json() == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"transactionHash": "0x" + keccak256(b"\x01\x02").hex()},
        }


async def test_sending_synchronously_gives_up_in_time(mock_clock: MockClock) -> None:
    async with running() as server:
        client = await server.http()
        await client.send(http_post(call_text("eth_sendRawTransactionSync", "0x0102", 2_000)))
        await wait_all_tasks_blocked()
        mock_clock.jump(3)
        answer = (await client.reply()).json()
        assert isinstance(answer, dict)
        assert answer["error"] == {
            "code": 4,
            "message": "The transaction was added to the transaction pool but wasn't processed "
            "in 2s.",
            "data": "0x" + keccak256(b"\x01\x02").hex(),
        }


async def test_the_node_signs_nothing() -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_accounts") == []
        assert await client.result("eth_pendingTransactions") == []
        for method, *params in (
            ("eth_sendTransaction", {}),
            ("eth_signTransaction", {}),
            ("eth_sign", "0x" + "11" * 20, "0x"),
        ):
            assert await client.error(str(method), *params) == (-32000, "unknown account")
        assert await client.error("eth_fillTransaction", {}) == (
            -32601,
            "the method eth_fillTransaction does not exist/is not available",
        )
        await trio.lowlevel.checkpoint()


async def test_what_is_not_there_has_no_bytes() -> None:
    """Given blocks and places that are not there, when raw transactions are asked for, then they are empty, as geth's."""
    async with running() as server:
        client = await server.http()
        for method, block in (
            ("eth_getRawTransactionByBlockNumberAndIndex", "0x99"),
            ("eth_getRawTransactionByBlockNumberAndIndex", "0x2"),
            ("eth_getRawTransactionByBlockHashAndIndex", "0x" + "99" * 32),
        ):
            assert await client.result(method, block, "0x99") == "0x"
