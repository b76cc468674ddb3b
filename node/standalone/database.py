"""One chain without forks, on disk.

    importing -> save (one batch for a list of blocks, head included) -> Tables (redb, owned by the engine)
    opening   -> check, load_head
    JSON-RPC  -> load_block, entry, transaction_place

| table | key | value |
|---|---|---|
| meta | name | layout, genesis, config (JSON), head, merge, refused (RLP, a list of blocks) |
| blocks | number | the block's RLP |
| receipts | number | the engine's receipts record |
| chain | number | hash, total difficulty, logs bloom |
| numbers | block hash | number |
| places | transaction hash | number, index in the block |

Integers are big-endian of eight bytes (total difficulty: 32, an index: four), so that a scan is in order.
Deliberately absent: forks. What is imported is final; a file with another chain is refused before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from node.errors import Corruption, Rejected
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import any_header_of_block
from node.eth.primitives import Hash32
from node.eth.rlp import as_bytes, as_list, decode, encode
from node.execution.refused import BYTES_MAX
from node.storage.folder import FolderMark

LAYOUT: Final = 1
"""Version of the tables above."""

SCAN_MAX: Final = 10_000
"""Rows read at once."""

_META: Final = "meta"
_BLOCKS: Final = "blocks"
_RECEIPTS: Final = "receipts"
_CHAIN: Final = "chain"
_NUMBERS: Final = "numbers"
_PLACES: Final = "places"

_MARK: Final = FolderMark(table=_META, layout=LAYOUT)
_CONFIG_KEY: Final = b"config"
_HEAD_KEY: Final = b"head"
_MERGE_KEY: Final = b"merge"
_REFUSED_KEY: Final = b"refused"

_BLOOM_BYTES: Final = 256
_ENTRY_BYTES: Final = 64 + _BLOOM_BYTES


Row = TypeVar("Row")
"""A value, or what was read from one."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A block's place in the chain."""

    number: int
    """Blocks below it."""
    hash: Hash32
    """Its id."""
    total_difficulty: int
    """Its own and that of all below it."""
    bloom: bytes
    """Its logs bloom; 256 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """An executed block with everything that is saved for it."""

    entry: Entry
    """Its place."""
    rlp: bytes
    """The whole block."""
    receipts: bytes
    """The engine's receipts record."""
    transaction_hashes: Sequence[bytes]
    """32 bytes each, in block order."""


class StandaloneDatabase:
    """The chain's tables. Look-ups are short; writes are for a worker thread."""

    def __init__(self, tables: Tables, *, folder: str) -> None:
        self._tables = tables
        self._folder = folder

    def is_new(self) -> bool:
        """Whether nothing was ever saved here."""
        return _MARK.is_new(self._tables)

    def check(self, genesis_hash: Hash32) -> None:
        """Raise UnusableFolder unless this folder holds that chain in this layout."""
        _MARK.check(self._tables, self._folder, genesis_hash)

    def create(self, genesis: NewBlock, config: bytes) -> None:
        """Save the genesis block as the head, and this layout's version, in one batch."""
        puts = _block_puts(genesis)
        puts += _MARK.puts(genesis.entry.hash)
        puts.append((_META, _CONFIG_KEY, config))
        puts.append((_META, _HEAD_KEY, _number(genesis.entry.number)))
        self._tables.write(puts, [])

    def save(self, blocks: Sequence[NewBlock], *, merge: int | None) -> None:
        """Save blocks on the head, the last as the new head, in one batch; `merge` if it is known from now on."""
        puts = [put for block in blocks for put in _block_puts(block)]
        puts.append((_META, _HEAD_KEY, _number(blocks[-1].entry.number)))
        if merge is not None:
            puts.append((_META, _MERGE_KEY, _number(merge)))
        self._tables.write(puts, [])

    def save_config(self, config: bytes) -> None:
        """Save the `config` object that is in force from now on."""
        self._tables.write([(_META, _CONFIG_KEY, config)], [])

    def save_refused(self, blocks: Sequence[bytes]) -> None:
        """Save the blocks that broke a rule, instead of those saved before."""
        self._tables.write([(_META, _REFUSED_KEY, encode(tuple(blocks)))], [])

    # -- loading

    def load_refused(self) -> list[bytes]:
        """The blocks that broke a rule. Raises Corruption."""
        value = self._tables.get(_META, _REFUSED_KEY)
        if value is None:
            return []
        try:
            return [as_bytes(one) for one in as_list(decode(value, max_bytes=BYTES_MAX))]
        except Rejected as error:
            raise Corruption(f"{self._folder}: the list of refused blocks: {error}") from error

    def load_config(self) -> bytes:
        """The `config` object that the chain was imported with, JSON."""
        return self._wanted(self._tables.get(_META, _CONFIG_KEY), "the chain's config is missing")

    def load_merge(self) -> int | None:
        """The first block of proof of stake; None before there is one, or where difficulty was never counted."""
        value = self._tables.get(_META, _MERGE_KEY)
        return None if value is None else int.from_bytes(value)

    def load_head(self) -> Entry:
        """The last block's place. Raises Corruption."""
        value = self._wanted(self._tables.get(_META, _HEAD_KEY), "the head is missing")
        number = int.from_bytes(value)
        return self._wanted(self.entry(number), f"block {number}, the head, is missing")

    def entry(self, number: int) -> Entry | None:
        """The place of the block of a number."""
        if not 0 <= number < 1 << 64:
            return None
        value = self._tables.get(_CHAIN, _number(number))
        return None if value is None else self._read_entry(number, value)

    def entries(self, first: int, last: int) -> list[Entry]:
        """The places of blocks with first <= number <= last, ascending."""
        found: list[Entry] = []
        while first <= last:
            end = min(last, first + SCAN_MAX - 1)
            rows = self._tables.scan(_CHAIN, _number(first), _number(end + 1), SCAN_MAX)
            found += [self._read_entry(int.from_bytes(key), value) for key, value in rows]
            if len(rows) < end + 1 - first:
                break
            first = end + 1
        return found

    def number_of(self, block_hash: Hash32) -> int | None:
        """The number of a block."""
        value = self._tables.get(_NUMBERS, block_hash)
        return None if value is None else int.from_bytes(value)

    def load_block(self, block_hash: Hash32) -> Block | None:
        """A block with its receipts. Raises Corruption when it is not what was saved."""
        number = self.number_of(block_hash)
        if number is None:
            return None
        what = f"block {number} or its receipts are missing"
        rlp = self._wanted(self._tables.get(_BLOCKS, _number(number)), what)
        receipts = self._wanted(self._tables.get(_RECEIPTS, _number(number)), what)
        try:
            header, encoded = any_header_of_block(rlp)
        except Rejected as error:
            raise Corruption(f"{self._folder}: block {number}: {error}") from error
        if keccak256(encoded) != block_hash:
            raise Corruption(f"{self._folder}: block {number} hashes to something else")
        return Block(hash=block_hash, header=header, rlp=rlp, receipts=receipts)

    def transaction_place(self, transaction_hash: Hash32) -> tuple[int, int] | None:
        """Number of the block that holds a transaction, and its index there."""
        value = self._tables.get(_PLACES, transaction_hash)
        return None if value is None else (int.from_bytes(value[:8]), int.from_bytes(value[8:]))

    def _read_entry(self, number: int, value: bytes) -> Entry:
        if len(value) != _ENTRY_BYTES:
            raise Corruption(f"{self._folder}: the row of block {number} is damaged")
        return Entry(
            number=number,
            hash=Hash32(bytes(value[:32])),
            total_difficulty=int.from_bytes(value[32:64]),
            bloom=bytes(value[64:]),
        )

    def _wanted(self, value: Row | None, what: str) -> Row:
        if value is None:
            raise Corruption(f"{self._folder}: {what}")
        return value


def _number(number: int) -> bytes:
    return number.to_bytes(8)


def _block_puts(block: NewBlock) -> list[tuple[str, bytes, bytes]]:
    entry, key = block.entry, _number(block.entry.number)
    assert len(entry.bloom) == _BLOOM_BYTES
    row = entry.hash + entry.total_difficulty.to_bytes(32) + entry.bloom
    puts: list[tuple[str, bytes, bytes]] = [
        (_BLOCKS, key, block.rlp),
        (_RECEIPTS, key, block.receipts),
        (_CHAIN, key, row),
        (_NUMBERS, entry.hash, key),
    ]
    puts += [
        (_PLACES, transaction_hash, key + index.to_bytes(4))
        for index, transaction_hash in enumerate(block.transaction_hashes)
    ]
    return puts
