"""Blocks that cannot be imported yet, and what is missing for them.

    unknown parent -> OrphanPool -> (the parent is imported) -> import
    next slot's    -> FutureQueue -> (the slot begins) -> import
    blobs missing  -> BlobWaitingRoom -> (the last blob comes) -> import

Bounded by number, by bytes and by peer, so that no stranger can fill memory (node/README.md section 7).
What is full gives way from the oldest; the block comes back by request if it mattered.
Deliberately absent: asking for the missing blocks (node.sync).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.eth.primitives import Hash32, Slot

ORPHANS_MAX: Final = 64
"""Blocks in the pool."""

ORPHAN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Their envelopes together."""

ORPHANS_PER_ORIGIN_MAX: Final = 8
"""Blocks that one peer may keep waiting."""

FUTURES_MAX: Final = 16
"""Blocks of the next slot; it has one honest proposer, equivocations are few."""


BEREFT_MAX: Final = 32
"""Blocks that wait for blobs."""

MissingBlobs = Callable[[Sequence[Hash32]], Sequence[Hash32]]
"""Those of some blobs that are not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingBlock:
    """An envelope that waits."""

    block_hash: Hash32
    """Its id."""
    parent_hash: Hash32
    """The block below it."""
    slot: Slot
    """Its slot."""
    envelope: bytes
    """As received."""
    origin: str
    """Who sent it."""


class OrphanPool:
    """Blocks whose parent is unknown."""

    def __init__(self) -> None:
        self._blocks: dict[Hash32, WaitingBlock] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._blocks

    def add(self, block: WaitingBlock) -> None:
        """Keep a block, at the cost of its sender's oldest or of the pool's oldest."""
        if block.block_hash in self._blocks or len(block.envelope) > ORPHAN_BYTES_MAX:
            return
        of_origin = [one for one in self._blocks.values() if one.origin == block.origin]
        if len(of_origin) >= ORPHANS_PER_ORIGIN_MAX:
            self._remove(of_origin[0])
        while self._blocks and (
            len(self._blocks) >= ORPHANS_MAX or self._bytes + len(block.envelope) > ORPHAN_BYTES_MAX
        ):
            self._remove(next(iter(self._blocks.values())))
        self._blocks[block.block_hash] = block
        self._bytes += len(block.envelope)

    def take_children(self, parent_hash: Hash32) -> list[WaitingBlock]:
        """Remove and give the blocks that waited for this one, in order of slot and hash."""
        children = [one for one in self._blocks.values() if one.parent_hash == parent_hash]
        for child in children:
            self._remove(child)
        return sorted(children, key=lambda one: (one.slot, one.block_hash))

    def drop(self, block_hash: Hash32) -> None:
        """Forget a block and everything that waits for it."""
        if (block := self._blocks.get(block_hash)) is not None:
            self._remove(block)
        pending = [block_hash]
        while pending:
            pending += [child.block_hash for child in self.take_children(pending.pop())]

    def prune(self, finalized_slot: int) -> None:
        """Forget blocks that can no longer be imported."""
        for block in [one for one in self._blocks.values() if one.slot <= finalized_slot]:
            self._remove(block)

    def missing(self) -> dict[Hash32, str]:
        """Parents that are neither here nor imported, each with the sender of a block above it."""
        return {
            one.parent_hash: one.origin
            for one in self._blocks.values()
            if one.parent_hash not in self._blocks
        }

    def _remove(self, block: WaitingBlock) -> None:
        del self._blocks[block.block_hash]
        self._bytes -= len(block.envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bereft:
    """A block and the blobs it cannot do without."""

    block: WaitingBlock
    hashes: tuple[Hash32, ...]
    since: int


class BlobWaitingRoom:
    """Blocks that every rule of consensus allows and whose blobs are not here.

    Their proposers' signatures hold, so an outsider cannot fill it; it is bounded all the same.
    """

    def __init__(self) -> None:
        self._blocks: dict[Hash32, _Bereft] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._blocks

    def add(self, block: WaitingBlock, hashes: Sequence[Hash32], *, now: int) -> None:
        """Keep a block from this slot on, at the cost of the oldest; one that comes again has waited since it first came."""
        known = self._blocks.pop(block.block_hash, None)
        since = now if known is None else known.since
        while len(self._blocks) >= BEREFT_MAX or self._bytes() + len(block.envelope) > (
            ORPHAN_BYTES_MAX
        ):
            if not self._blocks:
                return
            del self._blocks[next(iter(self._blocks))]
        self._blocks[block.block_hash] = _Bereft(block=block, hashes=tuple(hashes), since=since)

    def longest_wait(self, now: int) -> int:
        """For how many slots the first of them has waited; 0 where none does."""
        return max((now - one.since for one in self._blocks.values()), default=0)

    def take_complete(self, missing: MissingBlobs) -> list[WaitingBlock]:
        """Remove and give the blocks whose blobs are here now, in order of slot and hash."""
        return self._take([one for one in self._blocks.values() if not missing(one.hashes)])

    def take_before(self, slot: int) -> list[WaitingBlock]:
        """Remove and give the blocks of earlier slots."""
        return self._take([one for one in self._blocks.values() if one.block.slot < slot])

    def prune(self, finalized_slot: int) -> None:
        """Forget blocks that can no longer be imported."""
        self._take([one for one in self._blocks.values() if one.block.slot <= finalized_slot])

    def wanted(self) -> dict[Hash32, str]:
        """Blobs of these blocks, here or not, each with the sender of its block."""
        return {blob: one.block.origin for one in self._blocks.values() for blob in one.hashes}

    def _take(self, chosen: list[_Bereft]) -> list[WaitingBlock]:
        for one in chosen:
            del self._blocks[one.block.block_hash]
        blocks = [one.block for one in chosen]
        return sorted(blocks, key=lambda one: (one.slot, one.block_hash))

    def _bytes(self) -> int:
        return sum(len(one.block.envelope) for one in self._blocks.values())


class FutureQueue:
    """Blocks of the slot after the current one."""

    def __init__(self) -> None:
        self._blocks: dict[Hash32, WaitingBlock] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, block: WaitingBlock) -> None:
        """Keep a block; nothing happens when the queue is full."""
        if len(self._blocks) < FUTURES_MAX:
            self._blocks.setdefault(block.block_hash, block)

    def take_due(self, slot: int) -> list[WaitingBlock]:
        """Remove and give the blocks whose slot has begun, in order of slot and hash."""
        due = [one for one in self._blocks.values() if one.slot <= slot]
        for block in due:
            del self._blocks[block.block_hash]
        return sorted(due, key=lambda one: (one.slot, one.block_hash))
