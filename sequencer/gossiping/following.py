"""A replica follows the sequencer's unsafe blocks before L1 holds them.

    gossip -> open_message (signature first) -> queue -> known ones skipped
      -> a gap below            -> asked of the sequencer
      -> other blocks than ours -> a higher generation replaces them, the same one is equivocation: first seen stays
      -> derive_all, on this node's own L1 origins -> same hash? -> L2Chain.append

What is followed is never trusted further than `latest`: derivation from L1 decides, and drops what differs from it.
Deliberately absent: blocks. A message carries inputs, so that a follower executes by the rules and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.consensus.signing import SignatureVerifier
from node.errors import Rejected
from node.eth.blocks import Block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.engine import BlockResult
from node.p2p.limits import FreshQueue
from node.p2p.network import PeerId, RequestFailed, Verdict
from node.rollup.derivation import Origin
from node.rollup.limits import MAX_UNSAFE_BLOCKS
from node.rollup.parameters import RollupParameters
from node.rollup.unsafe import UnsafeBlock, UnsafeBlocks, inputs_of, open_message
from node.runtime.worker import Worker
from sequencer.deriving.executing import DerivationEngine, Outcome, Task, derive_all
from sequencer.gossiping.metrics import GossipMetrics
from sequencer.gossiping.wire import encode_range
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View

QUEUE_RUNS_MAX: Final = 64
"""Runs that wait: seconds of a busy sequencer. What falls out is asked for again as a gap."""

QUEUE_BYTES_MAX: Final = 8 << 20
"""Their bytes, as gossiped."""

CHUNK_BLOCKS: Final = 64
"""Blocks derived before the loop hears of them."""

RESET_BLOCKS: Final = 64
"""Blocks dropped without letting others run."""

ROUNDS_MAX: Final = 256
"""Requests made to close one gap; the rest is closed when the next run arrives, or by L1."""

ORIGIN_TIMEOUT_S: Final = 6.0
"""How long an origin that this node has not seen yet is waited for: three slots."""

_log = structlog.get_logger()


class FollowedChain(Protocol):
    """What following reads and changes of the L2's chain; all of it on the loop."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    @property
    def safe(self) -> Block:
        """The safe head."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the head's chain."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a kept block."""

    def append(self, result: BlockResult, origin: L1Ref) -> Block:
        """Put a block on the head."""

    def reset_to(self, number: int) -> Sequence[Block]:
        """Drop every block above a number."""

    async def room(self) -> None:
        """Wait until the disk keeps up."""


Ask = Callable[[bytes], Awaitable[bytes]]
"""Asks the sequencer for unsafe blocks. Raises RequestFailed."""


class Follower:
    """Follows one sequencer."""

    def __init__(
        self,
        *,
        parameters: RollupParameters,
        l1: L1View,
        l2: FollowedChain,
        engine: DerivationEngine,
        worker: Worker,
        domain: Hash32,
        verify: SignatureVerifier,
        ask: Ask,
        metrics: GossipMetrics,
    ) -> None:
        """Start below every generation; `domain` is `node.rollup.unsafe.unsafe_domain`."""
        self._parameters = parameters
        self._l1 = l1
        self._l2 = l2
        self._engine = engine
        self._worker = worker
        self._domain = domain
        self._verify = verify
        self._ask = ask
        self._metrics = metrics
        self._generation = 0
        self._queue: FreshQueue[UnsafeBlocks] = FreshQueue(
            items_max=QUEUE_RUNS_MAX, bytes_max=QUEUE_BYTES_MAX
        )

    # -- receiving

    async def on_gossip(self, peer: PeerId, message: bytes) -> Verdict:
        """Judge a gossiped run by its signature and its form."""
        try:
            run = self._open(message)
        except Rejected as rejection:
            self._metrics.runs.labels(outcome="refused").inc()
            _log.warning("unsafe_blocks_refused", peer=peer, reason=rejection.reason.value)
            return Verdict.REJECT
        self._queue.put(run, len(message))
        return Verdict.ACCEPT

    def _open(self, message: bytes) -> UnsafeBlocks:
        return open_message(message, self._parameters, self._domain, self._verify)

    # -- following

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Follow what was received, for ever."""
        task_status.started()
        while True:
            await self.follow(await self._queue.get())

    async def follow(self, run: UnsafeBlocks) -> None:
        """Bring the chain up to the end of a run, if this node's L1 and its own blocks let it."""
        for _ in range(ROUNDS_MAX):
            if run.generation < self._generation:
                return self._count("stale")
            rest = self._unknown_part(run)
            if rest is None:
                return self._count("known")
            start = self._place_of(rest)
            if start is None:
                if not await self._apply(rest):
                    return None
                return self._count("followed")
            missing = await self._missing_from(start)
            if missing is None or not await self._follow_missing(missing):
                return self._count("gap")
        return self._count("gap")

    def _count(self, outcome: str) -> None:
        self._metrics.runs.labels(outcome=outcome).inc()

    def _unknown_part(self, run: UnsafeBlocks) -> UnsafeBlocks | None:
        """The run without the blocks at its start that this node has; None if it has all."""
        for place, block in enumerate(run.blocks):
            if not self._holds(run.first_number + place, block.block_hash):
                parent_hash = run.blocks[place - 1].block_hash if place else run.parent_hash
                return replace(
                    run,
                    first_number=BlockNumber(run.first_number + place),
                    parent_hash=parent_hash,
                    blocks=run.blocks[place:],
                )
        self._generation = max(self._generation, run.generation)
        return None

    def _holds(self, number: int, block_hash: Hash32) -> bool:
        block = self._l2.block_by_number(number)
        return block is not None and block.hash == block_hash

    def _place_of(self, run: UnsafeBlocks) -> int | None:
        """None if the run's parent is here; else the number from which blocks are missing."""
        below = run.first_number - 1
        if self._holds(below, run.parent_hash):
            return None
        head = self._l2.head.header.number
        return head + 1 if below > head else self._l2.safe.header.number + 1

    # -- gaps

    async def _missing_from(self, number: int) -> UnsafeBlocks | None:
        """A run from this number on, asked of the sequencer; None if it has none or does not answer."""
        try:
            answer = await self._ask(encode_range(number, MAX_UNSAFE_BLOCKS))
            return self._open(answer) if answer else None
        except (RequestFailed, Rejected) as error:
            _log.info("unsafe_blocks_not_fetched", from_number=number, error=str(error))
            return None

    async def _follow_missing(self, run: UnsafeBlocks) -> bool:
        """Follow a run that was asked for; False if it leads nowhere."""
        if run.generation < self._generation:
            return False
        rest = self._unknown_part(run)
        if rest is None:
            return False
        return self._place_of(rest) is None and await self._apply(rest)

    # -- applying

    async def _apply(self, run: UnsafeBlocks) -> bool:
        """Put a run on its parent, which is here; False if it is not followed to its end."""
        parent = self._l2.block_by_number(run.first_number - 1)
        origin = None if parent is None else self._l2.origin_of(parent.hash)
        if parent is None or origin is None:
            return False
        try:
            inputs = inputs_of(run, origin.number, origin.hash)
        except Rejected as rejection:
            _log.warning("unsafe_blocks_refused", reason=rejection.reason.value)
            self._count("refused")
            return False
        origins = await self._origins(run)
        if origins is None:
            self._count("waited")
            return False
        if not await self._make_room(run):
            return False
        for start in range(0, len(inputs), CHUNK_BLOCKS):
            tasks = [
                Task(block_input=one, origin=origins[block.origin_number], local=None)
                for one, block in zip(
                    inputs[start : start + CHUNK_BLOCKS],
                    run.blocks[start : start + CHUNK_BLOCKS],
                    strict=True,
                )
            ]
            await self._l2.room()
            parent = self._l2.block_by_number(tasks[0].block_input.number - 1)
            if parent is None or parent.hash != self._l2.head.hash:
                return False
            work = partial(derive_all, self._engine, self._parameters, parent.header, tasks)
            outcomes = await self._worker.run(work)
            if not self._append(parent, outcomes, run.blocks[start : start + CHUNK_BLOCKS]):
                return False
        return True

    async def _make_room(self, run: UnsafeBlocks) -> bool:
        """Drop blocks that a higher generation replaces, a bounded step at a time; False if this generation must not.

        A run of the generation that is followed, with another block where this node has one: the sequencer has signed two
        blocks of one number.
        """
        while self._holds(run.first_number - 1, run.parent_hash):
            head, safe = self._l2.head.header.number, self._l2.safe.header.number
            if run.first_number > head:
                self._generation = run.generation
                return True
            if run.first_number <= safe:
                return False  # L1 has decided otherwise.
            if run.generation == self._generation:
                self._metrics.equivocations.inc()
                _log.warning("sequencer_equivocated", number=run.first_number)
                return False
            dropped = self._l2.reset_to(max(run.first_number - 1, head - RESET_BLOCKS))
            _log.info("unsafe_blocks_replaced", from_number=run.first_number, count=len(dropped))
            if head - len(dropped) >= run.first_number:
                await trio.lowlevel.checkpoint()
        return False

    async def _origins(self, run: UnsafeBlocks) -> dict[BlockNumber, Origin] | None:
        """The run's L1 origins by number; None if this node does not come to see them as canonical soon."""
        wanted = {block.origin_number: block.origin_hash for block in run.blocks}
        with trio.move_on_after(ORIGIN_TIMEOUT_S):
            while True:
                version = self._l1.moved.version
                found = {number: self._l1.origin(number) for number in wanted}
                origins = {
                    number: one
                    for number, one in found.items()
                    if one is not None and one.hash == wanted[number]
                }
                if len(origins) == len(wanted):
                    return origins
                await self._l1.moved.past(version)
        return None

    def _append(
        self, parent: Block, outcomes: Sequence[Outcome], blocks: Sequence[UnsafeBlock]
    ) -> bool:
        """Put derived blocks on the head; False if it moved, or once one is not what was signed."""
        if self._l2.head.hash != parent.hash:
            return False
        for outcome, block in zip(outcomes, blocks, strict=True):
            if outcome.hash != block.block_hash or outcome.result is None:
                self._metrics.blocks.labels(outcome="differs").inc()
                _log.warning("unsafe_block_differs", number=outcome.number)
                return False
            self._l2.append(
                outcome.result, L1Ref(number=outcome.origin.number, hash=outcome.origin.hash)
            )
            self._metrics.blocks.labels(outcome="followed").inc()
        return True
