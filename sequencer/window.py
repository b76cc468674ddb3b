"""The newest blocks of the L2, in memory: everything that is not on disk yet, and as much more as fits.

    L2Chain.append -> Window.add;  reset -> Window.drop_above;  saved -> Window.trim
    look-ups by number, by hash, by transaction

Mutable, owned by `L2Chain`. The numbers in it have no gap and end at the head.
"""

from __future__ import annotations

from typing import Final

from node.eth.primitives import Hash32
from sequencer.store import Kept

BLOCKS_MAX: Final = 2_048
"""A full burst of blocks with a transaction each."""

TRANSACTIONS_MAX: Final = 30_000
"""Their transactions, at about 200 bytes of index each."""

BYTES_MAX: Final = 16 << 20
"""Their blocks and receipts."""

OVERHEAD_BYTES: Final = 2_560
"""What a decoded header and its place cost beside its bytes, about."""

_INDEX_BITS: Final = 20


class Window:
    """The newest blocks of one chain."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._numbers: dict[Hash32, int] = {}
        self._places: dict[bytes, int] = {}
        self._bytes = 0
        self._first = 0
        self._last = -1

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes_total(self) -> int:
        """What they weigh, about."""
        return self._bytes

    def get(self, number: int) -> Kept | None:
        """The block of a number."""
        return self._kept.get(number)

    def number_of(self, block_hash: Hash32) -> int | None:
        """The number of a block."""
        return self._numbers.get(block_hash)

    def place_of(self, transaction_hash: bytes) -> tuple[Kept, int] | None:
        """The block that holds a transaction, and its index there."""
        place = self._places.get(transaction_hash)
        if place is None:
            return None
        return self._kept[place >> _INDEX_BITS], place & ((1 << _INDEX_BITS) - 1)

    def add(self, kept: Kept) -> None:
        """Put a block on the last one."""
        number: int = kept.block.header.number
        if not self._kept:
            self._first = number
        assert not self._kept or number == self._last + 1, "a gap"
        self._last = number
        self._kept[number] = kept
        self._numbers[kept.block.hash] = number
        self._bytes += weight(kept)
        base = number << _INDEX_BITS
        for index, transaction_hash in enumerate(kept.transaction_hashes):
            self._places[transaction_hash] = base + index

    def drop_above(self, number: int) -> None:
        """Let go of every block above a number."""
        for gone in range(self._last, max(number, self._first - 1), -1):
            self._remove(gone)
        self._last = min(self._last, number) if self._kept else -1

    def trim(self, saved_to: int) -> None:
        """Let go of the oldest blocks that are on disk, until the rest is within bounds."""
        while self._first <= min(saved_to, self._last) and (
            len(self._kept) > BLOCKS_MAX
            or self._bytes > BYTES_MAX
            or len(self._places) > TRANSACTIONS_MAX
        ):
            self._remove(self._first)
            self._first += 1

    def _remove(self, number: int) -> None:
        kept = self._kept.pop(number)
        del self._numbers[kept.block.hash]
        self._bytes -= weight(kept)
        for transaction_hash in kept.transaction_hashes:
            del self._places[transaction_hash]


def weight(kept: Kept) -> int:
    """What a block weighs in memory, about; bytes."""
    return len(kept.block.rlp) + len(kept.block.receipts) + OVERHEAD_BYTES
