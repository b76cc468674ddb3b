"""What waits for an L2 block: first come, first served. PURE.

    admit -> ready -> take (a block is built) -> settle: included leave, refused leave, later go to the front, early ones wait
    an included nonce lets the run that waited for it go; censored senders are held; a reset brings its transactions back to the front

Blocks are sealed as transactions come, so the pool is empty most of the time, and the builder is the judge of nonce and
balance: asking the state first would cost as much as the execution. What is checked here needs no state.
One owner calls it; nothing is awaited, time is an argument, and a refused transaction changes nothing.
Deliberately absent: order by fee, and eviction of what could run: a full pool refuses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction
from node.txpool import refusals
from node.txpool.refusals import RefusalReason, Refused
from node.txpool.validation import check_alone, pays_more
from sequencer.building.limits import WaitingLimits
from sequencer.building.sealing import Sealed
from sequencer.building.waiting import Standing, Told, Waiting

SET_CODE_KIND = 4
"""EIP-2718 type of EIP-7702 transactions: they move other accounts' nonces."""


class L2Pool:
    """Waiting transactions of one sequencer."""

    def __init__(self, limits: WaitingLimits, *, block_gas_limit: int, base_fee: int) -> None:
        self.limits = limits
        """Its bounds."""
        self._block_gas_limit = block_gas_limit
        self._base_fee = base_fee
        self._by_hash: dict[bytes, Waiting] = {}
        self._senders: dict[bytes, dict[int, Waiting]] = {}
        self._ready: deque[Waiting] = deque()
        """Those that are offered next; what stands elsewhere by now is passed over."""
        self._ready_count = 0
        self._gapped: dict[bytes, dict[int, Waiting]] = {}
        """By sender, the longest silent first."""
        self._gapped_count = 0
        self._gapped_bytes = 0
        self._gapped_cost: dict[bytes, int] = {}
        """What a sender's may cost, in wei."""
        self._active_ms: dict[bytes, int] = {}
        """When something of a sender with a gap came last."""
        self._held: list[Waiting] = []
        self._bytes = 0

    # -- views

    def __len__(self) -> int:
        return len(self._by_hash)

    @property
    def ready_count(self) -> int:
        """Those that are offered to the next block."""
        return self._ready_count

    @property
    def gapped_count(self) -> int:
        """Those that wait for an earlier nonce."""
        return self._gapped_count

    def gapped_cost(self, address: bytes) -> int:
        """What those of one sender that wait for an earlier nonce may cost, in wei."""
        return self._gapped_cost.get(address, 0)

    @property
    def held_count(self) -> int:
        """Those that are left out on purpose."""
        return len(self._held)

    @property
    def bytes_total(self) -> int:
        """Raw bytes of all."""
        return self._bytes

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """Find a transaction."""
        return self._by_hash.get(transaction_hash)

    def of_sender(self, address: bytes) -> tuple[list[Waiting], list[Waiting]]:
        """What could run of one sender and what waits for an earlier nonce, ascending by nonce."""
        by_nonce = self._senders.get(address, {})
        found = [by_nonce[nonce] for nonce in sorted(by_nonce)]
        gapped = [one for one in found if one.standing is Standing.GAPPED]
        return [one for one in found if one.standing is not Standing.GAPPED], gapped

    def senders(self) -> list[Address]:
        """Everybody who has a transaction here."""
        return [Address(one) for one in self._senders]

    def in_order(self) -> Iterator[Waiting]:
        """What is offered next, in its order."""
        return (one for one in self._ready if self._is_ready(one))

    def all(self) -> Iterator[Waiting]:
        """Everything, in no order that means anything."""
        return iter(self._by_hash.values())

    # -- coming in

    def admit(
        self, transaction: Transaction, told: Told | None, *, now_ms: int
    ) -> Refused | list[Waiting]:
        """Take a transaction, or say why not; gives what it replaced or pushed out."""
        transaction_hash = transaction.hash
        if transaction_hash in self._by_hash:
            return refusals.ALREADY_KNOWN
        refusal = check_alone(transaction, self.limits.alone, self._block_gas_limit)
        if refusal is not None:
            return refusal
        one = Waiting(
            Hash32(transaction_hash),
            Address(transaction.sender),
            transaction.nonce,
            transaction.gas_limit,
            transaction.max_fee_per_gas,
            transaction.max_priority_fee_per_gas,
            transaction.size,
            transaction.raw,
            now_ms,
            transaction,
            told,
        )
        if one.max_fee_per_gas < self._base_fee:
            return fee_below_base_fee(one, self._base_fee)
        leaving = self._make_room(one)
        if isinstance(leaving, Refused):
            return leaving
        for old in leaving:
            self._forget(old)
        self._insert(one)
        self._ready.append(one)
        self._ready_count += 1
        return leaving

    def put_first(self, transactions: Iterable[Transaction], *, now_ms: int) -> list[Waiting]:
        """Take back what a reset dropped, ahead of everything else, in this order; whoever has its place leaves and is given.

        They were in a block once, so they are not judged again, and bounds do not count: a reset is bounded by its blocks.
        """
        returned: list[Waiting] = []
        displaced: list[Waiting] = []
        for transaction in transactions:
            if transaction.hash in self._by_hash:
                continue
            one = Waiting(
                Hash32(transaction.hash),
                Address(transaction.sender),
                transaction.nonce,
                transaction.gas_limit,
                transaction.max_fee_per_gas,
                transaction.max_priority_fee_per_gas,
                transaction.size,
                transaction.raw,
                now_ms,
                transaction,
                None,
            )
            old = self._senders.get(one.sender, {}).get(one.nonce)
            if old is not None:
                self._forget(old)
                displaced.append(old)
            self._insert(one)
            returned.append(one)
        self._ready.extendleft(reversed(returned))
        self._ready_count += len(returned)
        return displaced

    # -- blocks

    def take(self, *, count: int, size: int) -> list[Waiting]:
        """Give the first that are ready to a block, at most so many and so many bytes; each sender's in order of nonce."""
        taken: list[Waiting] = []
        ready = self._ready
        while ready and len(taken) < count:
            one = ready[0]
            if not self._is_ready(one):
                ready.popleft()
                continue
            size -= one.size
            if size < 0 and taken:
                break
            ready.popleft()
            one.standing = Standing.TAKEN
            taken.append(one)
        self._ready_count -= len(taken)
        return _by_nonce(taken)

    def give_back(self, taken: Sequence[Waiting]) -> None:
        """Undo a `take`: nothing came of the block."""
        for one in taken:
            one.standing = Standing.READY
        self._ready.extendleft(reversed(taken))
        self._ready_count += len(taken)

    def settle(self, sealed: Sealed, *, now_ms: int) -> list[Waiting]:
        """Let all that was taken go where it belongs; gives what had to make room for those that wait for a nonce."""
        for one in sealed.included:
            self._forget(one)
        for refusal in sealed.refused:
            self._forget(refusal.one)
        for one in sealed.early:
            self._gap(one, now_ms)
        for one in sealed.later:
            one.why = sealed.limit
        self.give_back(sealed.later)
        if self._gapped:
            self._promote_after(sealed)
        return self._trim_gapped([one for one in sealed.early if one.standing is Standing.GAPPED])

    def _promote_after(self, sealed: Sealed) -> None:
        for one in (*sealed.included, *sealed.later):
            self._promote(one.sender, one.nonce + 1)
        for one in sealed.included:
            if one.decoded.kind == SET_CODE_KIND:
                for authority in one.decoded.authorities:
                    self._retry(authority)

    def retry_gapped(self) -> None:
        """Offer everything that waits for a nonce again: something else may have moved nonces."""
        for sender in list(self._gapped):
            self._retry(sender)

    def expire(self, now_ms: int) -> list[Waiting]:
        """Drop what waits for a nonce and belongs to senders that have been silent for too long."""
        deadline_ms = now_ms - self.limits.gapped_lifetime_ms
        expired: list[Waiting] = []
        while self._gapped:
            sender = next(iter(self._gapped))
            if self._active_ms[sender] > deadline_ms:
                break
            expired += self._gapped[sender].values()
            for one in list(self._gapped[sender].values()):
                self._forget(one)
        return expired

    # -- censored

    def hold(self, taken: Sequence[Waiting]) -> None:
        """Put aside what was taken."""
        for one in taken:
            one.standing = Standing.HELD
        self._held += taken

    def release(self) -> None:
        """Offer everything that was put aside."""
        held, self._held = self._held, []
        for one in held:
            one.standing = Standing.READY
        self._ready.extend(held)
        self._ready_count += len(held)

    # -- inside

    def _is_ready(self, one: Waiting) -> bool:
        return one.standing is Standing.READY and self._by_hash.get(one.hash) is one

    def _insert(self, one: Waiting) -> None:
        self._by_hash[one.hash] = one
        self._bytes += one.size
        by_nonce = self._senders.get(one.sender)
        if by_nonce is None:
            self._senders[one.sender] = {one.nonce: one}
        else:
            by_nonce[one.nonce] = one

    def _make_room(self, one: Waiting) -> list[Waiting] | Refused:
        """Find what must leave for one to enter; nothing is removed yet."""
        limits = self.limits
        by_nonce = self._senders.get(one.sender)
        if by_nonce is not None:
            old = by_nonce.get(one.nonce)
            if old is not None:
                return self._replace(old, one)
            if len(by_nonce) >= limits.sender_max:
                return refusals.account_limit(len(by_nonce))
        leaving: list[Waiting] = []
        count, size = len(self._by_hash) + 1, self._bytes + one.size
        if count <= limits.transactions_max and size <= limits.bytes_max:
            return leaving
        for sender, gapped in self._gapped.items():
            if sender == one.sender:
                continue
            for nonce in sorted(gapped, reverse=True):
                leaving.append(gapped[nonce])
                count, size = count - 1, size - gapped[nonce].size
                if count <= limits.transactions_max and size <= limits.bytes_max:
                    return leaving
        return refusals.BUSY

    def _replace(self, old: Waiting, one: Waiting) -> list[Waiting] | Refused:
        if old.standing is Standing.TAKEN:
            return refusals.nonce_too_low(one.nonce + 1, one.nonce)
        if not pays_more(old.price, one.price, self.limits.replacement_percent):
            return refusals.REPLACEMENT_UNDERPRICED
        return [old]

    def _gap(self, one: Waiting, now_ms: int) -> None:
        one.standing = Standing.GAPPED
        gapped = self._gapped.pop(one.sender, {})
        gapped[one.nonce] = one
        self._gapped[one.sender] = gapped
        self._gapped_count += 1
        self._gapped_bytes += one.size
        self._gapped_cost[one.sender] = self.gapped_cost(one.sender) + one.cost
        self._active_ms[one.sender] = now_ms

    def _trim_gapped(self, fresh: Sequence[Waiting]) -> list[Waiting]:
        """Keep within bounds: a sender loses its farthest, then the longest silent sender does."""
        limits = self.limits
        dropped: list[Waiting] = []
        for sender in {one.sender for one in fresh}:
            gapped = self._gapped.get(sender, {})
            excess = len(gapped) - limits.sender_gapped_max
            for nonce in sorted(gapped, reverse=True)[: max(0, excess)]:
                dropped.append(gapped[nonce])
                self._forget(gapped[nonce])
        while (
            self._gapped_count > limits.gapped_max or self._gapped_bytes > limits.gapped_bytes_max
        ):
            gapped = self._gapped[next(iter(self._gapped))]
            farthest = gapped[max(gapped)]
            dropped.append(farthest)
            self._forget(farthest)
        return dropped

    def _promote(self, sender: bytes, nonce: int) -> None:
        """Let the run of a sender's that begins with this nonce go."""
        gapped = self._gapped.get(sender)
        while gapped and (one := gapped.get(nonce)) is not None:
            self._ungap(one)
            self._ready.append(one)
            self._ready_count += 1
            nonce += 1

    def _retry(self, sender: bytes) -> None:
        gapped = self._gapped.get(sender)
        if gapped is not None:
            for nonce in sorted(gapped):
                self._promote(sender, nonce)

    def _ungap(self, one: Waiting) -> None:
        one.standing = Standing.READY
        gapped = self._gapped[one.sender]
        del gapped[one.nonce]
        self._gapped_count -= 1
        self._gapped_bytes -= one.size
        self._gapped_cost[one.sender] -= one.cost
        if not gapped:
            del self._gapped[one.sender], self._active_ms[one.sender]
            del self._gapped_cost[one.sender]

    def _forget(self, one: Waiting) -> None:
        if one.standing is Standing.GAPPED:
            self._ungap(one)
        elif one.standing is Standing.HELD:
            self._held.remove(one)
        elif one.standing is Standing.READY:
            self._ready_count -= 1
        del self._by_hash[one.hash]
        self._bytes -= one.size
        by_nonce = self._senders[one.sender]
        del by_nonce[one.nonce]
        if not by_nonce:
            del self._senders[one.sender]


def fee_below_base_fee(one: Waiting, base_fee: int) -> Refused:
    """Refuse a fee that no block takes: the L2's base fee never moves."""
    return Refused(
        RefusalReason.UNDERPRICED,
        f"max fee per gas less than block base fee: address 0x{one.sender.hex()}, "
        f"maxFeePerGas: {one.max_fee_per_gas}, baseFee: {base_fee}",
    )


def _by_nonce(taken: list[Waiting]) -> list[Waiting]:
    """Put each sender's into order of nonce, in the places that its transactions have."""
    places: dict[bytes, list[int]] = {}
    for place, one in enumerate(taken):
        places.setdefault(one.sender, []).append(place)
    if len(places) == len(taken):
        return taken
    for own in places.values():
        if len(own) > 1:
            ordered = sorted((taken[place] for place in own), key=lambda one: one.nonce)
            for place, one in zip(own, ordered, strict=True):
                taken[place] = one
    return taken
