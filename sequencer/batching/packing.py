"""How many L2 blocks one append takes, and its bytes.

    blocks not yet posted -> Packer.pack -> guess from the last ratio -> encode -> (too long: fewer | room left: more) -> Packed

Signatures do not compress and the rest does, so the ratio hardly moves: one or two encodes make a batch.
A single block always fits: its raw transactions are bounded below the limit.
Deliberately absent: threads (the caller's), and what a batch's bytes mean (node.rollup).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.execution.engine import PackedBlock

BLOCKS_MAX: Final = 512
"""L2 blocks of one record; the Inbox refuses more."""

ADVANCES_MAX: Final = 256
"""L1 origins of one record; the Inbox refuses more."""

BLOCK_OVERHEAD_BYTES: Final = 20
"""Prefixes, timestamp and flag of a block, before compression, at most."""

TRANSACTION_OVERHEAD_BYTES: Final = 3
"""The prefix of a raw transaction, before compression, at most."""

ATTEMPTS_MAX: Final = 8
"""Encodes of one batch; then the largest that fits is taken."""

AIM: Final = 0.98
"""Share of the limit that a guess aims at."""

ENOUGH: Final = 0.94
"""A batch that fills this share is not made anew."""

PLENTY: Final = 1.25
"""More than this share of the limit cannot fit, whatever the last ratio was worth."""

Encoder = Callable[[Sequence[PackedBlock]], bytes]
"""Makes a batch of blocks: `node.execution.adapter.encode_batch` with a quality of brotli's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingLimits:
    """Bounds of one record (ROLLUP parameters)."""

    batch_bytes_max: int
    """Compressed."""
    decompressed_bytes_max: int
    """Decompressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A batch."""

    data: bytes
    """Its bytes."""
    block_count: int
    """How many of the offered blocks it holds, from the first on."""
    transaction_count: int
    """User transactions in them."""
    is_full: bool
    """Whether the block after them would not have fitted."""


def size_of(block: PackedBlock) -> int:
    """Bound the bytes that a block takes before compression."""
    overhead = TRANSACTION_OVERHEAD_BYTES * len(block.transactions)
    return BLOCK_OVERHEAD_BYTES + overhead + sum(len(one) for one in block.transactions)


class Packer:
    """Packs one batch after the other and learns how well they compress. Not to be used from two threads at once."""

    def __init__(self, encode: Encoder, limits: PackingLimits) -> None:
        self._encode = encode
        self._limits = limits
        self._ratio = 1.0
        self.encodes = 0
        """Encodes so far."""

    def fills(self, count: int, total: int) -> bool:
        """Tell whether so many blocks of so many bytes (`size_of`) probably fill a batch, without encoding them."""
        return self._reaches(count, total, AIM)

    def is_plenty(self, count: int, total: int) -> bool:
        """Tell whether no batch could hold them all, so that it need not be offered more."""
        return self._reaches(count, total, PLENTY)

    def _reaches(self, count: int, total: int, share: float) -> bool:
        return (
            count >= BLOCKS_MAX
            or total * self._ratio >= share * self._limits.batch_bytes_max
            or total >= share * self._limits.decompressed_bytes_max
        )

    def pack(self, blocks: Sequence[PackedBlock]) -> Packed:
        """Put as many of these blocks into one batch as fit, in order; at least one must be given."""
        assert blocks, "nothing to pack"
        allowed = self._allowed(blocks)
        sizes = [size_of(block) for block in blocks[:allowed]]
        fitting, data = 0, b""
        refused = allowed + 1
        count = self._guess(sizes)
        for _ in range(ATTEMPTS_MAX):
            encoded = self._encode(blocks[:count])
            self.encodes += 1
            self._ratio = len(encoded) / sum(sizes[:count])
            if len(encoded) <= self._limits.batch_bytes_max:
                fitting, data = count, encoded
                if len(encoded) >= ENOUGH * self._limits.batch_bytes_max:
                    break
            else:
                refused = count
            if refused - fitting <= 1:
                break
            count = min(max(self._guess(sizes), fitting + 1), refused - 1)
        if not fitting:
            fitting, data = 1, self._encode(blocks[:1])
            self.encodes += 1
        assert len(data) <= self._limits.batch_bytes_max, "a single block is larger than a batch"
        return Packed(
            data=data,
            block_count=fitting,
            transaction_count=sum(len(block.transactions) for block in blocks[:fitting]),
            is_full=fitting < len(blocks),
        )

    def _allowed(self, blocks: Sequence[PackedBlock]) -> int:
        """How many blocks the bounds before compression let in."""
        advances, total = 0, 0
        for place, block in enumerate(blocks[:BLOCKS_MAX]):
            advances += block.advances_origin
            total += size_of(block)
            if place and (
                advances > ADVANCES_MAX or total > self._limits.decompressed_bytes_max - 16
            ):
                return place
        return min(len(blocks), BLOCKS_MAX)

    def _guess(self, sizes: Sequence[int]) -> int:
        room = AIM * self._limits.batch_bytes_max / self._ratio
        count, total = 0, 0
        for size in sizes:
            total += size
            if total > room and count:
                break
            count += 1
        return count
