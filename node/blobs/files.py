"""One file for each blob, named by when it was last needed and by its versioned hash.

    <folder>/<slot>.<b|t>.<versioned hash>      b: of a block, t: of a transaction that waits

So a folder's listing is the whole index, moving a blob's time is a rename, and forgetting gives the room back at once.
A file is written beside its name and renamed into place; it is not flushed: a power loss may take the newest, which others have.
What is read is checked: CRC-32 over all, and the commitment against the name. Damage is a blob that is not here.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from node.eth.blobs import BLOB_BYTES, COMMITMENT_BYTES, PROOFS_BYTES, Blob
from node.eth.primitives import Hash32

FILE_BYTES: Final = 4 + COMMITMENT_BYTES + PROOFS_BYTES + BLOB_BYTES
"""Every file has so many bytes: CRC-32 (big-endian), commitment, proofs, blob."""

_NAME: Final = re.compile(r"(\d{12})\.([bt])\.(01[0-9a-f]{62})")

_PARTIAL: Final = ".new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a blob lies."""

    versioned_hash: Hash32
    """Its name."""
    slot: int
    """When it was last needed."""
    is_of_block: bool
    """Whether a block that was imported here holds it."""

    @property
    def name(self) -> str:
        """The file's name."""
        kind = "b" if self.is_of_block else "t"
        return f"{self.slot:012d}.{kind}.{self.versioned_hash.hex()}"


class BlobFiles(Protocol):
    """Where blobs lie."""

    def places(self) -> list[Place]:
        """Everything that is there; what is no whole file is removed. Raises OSError."""

    def write(self, place: Place, blob: Blob) -> None:
        """Put a blob there. Raises OSError."""

    def read(self, place: Place) -> Blob | None:
        """A blob; None if it is gone or damaged. Raises OSError if that cannot be told now."""

    def move(self, old: Place, new: Place) -> None:
        """Give a blob another place. Raises OSError."""

    def remove(self, place: Place) -> None:
        """Forget a blob; nothing happens if it is gone. Raises OSError."""


class FolderFiles:
    """Files of one folder, which is made when the first blob comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def places(self) -> list[Place]:
        """Everything that is there; what is no whole file is removed. Raises OSError."""
        if not self._folder.exists():
            return []
        found: list[Place] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                place = _place_of(entry.name)
                if place is not None and entry.stat().st_size == FILE_BYTES:
                    found.append(place)
                elif place is not None or entry.name.endswith(_PARTIAL):
                    Path(entry.path).unlink(missing_ok=True)
        return found

    def write(self, place: Place, blob: Blob) -> None:
        """Put a blob there. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        partial = self._folder / (place.versioned_hash.hex() + _PARTIAL)
        try:
            partial.write_bytes(encode_file(blob))
            partial.replace(self._folder / place.name)
        except OSError:
            # Where the disk is full, half a file would keep it full
            partial.unlink(missing_ok=True)
            raise

    def read(self, place: Place) -> Blob | None:
        """A blob; None if it is gone or damaged. Raises OSError if that cannot be told now."""
        try:
            contents = (self._folder / place.name).read_bytes()
        except FileNotFoundError:
            return None
        return decode_file(contents, place.versioned_hash)

    def move(self, old: Place, new: Place) -> None:
        """Give a blob another place. Raises OSError."""
        (self._folder / old.name).replace(self._folder / new.name)

    def remove(self, place: Place) -> None:
        """Forget a blob; nothing happens if it is gone. Raises OSError."""
        (self._folder / place.name).unlink(missing_ok=True)


class MemoryFiles:
    """Files of a simulated disk."""

    def __init__(self) -> None:
        self._blobs: dict[Place, Blob] = {}

    def places(self) -> list[Place]:
        """Everything that is there."""
        return list(self._blobs)

    def write(self, place: Place, blob: Blob) -> None:
        """Put a blob there."""
        self._blobs[place] = blob

    def read(self, place: Place) -> Blob | None:
        """A blob."""
        return self._blobs.get(place)

    def move(self, old: Place, new: Place) -> None:
        """Give a blob another place."""
        self._blobs[new] = self._blobs.pop(old)

    def remove(self, place: Place) -> None:
        """Forget a blob."""
        self._blobs.pop(place, None)


def encode_file(blob: Blob) -> bytes:
    """A blob as a file holds it."""
    contents = blob.commitment + blob.proofs + blob.data
    return zlib.crc32(contents).to_bytes(4) + contents


def decode_file(contents: bytes, versioned_hash: Hash32) -> Blob | None:
    """Read a file; None if it does not hold the blob of this name."""
    if len(contents) != FILE_BYTES or int.from_bytes(contents[:4]) != zlib.crc32(contents[4:]):
        return None
    proofs_at = 4 + COMMITMENT_BYTES
    blob = Blob(
        data=contents[proofs_at + PROOFS_BYTES :],
        commitment=contents[4:proofs_at],
        proofs=contents[proofs_at : proofs_at + PROOFS_BYTES],
    )
    return blob if blob.versioned_hash == versioned_hash else None


def _place_of(name: str) -> Place | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Place(
        versioned_hash=Hash32(bytes.fromhex(found[3])),
        slot=int(found[1]),
        is_of_block=found[2] == "b",
    )
