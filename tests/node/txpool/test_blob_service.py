"""Blob transactions in a node's pool: users, hostile peers, restarts, reorganisations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from node.blobs.files import MemoryFiles
from node.blobs.keeper import BlobKeeper
from node.blobs.turns import KeeperBusy
from node.eth import rlp
from node.eth.blobs import Blob, decode_network_form, encode_network_form
from node.eth.primitives import Hash32
from node.runtime.worker import InlineWorker
from node.txpool.service import OFFER_AGAIN_S, PoolService
from node.txpool.sidecars import NETWORK_FORM_BYTES_MAX
from node.txpool.surroundings import GossipVerdict
from node.txpool.wire import decode_answer, encode_answer, encode_gossip, encode_request
from tests.node.blobs.test_keeper import Checker, blob
from tests.node.txpool.fakes import GWEI, OTHER, SENDER, FakeTransaction
from tests.node.txpool.test_service import FakeAccount, FakeEngine, FakePeers, VirtualClock, block

BLOBS = [blob(1), blob(2)]

CARRIER = FakeTransaction(
    kind=3,
    blob_hashes=[one.versioned_hash for one in BLOBS],
    max_fee_per_blob_gas=GWEI,
)


@dataclass(slots=True)
class Node:
    """A pool service over a keeper whose checker says yes."""

    service: PoolService
    engine: FakeEngine
    peers: FakePeers
    checker: Checker
    keeper: BlobKeeper
    withheld: list[bool]

    async def send(self, raw: bytes) -> str | None:
        return (await self.service.submit(raw)).refusal

    def form(self, transaction: FakeTransaction, blobs: list[Blob]) -> bytes:
        return encode_network_form(self.engine.raw(transaction), blobs)

    async def announced(self, transaction: FakeTransaction, answer: list[bytes]) -> None:
        """A peer announces a transaction, and answers like this when asked for it."""
        self.engine.raw(transaction)
        self.peers.held[encode_request([transaction.hash])] = encode_answer(answer)
        await self.service.on_gossip("peer", encode_gossip([], [transaction.hash]))
        await trio.sleep(5)


@asynccontextmanager
async def running(
    journal: Path | None = None,
    engine: FakeEngine | None = None,
    files: MemoryFiles | None = None,
) -> AsyncIterator[Node]:
    engine, peers, checker = engine or FakeEngine(), FakePeers(), Checker()
    keeper = BlobKeeper(
        files=files or MemoryFiles(),
        checker=checker,
        worker=InlineWorker(),
        slot=lambda: 100,
        registry=CollectorRegistry(),
    )
    withheld: list[bool] = []
    service = PoolService(
        engine=engine,
        head=block(0, b"\x00" * 32),
        worker=InlineWorker(),
        network=peers.network(),
        clock=VirtualClock(),
        registry=CollectorRegistry(),
        journal_path=journal,
        blobs=keeper,
        withholds_blobs=lambda: bool(withheld),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        yield Node(service, engine, peers, checker, keeper, withheld)
        nursery.cancel_scope.cancel()


async def test_a_users_blobs_are_kept_and_announced(autojump_clock: trio.testing.MockClock) -> None:
    """Given a network form from a wallet, then the pool has the transaction, the keeper the blobs, and peers a hash."""
    async with running() as node:
        assert await node.send(node.form(CARRIER, BLOBS)) is None
        await trio.sleep(1)
        assert node.service.counts() == (1, 0)
        found = node.service.get(CARRIER.hash)
        assert found is not None
        assert found.raw == CARRIER.raw
        assert await node.keeper.load(found.blob_hashes) == tuple(BLOBS)
        [sent] = node.peers.sent
        assert (sent.transactions, sent.announced) == ((), (CARRIER.hash,))
        answer = decode_answer(await node.service.serve("peer", encode_request([CARRIER.hash])))
        assert answer == (node.form(CARRIER, BLOBS),)


async def test_what_a_wallet_sends_wrong_has_geths_words(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        raw = node.engine.raw(CARRIER)
        assert await node.send(raw) == "missing sidecar in blob transaction"
        assert await node.send(b"\x03" + bytes(NETWORK_FORM_BYTES_MAX)) == (
            "oversized data: transaction size 1048577, limit 1048576"
        )
        assert await node.send(node.form(CARRIER, BLOBS[:1])) == (
            "invalid number of 1 blob commitments compared to 2 blob hashes"
        )
        node.checker.wrong.add(BLOBS[1].commitment)
        assert await node.send(node.form(CARRIER, BLOBS)) == (
            "KZG verification error: invalid cell proofs"
        )
        assert len(node.keeper) == 0
        assert node.service.counts() == (0, 0)


async def test_blobs_are_not_checked_for_a_transaction_that_is_refused_anyway(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        late = replace(CARRIER, nonce=3)
        assert (
            await node.send(node.form(late, BLOBS)) == "nonce too high: tx nonce 3, gapped nonce 0"
        )
        assert node.checker.calls == []


async def test_an_older_form_is_taken_from_users_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given one proof for a whole blob, then a user's is brought up to date, as geth does, and a peer's is its fault."""
    async with running() as node:
        one = BLOBS[0]
        transaction = replace(CARRIER, blob_hashes=[one.versioned_hash])
        modern = decode_network_form(node.form(transaction, [one]))
        assert modern is not None
        older = _older(node.engine.raw(transaction), one)
        await node.announced(transaction, [older])
        assert node.peers.blamed
        assert node.service.counts() == (0, 0)
        assert await node.send(older) is None
        assert node.service.counts() == (1, 0)


def _older(raw: bytes, one: Blob) -> bytes:
    return raw[:1] + rlp.encode_list(
        [raw[1:], rlp.encode([one.data]), rlp.encode([one.commitment]), rlp.encode([b"\x09" * 48])]
    )


async def test_announced_blobs_are_fetched_and_announced_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        await node.announced(CARRIER, [node.form(CARRIER, BLOBS)])
        assert node.service.counts() == (1, 0)
        assert [one.announced for one in node.peers.sent] == [(CARRIER.hash,)]
        assert node.peers.blamed == []


async def test_blobs_that_there_was_no_time_to_check_are_fetched_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as node:
        add = node.keeper.add
        calls: list[int] = []

        async def busy_once(blobs: Sequence[Blob], *, own: bool) -> bool:
            calls.append(len(blobs))
            if len(calls) == 1:
                raise KeeperBusy
            return await add(blobs, own=own)

        monkeypatch.setattr(node.keeper, "add", busy_once)
        await node.announced(CARRIER, [node.form(CARRIER, BLOBS)])
        assert calls == [2, 2]
        assert node.service.counts() == (1, 0)
        assert node.peers.blamed == []


async def test_hostile_answers_are_blamed_and_leave_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given peers that send blobs that are wrong, too few, too many, absent, or of another transaction, then each is blamed."""
    other = replace(CARRIER, salt=1)
    async with running() as node:
        wrong_commitment = [replace(BLOBS[0], commitment=b"\x07" * 48), BLOBS[1]]
        answers = [
            [node.form(CARRIER, wrong_commitment)],
            [node.form(CARRIER, BLOBS[:1])],
            [node.form(CARRIER, [*BLOBS, *BLOBS, *BLOBS, BLOBS[0]])],
            [node.engine.raw(CARRIER)],
            [node.form(other, BLOBS)],
            [node.form(CARRIER, BLOBS) + b"\x00"],
            [b"\x03" + bytes(900_000)],
        ]
        for number, answer in enumerate(answers):
            await node.announced(CARRIER, answer)
            assert len(node.peers.blamed) == number + 1, number
        assert node.service.get(CARRIER.hash) is None
        unproven = replace(CARRIER, sender=OTHER, blob_hashes=[blob(3).versioned_hash])
        node.checker.wrong.add(blob(3).commitment)
        await node.announced(unproven, [node.form(unproven, [blob(3)])])
        assert len(node.peers.blamed) == len(answers) + 1
        assert node.service.get(unproven.hash) is None


async def test_a_wrong_proof_is_the_last_that_is_checked_of_an_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given an answer whose first transaction has wrong blobs, then the rest of it costs no check, and its sender is blamed."""
    transactions = [
        replace(CARRIER, sender=bytes([number]) * 20, blob_hashes=[blob(number).versioned_hash])
        for number in (3, 4, 5)
    ]
    async with running() as node:
        node.checker.wrong.add(blob(3).commitment)
        forms = [
            node.form(one, [blob(number)])
            for one, number in zip(transactions, (3, 4, 5), strict=True)
        ]
        hashes = [one.hash for one in transactions]
        node.peers.held[encode_request(hashes)] = encode_answer(forms)
        await node.service.on_gossip("peer", encode_gossip([], hashes))
        await trio.sleep(5)
        assert node.checker.calls == [1]
        assert len(node.peers.blamed) == 1
        assert node.service.counts() == (0, 0)


async def test_a_blob_transaction_in_gossip_is_no_honest_nodes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        raw = node.engine.raw(CARRIER)
        verdict = await node.service.on_gossip("peer", encode_gossip([raw], []))
        assert verdict is GossipVerdict.REJECT


async def test_a_restart_finds_blobs_and_transaction(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Given a user's blob transaction, when the process starts again, then it waits as before; without its blobs it is gone."""
    engine, files = FakeEngine(), MemoryFiles()
    journal = tmp_path / "journal"
    async with running(journal, engine, files) as node:
        assert await node.send(node.form(CARRIER, BLOBS)) is None
    async with running(journal, engine, files) as node:
        assert node.service.counts() == (1, 0)
        assert node.checker.calls == []
        await trio.sleep(1)
        assert [one.announced for one in node.peers.sent] == [(CARRIER.hash,)]
    async with running(journal, engine, MemoryFiles()) as node:
        assert node.service.counts() == (0, 0)


async def test_a_reorganised_transaction_comes_back_without_its_sidecar(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running() as node:
        await node.keeper.add(BLOBS, own=True)
        dropped = block(1, b"\x01" * 32)
        node.engine.blocks[dropped.rlp] = [node.engine.raw(CARRIER)]
        await node.service.on_head(block(1, b"\x02" * 32), [dropped])
        assert node.service.get(CARRIER.hash) is not None


async def test_blobs_without_room_in_an_answer_are_not_read(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a request for more than an answer holds, then only what fits is read from disk."""
    carriers = [
        replace(
            CARRIER,
            sender=bytes([number + 1]) * 20,
            blob_hashes=[blob(number).versioned_hash] * 5,
        )
        for number in range(4)
    ]
    async with running() as node:
        for number, carrier in enumerate(carriers):
            assert await node.send(node.form(carrier, [blob(number)] * 5)) is None
        read: list[int] = []
        load = node.keeper.load

        async def counted(hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
            read.append(len(hashes))
            return await load(hashes)

        monkeypatch.setattr(node.keeper, "load", counted)
        wanted = encode_request([one.hash for one in carriers])
        [answer] = decode_answer(await node.service.serve("peer", wanted))
        assert answer == node.form(carriers[0], [blob(0)] * 5)
        assert read == [5]


async def test_withheld_blobs_leave_nobody_wiser_until_healed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a node that keeps blobs back, then it announces and serves none; healed, it offers them within 30 s."""
    async with running() as node:
        node.withheld.append(True)
        assert await node.send(node.form(CARRIER, BLOBS)) is None
        await trio.sleep(2 * OFFER_AGAIN_S)
        assert node.peers.sent == []
        assert decode_answer(await node.service.serve("p", encode_request([CARRIER.hash]))) == ()
        node.withheld.clear()
        await trio.sleep(OFFER_AGAIN_S + 1)
        assert [one.announced for one in node.peers.sent] == [(CARRIER.hash,)]


async def test_a_blob_transaction_that_came_before_the_block_it_follows_is_fetched_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a sender whose last transaction's block is not here yet, then its next one is in the pool with that block, not half a minute later."""
    async with running() as node:
        node.engine.states[b"\x01" * 32] = {SENDER: FakeAccount(nonce=1)}
        following = replace(CARRIER, nonce=1)
        await node.announced(following, [node.form(following, BLOBS)])
        assert node.service.counts() == (0, 0)
        assert node.checker.calls == []
        await node.service.on_head(block(1, b"\x01" * 32))
        await trio.sleep(1)
        assert node.service.counts() == (1, 0)


async def test_a_sender_of_the_other_sort_is_free_with_the_next_block(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a mined transfer whose block is not here yet, then its sender's blobs, refused for it, are in the pool with that block."""
    async with running() as node:
        transfer = FakeTransaction()
        assert await node.send(node.engine.raw(transfer)) is None
        following = replace(CARRIER, nonce=1)
        await node.announced(following, [node.form(following, BLOBS)])
        assert node.service.counts() == (1, 0)
        node.engine.states[b"\x01" * 32] = {SENDER: FakeAccount(nonce=1)}
        await node.service.on_head(block(1, b"\x01" * 32))
        await trio.sleep(1)
        assert node.service.counts() == (1, 0)
        assert node.service.get(following.hash) is not None
