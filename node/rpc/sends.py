"""Transactions on their way into an L2 block, without a task for each.

    eth_sendRawTransaction     -> Sends.send             -> Intake.offer -> told -> hash
    eth_sendRawTransactionSync -> Sends.send_for_receipt -> Intake.offer -> told -> receipt
                                                 Sends.run (20 times a second) -> receipt | too late

`newPendingTransactions` hears of them too: here nothing is pending for longer than a block takes, so that is when they were taken.
When the intake tells, the receipt is there: the block is sealed and journaled. Only what waits for an earlier nonce, or was
handed on to another node, is told before; one task looks after all of those.
Deliberately absent: L1, where a receipt is seconds away and a task for each who waits costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import trio

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rpc.backend import Intake, Pool, Submission
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.later import Later

LOOK_EVERY_S: Final = 0.05
"""How often late receipts are looked for: far below any sensible time limit, and nothing beside the blocks' own cost."""

WAITING_MAX: Final = 16_384
"""Callers that wait for a receipt; a connection may have several: as many as may wait to be decoded."""

LOOKED_FOR_MAX: Final = 1_024
"""Late receipts that are looked for in one go; a second suffices for all."""

TOGETHER_MAX: Final = 512
"""Transactions that listeners are told of together."""

TIMED_OUT: Final = 4
"""Error code when the transaction waits and could be executed (EIP-7966)."""

NOT_READY: Final = 5
"""Error code when the transaction waits for an earlier nonce (EIP-7966)."""


class Listeners(Protocol):
    """Who wants to know of transactions (`node.rpc.subscriptions.Hub`)."""

    @property
    def listens(self) -> bool:
        """Whether anybody may."""

    def pending_arrived(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        """Transactions (hash, raw bytes) that could be in a block."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A caller who wants a receipt."""

    answer: Later[object]
    """What the caller is told."""
    raw: bytes
    """The transaction."""
    wait_ms: int
    """How long the caller waits."""
    due: float
    """When that is over; trio's time."""
    hash: Hash32 | None = None
    """Its hash, once the intake has taken it."""


class Sends:
    """Hands transactions in and tells what became of them."""

    def __init__(
        self,
        intake: Intake,
        pool: Pool,
        receipt: Callable[[Hash32], object | None],
        listeners: Listeners,
    ) -> None:
        """`receipt` gives a receipt, JSON, once there is one."""
        self._intake: Final = intake
        self._pool: Final = pool
        self._receipt: Final = receipt
        self._listeners: Final = listeners
        self._waiting: dict[_Waiting, None] = {}
        self._late: deque[_Waiting] = deque()
        self._arrived: list[tuple[bytes, bytes]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, raw: bytes) -> Later[object]:
        """Take a signed transaction; gives its hash once its receipt can be read."""
        answer: Later[object] = Later()

        def told(submission: Submission) -> None:
            if submission.refusal is None:
                self._announce(submission.hash, raw)
                answer.settle("0x" + submission.hash.hex())
            else:
                answer.settle(RpcError(SERVER_ERROR, submission.refusal))

        self._intake.offer(raw, told)
        return answer

    def send_for_receipt(self, raw: bytes, wait_ms: int) -> Later[object]:
        """Take a signed transaction; gives its receipt. Raises RpcError when too many wait for theirs."""
        if len(self._waiting) >= WAITING_MAX:
            raise RpcError(SERVER_ERROR, "too many callers wait for receipts")
        waiting = _Waiting(
            answer=Later(),
            raw=raw,
            wait_ms=wait_ms,
            due=trio.current_time() + wait_ms / 1_000,
        )
        self._waiting[waiting] = None

        def told(submission: Submission) -> None:
            if submission.refusal is not None:
                self._finish(waiting, RpcError(SERVER_ERROR, submission.refusal))
            else:
                waiting.hash = submission.hash
                self._announce(submission.hash, raw)
                if not self._look_for(waiting, submission.hash):
                    self._late.append(waiting)

        self._intake.offer(raw, told)
        return waiting.answer

    async def run(self) -> NoReturn:
        """Look after those who wait, until cancelled."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            self.look(trio.current_time())

    def look(self, now: float) -> None:
        """Answer whoever's receipt has come or whose time is over, and tell what arrived; `now` is trio's time."""
        self._tell_listeners()
        for _ in range(min(len(self._late), LOOKED_FOR_MAX)):
            waiting = self._late.popleft()
            assert waiting.hash is not None, "only what was taken is late"
            if waiting in self._waiting and not self._look_for(waiting, waiting.hash):
                self._late.append(waiting)
        for waiting in [one for one in self._waiting if now >= one.due]:
            self._finish(waiting, self._too_late(waiting))

    def _announce(self, transaction_hash: Hash32, raw: bytes) -> None:
        """Tell those who listen, soon and together, unless it waits for an earlier nonce."""
        if self._listeners.listens and self._pool.get(transaction_hash) is None:
            self._arrived.append((transaction_hash, raw))
            if len(self._arrived) >= TOGETHER_MAX:
                self._tell_listeners()

    def _tell_listeners(self) -> None:
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._listeners.pending_arrived(arrived)

    def _look_for(self, waiting: _Waiting, transaction_hash: Hash32) -> bool:
        """Whether the receipt is there, and told."""
        receipt = self._receipt(transaction_hash)
        if receipt is not None:
            self._finish(waiting, receipt)
        return receipt is not None

    def _finish(self, waiting: _Waiting, answer: object) -> None:
        self._waiting.pop(waiting, None)
        waiting.answer.settle(answer)

    def _too_late(self, waiting: _Waiting) -> RpcError:
        transaction_hash = keccak256(waiting.raw) if waiting.hash is None else waiting.hash
        if self._is_queued(transaction_hash):
            return not_ready(transaction_hash)
        return timed_out(transaction_hash, waiting.wait_ms)

    def _is_queued(self, transaction_hash: Hash32) -> bool:
        pooled = self._pool.get(transaction_hash)
        if pooled is None:
            return False
        _, queued = self._pool.of_sender(pooled.sender)
        return any(one.hash == transaction_hash for one in queued)


def timed_out(transaction_hash: Hash32, wait_ms: int) -> RpcError:
    """The error for a transaction that was taken and is in no block yet, in geth's words (EIP-7966)."""
    return RpcError(
        TIMED_OUT,
        "The transaction was added to the transaction pool but wasn't processed in "
        f"{wait_ms / 1_000:g}s.",
        "0x" + transaction_hash.hex(),
    )


def not_ready(transaction_hash: Hash32) -> RpcError:
    """The error for a transaction that was taken and can't be in a block yet (EIP-7966)."""
    return RpcError(
        NOT_READY,
        "The transaction was added to the transaction pool but waits for a transaction with an "
        "earlier nonce.",
        "0x" + transaction_hash.hex(),
    )
