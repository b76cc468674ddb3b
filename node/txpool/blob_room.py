"""Room for blobs: which blob transactions leave so that another may enter. PURE.

    Pool.admit -> room_for_blobs(newcomer, all that carry blobs, prices) -> who leaves, or None

What no block would take now is worth less than anything one would, whatever tip it names: it never has to pay that tip, so it
could hold its place for nothing. After that price decides. The sender of the cheapest loses its last one, as without blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from node.eth.fees import blob_base_fee, next_base_fee
from node.eth.headers import Header
from node.eth.primitives import Address
from node.txpool.sender import Sender
from node.txpool.transaction import PooledTransaction


@dataclass(frozen=True, slots=True)
class Prices:
    """What a block asks for now."""

    base_fee: int = 0
    """Wei a unit of gas."""
    blob_base_fee: int = 0
    """Wei a unit of blob gas."""

    def worth(self, one: PooledTransaction, sender: Sender) -> tuple[int, ...]:
        """What a blob transaction is kept for: whether it can pay a block now, then its price."""
        can_pay = (
            one.nonce not in sender.queued
            and one.max_fee_per_gas >= self.base_fee
            and one.max_fee_per_blob_gas >= self.blob_base_fee
        )
        return int(can_pay), *one.price


PricesAfter = Callable[[Header], Prices]
"""What the block after one with this header asks for."""


def devnet_prices(header: Header) -> Prices:
    """By the schedule that this devnet runs at; blob gas moves by an eighth at most, so this block's price will do."""
    return Prices(next_base_fee(header), blob_base_fee(header.excess_blob_gas))


def room_for_blobs(
    one: PooledTransaction,
    sender: Sender,
    *,
    others: Iterable[PooledTransaction],
    senders: Mapping[Address, Sender],
    leaving: Iterable[PooledTransaction],
    excess: int,
    prices: Prices,
) -> list[PooledTransaction] | None:
    """Choose who leaves besides those `leaving` until `excess` blobs are gone; None if the newcomer is not worth it.

    A walk over the few hundred transactions that carry blobs.
    """
    chosen = {other.hash for other in leaving}
    victims: list[PooledTransaction] = []
    worth = prices.worth(one, sender)
    by_worth = sorted(
        (prices.worth(other, senders[other.sender]), other.arrival, other) for other in others
    )
    for its_worth, _, cheap in by_worth:
        if excess <= 0 or its_worth >= worth:
            break
        owner = senders[cheap.sender]
        theirs = (*owner.executable.values(), *owner.queued.values())
        left = [other for other in theirs if other.hash not in chosen]
        if owner is sender or not left:
            continue
        last = max(left, key=lambda other: other.nonce)
        chosen.add(last.hash)
        victims.append(last)
        excess -= len(last.blob_hashes)
    return victims if excess <= 0 else None
