"""One block's way in: tickets, and the part of an import that runs beside the loop.

    envelope -> open_ticket -> (chain: known? future? orphan?) -> check -> [verdict for gossip]
             -> execute -> finish -> commit states -> save the block -> (chain: fork choice, head, events)

Everything in `execute_and_save` happens in one go of a worker, on values that nobody changes; the chain takes the
outcome in afterwards, on the loop.
The order on disk is: states of accounts, then block, payload, receipts and consensus state in one batch.
A crash between the two leaves states that no block names, which the next pruning takes.
Deliberately absent: decisions about the tree (node.chain.chain).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import trio

from node.consensus.outline import StateOutline
from node.consensus.parameters import Rules
from node.consensus.signing import SignatureVerifier
from node.consensus.state import ConsensusState
from node.consensus.state_transition import CheckedBlock, Proposed, check, finish, open_envelope
from node.consensus.wire import decode_envelope
from node.errors import InvalidBlock, Rejected
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import BlockNumber, Hash32, Slot
from node.execution.engine import (
    BlobTransaction,
    BlockAttributes,
    BlockBuilder,
    BlockResult,
)
from node.storage.chain_database import ChainDatabase, NewBlock, TreeEntry

LARGE_BYTES: Final = 64 * 1024
"""Envelopes above this are opened beside the loop: their decoding takes milliseconds."""


class ImportReason(StrEnum):
    """Why the chain refuses a block that consensus's rules do not speak of."""

    EXECUTION = "execution"
    """The engine refuses it."""
    CONFLICTS_WITH_FINALIZED = "conflicts_with_finalized"
    """It does not descend from the finalized block."""


class ImportOutcome(StrEnum):
    """What became of an envelope that broke no rule."""

    IMPORTED = "imported"
    """It is in the tree now."""
    KNOWN = "known"
    """It was there before."""
    UNAVAILABLE = "unavailable"
    """Its blobs are not here; it waits."""
    ORPHAN = "orphan"
    """Its parent is unknown; it waits."""
    FUTURE = "future"
    """Its slot has not begun; it waits if it is the next."""
    STALE = "stale"
    """Its slot is at or below the finalized block's."""
    EQUIVOCATION = "equivocation"
    """Its proposer has two other blocks of that slot in the tree: a third proves nothing more."""
    BUSY = "busy"
    """Too many blocks wait already."""


class ChainEngine(Protocol):
    """What the chain asks of execution."""

    def genesis(self) -> BlockResult:
        """The genesis block; its state is committed."""

    def has_state(self, root: bytes) -> bool:
        """Whether this state can be read."""

    def execute(self, parent_header: bytes, block: bytes, ancestors: bytes) -> BlockResult:
        """Judges a whole block on its parent's state. Raises InvalidBlock, MissingState."""

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> BlockBuilder:
        """Opens a block on the parent's state."""

    def commit(self, result: BlockResult) -> None:
        """Stores the state of an executed or sealed block."""

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drops every state but these roots and those of blocks from a number on."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of a block."""

    def refused_block_json(self, block: bytes) -> bytes:
        """A whole block that was refused, with its transactions. Raises InvalidBlock if its body is not its header's."""

    def blob_transactions(self, block: bytes) -> list[BlobTransaction]:
        """Blob transactions of a block. Raises InvalidBlock if its body is not its header's."""


class BlobAvailability(Protocol):
    """What the chain asks of the keeper of blobs."""

    def missing(self, hashes: Sequence[Hash32]) -> list[Hash32]:
        """Those that are not here."""

    def used(self, hashes: Sequence[Hash32], slot: int) -> None:
        """A block of this slot holds these."""

    def on_arrival(self, callback: Callable[[], None]) -> None:
        """Tell that blobs came; must not block."""


class Ticket:
    """An envelope on its way through the import, and where to wait for it."""

    def __init__(
        self,
        *,
        envelope: bytes,
        proposed: Proposed,
        block: bytes,
        slot: Slot,
        origin: str,
        is_timely: bool,
        result: BlockResult | None,
    ) -> None:
        self.envelope: Final = envelope
        """As received; deterministic CBOR."""
        self.proposed: Final = proposed
        """Opened."""
        self.block: Final = block
        """RLP of the EVM block."""
        self.slot: Final = slot
        """Its slot."""
        self.origin: Final = origin
        """Who sent it: a peer, or the empty string for this process."""
        self.is_timely = is_timely
        """Whether it came in its own slot before votes are due."""
        self.result: Final = result
        """What the engine gave, for a block built here."""
        self.outcome: ImportOutcome | None = None
        """Set when it is decided, unless it is refused."""
        self.error: Rejected | None = None
        """Set when it is refused."""
        self.passed_check = False
        """Whether every rule that needs no execution holds: it may be forwarded."""
        self.is_held_back = False
        """Whether it is nothing to forward, even if it holds."""
        self._checked = trio.Event()
        self._done = trio.Event()

    @property
    def block_hash(self) -> Hash32:
        """Its id."""
        return self.proposed.block_hash

    @property
    def parent_hash(self) -> Hash32:
        """The block below."""
        return self.proposed.header.parent_hash

    def pass_check(self) -> None:
        """Tell that it may be forwarded."""
        self.passed_check = True
        self._checked.set()

    def hold_back(self) -> None:
        """Tell that it breaks no rule so far, and is nothing to forward."""
        self.is_held_back = True
        self._checked.set()

    def finish(self, outcome: ImportOutcome) -> None:
        """Tell what became of it."""
        self.outcome = outcome
        self._checked.set()
        self._done.set()

    def refuse(self, error: Rejected) -> None:
        """Tell that it breaks a rule."""
        self.error = error
        self._checked.set()
        self._done.set()

    async def checked(self) -> bool:
        """Whether it may be forwarded, as soon as that is known. Raises Rejected if it is refused by then."""
        await self._checked.wait()
        if not self.passed_check and self.error is not None:
            raise self.error
        return self.passed_check

    async def done(self) -> ImportOutcome:
        """What became of it in the end. Raises Rejected."""
        await self._done.wait()
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope with everything but its transactions decoded."""

    proposed: Proposed
    """What consensus reads."""
    block: bytes
    """RLP of the EVM block."""


def open_bytes(envelope: bytes) -> Opened:
    """Decode an envelope. Raises Rejected."""
    decoded = decode_envelope(envelope)
    return Opened(proposed=open_envelope(decoded), block=decoded.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgeable:
    """All that judging a block by consensus needs, fixed when it begins."""

    rules: Rules
    """Of this chain."""
    parent: ConsensusState
    """After the parent."""
    proposed: Proposed
    """The block."""
    block_at: Callable[[Slot], Hash32]
    """The last block of the parent's chain with a slot not above the one given."""
    verify: SignatureVerifier
    """The one verifier."""

    def judge(self) -> tuple[CheckedBlock, float]:
        """The block with its state before requests, and the seconds it took. Raises Rejected."""
        started = time.perf_counter()
        checked = check(self.rules, self.parent, self.proposed, self.block_at, self.verify)
        return checked, time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """All that executing and saving a checked block needs."""

    rules: Rules
    """Of this chain."""
    checked: CheckedBlock
    """The block."""
    envelope: bytes
    """As received."""
    block: bytes
    """RLP of the EVM block."""
    parent_header: bytes
    """RLP."""
    ancestors: bytes
    """The parent's hash first."""
    result: BlockResult | None
    """What the engine gave, for a block built here."""
    verify: SignatureVerifier
    """For proofs of possession in deposits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A block that is on disk, about to enter the tree."""

    block: Block
    """With receipts."""
    entry: TreeEntry
    """Its place."""
    state: ConsensusState | StateOutline
    """After it; in outline when it comes back from disk."""
    execute_seconds: float
    """Spent in the engine; 0 for a block built here."""
    save_seconds: float
    """Spent on disk."""


def blobs_of(engine: ChainEngine, header: Header, block: bytes) -> tuple[Hash32, ...]:
    """Versioned hashes of a block's blobs; the header says without a look at the body whether there are any.

    Raises Rejected if the body is not the header's.
    """
    if not header.blob_gas_used:
        return ()
    try:
        found = engine.blob_transactions(block)
    except InvalidBlock as error:
        raise Rejected(ImportReason.EXECUTION, str(error)) from error
    return tuple(one for transaction in found for one in transaction.blob_hashes)


def execute_and_save(engine: ChainEngine, database: ChainDatabase, work: Executable) -> Imported:
    """Execute a block, save its states, save the block. Raises Rejected, MissingState."""
    started = time.perf_counter()
    result = work.result
    if result is None:
        result = _execute(engine, work)
    executed = time.perf_counter()
    proposed = work.checked.proposed
    assert result.block_hash == proposed.block_hash, "the engine hashed another header"
    state = finish(work.rules, work.checked, result.requests, work.verify)
    header = proposed.header
    entry = TreeEntry(
        slot=work.checked.slot,
        block_hash=proposed.block_hash,
        number=BlockNumber(header.number),
        parent_hash=header.parent_hash,
    )
    encoded = state.encode()
    saving = time.perf_counter()
    engine.commit(result)
    database.save_block(
        NewBlock(
            entry=entry,
            envelope=work.envelope,
            receipts=result.receipts,
            state=encoded,
            transaction_hashes=result.transaction_hashes,
        )
    )
    return Imported(
        block=Block(
            hash=proposed.block_hash, header=header, rlp=work.block, receipts=result.receipts
        ),
        entry=entry,
        state=state,
        execute_seconds=0.0 if work.result is not None else executed - started,
        save_seconds=time.perf_counter() - saving,
    )


def _execute(engine: ChainEngine, work: Executable) -> BlockResult:
    try:
        return engine.execute(work.parent_header, work.block, work.ancestors)
    except InvalidBlock as error:
        raise Rejected(ImportReason.EXECUTION, str(error)) from error
