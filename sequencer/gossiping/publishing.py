"""The sequencer tells of the blocks that it has sealed, and answers who has missed some.

    L2Chain -> every FLUSH_S: blocks since the last time -> UnsafeBlocks -> sign -> gossip
    l2_blocks request -> the blocks asked for, signed anew

A generation is a number that grows whenever published blocks are replaced; it starts at the wall clock's milliseconds,
so that a restarted sequencer is above its former self.
Deliberately absent: who follows, and whether anybody does. L1 holds the same blocks a little later.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.eth.blocks import Block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.engine import DerivedBlock, L2Attributes
from node.p2p.limits import TokenBucket
from node.p2p.network import PeerId
from node.rollup.deposits import DEPOSIT_TYPE
from node.rollup.limits import MAX_UNSAFE_BLOCKS, MAX_UNSAFE_BYTES
from node.rollup.unsafe import (
    UnsafeBlock,
    UnsafeBlocks,
    encode_body,
    encode_message,
    signing_message,
    split,
)
from node.runtime.faults import FaultBoard
from sequencer.gossiping.metrics import GossipMetrics
from sequencer.gossiping.wire import decode_range
from sequencer.l1.places import L1Ref

FLUSH_S: Final = 0.1
"""How often sealed blocks are told of (NETWORK.md: what libp2p carries)."""

PARTS_AT_ONCE: Final = 4
"""Messages of one flush, of MAX_UNSAFE_BLOCKS and MAX_UNSAFE_BYTES each; what is left follows in the next."""

TOLD_MAX: Final = 65_536
"""Blocks that are remembered as told: minutes of a busy sequencer whose batches do not get through.

A chain that was replaced below them is told of from its safe head on."""

ANSWERS_PER_S: Final = 2.0
"""Questions that a peer may ask each second."""

ANSWERS_BURST: Final = 32.0
"""Questions that it may ask at once after a pause: enough to close a gap of 16,000 blocks."""

PEERS_MAX: Final = 64
"""Peers whose questions are counted."""

_log = structlog.get_logger()


class PublishedChain(Protocol):
    """What of the L2's chain is told."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    @property
    def safe(self) -> Block:
        """The safe head."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the head's chain."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a kept block."""


class PublishingEngine(Protocol):
    """What of the engine is used."""

    def derive(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        ancestors: bytes,
    ) -> DerivedBlock:
        """The block that these inputs give; nothing is stored."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of an RLP block."""


class Publisher:
    """Tells of one chain's unsafe blocks."""

    def __init__(
        self,
        *,
        chain: PublishedChain,
        engine: PublishingEngine,
        domain: Hash32,
        sign: Callable[[Hash32], bytes],
        publish: Callable[[bytes], None],
        generation: int,
        faults: FaultBoard,
        metrics: GossipMetrics,
    ) -> None:
        """Start at the chain's head: what lies below it is asked for, or on L1.

        `domain` is `node.rollup.unsafe.unsafe_domain`, `sign` gives Ed25519 of 32 bytes with the sequencer's key,
        `publish` gossips a message, `generation` is above that of every earlier process with this key.
        """
        self._chain = chain
        self._engine = engine
        self._domain = domain
        self._sign = sign
        self._publish = publish
        self._generation = generation
        self._faults = faults
        self._metrics = metrics
        self._told: deque[tuple[int, Hash32]] = deque([_named(chain.head)], maxlen=TOLD_MAX)
        """The last blocks that were told of, ascending; at least one."""
        self._buckets: OrderedDict[PeerId, TokenBucket] = OrderedDict()

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Tell of sealed blocks, for ever."""
        task_status.started()
        while True:
            await trio.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        """Tell of the blocks that were sealed since the last time."""
        first = self._fork_point() + 1
        last = min(self._chain.head.header.number, first + PARTS_AT_ONCE * MAX_UNSAFE_BLOCKS - 1)
        run = self._run(first, last, bytes_max=PARTS_AT_ONCE * MAX_UNSAFE_BYTES)
        if run is None:
            return
        for piece in self._pieces(run):
            for part in split(piece):
                self._publish(self._signed(part))
        self._told.extend(
            (run.first_number + place, block.block_hash) for place, block in enumerate(run.blocks)
        )
        self._forget(below=self._chain.safe.header.number)
        self._metrics.blocks.labels(outcome="published").inc(len(run.blocks))

    async def serve(self, peer: PeerId, request: bytes) -> bytes:
        """Answer a question for blocks; empty where there is none, or too much was asked. Raises Rejected.

        Safe blocks are not told of: L1 holds them.
        """
        first, count = decode_range(request)
        head, safe = self._chain.head.header.number, self._chain.safe.header.number
        if not safe < first <= head or not self._affords(peer):
            return b""
        self._fork_point()  # What is told now belongs to the generation of now.
        run = self._run(first, min(head, first + count - 1), bytes_max=MAX_UNSAFE_BYTES)
        await trio.lowlevel.checkpoint()
        return b"" if run is None else self._signed(next(split(run)))

    def _affords(self, peer: PeerId) -> bool:
        """Whether a peer may ask again: who follows asks once in a while, and an answer costs up to 20 ms."""
        bucket = self._buckets.setdefault(
            peer, TokenBucket(rate_per_s=ANSWERS_PER_S, burst=ANSWERS_BURST)
        )
        self._buckets.move_to_end(peer)
        if len(self._buckets) > PEERS_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(trio.current_time())

    # -- what was told

    def _fork_point(self) -> int:
        """The highest block that was told of and still is on the chain; a new generation if others are not."""
        is_replaced = False
        while self._told and not self._holds(*self._told[-1]):
            self._told.pop()
            is_replaced = True
        if not self._told:  # The chain was replaced below everything that is remembered.
            self._told.append(_named(self._chain.safe))
        if is_replaced:
            self._generation += 1
            _log.info(
                "unsafe_blocks_replaced",
                from_number=self._told[-1][0] + 1,
                generation=self._generation,
            )
        return self._told[-1][0]

    def _holds(self, number: int, block_hash: Hash32) -> bool:
        block = self._chain.block_by_number(number)
        return block is not None and block.hash == block_hash

    def _forget(self, *, below: int) -> None:
        """Blocks that are safe are told of by L1; one stays as the place to go on from."""
        while len(self._told) > 1 and self._told[0][0] < below:
            self._told.popleft()

    # -- making messages

    def _run(self, first: int, last: int, *, bytes_max: int) -> UnsafeBlocks | None:
        blocks: list[UnsafeBlock] = []
        parent_hash: Hash32 | None = None
        size = 0
        for number in range(first, last + 1):
            if size > bytes_max:
                break  # The rest follows in the next flush, or is asked for.
            block = self._chain.block_by_number(number)
            origin = None if block is None else self._chain.origin_of(block.hash)
            if block is None or origin is None:
                break
            parent_hash = parent_hash or block.header.parent_hash
            size += len(block.rlp)
            blocks.append(
                UnsafeBlock(
                    timestamp=block.header.timestamp,
                    origin_number=BlockNumber(origin.number),
                    origin_hash=origin.hash,
                    transactions=self._user_transactions(block),
                    block_hash=block.hash,
                )
            )
        if parent_hash is None:
            return None
        return UnsafeBlocks(
            generation=self._generation,
            first_number=BlockNumber(first),
            parent_hash=parent_hash,
            blocks=tuple(blocks),
        )

    def _user_transactions(self, block: Block) -> tuple[bytes, ...]:
        return tuple(
            raw for raw in self._engine.raw_transactions(block.rlp) if raw[0] != DEPOSIT_TYPE
        )

    def _signed(self, run: UnsafeBlocks) -> bytes:
        body = encode_body(run)
        return encode_message(body, self._sign(signing_message(self._domain, body)))

    # -- the fault equivocate-unsafe

    def _pieces(self, run: UnsafeBlocks) -> Iterator[UnsafeBlocks]:
        """The run; while the fault is in force, another block is told of before each true one with transactions."""
        start = 0
        for place, block in enumerate(run.blocks):
            if not block.transactions or self._faults.use("equivocate-unsafe") is None:
                continue
            other = self._without_transactions(block)
            if other is None:
                continue
            if place > start:
                yield _part(run, start, run.blocks[start:place])
            yield _part(run, place, (other,))
            start = place
        yield _part(run, start, run.blocks[start:])

    def _without_transactions(self, block: UnsafeBlock) -> UnsafeBlock | None:
        """The block that the same inputs give without users' transactions; every follower can derive it."""
        sealed = self._chain.block_by_hash(block.block_hash)
        parent = None if sealed is None else self._chain.block_by_hash(sealed.header.parent_hash)
        if sealed is None or parent is None:
            return None
        raws = self._engine.raw_transactions(sealed.rlp)
        derived = self._engine.derive(
            parent.header.encode(),
            L2Attributes(
                timestamp=sealed.header.timestamp,
                mix_hash=sealed.header.mix_hash,
                parent_beacon_block_root=sealed.header.parent_beacon_block_root,
            ),
            [raw for raw in raws if raw[0] == DEPOSIT_TYPE],
            (),
            b"",
        )
        return replace(block, transactions=(), block_hash=Hash32(derived.result.block_hash))


def _named(block: Block) -> tuple[int, Hash32]:
    return block.header.number, block.hash


def _part(run: UnsafeBlocks, start: int, blocks: Sequence[UnsafeBlock]) -> UnsafeBlocks:
    parent_hash = run.blocks[start - 1].block_hash if start else run.parent_hash
    return replace(
        run,
        first_number=BlockNumber(run.first_number + start),
        parent_hash=parent_hash,
        blocks=tuple(blocks),
    )
