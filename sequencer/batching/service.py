"""The batcher: brings the L2's unsafe blocks to L1, in order, none lost and none twice.

    Deriver.derived (the Inbox on L1's head) -> settle -> what is on its way and still holds
    L2 chain -> Unposted -> pack, sign (Worker) -> L1 pool -> gossip
    overdue posts -> the same again, for more

It remembers nothing that L1 does not say: after a restart it reads the Inbox, the account's nonce and its own L1 node's pool, and goes on
from there. Two batchers of one key get in each other's way and lose gas, never a block.
Every wait is for L1, for blocks, or for a tick; a refusal holds the next attempt back.
Deliberately absent: what a batch means, and judging the chain it posts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.eth.fees import next_base_fee
from node.eth.primitives import Hash32
from node.rollup.parameters import RollupParameters
from node.runtime.waiting import FirstInLine
from node.runtime.worker import Worker
from sequencer.batching.fees import Fee, raised, suggested
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.misbehaving import Misbehaviour
from sequencer.batching.options import BatchingOptions
from sequencer.batching.packing import Packer
from sequencer.batching.planning import Extent, Post, Settled, overdue, replaced, settle
from sequencer.batching.posting import Order, make_post, signed_again
from sequencer.batching.signing import L1Account
from sequencer.batching.unposted import Unposted
from sequencer.l1.latest import Latest
from sequencer.l1.places import InboxAt
from sequencer.l1.view import L1View

TICK_S: Final = 0.1
"""How often new blocks are looked at between two L1 blocks."""

GATHER_S: Final = 0.4
"""Full batches are posted together, no more often than this: every L1 node asks once for what is announced at once."""

RETRY_S: Final = 1.0
"""After a refusal nothing is sent for so long."""

ALREADY_KNOWN: Final = "already known"
"""The pool's word for a transaction that it holds."""

_log = structlog.get_logger()


class Submitted(Protocol):
    """What became of a transaction."""

    @property
    def refusal(self) -> str | None:
        """Why it was not taken; None if it was."""


class Waiting(Protocol):
    """A transaction in the pool."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""

    @property
    def nonce(self) -> int:
        """Its nonce."""

    @property
    def max_fee_per_gas(self) -> int:
        """Wei, base fee included."""

    @property
    def max_priority_fee_per_gas(self) -> int:
        """Wei for the proposer."""


class L1Pool(Protocol):
    """The pool of the process's own L1 node (`node.txpool.service`)."""

    async def submit(self, raw: bytes) -> Submitted:
        """Take a transaction, keep it over restarts, gossip it."""

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """A waiting transaction."""

    def of_sender(self, address: bytes) -> tuple[Sequence[Waiting], Sequence[Waiting]]:
        """What is executable and what is queued of one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatcherParts:
    """What a batcher works with."""

    parameters: RollupParameters
    """Of the rollup."""
    account: L1Account
    """The batcher's; its address is the parameters'."""
    l1: L1View
    """L1."""
    derived: Latest[InboxAt | None]
    """Where the Inbox stands on L1's head."""
    unposted: Unposted
    """Blocks of the L2."""
    packer: Packer
    """Makes batches of them."""
    pool: L1Pool
    """Where appends go."""
    worker: Worker
    """Where compressing and signing run."""
    misbehaviour: Misbehaviour
    """What to do wrong on purpose."""
    metrics: BatchingMetrics
    """What is counted."""
    options: BatchingOptions
    """What the operator decided."""


class Batcher:
    """Posts one L2's blocks to one L1."""

    def __init__(self, parts: BatcherParts) -> None:
        assert parts.account.address == parts.parameters.batcher, "the Inbox takes this key only"
        self._parts: Final = parts
        self._posts: tuple[Post, ...] = ()
        self._line: Final = FirstInLine()
        parts.metrics.interval_seconds.set(parts.options.interval_ms / 1_000)
        self._posted_at = float("-inf")
        self._rests_until = float("-inf")

    @property
    def in_flight(self) -> tuple[Post, ...]:
        """Posts that are remembered: those above L1's finality, on L1 or on their way."""
        return self._posts

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Post, for ever."""
        task_status.started()
        version = 0
        while True:
            with trio.move_on_after(TICK_S):
                version = await self._parts.derived.past(version)
            await self._turn()

    # -- one turn

    async def _turn(self) -> None:
        """Look at L1, then at what waits, then act."""
        inbox = self._parts.derived.value
        if inbox is None or not self._parts.l1.is_canonical(inbox.block):
            return
        settled = self._settle(inbox)
        if settled is None:
            return
        self._show_unposted(settled.extent.next_block)
        if trio.current_time() < self._rests_until or self._parts.misbehaviour.is_idle():
            return
        if await self._send_again(settled.live, inbox) and self._has_gathered():
            await self._post_all(settled, inbox)

    def _settle(self, inbox: InboxAt) -> Settled | None:
        parts = self._parts
        nonce = parts.l1.nonce(inbox.block.hash, parts.account.address)
        final_nonce = parts.l1.nonce(parts.l1.finalized.hash, parts.account.address)
        if nonce is None or final_nonce is None:
            return None
        settled = settle(
            self._posts,
            inbox.tip,
            nonce=nonce,
            final_nonce=final_nonce,
            is_local=parts.unposted.holds,
        )
        if settled.loose:
            parts.metrics.abandoned.inc(settled.loose)
            _log.warning(
                "batches_abandoned", count=settled.loose, next_block=settled.extent.next_block
            )
        self._posts = settled.posts
        parts.metrics.in_flight.set(len(settled.live))
        return settled

    def _show_unposted(self, next_block: int) -> None:
        metrics, count = self._parts.metrics, self._parts.unposted.count(next_block)
        first = next_block if count else None
        metrics.unposted_blocks.set(count)
        metrics.unposted_age_seconds.set(self._line.age_s(first, trio.current_time()))

    # -- new posts

    async def _post_all(self, settled: Settled, inbox: InboxAt) -> None:
        """Post what is due, one batch after the other."""
        parts = self._parts
        version = parts.derived.version
        count, nonce, extent = len(settled.live), settled.next_nonce, settled.extent
        while count < parts.options.in_flight_max:
            order = self._next_order(extent, nonce, inbox.block.number)
            if order is None:
                return
            made = await parts.worker.run(
                partial(make_post, order, parts.packer, parts.account, parts.parameters.inbox)
            )
            post = made.post
            moved = parts.derived.version != version
            if moved or not parts.unposted.holds(post.after.next_block - 1, post.last_hash):
                return
            if not await self._send(post):
                return
            parts.misbehaviour.posted(order.deed, is_lying=order.claimed is not None)
            self._posts = (*self._posts, post)
            self._posted_at = trio.current_time()
            parts.metrics.posted(made.batch_bytes, made.transaction_count)
            count, nonce, extent = count + 1, nonce + 1, post.after

    def _next_order(self, extent: Extent, nonce: int, l1_number: int) -> Order | None:
        """What the next batch is to be made of; None if nothing is due."""
        parts = self._parts
        blocks = parts.unposted.read(extent.next_block)
        if not blocks or not self._is_due():
            return None
        before = parts.unposted.named(extent.next_block - 1)
        if before is None or before.origin.number != extent.origin:
            return None
        return Order(
            extent=extent,
            parent_hash=before.hash,
            origin_hash=before.origin.hash,
            nonce=nonce,
            fee=self._fee(nonce),
            l1_number=l1_number,
            blocks=blocks,
            claimed=parts.misbehaviour.claims([one.packed for one in blocks]),
            deed=parts.misbehaviour.next_deed(),
        )

    def _has_gathered(self) -> bool:
        """Whether the last posts are long enough ago."""
        waited_s = trio.current_time() - self._posted_at
        return waited_s >= min(GATHER_S, self._parts.options.interval_ms / 1_000)

    def _is_due(self) -> bool:
        waited_s = trio.current_time() - self._posted_at
        is_late = waited_s * 1_000 >= self._parts.options.interval_ms
        return is_late or self._parts.unposted.fill_a_batch()

    def _fee(self, nonce: int) -> Fee:
        """The first offer for a nonce: enough to replace what else of this account waits with it."""
        parts = self._parts
        base_fee = self._base_fee()
        executable, queued = parts.pool.of_sender(parts.account.address)
        for rival in (*executable, *queued):
            if rival.nonce == nonce:
                old = Fee(max_fee_wei=rival.max_fee_per_gas, tip_wei=rival.max_priority_fee_per_gas)
                return raised(old, base_fee, parts.options.fees) or old
        return suggested(base_fee, parts.options.fees)

    def _base_fee(self) -> int:
        return next_base_fee(self._parts.l1.chain.head.header)

    # -- posts that L1 does not take

    async def _send_again(self, live: Sequence[Post], inbox: InboxAt) -> bool:
        """Send overdue posts again, for more where the pool has them or they offer too little; False after a refusal."""
        parts = self._parts
        number = inbox.block.number
        for post in overdue(live, number, parts.options.patience_blocks):
            again = replace(post, sent_at=number)
            base_fee = self._base_fee()
            is_waiting = parts.pool.get(post.hash) is not None
            if is_waiting or post.fee.max_fee_wei < base_fee:
                fee = raised(post.fee, base_fee, parts.options.fees)
                if fee is not None:
                    unsigned = replace(again, fee=fee)
                    again = await parts.worker.run(
                        partial(signed_again, unsigned, parts.account, parts.parameters.inbox)
                    )
            if not await self._send(again):
                return False
            self._posts = replaced(self._posts, again)
            parts.metrics.resent.inc()
        return True

    async def _send(self, post: Post) -> bool:
        """Hand a post to the pool; False if it was refused, and then nothing is sent for a while."""
        submitted = await self._parts.pool.submit(post.raw)
        refusal = submitted.refusal
        if refusal is None or refusal == ALREADY_KNOWN:
            return True
        self._parts.metrics.refused.inc()
        self._rests_until = trio.current_time() + RETRY_S
        _log.warning("batch_refused", nonce=post.nonce, refusal=refusal)
        return False
