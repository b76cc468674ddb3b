"""Room for blobs: which blob transactions leave so that another may enter. PURE.

    Pool.admit -> room_for_blobs(newcomer, all that carry blobs, prices) -> who leaves, or None

What no block would take now is worth less than anything one would, whatever tip it names: it never has to pay that tip, so it
could hold its place for nothing. After that price decides. What stands behind another of its sender is worth no more than that
one, for it cannot run before. The sender of the cheapest loses its last one, as without blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from node.eth.fees import blob_base_fee, next_base_fee
from node.eth.headers import Header
from node.eth.primitives import Address
from node.txpool.sender import Sender
from node.txpool.transaction import PooledTransaction

Worth = tuple[int, ...]
"""What a blob transaction is kept for: 1 if it can pay a block now, else 0; then its price."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a block asks for now."""

    base_fee: int = 0
    """Wei a unit of gas."""
    blob_base_fee: int = 0
    """Wei a unit of blob gas."""

    def worth(self, one: PooledTransaction) -> Worth:
        """Of a blob transaction, if nothing of its sender comes before it."""
        can_pay = (
            one.max_fee_per_gas >= self.base_fee and one.max_fee_per_blob_gas >= self.blob_base_fee
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
    if excess <= 0:
        return []
    chosen = {other.hash for other in leaving}
    victims: list[PooledTransaction] = []
    worth = _worth_of_newcomer(one, sender, prices)
    by_worth = sorted(
        (its_worth, other.arrival, other)
        for address in {other.sender for other in others}
        for its_worth, other in _worths(senders[address], prices)
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


def _worths(sender: Sender, prices: Prices) -> Iterator[tuple[Worth, PooledTransaction]]:
    """Of all of one sender: the least, number by number, of each and of those that must run before it."""
    least: Worth | None = None
    for nonce in range(sender.nonce, sender.next_nonce):
        one = sender.executable[nonce]
        least = _least(least, prices.worth(one))
        yield least, one
    for one in sender.queued.values():
        yield _behind_a_gap(one), one


def _worth_of_newcomer(one: PooledTransaction, sender: Sender, prices: Prices) -> Worth:
    """As it would be in the place of whatever has its nonce now."""
    if one.nonce > sender.next_nonce:
        return _behind_a_gap(one)
    worth = prices.worth(one)
    for nonce in range(sender.nonce, one.nonce):
        worth = _least(worth, prices.worth(sender.executable[nonce]))
    return worth


def _behind_a_gap(one: PooledTransaction) -> Worth:
    return 0, *one.price


def _least(one: Worth | None, other: Worth) -> Worth:
    return other if one is None else tuple(map(min, one, other))
