"""Which L2 block holds a withdrawal: an index over the message passer's logs of this process's own L2.

    L2Chain.blooms -> blocks that may hold one -> MessagePassed logs -> SQLite: withdrawal hash -> block number, log index
    hash -> WithdrawalIndex.find -> Sent

A withdrawal's hash stands in a log's data, so no bloom filter finds it; and asking every block would take minutes on an old chain.
The index is only ever ahead of nothing: it goes back to the finalized block when the L2 was reset under it, and can be
thrown away at any time. What is found is read from the chain again and compared whole.
Deliberately absent: L1. What has become of a withdrawal there is read there (`reading`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson
import structlog
import trio

from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.bindings import MESSAGE_PASSED, MessagePassed, read_message_passed
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.answers import RawLog
from node.storage.sqlite_file import SqliteFile
from sequencer.l1.view import bloom_bits, may_hold

PORTION_BLOCKS: Final = 512
"""Blocks that are looked at before others have their turn: about a millisecond."""

SAVE_EVERY_BLOCKS: Final = 8_192
"""Without a withdrawal, how far it has come is written down so often; a restart looks at these again."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS withdrawals (
    hash BLOB PRIMARY KEY,
    number INTEGER NOT NULL,
    log_index INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS withdrawals_by_number ON withdrawals (number);
CREATE TABLE IF NOT EXISTS place (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    genesis BLOB NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL
);
"""

_BITS: Final = bloom_bits(MESSAGE_PASSER)

_log = structlog.get_logger()


class IndexedL2(Protocol):
    """What of the L2's chain is read."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    @property
    def finalized(self) -> Block:
        """The last block that never goes back."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the block of a number."""

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The block that holds a transaction, and its index there."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of blocks from one number to another, both included."""


class LogEngine(Protocol):
    """What of the L2's engine is asked."""

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> list[RawLog]:
        """The logs of one contract in a block with this first topic."""

    def logs_json(
        self,
        blocks: list[tuple[bytes, bytes]],
        addresses: list[bytes],
        topics: list[list[bytes]],
    ) -> list[bytes]:
        """The logs of (block, receipts) pairs that match, one JSON object each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A withdrawal as L2 holds it."""

    message: MessagePassed
    """What was sent."""
    number: int
    """Number of its L2 block."""
    block_hash: Hash32
    """Hash of that block."""
    transaction_hash: Hash32
    """The transaction that sent it."""


class WithdrawalIndex:
    """Finds withdrawals of one L2; `catch_up` before asking."""

    def __init__(self, path: Path | None, l2: IndexedL2, engine: LogEngine) -> None:
        """Open or create the file; None keeps it in memory. A file of another chain is begun anew.

        Raises:
            HeldElsewhere: another process has it.
            Corruption: it is damaged.
        """
        self._l2 = l2
        self._engine = engine
        with ExitStack() as opening:
            self._file = SqliteFile(
                path, name="the index of withdrawals", schema=_SCHEMA, durable=False
            )
            opening.callback(self._file.close)
            self._number, self._hash = self._load()
            opening.pop_all()
        self._saved = self._number

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    # -- keeping up

    async def catch_up(self) -> None:
        """Look at every block up to the head, giving way between portions."""
        while not self.step():
            await trio.lowlevel.checkpoint()

    def step(self) -> bool:
        """Look at the next portion of blocks; whether the head is reached."""
        if self._l2.canonical_hash(self._number) != self._hash:
            self._go_back()
        head = self._l2.head.header.number
        last = min(head, self._number + PORTION_BLOCKS)
        if last > self._number:
            self._take(self._number + 1, last)
        return last >= head

    def _take(self, first: int, last: int) -> None:
        blooms = self._l2.blooms(first, last)
        rows: list[tuple[bytes, int, int]] = []
        for place, (_, bloom) in enumerate(blooms):
            if may_hold(bloom, _BITS):
                rows += self._rows_of(first + place)
        self._number, self._hash = first + len(blooms) - 1, blooms[-1][0]
        if rows or self._number - self._saved >= SAVE_EVERY_BLOCKS:
            self._save(rows)

    def _rows_of(self, number: int) -> list[tuple[bytes, int, int]]:
        block = self._l2.block_by_number(number)
        assert block is not None, "its bloom filter was there"
        rows = []
        for log in self._engine.logs(block.receipts, MESSAGE_PASSER, MESSAGE_PASSED):
            message = read_message_passed(log.topics, log.data)
            assert message is not None, "the message passer writes no other logs of this name"
            rows.append((bytes(message.withdrawal_hash), number, log.index))
        return rows

    def _go_back(self) -> None:
        """The L2 was reset below what was looked at: what is final stays."""
        final = self._l2.finalized
        number = min(self._number, final.header.number)
        found = self._l2.canonical_hash(number)
        assert found is not None, "a final block"
        _log.info("withdrawals_index_went_back", from_number=self._number, to_number=number)
        self._number, self._hash = number, found
        self._save([], forget_above=number)

    def _save(self, rows: list[tuple[bytes, int, int]], *, forget_above: int | None = None) -> None:
        with self._file.transaction() as connection:
            if forget_above is not None:
                connection.execute("DELETE FROM withdrawals WHERE number > ?", (forget_above,))
            connection.executemany("INSERT OR REPLACE INTO withdrawals VALUES (?, ?, ?)", rows)
            connection.execute(
                "UPDATE place SET number = ?, hash = ?", (self._number, bytes(self._hash))
            )
        self._saved = self._number

    def _load(self) -> tuple[int, Hash32]:
        genesis = self._l2.canonical_hash(0)
        assert genesis is not None, "a chain has a genesis"
        with self._file.transaction() as connection:
            row = connection.execute("SELECT genesis, number, hash FROM place").fetchone()
            if row is not None and row[0] == genesis:
                return int(row[1]), Hash32(row[2])
            connection.execute("DELETE FROM withdrawals")
            connection.execute(
                "INSERT OR REPLACE INTO place VALUES (1, ?, 0, ?)", (bytes(genesis), bytes(genesis))
            )
        return 0, genesis

    # -- finding

    def find(self, name: Hash32) -> Sent | None:
        """A withdrawal by its hash, or by that of the L2 transaction that sent it (its first); None where L2 holds none."""
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT number, log_index FROM withdrawals WHERE hash = ?", (bytes(name),)
            ).fetchone()
        if row is not None:
            found = self._sent_in(int(row[0]))
            return next((sent for sent in found if sent.message.withdrawal_hash == name), None)
        place = self._l2.transaction_block(name)
        if place is None:
            return None
        found = self._sent_in(place[0].header.number)
        return next((sent for sent in found if sent.transaction_hash == name), None)

    def _sent_in(self, number: int) -> list[Sent]:
        """All withdrawals of a block, in its order."""
        block = self._l2.block_by_number(number)
        if block is None:
            return []
        logs = self._engine.logs_json(
            [(block.rlp, block.receipts)], [MESSAGE_PASSER], [[MESSAGE_PASSED]]
        )
        return [_sent(orjson.loads(log), block) for log in logs]


def _sent(log: dict[str, object], block: Block) -> Sent:
    topics = log["topics"]
    assert isinstance(topics, list)
    message = read_message_passed([_bytes(topic) for topic in topics], _bytes(log["data"]))
    assert message is not None, "the message passer writes no other logs of this name"
    return Sent(
        message=message,
        number=block.header.number,
        block_hash=block.hash,
        transaction_hash=Hash32(_bytes(log["transactionHash"])),
    )


def _bytes(text: object) -> bytes:
    assert isinstance(text, str)
    return bytes.fromhex(text.removeprefix("0x"))
