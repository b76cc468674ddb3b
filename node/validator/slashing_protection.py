"""The signer's database: one row for each key, on the platter before a signature leaves (EIP-3076).

    with protection.transaction() as rows:      one commit, one fsync, for all keys of a duty
        record = rows.load(key); ...; rows.save(key, record)

A commit has outlived a power loss when it returns (`node.storage.sqlite_file`).
One process holds it: a second one is refused at once, because two signers with one history would be slashed.
Deliberately absent: what may be signed (protection_rules) and keys (signer).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.consensus.containers import (
    Checkpoint,
    VoteData,
    read_checkpoint,
    read_vote_data,
    vote_data_fields,
)
from node.errors import Corruption, Rejected
from node.eth import rlp
from node.eth.primitives import Hash32
from node.storage.sqlite_file import HeldElsewhere, SqliteFile
from node.validator.protection_rules import SigningRecord

SCHEMA_VERSION: Final = 1
"""Of the tables below."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chain (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    schema_version INTEGER NOT NULL,
    genesis_hash BLOB NOT NULL,
    slots_per_epoch INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS signed (
    public_key BLOB PRIMARY KEY,
    last_block_slot INTEGER NOT NULL,
    last_vote_slot INTEGER NOT NULL,
    last_vote_data BLOB NOT NULL,
    last_vote_signature BLOB NOT NULL,
    max_source_epoch INTEGER NOT NULL,
    last_target_epoch INTEGER NOT NULL,
    last_link BLOB NOT NULL
) WITHOUT ROWID;
"""

_COLUMNS: Final = (
    "last_block_slot, last_vote_slot, last_vote_data, last_vote_signature, "
    "max_source_epoch, last_target_epoch, last_link"
)

_Row = tuple[int, int, bytes, bytes, int, int, bytes]


class ProtectionError(Exception):
    """The signer may not run as it is set up; the message says what to do."""


class SlashingProtection:
    """The open database; usable from one thread at a time, locked until `close`."""

    def __init__(self, path: Path | None, *, genesis_hash: Hash32, slots_per_epoch: int) -> None:
        """Open or create it; None keeps it in memory, for simulations.

        Raises:
            ProtectionError: another process holds it, or it belongs to another chain.
            Corruption: it is damaged.
        """
        self.genesis_hash: Final = genesis_hash
        """Of the chain that its keys vote on."""
        self.slots_per_epoch: Final = slots_per_epoch
        """Of that chain."""
        with ExitStack() as opening:
            self._file = _opened(path)
            opening.callback(self._file.close)
            self._check()
            opening.pop_all()

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Rows]:
        """Read and write rows as one; committed and synced when the block ends, undone if it raises."""
        with self._file.transaction() as connection:
            yield Rows(connection)

    def register(self, public_keys: Sequence[bytes], *, new: frozenset[bytes]) -> frozenset[bytes]:
        """Make sure that every key has a row, creating those of new keys; gives the keys whose rows were made now.

        Raises:
            ProtectionError: a key without a row is not new: signing with it could contradict what it signed before.
        """
        made: set[bytes] = set()
        with self.transaction() as rows:
            for key in public_keys:
                if rows.load(key) is not None:
                    continue
                if key not in new:
                    raise ProtectionError(
                        f"{self._file.name} has no row for the key 0x{key.hex()}, which is not new: "
                        "restore the database, or import the key's EIP-3076 history"
                    )
                rows.save(key, SigningRecord())
                made.add(key)
        return frozenset(made)

    def records(self) -> dict[bytes, SigningRecord]:
        """Every row, by public key."""
        with self.transaction() as rows:
            return rows.all()

    # -- inside

    def _check(self) -> None:
        want = (SCHEMA_VERSION, bytes(self.genesis_hash), self.slots_per_epoch)
        with self._file.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO chain VALUES (1, ?, ?, ?)", want)
            version, genesis_hash, slots_per_epoch = connection.execute(
                "SELECT schema_version, genesis_hash, slots_per_epoch FROM chain"
            ).fetchone()
        if (version, genesis_hash, slots_per_epoch) != want:
            raise ProtectionError(
                f"{self._file.name} belongs to the chain of genesis 0x{genesis_hash.hex()} with "
                f"{slots_per_epoch} slots an epoch (schema {version}); this chain's genesis is "
                f"0x{self.genesis_hash.hex()} with {self.slots_per_epoch} (schema {SCHEMA_VERSION})"
            )


class Rows:
    """The rows inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self, public_key: bytes) -> SigningRecord | None:
        """A key's row; None if there is none."""
        row: _Row | None = self._connection.execute(
            f"SELECT {_COLUMNS} FROM signed WHERE public_key = ?",  # noqa: S608  # constant columns
            (public_key,),
        ).fetchone()
        return None if row is None else _read(row)

    def save(self, public_key: bytes, record: SigningRecord) -> None:
        """Write a key's row."""
        self._connection.execute(
            "INSERT OR REPLACE INTO signed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (public_key, *_written(record)),
        )

    def all(self) -> dict[bytes, SigningRecord]:
        """Every row, by public key, in their order."""
        rows = self._connection.execute(
            f"SELECT public_key, {_COLUMNS} FROM signed ORDER BY public_key"  # noqa: S608  # constant columns
        )
        return {row[0]: _read(row[1:]) for row in rows}


def _written(record: SigningRecord) -> _Row:
    data, link = record.last_vote_data, record.last_link
    return (
        record.last_block_slot,
        record.last_vote_slot,
        b"" if data is None else rlp.encode(vote_data_fields(data)),
        record.last_vote_signature,
        record.max_source_epoch,
        record.last_target_epoch,
        b"" if link is None else rlp.encode([(one.epoch, one.block_hash) for one in link]),
    )


def _read(row: _Row) -> SigningRecord:
    try:
        return SigningRecord(
            last_block_slot=row[0],
            last_vote_slot=row[1],
            last_vote_data=_read_vote_data(row[2]),
            last_vote_signature=row[3],
            max_source_epoch=row[4],
            last_target_epoch=row[5],
            last_link=_read_link(row[6]),
        )
    except Rejected as error:
        raise Corruption(f"a row of the signer database cannot be read: {error}") from error


def _read_vote_data(encoded: bytes) -> VoteData | None:
    if not encoded:
        return None
    return read_vote_data(rlp.decode(encoded, max_bytes=512, max_items=32))


def _read_link(encoded: bytes) -> tuple[Checkpoint, Checkpoint] | None:
    if not encoded:
        return None
    source, target = rlp.as_list(rlp.decode(encoded, max_bytes=256, max_items=16), 2)
    return read_checkpoint(source), read_checkpoint(target)


def _opened(path: Path | None) -> SqliteFile:
    try:
        return SqliteFile(path, name="the signer database", schema=_SCHEMA)
    except HeldElsewhere as held:
        raise ProtectionError(
            f"{held} (pid {held.holder or 'unknown'}): two signers with the same keys would be slashed"
        ) from held
