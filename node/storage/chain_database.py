"""Blocks, their states and the indexes over them, on disk.

    chain (one import) -> save_block -> one atomic batch -> Tables (redb, owned by the engine)
    chain (finality)   -> save_finality -> canonical rows, the new root of the tree; forks go
    restart            -> load_finalized, tree -> chain replays by slot

| table | key | value |
|---|---|---|
| meta | name | layout, genesis, finalized, safety_fault |
| envelopes | block hash | the envelope as it was gossiped |
| receipts | block hash | the engine's receipts record |
| tree | slot, block hash | number, parent hash: the blocks that a restart replays |
| states | block hash | consensus post-state of every block of the tree |
| canonical | number | slot, hash and logs bloom of a finalized block |
| transactions | transaction hash, block hash | index in that block |
| evidence | validator index | proof of an offence |

A reorganisation writes nothing: only finalized numbers are indexed here, the chain above them is the fork choice's
answer and lives in memory, and a transaction's rows name every block that holds it.
So a crash between any two writes leaves a tree whose head is the same or an earlier one.
Integers in keys are big-endian of eight bytes (an index: four), so that a scan is in order.

Deliberately absent: which chain is right (node.chain), states of accounts (the engine keeps them), keys' own
protection (the signer has its own file), and any cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.consensus.containers import Checkpoint
from node.consensus.wire import decode_envelope
from node.errors import Corruption, Rejected
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import decode_header, header_bytes_of_block
from node.eth.primitives import BlockNumber, Epoch, Hash32, Slot, ValidatorIndex
from node.storage.folder import FolderMark

LAYOUT: Final = 1
"""Version of the tables above."""

SCAN_MAX: Final = 512
"""Rows fetched at once by an iteration."""

PLACES_MAX: Final = 64
"""Blocks in which one transaction is looked for; forks that deep are gone by then."""

_META: Final = "meta"
_ENVELOPES: Final = "envelopes"
_RECEIPTS: Final = "receipts"
_TREE: Final = "tree"
_STATES: Final = "states"
_CANONICAL: Final = "canonical"
_TRANSACTIONS: Final = "transactions"
_EVIDENCE: Final = "evidence"

_MARK: Final = FolderMark(table=_META, layout=LAYOUT)
_FINALIZED_KEY: Final = b"finalized"
_CONFLICT_KEY: Final = b"safety_fault"

_BLOOM_BYTES: Final = 256


class Tables(Protocol):
    """What this database needs of the store below it."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value."""

    def scan(self, table: str, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries with start <= key < end, ascending."""

    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None:
        """One atomic transaction; it outlives the process when this returns."""

    def close(self) -> None:
        """Lets go of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """Where a block stands in the tree that a restart replays."""

    slot: Slot
    """Its slot."""
    block_hash: Hash32
    """Its id."""
    number: BlockNumber
    """Its number."""
    parent_hash: Hash32
    """The block below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """An imported block with everything that is saved for it."""

    entry: TreeEntry
    """Its place."""
    envelope: bytes
    """As gossiped; deterministic CBOR."""
    receipts: bytes
    """The engine's receipts record."""
    state: bytes
    """Its consensus post-state, encoded."""
    transaction_hashes: Sequence[bytes]
    """32 bytes each, in block order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalEntry:
    """A finalized block, as a search for logs wants it."""

    number: BlockNumber
    """Its number."""
    slot: Slot
    """Its slot."""
    block_hash: Hash32
    """Its id."""
    bloom: bytes
    """Its logs bloom; 256 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFinality:
    """What changes on disk when finality advances."""

    checkpoint: Checkpoint
    """The new finalized checkpoint."""
    canonical: Sequence[CanonicalEntry]
    """Blocks that it made final, ascending."""
    dropped: Sequence[tuple[TreeEntry, Sequence[bytes]]]
    """Blocks that can never be final any more, with the hashes of their transactions."""
    forgotten: Sequence[TreeEntry]
    """Final blocks that a restart no longer starts from: they leave the tree, and their states go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two checkpoints that exclude each other, both final or justified: a third of the stake lied."""

    first: Checkpoint
    """The lower one."""
    second: Checkpoint
    """The one that contradicts it."""
    block_hash: Hash32
    """The block whose import showed it; it stands on the other chain."""

    def __str__(self) -> str:
        """In one line, as logs and errors say it."""
        return (
            f"epoch {self.first.epoch} {self.first.block_hash.hex()} "
            f"against epoch {self.second.epoch} {self.second.block_hash.hex()}"
        )


class ChainDatabase:
    """The chain's tables. Look-ups are short; writes are for a worker thread."""

    def __init__(self, tables: Tables, *, folder: str) -> None:
        self._tables = tables
        self._folder = folder

    # -- opening

    def is_new(self) -> bool:
        """Whether nothing was ever saved here."""
        return _MARK.is_new(self._tables)

    def check(self, genesis_hash: Hash32) -> None:
        """Raise UnusableFolder unless this folder holds that network in this layout."""
        _MARK.check(self._tables, self._folder, genesis_hash)

    def create(self, genesis: NewBlock, bloom: bytes) -> None:
        """Save the genesis block as the finalized one, and this layout's version, in one batch."""
        entry = genesis.entry
        checkpoint = Checkpoint(epoch=Epoch(0), block_hash=entry.block_hash)
        row = CanonicalEntry(
            number=entry.number, slot=entry.slot, block_hash=entry.block_hash, bloom=bloom
        )
        puts = _block_puts(genesis)
        puts.append((_CANONICAL, _number_key(entry.number), _canonical_value(row)))
        puts += _MARK.puts(entry.block_hash)
        puts.append((_META, _FINALIZED_KEY, _checkpoint_value(checkpoint)))
        self._tables.write(puts, [])

    def close(self) -> None:
        """Let go of the file."""
        self._tables.close()

    # -- saving

    def save_block(self, block: NewBlock) -> None:
        """Save a block, its state and its indexes in one batch."""
        self._tables.write(_block_puts(block), [])

    def save_finality(self, finality: NewFinality) -> None:
        """Save a new finalized checkpoint, and forget what it made useless, in one batch."""
        puts: list[tuple[str, bytes, bytes]] = [
            (_CANONICAL, _number_key(row.number), _canonical_value(row))
            for row in finality.canonical
        ]
        puts.append((_META, _FINALIZED_KEY, _checkpoint_value(finality.checkpoint)))
        deletes: list[tuple[str, bytes]] = []
        for entry in finality.forgotten:
            deletes += [(_TREE, _tree_key(entry)), (_STATES, entry.block_hash)]
        for entry, transaction_hashes in finality.dropped:
            block_hash = entry.block_hash
            deletes += [(_TREE, _tree_key(entry)), (_STATES, block_hash)]
            deletes += [(_ENVELOPES, block_hash), (_RECEIPTS, block_hash)]
            deletes += [(_TRANSACTIONS, key + block_hash) for key in transaction_hashes]
        self._tables.write(puts, deletes)

    def save_receipts(self, block_hash: Hash32, receipts: bytes) -> None:
        """Save the receipts of a block that had to be executed again."""
        self._tables.write([(_RECEIPTS, block_hash, receipts)], [])

    def save_evidence(self, validator: ValidatorIndex, evidence: bytes) -> None:
        """Save a proof of an offence; one for each validator."""
        self._tables.write([(_EVIDENCE, validator.to_bytes(4), evidence)], [])

    def save_conflict(self, conflict: Conflict) -> None:
        """Save that finality was contradicted; it outlives restarts, until the folder is made anew."""
        value = (
            _checkpoint_value(conflict.first)
            + _checkpoint_value(conflict.second)
            + conflict.block_hash
        )
        self._tables.write([(_META, _CONFLICT_KEY, value)], [])

    # -- loading

    def load_conflict(self) -> Conflict | None:
        """How finality was contradicted, if it was. Raises Corruption."""
        value = self._tables.get(_META, _CONFLICT_KEY)
        if value is None:
            return None
        if len(value) != 112:
            raise Corruption(f"{self._folder}: the record of a safety fault is damaged")
        return Conflict(
            first=_read_checkpoint(value[:40]),
            second=_read_checkpoint(value[40:80]),
            block_hash=Hash32(bytes(value[80:])),
        )

    def load_finalized(self) -> Checkpoint:
        """The finalized checkpoint. Raises Corruption when there is none."""
        value = self._tables.get(_META, _FINALIZED_KEY)
        if value is None or len(value) != 40:
            raise Corruption(f"{self._folder}: the finalized checkpoint is missing or damaged")
        return _read_checkpoint(value)

    def load_block(self, block_hash: Hash32) -> Block | None:
        """A block with its receipts. Raises Corruption when it is not what was saved."""
        envelope = self._tables.get(_ENVELOPES, block_hash)
        if envelope is None:
            return None
        receipts = self._tables.get(_RECEIPTS, block_hash)
        if receipts is None:
            raise self._damage("receipts are missing", block_hash)
        try:
            rlp = decode_envelope(envelope).block
            header = header_bytes_of_block(rlp)
            if keccak256(header) != block_hash:
                raise self._damage("the header hashes to something else", block_hash)
            decoded = decode_header(header)
        except Rejected as error:
            raise self._damage(str(error), block_hash) from error
        return Block(hash=block_hash, header=decoded, rlp=rlp, receipts=receipts)

    def load_envelope(self, block_hash: Hash32) -> bytes | None:
        """A block's envelope as it was gossiped; the genesis block's has an empty payload."""
        return self._tables.get(_ENVELOPES, block_hash)

    def load_state(self, block_hash: Hash32) -> bytes | None:
        """The encoded consensus state after a block, if it is still kept."""
        return self._tables.get(_STATES, block_hash)

    def tree(self, from_slot: int = 0) -> Iterator[TreeEntry]:
        """Blocks that a restart replays, by slot."""
        for key, value in self._rows(_TREE, _number_key(from_slot), b"\xff" * 9):
            if len(key) != 40 or len(value) != 40:
                raise Corruption(f"{self._folder}: a row of the block tree is damaged")
            yield TreeEntry(
                slot=Slot(int.from_bytes(key[:8])),
                block_hash=Hash32(bytes(key[8:])),
                number=BlockNumber(int.from_bytes(value[:8])),
                parent_hash=Hash32(bytes(value[8:])),
            )

    def load_canonical(self, number: int) -> CanonicalEntry | None:
        """The finalized block of that number."""
        value = self._tables.get(_CANONICAL, _number_key(number))
        return None if value is None else self._canonical_entry(_number_key(number), value)

    def canonical(self, first: int, last: int) -> Iterator[CanonicalEntry]:
        """Finalized blocks with first <= number <= last, ascending."""
        for key, value in self._rows(_CANONICAL, _number_key(first), _number_key(last + 1)):
            yield self._canonical_entry(key, value)

    def transaction_places(self, transaction_hash: Hash32) -> list[tuple[Hash32, int]]:
        """(block hash, index) of every kept block that holds this transaction."""
        end = transaction_hash + b"\xff" * 33
        rows = self._tables.scan(_TRANSACTIONS, transaction_hash, end, PLACES_MAX)
        return [(Hash32(bytes(key[32:])), int.from_bytes(value)) for key, value in rows]

    def evidence(self) -> Iterator[tuple[ValidatorIndex, bytes]]:
        """Every saved proof of an offence, by validator."""
        for key, value in self._rows(_EVIDENCE, b"", b"\xff" * 5):
            yield ValidatorIndex(int.from_bytes(key)), value

    # -- inside

    def _rows(self, table: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        while True:
            rows = self._tables.scan(table, start, end, SCAN_MAX)
            yield from rows
            if len(rows) < SCAN_MAX:
                return
            start = rows[-1][0] + b"\x00"

    def _canonical_entry(self, key: bytes, value: bytes) -> CanonicalEntry:
        if len(value) != 40 + _BLOOM_BYTES:
            raise Corruption(f"{self._folder}: a row of the canonical index is damaged")
        return CanonicalEntry(
            number=BlockNumber(int.from_bytes(key)),
            slot=Slot(int.from_bytes(value[:8])),
            block_hash=Hash32(bytes(value[8:40])),
            bloom=bytes(value[40:]),
        )

    def _damage(self, what: str, block_hash: Hash32) -> Corruption:
        return Corruption(f"{self._folder}: block 0x{block_hash.hex()}: {what}")


def _number_key(number: int) -> bytes:
    return number.to_bytes(8)


def _tree_key(entry: TreeEntry) -> bytes:
    return entry.slot.to_bytes(8) + entry.block_hash


def _canonical_value(row: CanonicalEntry) -> bytes:
    assert len(row.bloom) == _BLOOM_BYTES
    return row.slot.to_bytes(8) + row.block_hash + row.bloom


def _checkpoint_value(checkpoint: Checkpoint) -> bytes:
    return checkpoint.epoch.to_bytes(8) + checkpoint.block_hash


def _read_checkpoint(value: bytes) -> Checkpoint:
    return Checkpoint(epoch=Epoch(int.from_bytes(value[:8])), block_hash=Hash32(bytes(value[8:])))


def _block_puts(block: NewBlock) -> list[tuple[str, bytes, bytes]]:
    entry = block.entry
    block_hash = entry.block_hash
    puts: list[tuple[str, bytes, bytes]] = [
        (_ENVELOPES, block_hash, block.envelope),
        (_RECEIPTS, block_hash, block.receipts),
        (_STATES, block_hash, block.state),
        (_TREE, _tree_key(entry), entry.number.to_bytes(8) + entry.parent_hash),
    ]
    puts += [
        (_TRANSACTIONS, transaction_hash + block_hash, index.to_bytes(4))
        for index, transaction_hash in enumerate(block.transaction_hashes)
    ]
    return puts
