"""Blocks, headers and receipts by number, hash and tag."""

from __future__ import annotations

from node.eth.hashing import keccak256
from node.rpc.pending import IN_PLACE_MAX
from node.rpc.rendering import IN_PLACE_BYTES_MAX
from tests.node.rpc.clients import running
from tests.node.rpc.fake_pool import RICH, FakePooled
from tests.node.rpc.fakes import Backend, make_block


async def test_blocks_are_found_by_number_hash_and_tag() -> None:
    async with running() as server:
        client = await server.http()
        chain = server.backend.chain
        assert await client.result("eth_blockNumber") == "0x3"
        for name, number in (
            ("latest", 3),
            ("safe", 2),
            ("finalized", 1),
            ("earliest", 0),
            ("0x2", 2),
        ):
            block = chain.canonical[number]
            expected = {"size": len(block.rlp), "full": True}
            assert await client.result("eth_getBlockByNumber", name, True) == expected
            by_hash = await client.result("eth_getBlockByHash", "0x" + block.hash.hex(), True)
            assert by_hash == expected


async def test_a_block_that_is_not_there_is_null() -> None:
    async with running() as server:
        client = await server.http()
        unknown = "0x" + "00" * 32
        for method, *params in (
            ("eth_getBlockByNumber", "0x99", False),
            ("eth_getBlockByHash", unknown, False),
            ("eth_getHeaderByNumber", "0x99"),
            ("eth_getHeaderByHash", unknown),
            ("eth_getBlockReceipts", "0x99"),
            ("eth_getBlockReceipts", unknown),
            ("eth_getBlockTransactionCountByNumber", "0x99"),
            ("eth_getBlockTransactionCountByHash", unknown),
            ("eth_getUncleCountByBlockNumber", "0x99"),
            ("eth_getUncleByBlockNumberAndIndex", "0x1", "0x0"),
        ):
            assert await client.result(str(method), *params) is None, method


async def test_receipts_counts_and_headers_of_a_block() -> None:
    async with running() as server:
        client = await server.http()
        block = server.backend.chain.canonical[1]
        name = "0x" + block.hash.hex()
        receipts = [{"transactionHash": "0x" + keccak256(b"transaction 1").hex()}]
        assert await client.result("eth_getBlockReceipts", "0x1") == receipts
        assert await client.result("eth_getBlockReceipts", {"blockHash": name}) == receipts
        assert await client.result("eth_getBlockReceipts", "earliest") == []
        assert await client.result("eth_getBlockTransactionCountByNumber", "0x1") == "0x1"
        assert await client.result("eth_getBlockTransactionCountByHash", name) == "0x1"
        assert await client.result("eth_getUncleCountByBlockHash", name) == "0x0"
        header = await client.result("eth_getHeaderByHash", name)
        assert isinstance(header, dict)
        assert header["hash"] == name


async def test_the_pending_block_is_that_of_the_next_slot() -> None:
    backend = Backend()
    backend.pool.ready[RICH] = [FakePooled(raw=b"a"), FakePooled(raw=b"b", nonce=1)]
    async with running(backend) as server:
        client = await server.http()
        hashes = await client.result("eth_getBlockByNumber", "pending", False)
        assert isinstance(hashes, dict)
        assert (hashes["hash"], hashes["nonce"], hashes["miner"]) == (None, None, None)
        assert hashes["transactions"] == ["0x" + keccak256(raw).hex() for raw in (b"a", b"b")]
        full = await client.result("eth_getBlockByNumber", "pending", True)
        assert isinstance(full, dict)
        assert full["transactions"] == [{"pending": b"a".hex()}, {"pending": b"b".hex()}]
    # What cannot pay for its blobs, or has no room for them, is not in it: the pool is told both.
    price = backend.chain.next_header().base_fee_per_gas
    assert set(backend.pool.asked) == {(price, 1, 21)}


async def test_whoever_asks_about_the_pending_block_hears_the_same() -> None:
    """Given two waiting transactions, count, places and header are those of the pending block, not of the head."""
    backend = Backend()
    backend.pool.ready[RICH] = [FakePooled(raw=b"a"), FakePooled(raw=b"b", nonce=1)]
    async with running(backend) as server:
        client = await server.http()
        assert await client.result("eth_getBlockTransactionCountByNumber", "pending") == "0x2"
        for index, expected in (("0x1", {"pending": b"b".hex()}), ("0x2", None)):
            place = ("pending", index)
            found = await client.result("eth_getTransactionByBlockNumberAndIndex", *place)
            assert found == expected
        raw = "eth_getRawTransactionByBlockNumberAndIndex"
        assert await client.result(raw, "pending", "0x0") == "0x" + b"a".hex()
        assert await client.result(raw, "pending", "0x2") == "0x"
        header = await client.result("eth_getHeaderByNumber", "pending")
        assert isinstance(header, dict)
        assert (header["hash"], header["nonce"], header["miner"]) == (None, None, None)
        assert await client.result("eth_getBlockReceipts", "pending") is None


async def test_a_long_pending_block_is_rendered_in_a_worker() -> None:
    backend = Backend()
    many = [FakePooled(raw=bytes([index]), nonce=index) for index in range(IN_PLACE_MAX + 1)]
    backend.pool.ready[RICH] = many
    async with running(backend) as server:
        client = await server.http()
        block = await client.result("eth_getBlockByNumber", "pending", True)
        assert isinstance(block, dict)
        assert block["transactions"] == [{"pending": one.raw.hex()} for one in many]


async def test_a_large_block_is_rendered_in_a_worker_once() -> None:
    backend = Backend()
    large = make_block(4, backend.chain.head, transactions=[bytes(IN_PLACE_BYTES_MAX + 1)])
    backend.chain.append(large)
    async with running(backend) as server:
        client = await server.http()
        expected = {"size": len(large.rlp), "full": False}
        for _ in range(3):
            assert await client.result("eth_getBlockByNumber", "latest", False) == expected
        assert backend.engine.rendered == [len(large.rlp)]
