"""The one owner of the L2's chain in a process, a sequencer's or a replica's.

    building, deriving, following -> append -> journal (before anybody is told) -> window -> events
                 deriving -> reset_to -> journal -> dropped blocks -> on_reset, events
                 deriving -> set_safe, set_finalized -> events
    run -> journal synced (50 ms) | a moment of the chain saved (250 ms) | old states pruned

One chain without forks: a block stands on the head or is not taken. Everything that changes it runs on the loop without
awaiting, so whoever looks there sees one moment; saving runs in a Worker from a snapshot.
What `append` has returned for can be read with its receipts by every later process: from the tables, or by executing
the journal's blocks again.
Deliberately absent: who makes blocks, what L1 says, and peers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import structlog
import trio

from node.contracts.addresses import L1_BLOCK
from node.errors import Corruption
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.rollup.derivation import timestamp_of
from node.runtime.clock import WallClock
from node.runtime.worker import Worker
from sequencer.events import (
    EVENTS_MAX,
    Events,
    FinalizedChanged,
    HeadChanged,
    SafeChanged,
    Subscription,
)
from sequencer.l1.places import L1Ref
from sequencer.opening import ChainEngine, Opened, doomed, kept_of, open_store
from sequencer.store import Kept, L2Store, Tables
from sequencer.unsaved import Unsaved
from sequencer.window import Window

SYNC_EVERY_S: Final = 0.03
"""A power loss may take what was written in so long, and in the time of one sync."""

SAVE_EVERY_S: Final = 0.25
"""How long a block waits to be saved in the tables."""

SAVE_BLOCKS: Final = 1_024
"""So many blocks are saved at once without waiting; a commit costs milliseconds, so a burst shares few."""

JOURNAL_BYTES_MAX: Final = 16 << 20
"""A longer segment of the journal is ended once the tables hold what is in it."""

PRUNE_EVERY_BLOCKS: Final = 1_024
"""Old states are dropped once in so many final blocks."""

LOADED_MAX: Final = 128
"""Old blocks that stay in memory after they were read."""

ANCESTORS_MAX: Final = 256
"""Hashes that `ancestors` gives."""

_NUMBER_AND_TIMESTAMP: Final = bytes(32)
"""Slot of L1Block: the origin's number in the lowest 8 bytes, its timestamp in the 8 above."""

_log = structlog.get_logger()

ResetCallback = Callable[[Sequence[Block]], None]
"""Told of blocks that are about to be dropped, from the head down: whoever wants them back writes them down first. Must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """What a user or a network may decide."""

    history_blocks: int = 16_384
    """States are kept for so many blocks below the finalized head; 0 keeps all."""
    max_drift_seconds: int = 600
    """How far a block's timestamp may lie above its origin's; the rollup says it."""


async def open_l2_chain(
    *,
    engine: ChainEngine,
    tables: Tables,
    folder: Path,
    genesis_origin: L1Ref,
    worker: Worker,
    wall: WallClock,
    options: ChainOptions | None = None,
) -> L2Chain:
    """Create the chain of a new folder, or load it as the last process left it.

    `folder` takes the journal; `genesis_origin` is L1's genesis block. The tables stay the caller's to close.
    Raises UnusableFolder (another network or layout), Corruption, OSError.
    """
    store = L2Store(tables, folder=str(folder))
    opened = await worker.run(partial(open_store, engine, store, folder, genesis_origin))
    heads = opened.heads
    _log.info(
        "l2_chain_opened",
        number=heads.head,
        safe_number=heads.safe,
        finalized_number=heads.finalized,
        replayed=opened.replayed,
    )
    return L2Chain(opened, engine=engine, worker=worker, wall=wall, options=options)


class L2Chain:
    """The chain of one process; also what JSON-RPC reads (`node.rpc.backend.Chain`). `run` must be running."""

    def __init__(
        self,
        opened: Opened,
        *,
        engine: ChainEngine,
        worker: Worker,
        wall: WallClock,
        options: ChainOptions | None = None,
    ) -> None:
        self._store = opened.store
        self._journal = opened.journal
        self._engine = engine
        self._worker = worker
        self._wall = wall
        self._options = options if options is not None else ChainOptions()
        heads = opened.heads
        self._unsaved = Unsaved(heads)
        self._window = Window()
        self._loaded: OrderedDict[int, Kept] = OrderedDict()
        self._events = Events()
        self._on_reset: list[ResetCallback] = []
        self._head = self._must(heads.head)
        self._safe = self._must(heads.safe).block
        self._finalized = self._must(heads.finalized).block
        self._pruned_number = heads.finalized
        self._work = trio.Event()
        self._written = trio.Event()
        self._many = trio.Event()
        self._finality_moved = trio.Event()
        self._room = trio.Event()
        self._journal_lock = trio.Lock()
        self._next_header: tuple[Hash32, int, Header] | None = None
        self._origin_time: tuple[L1Ref, int] | None = None
        self._ancestors: tuple[Hash32, bytes] = (Hash32(b""), b"")
        self.claimed: Callable[[], Sequence[int]] = tuple
        """Tells which blocks' states are kept however old they are: withdrawals are proven on those that L1's games claim."""
        self.disputable_from: Callable[[], int | None] = lambda: None
        """Tells from which block on every state is kept, however old: whoever disproves a claim executes a block after that."""

    # -- where the chain stands

    @property
    def head(self) -> Block:
        """The unsafe head: JSON-RPC's `latest`."""
        return self._head.block

    @property
    def head_origin(self) -> L1Ref:
        """The L1 origin of the head."""
        return self._head.origin

    @property
    def safe(self) -> Block:
        """The last block derived from L1."""
        return self._safe

    @property
    def finalized(self) -> Block:
        """The last block derived from finalized L1; never moves back."""
        return self._finalized

    @property
    def safety_fault(self) -> str | None:
        """Nothing: an L2 has no votes that could contradict each other."""
        return None

    # -- blocks

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """A block of the chain."""
        number = self._number_of(block_hash)
        return None if number is None else self._must(number).block

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""
        return self._must(number).block if 0 <= number <= self._number else None

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the block of a number."""
        return self._hash(number) if 0 <= number <= self._number else None

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The block that holds a transaction, and its index there."""
        place = self._window.place_of(transaction_hash)
        if place is not None:
            return place[0].block, place[1]
        found = self._store.transaction_place(transaction_hash)
        if found is None or found[0] > self._unsaved.saved_to:
            return None
        number, index = found
        block = self._must(number).block
        raws = self._engine.raw_transactions(block.rlp)
        if index >= len(raws):
            raise Corruption(f"L2 block {number} has no transaction {index}")
        # The table knows half of the hash.
        return (block, index) if keccak256(raws[index]) == transaction_hash else None

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether a block is one of the chain's."""
        return self._number_of(block_hash) is not None

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""
        if self._ancestors[0] != block_hash:
            number = self._number_of(block_hash)
            if number is None:
                return b""
            lowest = max(0, number - ANCESTORS_MAX)
            hashes = [self._hash(one) for one in range(number - 1, lowest - 1, -1)]
            self._ancestors = (block_hash, b"".join(hashes))
        return self._ancestors[1]

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of the blocks from one number to another, both included."""
        last = min(last, self._number)
        saved = self._store.rows(first, min(last, self._unsaved.saved_to))
        found = [(row.hash, row.bloom) for row in saved]
        for number in range(max(first, self._unsaved.saved_to + 1), last + 1):
            block = self._must(number).block
            found.append((block.hash, block.header.logs_bloom))
        return found

    def next_header(self) -> Header:
        """The header of an empty next block, as far as it can be known: the environment of what is sent now."""
        head = self.head
        timestamp = timestamp_of(
            self._wall.now_ms() // 1_000,
            head.header.timestamp,
            self._time_of_origin(),
            self._options.max_drift_seconds,
        )
        cached = self._next_header
        if cached is None or cached[:2] != (head.hash, timestamp):
            header = replace(
                head.header, parent_hash=head.hash, number=head.header.number + 1, gas_used=0,
                logs_bloom=bytes(256), timestamp=timestamp,
            )  # fmt: skip
            cached = self._next_header = (head.hash, timestamp, header)
        return cached[2]

    def _time_of_origin(self) -> int:
        """Timestamp of the head's L1 origin, as the state has it; genesis has L1's."""
        origin = self.head_origin
        if self._origin_time is None or self._origin_time[0] != origin:
            root = self.head.header.state_root
            word = self._engine.storage(root, L1_BLOCK, _NUMBER_AND_TIMESTAMP)
            timestamp = int.from_bytes(word[16:24]) or self._must(0).block.header.timestamp
            self._origin_time = (origin, timestamp)
        return self._origin_time[1]

    # -- what only the L2 has

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a block of the chain."""
        number = self._number_of(block_hash)
        if number is None:
            return None
        kept = self._window.get(number) or self._loaded.get(number)
        if kept is not None:
            return kept.origin
        row = self._store.row(number)
        return None if row is None else row.origin

    def batch_of(self, number: int) -> int | None:
        """Index of the Inbox record that holds a block; None for one that is not safe, and for genesis."""
        if not 0 < number <= self._safe.header.number:
            return None
        found = self._unsaved.record_of(number)
        return self._store.record_of(number) if found is None else found

    # -- changing; on the loop

    def append(self, result: BlockResult, origin: L1Ref) -> Block:
        """Put a block on the head, journaled when this returns; its state must be committed. Raises OSError."""
        kept = kept_of(result, origin)
        assert kept.block.header.parent_hash == self.head.hash, "a block that stands elsewhere"
        self._journal.append_block(kept.block.rlp, origin)
        self._window.add(kept)
        self._head = kept
        self._unsaved.add(kept, self._journal.position)
        self._window.trim(self._unsaved.saved_to)
        if self._unsaved.blocks_count >= SAVE_BLOCKS:
            self._many.set()
        self._changed()
        self._events.send(HeadChanged(head=kept.block, added=(kept.block,), dropped=()))
        return kept.block

    def reset_to(self, number: int) -> Sequence[Block]:
        """Drop every block above a number, journaled when this returns; gives them from the old head down.

        A safe head above it comes back with it. Raises OSError.
        """
        assert self._finalized.header.number <= number <= self._number, "no block to go back to"
        if number == self._number:
            return ()
        dropped = self._run(number + 1, self._number)
        blocks = tuple(kept.block for kept in reversed(dropped))
        for callback in self._on_reset:
            callback(blocks)
        if self._safe.header.number > number:
            self.set_safe(number, None)
        self._journal.append_reset(number)
        written = [one for one in dropped if one.block.header.number <= self._unsaved.written_to]
        rows = [doomed(self._engine, one) for one in written]
        self._unsaved.reset(number, rows, self._journal.position)
        self._head = self._must(number)
        self._window.drop_above(number)
        for gone in [one for one in self._loaded if one > number]:
            del self._loaded[gone]
        self._changed()
        self._events.send(HeadChanged(head=self.head, added=(), dropped=blocks))
        return blocks

    def set_safe(self, number: int, record_index: int | None) -> None:
        """Move the safe head; blocks that it passes lie in this record, and those above it in none."""
        assert self._finalized.header.number <= number <= self._number, "a safe head off the chain"
        old = self._safe.header.number
        self._safe = self._must(number).block
        self._unsaved.set_safe(number, record_index)
        self._changed()
        if number != old:
            self._events.send(SafeChanged(block=self._safe))

    def set_finalized(self, number: int) -> None:
        """Move the finalized head forward."""
        old = self._finalized.header.number
        assert old <= number <= self._safe.header.number, "finality moves forward, below safe"
        self._finalized = self._must(number).block
        self._unsaved.set_finalized(number)
        self._changed()
        self._finality_moved.set()
        if number != old:
            self._events.send(FinalizedChanged(block=self._finalized))

    # -- following

    def subscribe(self, capacity: int = EVENTS_MAX) -> Subscription:
        """Receive every event from now on; use it in a `with` statement."""
        return self._events.subscribe(capacity)

    def on_reset(self, callback: ResetCallback) -> None:
        """Tell of blocks before they are dropped; events come too late for whoever must not lose them."""
        self._on_reset.append(callback)

    async def room(self) -> None:
        """Wait until there is room for more blocks in memory: what the disk cannot take must not pile up."""
        while not self._unsaved.has_room:
            await self._room.wait()

    # -- running

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Sync, save and prune until cancelled; what is left is saved then. Raises OSError, StorageError."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_synced)
                nursery.start_soon(self._keep_saved)
                nursery.start_soon(self._prune_states)
                task_status.started()
        finally:
            self._save_rest()
        raise AssertionError("the chain's tasks never end")

    async def _keep_synced(self) -> NoReturn:
        while True:
            await self._written.wait()
            await trio.sleep(SYNC_EVERY_S)
            self._written = trio.Event()
            await self._sync()

    async def _keep_saved(self) -> NoReturn:
        while True:
            await self._work.wait()
            with trio.move_on_after(SAVE_EVERY_S):
                await self._many.wait()
            self._work, self._many = trio.Event(), trio.Event()
            await self._save()

    async def _sync(self) -> None:
        async with self._journal_lock:
            if not self._journal.is_synced:
                await self._worker.run(self._journal.sync)

    async def _save(self) -> None:
        """Save a moment of the chain; the journal first, so that the tables are never ahead of it."""
        batch = self._unsaved.batch()
        await self._sync()
        await self._worker.run(partial(self._store.save, batch))
        self._unsaved.saved(batch)
        self._window.trim(self._unsaved.saved_to)
        room, self._room = self._room, trio.Event()
        room.set()
        async with self._journal_lock:
            if self._journal.position.offset > JOURNAL_BYTES_MAX:
                self._journal.rotate()
            self._journal.forget(batch.heads.position)

    def _save_rest(self) -> None:
        batch = self._unsaved.batch()
        self._store.save(batch)
        self._unsaved.saved(batch)
        self._journal.close()

    async def _prune_states(self) -> NoReturn:
        """Drop states that are older than the history kept, now and then."""
        while True:
            await self._finality_moved.wait()
            self._finality_moved = trio.Event()
            number = self._finalized.header.number
            oldest = number - self._options.history_blocks
            disputable = self.disputable_from()
            if disputable is not None:
                oldest = min(oldest, disputable)
            if (
                number < self._pruned_number + PRUNE_EVERY_BLOCKS
                or not self._options.history_blocks
            ):
                continue
            self._pruned_number = number
            if oldest <= 0:
                continue
            claimed = {0, *(one for one in self.claimed() if 0 < one < oldest)}
            roots = [self._must(one).block.header.state_root for one in sorted(claimed)]
            kept = [root for root in roots if self._engine.has_state(root)]
            freed = await self._worker.run(partial(self._engine.prune, kept, oldest))
            _log.info("l2_states_pruned", from_number=oldest, freed_bytes=freed)

    # -- inside

    @property
    def _number(self) -> int:
        return self._head.block.header.number

    def _changed(self) -> None:
        self._work.set()
        self._written.set()

    def _must(self, number: int) -> Kept:
        """The block of a number that the chain has. Raises Corruption where it is gone."""
        kept = self._window.get(number) or self._loaded.get(number)
        if kept is None:
            kept = self._store.load(number)
            if kept is None:
                raise Corruption(f"L2 block {number} is missing from the tables")
            self._loaded[number] = kept
            if len(self._loaded) > LOADED_MAX:
                self._loaded.popitem(last=False)
        return kept

    def _hash(self, number: int) -> Hash32:
        kept = self._window.get(number) or self._loaded.get(number)
        if kept is not None:
            return kept.block.hash
        row = self._store.row(number)
        if row is None:
            raise Corruption(f"L2 block {number} is missing from the tables")
        return row.hash

    def _number_of(self, block_hash: Hash32) -> int | None:
        number = self._window.number_of(block_hash)
        if number is not None:
            return number
        number = self._store.number_of(block_hash)
        if number is None or number > self._unsaved.saved_to:
            return None
        return number

    def _run(self, first: int, last: int) -> list[Kept]:
        """Blocks from one number to another, both included."""
        saved_to = self._unsaved.saved_to
        old = [number for number in range(first, last + 1) if self._window.get(number) is None]
        assert not old or old[-1] <= saved_to, "a block that is nowhere"
        found = self._store.load_many(old[0], old[-1]) if old else []
        return found + [self._must(number) for number in range(first + len(old), last + 1)]
