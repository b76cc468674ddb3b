"""A file of blocks as geth's `export` writes it: RLP, one block after the other; `.gz` is unpacked.

    CHAIN.rlp -> opened -> read_portions -> lists of raw blocks -> importing

Nothing is decoded here beyond how long an item is.
Memory holds one portion at a time, however long the file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

BLOCK_BYTES_MAX: Final = 64 << 20
"""No block of any network is longer."""

PORTION_BLOCKS: Final = 256
"""Blocks that are executed in one crossing and saved in one batch."""

PORTION_BYTES: Final = 8 << 20
"""Their bytes; a portion holds one block at least."""

_LIST: Final = 0xC0
_LONG_LIST: Final = 0xF7


class ImportFailed(Exception):
    """A chain file that cannot be taken in whole; the message names the file, the block and the reason."""


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked. Raises ImportFailed."""
    try:
        if file.suffix == ".gz":
            with gzip.open(file, "rb") as unpacked:
                yield cast("BinaryIO", unpacked)
        else:
            with file.open("rb") as plain:
                yield plain
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImportFailed(f"{file}: cannot be read: {reason or error}") from error


def read_portions(stream: BinaryIO, file: Path) -> Iterator[list[bytes]]:
    """Raw blocks in lists; what precedes a damaged place is given before ImportFailed is raised."""
    portion: list[bytes] = []
    size = place = 0
    while True:
        try:
            block = _read_block(stream)
        except ValueError as error:
            if portion:
                yield portion
            raise ImportFailed(f"{file}: item {place}: {error}") from None
        if block is None:
            break
        portion.append(block)
        size += len(block)
        place += 1
        if len(portion) == PORTION_BLOCKS or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _read_block(stream: BinaryIO) -> bytes | None:
    """The next item; None at the end. Raises ValueError that says what is wrong."""
    first = stream.read(1)
    if not first:
        return None
    if first[0] < _LIST:
        raise ValueError(f"found a byte 0x{first.hex()}, a block's RLP begins with 0xc0 to 0xff")
    if first[0] <= _LONG_LIST:
        prefix, size = first, first[0] - _LIST
    else:
        length = _read(stream, first[0] - _LONG_LIST)
        prefix, size = first + length, int.from_bytes(length)
    if size > BLOCK_BYTES_MAX:
        raise ValueError(f"a block of {size} bytes, at most {BLOCK_BYTES_MAX}")
    return prefix + _read(stream, size)


def _read(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise ValueError(f"the file ends {size - len(found)} bytes too early")
    return found
