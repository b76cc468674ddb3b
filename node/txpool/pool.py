"""The pool's rules: what is taken, what replaces what, what makes room, what a new head changes. PURE.

    admit(transaction, account) -> Added | Refused
    update(accounts of a new head) -> Changed          mined ones leave, gaps open and close
    select(base fee) -> Selection                      what a builder is offered

One owner calls it; nothing is awaited, time is an argument, and a refused transaction changes nothing.
Room is made from the queue first (who has been silent longest, its farthest nonce), then by price: the sender of the
cheapest transaction loses its last one, so that no other of its transactions loses its place.
Blobs have room of their own: blob transactions push out blob transactions only.
Deliberately absent: sockets, files, decoding, and any special right of local transactions.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from node.eth.blobs import BLOB_KIND
from node.eth.fees import GAS_PER_BLOB
from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction
from node.txpool import refusals
from node.txpool.blob_room import Prices, room_for_blobs
from node.txpool.limits import PoolLimits
from node.txpool.refusals import Refused
from node.txpool.selection import Selection
from node.txpool.sender import Sender
from node.txpool.transaction import AccountFacts, PooledTransaction
from node.txpool.validation import (
    check_account,
    check_alone,
    check_blobs_named,
    check_delegation,
    check_exclusive,
    check_replacement,
)

Admissible = tuple[PooledTransaction, Sender, PooledTransaction | None, list[PooledTransaction]]
"""What may enter, its sender, what it replaces, what makes room."""


@dataclass(frozen=True, slots=True)
class Added:
    """A transaction that was taken."""

    transaction: PooledTransaction
    """As it is kept."""
    executable: tuple[PooledTransaction, ...]
    """What became executable by it, itself included; empty if it waits for an earlier nonce."""
    dropped: tuple[PooledTransaction, ...]
    """What it replaced or pushed out."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a new head did to the pool."""

    executable: tuple[PooledTransaction, ...]
    """What became executable."""
    included: tuple[PooledTransaction, ...]
    """What the head's state has used up the nonces of."""
    dropped: tuple[PooledTransaction, ...]
    """What can no longer be paid for, or fit into a block."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything of one sender, in order of nonce."""

    executable: tuple[PooledTransaction, ...]
    """What could run now: `pending` in geth's words."""
    queued: tuple[PooledTransaction, ...]
    """What waits for an earlier nonce."""


class Pool:
    """Transactions that are in no block yet."""

    def __init__(
        self, limits: PoolLimits, *, block_gas_limit: int, prices: Prices | None = None
    ) -> None:
        self.limits = limits
        """Its bounds."""
        self._block_gas_limit = block_gas_limit
        self._by_hash: dict[Hash32, PooledTransaction] = {}
        self._senders: dict[Address, Sender] = {}
        self._waiting: dict[Address, None] = {}
        """Senders with queued transactions, the longest silent first."""
        self._authorities: Counter[Address] = Counter()
        self._by_price: list[tuple[int, int, int, PooledTransaction]] = []
        self._with_blobs: dict[Hash32, PooledTransaction] = {}
        self._blobs: Counter[Hash32] = Counter()
        self._prices = prices or Prices()
        self._bytes = 0
        self._queued_count = 0
        self._arrivals = 0

    # -- views

    def __len__(self) -> int:
        return len(self._by_hash)

    @property
    def executable_count(self) -> int:
        """How many could run now."""
        return len(self._by_hash) - self._queued_count

    @property
    def queued_count(self) -> int:
        """How many wait for an earlier nonce."""
        return self._queued_count

    @property
    def bytes_total(self) -> int:
        """Raw bytes of all of them."""
        return self._bytes

    @property
    def blob_count(self) -> int:
        """Blobs of all of them."""
        return self._blobs.total()

    def needs_blob(self, versioned_hash: Hash32) -> bool:
        """Whether a transaction here carries this blob."""
        return versioned_hash in self._blobs

    def knows(self, sender: bytes) -> bool:
        """Whether anything of a sender is here; if not, `admit` needs its account."""
        return sender in self._senders

    def facts(self, sender: Address) -> AccountFacts:
        """What the head's state says of a sender that has something here. Raises KeyError."""
        return self._senders[sender].facts

    def senders(self) -> list[Address]:
        """Everybody who has a transaction here."""
        return list(self._senders)

    def by_hash(self, transaction_hash: bytes) -> PooledTransaction | None:
        """Find a transaction."""
        return self._by_hash.get(Hash32(transaction_hash))

    def pending_nonce(self, address: bytes) -> int | None:
        """The sender's next free nonce; None if nothing of it is here and the head's state has the answer."""
        sender = self._senders.get(Address(address))
        return None if sender is None else sender.next_nonce

    def content_from(self, address: bytes) -> Content:
        """Everything of one sender."""
        sender = self._senders.get(Address(address))
        if sender is None:
            return Content((), ())
        return Content(_ascending(sender.executable), _ascending(sender.queued))

    def content(self) -> dict[Address, Content]:
        """Everything, by sender."""
        return {address: self.content_from(address) for address in self._senders}

    def executable_by_sender(self) -> dict[Address, tuple[PooledTransaction, ...]]:
        """What could run now of each sender that has any, in order of nonce."""
        return {
            address: _ascending(sender.executable)
            for address, sender in self._senders.items()
            if sender.executable
        }

    def queued_by_sender(self) -> dict[Address, tuple[PooledTransaction, ...]]:
        """What waits for an earlier nonce of each sender that has any, in order of nonce."""
        return {address: _ascending(self._senders[address].queued) for address in self._waiting}

    def select(self, base_fee: int, blob_base_fee: int = 0) -> Selection:
        """Begin an offer to a builder whose block has this base fee and price of blob gas, wei a unit."""
        return Selection(self._senders, base_fee, blob_base_fee)

    # -- changes

    def admit(
        self, transaction: Transaction, account: AccountFacts | None, *, now_ms: int
    ) -> Added | Refused:
        """Take a transaction or say why not; `account` is its sender's, unless the pool `knows` it."""
        found = self._examine(transaction, account, now_ms)
        return found if isinstance(found, Refused) else self._insert(*found)

    def refusal(self, transaction: Transaction, account: AccountFacts | None) -> Refused | None:
        """Why a transaction would not be taken now; None if it would. Spares checking blobs for nothing."""
        found = self._examine(transaction, account, 0)
        return found if isinstance(found, Refused) else None

    def refusal_alone(self, transaction: Transaction) -> Refused | None:
        """Why a transaction would not be taken from anybody, its blobs aside."""
        return check_alone(transaction, self.limits, self._block_gas_limit)

    def _examine(
        self, transaction: Transaction, account: AccountFacts | None, now_ms: int
    ) -> Admissible | Refused:
        """All that is needed to insert a transaction, or why it is refused; nothing is changed."""
        if transaction.hash in self._by_hash:
            return refusals.ALREADY_KNOWN
        limits = self.limits
        refusal = self.refusal_alone(transaction) or check_blobs_named(transaction)
        if refusal is not None:
            return refusal
        address = Address(transaction.sender)
        sender = self._senders.get(address)
        if sender is None:
            assert account is not None, "an unknown sender needs its account"
            sender = Sender(address, account)
        one = self._pooled(transaction, address, now_ms)
        with_blobs = bool(one.blob_hashes)
        refusal = (
            check_exclusive(sender, with_blobs=with_blobs)
            or check_account(sender, one.nonce, one.cost, limits, with_blobs=with_blobs)
            or check_delegation(transaction, sender, self._authorities, self._senders)
        )
        if refusal is not None:
            return refusal
        replaced = sender.find(one.nonce)
        if replaced is not None:
            refusal = check_replacement(replaced, one, limits)
            if refusal is not None:
                return refusal
        victims = self._make_room(one, sender, replaced)
        if isinstance(victims, Refused):
            return victims
        if with_blobs:
            leaving = victims if replaced is None else [*victims, replaced]
            others = self._make_room_for_blobs(one, sender, leaving)
            if isinstance(others, Refused):
                return others
            victims = victims + others
        return one, sender, replaced, victims

    def update(
        self,
        accounts: Mapping[Address, AccountFacts],
        *,
        block_gas_limit: int,
        now_ms: int,
        prices: Prices | None = None,
    ) -> Changed:
        """Follow a new head: what its state says of senders, all of them or those that changed, and what it asks for."""
        self._prices = prices or self._prices
        check_gas = block_gas_limit < self._block_gas_limit
        self._block_gas_limit = block_gas_limit
        executable: list[PooledTransaction] = []
        included: list[PooledTransaction] = []
        dropped: list[PooledTransaction] = []
        for address, facts in accounts.items():
            sender = self._senders.get(address)
            if sender is None or (sender.facts == facts and not check_gas):
                continue
            if facts.nonce > sender.nonce:
                sender.active_ms = now_ms
            before = len(sender.queued)
            ran = set(sender.executable)
            used = sender.move(facts)
            dead = sender.unaffordable(block_gas_limit, check_gas=check_gas)
            for one in dead:
                sender.take_out(one)
            sender.promote()
            self._queued_count += len(sender.queued) - before
            executable += [one for nonce, one in sender.executable.items() if nonce not in ran]
            included += used
            dropped += dead
            for one in (*used, *dead):
                self._forget(one)
            self._settle(sender)
        return Changed(tuple(executable), tuple(included), tuple(dropped))

    def drop(self, transaction_hash: bytes) -> PooledTransaction | None:
        """Remove a transaction that turned out to be impossible; later ones of its sender wait."""
        one = self._by_hash.get(Hash32(transaction_hash))
        if one is not None:
            self._remove(one)
        return one

    def expire(self, now_ms: int) -> list[PooledTransaction]:
        """Drop what waits and belongs to senders that have been silent for too long."""
        expired: list[PooledTransaction] = []
        deadline_ms = now_ms - self.limits.queued_lifetime_ms
        while self._waiting:
            sender = self._senders[next(iter(self._waiting))]
            if sender.active_ms > deadline_ms:
                break
            expired += sender.queued.values()
            for one in list(sender.queued.values()):
                self._remove(one)
        return expired

    # -- inside

    def _pooled(self, transaction: Transaction, sender: Address, now_ms: int) -> PooledTransaction:
        self._arrivals += 1
        gas_limit, fee = transaction.gas_limit, transaction.max_fee_per_gas
        hashes: tuple[Hash32, ...] = ()
        blob_fee = 0
        if transaction.kind == BLOB_KIND:
            hashes = tuple(Hash32(one) for one in transaction.blob_hashes)
            blob_fee = transaction.max_fee_per_blob_gas
        return PooledTransaction(
            Hash32(transaction.hash),
            sender,
            transaction.nonce,
            gas_limit,
            fee,
            transaction.max_priority_fee_per_gas,
            gas_limit * fee + transaction.value + len(hashes) * GAS_PER_BLOB * blob_fee,
            transaction.size,
            transaction.raw,
            tuple(Address(one) for one in transaction.authorities) if transaction.kind == 4 else (),
            self._arrivals,
            now_ms,
            transaction,
            hashes,
            blob_fee,
        )

    def _insert(
        self,
        one: PooledTransaction,
        sender: Sender,
        replaced: PooledTransaction | None,
        victims: list[PooledTransaction],
    ) -> Added:
        for victim in victims:
            self._remove(victim)
        self._senders[sender.address] = sender
        before = len(sender.queued)
        is_executable = sender.put(one)
        promoted = sender.promote() if is_executable else []
        self._queued_count += len(sender.queued) - before
        if replaced is not None:
            self._forget(replaced)
            victims = [replaced, *victims]
        self._by_hash[one.hash] = one
        self._bytes += one.size
        if one.blob_hashes:
            self._with_blobs[one.hash] = one
            self._blobs.update(one.blob_hashes)
        for authority in one.authorities:
            self._authorities[authority] += 1
        heapq.heappush(
            self._by_price, (one.max_priority_fee_per_gas, one.max_fee_per_gas, -one.arrival, one)
        )
        if len(self._by_price) > 2 * len(self._by_hash) + 1_024:
            self._rebuild_prices()
        sender.active_ms = one.added_ms
        if sender.queued:
            self._waiting.pop(sender.address, None)
            self._waiting[sender.address] = None
        elif self._waiting:
            self._waiting.pop(sender.address, None)
        return Added(one, (one, *promoted) if is_executable else (), tuple(victims))

    def _make_room(
        self, one: PooledTransaction, sender: Sender, replaced: PooledTransaction | None
    ) -> list[PooledTransaction] | Refused:
        """Choose what must leave for one to enter; nothing is removed yet."""
        limits = self.limits
        waits = replaced is None and one.nonce != sender.next_nonce
        victims: list[PooledTransaction] = []
        if waits and len(sender.queued) >= limits.sender_queued_max:
            victims.append(sender.queued[max(sender.queued)])
        elif waits and self._queued_count >= limits.queued_max:
            victims.append(self._longest_silent())
        leaving = len(victims) + (replaced is not None)
        excess = len(self._by_hash) + 1 - leaving - limits.transactions_max
        excess_bytes = self._bytes + one.size - limits.bytes_max
        excess_bytes -= sum(victim.size for victim in victims)
        excess_bytes -= replaced.size if replaced is not None else 0
        if excess <= 0 and excess_bytes <= 0:
            return victims
        return self._choose_victims(one, sender, victims, excess, excess_bytes, waits=waits)

    def _longest_silent(self) -> PooledTransaction:
        queued = self._senders[next(iter(self._waiting))].queued
        return queued[max(queued)]

    def _choose_victims(
        self,
        one: PooledTransaction,
        sender: Sender,
        victims: list[PooledTransaction],
        excess: int,
        excess_bytes: int,
        *,
        waits: bool,
    ) -> list[PooledTransaction] | Refused:
        chosen = {victim.hash for victim in victims}
        for victim in self._queued_victims(sender):
            if excess <= 0 and excess_bytes <= 0:
                return victims
            if victim.hash not in chosen:
                victims.append(victim)
                excess, excess_bytes = excess - 1, excess_bytes - victim.size
        if excess <= 0 and excess_bytes <= 0:
            return victims
        if waits:
            return refusals.FUTURE_REPLACES_PENDING
        cheap = self._cheapest(one, sender, excess, excess_bytes)
        return refusals.UNDERPRICED if cheap is None else victims + cheap

    def _queued_victims(self, sender: Sender) -> Iterable[PooledTransaction]:
        for address in self._waiting:
            if address != sender.address:
                queued = self._senders[address].queued
                for nonce in sorted(queued, reverse=True):
                    yield queued[nonce]

    def _cheapest(
        self, one: PooledTransaction, sender: Sender, excess: int, excess_bytes: int
    ) -> list[PooledTransaction] | None:
        """Last transactions of the senders of the cheapest ones; None if one is not worth more."""
        seen: list[tuple[int, int, int, PooledTransaction]] = []
        taken: Counter[Address] = Counter()
        victims: list[PooledTransaction] = []
        while self._by_price and (excess > 0 or excess_bytes > 0):
            entry = heapq.heappop(self._by_price)
            cheap = entry[3]
            if self._by_hash.get(cheap.hash) is not cheap:
                continue
            seen.append(entry)
            if cheap.price >= one.price:
                break
            owner = self._senders[cheap.sender]
            last = owner.next_nonce - 1 - taken[owner.address]
            victim = owner.executable.get(last)
            if owner is sender or victim is None:
                continue
            taken[owner.address] += 1
            victims.append(victim)
            excess, excess_bytes = excess - 1, excess_bytes - victim.size
        for entry in seen:
            heapq.heappush(self._by_price, entry)
        return victims if excess <= 0 and excess_bytes <= 0 else None

    def _make_room_for_blobs(
        self, one: PooledTransaction, sender: Sender, leaving: list[PooledTransaction]
    ) -> list[PooledTransaction] | Refused:
        """Choose blob transactions that must leave besides."""
        excess = self.blob_count + len(one.blob_hashes) - self.limits.blobs_max
        victims = room_for_blobs(
            one,
            sender,
            others=self._with_blobs.values(),
            senders=self._senders,
            leaving=leaving,
            excess=excess - sum(len(other.blob_hashes) for other in leaving),
            prices=self._prices,
        )
        return refusals.UNDERPRICED if victims is None else victims

    def _rebuild_prices(self) -> None:
        self._by_price = [
            (one.max_priority_fee_per_gas, one.max_fee_per_gas, -one.arrival, one)
            for one in self._by_hash.values()
        ]
        heapq.heapify(self._by_price)

    def _remove(self, one: PooledTransaction) -> None:
        sender = self._senders[one.sender]
        before = len(sender.queued)
        sender.take_out(one)
        self._queued_count += len(sender.queued) - before
        self._forget(one)
        self._settle(sender)

    def _forget(self, one: PooledTransaction) -> None:
        """Take a transaction that its sender has let go of out of the indexes."""
        del self._by_hash[one.hash]
        self._bytes -= one.size
        if one.blob_hashes:
            del self._with_blobs[one.hash]
            self._blobs -= Counter(one.blob_hashes)
        for authority in one.authorities:
            self._authorities[authority] -= 1
            if not self._authorities[authority]:
                del self._authorities[authority]

    def _settle(self, sender: Sender) -> None:
        """Keep the lists of senders right after one of them changed."""
        if not sender.queued:
            self._waiting.pop(sender.address, None)
        else:
            self._waiting.setdefault(sender.address, None)
        if sender.is_empty:
            del self._senders[sender.address]


def _ascending(by_nonce: Mapping[int, PooledTransaction]) -> tuple[PooledTransaction, ...]:
    """One sender's transactions in order of nonce; most senders have one."""
    if len(by_nonce) < 2:
        return tuple(by_nonce.values())
    return tuple(by_nonce[nonce] for nonce in sorted(by_nonce))
