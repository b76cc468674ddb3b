"""The one owner of the mutable chain.

    envelope -> offer -> Ticket -> Importer -> judged -> [may be forwarded] -> executed, saved -> fork choice -> head -> events
    votes    -> on_votes -> Ballots -> signatures -> fork choice (they count at FREEZE) -> evidence
    clock    -> a slot begins: blocks that waited for it, head      FREEZE: votes count, head

Blocks are imported one at a time, in order; a slow one holds up neither votes nor look-ups, because judging, executing
and saving run in a Worker and the chain changes on the loop, between two awaits, in one piece.
Look-ups are short and synchronous: whoever reads on the loop sees one moment of the chain.
Deliberately absent: peers and what to tell them (node.sync), keys and duties (node.validator).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

import structlog
import trio

from node.chain import building, opening
from node.chain.ballots import Ballots
from node.chain.building import BuildInputs
from node.chain.events import EVENTS_MAX, Subscription
from node.chain.importer import Importer
from node.chain.importing import BlobAvailability, ChainEngine, ImportOutcome, Ticket
from node.chain.judging import Judgement
from node.chain.live import LiveChain
from node.chain.metrics import ChainMetrics
from node.consensus.containers import Checkpoint, Evidence, Vote, VoteData
from node.consensus.fork_choice import Limits
from node.consensus.genesis import Genesis
from node.consensus.parameters import Rules
from node.consensus.signing import SignatureVerifier
from node.consensus.state import ConsensusState
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from node.execution.engine import BlockResult
from node.execution.refused import RefusedBlock
from node.runtime.clock import SlotClock
from node.runtime.worker import Worker
from node.storage.chain_database import ChainDatabase, Conflict

PRUNE_EVERY_BLOCKS: Final = 256
"""Old states of accounts are dropped once in so many final blocks."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainOptions:
    """What a user may decide."""

    history_blocks: int = 4_096
    """States of accounts are kept for so many blocks below finality; 0 keeps all."""
    retained_slots: int = 1_024
    """Branches are followed that leave ours so far below finality: longer than the leak needs to split a network."""


async def open_chain(
    *,
    genesis: Genesis,
    engine: ChainEngine,
    database: ChainDatabase,
    verify: SignatureVerifier,
    worker: Worker,
    clock: SlotClock,
    metrics: ChainMetrics,
    options: ChainOptions | None = None,
    blobs: BlobAvailability | None = None,
) -> Chain:
    """Create the chain of a new folder, or load it as the last process left it.

    Without `blobs` no block waits for any: a node that does not vote may do without them.
    Raises UnusableFolder (another network or layout), Corruption.
    """
    options = options if options is not None else ChainOptions()
    store = await worker.run(
        partial(
            opening.open_store,
            genesis=genesis,
            engine=engine,
            database=database,
            now=max(Slot(0), clock.current_slot()),
            limits=Limits(retained_slots=options.retained_slots),
        )
    )
    live = LiveChain(
        store=store, engine=engine, verify=verify, worker=worker, clock=clock, metrics=metrics
    )
    step = live.finality_step()
    if step is not None:
        await live.save_step(step)
    if blobs is not None:
        for slot, hashes in await worker.run(partial(opening.blobs_above_finality, store, engine)):
            blobs.used(hashes, slot)
    chain = Chain(live, options, blobs)
    _log.info(
        "chain_opened",
        head=chain.head.hash,
        number=chain.head.header.number,
        finalized_number=chain.finalized.header.number,
    )
    return chain


class Chain:
    """The chain of one node. `run` must be running for imports to end."""

    def __init__(
        self, live: LiveChain, options: ChainOptions, blobs: BlobAvailability | None = None
    ) -> None:
        self.rules: Final[Rules] = live.store.rules
        """Parameters and identity of this chain."""
        self.clock: Final[SlotClock] = live.clock
        """Its slots."""
        self._live = live
        self._store = live.store
        self._options = options
        self._importer = Importer(live, blobs)
        self._ballots = Ballots(live)
        self._pruned_number = live.store.finalized.header.number
        self._next_header: tuple[Hash32, Slot, Header] | None = None

    # -- where the chain stands

    @property
    def genesis(self) -> Block:
        """The first block."""
        return self._store.genesis

    @property
    def head(self) -> Block:
        """What the fork choice answered last."""
        return self._store.head

    @property
    def head_slot(self) -> Slot:
        """Slot of the head."""
        return self._store.fork_choice.slot(self._store.head.hash)

    @property
    def safe(self) -> Block:
        """The justified block of the head's state."""
        return self._live.safe

    @property
    def finalized(self) -> Block:
        """The finalized block; never moves back."""
        return self._store.finalized

    @property
    def justified_checkpoint(self) -> Checkpoint:
        """The highest justified checkpoint of any imported block."""
        return self._store.fork_choice.justified

    @property
    def finalized_checkpoint(self) -> Checkpoint:
        """The highest finalized checkpoint."""
        return self._store.fork_choice.finalized

    @property
    def confirmed(self) -> Block:
        """The deepest block that two thirds of the weight support by their latest votes; it can be reorged."""
        return self._store.block(self._store.fork_choice.confirmed(self._live.slot()))

    @property
    def participation(self) -> float:
        """Share of the weight whose vote was heard by the last FREEZE."""
        return self._ballots.participation

    @property
    def safety_fault(self) -> str | None:
        """Which conflicting checkpoints were seen; None while the chain is sound. Validators stop signing."""
        conflict = self._store.conflict
        return None if conflict is None else str(conflict)

    @property
    def conflict(self) -> Conflict | None:
        """The same as checkpoints."""
        return self._store.conflict

    @property
    def lowest_number(self) -> int:
        """Number of the lowest block on which another branch may stand."""
        return self._store.tree.root_number

    # -- blocks

    @property
    def refused_blocks(self) -> Sequence[RefusedBlock]:
        """Blocks that execution has refused since the start, the highest first."""
        return self._importer.refused.highest_first()

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""
        return self._store.cache.get(block_hash)

    def block_by_number(self, number: int) -> Block | None:
        """A canonical block."""
        block_hash = self._store.canonical_hash(number)
        return None if block_hash is None else self._store.block(block_hash)

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""
        return self._store.canonical_hash(number)

    def has_block(self, block_hash: Hash32) -> bool:
        """Whether a block is imported; cheap for blocks above finality."""
        store = self._store
        return block_hash in store.tree or store.cache.get(block_hash) is not None

    def envelope(self, block_hash: Hash32) -> bytes | None:
        """A kept block as it was gossiped."""
        return self._store.database.load_envelope(block_hash)

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The canonical block that holds a transaction, and its index there."""
        return self._store.transaction_block(transaction_hash)

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether a block lies on the head's chain."""
        return self._store.is_canonical(block_hash)

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""
        entry = self._store.tree.entry(block_hash)
        if entry is not None:
            return self._store.chain_from(entry.parent_hash)
        block = self._store.cache.get(block_hash)
        return b"" if block is None else self._store.chain_from(block.header.parent_hash)

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks from one number to another, both included."""
        return list(self._store.blooms(first, last))

    def consensus_state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block, if it is kept."""
        return self._store.state(block_hash)

    # -- following

    def subscribe(self, capacity: int = EVENTS_MAX) -> Subscription:
        """Receive every event from now on; use it in a `with` statement."""
        return self._live.events.subscribe(capacity)

    @property
    def wanted(self) -> dict[Hash32, str]:
        """Blocks that something refers to and that are not here, each with the peer that mentioned it."""
        missing = self._importer.missing_parents() | self._ballots.missing_heads()
        return {
            root: origin
            for root, origin in missing.items()
            if root not in self._store.tree and not self._importer.waits_for_blobs(root)
        }

    @property
    def wanted_blobs(self) -> dict[Hash32, str]:
        """Blobs that blocks wait for and that are not here, each with the peer that sent its block."""
        return self._importer.wanted_blobs()

    @property
    def evidence(self) -> Sequence[Evidence]:
        """Every proof of an offence that this node has seen, one for each validator."""
        return tuple(self._store.fork_choice.evidence.values())

    # -- duties

    def vote_data(self, slot: Slot, index: ValidatorIndex) -> VoteData | None:
        """What a validator votes for now; None while it is not registered on the head's chain."""
        return self._store.fork_choice.vote_data(slot, index)

    def prepare(self, slot: Slot) -> BuildInputs | None:
        """Count all votes heard, move the head, and say what a block on it holds; None if it is not older."""
        self._store.fork_choice.freeze()
        self._live.move_head(slot)
        return building.prepare(self._store, slot)

    def next_header(self) -> Header:
        """The header of an empty block of the next slot on the head: the environment of what is sent now."""
        slot = max(Slot(self.head_slot + 1), self.clock.current_slot())
        cached = self._next_header
        if cached is None or cached[:2] != (self.head.hash, slot):
            header = building.next_header(self._store, self._live.engine, slot)
            cached = self._next_header = (self.head.hash, slot, header)
        return cached[2]

    # -- coming in

    async def import_envelope(self, envelope: bytes, *, origin: str) -> ImportOutcome:
        """Import a block and wait for the outcome. Raises Rejected for what breaks a rule."""
        ticket = await self.offer(envelope, origin=origin)
        return await ticket.done()

    async def import_own(self, envelope: bytes, result: BlockResult) -> ImportOutcome:
        """Import a block that was built and signed here, without executing it again."""
        ticket = await self._importer.offer(envelope, origin="", result=result)
        return await ticket.done()

    async def offer(self, envelope: bytes, *, origin: str) -> Ticket:
        """Queue a block; the ticket tells when it may be forwarded and what became of it.

        Raises Rejected for bytes that are no block of this chain.
        """
        return await self._importer.offer(envelope, origin=origin, result=None)

    async def on_votes(self, votes: Sequence[Vote], *, origin: str) -> list[Judgement]:
        """Judge votes one by one and take in those that hold; the result is in their order."""
        return await self._ballots.on_votes(votes, origin=origin)

    async def on_evidence(self, piece: Evidence) -> Judgement:
        """Judge a proof of an offence and take it in if it is the first against its validator."""
        return await self._ballots.on_evidence(piece)

    # -- running

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Import what is offered and follow the clock, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._importer.run)
            nursery.start_soon(self._follow_slots)
            nursery.start_soon(self._prune_states)
            task_status.started()
        raise AssertionError("the chain's tasks never end")

    async def _follow_slots(self) -> NoReturn:
        await self.clock.sleep_until_slot(0)
        while True:
            slot = self.clock.current_slot()
            self._live.metrics.slot.set(slot)
            self._live.metrics.epoch.set(self.rules.epoch_of(slot))
            self._ballots.begin_slot(slot)
            self._importer.begin_slot(slot)
            self._live.move_head(slot)
            await self.clock.sleep_until_slot(slot, self.rules.parameters.freeze_permille / 1_000)
            self._ballots.freeze(slot)
            self._live.move_head(slot)
            await self.clock.sleep_until_slot(slot + 1)

    async def _prune_states(self) -> NoReturn:
        """Drop states of accounts that are older than the history kept, now and then."""
        while True:
            await self._importer.finality_moved()
            history = self.finalized.header.number - self._options.history_blocks
            # A block may be offered on anything in the tree: executing it must not begin at genesis.
            oldest = min(history, self.lowest_number)
            due = self._pruned_number + PRUNE_EVERY_BLOCKS
            if not self._options.history_blocks or self.finalized.header.number < due:
                continue
            self._pruned_number = self.finalized.header.number
            if oldest <= 0:
                continue
            kept = [self._store.genesis.header.state_root]
            freed = await self._live.worker.run(partial(self._live.engine.prune, kept, oldest))
            _log.info("states_pruned", from_number=oldest, freed_bytes=freed)
