"""Blocks on their way into the chain: one at a time, in order, each with a ticket to wait at.

    offer -> Ticket -> queue -> turned away (known, stale, future, orphan, third of its slot)
                             or judged -> [may be forwarded] -> [waits for its blobs]
                                       -> executed, saved -> taken in -> its orphans follow

Deliberately absent: the rules (node.consensus), the thread's work (node.chain.importing), who is told what.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final, NoReturn

import structlog
import trio

from node.chain import opening
from node.chain.events import BlobsWanted, BlocksWanted
from node.chain.importing import (
    LARGE_BYTES,
    BlobAvailability,
    Executable,
    Imported,
    ImportOutcome,
    ImportReason,
    Judgeable,
    Opened,
    Ticket,
    blobs_of,
    execute_and_save,
    open_bytes,
)
from node.chain.live import LiveChain
from node.chain.waiting import BlobWaitingRoom, FutureQueue, OrphanPool, WaitingBlock
from node.consensus.limits import BLOB_WINDOW_SLOTS
from node.consensus.reasons import Reason
from node.consensus.state_transition import CheckedBlock
from node.errors import MissingState, Rejected
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from node.execution.engine import BlockResult
from node.execution.refused import RefusedBlocks, refused_block

QUEUE_MAX: Final = 256
"""Blocks that may wait for their import: several answers of a range sync, and gossip."""

PROPOSALS_MAX: Final = 2
"""Blocks of one proposer and slot that are imported: the second is evidence, a third proves nothing more."""

FORWARDED_UNEXECUTED_MAX: Final = 2
"""Copies of one block that may fail in execution and were forwarded before: a body can be tampered with, and only execution
compares it with the header. Further copies are executed first."""

FAILURES_MAX: Final = 256
"""Blocks whose failed copies are remembered."""

_log = structlog.get_logger()


class Importer:
    """The way in."""

    def __init__(self, live: LiveChain, blobs: BlobAvailability | None) -> None:
        self._live = live
        self._blobs = blobs
        self._bereft = BlobWaitingRoom()
        if blobs is not None:
            blobs.on_arrival(self._take_complete)
        self._store = live.store
        self._rules = live.store.rules
        self._queue: deque[Ticket] = deque()
        self._tickets: dict[bytes, Ticket] = {}
        self._work_waits = trio.Event()
        self._finality_moved = trio.Event()
        self._orphans = OrphanPool()
        self._futures = FutureQueue()
        self._proposals: dict[tuple[Slot, ValidatorIndex], set[Hash32]] = {}
        self._failures: dict[Hash32, int] = {}
        self.refused: Final = RefusedBlocks()
        """Blocks that execution refused."""

    # -- offering

    async def offer(self, envelope: bytes, *, origin: str, result: BlockResult | None) -> Ticket:
        """Queue a block; the same bytes get the same ticket while they are under way. Raises Rejected."""
        arrived_ms = self._live.clock.now_ms()
        if (ticket := self._tickets.get(envelope)) is not None:
            return ticket
        if len(envelope) > LARGE_BYTES:
            opened = await self._live.worker.run(partial(open_bytes, envelope))
            if (ticket := self._tickets.get(envelope)) is not None:
                return ticket
        else:
            opened = open_bytes(envelope)
        ticket = self._ticket(envelope, opened, origin, result, arrived_ms)
        if len(self._queue) >= QUEUE_MAX:
            self._finish(ticket, ImportOutcome.BUSY)
            return ticket
        self._tickets[envelope] = ticket
        self._queue.append(ticket)
        self._work_waits.set()
        return ticket

    def begin_slot(self, slot: Slot) -> None:
        """Queue the blocks that waited for this slot, and forget what lies below the tree.

        Proposals are counted for as long as another block of their slot could be imported: who is drawn once could
        otherwise make this node execute and save as many as it likes, a few slots later.
        """
        lowest = self._store.fork_choice.lowest_slot
        for old in [key for key in self._proposals if key[0] <= lowest]:
            del self._proposals[old]
        self._orphans.prune(self._finalized_slot())
        self._bereft.prune(self._finalized_slot())
        self._requeue(self._bereft.take_before(slot - BLOB_WINDOW_SLOTS))
        self._requeue(self._futures.take_due(slot))
        self._live.metrics.blobs_awaited_slots.set(self._bereft.longest_wait(slot))

    def missing_parents(self) -> dict[Hash32, str]:
        """Parents that orphans wait for, each with the sender of a block above it."""
        return self._orphans.missing()

    def waits_for_blobs(self, block_hash: Hash32) -> bool:
        """Whether a block is here and its blobs are not: asking for the block again brings nothing."""
        return block_hash in self._bereft

    def wanted_blobs(self) -> dict[Hash32, str]:
        """Blobs that blocks wait for, each with the sender of its block."""
        if self._blobs is None:
            return {}
        wanted = self._bereft.wanted()
        return {one: wanted[one] for one in self._blobs.missing(list(wanted))}

    # -- running

    async def run(self) -> NoReturn:
        """Import what is offered, for ever."""
        while True:
            while not self._queue:
                self._work_waits = trio.Event()
                await self._work_waits.wait()
            ticket = self._queue.popleft()
            await self._import(ticket)
            self._tickets.pop(ticket.envelope, None)

    async def finality_moved(self) -> None:
        """Return when finality has moved the next time."""
        await self._finality_moved.wait()

    async def _import(self, ticket: Ticket) -> None:
        try:
            if (outcome := self._turn_away(ticket)) is not None:
                self._finish(ticket, outcome)
                return
            with self._live.metrics.import_seconds.time():
                checked = await self._judge(ticket)
                if not self._is_wanted(ticket):
                    self._finish(ticket, ImportOutcome.EQUIVOCATION)
                    return
                if not self._store.fork_choice.extends(ticket.parent_hash, self._final_hash()):
                    ticket.hold_back()
                elif self._failures.get(ticket.block_hash, 0) < FORWARDED_UNEXECUTED_MAX:
                    ticket.pass_check()
                hashes = await self._blob_hashes(ticket)
                if self._lacks_blobs(ticket, hashes):
                    self._finish(ticket, ImportOutcome.UNAVAILABLE)
                    return
                imported = await self._execute(ticket, checked)
                if self._blobs is not None:
                    self._blobs.used(hashes, ticket.slot)
                self._live.take_in(imported, ticket.proposed, timely=ticket.is_timely)
                if not ticket.is_held_back:
                    ticket.pass_check()
        except Rejected as error:
            self._refuse(ticket, error)
            if error.reason is ImportReason.EXECUTION:
                await self._keep_refused(ticket)
            return
        step = self._live.finality_step()
        self._finish(ticket, ImportOutcome.IMPORTED)
        self._requeue(self._orphans.take_children(ticket.block_hash))
        if step is not None:
            await self._live.save_step(step)
            self._finality_moved.set()
            self._finality_moved = trio.Event()
        await self._live.note_fault()
        await self._live.note_evidence()

    async def _keep_refused(self, ticket: Ticket) -> None:
        if ticket.block_hash in self.refused:
            return
        work = partial(refused_block, self._live.engine, ticket.block)
        found = await self._live.worker.run(work)
        if found is not None:
            self.refused.put(found)

    def _turn_away(self, ticket: Ticket) -> ImportOutcome | None:
        """What becomes of a block that is not to be judged now; None for one that is. Raises Rejected."""
        if self._is_known(ticket.block_hash):
            return ImportOutcome.KNOWN
        if ticket.slot > self._live.latest_slot():
            if ticket.slot <= self._live.slot() + 1:
                self._futures.add(_waiting(ticket))
            return ImportOutcome.FUTURE
        if ticket.parent_hash in self._store.fork_choice:
            return None
        if ticket.slot <= self._finalized_slot():
            return ImportOutcome.STALE
        if self._is_known(ticket.parent_hash):
            raise Rejected(
                ImportReason.CONFLICTS_WITH_FINALIZED,
                f"its parent 0x{ticket.parent_hash.hex()} lies below the finalized block",
            )
        self._orphans.add(_waiting(ticket))
        self._live.events.send(BlocksWanted(roots=(ticket.parent_hash,)))
        return ImportOutcome.ORPHAN

    async def _judge(self, ticket: Ticket) -> CheckedBlock:
        fork_choice = self._store.fork_choice
        judgeable = Judgeable(
            rules=self._rules,
            parent=fork_choice.state(ticket.parent_hash),
            proposed=ticket.proposed,
            block_at=fork_choice.ancestry(ticket.parent_hash),
            verify=self._live.verify,
        )
        checked, seconds = await self._live.worker.run(judgeable.judge)
        self._live.metrics.check_seconds.observe(seconds)
        return checked

    async def _execute(self, ticket: Ticket, checked: CheckedBlock) -> Imported:
        executable = Executable(
            rules=self._rules,
            checked=checked,
            envelope=ticket.envelope,
            block=ticket.block,
            parent_header=self._store.block(ticket.parent_hash).header.encode(),
            ancestors=self._store.chain_from(ticket.parent_hash),
            result=ticket.result,
            verify=self._live.verify,
        )
        engine, database = self._live.engine, self._store.database
        work = partial(execute_and_save, engine, database, executable)
        try:
            imported = await self._live.worker.run(work)
        except MissingState:
            restore = partial(opening.restore_state, engine, database, ticket.parent_hash)
            await self._live.worker.run(restore)
            imported = await self._live.worker.run(work)
        if ticket.result is None:
            self._live.metrics.execute_seconds.observe(imported.execute_seconds)
        self._live.metrics.save_seconds.observe(imported.save_seconds)
        return imported

    async def _blob_hashes(self, ticket: Ticket) -> tuple[Hash32, ...]:
        """Versioned hashes of a block's blobs. Raises Rejected."""
        header = ticket.proposed.header
        if self._blobs is None or not header.blob_gas_used:
            return ()
        return await self._live.worker.run(
            partial(blobs_of, self._live.engine, header, ticket.block)
        )

    def _lacks_blobs(self, ticket: Ticket, hashes: tuple[Hash32, ...]) -> bool:
        """Whether a block has to wait for blobs; it is then neither head nor voted for, nor is anything above it."""
        if self._blobs is None or ticket.slot < self._live.slot() - BLOB_WINDOW_SLOTS:
            return False
        missing = self._blobs.missing(hashes)
        if not missing:
            return False
        is_news = ticket.block_hash not in self._bereft
        self._bereft.add(_waiting(ticket), hashes, now=self._live.slot())
        self._live.events.send(BlobsWanted(block_hash=ticket.block_hash))
        if is_news:
            _log.warning(
                "block_waits_for_blobs",
                slot=ticket.slot,
                block=ticket.block_hash,
                missing=len(missing),
                peer=ticket.origin,
            )
        return True

    def _take_complete(self) -> None:
        """Import the blocks whose last blob has come."""
        if self._blobs is not None and len(self._bereft):
            self._requeue(self._bereft.take_complete(self._blobs.missing))

    def _is_wanted(self, ticket: Ticket) -> bool:
        """Count a proposal whose signature holds; False for a third of its proposer and slot."""
        key = (ticket.slot, ticket.proposed.payload.proposer_index)
        known = self._proposals.setdefault(key, set())
        if ticket.block_hash in known:
            return True
        if len(known) >= PROPOSALS_MAX and ticket.block_hash not in self.missing_parents():
            return False
        known.add(ticket.block_hash)
        return True

    def _is_known(self, block_hash: Hash32) -> bool:
        return block_hash in self._store.tree or self._store.cache.get(block_hash) is not None

    def _finalized_slot(self) -> Slot:
        return self._store.fork_choice.slot(self._final_hash())

    def _final_hash(self) -> Hash32:
        return self._store.fork_choice.finalized.block_hash

    def _requeue(self, waiting: list[WaitingBlock]) -> None:
        """Put blocks that waited before everything else."""
        now_ms = self._live.clock.now_ms()
        for one in reversed(waiting):
            opened = open_bytes(one.envelope)
            ticket = self._ticket(one.envelope, opened, one.origin, None, now_ms)
            self._tickets.setdefault(one.envelope, ticket)
            self._queue.appendleft(ticket)
            self._work_waits.set()

    def _ticket(
        self,
        envelope: bytes,
        opened: Opened,
        origin: str,
        result: BlockResult | None,
        arrived_ms: int,
    ) -> Ticket:
        timestamp = opened.proposed.header.timestamp
        slot = self._rules.slot_at(timestamp)
        if slot is None:
            raise Rejected(Reason.TIMESTAMP, f"{timestamp} starts no slot")
        due = self._rules.parameters.vote_due_permille / 1_000
        return Ticket(
            envelope=envelope,
            proposed=opened.proposed,
            block=opened.block,
            slot=slot,
            origin=origin,
            is_timely=arrived_ms < self._live.clock.start_ms(slot, due),
            result=result,
        )

    def _finish(self, ticket: Ticket, outcome: ImportOutcome) -> None:
        self._live.metrics.imports.labels(outcome=str(outcome)).inc()
        if outcome is ImportOutcome.IMPORTED:
            header = ticket.proposed.header
            _log.info(
                "block_imported",
                number=header.number,
                slot=ticket.slot,
                block=ticket.block_hash,
                gas_used=header.gas_used,
                peer=ticket.origin,
            )
        ticket.finish(outcome)

    def _refuse(self, ticket: Ticket, error: Rejected) -> None:
        if error.reason is ImportReason.EXECUTION:
            self._failures[ticket.block_hash] = self._failures.get(ticket.block_hash, 0) + 1
            if len(self._failures) > FAILURES_MAX:
                del self._failures[next(iter(self._failures))]
        self._live.metrics.imports.labels(outcome="refused").inc()
        self._live.metrics.rejected.labels(reason=str(error.reason)).inc()
        self._orphans.drop(ticket.block_hash)
        _log.warning(
            "block_refused",
            slot=ticket.slot,
            block=ticket.block_hash,
            peer=ticket.origin,
            reason=str(error),
        )
        ticket.refuse(error)


def _waiting(ticket: Ticket) -> WaitingBlock:
    return WaitingBlock(
        block_hash=ticket.block_hash,
        parent_hash=ticket.parent_hash,
        slot=ticket.slot,
        envelope=ticket.envelope,
        origin=ticket.origin,
    )
