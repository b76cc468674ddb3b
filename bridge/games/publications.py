"""Where on L1 the output roots lie that games name: an index of the RootRegistry's logs.

    catch_up: blocks whose bloom filter does not exclude the Registry -> their logs -> id -> (block, log)
    find(id, made in): that block again -> the roots, chunk by chunk

A game's roots were published in the AGE_MAX blocks before it, or it could not have been made: a name that is not in the index is
looked for in just these, so nobody can hide roots behind many others.
A name commits to its roots, so what was found once stays true on every fork; L1 may drop the block, never make it wrong.
Names are kept, not roots: a busy L2 publishes 20 MB of them in an hour.
Deliberately absent: whether a root is true.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import trio

from node.contracts import disputes
from node.contracts.addresses import ROOT_REGISTRY
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.answers import RawLog
from node.rollup.claims import CHUNK_ROOTS
from node.runtime.worker import Worker
from sequencer.l1.places import L1Ref
from sequencer.l1.view import bloom_bits, may_hold

AGE_MAX: Final = 256
"""L1 blocks for which a publication counts (node/contracts/l1/RootRegistry.vy)."""

NAMES_MAX: Final = 1 << 14
"""Names in memory, the newest."""

BEGINS_BEFORE: Final = 2 * AGE_MAX
"""Blocks below the head at which a process begins to read."""

SCANNED_BLOCKS: Final = 512
"""Blocks whose bloom filters are read before others on the loop get their turn."""

_BITS: Final = bloom_bits(ROOT_REGISTRY)


class PublishedOn(Protocol):
    """What of `node.chain.Chain` is read."""

    @property
    def head(self) -> Block:
        """The head."""

    @property
    def finalized(self) -> Block:
        """The final block."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks, both ends included."""


class LogReader(Protocol):
    """What of L1's engine is asked."""

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> Sequence[RawLog]:
        """The logs of one contract in a block with this first topic."""


_ChunkName = tuple[Hash32, int]
"""Top of a chunk's tree, and how many roots it has: trees are filled up with zeros, so the tree alone says too little."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A log."""

    block_hash: Hash32
    """The L1 block that holds it."""
    log_index: int
    """Counts that block's logs."""
    is_span: bool
    """Whether it joins others."""


class Publications:
    """The index of one process; belongs to its loop."""

    def __init__(self, chain: PublishedOn, engine: LogReader, worker: Worker) -> None:
        self._chain = chain
        self._engine = engine
        self._worker = worker
        self._places: OrderedDict[Hash32, _Place] = OrderedDict()
        self._chunks: OrderedDict[_ChunkName, Hash32] = OrderedDict()
        """Names of what was published by tree and count, which is how a span lists its chunks."""
        self._read: L1Ref | None = None

    async def catch_up(self) -> None:
        """Read L1's logs up to its head."""
        while True:
            first = self._first_unread()
            last = min(self._chain.head.header.number, first + SCANNED_BLOCKS - 1)
            if first > last:
                return
            self._scan_blocks(first, last)
            await trio.lowlevel.checkpoint()

    async def find(self, roots_id: Hash32, made_in: int) -> tuple[Hash32, ...] | None:
        """The roots of a game that was made in an L1 block of this number; None where L1 does not hold them."""
        found = await self._assembled(roots_id)
        if found is None:
            first = max(1, made_in - AGE_MAX)
            self._scan_blocks(first, made_in, moves_on=False)
            await trio.lowlevel.checkpoint()
            found = await self._assembled(roots_id)
        return found

    async def _assembled(self, roots_id: Hash32) -> tuple[Hash32, ...] | None:
        place = self._places.get(roots_id)
        if place is None:
            return None
        if not place.is_span:
            return await self._published(place)
        log = self._log(place, disputes.ROOTS_SPANNED)
        spanned = None if log is None else disputes.read_roots_spanned(log.topics, log.data)
        if spanned is None:
            return None
        found: list[Hash32] = []
        for place_of, tree in enumerate(spanned.trees):
            count = min(CHUNK_ROOTS, spanned.count - place_of * CHUNK_ROOTS)
            name = self._chunks.get((tree, count))
            chunk = None if name is None else self._places.get(name)
            roots = None if chunk is None else await self._published(chunk)
            if roots is None:
                return None
            found += roots
        return tuple(found)

    async def _published(self, place: _Place) -> tuple[Hash32, ...] | None:
        log = self._log(place, disputes.ROOTS_PUBLISHED)
        if log is None:
            return None
        published = await self._worker.run(
            partial(disputes.read_roots_published, log.topics, log.data)
        )
        return None if published is None else published.roots

    def _first_unread(self) -> int:
        read = self._read
        if read is None:
            return max(1, self._chain.head.header.number - BEGINS_BEFORE)
        if self._chain.canonical_hash(read.number) == read.hash:
            return read.number + 1
        # What is final has been read unless finality has overtaken us: then that is where the new chain begins.
        return min(read.number, self._chain.finalized.header.number + 1)

    def _scan_blocks(self, first: int, last: int, *, moves_on: bool = True) -> None:
        for number, (block_hash, bloom) in enumerate(self._chain.blooms(first, last), first):
            if may_hold(bloom, _BITS):
                self._scan(block_hash)
            if moves_on:
                self._read = L1Ref(number=number, hash=block_hash)

    def _scan(self, block_hash: Hash32) -> None:
        block = self._chain.block_by_hash(block_hash)
        if block is None:
            return
        for log in self._engine.logs(block.receipts, ROOT_REGISTRY, disputes.ROOTS_PUBLISHED):
            name, tree = Hash32(log.topics[1]), Hash32(log.topics[2])
            self._remember(name, _Place(block_hash, log.index, is_span=False))
            # abi.encode(bytes32[]): an offset, then how many.
            chunk = tree, int.from_bytes(log.data[32:64])
            self._chunks[chunk] = name
            self._chunks.move_to_end(chunk)
            if len(self._chunks) > NAMES_MAX:
                self._chunks.popitem(last=False)
        for log in self._engine.logs(block.receipts, ROOT_REGISTRY, disputes.ROOTS_SPANNED):
            self._remember(Hash32(log.topics[1]), _Place(block_hash, log.index, is_span=True))

    def _remember(self, name: Hash32, place: _Place) -> None:
        self._places[name] = place
        self._places.move_to_end(name)
        if len(self._places) > NAMES_MAX:
            self._places.popitem(last=False)

    def _log(self, place: _Place, topic: Hash32) -> RawLog | None:
        block = self._chain.block_by_hash(place.block_hash)
        if block is None:
            return None
        found = self._engine.logs(block.receipts, ROOT_REGISTRY, topic)
        return next((log for log in found if log.index == place.log_index), None)
