"""What happened to the L2's unsafe chain, on disk before anybody is told: blocks in the order in which they were appended.

    L2Chain.append -> Journal.append (a write, before any reply) -> [at most 50 ms] sync, one for all
    L2Chain.save   -> the tables hold all of it up to a Position -> Journal.rotate, Journal.forget
    kill -9        -> open_journal -> entries after the tables' Position -> executed again

A folder of segments, each named by a number that grows. A record: marker (4 bytes), length of the payload (4), CRC-32 of what
follows (4), bytes of this segment that were synced when it was written (8), payload. Integers are big-endian.
A record is with the operating system when `append` returns, so kill -9 loses nothing; a power loss may take what was not synced.
A torn end is cut. Damage before an end that was synced is no torn write: nothing is cut then, and the process stops.
Deliberately absent: receipts and states. A block gives the same ones again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from node.errors import Corruption
from node.eth.primitives import Hash32
from sequencer.l1.places import L1Ref

MAGIC: Final = b"faultline l2 blocks 1\n"
"""First bytes of every segment."""

PAYLOAD_BYTES_MAX: Final = 4 << 20
"""No record is longer: a block's transactions have 31 KiB, its deposits a little more."""

SEGMENT_BYTES_MAX: Final = 1 << 30
"""No segment that is read is longer; rotation keeps them at some ten megabytes."""

_MARKER: Final = b"\xfaL2\n"
_HEAD_BYTES: Final = 20
_BLOCK: Final = b"\x01"
_RESET: Final = b"\x02"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the journal: everything before it has happened."""

    segment: int
    """Number of the segment."""
    offset: int
    """Bytes from its beginning."""


@dataclass(frozen=True, slots=True)
class BlockAppended:
    """A block was put on the head."""

    block: bytes
    """Its RLP."""
    origin: L1Ref
    """Its L1 origin."""


@dataclass(frozen=True, slots=True)
class ResetTo:
    """Every block above a number was dropped."""

    number: int
    """The head afterwards."""


Entry: TypeAlias = BlockAppended | ResetTo


class Journal:
    """The open segment; for one task, `sync` apart."""

    def __init__(self, folder: Path, segment: int) -> None:
        """Begin a new segment. Raises OSError."""
        self.folder: Final = folder
        """Where the segments lie."""
        self._segment = segment
        self._descriptor = _create(_path(folder, segment))
        self._offset = self._synced = len(MAGIC)

    @property
    def position(self) -> Position:
        """After the last record."""
        return Position(self._segment, self._offset)

    def append_block(self, block: bytes, origin: L1Ref) -> None:
        """Write a block; it outlives this process, and after `sync` the machine. Raises OSError."""
        self._append(_BLOCK + origin.number.to_bytes(8) + origin.hash + block)

    def append_reset(self, number: int) -> None:
        """Write that the blocks above a number were dropped. Raises OSError."""
        self._append(_RESET + number.to_bytes(8))

    @property
    def is_synced(self) -> bool:
        """Whether everything outlives a power loss."""
        return self._synced == self._offset

    def sync(self) -> None:
        """Wait for the disk; what is appended meanwhile may wait for the next time. Raises OSError."""
        segment, offset = self._segment, self._offset
        os.fdatasync(self._descriptor)
        if segment == self._segment:
            self._synced = max(self._synced, offset)

    def rotate(self) -> None:
        """Begin a new segment; the old one is synced first, because order is what replay relies on. Raises OSError."""
        descriptor = _create(_path(self.folder, self._segment + 1))
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._segment += 1
        self._offset = self._synced = len(MAGIC)

    def forget(self, before: Position) -> None:
        """Remove the segments that lie wholly before a position. Raises OSError."""
        for segment in segments(self.folder):
            if segment < min(before.segment, self._segment):
                _path(self.folder, segment).unlink()

    def close(self) -> None:
        """Sync and close."""
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)

    def _append(self, payload: bytes) -> None:
        assert len(payload) <= PAYLOAD_BYTES_MAX, "a block longer than any"
        synced = self._synced.to_bytes(8)
        checksum = zlib.crc32(payload, zlib.crc32(synced))
        head = _MARKER + len(payload).to_bytes(4) + checksum.to_bytes(4) + synced
        _write(self._descriptor, head + payload)
        self._offset += _HEAD_BYTES + len(payload)


def segments(folder: Path) -> list[int]:
    """Numbers of the segments in a folder, ascending; none if there is no folder."""
    return sorted(int(path.stem) for path in folder.glob("*.journal") if path.stem.isdecimal())


def replay(folder: Path, after: Position) -> Iterator[Entry]:
    """What was written after a position, in order; a torn end of the last segment is left out.

    A position beyond the end means that the journal's end was lost and the tables have more: nothing follows.
    Raises Corruption (naming the file), OSError.
    """
    found = [segment for segment in segments(folder) if segment >= after.segment]
    if found and found != list(range(found[0], found[-1] + 1)):
        raise Corruption(f"{folder}: a segment between {found[0]} and {found[-1]} is missing")
    for segment in found:
        path = _path(folder, segment)
        if path.stat().st_size > SEGMENT_BYTES_MAX:
            raise Corruption(f"{path}: longer than any segment")
        start = after.offset if segment == after.segment else len(MAGIC)
        yield from _entries(path, path.read_bytes(), start, is_last=segment == found[-1])


def _entries(path: Path, contents: bytes, start: int, *, is_last: bool) -> Iterator[Entry]:
    if not contents.startswith(MAGIC):
        if is_last and len(contents) <= len(MAGIC):
            return  # killed, or without power, while it was created
        raise Corruption(f"{path}: this is no journal of L2 blocks")
    position = start
    while position < len(contents):
        payload = _payload(contents, position)
        if payload is None:
            _check_torn(path, contents, position, is_last=is_last)
            return
        yield _decode(path, position, payload)
        position += _HEAD_BYTES + len(payload)


def _payload(contents: bytes, position: int) -> bytes | None:
    """The payload of the record at a position, if it is whole."""
    head = contents[position : position + _HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[:4] != _MARKER:
        return None
    length, checksum = int.from_bytes(head[4:8]), int.from_bytes(head[8:12])
    start = position + _HEAD_BYTES
    payload = contents[start : start + length]
    if length > PAYLOAD_BYTES_MAX or len(payload) != length:
        return None
    return payload if zlib.crc32(payload, zlib.crc32(head[12:])) == checksum else None


def _check_torn(path: Path, contents: bytes, damaged: int, *, is_last: bool) -> None:
    """Raise Corruption unless what begins at `damaged` may be a write that a kill or a power loss interrupted.

    A later whole record tells how much was synced when it was written: a torn write is never below that.
    """
    later = contents.find(_MARKER, damaged + 1)
    while later != -1:
        if _payload(contents, later) is not None:
            synced = int.from_bytes(contents[later + 12 : later + _HEAD_BYTES])
            if synced > damaged:
                raise Corruption(f"{path}: damaged at byte {damaged}, and whole after it")
        later = contents.find(_MARKER, later + 1)
    if not is_last:
        raise Corruption(f"{path}: damaged at byte {damaged}, and another segment follows")


def _decode(path: Path, position: int, payload: bytes) -> Entry:
    kind = payload[:1]
    if kind == _BLOCK and len(payload) > 41:
        origin = L1Ref(number=int.from_bytes(payload[1:9]), hash=Hash32(payload[9:41]))
        return BlockAppended(payload[41:], origin)
    if kind == _RESET and len(payload) == 9:
        return ResetTo(int.from_bytes(payload[1:]))
    raise Corruption(f"{path}: the record at byte {position} is of no known kind")


def _path(folder: Path, segment: int) -> Path:
    return folder / f"{segment:010}.journal"


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        _write(descriptor, MAGIC)
        os.fdatasync(descriptor)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, contents: bytes) -> None:
    written = os.write(descriptor, contents)
    while written < len(contents):
        written += os.write(descriptor, memoryview(contents)[written:])
