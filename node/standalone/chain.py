"""The chain that a standalone node serves: one line of blocks from genesis to the last that was imported.

    genesis.json -> open_chain -> StandaloneChain <- importing (extends it)
                                         '-> JSON-RPC (node.rpc.backend.Chain)

There is nobody to disagree with: the last block is `latest`, `safe` and `finalized`.
Its state is kept at every block. Nothing is pruned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Protocol

from node.chain.cache import BlockCache
from node.eth.blocks import Block
from node.eth.forks import ChainConfig
from node.eth.headers import Header, any_header_of_block, decode_any_header
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.execution.refused import RefusedBlock, RefusedBlocks, refused_block
from node.standalone.changes import changed_past
from node.standalone.database import Entry, NewBlock, StandaloneDatabase

SLOT_SECONDS: Final = 12
"""`pending` is so much younger than the head: time stands still here with the chain, else forks to come would be in force in it."""

ANCESTORS_MAX: Final = 256
"""What BLOCKHASH can reach."""


class ChangedPast(Exception):
    """A genesis file with other rules for blocks that are there already."""


class StandaloneEngine(Protocol):
    """What the chain asks of execution."""

    def genesis(self) -> BlockResult:
        """The genesis block; its state is committed."""

    def merge_at(self, number: int | None) -> None:
        """The first block of proof of stake, where difficulty has been counted; None before there is one."""

    def following_header(self, parent_header: bytes, timestamp: int) -> bytes:
        """The header of an empty block on a parent; its roots are not final."""

    def refused_block_json(self, block: bytes) -> bytes:
        """A whole block that was refused, with its transactions. Raises InvalidBlock if its body is not its header's."""


class StandaloneChain:
    """One line of blocks; satisfies what JSON-RPC wants of a chain."""

    def __init__(
        self, engine: StandaloneEngine, database: StandaloneDatabase, config: ChainConfig
    ) -> None:
        """`open_chain` makes one."""
        self.database: Final = database
        """Where it is kept."""
        self.config: Final = config
        """Its forks."""
        self._engine: Final = engine
        self._cache: Final = BlockCache(database)
        self._tip = database.load_head()
        self._head = self._load(self._tip)
        self._next: tuple[Hash32, Header] | None = None
        self._refused: Final = RefusedBlocks()
        for block in database.load_refused():
            self._keep_refused(block)

    # -- what JSON-RPC reads

    @property
    def tip(self) -> Entry:
        """The last block's place."""
        return self._tip

    @property
    def head(self) -> Block:
        """The last block."""
        return self._head

    @property
    def safe(self) -> Block:
        """The last block."""
        return self._head

    @property
    def finalized(self) -> Block:
        """The last block."""
        return self._head

    @property
    def safety_fault(self) -> str | None:
        """None: nobody votes here."""
        return None

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """A block of the chain."""
        return self._cache.get(block_hash)

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""
        entry = self.database.entry(number)
        return None if entry is None else self._cache.get(entry.hash)

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The block that holds a transaction, and its index there."""
        place = self.database.transaction_place(transaction_hash)
        block = None if place is None else self.block_by_number(place[0])
        return None if place is None or block is None else (block, place[1])

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether the chain has this block: it has no other."""
        return self.database.number_of(block_hash) is not None

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""
        number = self.database.number_of(block_hash)
        return b"" if number is None else self.hashes_from(number - 1)

    def hashes_from(self, number: int) -> bytes:
        """Hashes of up to 256 blocks from this number down, joined."""
        entries = self.database.entries(max(0, number - ANCESTORS_MAX + 1), number)
        return b"".join(entry.hash for entry in reversed(entries))

    def next_header(self) -> Header:
        """The header of an empty block on the head, a slot later."""
        head = self._head
        if self._next is None or self._next[0] != head.hash:
            encoded = self._engine.following_header(
                head.header.encode(), head.header.timestamp + SLOT_SECONDS
            )
            self._next = (head.hash, decode_any_header(encoded))
        return self._next[1]

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of the blocks from one number to another, both included."""
        return [(entry.hash, entry.bloom) for entry in self.database.entries(first, last)]

    @property
    def refused_blocks(self) -> Sequence[RefusedBlock]:
        """Blocks at which an import ended because they break a rule, the highest first."""
        return self._refused.highest_first()

    def save_refused(self, block: bytes) -> None:
        """Remember a block that breaks a rule, for whoever asks when the import has failed."""
        self._keep_refused(block)
        self.database.save_refused([one.rlp for one in self._refused])

    def _keep_refused(self, block: bytes) -> None:
        found = refused_block(self._engine, block)
        if found is not None:
            self._refused.put(found)

    def move_to_saved_head(self) -> None:
        """Go on with the head that the database has now."""
        self._tip = self.database.load_head()
        self._head = self._load(self._tip)

    def _load(self, entry: Entry) -> Block:
        block = self._cache.get(entry.hash)
        assert block is not None, "load_block gives what has an entry, or raises Corruption"
        return block


def open_chain(
    engine: StandaloneEngine,
    database: StandaloneDatabase,
    config: ChainConfig,
    document: dict[str, object],
) -> StandaloneChain:
    """Begin a chain, or go on with the one that the database holds.

    Args:
        engine: opened on the genesis file, its states beside the database.
        database: new, or as an earlier run left it.
        config: what the file's `config` says.
        document: the whole file.

    Raises:
        UnusableFolder: the folder holds another chain, or one of another layout.
        ChangedPast: it holds blocks that this file has other rules for.
        Corruption: what is there is damaged.
    """
    genesis = engine.genesis()
    rules = json.dumps(document["config"], sort_keys=True).encode()
    if database.is_new():
        database.create(_genesis_block(genesis), rules)
    database.check(Hash32(genesis.block_hash))
    if config.terminal_total_difficulty:
        engine.merge_at(database.load_merge())
    chain = StandaloneChain(engine, database, config)
    saved = database.load_config()
    if saved != rules:
        head = chain.head.header
        changes = changed_past(saved, rules, number=head.number, timestamp=head.timestamp)
        if changes:
            raise ChangedPast(f"the data folder was imported by other rules: {'; '.join(changes)}")
        database.save_config(rules)
    return chain


def _genesis_block(genesis: BlockResult) -> NewBlock:
    header, _ = any_header_of_block(genesis.block)
    entry = Entry(
        number=header.number,
        hash=Hash32(genesis.block_hash),
        total_difficulty=header.difficulty,
        bloom=header.logs_bloom,
    )
    return NewBlock(
        entry=entry, rlp=genesis.block, receipts=genesis.receipts, transaction_hashes=()
    )
