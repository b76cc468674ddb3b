"""The shell that turns L1 into safe and finalized heads of the L2; the sequencer and every replica run the same.

    L1View.moved -> L1 left the path that was read?  -> records that it dropped are forgotten, the safe head goes back
                 -> L1 blocks not read yet           -> records -> blocks -> matched or executed -> safe head
                 -> L1's final block                 -> finalized head
                 -> read up to L1's head             -> `derived` tells the batcher what the Inbox stands at

One task owns this; long work (decoding, executing) runs in a Worker, a bounded chunk at a time, and what it found is
applied on the loop only if L1 and the L2's chain are still what it began from, else it is done again.
Dropping blocks is work of the loop: a long reset is made in steps, from the head down, and others run between them.
The finalized head never moves back: L1 that asks for it is another L1, and the process stops.
Deliberately absent: what the rules are (node.rollup), gossip, and sealing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.errors import Corruption
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.rollup.batches import BatchDecoder, content_of
from node.rollup.derivation import BlockInput, Origin, blocks_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import InboxTip, follows, origins_hash, tip_after
from node.runtime.worker import Worker
from sequencer.deriving.book import Placed, RecordBook
from sequencer.deriving.executing import DerivationEngine, Outcome, Task, derive_all
from sequencer.deriving.metrics import DerivingMetrics, ResetReason
from sequencer.l1.latest import Latest
from sequencer.l1.places import Found, InboxAt, L1Ref
from sequencer.l1.view import L1View

SCAN_BLOCKS: Final = 1_024
"""L1 blocks whose bloom filters are read at once; about a millisecond."""

CHUNK_BLOCKS: Final = 64
"""L2 blocks that are derived before the loop hears of them: at most half a second of full ones."""

RESET_BLOCKS: Final = 64
"""Unsafe blocks that are dropped without letting others run: full ones hold some 20,000 transactions to bring back."""

ORIGINS_AT_ONCE: Final = 16
"""Origins that are read from disk without letting others run."""

_log = structlog.get_logger()


class DerivedChain(Protocol):
    """What deriving reads and changes of the L2's chain (`sequencer.heads.L2Chain`); all of it on the loop."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    @property
    def safe(self) -> Block:
        """The safe head."""

    @property
    def finalized(self) -> Block:
        """The finalized head."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the head's chain."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a kept block."""

    def append(self, result: BlockResult, origin: L1Ref) -> Block:
        """Put a block on the head."""

    def reset_to(self, number: int) -> Sequence[Block]:
        """Drop every block above a number; gives them from the old head down."""

    def set_safe(self, number: int, record_index: int | None) -> None:
        """Move the safe head; the blocks that it passes lie in this record."""

    def set_finalized(self, number: int) -> None:
        """Move the finalized head forward."""

    async def room(self) -> None:
        """Wait until there is room for more blocks in memory."""


class Deriver:
    """Derives one L2 from one L1."""

    def __init__(
        self,
        *,
        parameters: RollupParameters,
        l1: L1View,
        l2: DerivedChain,
        engine: DerivationEngine,
        decode: BatchDecoder,
        book: RecordBook,
        worker: Worker,
        metrics: DerivingMetrics,
    ) -> None:
        self.derived: Final[Latest[InboxAt | None]] = Latest(None)
        """Where the Inbox stands on L1's head, once everything up to there is derived; None before the first time."""
        self.book: Final = book
        """Records that were derived."""
        self._parameters = parameters
        self._l1 = l1
        self._l2 = l2
        self._engine = engine
        self._decode = decode
        self._worker = worker
        self._metrics = metrics
        self._scanned = L1Ref(number=0, hash=_genesis_hash(l1))
        self._dropped_count = 0
        """Blocks that a reset under way has dropped so far."""

    @property
    def current(self) -> L1Ref:
        """The L1 block up to which records have been derived."""
        return self._scanned

    # -- running

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Follow L1, for ever. Raises Corruption where L1 contradicts what was final."""
        await self._resume()
        task_status.started()
        version = -1
        while True:
            version = await self._l1.moved.past(version)
            while not await self._advance():
                await trio.lowlevel.checkpoint()
            await self._settle()
            await self._worker.run(self.book.save)

    async def _resume(self) -> None:
        """Go back to the last record that L1 and the L2's chain on disk both still have."""
        while self.book.final_count:
            final = self.book.placed(self.book.final_count - 1)
            if self._l1.head.number >= final.block.number:
                break
            _log.info("deriving_waits_for_l1", l1_number=final.block.number)
            await self._l1.moved.past(self._l1.moved.version)
        usable = self._usable_count()
        if usable < self.book.count:
            await self._worker.run(partial(self.book.truncate, usable))
        await self._retreat(usable)
        _log.info(
            "deriving_resumed",
            record_count=self.book.count,
            l1_number=self._scanned.number,
            safe_number=self._l2.safe.header.number,
        )

    def _usable_count(self) -> int:
        """Records from the first on that L1 still holds and whose blocks are here.

        Raises Corruption where L1 does not hold a record that was final; blocks that a crash has lost are derived again.
        """
        count = self.book.count
        while count:
            placed = self.book.placed(count - 1)
            block = self._l2.block_by_number(placed.last_block)
            is_on_l1 = self._l1.is_canonical(placed.block)
            if not is_on_l1 and count <= self.book.final_count:
                raise Corruption(f"record {placed.index} was final and is not on L1")
            if is_on_l1 and block is not None and block.hash == placed.last_hash:
                break
            count -= 1
        return count

    async def _retreat(self, count: int) -> None:
        """Forget all records but so many, and move the safe head back to the last one's end."""
        if count < self.book.count:
            await self._worker.run(partial(self.book.cut, count))
        self._scanned = (
            self.book.placed(count - 1).block
            if count
            else L1Ref(number=0, hash=_genesis_hash(self._l1))
        )
        wanted = max(self.book.tip.next_block - 1, self._l2.finalized.header.number)
        if self._l2.safe.header.number > wanted:
            self._l2.set_safe(wanted, None)
        self._remake_safe(count)
        self._remake_finalized()
        self._show()

    def _remake_safe(self, count: int) -> None:
        """Move a safe head that was saved too early on to where the book says."""
        index = count
        while index and self.book.placed(index - 1).last_block > self._l2.safe.header.number:
            index -= 1
        for one in range(index, count):
            self._l2.set_safe(self.book.placed(one).last_block, one)

    def _remake_finalized(self) -> None:
        """Move a finalized head that was saved too early on to where the book says: the book is written first."""
        final_count = self.book.final_count
        number = self.book.placed(final_count - 1).last_block if final_count else 0
        if number > self._l2.finalized.header.number:
            self._l2.set_finalized(number)

    # -- one step

    async def _advance(self) -> bool:
        """Derive what L1 holds beyond what was read; False if it has to be looked at again."""
        if not self._is_on_l1():
            await self._follow_reorganisation()
            return False
        if not self._drop_unanchored():
            return False
        head = self._l1.head
        last = L1Ref(
            number=min(self._scanned.number + SCAN_BLOCKS, head.number),
            hash=self._l1.canonical_hash(min(self._scanned.number + SCAN_BLOCKS, head.number))
            or head.hash,
        )
        first = min(self._scanned.number + 1, last.number)
        if not await self._derive_all(self._l1.candidates(first, last.number)):
            return False
        if not self._l1.is_canonical(last):
            return False
        self._scanned = last
        self._metrics.l1_number.set(last.number)
        if last != self._l1.head:
            return False
        self.derived.set(InboxAt(block=last, tip=self.book.tip))
        return True

    def _is_on_l1(self) -> bool:
        """Whether L1 still has what was read last, and the last record: it may have moved after that was noted, before the rest was read."""
        count = self.book.count
        return self._l1.is_canonical(self._scanned) and (
            not count or self._l1.is_canonical(self.book.placed(count - 1).block)
        )

    async def _follow_reorganisation(self) -> None:
        """Forget the records that L1 has dropped. Raises Corruption where one of them was final."""
        count = self.book.count
        while count and not self._l1.is_canonical(self.book.placed(count - 1).block):
            count -= 1
        self._metrics.l1_reorgs.inc()
        _log.warning(
            "deriving_went_back",
            records_dropped=self.book.count - count,
            l1_number=self._l1.head.number,
        )
        await self._retreat(count)

    def _drop_unanchored(self) -> bool:
        """Drop unsafe blocks whose L1 origin is not canonical any more; False if there were any, and there may be more.

        Those above what is known of L1 may stay.
        """
        safe, l1_number = self._l2.safe.header.number, self._l1.head.number
        known = _last(
            safe, self._l2.head.header.number, lambda one: self._origin(one).number <= l1_number
        )
        anchored = _last(safe, known, lambda one: self._l1.is_canonical(self._origin(one)))
        if anchored < known:
            self._drop_some(anchored, why=ResetReason.ORIGIN_REORGANISED)
            return False
        self._end_reset(ResetReason.ORIGIN_REORGANISED)
        return True

    def _origin(self, number: int) -> L1Ref:
        block = self._l2.block_by_number(number)
        origin = None if block is None else self._l2.origin_of(block.hash)
        if origin is None:
            raise Corruption(f"L2 block {number} has no origin")
        return L1Ref(number=origin.number, hash=origin.hash)

    # -- records

    async def _derive_all(self, candidates: Sequence[L1Ref]) -> bool:
        """Derive the records of L1 blocks, in order; False if L1 or the L2's chain moved meanwhile."""
        records = chain.from_iterable(map(self._l1.records_of, candidates))
        async with trio.open_nursery() as nursery:
            found = next(records, None)
            while found is not None:
                following = next(records, None)
                if following is not None and self._is_new(following):
                    nursery.start_soon(self._recover, following)
                if not await self._derive(found):
                    return False
                found = following
        return True

    def _is_new(self, found: Found) -> bool:
        """Whether nothing is here of a record's blocks, so that all of them have to be executed."""
        return found.logged.record.first_block > self._l2.head.header.number

    async def _recover(self, found: Found) -> None:
        """Recover the senders of a record's transactions on another core while the one before it is executed."""
        await self._worker.run(partial(self._recover_now, found))

    def _recover_now(self, found: Found) -> None:
        inputs, _ = self._read(found)
        self._engine.decode([raw for one in inputs for raw in one.transactions])

    async def _derive(self, found: Found) -> bool:
        """Make the blocks of a record safe; False if L1 or the L2's chain moved meanwhile."""
        tip, record = self.book.tip, found.logged.record
        if found.logged.index < tip.record_count:
            return True
        if not follows(tip, found.logged):
            raise Corruption(
                f"record {found.logged.index} of L1 block {found.block.number} does not follow "
                f"the {tip.record_count} records before it"
            )
        origins = await self._origins(record.previous_origin, record.origin)
        if not self._l1.is_canonical(found.block):
            return False
        if origins_hash([one.hash for one in origins]) != record.origins_hash:
            raise Corruption(f"record {found.logged.index} names other L1 blocks than L1 has")
        inputs, has_content = await self._worker.run(partial(self._read, found))
        for start in range(0, len(inputs), CHUNK_BLOCKS):
            chunk = inputs[start : start + CHUNK_BLOCKS]
            if not await self._derive_chunk(found, chunk, origins):
                return False
        if not has_content:
            self._metrics.records_without_content.inc()
        await self._place(found, tip_after(tip, found.logged))
        return True

    def _read(self, found: Found) -> tuple[tuple[BlockInput, ...], bool]:
        """What a record says of its blocks, and whether it has content; runs beside the loop."""
        record = found.logged.record
        content = content_of(self._parameters, record, found.logged.batch, self._decode)
        return blocks_of(record, content), content is not None

    async def _origins(self, first: int, last: int) -> list[Origin]:
        """The canonical L1 blocks from one number to another, both included; fewer if L1 went back meanwhile."""
        origins: list[Origin] = []
        for number in range(first, last + 1):
            if number % ORIGINS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            origin = self._l1.origin(number)
            if origin is not None:
                origins.append(origin)
        return origins

    async def _derive_chunk(
        self, found: Found, chunk: Sequence[BlockInput], origins: Sequence[Origin]
    ) -> bool:
        await self._l2.room()
        parent = self._l2.block_by_number(chunk[0].number - 1)
        if parent is None:
            return False
        lowest = origins[0].number
        tasks = [
            Task(
                block_input=one,
                origin=origins[one.origin_number - lowest],
                local=self._l2.block_by_number(one.number),
            )
            for one in chunk
        ]
        work = partial(derive_all, self._engine, self._parameters, parent.header, tasks)
        outcomes = await self._worker.run(work)
        while self._l1.is_canonical(found.block):
            replaced = self._first_replaced(outcomes)
            if replaced is None or self._drop_some(
                replaced - 1, why=ResetReason.DERIVATION_DIFFERS
            ):
                return self._apply(parent, outcomes)
            await trio.lowlevel.checkpoint()
        return False

    def _first_replaced(self, outcomes: Sequence[Outcome]) -> int | None:
        """Number of the first block that is another one here."""
        for outcome in outcomes:
            local = self._l2.block_by_number(outcome.number)
            if local is not None and local.hash != outcome.hash:
                return outcome.number
        return None

    def _apply(self, parent: Block, outcomes: Sequence[Outcome]) -> bool:
        """Put derived blocks into the chain; False if it is not what they were derived on."""
        now = self._l2.block_by_number(parent.header.number)
        if now is None or now.hash != parent.hash:
            return False
        for outcome in outcomes:
            local = self._l2.block_by_number(outcome.number)
            is_here = local is not None and local.hash == outcome.hash
            if is_here:
                self._metrics.count(is_here=True, is_full=outcome.is_full)
                continue
            if local is not None or outcome.result is None:
                return False
            self._metrics.count(is_here=False, is_full=outcome.is_full)
            self._l2.append(outcome.result, _name(outcome.origin))
        return True

    async def _place(self, found: Found, tip: InboxTip) -> None:
        last = self._l2.block_by_number(tip.next_block - 1)
        assert last is not None, "the record's last block was derived just now"
        placed = Placed(
            index=found.logged.index,
            block=found.block,
            log_index=found.log_index,
            first_block=found.logged.record.first_block,
            last_hash=last.hash,
            tip=tip,
        )
        if placed.last_block > self._l2.safe.header.number:
            self._l2.set_safe(placed.last_block, placed.index)
        self._metrics.records.labels(kind=found.logged.record.kind.name.lower()).inc()
        self.book.append(placed)
        self._show()
        if self.book.is_full:
            await self._worker.run(self.book.save)

    # -- heads

    async def _settle(self) -> None:
        """Move the finalized head to the last record of a final L1 block."""
        final = self._l1.finalized.number
        count = self.book.final_count
        while count < self.book.count and self.book.placed(count).block.number <= final:
            count += 1
        if count == self.book.final_count:
            return
        await self._worker.run(partial(self.book.settle, count))
        self._remake_finalized()
        self._show()

    def _drop_some(self, number: int, *, why: ResetReason) -> bool:
        """Drop blocks above a number, as many as one step may; True once there are none. Raises Corruption for final ones.

        Between two steps the chain is whole, only shorter: others may read it, and put blocks on it that go next.
        """
        if number < self._l2.finalized.header.number:
            raise Corruption(f"L1 gives another L2 block {number + 1}, which was final")
        head = self._l2.head.header.number
        if head > number:
            self._dropped_count += len(self._l2.reset_to(max(number, head - RESET_BLOCKS)))
        if self._l2.head.header.number > number:
            return False
        self._end_reset(why)
        return True

    def _end_reset(self, why: ResetReason) -> None:
        """Tell of a reset that was made, or called off by L1, in one or many steps."""
        dropped, self._dropped_count = self._dropped_count, 0
        if dropped:
            self._metrics.resets.labels(reason=why).inc()
            self._metrics.dropped(dropped)
            number = self._l2.head.header.number
            _log.warning("l2_was_reset", to_number=number, blocks_dropped=dropped, reason=why)

    def _show(self) -> None:
        self._metrics.show(
            head=self._l2.head.header.number,
            safe=self._l2.safe.header.number,
            finalized=self._l2.finalized.header.number,
        )


def _genesis_hash(l1: L1View) -> Hash32:
    genesis = l1.canonical_hash(0)
    if genesis is None:
        raise Corruption("L1 has no genesis block")
    return genesis


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Find the last number from `low` to `high` for which something holds that holds for `low`, and never again after it fails."""
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _name(origin: Origin) -> L1Ref:
    return L1Ref(number=origin.number, hash=origin.hash)
