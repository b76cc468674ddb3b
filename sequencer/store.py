"""The L2's blocks, their receipts and the indexes over them, on disk.

    L2Chain (a batch: at most 250 ms) -> L2Store.save -> one atomic transaction -> Tables (redb, owned by the engine)
    restart -> L2Store.load_heads, load -> journal's entries after `Heads.position`

| table | key | value |
|---|---|---|
| l2_meta | name | layout, genesis, heads (head, safe, finalized, journal position) |
| l2_headers | number | block hash, L1 origin's number and hash, logs bloom |
| l2_blocks | number | RLP of the block |
| l2_receipts | number | the engine's receipts record |
| l2_hashes | block hash | number |
| l2_transactions | first 16 bytes of the hash | number, index in the block |
| l2_records | number of a record's last block | index of the Inbox record |

The L2 has one chain, so its blocks lie by number; rows above the head are those of dropped blocks, and the batch that
saves a reset removes them.
A transaction's key is cut to 16 bytes: that saves half of the largest index, and 2^64 tries to find two that agree buy nothing.
Whoever reads a place there compares the whole hash, since any 16 other bytes can be asked for.
Integers in keys and values are big-endian of eight bytes (an index: four), so that a scan is in order.
Deliberately absent: states (the engine keeps them), any cache, and what is not saved yet (`L2Chain` has it in memory).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.errors import Corruption, Rejected
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import decode_header, header_bytes_of_block
from node.eth.primitives import Hash32
from node.storage.folder import FolderMark
from sequencer.journal import Position
from sequencer.l1.places import L1Ref

LAYOUT: Final = 1
"""Version of the tables above."""

SCAN_MAX: Final = 512
"""Rows fetched at once by an iteration."""

_META: Final = "l2_meta"
_HEADERS: Final = "l2_headers"
_BLOCKS: Final = "l2_blocks"
_RECEIPTS: Final = "l2_receipts"
_HASHES: Final = "l2_hashes"
_TRANSACTIONS: Final = "l2_transactions"
_RECORDS: Final = "l2_records"

_MARK: Final = FolderMark(table=_META, layout=LAYOUT, of=" of the L2")
_HEADS_KEY: Final = b"heads"

_HEADER_BYTES: Final = 32 + 8 + 32 + 256
_END: Final = b"\xff" * 9


class Tables(Protocol):
    """What this store needs of the tables below it."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value."""

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Several values."""

    def scan(self, table: str, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries with start <= key < end, ascending."""

    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None:
        """One atomic transaction; it outlives the machine when this returns."""

    def close(self) -> None:
        """Lets go of the file."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A block of the chain with what belongs to it."""

    block: Block
    """The block."""
    origin: L1Ref
    """Its L1 origin."""
    transaction_hashes: Sequence[bytes]
    """32 bytes each, in block order; empty if it was read from disk, where they are indexed already."""


@dataclass(frozen=True, slots=True)
class Row:
    """A block as a search for logs wants it."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""
    origin: L1Ref
    """Its L1 origin."""
    bloom: bytes
    """Its logs bloom; 256 bytes."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the chain stands, as far as the tables hold it."""

    head: int
    """Number of the last block."""
    safe: int
    """Number of the safe head."""
    finalized: int
    """Number of the finalized head."""
    position: Position
    """Of the journal; the entries after it are not in the tables."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Rows of a dropped block that may be in the tables."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""
    transaction_hashes: Sequence[bytes]
    """Of its transactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction saves: the chain as it was at one moment."""

    heads: Heads
    """Where it stood."""
    blocks: Sequence[Kept]
    """Blocks that are not in the tables, ascending."""
    doomed: Sequence[Doomed]
    """Blocks that were dropped since the last batch."""
    records: Sequence[tuple[int, int]]
    """(last block, index) of records that were derived since."""
    records_above: int | None
    """Rows of records that end above this block go first; None if none was taken back."""


class L2Store:
    """The tables of one chain. Look-ups are short; `save` is for a worker thread."""

    def __init__(self, tables: Tables, *, folder: str) -> None:
        self._tables = tables
        self._folder = folder

    # -- opening

    def is_new(self) -> bool:
        """Whether nothing was ever saved here."""
        return _MARK.is_new(self._tables)

    def create(self, genesis: Kept) -> None:
        """Save the genesis block as every head, and this layout's version."""
        puts = [
            *_MARK.puts(genesis.block.hash),
            (_META, _HEADS_KEY, _heads_value(Heads(0, 0, 0, Position(0, 0)))),
            *_block_rows(genesis),
        ]
        self._tables.write(puts, [])

    def check(self, genesis_hash: Hash32) -> None:
        """Raise UnusableFolder unless this folder holds that network in this layout."""
        _MARK.check(self._tables, self._folder, genesis_hash)

    # -- saving

    def save(self, batch: Batch) -> None:
        """Save a moment of the chain in one transaction."""
        puts = [row for kept in batch.blocks for row in _block_rows(kept)]
        puts += [(_RECORDS, _key(last), _key(index)) for last, index in batch.records]
        puts.append((_META, _HEADS_KEY, _heads_value(batch.heads)))
        deletes = [row for doomed in batch.doomed for row in _doomed_rows(doomed)]
        if batch.records_above is not None:
            start = _key(batch.records_above + 1)
            deletes += [(_RECORDS, key) for key, _ in self._rows(_RECORDS, start, _END)]
        if deletes:
            written = {(table, key) for table, key, _ in puts}
            deletes = [row for row in deletes if row not in written]
        self._tables.write(puts, deletes)

    # -- loading

    def load_heads(self) -> Heads:
        """Where the chain stands. Raises Corruption."""
        value = self._tables.get(_META, _HEADS_KEY)
        if value is None or len(value) != 40:
            raise Corruption(f"{self._folder}: the heads of the L2 are missing or damaged")
        head, safe, finalized, segment, offset = (
            int.from_bytes(value[start : start + 8]) for start in range(0, 40, 8)
        )
        if not finalized <= safe <= head:
            raise Corruption(f"{self._folder}: heads {finalized}, {safe}, {head} are out of order")
        return Heads(head, safe, finalized, Position(segment, offset))

    def load(self, number: int) -> Kept | None:
        """The block of a number. Raises Corruption when it is not what was saved."""
        key = _key(number)
        row, rlp, receipts = (
            self._tables.get(table, key) for table in (_HEADERS, _BLOCKS, _RECEIPTS)
        )
        if row is None and rlp is None and receipts is None:
            return None
        if row is None or rlp is None or receipts is None:
            raise self._damage(number, "a part of it is missing")
        return self._kept(number, row, rlp, receipts)

    def load_many(self, first: int, last: int) -> list[Kept]:
        """The blocks from one number to another, both included. Raises Corruption where one is missing."""
        keys = [_key(number) for number in range(first, last + 1)]
        columns = (self._tables.get_many(table, keys) for table in (_HEADERS, _BLOCKS, _RECEIPTS))
        found: list[Kept] = []
        for number, parts in enumerate(zip(*columns, strict=True), start=first):
            row, rlp, receipts = parts
            if row is None or rlp is None or receipts is None:
                raise self._damage(number, "it is missing, or a part of it is")
            found.append(self._kept(number, row, rlp, receipts))
        return found

    def number_of(self, block_hash: Hash32) -> int | None:
        """The number of a block."""
        value = self._tables.get(_HASHES, block_hash)
        return None if value is None else int.from_bytes(value)

    def transaction_place(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Number of the block that holds a transaction, and its index there; another one may lie there (half a key)."""
        value = self._tables.get(_TRANSACTIONS, transaction_hash[:16])
        return None if value is None else (int.from_bytes(value[:8]), int.from_bytes(value[8:]))

    def row(self, number: int) -> Row | None:
        """What is known of the block of a number without reading it."""
        value = self._tables.get(_HEADERS, _key(number))
        return None if value is None else self._row(number, value)

    def rows(self, first: int, last: int) -> Iterator[Row]:
        """The same for numbers from one to another, both included."""
        for key, value in self._rows(_HEADERS, _key(first), _key(last + 1)):
            yield self._row(int.from_bytes(key), value)

    def record_of(self, number: int) -> int | None:
        """Index of the first record that ends at or above a block."""
        rows = self._tables.scan(_RECORDS, _key(number), _END, 1)
        return int.from_bytes(rows[0][1]) if rows else None

    def close(self) -> None:
        """Let go of the file."""
        self._tables.close()

    # -- inside

    def _kept(self, number: int, value: bytes, rlp: bytes, receipts: bytes) -> Kept:
        row = self._row(number, value)
        try:
            encoded = header_bytes_of_block(rlp)
            header = decode_header(encoded)
        except Rejected as error:
            raise self._damage(number, str(error)) from error
        if keccak256(encoded) != row.hash or header.number != number:
            raise self._damage(number, "the header hashes to something else")
        block = Block(hash=row.hash, header=header, rlp=rlp, receipts=receipts)
        return Kept(block, row.origin, ())

    def _row(self, number: int, value: bytes) -> Row:
        if len(value) != _HEADER_BYTES:
            raise self._damage(number, "its row is damaged")
        origin = L1Ref(number=int.from_bytes(value[32:40]), hash=Hash32(value[40:72]))
        return Row(number, Hash32(value[:32]), origin, value[72:])

    def _rows(self, table: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        while True:
            rows = self._tables.scan(table, start, end, SCAN_MAX)
            yield from rows
            if len(rows) < SCAN_MAX:
                return
            start = rows[-1][0] + b"\x00"

    def _damage(self, number: int, what: str) -> Corruption:
        return Corruption(f"{self._folder}: L2 block {number}: {what}")


def _key(number: int) -> bytes:
    return number.to_bytes(8)


def _heads_value(heads: Heads) -> bytes:
    position = heads.position
    numbers = (heads.head, heads.safe, heads.finalized, position.segment, position.offset)
    return b"".join(number.to_bytes(8) for number in numbers)


def _block_rows(kept: Kept) -> Iterable[tuple[str, bytes, bytes]]:
    block, origin = kept.block, kept.origin
    key = _key(block.header.number)
    bloom = block.header.logs_bloom
    yield (_HEADERS, key, block.hash + origin.number.to_bytes(8) + origin.hash + bloom)
    yield (_BLOCKS, key, block.rlp)
    yield (_RECEIPTS, key, block.receipts)
    yield (_HASHES, block.hash, key)
    for index, one in enumerate(kept.transaction_hashes):
        yield (_TRANSACTIONS, one[:16], key + index.to_bytes(4))


def _doomed_rows(doomed: Doomed) -> Iterable[tuple[str, bytes]]:
    key = _key(doomed.number)
    yield from ((table, key) for table in (_HEADERS, _BLOCKS, _RECEIPTS))
    yield (_HASHES, doomed.hash)
    yield from ((_TRANSACTIONS, one[:16]) for one in doomed.transaction_hashes)
