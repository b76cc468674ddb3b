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
from functools import partial
from typing import Final

import orjson
import structlog
import trio

from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rpc.backend import Engine, SyncProgress
from node.rpc.dispatch import SLICE_S, Session
from node.rpc.filters import Filters, new_identity
from node.rpc.jsonrpc import SERVER_ERROR, RpcError, subscription_text
from node.rpc.logs import ALTERNATIVES_MAX, TOPICS_MAX, Criteria, LogSearch
from node.rpc.rendering import split_receipts, transaction_of
from node.runtime.worker import Worker

SUBSCRIPTIONS_MAX: Final = 4_096
"""Subscriptions of all sessions together."""

SESSION_SUBSCRIPTIONS_MAX: Final = 256
"""Subscriptions of one session."""

SESSION_ITEMS_MAX: Final = ALTERNATIVES_MAX * (1 + TOPICS_MAX)
"""Addresses, topics and hashes of one session's subscriptions: as many as one subscription can name."""

ITEMS_MAX: Final = SUBSCRIPTIONS_MAX // SESSION_SUBSCRIPTIONS_MAX * SESSION_ITEMS_MAX
"""Addresses, topics and hashes of all subscriptions, 80,000, filled by as many sessions as fill their number: with their bloom masks 24 MiB."""


class Topic(StrEnum):
    """What can be subscribed to."""

    NEW_HEADS = "newHeads"
    LOGS = "logs"
    TRANSACTIONS = "newPendingTransactions"
    SYNCING = "syncing"
    RECEIPTS = "transactionReceipts"


Wanted = Criteria | frozenset[Hash32] | None
"""Which logs, or receipts of which transactions: of all where there are none."""

Group = tuple[Topic, Wanted, bool]
"""Topic, what of it, whether whole transactions: who shares these is sent the same events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription."""

    session: Session
    """Where events are sent."""
    topic: Topic
    """What is sent."""
    wanted: Wanted = None
    """What of it."""
    full: bool = False
    """Whether whole transactions are sent, not only their hashes."""

    @property
    def items(self) -> int:
        """Addresses, topics and hashes that it names."""
        match self.wanted:
            case None:
                return 0
            case Criteria():
                return self.wanted.items
            case _:
                return len(self.wanted)

    @property
    def group(self) -> Group:
        """What it shares with others."""
        return self.topic, self.wanted, self.full


_HEADS: Final = (Topic.NEW_HEADS, None, False)
_HASHES: Final = (Topic.TRANSACTIONS, None, False)
_BODIES: Final = (Topic.TRANSACTIONS, None, True)
_SYNCING: Final = (Topic.SYNCING, None, False)


class Hub:
    """Tells subscribers and filters what happens."""

    def __init__(
        self,
        engine: Engine,
        search: LogSearch,
        filters: Filters,
        worker: Worker,
        *,
        identify: Callable[[], str] = new_identity,
    ) -> None:
        self._engine: Final = engine
        self._search: Final = search
        self._filters: Final = filters
        self._worker: Final = worker
        self._identify: Final = identify
        self._subscriptions: dict[str, Subscription] = {}
        self._groups: dict[Group, dict[str, Session]] = {}
        self._items = 0
        self._slice_end = 0.0
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def __len__(self) -> int:
        return len(self._subscriptions)

    # -- who listens

    def subscribe(self, subscription: Subscription) -> str:
        """Start sending; gives the id. Raises RpcError when there are too many."""
        of_session = [
            one.items for one in self._subscriptions.values() if one.session is subscription.session
        ]
        if (
            len(of_session) >= SESSION_SUBSCRIPTIONS_MAX
            or len(self._subscriptions) >= SUBSCRIPTIONS_MAX
        ):
            raise RpcError(SERVER_ERROR, "too many subscriptions")
        items = subscription.items
        if sum(of_session) + items > SESSION_ITEMS_MAX or self._items + items > ITEMS_MAX:
            raise RpcError(SERVER_ERROR, "too many addresses and topics in subscriptions")
        self._items += items
        identity = self._identify()
        self._subscriptions[identity] = subscription
        self._groups.setdefault(subscription.group, {})[identity] = subscription.session
        return identity

    def unsubscribe(self, session: Session, identity: str) -> bool:
        """Stop sending; only the session that subscribed may. Raises RpcError."""
        found = self._subscriptions.get(identity)
        if found is None or found.session is not session:
            raise RpcError(SERVER_ERROR, "subscription not found")
        self._remove(identity)
        return True

    def forget(self, session: Session) -> None:
        """A session has ended."""
        for identity, one in list(self._subscriptions.items()):
            if one.session is session:
                self._remove(identity)

    def _remove(self, identity: str) -> None:
        gone = self._subscriptions.pop(identity)
        self._items -= gone.items
        group = gone.group
        del self._groups[group][identity]
        if not self._groups[group]:
            del self._groups[group]

    @property
    def listens(self) -> bool:
        """Whether anybody would be told of a change of the head."""
        return bool(self._subscriptions) or bool(len(self._filters))

    # -- what happens

    async def head_changed(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """The head's chain changed: new blocks ascending, dropped ones from the old head down."""
        for block in dropped:
            await self._send_logs(block, removed=True)
        self._filters.blocks_added(added)
        for block in added:
            if _HEADS in self._groups:
                await self._tell(_HEADS, (self._engine.header_json(block.header.encode()),))
            await self._send_logs(block, removed=False)
            await self._send_receipts(block)

    def lapse(self) -> None:
        """Changes of the head were missed: whoever waits for blocks, logs or receipts is cut off and starts anew, knowing it."""
        for one in list(self._subscriptions.values()):
            if one.topic in (Topic.NEW_HEADS, Topic.LOGS, Topic.RECEIPTS):
                one.session.cut_off()
        self._filters.drop_all_but_transactions()
        self._log.warning("rpc_subscribers_lapsed")

    def pending_arrived(self, transactions: Sequence[tuple[bytes, bytes]]) -> None:
        """Transactions (hash, raw bytes) became executable in the pool."""
        wants_hashes = _HASHES in self._groups or self._filters.wants_hashes()
        wants_bodies = _BODIES in self._groups or self._filters.wants_bodies()
        if not wants_hashes and not wants_bodies:
            return
        hashes = ["0x" + transaction_hash.hex() for transaction_hash, _ in transactions]
        bodies: list[bytes] = []
        if wants_bodies:
            bodies = self._engine.pending_json([raw for _, raw in transactions])
        self._filters.transactions_arrived(hashes, bodies)
        self._send(_HASHES, [b'"%b"' % one.encode("ascii") for one in hashes])
        self._send(_BODIES, bodies)

    def sync_changed(self, progress: SyncProgress | None) -> None:
        """Catching up has begun, or has ended (None)."""
        text = b"false" if progress is None else orjson.dumps(sync_status(progress))
        self._send(_SYNCING, (text,))

    # -- sending

    async def _send_logs(self, block: Block, *, removed: bool) -> None:
        bits = int.from_bytes(block.header.logs_bloom)
        if not bits:
            return
        subscribed = {wanted for _, wanted, _ in self._groups if isinstance(wanted, Criteria)}
        for wanted in self._filters.criteria() | subscribed:
            await self._give_way()
            if not wanted.spans(block.header.number) or not wanted.in_bits(bits):
                continue
            logs = await self._search.of_block(block, wanted, removed=removed)
            if logs:
                self._filters.logs_matched(wanted, logs)
                await self._tell((Topic.LOGS, wanted, False), logs)

    async def _send_receipts(self, block: Block) -> None:
        """The receipts of a block in one list, to each the ones that it wants, if there are any."""
        groups = [group for group in self._groups if group[0] is Topic.RECEIPTS]
        if not groups:
            return
        every, by_hash = await self._worker.run(partial(self._receipts, block))
        for group in groups:
            await self._give_way()
            hashes = group[1]
            if isinstance(hashes, frozenset) and hashes:
                found = sorted(by_hash[one] for one in hashes if one in by_hash)
                if found:
                    chosen = b",".join(receipt for _, receipt in found)
                    await self._tell(group, (b"[%b]" % chosen,))
            elif by_hash:
                await self._tell(group, (every,))

    def _receipts(self, block: Block) -> tuple[bytes, dict[Hash32, tuple[int, bytes]]]:
        """A block's receipts, and each with its place by transaction; runs in the worker."""
        every = self._engine.receipts_json(block.rlp, block.receipts)
        receipts = enumerate(split_receipts(every))
        return every, {transaction_of(receipt): (place, receipt) for place, receipt in receipts}

    async def _tell(self, group: Group, events: Sequence[bytes]) -> None:
        """As `_send`, giving way between subscribers: there may be thousands."""
        for identity, session in list(self._groups.get(group, {}).items()):
            if identity not in self._subscriptions:
                continue  # It has unsubscribed meanwhile.
            for event in events:
                session.push(subscription_text(identity, event))
            await self._give_way()

    async def _give_way(self) -> None:
        """Let others go on when this has taken long."""
        if trio.current_time() > self._slice_end:
            await trio.lowlevel.checkpoint()
            self._slice_end = trio.current_time() + SLICE_S

    def _send(self, group: Group, events: Sequence[bytes]) -> None:
        for identity, session in list(self._groups.get(group, {}).items()):
            for event in events:
                session.push(subscription_text(identity, event))


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
