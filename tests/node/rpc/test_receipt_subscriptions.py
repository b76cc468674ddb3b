"""`eth_subscribe("transactionReceipts")`: the receipts of each new block, all of them or those of named transactions."""

from __future__ import annotations

import pytest

from node.eth.hashing import keccak256
from node.rpc.namespaces.logs import HASHES_MAX
from node.rpc.rendering import split_receipts, transaction_of
from node.rpc.subscriptions import SESSION_ITEMS_MAX
from tests.kit.recorded_chain import needs_recordings, recorded_chain
from tests.node.rpc.clients import Running, WebSocketClient, call_text, running
from tests.node.rpc.fakes import Backend, make_block

TOPIC = "transactionReceipts"


def named(transaction: bytes) -> str:
    return "0x" + keccak256(transaction).hex()


def receipts(*transactions: bytes) -> list[object]:
    return [{"transactionHash": named(one)} for one in transactions]


async def mine(server: Running[Backend], *transactions: bytes) -> None:
    chain = server.backend.chain
    block = make_block(chain.head.header.number + 1, chain.head, transactions=transactions)
    chain.append(block)
    await server.service.head_changed([block], [])


async def event(client: WebSocketClient) -> tuple[object, object]:
    """Subscription and result of the next event."""
    params = (await client.message())["params"]
    assert isinstance(params, dict)
    return params["subscription"], params["result"]


async def test_receipts_are_told_block_by_block() -> None:
    """Given subscriptions to all and to named transactions, when blocks come, then each is sent what it wants of them, in order."""
    async with running() as server:
        every, some = await server.websocket(), await server.websocket()
        everything = await every.result("eth_subscribe", TOPIC)
        wanted = {"transactionHashes": [named(b"c"), named(b"a"), named(b"x")]}
        chosen = await some.result("eth_subscribe", TOPIC, wanted)

        await mine(server, b"a", b"b", b"c")
        await mine(server)
        await mine(server, b"d")
        await mine(server, b"x", b"y")

        told = [await event(every) for _ in range(3)]
        assert told == [
            (everything, receipts(b"a", b"b", b"c")),
            (everything, receipts(b"d")),
            (everything, receipts(b"x", b"y")),
        ]
        assert [await event(some) for _ in range(2)] == [
            (chosen, receipts(b"a", b"c")),
            (chosen, receipts(b"x")),
        ]


@pytest.mark.parametrize("wanted", [None, {}, {"transactionHashes": None}, {"transactionHashes": []}])  # fmt: skip
async def test_who_names_none_is_told_of_all(wanted: object) -> None:
    async with running() as server:
        client = await server.websocket()
        identity = await client.result("eth_subscribe", TOPIC, wanted)
        await mine(server, b"a")
        assert await event(client) == (identity, receipts(b"a"))
        assert await client.result("eth_unsubscribe", identity) is True


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ([named(b"a")], -32602, "invalid argument 1: json: cannot unmarshal array into Go value of type filters.input"),
        ({"transactionHashes": named(b"a")}, -32602, "invalid argument 1: json: cannot unmarshal string into Go value of type []common.Hash"),
        ({"transactionHashes": ["0x12"]}, -32602, "invalid argument 1: hex string has length 2, want 64 for common.Hash"),
        (
            {"transactionHashes": [named(b"a")] * (HASHES_MAX + 1)},
            -32000,
            "exceed max number of transaction hashes allowed per transactionReceipts subscription",
        ),
    ],
)  # fmt: skip
async def test_what_names_no_transactions_is_refused(
    wanted: object, code: int, message: str
) -> None:
    async with running() as server:
        client = await server.websocket()
        await client.send(call_text("eth_subscribe", TOPIC, wanted))
        assert (await client.message())["error"] == {"code": code, "message": message}


async def test_hashes_count_among_what_a_session_may_name() -> None:
    """Given a session whose subscriptions name as much as it may, when it names one more, then it is refused."""
    async with running() as server:
        client = await server.websocket()
        for number in range(SESSION_ITEMS_MAX // HASHES_MAX):
            hashes = [named(b"%d %d" % (number, at)) for at in range(HASHES_MAX)]
            await client.result("eth_subscribe", TOPIC, {"transactionHashes": hashes})
        await client.send(
            call_text("eth_subscribe", TOPIC, {"transactionHashes": [named(b"one more")]})
        )
        assert (await client.message())["error"] == {
            "code": -32000,
            "message": "too many addresses and topics in subscriptions",
        }


@needs_recordings
def test_the_engines_receipts_say_whose_they_are() -> None:
    """Given every block of the recorded chain, when its receipts are split, then each names its transaction first of all."""
    chain = recorded_chain()
    for block in chain.blocks[1:]:
        text = chain.engine.receipts_json(block.block, block.receipts)
        found = [transaction_of(one) for one in split_receipts(text)]
        assert found == [*block.transaction_hashes]
