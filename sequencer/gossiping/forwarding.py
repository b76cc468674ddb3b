"""A replica's pool: it has none. What a user hands in goes to the sequencer, and its answer comes back.

    RPC -> offer -> queue -> one request for all that wait -> sequencer -> answers -> [block seen here] -> told

Who was taken is told once the replica itself has the block, so that a receipt can be read where the transaction was sent;
after SEEN_TIMEOUT_S it is told all the same, because the sequencer has taken it.
Deliberately absent: judging transactions. Only the sequencer knows what it will take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NoReturn

import structlog
import trio

from node.errors import Rejected
from node.eth.primitives import Address, Hash32
from node.p2p.network import RequestFailed
from node.rpc.backend import PooledTransaction, Submission
from node.txpool import refusals
from sequencer.gossiping.wire import (
    FORWARDED_BYTES_MAX,
    FORWARDED_MAX,
    TRANSACTION_BYTES_MAX,
    Answered,
    decode_answers,
    encode_forwarded,
)

WAITING_MAX: Final = 4_096
"""Transactions that wait for a request, and others that wait for their block."""

FLUSH_S: Final = 0.025
"""Least time between two requests: the sequencer's p2p counts 50 a second as a flood."""

ANSWER_TIMEOUT_S: Final = 8.0
"""The sequencer answers once it has sealed, so this is many times what a busy one takes."""

SEEN_TIMEOUT_S: Final = 2.0
"""Gossip brings a block within 100 ms; a replica that is cut off must not hold its users back."""

UNREACHABLE: Final = "the sequencer does not answer; a deposit on L1 reaches the L2 without it"
BUSY: Final = "txpool is full"

Ask = Callable[[bytes], Awaitable[bytes]]
"""Asks the sequencer. Raises RequestFailed."""

_NO_HASH: Final = Hash32(bytes(32))

_log = structlog.get_logger()


Told = Callable[[Submission], None]
"""Hears what became of a transaction, once."""


class ForwardingPool:
    """What a replica has in a pool's place."""

    def __init__(self, ask: Ask, holds: Callable[[Hash32], bool]) -> None:
        """Start with nothing handed in.

        Args:
            ask: asks the sequencer.
            holds: whether a transaction is in a block of this replica's chain.
        """
        self._ask = ask
        self._holds = holds
        self._waiting: deque[tuple[bytes, Told]] = deque()
        self._arrived = trio.Event()
        self._unseen: dict[Hash32, tuple[float, Told]] = {}

    # -- handing in

    async def submit(self, raw: bytes) -> Submission:
        """Forward a transaction and wait for what becomes of it."""
        answers: list[Submission] = []
        answered = trio.Event()

        def told(submission: Submission) -> None:
            answers.append(submission)
            answered.set()

        self.offer(raw, told)
        await answered.wait()
        return answers[0]

    def offer(self, raw: bytes, told: Told) -> None:
        """Forward a transaction; `told` hears what becomes of it."""
        if len(raw) > TRANSACTION_BYTES_MAX:
            refusal = refusals.oversized_on_rollup(raw, TRANSACTION_BYTES_MAX)
            told(Answered(_NO_HASH, refusal.message))
        elif len(self._waiting) + len(self._unseen) >= WAITING_MAX:
            told(Answered(_NO_HASH, BUSY))
        else:
            self._waiting.append((raw, told))
            self._arrived.set()

    # -- running

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Forward what was handed in, for ever; who waits when this is cancelled is told so."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._forward)
                nursery.start_soon(self._give_up)
                task_status.started()
        finally:
            for _, told in self._waiting:
                told(Answered(_NO_HASH, UNREACHABLE))
            self._waiting.clear()
        raise AssertionError("both tasks run for ever")

    def look(self) -> None:
        """The replica's chain has grown: tell those whose transaction is on it now."""
        for transaction_hash in [one for one in self._unseen if self._holds(one)]:
            _, told = self._unseen.pop(transaction_hash)
            told(Answered(transaction_hash))

    async def _forward(self) -> NoReturn:
        while True:
            await self._arrived.wait()
            sent = self._next()
            answers = await self._answers([raw for raw, _ in sent])
            for (_, told), answer in zip(sent, answers, strict=True):
                self._answered(told, answer)
            if not self._waiting:
                self._arrived = trio.Event()
            await trio.sleep(FLUSH_S)

    def _next(self) -> list[tuple[bytes, Told]]:
        """As many as fit into one request."""
        taken: list[tuple[bytes, Told]] = []
        size = 0
        while self._waiting and len(taken) < FORWARDED_MAX:
            size += len(self._waiting[0][0])
            if size > FORWARDED_BYTES_MAX:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _answers(self, transactions: Sequence[bytes]) -> Sequence[Answered]:
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                answers = decode_answers(await self._ask(encode_forwarded(transactions)))
            if len(answers) == len(transactions):
                return answers
            _log.warning("forwarding_failed", error="another number of answers than transactions")
        except (RequestFailed, Rejected, trio.TooSlowError) as error:
            _log.warning("forwarding_failed", error=str(error) or "no answer in time")
        return [Answered(_NO_HASH, UNREACHABLE)] * len(transactions)

    def _answered(self, told: Told, answer: Answered) -> None:
        is_here = answer.refusal is not None or self._holds(answer.hash)
        if is_here or answer.hash in self._unseen:
            told(answer)
        else:
            self._unseen[answer.hash] = (trio.current_time() + SEEN_TIMEOUT_S, told)

    async def _give_up(self) -> NoReturn:
        while True:
            await trio.sleep(SEEN_TIMEOUT_S / 4)
            now = trio.current_time()
            for transaction_hash in [key for key, (at, _) in self._unseen.items() if at <= now]:
                _, told = self._unseen.pop(transaction_hash)
                told(Answered(transaction_hash))

    # -- what a pool is asked: nothing waits here, whatever the arguments are

    def get(self, transaction_hash: Hash32) -> PooledTransaction | None:  # noqa: ARG002
        """Nothing waits here."""
        return None

    def next_nonce(self, address: Address) -> int | None:  # noqa: ARG002
        """Nothing waits here."""
        return None

    def executable(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Nothing waits here."""
        return {}

    def queued(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Nothing waits here."""
        return {}

    def of_sender(
        self,
        address: Address,  # noqa: ARG002
    ) -> tuple[Sequence[PooledTransaction], Sequence[PooledTransaction]]:
        """Nothing waits here."""
        return (), ()

    def upcoming(
        self,
        *,
        base_fee: int,  # noqa: ARG002
        gas: int,  # noqa: ARG002
        count: int,  # noqa: ARG002
        blob_base_fee: int,  # noqa: ARG002
        blobs: int,  # noqa: ARG002
    ) -> Sequence[PooledTransaction]:
        """Nothing waits here."""
        return ()

    def counts(self) -> tuple[int, int]:
        """Nothing waits here."""
        return 0, 0
