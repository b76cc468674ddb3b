"""Subscriptions over WebSocket: what happens is sent as it happens.

    app -> Hub.head_changed | pending_arrived | sync_changed -> Subscription.session.push -> WebSocket
                                                             -> Filters (polled)

Every event is rendered once, whoever wants it. In a reorganisation the logs of dropped blocks are sent first, with
`removed: true`, from the old head down; then new heads and their logs, ascending.
A session that cannot keep up is cut off by its own queue, never waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
import structlog

from node.eth.blocks import Block
from node.rpc.backend import Engine, SyncProgress
from node.rpc.dispatch import Session
from node.rpc.filters import Filters, new_identity
from node.rpc.jsonrpc import SERVER_ERROR, RpcError, subscription_text
from node.rpc.logs import Criteria, LogSearch

SUBSCRIPTIONS_MAX: Final = 4_096
"""Subscriptions of all sessions together."""

SESSION_SUBSCRIPTIONS_MAX: Final = 256
"""Subscriptions of one session."""


class Topic(StrEnum):
    """What can be subscribed to."""

    NEW_HEADS = "newHeads"
    LOGS = "logs"
    TRANSACTIONS = "newPendingTransactions"
    SYNCING = "syncing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription."""

    session: Session
    """Where events are sent."""
    topic: Topic
    """What is sent."""
    criteria: Criteria | None = None
    """Which logs."""
    full: bool = False
    """Whether whole transactions are sent, not only their hashes."""


class Hub:
    """Tells subscribers and filters what happens."""

    def __init__(
        self,
        engine: Engine,
        search: LogSearch,
        filters: Filters,
        *,
        identify: Callable[[], str] = new_identity,
    ) -> None:
        self._engine: Final = engine
        self._search: Final = search
        self._filters: Final = filters
        self._identify: Final = identify
        self._subscriptions: dict[str, Subscription] = {}
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def __len__(self) -> int:
        return len(self._subscriptions)

    # -- who listens

    def subscribe(self, subscription: Subscription) -> str:
        """Start sending; gives the id. Raises RpcError when there are too many."""
        of_session = sum(
            one.session is subscription.session for one in self._subscriptions.values()
        )
        if of_session >= SESSION_SUBSCRIPTIONS_MAX or len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise RpcError(SERVER_ERROR, "too many subscriptions")
        identity = self._identify()
        self._subscriptions[identity] = subscription
        return identity

    def unsubscribe(self, session: Session, identity: str) -> bool:
        """Stop sending; only the session that subscribed may. Raises RpcError."""
        found = self._subscriptions.get(identity)
        if found is None or found.session is not session:
            raise RpcError(SERVER_ERROR, "subscription not found")
        del self._subscriptions[identity]
        return True

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self._subscriptions = {
            identity: one
            for identity, one in self._subscriptions.items()
            if one.session is not session
        }

    # -- what happens

    async def head_changed(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """The head's chain changed: new blocks ascending, dropped ones from the old head down."""
        for block in dropped:
            await self._send_logs(block, removed=True)
        self._filters.blocks_added(added)
        for block in added:
            if self._wanted(Topic.NEW_HEADS):
                header = self._engine.header_json(block.header.encode())
                self._send(Topic.NEW_HEADS, (header,))
            await self._send_logs(block, removed=False)

    def lapse(self) -> None:
        """Changes of the head were missed: whoever waits for blocks or logs is cut off and starts anew, knowing it."""
        for one in list(self._subscriptions.values()):
            if one.topic in (Topic.NEW_HEADS, Topic.LOGS):
                one.session.cut_off()
        self._filters.drop_all_but_transactions()
        self._log.warning("rpc_subscribers_lapsed")

    def pending_arrived(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        """Transactions (hash, raw bytes) became executable in the pool."""
        if not self._subscriptions and not len(self._filters):
            return
        hashes = ["0x" + transaction_hash.hex() for transaction_hash, _ in transactions]
        quoted = [b'"%b"' % one.encode("ascii") for one in hashes]
        bodies: list[bytes] = []
        if self._filters.wants_bodies() or any(
            one.full for one in self._subscriptions.values() if one.topic is Topic.TRANSACTIONS
        ):
            bodies = self._engine.pending_json([raw for _, raw in transactions])
        self._filters.transactions_arrived(hashes, bodies)
        self._send(Topic.TRANSACTIONS, quoted, full=False)
        self._send(Topic.TRANSACTIONS, bodies, full=True)

    def sync_changed(self, progress: SyncProgress | None) -> None:
        """Catching up has begun, or has ended (None)."""
        text = b"false" if progress is None else orjson.dumps(sync_status(progress))
        self._send(Topic.SYNCING, (text,))

    # -- sending

    async def _send_logs(self, block: Block, *, removed: bool) -> None:
        criteria = self._filters.criteria() | {
            one.criteria for one in self._subscriptions.values() if one.criteria is not None
        }
        for wanted in criteria:
            if not wanted.spans(block.header.number):
                continue
            logs = await self._search.of_block(block, wanted, removed=removed)
            if logs:
                self._filters.logs_matched(wanted, logs)
                self._send(Topic.LOGS, logs, criteria=wanted)

    def _wanted(self, topic: Topic) -> bool:
        return any(one.topic is topic for one in self._subscriptions.values())

    def _send(
        self,
        topic: Topic,
        events: Sequence[bytes],
        *,
        criteria: Criteria | None = None,
        full: bool = False,
    ) -> None:
        for identity, one in list(self._subscriptions.items()):
            if one.topic is topic and one.full is full and one.criteria == criteria:
                for event in events:
                    one.session.push(subscription_text(identity, event))


def sync_status(progress: SyncProgress) -> dict[str, object]:
    """What `eth_subscribe("syncing")` sends while the node catches up."""
    return {"syncing": True, "status": sync_numbers(progress)}


def sync_numbers(progress: SyncProgress) -> dict[str, str]:
    """What `eth_syncing` answers while the node catches up."""
    return {
        "startingBlock": hex(progress.starting_block),
        "currentBlock": hex(progress.current_block),
        "highestBlock": hex(progress.highest_block),
    }
