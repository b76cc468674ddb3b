"""From a data folder to a chain: a new one, or where the last process stopped.

    genesis -> (new: save it | old: the same network?) -> finalized block and state -> replay the tree by slot
            -> (a state of accounts is missing: execute again) -> fork choice, head

The fork choice is not saved: every vote it needs is in a block above finality, so replaying them rebuilds it.
A crash at any write leaves a tree that is whole up to some block, so what is rebuilt is the same head or an earlier one.
Everything here runs beside the loop, once, before anybody sees the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

from node.chain.importing import ChainEngine, Imported, blobs_of
from node.chain.store import ChainStore
from node.chain.tree import RECENT_MAX, BlockTree
from node.consensus.containers import Envelope, decode_evidence
from node.consensus.fork_choice import ForkChoice, Limits
from node.consensus.genesis import Genesis, genesis_state
from node.consensus.outline import StateOutline, decode_outline
from node.consensus.state import ConsensusState, decode_state
from node.consensus.state_transition import open_envelope
from node.consensus.wire import decode_envelope, encode_envelope
from node.errors import Corruption, InvalidBlock, Rejected
from node.eth.blocks import Block
from node.eth.headers import decode_header, header_bytes_of_block
from node.eth.primitives import BlockNumber, Hash32, Slot
from node.execution.engine import BlockResult
from node.storage.chain_database import (
    CanonicalEntry,
    ChainDatabase,
    NewBlock,
    TreeEntry,
)

Decoded = TypeVar("Decoded")


def open_store(
    *,
    genesis: Genesis,
    engine: ChainEngine,
    database: ChainDatabase,
    now: Slot,
    limits: Limits,
) -> ChainStore:
    """Create or load a chain. Raises UnusableFolder (another network or layout), Corruption."""
    result = engine.genesis()
    genesis_hash = Hash32(result.block_hash)
    if database.is_new():
        _create(database, genesis, result)
    database.check(genesis_hash)
    rules = genesis.rules(genesis_hash)
    checkpoint = database.load_finalized()
    finalized = _block(database, checkpoint.block_hash)
    _ensure_state(engine, database, finalized)
    state = _state(database, checkpoint.block_hash)
    store = ChainStore(
        rules=rules,
        fork_choice=ForkChoice(
            rules,
            checkpoint,
            state,
            trunk=_trunk(database, finalized, state),
            limits=limits,
            recall=partial(_state, database),
        ),
        tree=_tree(database, finalized, state),
        database=database,
        genesis=_block(database, genesis_hash),
        finalized=finalized,
    )
    for _, encoded in database.evidence():
        store.fork_choice.on_evidence(decode_evidence(encoded))
    _replay(store, engine, now)
    store.move_head(now)
    return store


def restore_state(engine: ChainEngine, database: ChainDatabase, block_hash: Hash32) -> None:
    """Execute a saved block again, and as many below it as have lost their states.

    Raises Corruption when a block is missing or no longer gives the state it gave.
    """
    missing: list[Block] = []
    block = _block(database, block_hash)
    while not engine.has_state(block.header.state_root):
        missing.append(block)
        block = _block(database, block.header.parent_hash)
    for block in reversed(missing):
        _execute_again(engine, database, block)


def blobs_above_finality(
    store: ChainStore, engine: ChainEngine
) -> list[tuple[Slot, tuple[Hash32, ...]]]:
    """Slot and blobs of each block above the finalized one: the last process may have ended before it had told that they are used."""
    lowest = store.fork_choice.slot(store.fork_choice.finalized.block_hash)
    found: list[tuple[Slot, tuple[Hash32, ...]]] = []
    for entry in store.tree.entries():
        if entry.slot > lowest:
            block = store.block(entry.block_hash)
            found.append((entry.slot, blobs_of(engine, block.header, block.rlp)))
    return found


def _create(database: ChainDatabase, genesis: Genesis, result: BlockResult) -> None:
    envelope = Envelope(block=result.block, payload=b"", proposal_signature=bytes(64))
    header = decode_header(header_bytes_of_block(result.block))
    genesis_hash = Hash32(result.block_hash)
    block = NewBlock(
        entry=TreeEntry(
            slot=Slot(0),
            block_hash=genesis_hash,
            number=BlockNumber(header.number),
            parent_hash=header.parent_hash,
        ),
        envelope=encode_envelope(envelope),
        receipts=result.receipts,
        state=genesis_state(genesis, genesis_hash).encode(),
        transaction_hashes=(),
    )
    database.create(block, header.logs_bloom)


def _trunk(
    database: ChainDatabase, finalized: Block, state: ConsensusState
) -> list[tuple[Slot, Hash32]]:
    """The way from the finalized block down to what that block itself held final."""
    lowest = _block(database, state.finalized.block_hash).header.number
    rows = database.canonical(lowest, finalized.header.number - 1)
    return [(row.slot, row.block_hash) for row in rows]


def _tree(database: ChainDatabase, finalized: Block, state: ConsensusState) -> BlockTree:
    number = finalized.header.number
    rows = list(database.canonical(max(0, number - RECENT_MAX - 1), number - 1))
    recent = [_entry_above(below.block_hash, row) for below, row in pairwise(rows)]
    root = TreeEntry(
        slot=state.slot,
        block_hash=finalized.hash,
        number=BlockNumber(number),
        parent_hash=finalized.header.parent_hash,
    )
    if rows and rows[0].number == 0:
        recent.insert(0, _entry_above(Hash32(bytes(32)), rows[0]))
    return BlockTree(root, recent)


def _entry_above(parent_hash: Hash32, row: CanonicalEntry) -> TreeEntry:
    return TreeEntry(
        slot=row.slot, block_hash=row.block_hash, number=row.number, parent_hash=parent_hash
    )


def _replay(store: ChainStore, engine: ChainEngine, now: Slot) -> None:
    """Take in every saved block above finality again; set aside for removal what is not above it."""
    database = store.database
    for entry in database.tree():
        if entry.block_hash == store.finalized.hash:
            continue
        if entry.parent_hash not in store.fork_choice:
            row = database.load_canonical(entry.number)
            is_final = row is not None and row.block_hash == entry.block_hash
            (store.unsettled_trunk if is_final else store.unsettled_forks).append(entry)
            continue
        block = _block(database, entry.block_hash)
        if not engine.has_state(block.header.state_root):
            _execute_again(engine, database, block)
        envelope = database.load_envelope(entry.block_hash)
        assert envelope is not None, "the block was just loaded from it"
        imported = Imported(
            block=block,
            entry=entry,
            state=_outline(database, entry.block_hash),
            execute_seconds=0.0,
            save_seconds=0.0,
        )
        proposed = open_envelope(decode_envelope(envelope))
        store.take_in(imported, proposed, max(now, entry.slot), timely=False)


def _ensure_state(engine: ChainEngine, database: ChainDatabase, block: Block) -> None:
    if not engine.has_state(block.header.state_root):
        restore_state(engine, database, block.hash)


def _execute_again(engine: ChainEngine, database: ChainDatabase, block: Block) -> None:
    parent = _block(database, block.header.parent_hash)
    ancestors = _ancestors(database, parent)
    try:
        result = engine.execute(parent.header.encode(), block.rlp, ancestors)
    except InvalidBlock as error:
        raise Corruption(f"block 0x{block.hash.hex()} was valid and is not: {error}") from error
    engine.commit(result)
    database.save_receipts(block.hash, result.receipts)


def _ancestors(database: ChainDatabase, parent: Block) -> bytes:
    """Up to 256 hashes, the parent's first, read from disk."""
    hashes = [parent.hash]
    block = parent
    while len(hashes) < 256 and block.header.number:
        row = database.load_canonical(block.header.number)
        if row is not None and row.block_hash == block.hash:
            lowest = max(0, block.header.number - (256 - len(hashes)))
            rows = list(database.canonical(lowest, block.header.number - 1))
            return b"".join([*hashes, *(one.block_hash for one in reversed(rows))])
        block = _block(database, block.header.parent_hash)
        hashes.append(block.hash)
    return b"".join(hashes)


def _block(database: ChainDatabase, block_hash: Hash32) -> Block:
    block = database.load_block(block_hash)
    if block is None:
        raise Corruption(f"block 0x{block_hash.hex()} is missing from the database")
    return block


def _state(database: ChainDatabase, block_hash: Hash32) -> ConsensusState:
    return _read_state(database, block_hash, decode_state)


def _outline(database: ChainDatabase, block_hash: Hash32) -> StateOutline:
    """What the fork choice keeps of a state: all that a replay needs, and a small part of its bytes."""
    return _read_state(database, block_hash, decode_outline)


def _read_state(
    database: ChainDatabase, block_hash: Hash32, decode: Callable[[bytes], Decoded]
) -> Decoded:
    encoded = database.load_state(block_hash)
    if encoded is None:
        raise Corruption(f"the consensus state of block 0x{block_hash.hex()} is missing")
    try:
        return decode(encoded)
    except Rejected as error:
        raise Corruption(
            f"the consensus state of block 0x{block_hash.hex()} is damaged: {error}"
        ) from error
