"""Accounts, storage and proofs at a block."""

from __future__ import annotations

from tests.node.rpc.clients import running
from tests.node.rpc.fake_pool import CONTRACT, RICH, FakePooled
from tests.node.rpc.fakes import Backend, FakeAccount

ACCOUNT = "0x" + RICH.hex()
CODE = "0x" + CONTRACT.hex()
NOBODY = "0x" + "00" * 19 + "99"
SLOT = "0x" + "00" * 32


def backend() -> Backend:
    made = Backend()
    made.engine.accounts[RICH] = FakeAccount(nonce=7, balance=10**18)
    made.engine.codes[CONTRACT] = b"\x60\x01"
    made.engine.words[CONTRACT, bytes(32)] = (56).to_bytes(32, "big")
    return made


async def test_accounts_are_read_at_any_block() -> None:
    async with running(backend()) as server:
        client = await server.http()
        genesis = server.backend.chain.canonical[0]
        for block in ("latest", "safe", "finalized", "pending", "earliest", "0x2", None):
            assert await client.result("eth_getBalance", ACCOUNT, block) == "0xde0b6b3a7640000"
        by_hash = {"blockHash": "0x" + genesis.hash.hex(), "requireCanonical": True}
        assert await client.result("eth_getBalance", ACCOUNT, by_hash) == "0xde0b6b3a7640000"
        assert await client.result("eth_getBalance", NOBODY) == "0x0"
        assert await client.result("eth_getTransactionCount", ACCOUNT) == "0x7"
        assert await client.result("eth_getTransactionCount", NOBODY, "latest") == "0x0"
        assert await client.result("eth_getCode", CODE) == "0x6001"
        assert await client.result("eth_getCode", ACCOUNT) == "0x"
        assert await client.result("eth_getStorageAt", CODE, "0x0") == "0x" + "00" * 31 + "38"
        assert await client.result("eth_getStorageAt", CODE, "0x1", "0x1") == "0x" + "00" * 32


async def test_the_pending_nonce_counts_waiting_transactions() -> None:
    made = backend()
    made.pool.ready[RICH] = [FakePooled(raw=b"a", nonce=7), FakePooled(raw=b"b", nonce=8)]
    async with running(made) as server:
        client = await server.http()
        assert await client.result("eth_getTransactionCount", ACCOUNT, "pending") == "0x9"
        assert await client.result("eth_getTransactionCount", ACCOUNT, "latest") == "0x7"
        assert await client.result("eth_getTransactionCount", NOBODY, "pending") == "0x0"


async def test_blocks_that_are_not_there_are_named_as_geth_does() -> None:
    made = backend()
    async with running(made) as server:
        client = await server.http()
        assert await client.error("eth_getBalance", ACCOUNT, "0x99") == (-32000, "header not found")
        assert await client.error("eth_getBalance", ACCOUNT, "0x" + "ab" * 32) == (
            -32000,
            "header for hash not found",
        )
        dropped = made.chain.canonical.pop()
        by_hash = {"blockHash": "0x" + dropped.hash.hex(), "requireCanonical": True}
        assert await client.error("eth_getBalance", ACCOUNT, by_hash) == (
            -32000,
            "hash is not currently canonical",
        )


async def test_a_pruned_state_is_named_in_every_method() -> None:
    made = backend()
    root = made.chain.canonical[0].header.state_root
    made.engine.pruned.add(root)
    told = (-32000, f"historical state 0x{root.hex()} is not available")
    async with running(made) as server:
        client = await server.http()
        assert await client.error("eth_getBalance", ACCOUNT, "0x0") == told
        assert await client.error("eth_getTransactionCount", ACCOUNT, "0x0") == told
        assert await client.error("eth_getCode", ACCOUNT, "0x0") == told
        assert await client.error("eth_getStorageAt", ACCOUNT, "0x0", "0x0") == told
        assert await client.error("eth_getStorageValues", {ACCOUNT: [SLOT]}, "0x0") == told
        assert await client.error("eth_getProof", ACCOUNT, ["0x0"], "0x0") == told
        assert await client.error("eth_call", {}, "0x0") == told


async def test_a_safety_fault_takes_safe_and_finalized_away() -> None:
    made = backend()
    made.chain.safety_fault = "two conflicting checkpoints of epoch 9"
    async with running(made) as server:
        client = await server.http()
        for tag in ("safe", "finalized"):
            assert await client.error("eth_getBalance", ACCOUNT, tag) == (
                -32000,
                f"{tag} block not available: safety fault: two conflicting checkpoints of epoch 9",
            )
        assert await client.result("eth_getBalance", ACCOUNT, "latest") == "0xde0b6b3a7640000"


async def test_finalized_never_goes_back() -> None:
    made = backend()
    made.chain.finalized_number = 2
    async with running(made) as server:
        client = await server.http()
        size = len(made.chain.canonical[2].rlp)
        answer = {"size": size, "full": False}
        assert await client.result("eth_getBlockByNumber", "finalized", False) == answer
        made.chain.finalized_number = 0
        assert await client.result("eth_getBlockByNumber", "finalized", False) == answer


async def test_proofs_print_keys_as_they_were_given() -> None:
    async with running(backend()) as server:
        client = await server.http()
        long_key = "0x" + "00" * 31 + "07"
        proof = await client.result("eth_getProof", CODE, ["0x00", long_key], "latest")
        assert proof == {
            "address": CODE,
            "accountProof": ["0x" + b"node".hex()],
            "balance": "0x0",
            "codeHash": "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
            "nonce": "0x0",
            "storageHash": "0x" + FakeAccount().storage_root.hex(),
            "storageProof": [
                {"key": "0x0", "value": "0x38", "proof": ["0x" + b"leaf".hex()]},
                {"key": long_key, "value": "0x0", "proof": ["0x" + b"leaf".hex()]},
            ],
        }


async def test_storage_values_of_several_accounts_come_together() -> None:
    async with running(backend()) as server:
        client = await server.http()
        word = "0x" + "00" * 31 + "38"
        asked = {"0x" + CODE[2:].upper(): [SLOT, "0x" + "01" * 32], ACCOUNT: [SLOT], NOBODY: None}
        assert await client.result("eth_getStorageValues", asked, "latest") == {
            CODE: [word, SLOT],
            ACCOUNT: [SLOT],
            NOBODY: [],
        }


async def test_storage_values_have_bounds() -> None:
    """Given nothing, too much or shortened slots, when storage values are asked for, then codes are geth's."""
    async with running(backend()) as server:
        client = await server.http()
        nothing: list[dict[str, object]] = [{}, {CODE: None}, {CODE: []}]
        for none in nothing:
            assert await client.error("eth_getStorageValues", none) == (-32602, "empty request")
        most = await client.result("eth_getStorageValues", {CODE: [SLOT] * 1_024})
        assert most == {CODE: ["0x" + "00" * 31 + "38"] * 1_024}
        assert await client.error("eth_getStorageValues", {CODE: [SLOT] * 1_025}) == (
            -38026,
            "too many slots (max 1024)",
        )
        code, message = await client.error("eth_getStorageValues", {CODE: ["0x01"]})
        assert (code, "want 64 for common.Hash" in str(message)) == (-32602, True)


async def test_more_proofs_than_one_call_may_have_are_refused() -> None:
    async with running(backend()) as server:
        client = await server.http()
        assert await client.error("eth_getProof", CODE, ["0x0"] * 1_025) == (
            -32602,
            "too many storage keys requested (max 1024, got 1025)",
        )
