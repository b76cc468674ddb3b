"""Which transactions a builder is offered, best tip first, each sender's in order of nonce.

    Pool.select -> Selection.take -> builder.push -> Selection.take ... until the block is full or time is up

A transaction's gas limit is a promise and its use is less, so a builder asks again with the gas that is really left.
The selection looks at the live pool: what is replaced or dropped meanwhile is offered as it is then, or not at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final, Protocol

from node.eth.primitives import Address
from node.txpool.transaction import PooledTransaction

TRANSACTION_GAS: Final = 21_000
"""No transaction fits into less."""

ASIDE_MAX: Final = 256
"""So many that do not fit are looked past before a call gives up: a full block must not cost a walk of the pool.

Those for whose blobs there is no room do not count: a block is full of blobs long before it is full of gas, the pool holds few
of them (`PoolLimits.blobs_max`), and what carries none must not wait behind them."""


class SenderView(Protocol):
    """One sender's transactions."""

    nonce: int
    """Its next nonce."""
    executable: dict[int, PooledTransaction]
    """By nonce, without a gap from `nonce` on."""


class Selection:
    """An offer in progress; for the task that owns the pool only."""

    def __init__(
        self, senders: Mapping[Address, SenderView], base_fee: int, blob_base_fee: int = 0
    ) -> None:
        self._senders = senders
        self._base_fee = base_fee
        self._blob_base_fee = blob_base_fee
        self._refused: set[Address] = set()
        self._aside: list[PooledTransaction] = []
        self._heap: list[tuple[int, int, PooledTransaction]] = []
        for sender in senders.values():
            first = sender.executable.get(sender.nonce)
            if first is not None:
                tip = self._tip(first)
                if tip >= 0:
                    self._heap.append((-tip, first.arrival, first))
        heapq.heapify(self._heap)

    def take(self, *, gas: int, size: int, count: int, blobs: int = 0) -> list[PooledTransaction]:
        """Give the next transactions whose gas limits, bytes, number and blobs stay within these.

        What did not fit is offered again by the next call; an empty list means that nothing fits any more.
        """
        for one in self._aside:
            self._offer(one)
        self._aside = []
        taken: list[PooledTransaction] = []
        looked_past = 0
        heap, senders = self._heap, self._senders
        while heap and len(taken) < count and gas >= TRANSACTION_GAS:
            best = heap[0][2]
            if best.sender in self._refused:
                heapq.heappop(heap)
                continue
            if len(best.blob_hashes) > blobs:
                self._aside.append(best)
                heapq.heappop(heap)
                continue
            if best.gas_limit > gas or best.size > size:
                self._aside.append(best)
                heapq.heappop(heap)
                looked_past += 1
                if looked_past >= ASIDE_MAX:
                    break
                continue
            taken.append(best)
            gas -= best.gas_limit
            size -= best.size
            blobs -= len(best.blob_hashes)
            sender = senders.get(best.sender)
            following = sender.executable.get(best.nonce + 1) if sender is not None else None
            if following is not None:
                tip = self._tip(following)
                if tip >= 0:
                    heapq.heapreplace(heap, (-tip, following.arrival, following))
                    continue
            heapq.heappop(heap)
        return taken

    def refuse(self, sender: Address) -> None:
        """Offer nothing more of a sender whose transaction the builder could not include."""
        self._refused.add(sender)

    def _offer(self, one: PooledTransaction) -> None:
        heapq.heappush(self._heap, (-self._tip(one), one.arrival, one))

    def _tip(self, one: PooledTransaction) -> int:
        """Wei a unit of gas that the proposer gets; negative for what cannot be in this block."""
        if one.blob_hashes and one.max_fee_per_blob_gas < self._blob_base_fee:
            return -1
        return min(one.max_priority_fee_per_gas, one.max_fee_per_gas - self._base_fee)
