"""The pool in a running node: one owner of the rules' state, fed by users, peers and the chain.

    submit (user)    -> Intake -> Pool.admit -> journal -> answer -> outbox -> gossip every 50 ms, again while it waits
    on_gossip (peer) -> Intake -> Pool.admit -> verdict
    on_head (chain)  -> accounts of the new state -> Pool.update, dropped blocks' transactions come back
    select (builder) -> Selection

Everything that changes the pool runs without awaiting in between, so no lock is needed.
A sender's account is read from the state of the pool's own head: the one it was last told of.
Deliberately absent: what is admitted (pool), and the chain's choice of head.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.errors import Rejected
from node.eth.blobs import BLOB_KIND
from node.eth.blocks import Block
from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction
from node.runtime.clock import WallClock
from node.runtime.worker import Worker
from node.txpool import refusals
from node.txpool.accounts import read_account, read_accounts
from node.txpool.blob_room import PricesAfter, devnet_prices
from node.txpool.early import Early
from node.txpool.fetching import Fetcher, Taken
from node.txpool.intake import Decoded, Intake, Overloaded, complaint
from node.txpool.journal import Journal, open_journal
from node.txpool.limits import PoolLimits
from node.txpool.metrics import PoolMetrics
from node.txpool.outbox import Outbox
from node.txpool.pool import Added, Pool
from node.txpool.refusals import BLAMED, EARLY, RefusalReason, Refused
from node.txpool.selection import Selection
from node.txpool.sidecars import UNSOUND, BlobStore, Offered, Sidecars
from node.txpool.surroundings import GossipVerdict, PoolEngine, PoolNetwork
from node.txpool.transaction import AccountFacts, PooledTransaction
from node.txpool.wire import ANSWER_BYTES_MAX, decode_gossip, decode_request, encode_answer

NO_HASH: Final = Hash32(bytes(32))
"""Stands for the hash of what could not be decoded."""

JOURNAL_SYNC_S: Final = 1.0
"""A power loss may take so much of what was answered."""

JOURNAL_ROTATE_BYTES: Final = 16 * 1024 * 1024
"""A longer journal is rewritten with what is still waiting, if that halves it."""

OFFER_AGAIN_S: Final = 30.0
"""Own transactions that wait for so long are gossiped again: when they came, no peer may have listened (a start, a partition)."""

OFFERED_AGAIN_MAX: Final = 1_024
"""So many at a time, the longest not offered first."""

OWN_MAX: Final = 65_536
"""Own transactions that are remembered, mined ones too: they may come back. More than twice what the pool holds is not needed."""

QUARANTINED_MAX: Final = 64
"""Transactions that this node's execution failed on are remembered: so many, the last ones."""

RETURNING_MAX: Final = 20_000
"""Transactions of dropped blocks that are taken back at once; a deeper reorganisation loses the oldest."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a user's transaction."""

    hash: Hash32
    """Its hash; 32 zero bytes if it could not be decoded."""
    refusal: str | None = None
    """Why it was not taken, as geth words it."""


ExecutableCallback = Callable[[Sequence[tuple[bytes, bytes]]], None]
"""Told of transactions (hash, raw bytes) that became executable; must not block."""


class PoolService:
    """The node's transaction pool."""

    def __init__(
        self,
        *,
        engine: PoolEngine,
        head: Block,
        worker: Worker,
        network: PoolNetwork,
        clock: WallClock,
        registry: CollectorRegistry,
        limits: PoolLimits | None = None,
        journal_path: Path | None = None,
        blobs: BlobStore | None = None,
        withholds_blobs: Callable[[], bool] = lambda: False,
        prices_after: PricesAfter = devnet_prices,
    ) -> None:
        self._engine = engine
        self._root: bytes = head.header.state_root
        self._worker = worker
        self._clock = clock
        self._prices_after = prices_after
        self._pool = Pool(
            limits or PoolLimits(),
            block_gas_limit=head.header.gas_limit,
            prices=prices_after(head.header),
        )
        self._metrics = PoolMetrics(registry, self._pool)
        self._intake = Intake(engine.decode, worker)
        self._outbox = Outbox(network.publish, self._metrics.gossip_dropped)
        self._fetcher = Fetcher(
            request=network.request,
            failures=network.failures,
            blame=network.blame,
            take=self._take_fetched,
            configured=network.configured,
        )
        self._configured = network.configured
        self._early = Early()
        self._sidecars = Sidecars(blobs, withholds_blobs)
        self._journal_path = journal_path
        self._journal: Journal | None = None
        self._own: OrderedDict[Hash32, None] = OrderedDict()
        self._quarantined: deque[bytes] = deque(maxlen=QUARANTINED_MAX)
        self._listeners: list[ExecutableCallback] = []

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started once the journal's transactions are back. Raises OSError (the journal)."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._intake.run)
            try:
                await self._open_journal()
                nursery.start_soon(self._outbox.run)
                nursery.start_soon(self._fetcher.run)
                nursery.start_soon(self._keep_journal)
                nursery.start_soon(self._offer_again)
                task_status.started()
                await trio.sleep_forever()
            finally:
                if self._journal is not None:
                    self._journal.close()
                    self._journal = None

    def on_executable(self, callback: ExecutableCallback) -> None:
        """Tell of every transaction that becomes executable; before `run`."""
        self._listeners.append(callback)

    # -- users

    async def submit(self, raw: bytes) -> Submission:
        """Take a transaction from a user of this node, keep it over restarts, gossip it."""
        offered = self._sidecars.open(raw, self._pool.limits.transaction_bytes_max)
        if isinstance(offered, Refused):
            self._metrics.counted("user", offered.reason)
            return Submission(NO_HASH, offered.message)
        try:
            decoded = (await self._intake.decode([offered.raw]))[0]
        except Overloaded:
            self._metrics.counted("user", refusals.BUSY.reason)
            return Submission(NO_HASH, refusals.BUSY.message)
        answer = await self._admit_offered(decoded, offered, own=True)
        if isinstance(answer, Refused):
            self._metrics.counted("user", answer.reason)
            found = NO_HASH if hasattr(decoded, "code") else Hash32(decoded.hash)
            return Submission(found, answer.message)
        self._metrics.counted("user", "added")
        one = answer.transaction
        if self._journal is not None:
            self._journal.append((one.raw,))
        self._remember_own(one)
        self._send(one)
        self._tell(answer.executable)
        return Submission(one.hash)

    def needs_blob(self, versioned_hash: Hash32) -> bool:
        """Whether a waiting transaction carries this blob."""
        return self._pool.needs_blob(versioned_hash)

    def get(self, transaction_hash: bytes) -> PooledTransaction | None:
        """A waiting transaction."""
        return self._pool.by_hash(transaction_hash)

    def next_nonce(self, address: bytes) -> int | None:
        """The nonce after an account's executable transactions; None where it has none here."""
        return self._pool.pending_nonce(address)

    def executable(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Those that could be in the next block, by sender, ascending by nonce."""
        return self._pool.executable_by_sender()

    def queued(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Those that wait for an earlier nonce, by sender, ascending by nonce."""
        return self._pool.queued_by_sender()

    def of_sender(
        self, address: bytes
    ) -> tuple[Sequence[PooledTransaction], Sequence[PooledTransaction]]:
        """What is executable and what is queued of one account, ascending by nonce."""
        content = self._pool.content_from(address)
        return content.executable, content.queued

    def upcoming(
        self,
        *,
        base_fee: int,
        gas: int,
        count: int,
        blob_base_fee: int = 0,
        blobs: int = 0,
    ) -> Sequence[PooledTransaction]:
        """What a builder with these prices (wei) and room (gas, number, blobs) is offered first, in its order."""
        selection = self._pool.select(base_fee, blob_base_fee)
        return selection.take(gas=gas, size=self._pool.limits.bytes_max, count=count, blobs=blobs)

    def counts(self) -> tuple[int, int]:
        """How many are executable and how many are queued."""
        return self._pool.executable_count, self._pool.queued_count

    # -- builders

    def select(self, base_fee: int, blob_base_fee: int = 0) -> Selection:
        """Begin an offer to a builder whose block has these prices of gas and of blob gas, wei."""
        return self._pool.select(base_fee, blob_base_fee)

    def discard(self, transaction_hash: bytes) -> None:
        """Remove a transaction that execution found impossible."""
        if self._pool.drop(transaction_hash) is not None:
            self._metrics.counted("builder", "discarded")

    def quarantine(self, transaction_hash: bytes) -> None:
        """Remove a transaction on which execution failed by a fault of its own, and take it from nobody again."""
        self._pool.drop(transaction_hash)
        self._quarantined.append(transaction_hash)
        self._metrics.counted("builder", "quarantined")

    # -- peers

    async def on_gossip(self, peer: str, message: bytes) -> GossipVerdict:
        """Judge a message of the transactions' topic."""
        try:
            gossiped = decode_gossip(message)
        except Rejected as error:
            self._metrics.counted("peer", str(error.reason))
            return GossipVerdict.REJECT
        unknown = [one for one in gossiped.announced if self._pool.by_hash(one) is None]
        self._fetcher.want(peer, unknown)
        if not gossiped.transactions:
            return GossipVerdict.IGNORE
        if any(raw[:1] == bytes((BLOB_KIND,)) for raw in gossiped.transactions):
            self._metrics.counted("peer", RefusalReason.NO_SIDECAR)
            return GossipVerdict.REJECT
        try:
            decoded = await self._intake.decode(gossiped.transactions)
        except Overloaded:
            self._metrics.counted("peer", refusals.BUSY.reason, len(gossiped.transactions))
            return GossipVerdict.IGNORE
        return self._judge(decoded, keeps_early=peer in self._configured)

    async def serve(self, _peer: str, body: bytes) -> bytes:
        """Answer a request for transactions by hash. Raises Rejected."""
        found: list[bytes] = []
        room = ANSWER_BYTES_MAX
        for wanted in decode_request(body):
            one = self._pool.by_hash(wanted)
            raw = await self._sidecars.network_form(one, room) if one is not None else None
            if raw is not None:
                found.append(raw)
                room -= len(raw)
        await trio.lowlevel.checkpoint()
        return encode_answer(found)

    # -- the chain

    async def on_head(self, head: Block, dropped: Sequence[Block] = ()) -> None:
        """Follow the chain to a new head; one call at a time.

        `dropped` are the blocks that left the head's chain, from the old head down.
        """
        root = head.header.state_root
        senders = self._pool.senders()
        known = {sender: self._pool.facts(sender) for sender in senders}
        facts = await self._worker.run(lambda: read_accounts(self._engine, root, senders, known))
        for sender in self._pool.senders():
            if sender not in facts:
                facts[sender] = read_account(self._engine, root, sender)
        self._root = root
        now_ms = self._clock.now_ms()
        changed = self._pool.update(
            facts,
            block_gas_limit=head.header.gas_limit,
            now_ms=now_ms,
            prices=self._prices_after(head.header),
        )
        self._pool.expire(now_ms)
        self._tell(changed.executable)
        if dropped:
            await self._take_back(dropped)
        self._early.retry(self._is_early)
        self._fetcher.head_moved()

    # -- inside

    def _admit(self, decoded: Decoded) -> Added | Refused:
        if hasattr(decoded, "code"):
            return Refused(RefusalReason.UNDECODABLE, complaint(decoded))
        if decoded.hash in self._quarantined:
            return refusals.QUARANTINED
        if decoded.kind == BLOB_KIND:
            refusal = self._sidecars.refusal_without([Hash32(one) for one in decoded.blob_hashes])
            if refusal is not None:
                return refusal
        account = self._account_of(decoded)
        return self._pool.admit(decoded, account, now_ms=self._clock.now_ms())

    async def _admit_offered(
        self, decoded: Decoded, offered: Offered, *, own: bool
    ) -> Added | Refused:
        """Admit a transaction that may carry blobs; they are checked and kept before it is."""
        if not hasattr(decoded, "code") and decoded.kind == BLOB_KIND:
            refusal = await self._sidecars.keep(
                decoded,
                offered.form,
                alone=self._pool.refusal_alone,
                now=lambda one: self._pool.refusal(one, self._account_of(one)),
                own=own,
            )
            if refusal is not None:
                return refusal
        return self._admit(decoded)

    def _account_of(self, decoded: Transaction) -> AccountFacts | None:
        sender = Address(decoded.sender)
        return None if self._pool.knows(sender) else read_account(self._engine, self._root, sender)

    def _send(self, one: PooledTransaction) -> None:
        """Gossip a transaction, unless its blobs are withheld."""
        if not (one.blob_hashes and self._sidecars.are_withheld()):
            self._outbox.add(one.raw, one.hash)

    def _judge(self, decoded: Sequence[Decoded], *, keeps_early: bool) -> GossipVerdict:
        """Admit a peer's batch, unless one of it is no transaction at all; keep what is early for the next head if told so."""
        if any(hasattr(one, "code") for one in decoded):
            self._metrics.counted("peer", RefusalReason.UNDECODABLE, len(decoded))
            return GossipVerdict.REJECT
        outcomes: Counter[str] = Counter()
        executable: list[PooledTransaction] = []
        for one in decoded:
            answer = self._admit(one)
            if isinstance(answer, Added):
                executable += answer.executable
                outcomes["added"] += 1
            else:
                outcomes[answer.reason] += 1
                if keeps_early and answer.reason in EARLY and not hasattr(one, "code"):
                    self._early.note(one)
        self._tell(executable)
        for outcome, number in outcomes.items():
            self._metrics.counted("peer", outcome, number)
        if BLAMED & outcomes.keys():
            return GossipVerdict.REJECT
        return GossipVerdict.ACCEPT if outcomes["added"] else GossipVerdict.IGNORE

    def _is_early(self, one: Transaction) -> bool:
        """Offer a peer's transaction again after a new head; tells whether it was too early again."""
        answer = self._admit(one)
        if isinstance(answer, Refused):
            return answer.reason in EARLY
        self._metrics.counted("peer", "added")
        self._send(answer.transaction)
        self._tell(answer.executable)
        return False

    async def _take_fetched(self, raws: Sequence[bytes]) -> Taken | None:
        """Admit what was fetched, up to the first that is unsound; None if there is no time."""
        bytes_max = self._pool.limits.transaction_bytes_max
        opened = [self._sidecars.open(raw, bytes_max) for raw in raws]
        offers = [one for one in opened if isinstance(one, Offered)]
        try:
            decoded = await self._intake.decode([one.raw for one in offers])
        except Overloaded:
            return None
        arrived: set[Hash32] = set()
        early: set[Hash32] = set()
        for one, offered in zip(decoded, offers, strict=True):
            answer = await self._admit_offered(one, offered, own=False)
            if isinstance(answer, Added):
                self._metrics.counted("fetched", "added")
                self._send(answer.transaction)
                self._tell(answer.executable)
            else:
                self._metrics.counted("fetched", answer.reason)
                if answer.reason is RefusalReason.BUSY:
                    return None
                if answer.reason in UNSOUND:
                    break
            if not hasattr(one, "code"):
                arrived.add(Hash32(one.hash))
                if isinstance(answer, Refused) and answer.reason in EARLY:
                    early.add(Hash32(one.hash))
        return Taken(arrived=arrived, early=early)

    async def _take_back(self, dropped: Sequence[Block]) -> None:
        """Admit again what dropped blocks held, the oldest block first."""
        raws: list[bytes] = []
        for block in dropped:
            raws = self._engine.raw_transactions(block.rlp) + raws
            if len(raws) > RETURNING_MAX:
                break
        returning = raws[-RETURNING_MAX:]
        decoded = await self._worker.run(lambda: self._engine.decode(returning))
        executable: list[PooledTransaction] = []
        for one in decoded:
            answer = self._admit(one)
            if isinstance(answer, Added):
                executable += answer.executable
        self._tell(executable)

    def _tell(self, executable: Sequence[PooledTransaction]) -> None:
        if executable:
            told = [(one.hash, one.raw) for one in executable]
            for listener in self._listeners:
                listener(told)

    # -- the journal

    async def _open_journal(self) -> None:
        if self._journal_path is None:
            return
        journal, raws, cut = open_journal(self._journal_path)
        if cut:
            _log.warning("txpool_journal_cut", file=str(self._journal_path), bytes=cut)
        self._journal = journal
        decoded = await self._worker.run(lambda: self._engine.decode(raws)) if raws else ()
        for one in decoded:
            answer = self._admit(one)
            if isinstance(answer, Added):
                self._remember_own(answer.transaction)
                self._send(answer.transaction)
                self._tell(answer.executable)
        _log.info("txpool_journal_read", transactions=len(raws), kept=len(self._own))
        self._rotate(journal)

    async def _keep_journal(self) -> None:
        while True:
            await trio.sleep(JOURNAL_SYNC_S)
            journal = self._journal
            if journal is None:
                return
            if journal.size > JOURNAL_ROTATE_BYTES:
                self._rotate(journal)
            await self._worker.run(journal.sync)

    def _rotate(self, journal: Journal) -> None:
        waiting = self._own_waiting()
        if 2 * sum(one.size for one in waiting) < journal.size:
            journal.rotate(one.raw for one in waiting)
        self._own = OrderedDict((one.hash, None) for one in waiting)

    # -- own transactions

    def _remember_own(self, one: PooledTransaction) -> None:
        if len(self._own) >= OWN_MAX:
            self._own = OrderedDict((own.hash, None) for own in self._own_waiting())
        self._own[one.hash] = None

    def _own_waiting(self) -> list[PooledTransaction]:
        """Those that wait, in order of arrival: a sender's then follow each other."""
        waiting = [one for own in self._own if (one := self._pool.by_hash(own)) is not None]
        return sorted(waiting, key=lambda one: one.arrival)

    async def _offer_again(self) -> None:
        while True:
            await trio.sleep(OFFER_AGAIN_S)
            latest_ms = self._clock.now_ms() - round(OFFER_AGAIN_S * 1_000)
            waiting = (one for own in self._own if (one := self._pool.by_hash(own)) is not None)
            old = (one for one in waiting if one.added_ms <= latest_ms)
            for one in list(islice(old, OFFERED_AGAIN_MAX)):
                self._send(one)
                self._own.move_to_end(one.hash)
