"""The chain together with those who watch it: every change of head, finality or soundness goes through here.

    importer, ballots, slot clock -> LiveChain -> ChainStore; events, metrics, log

Deliberately absent: what brings the changes about.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from node.chain.cache import BlockRun
from node.chain.events import (
    BlockImported,
    Events,
    EvidenceFound,
    Finalized,
    HeadChanged,
    SafetyFaultSeen,
)
from node.chain.importing import ChainEngine, Imported
from node.chain.metrics import ChainMetrics
from node.chain.store import ChainStore, Settled
from node.consensus import slashing
from node.consensus.containers import Evidence, encode_evidence
from node.consensus.signing import RememberedSignatures, SignatureVerifier, SignedMessage
from node.consensus.state_transition import Proposed
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32, Slot
from node.runtime.clock import SlotClock
from node.runtime.worker import Worker
from node.storage.chain_database import ChainDatabase, NewFinality, TreeEntry

INLINE_SIGNATURES_MAX: Final = 16
"""Signatures verified on the loop; more, at 40 microseconds each, go to a worker."""

_log = structlog.get_logger()


class LiveChain:
    """A chain that tells what happens to it."""

    def __init__(
        self,
        *,
        store: ChainStore,
        engine: ChainEngine,
        verify: SignatureVerifier,
        worker: Worker,
        clock: SlotClock,
        metrics: ChainMetrics,
    ) -> None:
        self.store: Final = store
        """The chain."""
        self.engine: Final = engine
        """Execution."""
        self.verify: Final = RememberedSignatures(verify)
        """The one verifier; it remembers what held."""
        self.worker: Final = worker
        """Where long work runs."""
        self.clock: Final = clock
        """Slots."""
        self.metrics: Final = metrics
        """What is counted."""
        self.events: Final = Events()
        """Who follows."""
        self.safe = store.justified_block()
        """The justified block of the head's state."""
        self._known_evidence = dict(store.fork_choice.evidence)
        self._told_conflict = store.conflict
        self.show()

    # -- time

    def slot(self) -> Slot:
        """The current slot; 0 before genesis."""
        return max(Slot(0), self.clock.current_slot())

    def latest_slot(self) -> Slot:
        """The slot that a peer's clock may honestly have reached."""
        rules = self.store.rules
        disparity_ms = round(1_000 * rules.parameters.clock_disparity_seconds)
        ahead_ms = self.clock.now_ms() + disparity_ms - self.clock.genesis_time_ms
        return Slot(max(0, ahead_ms // self.clock.slot_duration_ms))

    # -- signatures

    async def verify_all(self, messages: Sequence[SignedMessage]) -> list[bool]:
        """Verify in one call, in place if there are few."""
        if len(messages) <= INLINE_SIGNATURES_MAX:
            return self.verify(messages)
        return await self.worker.run(partial(self.verify, messages))

    # -- changes

    def take_in(self, imported: Imported, proposed: Proposed, *, timely: bool) -> None:
        """Put a block into the tree, move the head, tell everybody."""
        now = max(self.slot(), imported.entry.slot)
        self.store.take_in(imported, proposed, now, timely=timely)
        self.events.send(BlockImported(block=imported.block, slot=imported.entry.slot))
        self.move_head(now)

    async def note_fault(self) -> None:
        """Save and tell that finality was contradicted, once."""
        conflict = self.store.conflict
        if conflict is None or self._told_conflict is not None:
            return
        self._told_conflict = conflict
        self.metrics.safety_faults.inc()
        _log.error("safety_fault_seen", conflict=str(conflict))
        self.events.send(SafetyFaultSeen(conflict=conflict))
        await self.worker.run(partial(self.store.database.save_conflict, conflict))

    def move_head(self, slot: Slot) -> None:
        """Ask the fork choice; if the head moves, tell everybody."""
        old = self.store.head
        move = self.store.move_head(slot)
        if move is None:
            return
        self.safe = self.store.justified_block()
        added = BlockRun(move.added, self.store.cache)
        dropped = BlockRun(move.dropped, self.store.cache)
        if move.dropped:
            self.metrics.reorgs.inc()
            self.metrics.reorg_depth_blocks.observe(len(dropped))
            _log.warning(
                "chain_reorganised",
                depth_blocks=len(dropped),
                old_head=old.hash,
                head=self.store.head.hash,
                number=self.store.head.header.number,
            )
        self.show()
        self.events.send(HeadChanged(head=self.store.head, added=added, dropped=dropped))

    def finality_step(self) -> Settled | None:
        """See whether finality moved, and tell everybody; the caller saves what is given."""
        step = self.store.settle()
        if step is None:
            return None
        finalized = self.store.finalized
        _log.info(
            "block_finalized",
            number=finalized.header.number,
            epoch=step.checkpoint.epoch,
            block=finalized.hash,
        )
        self.show()
        self.events.send(Finalized(block=finalized, checkpoint=step.checkpoint))
        return step

    async def save_step(self, step: Settled) -> None:
        """Write a step of finality to disk."""
        work = partial(save_settled, self.engine, self.store.database, step)
        await self.worker.run(work)
        self.store.settled(step)

    def knows_offence(self, piece: Evidence) -> bool:
        """Whether a proof adds nothing: contradicting votes are worth a second one, for they discount a validator's votes."""
        known = self._known_evidence.get(slashing.accused(piece))
        if known is None:
            return False
        return slashing.is_about_votes(known) or not slashing.is_about_votes(piece)

    async def note_evidence(self) -> None:
        """Save and tell the proofs that the fork choice has found since this was called last."""
        found = self.store.fork_choice.evidence
        fresh = {index: piece for index, piece in found.items() if not self.knows_offence(piece)}
        self._known_evidence.update(fresh)
        for index, piece in fresh.items():
            self.metrics.evidence.inc()
            _log.warning("offence_found", validator=index, kind=type(piece).__name__)
            self.events.send(EvidenceFound(evidence=piece))
        if fresh:
            work = partial(_save_evidence, self.store.database, tuple(fresh.values()))
            await self.worker.run(work)

    def show(self) -> None:
        """Set the gauges."""
        store, metrics = self.store, self.metrics
        metrics.head_number.set(store.head.header.number)
        metrics.head_slot.set(store.fork_choice.slot(store.head.hash))
        metrics.safe_number.set(self.safe.header.number)
        metrics.finalized_number.set(store.finalized.header.number)
        metrics.justified_epoch.set(store.fork_choice.justified.epoch)
        metrics.finalized_epoch.set(store.fork_choice.finalized.epoch)


def save_settled(engine: ChainEngine, database: ChainDatabase, step: Settled) -> None:
    """Write a step of finality: rows of what is final, and away with forks and old states."""
    database.save_finality(
        NewFinality(
            checkpoint=step.checkpoint,
            canonical=step.canonical,
            dropped=[(entry, _transaction_hashes(engine, database, entry)) for entry in step.forks],
            forgotten=step.forgotten,
        )
    )


def _transaction_hashes(
    engine: ChainEngine, database: ChainDatabase, entry: TreeEntry
) -> list[Hash32]:
    block = database.load_block(entry.block_hash)
    return [] if block is None else [keccak256(raw) for raw in engine.raw_transactions(block.rlp)]


def _save_evidence(database: ChainDatabase, pieces: Sequence[Evidence]) -> None:
    for piece in pieces:
        database.save_evidence(slashing.accused(piece), encode_evidence(piece))
