"""Otterscan's questions, over blocks of the native engine that nest, fail, create and destroy."""

from __future__ import annotations

from typing import Final, cast

import pytest

from tests.kit.execution_chain import (
    DEPOSITOR,
    ETHER,
    KEEPER,
    PAUPER,
    PROPOSER,
    SENDER,
    ExecutionChain,
    address_of,
    sign,
    word,
)
from tests.kit.traced_block import CHILD, ENDER, PARENT, REASON, TRACED
from tests.node.rpc.clients import HttpClient, running_with
from tests.node.rpc.real import RealBackend, RealChain

Json = dict[str, object]

FACTORY: Final = bytes([0x46] * 20)
"""Creates an empty contract with three wei, then fails if it was given any input."""

INIT_CODE: Final = "60015f5360015ff3"
"""Returns one byte of code."""

_FACTORY_CODE: Final = f"67{INIT_CODE}5f52600860186003f0503615601b575f5ffd5b00"


def name(value: bytes) -> str:
    return "0x" + value.hex()


SENDER_NAME: Final = name(address_of(SENDER))


@pytest.fixture(scope="module")
def backend() -> RealBackend:
    """Block 1: transfers; 2: empty; 3: nested calls, a failed one, a creation, a destruction; 4: a factory, twice."""
    factory = {"balance": "0x9", "code": "0x" + _FACTORY_CODE}
    accounts = dict(TRACED) | {name(FACTORY): factory}
    made = RealBackend(RealChain(ExecutionChain.open(extra_accounts=accounts)))
    made.chain.grow([sign(SENDER, nonce=0, value=ETHER), sign(SENDER, nonce=1, value=1)])
    made.chain.grow()
    made.chain.grow(
        [
            sign(DEPOSITOR, nonce=0, to=PARENT, gas=200_000),
            sign(SENDER, nonce=2, to=CHILD, data=b"\x01\x02\x03\x04rest", gas=200_000),
            sign(SENDER, nonce=3, to=b"", data=bytes.fromhex(INIT_CODE), gas=99_000),
            sign(SENDER, nonce=4, to=ENDER, gas=99_000),
        ]
    )
    made.chain.grow(
        [
            sign(DEPOSITOR, nonce=1, to=FACTORY, data=b"fail", gas=200_000),
            sign(DEPOSITOR, nonce=2, to=FACTORY, gas=200_000),
        ]
    )
    return made


def hash_of(backend: RealBackend, number: int, index: int) -> str:
    """The hash of a transaction by its place."""
    return name(backend.chain.execution.blocks[number].transaction_hashes[index])


def created(backend: RealBackend) -> str:
    """The contract that the factory made."""
    found = backend.chain.execution.engine.trace_entries(
        backend.chain.blocks[3].header.state_root,
        backend.chain.blocks[4].rlp,
        backend.chain.ancestors(backend.chain.blocks[4].hash),
        1,
    )
    return found.decode().split('"to":"')[2][:42]


async def objects(client: HttpClient, method: str, *params: object) -> list[Json]:
    answer = await client.result(method, *params)
    assert isinstance(answer, list)
    return cast("list[Json]", answer)


async def test_a_node_is_found_by_its_level_and_a_header(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        assert await client.result("ots_getApiLevel") == 8
        header = await client.result("erigon_getHeaderByNumber", 1)
        assert isinstance(header, dict)
        assert header["hash"] == name(backend.chain.blocks[1].hash)
        assert await client.result("erigon_getHeaderByNumber", 99) is None


async def test_code_is_there_or_not(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        assert await client.result("ots_hasCode", name(KEEPER), "latest") is True
        assert await client.result("ots_hasCode", SENDER_NAME, "latest") is False
        assert await client.result("ots_hasCode", created(backend), 3) is False
        assert await client.result("ots_hasCode", created(backend), 4) is True
        assert await client.error("ots_hasCode", name(KEEPER), 99) == (-32000, "header not found")


async def test_calls_are_listed_with_their_depth(backend: RealBackend) -> None:
    """Given nested calls, when listed, then precompiles are left out and depth counts from the transaction."""
    async with running_with(backend) as server:
        client = await server.http()
        nested = await objects(client, "ots_traceTransaction", hash_of(backend, 3, 0))
        destroyed = await objects(client, "ots_traceTransaction", hash_of(backend, 3, 3))
    depositor = name(address_of(DEPOSITOR))
    call: Json = {"type": "CALL", "input": "0x"}
    assert nested == [
        call | {"depth": 0, "from": depositor, "to": name(PARENT), "value": "0x0", "output": "0x"},
        call
        | {"depth": 1, "from": name(PARENT), "to": name(CHILD), "value": "0x1"}
        | {"output": name(REASON)},
    ]
    assert destroyed[1] == {
        "type": "SELFDESTRUCT",
        "depth": 1,
        "from": name(ENDER),
        "to": name(PROPOSER),
        "value": "0x7",
        "input": "0x",
        "output": "0x",
    }


async def test_what_moves_ether_inside_is_listed(backend: RealBackend) -> None:
    """Given transfers, creations and destructions, when asked, then the outermost call is none of them."""
    async with running_with(backend) as server:
        client = await server.http()
        operations = [
            await objects(client, "ots_getInternalOperations", hash_of(backend, *place))
            for place in ((1, 0), (3, 0), (3, 3), (4, 1))
        ]
    sent: Json = {"type": 0, "from": name(PARENT), "to": name(CHILD), "value": "0x1"}
    left: Json = {"type": 1, "from": name(ENDER), "to": name(PROPOSER), "value": "0x7"}
    made: Json = {"type": 2, "from": name(FACTORY), "to": created(backend), "value": "0x3"}
    assert operations == [[], [sent], [left], [made]]


async def test_an_error_is_what_the_transaction_reverted_with(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        for place, error in (((3, 1), name(REASON)), ((3, 0), "0x"), ((4, 0), "0x")):
            answer = await client.result("ots_getTransactionError", hash_of(backend, *place))
            assert answer == error
        unknown = "0x" + "12" * 32
        told = (-32000, f"transaction {unknown} not found")
        assert await client.error("ots_getTransactionError", unknown) == told
        assert await client.error("ots_traceTransaction", unknown) == told
        assert await client.error("ots_getInternalOperations", unknown) == told


async def test_a_block_is_told_without_its_transactions(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        details = await client.result("ots_getBlockDetails", 3)
        by_hash = await client.result(
            "ots_getBlockDetailsByHash", name(backend.chain.blocks[3].hash)
        )
        receipts = await objects(client, "eth_getBlockReceipts", "0x3")
        block = await client.result("eth_getBlockByNumber", "0x3", False)
        assert await client.result("ots_getBlockDetails", "0x63") is None
    assert isinstance(block, dict)
    fees = sum(
        int(str(one["gasUsed"]), 16) * int(str(one["effectiveGasPrice"]), 16) for one in receipts
    )
    del block["transactions"]
    assert details == by_hash
    assert details == {
        "block": block | {"transactionCount": 4, "logsBloom": None},
        "issuance": {"blockReward": "0x0", "uncleReward": "0x0", "issuance": "0x0"},
        "totalFees": hex(fees),
    }


async def test_a_blocks_transactions_come_in_pages_from_its_end(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        pages = [await client.result("ots_getBlockTransactions", 3, page, 3) for page in (0, 1, 2)]
        full = await client.result("eth_getBlockByNumber", "0x3", True)
    assert isinstance(full, dict)
    shown = []
    for page in pages:
        assert isinstance(page, dict)
        assert page["fullblock"]["transactionCount"] == 4
        assert page["fullblock"]["logsBloom"] is None
        hashes = [one["hash"] for one in page["fullblock"]["transactions"]]
        assert hashes == [one["transactionHash"] for one in page["receipts"]]
        assert all(one["logs"] is None and one["logsBloom"] is None for one in page["receipts"])
        shown.append([one["input"] for one in page["fullblock"]["transactions"]])
    inputs = [one["input"][:10] for one in full["transactions"]]
    assert shown == [inputs[1:], inputs[:1], []]
    assert "0x01020304" in inputs


async def search(client: HttpClient, method: str, *params: object) -> tuple[list[str], bool, bool]:
    """Hashes that were found, whether it is the first page, whether it is the last."""
    found = await client.result(method, *params)
    assert isinstance(found, dict)
    hashes = [one["hash"] for one in found["txs"]]
    assert hashes == [one["transactionHash"] for one in found["receipts"]]
    assert all(isinstance(one["timestamp"], int) for one in found["receipts"])
    return hashes, found["firstPage"], found["lastPage"]


async def test_a_search_fills_pages_up_to_the_end_of_a_block(backend: RealBackend) -> None:
    """Given an account with transactions in two blocks, when searched both ways, then the newest come first."""
    older = [hash_of(backend, 1, 1), hash_of(backend, 1, 0)]
    newer = [hash_of(backend, 3, index) for index in (3, 2, 1)]
    before, after = "ots_searchTransactionsBefore", "ots_searchTransactionsAfter"
    async with running_with(backend) as server:
        client = await server.http()
        assert await search(client, before, SENDER_NAME, 0, 25) == (newer + older, True, True)
        assert await search(client, before, SENDER_NAME, 0, 2) == (newer, True, False)
        assert await search(client, before, SENDER_NAME, 3, 2) == (older, False, True)
        assert await search(client, after, SENDER_NAME, 0, 25) == (newer + older, True, True)
        assert await search(client, after, SENDER_NAME, 0, 1) == (older, False, True)
        assert await search(client, after, SENDER_NAME, 1, 1) == (newer, True, False)
        assert await search(client, after, SENDER_NAME, 3, 1) == ([], True, False)
        nobody = name(address_of(PAUPER))
        assert await search(client, before, nobody, 0, 25) == ([], True, True)


async def test_a_search_finds_those_who_were_only_called(backend: RealBackend) -> None:
    """Given contracts that were called, created (also in vain) or left something, when searched, then they are found."""
    async with running_with(backend) as server:
        client = await server.http()
        for address, places in (
            (name(CHILD), [(3, 1), (3, 0)]),
            (created(backend), [(4, 1), (4, 0)]),
            (name(ENDER), [(3, 3)]),
            (name(PROPOSER), [(3, 3)]),
        ):
            hashes, _, _ = await search(client, "ots_searchTransactionsBefore", address, 0, 25)
            assert hashes == [hash_of(backend, *place) for place in places]


async def test_a_page_is_bounded(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        for method in ("ots_searchTransactionsBefore", "ots_searchTransactionsAfter"):
            told = await client.error(method, SENDER_NAME, 0, 26)
            assert told == (-32000, "max allowed page size: 25")
            code, message = await client.error(method, SENDER_NAME, -1, 25)
            assert code == -32602
            assert message == (
                "invalid argument 1: json: cannot unmarshal number -1 into Go value of type uint64"
            )


async def test_a_transaction_is_found_by_its_nonce(backend: RealBackend) -> None:
    async with running_with(backend) as server:
        client = await server.http()
        places = [(1, 0), (1, 1), (3, 1), (3, 2), (3, 3)]
        for nonce, place in enumerate(places):
            found = await client.result("ots_getTransactionBySenderAndNonce", SENDER_NAME, nonce)
            assert found == hash_of(backend, *place)
        method = "ots_getTransactionBySenderAndNonce"
        assert await client.result(method, SENDER_NAME, 5) is None
        assert await client.result(method, name(address_of(PAUPER)), 0) is None


async def test_a_contract_names_who_created_it(backend: RealBackend) -> None:
    """Given a creation that was undone and one that was not, when asked, then the second one is named."""
    async with running_with(backend) as server:
        client = await server.http()
        method = "ots_getContractCreator"
        assert await client.result(method, created(backend)) == {
            "hash": hash_of(backend, 4, 1),
            "creator": name(FACTORY),
        }
        outermost = await client.result("eth_getTransactionReceipt", hash_of(backend, 3, 2))
        assert isinstance(outermost, dict)
        assert await client.result(method, outermost["contractAddress"]) == {
            "hash": hash_of(backend, 3, 2),
            "creator": SENDER_NAME,
        }
        assert await client.result(method, name(KEEPER)) is None
        assert await client.result(method, SENDER_NAME) is None
        assert await client.result(method, name(word(9)[12:])) is None


async def test_without_old_states_receipts_tell_what_they_can(backend: RealBackend) -> None:
    """Given pruned states, when searched, then senders, callees and created contracts are found, inner calls are not."""
    engine = backend.chain.execution.engine
    engine.prune([backend.chain.blocks[0].header.state_root], 4)
    assert not engine.has_state(backend.chain.blocks[2].header.state_root)
    async with running_with(backend) as server:
        client = await server.http()
        hashes, _, is_last = await search(
            client, "ots_searchTransactionsBefore", SENDER_NAME, 0, 25
        )
        assert len(hashes) == 5
        assert is_last
        assert await search(client, "ots_searchTransactionsAfter", name(CHILD), 0, 25) == (
            [hash_of(backend, 3, 1)],
            True,
            True,
        )
        found = await client.result("ots_getTransactionBySenderAndNonce", SENDER_NAME, 1)
        assert found == hash_of(backend, 1, 1)
        receipt = await client.result("eth_getTransactionReceipt", hash_of(backend, 3, 2))
        assert isinstance(receipt, dict)
        creator = await client.result("ots_getContractCreator", receipt["contractAddress"])
        assert creator == {"hash": hash_of(backend, 3, 2), "creator": SENDER_NAME}
        code, message = await client.error("ots_traceTransaction", hash_of(backend, 3, 0))
        assert code == -32000
        assert "is not available" in str(message)
