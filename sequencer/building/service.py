"""The sequencer's builder: takes transactions, seals blocks, answers.

    offer -> arrived -> [one engine.decode for all] -> L2Pool -> seal_block -> L2Chain.append (journal) -> told
    L1View.moved -> the next confirmed origin -> a block with its deposits, transactions or not
    L2Chain.reset_to -> dropped blocks' transactions -> the front of the pool

One task builds, so a block is always on the head it was begun on, unless deriving has reset the chain meanwhile: then the block
is thrown away and its transactions are offered again. A few transactions are decoded and sealed on the loop, in a fifth of a
millisecond; more of them in a Worker's thread, while the loop reads the next requests.
An answer comes after the journal's write. Nothing is built before L1's records are derived up to its head.
Deliberately absent: nonce and balance (the engine judges), batches, gossip.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Final, NoReturn

import structlog
import trio

from node.eth.blocks import Block
from node.eth.headers import header_bytes_of_block
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import DEPOSIT_TYPE
from node.txpool import refusals
from node.txpool.intake import Decoded, complaint
from sequencer.building.arriving import DECODE_MAX, Arrivals, Arrived
from sequencer.building.company import Company
from sequencer.building.keeping import Keeper
from sequencer.building.limits import TRANSACTION_BYTES_MAX
from sequencer.building.metrics import BuildingMetrics
from sequencer.building.misfits import Misfits
from sequencer.building.origins import Lost, Turn, choose, inputs_of, origin_name
from sequencer.building.pace import TokenBucket
from sequencer.building.parts import BuilderParts
from sequencer.building.pool import L2Pool
from sequencer.building.refusing import REPLACED, unpayable, word
from sequencer.building.sealing import NEVER_FITS, Portions, Sealed, seal_block
from sequencer.building.waiting import Standing, Submission, Told, Waiting

IN_PLACE_MAX: Final = 16
"""Transactions sealed on the loop in one go: half a millisecond."""

IN_PLACE_GAS_MAX: Final = 350_000
"""Their gas limits: sixteen transfers. A wallet that makes the most of it stops the loop for 11 ms."""

CANDIDATES_MAX: Final = 512
"""Transactions taken for one block: more than 7M gas hold."""

RETURNING_MAX: Final = 1_000_000
"""Transactions of dropped blocks that come back; minutes of full load. The newest of more are lost, and that is logged."""

LOOK_EVERY_S: Final = 0.2
"""How often L1 is asked what its votes have confirmed: counting them takes longer than sealing a block."""

KEEP_EVERY_S: Final = 1.0
"""How often what waits is synced, and what waited too long goes."""

NO_HASH: Final = Hash32(bytes(32))
"""Stands for the hash of what could not be decoded."""

STOPPED: Final = "the sequencer is stopped"
"""Answer while the fault `sequencer-stop` is in force."""

_log = structlog.get_logger()


class Builder:
    """The builder of one sequencer; also what JSON-RPC asks as `Pool` and `Intake`."""

    def __init__(self, parts: BuilderParts) -> None:
        self._parts = parts
        self._chain = parts.chain
        self._engine = parts.engine
        parameters = parts.parameters
        self._pool = L2Pool(
            parts.limits, block_gas_limit=parameters.gas_limit, base_fee=parameters.base_fee_wei
        )
        self._bucket = TokenBucket(
            burst=parts.sealing.burst_blocks,
            refill_per_second=parts.sealing.refill_per_second,
            now=0.0,
        )
        self._metrics = BuildingMetrics(parts.registry, self._pool, self._bucket.tokens)
        self._keeper = Keeper(parts.kept_file)
        self._portions = Portions()
        self._misfits = Misfits()
        self._arrivals = Arrivals(
            parts.engine, parts.worker, admit=self._admit, wake=lambda: self._work.set()
        )
        self._company = Company(
            self._arrivals, ready=lambda: self._pool.ready_count, full=CANDIDATES_MAX
        )
        self._returning: list[bytes] = []
        self._is_returning = False
        """Some of them are neither there nor in the pool yet."""
        self._confirmed_number = 0
        self._is_lost = False
        self._is_open = False
        self._work = trio.Event()
        parts.chain.on_reset(self._take_back)
        parts.faults.on_change(self._faults_changed)

    # -- users

    def offer(self, raw: bytes, told: Told) -> None:
        """Take a transaction; `told` hears once it is sealed, journaled and its receipt readable, or refused, or waits for a nonce."""
        if len(raw) > TRANSACTION_BYTES_MAX:
            self._refuse(told, NO_HASH, refusals.oversized_on_rollup(raw, TRANSACTION_BYTES_MAX))
        elif self._is_stopped():
            self._metrics.offered("stopped")
            told(Submission(NO_HASH, STOPPED))
        elif not self._arrivals.add(raw, told):
            self._refuse(told, NO_HASH, refusals.BUSY)

    async def submit(self, raw: bytes) -> Submission:
        """As `offer`, awaited."""
        answers: list[Submission] = []
        done = trio.Event()

        def told(submission: Submission) -> None:
            answers.append(submission)
            done.set()

        self.offer(raw, told)
        await done.wait()
        return answers[0]

    @property
    def arriving(self) -> int:
        """Transactions that wait for decoding, or are being decoded."""
        return len(self._arrivals)

    # -- the pool, as JSON-RPC reads it

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """A waiting transaction."""
        return self._pool.get(transaction_hash)

    def next_nonce(self, address: bytes) -> int | None:
        """The nonce after an account's transactions that could run; None where it has none here."""
        ready, _ = self._pool.of_sender(address)
        return ready[-1].nonce + 1 if ready else None

    def executable(self) -> Mapping[Address, Sequence[Waiting]]:
        """Those that could be in the next block, by sender, ascending by nonce."""
        return self._by_sender(0)

    def queued(self) -> Mapping[Address, Sequence[Waiting]]:
        """Those that wait for an earlier nonce, by sender, ascending by nonce."""
        return self._by_sender(1)

    def of_sender(self, address: bytes) -> tuple[Sequence[Waiting], Sequence[Waiting]]:
        """What could run and what waits for an earlier nonce of one account, ascending by nonce."""
        return self._pool.of_sender(address)

    def upcoming(
        self,
        *,
        base_fee: int,
        gas: int,
        count: int,
        blob_base_fee: int = 0,  # noqa: ARG002
        blobs: int = 0,  # noqa: ARG002
    ) -> Sequence[Waiting]:
        """What a block with this base fee (wei) and room (gas, number) would take first, in its order; L2 has no blobs."""
        found: list[Waiting] = []
        for one in islice(self._pool.in_order(), count):
            gas -= one.gas_limit
            if gas < 0:
                break
            if one.max_fee_per_gas >= base_fee:
                found.append(one)
        return found

    def counts(self) -> tuple[int, int]:
        """How many could run and how many wait for an earlier nonce."""
        return len(self._pool) - self._pool.gapped_count, self._pool.gapped_count

    def explain(self, transaction_hash: bytes) -> str | None:
        """Why a transaction waits; None for one that does not."""
        one = self._pool.get(transaction_hash)
        if one is None:
            return None
        if one.standing is Standing.GAPPED:
            return f"an earlier nonce than {one.nonce} is missing"
        if self._is_lost:
            return "the head's L1 origin is not on L1's chain; a reset is due"
        return f"did not fit into the last block: {one.why}" if one.why else "the next block is due"

    # -- running

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Open what a crash left, and keep what is acknowledged; around everything that may reset the chain. Raises OSError."""
        assert not self._returning, "a reset before anything is kept"
        self._returning = list(self._keeper.open())
        self._bound_returning()
        if self._returning:
            _log.info("waiting_transactions_read", transactions=len(self._returning))
            self._work.set()
        try:
            yield
        finally:
            self._keeper.close()

    async def run(
        self,
        begin: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Build for ever inside of `kept`, blocks not before `begin` returns. Raises OSError, StorageError."""
        assert self._keeper.is_open, "what is acknowledged would not be kept"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._arrivals.decode_many)
            nursery.start_soon(self._build)
            nursery.start_soon(self._follow_l1, begin)
            nursery.start_soon(self._keep)
            task_status.started()
        raise AssertionError("the builder's tasks never end")

    async def _follow_l1(self, begin: Callable[[], Awaitable[None]]) -> NoReturn:
        await begin()
        version = -1
        while self._parts.derived.value is None:
            version = await self._parts.derived.past(version)
        self._is_open = True
        self._bucket.begin(trio.current_time())
        version, has_moved = -1, True
        while True:
            # Votes confirm blocks while the head stands still, so L1 is looked at now and then, too.
            confirmed_number = self._parts.l1.confirmed.number
            if has_moved or confirmed_number > self._confirmed_number:
                self._is_lost = False
                self._work.set()
            self._confirmed_number, has_moved = confirmed_number, False
            with trio.move_on_after(LOOK_EVERY_S):
                version = await self._parts.l1.moved.past(version)
                has_moved = True

    async def _keep(self) -> NoReturn:
        while True:
            await trio.sleep(KEEP_EVERY_S)
            expired = self._pool.expire(self._parts.wall.now_ms())
            self._metrics.offered("expired", len(expired))
            if self._keeper.is_long and not self._returning and not self._is_returning:
                waiting = [one.raw for one in self._pool.all() if one.told is None]
                await self._keeper.rewrite(waiting, self._parts.worker)
            await self._parts.worker.run(self._keeper.sync)

    # -- admission

    def _admit(self, arrived: Sequence[Arrived], decoded: Sequence[Decoded]) -> None:
        now_ms = self._parts.wall.now_ms()
        pool, misfits = self._pool, self._misfits
        for (_, told), one in zip(arrived, decoded, strict=True):
            if hasattr(one, "code"):
                self._metrics.offered("undecodable")
                told(Submission(NO_HASH, complaint(one)))
                continue
            if misfits and (why := misfits.find(one.hash, one.sender, now_ms=now_ms)) is not None:
                self._metrics.offered("misfit")
                told(Submission(Hash32(one.hash), why))
                continue
            answer = pool.admit(one, told, now_ms=now_ms)
            if isinstance(answer, list):
                for old in answer:
                    self._turn_away(old, REPLACED)
            else:
                self._refuse(told, Hash32(one.hash), answer)

    def _turn_away(self, one: Waiting, refusal: refusals.Refused) -> None:
        self._metrics.offered(refusal.reason)
        one.tell(Submission(one.hash, refusal.message))

    def _refuse(self, told: Told, transaction_hash: Hash32, refusal: refusals.Refused) -> None:
        self._metrics.offered(refusal.reason)
        told(Submission(transaction_hash, refusal.message))

    # -- building

    async def _build(self) -> NoReturn:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            if self._is_open:
                while await self._step():
                    await trio.lowlevel.checkpoint()

    async def _step(self) -> bool:
        """Build a block if there is anything to build; False if not, and nothing is left to do."""
        await self._chain.room()
        await self._company.gather()
        self._arrivals.decode_few()
        if self._is_lost or self._is_stopped():
            return False
        turn = choose(self._parts.l1, self._confirmed_number, self._chain.head_origin)
        if isinstance(turn, Lost):
            self._lose()
            return False
        self._metrics.lost_origin.set(0)
        if turn.advances:
            await self._seal(turn)
            return True
        if self._returning:
            await self._put_first()
            return True
        if not self._pool.ready_count:
            return False
        wait_s = self._bucket.wait_s(trio.current_time())
        if wait_s > 0:
            await trio.sleep(wait_s)
            return True  # what came meanwhile shares the block; L1 may have moved
        if await self._seal(turn):
            self._bucket.take(trio.current_time())
        return True

    async def _seal(self, turn: Turn) -> bool:
        """Seal one block and tell those whose transactions are in it; False if there is none."""
        begun = trio.current_time()
        candidates = self._candidates()
        parent, parameters = self._chain.head, self._parts.parameters
        attributes = inputs_of(parameters, parent.header, turn, self._parts.wall.now_ms() // 1_000)
        parent_header = header_bytes_of_block(parent.rlp)
        work = partial(
            seal_block, self._engine, parent_header, attributes, candidates, self._portions
        )
        if _is_little(candidates) and len(attributes.deposits) <= 1:
            sealed = work()
        else:
            sealed = await self._parts.sealing_worker.run(work)
        if self._chain.head.hash != parent.hash:
            self._pool.give_back(candidates)
            return False
        if sealed.result is not None:
            self._company.sealed(len(sealed.included), begun)
            self._chain.append(sealed.result, origin_name(turn.origin))
            self._count(sealed, trio.current_time() - begun)
        self._refuse_unpayable(sealed)
        dropped = self._pool.settle(sealed, now_ms=self._parts.wall.now_ms())
        if len(attributes.deposits) > 1:
            self._pool.retry_gapped()
        self._tell(sealed, dropped)
        return sealed.result is not None

    def _refuse_unpayable(self, sealed: Sealed) -> None:
        """Refuse what would be acknowledged though it waits for a nonce, if its sender could not pay for it."""
        fresh = [one for one in sealed.early if one.told is not None]
        if fresh:
            root = self._chain.head.header.state_root
            refused = unpayable(self._engine, root, fresh, self._pool.gapped_cost)
            sealed.refused += refused
            gone = {refusal.one.hash for refusal in refused}
            sealed.early = [one for one in sealed.early if one.hash not in gone]

    def _candidates(self) -> list[Waiting]:
        if self._returning:
            return []  # origins first: what comes back may live on a deposit of one that is still to come
        size = self._parts.parameters.transactions_limit_bytes
        taken = self._pool.take(count=CANDIDATES_MAX, size=size)
        censored = self._parts.faults.find("censor-sender")
        if censored is None:
            return taken
        address = censored.address("address")
        held = [one for one in taken if one.sender == address]
        self._pool.hold(held)
        for one in held:
            self._acknowledge(one)
        return [one for one in taken if one.sender != address]

    def _tell(self, sealed: Sealed, dropped: Sequence[Waiting]) -> None:
        for one in sealed.included:
            told = one.told
            if told is not None:
                one.told = None
                told(Submission(one.hash))
        root = self._chain.head.header.state_root
        for refusal in sealed.refused:
            self._metrics.offered(refusal.reason)
            one = refusal.one
            if refusal.reason == NEVER_FITS:
                now_ms = self._parts.wall.now_ms()
                self._misfits.note(one.hash, one.sender, refusal.message, now_ms=now_ms)
            if one.told is not None:
                one.tell(Submission(one.hash, word(self._engine, root, refusal)))
        for one in dropped:
            self._turn_away(one, refusals.account_limit(self._pool.gapped_count))
        for one in sealed.early:
            if one.standing is Standing.GAPPED:
                self._acknowledge(one)

    def _acknowledge(self, one: Waiting) -> None:
        """Say that a transaction was taken though it is in no block, and keep it over restarts."""
        if one.told is not None:
            self._keeper.keep((one.raw,))
            one.tell(Submission(one.hash))

    def _count(self, sealed: Sealed, seconds: float) -> None:
        metrics, number = self._metrics, len(sealed.included)
        metrics.blocks.inc()
        metrics.transactions.inc(number)
        metrics.seal_seconds.observe(seconds)
        metrics.block_transactions.observe(number)
        if number:
            metrics.offered("sealed", number)
        if sealed.limit:
            metrics.limits.labels(limit=sealed.limit).inc()

    def _lose(self) -> None:
        self._is_lost = True
        self._metrics.lost_origin.set(1)
        _log.warning(
            "l2_origin_lost",
            origin_number=self._chain.head_origin.number,
            number=self._chain.head.header.number,
        )

    # -- resets

    def _take_back(self, dropped: Sequence[Block]) -> None:
        """Write down what blocks hold that are about to be dropped, oldest first."""
        raws = [
            raw
            for block in reversed(dropped)
            for raw in self._engine.raw_transactions(block.rlp)
            if raw[0] != DEPOSIT_TYPE
        ]
        self._keeper.keep(raws)
        self._metrics.returned.inc(len(raws))
        self._returning = raws + self._returning
        self._bound_returning()
        self._is_lost = False
        self._work.set()

    def _bound_returning(self) -> None:
        if len(self._returning) > RETURNING_MAX:
            _log.error("transactions_lost", number=len(self._returning) - RETURNING_MAX)
            del self._returning[RETURNING_MAX:]

    async def _put_first(self) -> None:
        """Bring what was dropped back to the front of the pool."""
        returning, self._returning = self._returning, []
        self._is_returning = True
        transactions = []
        for start in range(0, len(returning), DECODE_MAX):
            raws = returning[start : start + DECODE_MAX]
            decoded = await self._parts.worker.run(partial(self._engine.decode, raws))
            transactions += [one for one in decoded if not hasattr(one, "code")]
        displaced = self._pool.put_first(transactions, now_ms=self._parts.wall.now_ms())
        self._is_returning = False
        for one in displaced:
            self._turn_away(one, refusals.nonce_too_low(one.nonce + 1, one.nonce))
        self._pool.retry_gapped()

    # -- faults

    def _is_stopped(self) -> bool:
        return self._parts.faults.find("sequencer-stop") is not None

    def _faults_changed(self) -> None:
        self._pool.release()
        self._work.set()

    # -- inside

    def _by_sender(self, part: int) -> dict[Address, Sequence[Waiting]]:
        found = {address: self._pool.of_sender(address)[part] for address in self._pool.senders()}
        return {address: several for address, several in found.items() if several}


def _is_little(candidates: Sequence[Waiting]) -> bool:
    """Whether a block of these takes less time than a thread's hop is worth."""
    return (
        len(candidates) <= IN_PLACE_MAX
        and sum(one.gas_limit for one in candidates) <= IN_PLACE_GAS_MAX
    )
