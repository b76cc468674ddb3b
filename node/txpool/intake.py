"""Decoding in batches: whoever offers transactions at the same moment shares one call of the engine.

    submit, gossip, fetches -> Intake.decode -> [one engine.decode for all that wait] -> each its own answers

A small batch is decoded in place: a thread would cost more than recovering a few signatures. A large one goes to a thread,
and what arrives meanwhile is the next batch, so batches grow with the load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from node.eth.transactions import Transaction
from node.runtime.worker import Worker

IN_PLACE_MAX: Final = 16
"""Signatures recovered on the loop in one go: half a millisecond."""

IN_PLACE_BYTES_MAX: Final = 64 * 1024
"""Bytes hashed and decoded on the loop in one go."""

BATCH_MAX: Final = 2_048
"""Transactions in one call of the engine."""

WAITING_MAX: Final = 16_384
"""Transactions that wait for decoding; more are turned away."""

WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
"""Their bytes."""


class Undecodable(Protocol):
    """Why raw bytes are no transaction of this chain."""

    @property
    def code(self) -> str:
        """Stable name."""

    @property
    def message(self) -> str:
        """As geth words it."""


Decoded = Transaction | Undecodable
"""What the engine says of raw bytes; only an Undecodable has a `code`."""

Decode = Callable[[Sequence[bytes]], Sequence[Decoded]]
"""The engine's `decode`: in order, one answer for each."""


def complaint(decoded: Decoded) -> str:
    """Why raw bytes are no transaction; empty if they are one."""
    return "" if hasattr(decoded, "nonce") else decoded.message


class Overloaded(Exception):
    """Too many transactions wait already."""


class _Order:
    """One caller's transactions and where it waits for them."""

    __slots__ = ("answers", "done", "raws")

    def __init__(self, raws: Sequence[bytes]) -> None:
        self.raws = raws
        self.answers: Sequence[Decoded] = ()
        self.done = trio.Event()


class Intake:
    """The queue in front of the engine's decoder."""

    def __init__(self, decode: Decode, worker: Worker) -> None:
        self._decode = decode
        self._worker = worker
        self._orders: list[_Order] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._wake = trio.Event()

    async def decode(self, raws: Sequence[bytes]) -> Sequence[Decoded]:
        """Decode transactions, in order. Raises Overloaded."""
        size = sum(map(len, raws))
        if (
            self._waiting + len(raws) > WAITING_MAX
            or self._waiting_bytes + size > WAITING_BYTES_MAX
        ):
            raise Overloaded
        order = _Order(raws)
        self._orders.append(order)
        self._waiting += len(raws)
        self._waiting_bytes += size
        self._wake.set()
        await order.done.wait()
        return order.answers

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._wake.wait()
            await trio.lowlevel.checkpoint()
            orders = self._take()
            raws = [raw for order in orders for raw in order.raws]
            size = sum(map(len, raws))
            if len(raws) <= IN_PLACE_MAX and size <= IN_PLACE_BYTES_MAX:
                answers = self._decode(raws)
            else:
                answers = await self._worker.run(lambda raws=raws: self._decode(raws))  # type: ignore[misc]
            self._waiting -= len(raws)
            self._waiting_bytes -= size
            position = 0
            for order in orders:
                order.answers = answers[position : position + len(order.raws)]
                position += len(order.raws)
                order.done.set()

    def _take(self) -> list[_Order]:
        count = taken = 0
        for order in self._orders:
            count += len(order.raws)
            if taken and count > BATCH_MAX:
                break
            taken += 1
        orders, self._orders = self._orders[:taken], self._orders[taken:]
        if not self._orders:
            self._wake = trio.Event()
        return orders
