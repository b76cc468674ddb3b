"""From a data folder to the L2's chain: a new one, or where the last process stopped.

    genesis -> (new: save it | old: the same network?) -> heads of the tables, their state -> the journal's entries after them
            -> each block executed again -> saved -> a fresh segment, the old ones go

Whatever was killed when: the tables hold a moment of the chain, and the journal tells what happened after it.
A state that a power loss took is made again from the last one that is left.
Everything here runs beside the loop, once, before anybody sees the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from node.errors import Corruption, InvalidBlock, MissingState, Rejected
from node.eth.blocks import Block
from node.eth.headers import header_of_block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from sequencer.journal import (
    BlockAppended,
    Entry,
    Journal,
    Position,
    ResetTo,
    replay,
    segments,
)
from sequencer.l1.places import L1Ref
from sequencer.store import Batch, Doomed, Heads, Kept, L2Store


class ChainEngine(Protocol):
    """What the L2's chain asks of execution."""

    def genesis(self) -> BlockResult:
        """The genesis block; its state is committed."""

    def has_state(self, root: bytes) -> bool:
        """Whether a state can be read."""

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        """A storage word."""

    def execute(self, parent_header: bytes, block: bytes, ancestors: bytes) -> BlockResult:
        """Judges a block on its parent's state."""

    def commit(self, result: BlockResult) -> None:
        """Stores the state of a block."""

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drops every state but these roots and those of blocks from a number on."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of an RLP block."""

    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes:
        """A block as JSON-RPC has it; its transactions as hashes unless it is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A chain as it was found."""

    store: L2Store
    """Its tables."""
    journal: Journal
    """An empty segment."""
    heads: Heads
    """Where it stands; all of it is in the tables."""
    replayed: int
    """Entries of the journal that the tables did not hold."""


def kept_of(result: BlockResult, origin: L1Ref) -> Kept:
    """What is kept of a block that was executed here."""
    rlp = result.block
    block = Block(
        hash=Hash32(result.block_hash),
        header=header_of_block(rlp),
        rlp=rlp,
        receipts=result.receipts,
    )
    return Kept(block, origin, result.transaction_hashes)


def open_store(engine: ChainEngine, store: L2Store, folder: Path, genesis_origin: L1Ref) -> Opened:
    """Create or load a chain. Raises UnusableFolder (another network or layout), Corruption, OSError."""
    genesis = kept_of(engine.genesis(), genesis_origin)
    if store.is_new():
        store.create(genesis)
    store.check(genesis.block.hash)
    heads = store.load_heads()
    restore_state(engine, store, heads.head)
    replaying = _Replay(engine, store, heads)
    entries = 0
    for entry in replay(folder, heads.position):
        replaying.take(entry, folder)
        entries += 1
    found = segments(folder)
    journal = Journal(folder, max([heads.position.segment, *found]) + 1)
    heads = replaying.save(journal.position)
    journal.forget(journal.position)
    return Opened(store=store, journal=journal, heads=heads, replayed=entries)


def restore_state(engine: ChainEngine, store: L2Store, number: int) -> None:
    """Make sure that the state after a saved block can be read, executing again from the last one that is left.

    Raises Corruption where there is none, or where the same blocks give another state.
    """
    missing: list[Kept] = []
    kept = _load(store, number)
    while not engine.has_state(kept.block.header.state_root):
        missing.append(kept)
        if kept.block.header.number == 0:
            raise Corruption("the L2's genesis state cannot be read")
        kept = _load(store, kept.block.header.number - 1)
    for one in reversed(missing):
        execute_again(engine, kept.block, one.block.rlp)
        kept = one


def execute_again(engine: ChainEngine, parent: Block, rlp: bytes) -> BlockResult:
    """Execute a block that this node has executed before. Raises Corruption where that fails now."""
    number = parent.header.number + 1
    try:
        result = engine.execute(parent.header.encode(), rlp, b"")
    except (InvalidBlock, MissingState) as error:
        raise Corruption(f"L2 block {number} does not execute again: {error}") from error
    engine.commit(result)
    return result


class _Replay:
    """The chain while the journal is read."""

    def __init__(self, engine: ChainEngine, store: L2Store, heads: Heads) -> None:
        self._engine = engine
        self._store = store
        self._heads = heads
        self._base = heads.head
        """Blocks up to here are those of the tables."""
        self._blocks: list[Kept] = []
        self._doomed: list[Doomed] = []

    @property
    def _head(self) -> Block:
        kept = self._blocks[-1] if self._blocks else _load(self._store, self._base)
        return kept.block

    def take(self, entry: Entry, folder: Path) -> None:
        """Do again what the journal says. Raises Corruption."""
        match entry:
            case BlockAppended():
                self._append(entry, folder)
            case ResetTo(number):
                if not self._heads.finalized <= number <= self._head.header.number:
                    raise Corruption(f"{folder}: a reset to {number} that no chain makes")
                self._reset(number)

    def _append(self, entry: BlockAppended, folder: Path) -> None:
        head = self._head
        try:
            header = header_of_block(entry.block)
        except Rejected as error:
            raise Corruption(f"{folder}: an entry is no block: {error}") from error
        if header.parent_hash != head.hash:
            raise Corruption(
                f"{folder}: block {header.number} does not stand on block {head.header.number}"
            )
        result = execute_again(self._engine, head, entry.block)
        self._blocks.append(kept_of(result, entry.origin))

    def _reset(self, number: int) -> None:
        if number >= self._base:
            del self._blocks[number - self._base :]
            return
        self._blocks.clear()
        dropped = self._store.load_many(number + 1, self._base)
        self._doomed += [doomed(self._engine, kept) for kept in dropped]
        self._base = number
        restore_state(self._engine, self._store, number)

    def save(self, position: Position) -> Heads:
        """Save what was replayed."""
        heads = self._heads
        head = self._base + len(self._blocks)
        safe = min(heads.safe, self._base)
        moved = Heads(head, safe, heads.finalized, position)
        self._store.save(
            Batch(
                heads=moved,
                blocks=self._blocks,
                doomed=self._doomed,
                records=(),
                records_above=safe if safe < heads.safe else None,
            )
        )
        return moved


def doomed(engine: ChainEngine, kept: Kept) -> Doomed:
    """The rows of a dropped block; the engine hashes its transactions twenty times faster than Python."""
    block = kept.block
    hashes = kept.transaction_hashes
    if not hashes:
        rendered = orjson.loads(engine.block_json(block.rlp, block.receipts, full=False))
        hashes = [bytes.fromhex(one[2:]) for one in rendered["transactions"]]
    return Doomed(block.header.number, block.hash, hashes)


def _load(store: L2Store, number: int) -> Kept:
    kept = store.load(number)
    if kept is None:
        raise Corruption(f"L2 block {number} is missing from the tables")
    return kept
