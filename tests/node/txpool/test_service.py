"""The pool in a node: users, peers, the chain and the journal, with fakes around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from node.errors import Rejected
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Hash32
from node.txpool import service as pool_service
from node.txpool.limits import PoolLimits
from node.txpool.service import (
    OFFER_AGAIN_S,
    QUARANTINED_MAX,
    PoolService,
)
from node.txpool.surroundings import GossipVerdict, PoolNetwork
from node.txpool.wire import (
    GOSSIP_BYTES_MAX,
    GossipedTransactions,
    decode_answer,
    decode_gossip,
    encode_answer,
    encode_gossip,
    encode_request,
)
from tests.node.txpool.fakes import ETHER, GWEI, OTHER, SENDER, FakeTransaction

Answer = TypeVar("Answer")
SMALL = FakeTransaction()
EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")


@dataclass(frozen=True, slots=True)
class FakeAccount:
    """An account of a state."""

    nonce: int = 0
    balance: int = 1_000 * ETHER
    code_hash: bytes = EMPTY_CODE


@dataclass(frozen=True, slots=True)
class NoTransaction:
    """What the engine says of garbage."""

    code: str = "undecodable"
    message: str = "rlp: value size exceeds available input length"


@dataclass(slots=True)
class FakeEngine:
    """Knows transactions by their bytes, and states by their roots."""

    known: dict[bytes, FakeTransaction] = field(default_factory=dict)
    states: dict[bytes, dict[bytes, FakeAccount]] = field(default_factory=dict)
    blocks: dict[bytes, list[bytes]] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)

    def raw(self, transaction: FakeTransaction) -> bytes:
        self.known[transaction.raw] = transaction
        return transaction.raw

    def decode(self, transactions: Sequence[bytes]) -> list[FakeTransaction | NoTransaction]:
        self.batches.append(len(transactions))
        return [self.known.get(raw, NoTransaction()) for raw in transactions]

    def account(self, root: bytes, address: bytes) -> FakeAccount | None:
        return self.states.get(root, {}).get(address, FakeAccount())

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        found = [self.states.get(root, {}).get(one, FakeAccount()) for one in addresses]
        return [(one.nonce, one.balance) for one in found]

    def raw_transactions(self, block: bytes) -> list[bytes]:
        return self.blocks[block]


class Inline:
    """Works in place, a moment after it was asked to if told so."""

    def __init__(self) -> None:
        self.delay_s = 0.0

    async def run(self, work: Callable[[], Answer]) -> Answer:
        answer = work()
        await trio.sleep(self.delay_s)
        return answer


class VirtualClock:
    """Trio's time."""

    def now_ms(self) -> int:
        return round(trio.current_time() * 1_000)


class NoAnswer(Exception):
    """A request failed."""


@dataclass(slots=True)
class FakePeers:
    """Records what is sent, answers requests from what it holds."""

    sent: list[GossipedTransactions] = field(default_factory=list)
    held: dict[bytes, bytes] = field(default_factory=dict)
    requests: int = 0
    failures_left: int = 0
    blamed: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, message: bytes) -> None:
        assert len(message) <= GOSSIP_BYTES_MAX
        self.sent.append(decode_gossip(message))

    async def request(self, peer: str, body: bytes) -> bytes:
        self.requests += 1
        await trio.sleep(0.01)
        if self.failures_left:
            self.failures_left -= 1
            raise NoAnswer
        return self.held.get(body, encode_answer([]))

    def blame(self, peer: str, reason: str) -> None:
        self.blamed.append((peer, reason))

    def network(self) -> PoolNetwork:
        return PoolNetwork(
            publish=self.publish,
            request=self.request,
            failures=(NoAnswer,),
            blame=self.blame,
            configured=frozenset({"peer"}),
        )


def block(number: int, root: bytes, gas_limit: int = 120_000_000) -> Block:
    header = Header(
        parent_hash=ZERO_HASH,
        fee_recipient=ZERO_ADDRESS,
        state_root=Hash32(root),
        transactions_root=ZERO_HASH,
        receipts_root=ZERO_HASH,
        logs_bloom=bytes(256),
        number=number,
        gas_limit=gas_limit,
        gas_used=0,
        timestamp=number,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        base_fee_per_gas=GWEI,
        withdrawals_root=ZERO_HASH,
        blob_gas_used=0,
        excess_blob_gas=0,
        parent_beacon_block_root=ZERO_HASH,
        requests_hash=ZERO_HASH,
    )
    return Block(hash=header.hash(), header=header, rlp=b"block %d" % number, receipts=b"")


@dataclass(slots=True)
class Node:
    """A pool service and its surroundings."""

    service: PoolService
    engine: FakeEngine
    peers: FakePeers
    registry: CollectorRegistry
    worker: Inline
    executable: list[bytes]

    async def send(self, transaction: FakeTransaction) -> str | None:
        answer = await self.service.submit(self.engine.raw(transaction))
        assert answer.hash == transaction.hash
        return answer.refusal

    async def gossip(
        self, *transactions: FakeTransaction, junk: int = 0, peer: str = "peer"
    ) -> GossipVerdict:
        raws = [self.engine.raw(one) for one in transactions] + [b"junk"] * junk
        return await self.service.on_gossip(peer, encode_gossip(raws, []))


@asynccontextmanager
async def running(
    journal: Path | None = None, engine: FakeEngine | None = None
) -> AsyncIterator[Node]:
    engine = engine or FakeEngine()
    peers = FakePeers()
    registry = CollectorRegistry()
    worker = Inline()
    service = PoolService(
        engine=engine,
        head=block(0, b"\x00" * 32),
        worker=worker,
        network=peers.network(),
        clock=VirtualClock(),
        registry=registry,
        limits=PoolLimits(),
        journal_path=journal,
    )
    executable: list[bytes] = []
    service.on_executable(lambda told: executable.extend(one[0] for one in told))
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        yield Node(service, engine, peers, registry, worker, executable)
        nursery.cancel_scope.cancel()


# -- users


async def test_a_users_transaction_is_taken_told_and_gossiped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        assert await node.send(SMALL) is None
        await trio.sleep(1)
        assert node.service.counts() == (1, 0)
        assert node.service.next_nonce(SENDER) == 1
        assert node.executable == [SMALL.hash]
        assert node.peers.sent == [GossipedTransactions((SMALL.raw,), ())]
        label = {"state": "executable"}
        assert node.registry.get_sample_value("faultline_txpool_transactions", label) == 1


async def test_refusals_carry_geths_words(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as node:
        await node.send(SMALL)
        assert await node.send(SMALL) == "already known"
        garbage = await node.service.submit(b"garbage")
        assert garbage.refusal == "rlp: value size exceeds available input length"
        large = await node.service.submit(bytes(512 * 1024 + 1))
        assert large.refusal == "oversized data: transaction size 524289, limit 524288"


async def test_what_arrives_together_is_decoded_and_gossiped_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        async with trio.open_nursery() as nursery:
            for nonce in range(500):
                nursery.start_soon(node.send, replace(SMALL, nonce=nonce))
        await trio.sleep(1)
        assert sum(node.engine.batches) == 500
        assert len(node.engine.batches) <= 2
        assert node.service.counts() == (500, 0)
        gossiped = [raw for message in node.peers.sent for raw in message.transactions]
        assert sorted(gossiped) == sorted(node.engine.known)
        assert len(node.peers.sent) <= 8


# -- peers


async def test_verdicts(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as node:
        second = replace(SMALL, nonce=1)
        assert await node.gossip(SMALL) is GossipVerdict.ACCEPT
        assert await node.gossip(SMALL) is GossipVerdict.IGNORE
        assert await node.gossip(SMALL, second) is GossipVerdict.ACCEPT
        assert await node.gossip(replace(SMALL, nonce=2), junk=1) is GossipVerdict.REJECT
        assert await node.gossip(replace(SMALL, gas_limit=100)) is GossipVerdict.REJECT
        assert await node.service.on_gossip("peer", b"junk") is GossipVerdict.REJECT
        assert node.service.counts() == (2, 0)
        await trio.sleep(1)
        assert node.peers.sent == [], "what peers send is forwarded by gossip, not sent again"


async def test_a_batch_with_garbage_is_not_taken_in_part(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        await node.gossip(SMALL, junk=1)
        assert node.service.counts() == (0, 0)


async def test_large_transactions_are_announced_fetched_and_announced_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    large = replace(SMALL, size=20_000)
    async with running() as ours, running() as theirs:
        # Given a large transaction that a user gave to one node
        await ours.send(large)
        await trio.sleep(1)
        assert ours.peers.sent == [GossipedTransactions((), (Hash32(large.hash),))]

        # When another node hears of it, and the first answer is lost
        theirs.engine.known[large.raw] = large
        body = encode_request([large.hash])
        theirs.peers.held[body] = await ours.service.serve("theirs", body)
        theirs.peers.failures_left = 1
        message = encode_gossip([], [large.hash])
        assert await theirs.service.on_gossip("ours", message) is GossipVerdict.IGNORE
        assert await theirs.service.on_gossip("ours", message) is GossipVerdict.IGNORE
        await trio.sleep(2)

        # Then it has it, asked for it no more than needed, and announces it in turn
        assert theirs.service.get(large.hash) is not None
        assert theirs.peers.requests == 2
        assert theirs.peers.sent == [GossipedTransactions((), (Hash32(large.hash),))]


async def test_an_answer_that_was_not_asked_for_is_blamed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        wanted = bytes(32)
        body = encode_request([wanted])
        node.peers.held[body] = encode_answer([node.engine.raw(SMALL)])
        await node.service.on_gossip("liar", encode_gossip([], [wanted]))
        await trio.sleep(2)
        assert node.peers.blamed == [("liar", "transactions_not_asked_for")]


async def test_nobody_makes_us_fetch_without_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        for number in range(100):
            hashes = [bytes([number, index]) + bytes(30) for index in range(16)]
            await node.service.on_gossip("flooder", encode_gossip([], hashes))
        await trio.sleep(60)
        assert node.peers.requests <= 32 * 3


async def test_requests_are_answered_and_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as node:
        transactions = [replace(SMALL, nonce=nonce, size=400_000) for nonce in range(3)]
        for one in transactions:
            await node.send(one)
        asked = encode_request([*(one.hash for one in transactions), bytes(32)])
        answer = decode_answer(await node.service.serve("peer", asked))
        assert answer == (transactions[0].raw, transactions[1].raw)
        with pytest.raises(Rejected):
            await node.service.serve("peer", b"\xff")


async def test_who_sends_what_a_receipt_allows_may_be_a_block_ahead(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a transaction of an account that the next block fills, when a peer gossips it first, then it is here with that block."""
    async with running() as node:
        node.engine.states[b"\x00" * 32] = {SENDER: FakeAccount(balance=0)}
        assert await node.gossip(SMALL) is GossipVerdict.IGNORE
        assert await node.gossip(replace(SMALL, nonce=1), peer="stranger") is GossipVerdict.IGNORE
        assert node.service.counts() == (0, 0)
        await node.service.on_head(block(1, b"\x01" * 32))
        assert node.service.counts() == (1, 0)
        assert node.executable == [SMALL.hash]
        await trio.sleep(1)
        assert node.peers.sent == [GossipedTransactions((SMALL.raw,), ())]


# -- the chain


async def test_a_new_head_removes_promotes_and_returns(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        for nonce in (0, 1, 3):
            await node.send(replace(SMALL, nonce=nonce))
        await node.send(replace(SMALL, sender=OTHER))

        # When a block uses nonces 0 to 2 of one sender
        first = block(1, b"\x01" * 32)
        node.engine.states[b"\x01" * 32] = {SENDER: FakeAccount(nonce=3)}
        await node.service.on_head(first)
        assert node.service.counts() == (2, 0)
        assert node.service.next_nonce(SENDER) == 4

        # And when it is dropped for one without them
        raws = [node.engine.raw(replace(SMALL, nonce=nonce)) for nonce in range(3)]
        node.engine.blocks[first.rlp] = raws
        await node.service.on_head(block(1, b"\x02" * 32), [first])
        assert node.service.counts() == (5, 0)
        assert node.service.next_nonce(SENDER) == 4


async def test_who_sends_while_a_head_is_read_is_read_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        node.worker.delay_s = 1.0
        node.engine.states[b"\x01" * 32] = {SENDER: FakeAccount(nonce=1)}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.service.on_head, block(1, b"\x01" * 32))
            await trio.sleep(0.5)
            assert await node.send(SMALL) is None
            assert await node.send(replace(SMALL, nonce=1)) is None
        assert node.service.get(SMALL.hash) is None
        assert node.service.counts() == (1, 0)
        assert node.service.next_nonce(SENDER) == 2


async def test_a_sender_that_delegates_is_noticed(autojump_clock: trio.testing.MockClock) -> None:
    async with running() as node:
        await node.send(replace(SMALL, nonce=0))
        await node.send(replace(SMALL, nonce=1))
        delegated = FakeAccount(nonce=1, code_hash=b"\x07" * 32)
        node.engine.states[b"\x01" * 32] = {SENDER: delegated}
        await node.service.on_head(block(1, b"\x01" * 32))
        assert await node.send(replace(SMALL, nonce=2)) == (
            "in-flight transaction limit reached for delegated accounts"
        )


async def test_builders_are_offered_and_may_discard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        await node.send(SMALL)
        await node.send(replace(SMALL, nonce=1))
        offered = node.service.select(GWEI).take(gas=1 << 30, size=1 << 20, count=10)
        assert [one.nonce for one in offered] == [0, 1]
        node.service.discard(offered[0].hash)
        assert node.service.counts() == (0, 1)


async def test_what_execution_failed_on_is_taken_from_nobody_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a transaction in quarantine, when its sender or a peer brings it again, then it stays out until others have."""
    async with running() as node:
        await node.send(SMALL)
        node.service.quarantine(SMALL.hash)
        assert node.service.counts() == (0, 0)
        assert await node.send(SMALL) == "execution of this transaction failed on this node"
        assert await node.gossip(SMALL) is GossipVerdict.IGNORE
        assert await node.send(replace(SMALL, max_fee_per_gas=SMALL.max_fee_per_gas + 1)) is None
        for number in range(QUARANTINED_MAX):
            node.service.quarantine(number.to_bytes(32))
        node.service.discard(replace(SMALL, max_fee_per_gas=SMALL.max_fee_per_gas + 1).hash)
        assert await node.send(SMALL) is None


async def test_own_transactions_are_gossiped_again_while_they_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nobody may have listened the first time; what peers sent is not ours to repeat."""
    async with running() as node:
        await node.send(SMALL)
        await node.gossip(replace(SMALL, sender=OTHER))
        await trio.sleep(OFFER_AGAIN_S - 1)
        assert len(node.peers.sent) == 1
        await trio.sleep(OFFER_AGAIN_S / 2)
        assert node.peers.sent == [GossipedTransactions((SMALL.raw,), ())] * 2
        # When it is mined, then it is not offered any more
        mined = block(1, b"\x01" * 32)
        node.engine.states[b"\x01" * 32] = {SENDER: FakeAccount(nonce=1)}
        await node.service.on_head(mined)
        await trio.sleep(10 * OFFER_AGAIN_S)
        assert len(node.peers.sent) == 2
        # But it is when the chain drops that block
        node.engine.blocks[mined.rlp] = [SMALL.raw]
        await node.service.on_head(block(1, b"\x02" * 32), [mined])
        await trio.sleep(2 * OFFER_AGAIN_S)
        assert node.peers.sent[2:] == [GossipedTransactions((SMALL.raw,), ())]


async def test_a_bounded_number_of_own_transactions_is_remembered(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_service, "OWN_MAX", 4)
    monkeypatch.setattr(pool_service, "OFFERED_AGAIN_MAX", 1)
    async with running() as node:
        await node.send(replace(SMALL, nonce=9))
        node.engine.states[b"\x01" * 32] = {OTHER: FakeAccount(nonce=6)}
        for nonce in range(6):
            await node.send(replace(SMALL, sender=OTHER, nonce=nonce))
        await node.service.on_head(block(1, b"\x01" * 32))
        await node.send(replace(SMALL, nonce=8))
        assert len(node.service._own) <= 4
        await trio.sleep(1)
        first = len(node.peers.sent)
        await trio.sleep(2 * OFFER_AGAIN_S)
        again = [one for sent in node.peers.sent[first:] for one in sent.transactions]
        assert again == [replace(SMALL, nonce=9).raw, replace(SMALL, nonce=8).raw]


# -- the journal


async def test_own_transactions_survive_a_restart(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    engine = FakeEngine()
    async with running(tmp_path / "journal", engine) as node:
        await node.send(SMALL)
        await node.send(replace(SMALL, nonce=4))
        await node.gossip(replace(SMALL, sender=OTHER))
    async with running(tmp_path / "journal", engine) as node:
        await trio.sleep(1)
        assert node.service.counts() == (1, 1)
        assert node.executable == [SMALL.hash]
        gossiped = [raw for message in node.peers.sent for raw in message.transactions]
        assert gossiped == [SMALL.raw, replace(SMALL, nonce=4).raw]


async def test_the_journal_forgets_what_was_mined(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    engine = FakeEngine()
    async with running(tmp_path / "journal", engine) as node:
        await node.send(SMALL)
    engine.states[b"\x00" * 32] = {SENDER: FakeAccount(nonce=1)}
    async with running(tmp_path / "journal", engine) as node:
        assert node.service.counts() == (0, 0)
    assert SMALL.raw not in (tmp_path / "journal").read_bytes()
