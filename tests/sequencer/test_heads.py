"""The L2's chain: look-ups over memory and disk, heads, resets, and what a killed process leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from node.contracts.addresses import L1_BLOCK
from node.contracts.artifacts import load
from node.errors import Corruption
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.derivation import Origin
from node.runtime.worker import Answer
from sequencer import heads, unsaved, window
from sequencer.events import FinalizedChanged, HeadChanged, SafeChanged
from sequencer.heads import ChainOptions
from sequencer.journal import segments
from tests.kit.building import genesis_document
from tests.kit.rollup import GENESIS_TIME
from tests.sequencer import chains
from tests.sequencer.chains import GENESIS_ORIGIN, Folder, Hand, assert_holds, origin_at

SAVED_S = 2 * heads.SAVE_EVERY_S
"""After so long everything is in the tables."""


async def test_a_new_chain_is_its_genesis_block(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        genesis = chain.head
        assert genesis.header.number == 0
        assert chain.safe == chain.finalized == genesis
        assert_holds(chain, site.engine, [genesis])
        assert chain.head_origin == GENESIS_ORIGIN
        assert chain.batch_of(0) is None
        assert chain.safety_fault is None


async def test_blocks_are_found_in_memory_and_on_disk(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a window of two blocks, what fell out of it is read from the tables."""
    monkeypatch.setattr(window, "BLOCKS_MAX", 2)
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append(number % 3) for number in range(9)]
        assert_holds(chain, site.engine, blocks)
        await trio.sleep(SAVED_S)
        assert_holds(chain, site.engine, blocks)
        assert len(site.disk.tables["l2_blocks"]) == 10
    async with site.open() as chain:
        assert_holds(chain, site.engine, blocks)


async def test_unknown_blocks_and_transactions_are_none(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with Folder(tmp_path).open() as chain:
        nothing = Hash32(b"\x99" * 32)
        assert chain.block_by_hash(nothing) is None
        assert chain.transaction_block(nothing) is None
        assert chain.origin_of(nothing) is None
        assert chain.ancestors(nothing) == b""
        assert not chain.is_canonical(nothing)


async def test_a_hash_that_only_begins_like_a_transaction_s_is_unknown(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given blocks in memory and on disk, whose index has half of each hash, the whole hash decides."""
    monkeypatch.setattr(window, "BLOCKS_MAX", 2)
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append(2) for _ in range(5)]
        await trio.sleep(SAVED_S)
        hashes = [keccak256(raw) for one in blocks for raw in hand.engine.raw_transactions(one.rlp)]
        assert len(hashes) == 10
        for one in hashes:
            assert chain.transaction_block(one) is not None
            assert chain.transaction_block(Hash32(one[:16] + bytes(16))) is None
            assert chain.transaction_block(Hash32(one[:31] + bytes([one[31] ^ 1]))) is None


async def test_an_index_beyond_its_block_is_damage(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        block = Hand(site.engine, chain).append(1)
        await trio.sleep(SAVED_S)
    (key,) = site.disk.tables["l2_transactions"]
    site.disk.tables["l2_transactions"][key] = (1).to_bytes(8) + (1).to_bytes(4)
    async with site.open() as chain:
        assert site.engine is not None
        (raw,) = site.engine.raw_transactions(block.rlp)
        with pytest.raises(Corruption, match="L2 block 1 has no transaction 1"):
            chain.transaction_block(keccak256(raw))


async def test_the_next_header_follows_the_head_and_the_clock(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        block = Hand(site.engine, chain).append()
        await trio.sleep(30)
        header = chain.next_header()
        assert (header.number, header.parent_hash) == (2, block.hash)
        assert header.timestamp == block.header.timestamp + 30
        assert (header.gas_used, header.logs_bloom) == (0, bytes(256))
        assert header.base_fee_per_gas == block.header.base_fee_per_gas


async def test_the_next_header_s_time_stands_still_with_l1(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an origin older than the drift allows, time goes no further than a block's could."""
    genesis = json.loads(genesis_document())
    genesis["alloc"]["0x" + L1_BLOCK.hex()]["code"] = "0x" + load("L1Block").code().hex()
    monkeypatch.setattr(chains, "genesis_document", lambda: json.dumps(genesis).encode())
    site = Folder(tmp_path)
    async with site.open(options=ChainOptions(max_drift_seconds=100)) as chain:
        hand = Hand(site.engine, chain)
        await trio.sleep(5_000)
        assert chain.next_header().timestamp == GENESIS_TIME + 100
        # When a block has an origin that is younger, the clock runs again
        origin = Origin(
            number=BlockNumber(1),
            hash=Hash32(b"\x01" * 32),
            header=replace(chain.head.header, number=1, timestamp=GENESIS_TIME + 4_950),
            requests=(),
        )
        block = hand.advance(origin)
        assert chain.next_header().timestamp == block.header.timestamp + 50
        await trio.sleep(5_000)
        assert chain.next_header().timestamp == GENESIS_TIME + 5_050
        # And a reset takes the origin back
        chain.reset_to(0)
        assert chain.next_header().timestamp == GENESIS_TIME + 100


async def test_a_block_that_stands_elsewhere_is_not_taken(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        stale = hand.seal(1)
        hand.append(2)
        with pytest.raises(AssertionError, match="stands elsewhere"):
            chain.append(stale, origin_at(1))


async def test_a_reset_drops_blocks_and_says_so(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    told: list[tuple[int, list[int]]] = []
    async with site.open() as chain:
        chain.on_reset(
            lambda dropped: told.append(
                (chain.head.header.number, [block.header.number for block in dropped])
            )
        )
        hand = Hand(site.engine, chain)
        old = [chain.head] + [hand.append(2) for _ in range(3)]
        await trio.sleep(SAVED_S)
        old += [hand.append(1) for _ in range(2)]
        with chain.subscribe() as events:
            dropped = chain.reset_to(2)
            assert list(dropped) == old[:2:-1]
            assert events.receive_nowait() == HeadChanged(head=old[2], added=(), dropped=dropped)
        # Told while the blocks were still there.
        assert told == [(5, [5, 4, 3])]
        assert_holds(chain, site.engine, old[:3])
        for gone in old[3:]:
            assert chain.block_by_hash(gone.hash) is None
            for raw in hand.engine.raw_transactions(gone.rlp):
                assert chain.transaction_block(keccak256(raw)) is None
        new = old[:3] + [hand.append(1, salt=9) for _ in range(2)]
        assert_holds(chain, site.engine, new)
        await trio.sleep(SAVED_S)
        assert_holds(chain, site.engine, new)
        assert len(site.disk.tables["l2_blocks"]) == len(new)
        assert len(site.disk.tables["l2_hashes"]) == len(new)
        assert len(site.disk.tables["l2_transactions"]) == 2 * 2 + 2 * 1
        assert chain.reset_to(4) == ()
    async with site.open() as chain:
        assert_holds(chain, site.engine, new)


class Slow:
    """A worker in which something happens once before the work of a save is done, and once after it."""

    def __init__(self) -> None:
        self.before: Callable[[], object] | None = None
        self.after: Callable[[], object] | None = None

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run it in place, with an interruption on either side."""
        await trio.lowlevel.checkpoint()
        is_save = isinstance(work, partial) and work.func.__name__ == "save"
        if is_save and self.before is not None:
            self.before()
            self.before = None
        answer = work()
        if is_save and self.after is not None:
            self.after()
            self.after = None
        return answer


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_reset_while_blocks_are_saved_is_saved_next(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, *, is_after: bool, goes_on: bool
) -> None:
    """Given a batch on its way that holds blocks which are dropped meanwhile, no row of theirs is believed, and none stays."""
    site, slow = Folder(tmp_path), Slow()
    async with site.open(worker=slow) as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append(2) for _ in range(5)]

        def interrupt() -> None:
            chain.reset_to(2)
            del blocks[3:]
            if goes_on:
                blocks.append(hand.append(1, salt=5))

        if is_after:
            slow.after = interrupt
        else:
            slow.before = interrupt
        await trio.sleep(heads.SAVE_EVERY_S + 0.01)
        assert_holds(chain, site.engine, blocks)
        await trio.sleep(SAVED_S)
        assert_holds(chain, site.engine, blocks)
        assert len(site.disk.tables["l2_blocks"]) == len(blocks)
        assert len(site.disk.tables["l2_transactions"]) == 4 + goes_on
        site.kill()
    async with site.open() as chain:
        assert_holds(chain, site.engine, blocks)


async def test_safe_and_finalized_heads_move_and_records_are_found(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append() for _ in range(9)]
        with chain.subscribe() as events:
            chain.set_safe(3, 0)
            chain.set_finalized(3)
            assert events.receive_nowait() == SafeChanged(block=blocks[3])
            assert events.receive_nowait() == FinalizedChanged(block=blocks[3])
        await trio.sleep(SAVED_S)
        chain.set_safe(5, 1)
        chain.set_safe(8, 2)
        expected = [None, 0, 0, 0, 1, 1, 2, 2, 2, None]
        assert [chain.batch_of(number) for number in range(10)] == expected
        await trio.sleep(SAVED_S)
        assert [chain.batch_of(number) for number in range(10)] == expected
        chain.set_safe(5, 1)
        assert [chain.batch_of(number) for number in range(10)] == [*expected[:6], *[None] * 4]
        chain.set_safe(9, 7)
        expected = [*expected[:6], 7, 7, 7, 7]
        assert [chain.batch_of(number) for number in range(10)] == expected
    async with site.open() as chain:
        assert (chain.safe, chain.finalized) == (blocks[9], blocks[3])
        assert [chain.batch_of(number) for number in range(10)] == expected
        chain.reset_to(4)
        assert chain.safe == blocks[4]
        with pytest.raises(AssertionError):
            chain.reset_to(2)


async def test_a_subscriber_that_does_not_keep_up_lapses(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        with chain.subscribe(capacity=2) as slow, chain.subscribe() as quick:
            for _ in range(4):
                hand.append(0)
            assert slow.lapsed
            assert not quick.lapsed
            assert [event async for event in slow][-1] is not None
            with pytest.raises(trio.EndOfChannel):
                await slow.receive()


async def test_states_older_than_the_history_are_pruned(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "PRUNE_EVERY_BLOCKS", 4)
    site = Folder(tmp_path)
    async with site.open(options=ChainOptions(history_blocks=3)) as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append() for _ in range(12)]
        chain.set_safe(11, 0)
        chain.set_finalized(10)
        await trio.sleep(SAVED_S)
        kept = [hand.engine.has_state(block.header.state_root) for block in blocks]
        assert kept == [True] + [False] * 6 + [True] * 6


async def test_states_that_a_game_claims_are_kept_until_it_is_forgotten(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "PRUNE_EVERY_BLOCKS", 4)
    site = Folder(tmp_path)
    async with site.open(options=ChainOptions(history_blocks=3)) as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append() for _ in range(12)]
        # Given claims of an old block, of a newer one, and of blocks that are not there
        chain.claimed = lambda: [2, 5, 11, 99, -1]
        chain.set_safe(11, 0)
        chain.set_finalized(10)
        await trio.sleep(SAVED_S)
        assert _kept(hand, blocks) == [0, 2, 5, 7, 8, 9, 10, 11, 12]
        # When one of them is claimed no more, and one that is gone is
        blocks += [hand.append() for _ in range(8)]
        chain.claimed = lambda: [3, 5]
        chain.set_safe(18, 1)
        chain.set_finalized(18)
        await trio.sleep(SAVED_S)
        assert _kept(hand, blocks) == [0, 5, *range(15, 21)]


async def test_states_on_which_a_claim_can_be_disproved_are_kept_however_old(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "PRUNE_EVERY_BLOCKS", 4)
    site = Folder(tmp_path)
    async with site.open(options=ChainOptions(history_blocks=3)) as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append() for _ in range(12)]
        # Given a claim that starts after block 4
        chain.disputable_from = lambda: 4
        chain.set_safe(11, 0)
        chain.set_finalized(10)
        await trio.sleep(SAVED_S)
        assert _kept(hand, blocks) == [0, *range(4, 13)]
        # When the oldest one starts later, and then it is not known which does
        blocks += [hand.append() for _ in range(8)]
        chain.disputable_from = lambda: 9
        chain.set_safe(18, 1)
        chain.set_finalized(18)
        await trio.sleep(SAVED_S)
        assert _kept(hand, blocks) == [0, *range(9, 21)]
        blocks += [hand.append() for _ in range(8)]
        chain.disputable_from = lambda: 0
        chain.set_safe(26, 2)
        chain.set_finalized(26)
        await trio.sleep(SAVED_S)
        assert _kept(hand, blocks) == [0, *range(9, 29)]


def _kept(hand: Hand, blocks: list[Block]) -> list[int]:
    """Numbers of the blocks whose states can be read."""
    states = [block.header.state_root for block in blocks]
    return [number for number, root in enumerate(states) if hand.engine.has_state(root)]


async def test_producers_wait_for_the_disk(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsaved, "UNSAVED_BLOCKS_MAX", 3)
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        for _ in range(3):
            await chain.room()
            hand.append(0)
        began = trio.current_time()
        await chain.room()
        assert trio.current_time() == began + heads.SAVE_EVERY_S


async def test_the_journal_stays_short(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "JOURNAL_BYTES_MAX", 4_000)
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        for _ in range(30):
            hand.append(2)
            await trio.sleep(SAVED_S)
        await trio.sleep(SAVED_S)
        folder = site.path / "journal"
        assert len(segments(folder)) <= 2
        assert sum(file.stat().st_size for file in folder.iterdir()) < 3 * 4_000
