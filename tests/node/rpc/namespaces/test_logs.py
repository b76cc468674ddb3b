"""Searching logs, and filters that are polled."""

from __future__ import annotations

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rpc import filters, logs, subscriptions
from node.rpc.filters import CHANGES_MAX, FILTERS_MAX
from tests.node.rpc.clients import WebSocketClient, call_text, running
from tests.node.rpc.fakes import EMITTER, TOPIC, Backend, FakeChain, make_block

ADDRESS = "0x" + EMITTER.hex()
TOPIC_NAME = "0x" + TOPIC.hex()
OTHER = "0x" + "77" * 20


def log_of(block_rlp: bytes, *, removed: bool = False) -> dict[str, object]:
    return {"logOf": keccak256(block_rlp).hex(), "removed": removed}


async def test_logs_are_found_in_a_range_and_in_one_block() -> None:
    async with running() as server:
        client, blocks = await server.http(), server.backend.chain.canonical
        every = [log_of(block.rlp) for block in blocks[1:]]
        whole = {"fromBlock": "earliest", "toBlock": "latest", "address": ADDRESS}
        assert await client.result("eth_getLogs", whole) == every
        part = {"fromBlock": "0x1", "toBlock": "0x2", "topics": [[TOPIC_NAME, OTHER + "00" * 12]]}
        assert await client.result("eth_getLogs", part) == every[:2]
        assert await client.result("eth_getLogs", {}) == every[-1:]
        in_one: dict[str, object] = {"blockHash": "0x" + blocks[1].hash.hex(), "topics": [None, []]}
        assert await client.result("eth_getLogs", in_one) == every[:1]


async def test_blocks_whose_bloom_excludes_a_match_are_not_read() -> None:
    async with running() as server:
        client = await server.http()
        wanted = {"fromBlock": "0x0", "toBlock": "latest", "address": [OTHER]}
        assert await client.result("eth_getLogs", wanted) == []
        assert server.backend.engine.asked == []


@pytest.mark.parametrize(
    ("criteria", "code", "message"),
    [
        (
            {"blockHash": "0x" + "ab" * 32, "fromBlock": "0x1"},
            -32602,
            "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one "
            "or the other",
        ),
        ({"blockHash": "0x" + "ab" * 32}, -32000, "unknown block"),
        ({"fromBlock": "0x2", "toBlock": "0x1"}, -32602, "invalid block range params"),
        ({"fromBlock": "pending"}, -32602, "pending logs are not supported"),
        (
            {"address": "0x12"},
            -32602,
            "invalid argument 0: invalid address: hex has invalid length 1 after decoding; expected 20 "
            "for address",
        ),
        ({"topics": [5]}, -32602, "invalid argument 0: invalid topic(s)"),
        ({"address": 5}, -32602, "invalid argument 0: invalid addresses in query"),
        (
            {"address": [ADDRESS, 5]},
            -32602,
            "invalid argument 0: non-string address at index 1",
        ),
        ({"topics": [["0x" + "12" * 32] * 1_001]}, -32602, "invalid argument 0: exceed max topics"),
        ({"topics": [None] * 5}, -32602, "invalid argument 0: exceed max topics"),
        (
            {"address": [ADDRESS] * 1_001},
            -32000,
            "exceed max addresses or topics per search position",
        ),
    ],
)
async def test_searches_that_make_no_sense_are_refused(
    criteria: dict[str, object], code: int, message: str
) -> None:
    async with running() as server:
        client = await server.http()
        assert await client.error("eth_getLogs", criteria) == (code, message)


async def test_a_search_ends_with_the_head() -> None:
    async with running() as server:
        client = await server.http()
        head = server.backend.chain.head.header.number
        assert await client.result("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(head)})
        for bounds in ({"toBlock": hex(head)}, {"toBlock": "safe"}, {"toBlock": hex(head + 1)}):
            assert await client.error("eth_getLogs", bounds) == (
                -32602,
                "invalid block range params",
            )
        for first in ("0x0", hex(head + 1)):
            assert await client.error(
                "eth_getLogs", {"fromBlock": first, "toBlock": hex(head + 1)}
            ) == (-32602, "block range extends beyond current head block")


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("pending", "latest", "pending logs are not supported"),
        ("0x1", "pending", "pending logs are not supported"),
        ("latest", "0x9", "invalid block range params"),
        ("0x5", "0x4", "invalid block range params"),
        ("safe", "latest", "invalid block range params"),
        ("0x1", "finalized", "invalid block range params"),
        ("latest", "earliest", "invalid block range params"),
    ],
)
async def test_ranges_that_nobody_can_follow_are_refused(
    first: str, last: str, message: str
) -> None:
    """Given a range without an order or a beginning, when it is to be followed, then it is refused as geth does."""
    bounds = {"fromBlock": first, "toBlock": last}
    async with running() as server:
        client, subscriber = await server.http(), await server.websocket()
        assert await client.error("eth_newFilter", bounds) == (-32602, message)
        await subscriber.send(call_text("eth_subscribe", "logs", bounds))
        assert (await subscriber.message())["error"] == {"code": -32602, "message": message}


@pytest.mark.parametrize(
    ("first", "last"),
    [("latest", "latest"), ("0x1", "latest"), ("earliest", "latest"), ("earliest", "0x9"), ("0x9", "0x9")],
)  # fmt: skip
async def test_ranges_that_can_be_followed_are_taken(first: str, last: str) -> None:
    async with running() as server:
        client = await server.http()
        assert await client.result("eth_newFilter", {"fromBlock": first, "toBlock": last})


async def test_searches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as server:
        client = await server.http()
        whole = {"fromBlock": "0x0", "toBlock": "latest"}
        monkeypatch.setattr(logs, "RANGE_BLOCKS_MAX", 3)
        assert await client.error("eth_getLogs", whole) == (
            -32005,
            "query exceeds max block range 3",
        )
        monkeypatch.setattr(logs, "RANGE_BLOCKS_MAX", 4)
        monkeypatch.setattr(logs, "PORTION_BLOCKS", 2)
        monkeypatch.setattr(logs, "RESULTS_MAX", 2)
        assert await client.error("eth_getLogs", whole) == (
            -32005,
            "query exceeds max results 2, retry with a smaller range than 0-3",
        )


async def test_the_more_is_looked_for_the_sooner_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given many topics, when a range is searched, then fewer blooms are looked at before others have their turn."""
    asked: list[tuple[int, int]] = []
    backend = Backend()
    blooms = type(backend.chain).blooms

    def noted(chain: FakeChain, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        asked.append((first, last))
        return blooms(chain, first, last)

    monkeypatch.setattr(type(backend.chain), "blooms", noted)
    monkeypatch.setattr(logs, "PORTION_CHECKS", 4)
    whole = {"fromBlock": "0x0", "toBlock": "0x3"}
    many = [["0x" + bytes([at] * 32).hex() for at in range(2)]]
    async with running(backend) as server:
        client = await server.http()
        await client.result("eth_getLogs", whole)
        await client.result("eth_getLogs", whole | {"topics": many})
        await client.result("eth_getLogs", whole | {"topics": many * 4})
    assert asked == [(0, 3), (0, 1), (2, 3), (0, 0), (1, 1), (2, 2), (3, 3)]


async def test_an_answer_of_long_logs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given few but long logs, when they are searched, then the search ends where the answer would be too long."""
    async with running() as server:
        client = await server.http()
        monkeypatch.setattr(logs, "PORTION_BLOCKS", 2)
        monkeypatch.setattr(logs, "RESPONSE_BYTES_MAX", 50)
        server.backend.engine.asked.clear()
        code, message = await client.error("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x3"})
        assert (code, str(message)[:29]) == (-32005, "query exceeds max results of ")
        assert [one["blocks"] for one in server.backend.engine.asked] == [1]


async def test_filters_collect_blocks_logs_and_transactions_since_the_last_poll() -> None:
    async with running() as server:
        client, chain = await server.http(), server.backend.chain
        blocks = await client.result("eth_newBlockFilter")
        found = await client.result("eth_newFilter", {"address": ADDRESS})
        bounded = await client.result("eth_newFilter", {"fromBlock": "0x0", "toBlock": "0x3"})
        hashes = await client.result("eth_newPendingTransactionFilter")
        bodies = await client.result("eth_newPendingTransactionFilter", True)
        first = make_block(4, chain.head, logs=True)
        chain.append(first)
        await server.service.head_changed([first], [])
        other = make_block(4, chain.canonical[-2], logs=True, salt=b"other")
        dropped = chain.replace_head(other)
        await server.service.head_changed([other], [dropped])
        server.service.pending_arrived([(b"\x01" * 32, b"raw")])
        await wait_all_tasks_blocked()  # changes of the head are told in a task of their own

        async def changes(identity: object) -> object:
            return await client.result("eth_getFilterChanges", identity)

        assert await changes(blocks) == ["0x" + first.hash.hex(), "0x" + other.hash.hex()]
        assert await changes(found) == [
            log_of(first.rlp),
            log_of(first.rlp, removed=True),
            log_of(other.rlp),
        ]
        assert await changes(bounded) == []
        assert await changes(hashes) == ["0x" + "01" * 32]
        assert await changes(bodies) == [{"pending": b"raw".hex()}]
        assert await changes(found) == []
        assert await client.result("eth_getFilterLogs", found) == [log_of(other.rlp)]
        assert await client.error("eth_getFilterLogs", blocks) == (-32000, "filter not found")
        assert await client.result("eth_uninstallFilter", found) is True
        assert await client.result("eth_uninstallFilter", found) is False
        assert await client.error("eth_getFilterChanges", found) == (-32000, "filter not found")


async def test_filters_nobody_polls_are_dropped(mock_clock: MockClock) -> None:
    async with running() as server:
        client = await server.http()
        idle, polled = [await client.result("eth_newBlockFilter") for _ in range(2)]
        for _ in range(4):
            await wait_all_tasks_blocked()
            mock_clock.jump(100)
            await wait_all_tasks_blocked()
            assert await client.result("eth_getFilterChanges", polled) == []
        assert await client.error("eth_getFilterChanges", idle) == (-32000, "filter not found")


async def test_filters_and_what_they_hold_are_bounded() -> None:
    backend = Backend()
    async with running(backend) as server:
        client = await server.http()
        first = await client.result("eth_newPendingTransactionFilter")
        second = await client.result("eth_newBlockFilter")
        server.service.pending_arrived([(b"\x01" * 32, b"raw")] * CHANGES_MAX)
        server.service.pending_arrived([(b"\x01" * 32, b"raw")])
        assert await client.error("eth_getFilterChanges", first) == (-32000, "filter not found")
        for _ in range(FILTERS_MAX):
            await client.result("eth_newBlockFilter")
        assert await client.error("eth_getFilterChanges", second) == (-32000, "filter not found")


async def test_what_all_filters_hold_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given filters that nobody empties, when too much waits in all, then whoever holds most goes, and nobody else."""
    monkeypatch.setattr(filters, "WAITING_BYTES_MAX", 66 * 10)
    async with running() as server:
        client = await server.http()
        old = await client.result("eth_newPendingTransactionFilter")
        arrived = [(b"\x01" * 32, b"raw")]
        server.service.pending_arrived(arrived * 6)
        young = await client.result("eth_newPendingTransactionFilter")
        server.service.pending_arrived(arrived * 2)
        name = "0x" + "01" * 32
        assert await client.result("eth_getFilterChanges", old) == [name] * 8

        server.service.pending_arrived(arrived * 4)
        server.service.pending_arrived(arrived * 5)

        assert await client.error("eth_getFilterChanges", young) == (-32000, "filter not found")
        assert await client.result("eth_getFilterChanges", old) == [name] * 9


async def test_what_all_filters_name_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given filters of many topics, when one more has no room, then the greatest gives way, of equals the one polled longest ago."""
    monkeypatch.setattr(filters, "ITEMS_MAX", 5)
    many = {"topics": [["0x" + bytes([at] * 32).hex() for at in range(2)]]}
    async with running() as server:
        client = await server.http()
        first, second = [await client.result("eth_newFilter", many) for _ in range(2)]
        assert await client.result("eth_uninstallFilter", first) is True
        third, fourth = [await client.result("eth_newFilter", many) for _ in range(2)]
        assert await client.error("eth_getFilterChanges", second) == (-32000, "filter not found")
        for one in (third, fourth):
            assert await client.result("eth_getFilterChanges", one) == []


async def test_what_all_subscriptions_name_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given subscriptions of many topics, when one more has no room, then it is refused until another one ends."""
    monkeypatch.setattr(subscriptions, "ITEMS_MAX", 5)
    many = {"topics": [["0x" + bytes([at] * 32).hex() for at in range(3)]]}
    async with running() as server:
        client = await server.websocket()
        first = await client.result("eth_subscribe", "logs", many)
        await client.send(call_text("eth_subscribe", "logs", many))
        assert (await client.message())["error"] == {
            "code": -32000,
            "message": "too many addresses and topics in subscriptions",
        }
        assert await client.result("eth_unsubscribe", first) is True
        await client.result("eth_subscribe", "logs", many)


async def refusal_of(client: WebSocketClient, wanted: dict[str, object]) -> object:
    await client.send(call_text("eth_subscribe", "logs", wanted))
    return (await client.message()).get("error")


async def test_one_session_leaves_others_room_for_what_they_name() -> None:
    """Given a session whose subscriptions name as much as it may, when another one subscribes, then it can."""
    items = iter(range(1, 1_000_000))

    def named(length: int, count: int) -> list[str]:
        return ["0x" + next(items).to_bytes(length).hex() for _ in range(count)]

    def greatest() -> dict[str, object]:
        return {"address": named(20, 1_000), "topics": [named(32, 1_000) for _ in range(4)]}

    too_many = {"code": -32000, "message": "too many addresses and topics in subscriptions"}
    async with running() as server:
        for _ in range(16):
            greedy = await server.websocket()
            assert await refusal_of(greedy, greatest()) is None
            assert await refusal_of(greedy, {"address": ADDRESS}) == too_many
            assert await refusal_of(greedy, {}) is None
        last = await server.websocket()
        assert await refusal_of(last, {"address": ADDRESS}) == too_many


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["newHeads", None], "too many arguments, want at most 1"),
        (["syncing", {}], "too many arguments, want at most 1"),
        (["newPendingTransactions", True, 1], "too many arguments, want at most 2"),
        (["logs", {}, {}], "too many arguments, want at most 2"),
        (["logs"], "missing value for required argument 1"),
        (["logs", None], "missing value for required argument 1"),
        ([5], "expected subscription name as first argument"),
    ],
)
async def test_subscriptions_take_what_their_topic_needs(
    params: list[object], message: str
) -> None:
    """Given arguments that a topic has no use for, or lacks, when subscribed to, then they are refused as geth does."""
    async with running() as server:
        client = await server.websocket()
        await client.send(call_text("eth_subscribe", *params))
        assert (await client.message())["error"] == {"code": -32602, "message": message}
