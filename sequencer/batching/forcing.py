"""Moving the Inbox on when the batcher does not: what makes a deposit arrive without the sequencer.

    Deriver.derived (the Inbox on L1's head) -> due? -> [anchorHeaders, 256 at a time] -> forceEmpty -> L1 pool

Anyone may do this with any funded key but the batcher's; the first transaction wins and the others revert. So that not
every replica pays, each waits a number of L1 blocks more that its address decides.
Deliberately absent: judging why nobody posts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

import structlog
import trio

from node.contracts import bindings
from node.eth.fees import next_base_fee
from node.eth.primitives import Address
from node.rollup.limits import MAX_RECORD_ADVANCES
from node.rollup.parameters import RollupParameters
from node.rollup.records import InboxTip
from sequencer.batching.fees import Fee, FeeLimits, raised, suggested
from sequencer.batching.gas import anchor_gas, force_gas
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.service import ALREADY_KNOWN, L1Pool
from sequencer.batching.signing import L1Account, gas_limit
from sequencer.l1.latest import Latest
from sequencer.l1.places import InboxAt
from sequencer.l1.view import L1View

HISTORY_BLOCKS: Final = 8_191
"""L1 blocks whose hashes the history contract holds (EIP-2935)."""

HISTORY_MARGIN: Final = 64
"""Blocks that may pass until a transaction is included."""

GRACE_BLOCKS: Final = 2
"""L1 blocks left to the batcher and to quicker nodes once the window has passed."""

GRACE_SPREAD: Final = 4
"""And up to so many more, by address."""

PATIENCE_BLOCKS: Final = 3
"""L1 blocks after which an attempt that none of them holds is made again for more."""

ANCHORED_HEADERS: Final = 128
"""Headers of one call: with 40,000 gas for each they stay far below what a transaction may use."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What to send."""

    call_data: bytes
    """Of the Inbox."""
    execution_gas: int
    """What it uses at most once it runs."""
    anchored_from: int | None
    """The oldest block whose hash it proves; None for a forced record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was sent last."""

    nonce: int
    """Its nonce."""
    sent_at: int
    """L1 block number at which it was sent."""
    fee: Fee
    """What it offers."""
    step: Step
    """What it was for."""
    tip: InboxTip
    """The Inbox that it was for."""


def overdue_origin(tip: InboxTip, l1_number: int, window: int, grace: int) -> int | None:
    """Find the origin to force the Inbox to, for a transaction of the L1 block after this one; None if none is due.

    It is due once even the next `grace` blocks would not have come too early.
    """
    newest = l1_number + 1 - window
    if tip.last_origin + grace >= newest:
        return None
    return min(newest, tip.last_origin + MAX_RECORD_ADVANCES)


def oldest_known(l1_number: int) -> int:
    """Find the oldest L1 block whose hash the history contract will still know when a transaction is included."""
    return max(0, l1_number + HISTORY_MARGIN - HISTORY_BLOCKS)


class Forcer:
    """Forces one Inbox on, when it is due."""

    def __init__(
        self,
        *,
        parameters: RollupParameters,
        account: L1Account,
        l1: L1View,
        derived: Latest[InboxAt | None],
        pool: L1Pool,
        metrics: BatchingMetrics,
        fees: FeeLimits | None = None,
    ) -> None:
        assert account.address != parameters.batcher, "its nonces are the batcher's alone"
        self._parameters = parameters
        self._account = account
        self._l1 = l1
        self._derived = derived
        self._pool = pool
        self._metrics = metrics
        self._fees = fees or FeeLimits()
        self._attempt: Attempt | None = None
        self._anchored_from: int | None = None
        self._grace = GRACE_BLOCKS + account.address[-1] % GRACE_SPREAD

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Look at every L1 block, for ever."""
        task_status.started()
        version = 0
        while True:
            version = await self._derived.past(version)
            await self._turn()

    async def _turn(self) -> None:
        inbox = self._derived.value
        if inbox is None:
            return
        number = inbox.block.number
        window = self._parameters.sequencing_window_blocks
        origin = overdue_origin(inbox.tip, number, window, self._grace)
        nonce = self._l1.nonce(inbox.block.hash, self._account.address)
        if origin is None or nonce is None:
            self._attempt = None
            return
        last = self._attempt
        if last is not None and nonce > last.nonce:
            self._note_included(last, inbox.tip)
            last = self._attempt = None
        if last is not None and number - last.sent_at < PATIENCE_BLOCKS:
            return
        step = self._next_step(inbox.tip, number, origin)
        if step is not None:
            await self._send(step, inbox, nonce, last)

    def _note_included(self, attempt: Attempt, tip: InboxTip) -> None:
        """Remember what L1 took; an attempt that changed nothing casts doubt on what was anchored."""
        if attempt.step.anchored_from is not None:
            self._anchored_from = attempt.step.anchored_from
        elif attempt.tip == tip:
            self._anchored_from = None

    def _next_step(self, tip: InboxTip, number: int, origin: int) -> Step | None:
        """A forced record, or first the hashes that it needs and that L1's history has forgotten."""
        known = oldest_known(number)
        if self._anchored_from is not None:
            known = min(known, self._anchored_from)
        if tip.last_origin >= known:
            gas = force_gas(origin - tip.last_origin)
            return Step(bindings.force_empty(origin), gas, None)
        headers: list[bytes] = []
        oldest = max(tip.last_origin + 1, known - ANCHORED_HEADERS + 1)
        for place in range(known, oldest - 1, -1):
            block = self._l1.chain.block_by_number(place)
            if block is None:
                return None
            headers.append(block.header.encode())
        return Step(bindings.anchor_headers(known, headers), anchor_gas(len(headers)), oldest - 1)

    async def _send(self, step: Step, inbox: InboxAt, nonce: int, last: Attempt | None) -> None:
        fee = self._fee(nonce, last)
        if fee is None:
            return
        transaction = self._account.sign(
            nonce=nonce,
            to=Address(self._parameters.inbox),
            call_data=step.call_data,
            gas_limit=gas_limit(step.call_data, step.execution_gas),
            fee=fee,
        )
        submitted = await self._pool.submit(transaction.raw)
        self._attempt = Attempt(
            nonce=nonce, sent_at=inbox.block.number, fee=fee, step=step, tip=inbox.tip
        )
        if submitted.refusal is not None and submitted.refusal != ALREADY_KNOWN:
            _log.warning("forcing_refused", refusal=submitted.refusal)
            return
        if step.anchored_from is None:
            self._metrics.forced.inc()
        _log.warning(
            "inbox_forced",
            last_origin=inbox.tip.last_origin,
            l1_number=inbox.block.number,
            anchored_from=step.anchored_from,
        )

    def _fee(self, nonce: int, last: Attempt | None) -> Fee | None:
        base_fee = next_base_fee(self._l1.chain.head.header)
        old = None if last is None else last.fee
        executable, queued = self._pool.of_sender(self._account.address)
        for rival in (*executable, *queued):
            if rival.nonce == nonce:
                old = Fee(max_fee_wei=rival.max_fee_per_gas, tip_wei=rival.max_priority_fee_per_gas)
        return suggested(base_fee, self._fees) if old is None else raised(old, base_fee, self._fees)
