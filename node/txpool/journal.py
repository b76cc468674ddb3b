"""Transactions of this node's own users, on disk, so that a restart does not lose them.

    submit -> append (before the answer) -> [crash, restart] -> open_journal -> admitted again

A file of records: length (4 bytes, big-endian), CRC-32 of what follows (4 bytes), EIP-2718 bytes.
A record is with the operating system when `append` returns, so kill -9 loses nothing; `sync` follows within a second, so
that is what a power loss may take. A torn or damaged tail is cut: what stands before it is whole.
When the file has grown, `rotate` writes what is still waiting into a new one and renames it into place.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

MAGIC: Final = b"faultline transactions 1\n"
"""First bytes of the file."""

RECORD_BYTES_MAX: Final = 1 << 20
"""No transaction is longer."""

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""No more is read at start. Rotation keeps the file below twice what the pool holds, and a second's worth."""

_HEAD_BYTES: Final = 8


class Journal:
    """The open file; for one task."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path: Final = path
        """Where it lies."""
        self.size = size
        """Bytes in it."""
        self._descriptor = descriptor
        self._is_synced = True

    def append(self, transactions: Iterable[bytes]) -> None:
        """Write transactions; they outlive this process, and after `sync` the machine. Raises OSError."""
        records = b"".join(_record(raw) for raw in transactions)
        if records:
            self._is_synced = False
            self.size += _write(self._descriptor, records)

    def sync(self) -> None:
        """Wait for the disk, if anything was written since the last time. Raises OSError."""
        if not self._is_synced:
            self._is_synced = True
            os.fdatasync(self._descriptor)

    def rotate(self, transactions: Iterable[bytes]) -> None:
        """Replace the contents by these transactions, in one step. Raises OSError."""
        descriptor, size = _create(self.path, transactions)
        os.close(self._descriptor)
        self._descriptor, self.size, self._is_synced = descriptor, size, True

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._descriptor)


def open_journal(path: Path) -> tuple[Journal, list[bytes], int]:
    """Open or create it; gives the transactions in it, oldest first, and the damaged bytes that were cut off.

    Raises OSError.
    """
    if not path.exists():
        descriptor, size = _create(path, ())
        return Journal(path, descriptor, size), [], 0
    contents, size = _read(path)
    transactions = list(_records(contents))
    whole = len(MAGIC) + sum(_HEAD_BYTES + len(raw) for raw in transactions)
    if not contents.startswith(MAGIC):
        descriptor, whole = _create(path, ())
        return Journal(path, descriptor, whole), [], size
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    if size > whole:
        os.ftruncate(descriptor, whole)
        os.fdatasync(descriptor)
    return Journal(path, descriptor, whole), transactions, size - whole


def _create(path: Path, transactions: Iterable[bytes]) -> tuple[int, int]:
    """Write a whole file beside the old one and rename it into place."""
    fresh = path.with_name(path.name + ".new")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600)
    try:
        size = _write(descriptor, MAGIC + b"".join(_record(raw) for raw in transactions))
        os.fdatasync(descriptor)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, size


def _record(raw: bytes) -> bytes:
    assert 0 < len(raw) <= RECORD_BYTES_MAX
    return len(raw).to_bytes(4) + zlib.crc32(raw).to_bytes(4) + raw


def _records(contents: bytes) -> Iterator[bytes]:
    if not contents.startswith(MAGIC):
        return
    position = len(MAGIC)
    while position + _HEAD_BYTES <= len(contents):
        length = int.from_bytes(contents[position : position + 4])
        checksum = int.from_bytes(contents[position + 4 : position + 8])
        start = position + _HEAD_BYTES
        raw = contents[start : start + length]
        if not 0 < length <= RECORD_BYTES_MAX or len(raw) != length or zlib.crc32(raw) != checksum:
            return
        yield raw
        position = start + length


def _read(path: Path) -> tuple[bytes, int]:
    """The file's contents, at most FILE_BYTES_MAX, and its size."""
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX), os.fstat(file.fileno()).st_size


def _write(descriptor: int, contents: bytes) -> int:
    view = memoryview(contents)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(contents)
