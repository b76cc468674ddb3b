"""Transactions that were offered and are not decoded yet.

    offer -> add -> [held] -> [few: decode_few, on the loop | many: decode_many, in a Worker while a block is sealed] -> admit

All that have arrived are decoded in one call, in their order. Whoever adds wakes the builder; whoever leaves some behind that he
was expected to take wakes it again, so that nothing waits for the next arrival. While the builder waits for company, many wait with it:
a turn in a thread costs the loop what ten transactions do.
Deliberately absent: what becomes of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NoReturn, Protocol, TypeAlias

import trio

from node.runtime.worker import Worker
from node.txpool.intake import Decoded
from sequencer.building.waiting import Told

FEW_MAX: Final = 16
"""Transactions that are decoded on the loop in one go: half a millisecond."""

FEW_BYTES_MAX: Final = 16 * 1024
"""Their bytes."""

DECODE_MAX: Final = 2_048
"""Transactions in one call of the decoder."""

HELD_MAX: Final = 256
"""Transactions that are held for company; more are decoded while the builder still waits, because it is for a full block."""

ARRIVED_MAX: Final = 65_536
"""Transactions that wait for decoding: as many as the pool holds, for a burst arrives faster than it is decoded."""

ARRIVED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Their bytes."""

Arrived: TypeAlias = tuple[bytes, Told]
"""A transaction, and who hears of it."""


class DecodingEngine(Protocol):
    """What decodes."""

    def decode(self, transactions: Sequence[bytes]) -> Sequence[Decoded]:
        """Decodes and recovers in parallel, in order."""


class Arrivals:
    """What waits for decoding; one builder's."""

    def __init__(
        self,
        engine: DecodingEngine,
        worker: Worker,
        *,
        admit: Callable[[Sequence[Arrived], Sequence[Decoded]], None],
        wake: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._admit = admit
        self._wake = wake
        self._arrived: deque[Arrived] = deque()
        self._bytes = 0
        self._decoding = 0
        self._is_held = False
        self._many = trio.Event()

    def __len__(self) -> int:
        """Those too that are being decoded: nobody else knows of them."""
        return len(self._arrived) + self._decoding

    def add(self, raw: bytes, told: Told) -> bool:
        """Take one and wake the builder; False if there is no room."""
        if len(self._arrived) >= ARRIVED_MAX or self._bytes + len(raw) > ARRIVED_BYTES_MAX:
            return False
        self._arrived.append((raw, told))
        self._bytes += len(raw)
        if self._is_due:
            self._many.set()
        self._wake()
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Decode nothing while more is on its way, up to a bound."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if self._is_due:
                self._many.set()

    def decode_few(self) -> None:
        """Decode what has arrived, unless it is too much for the loop or comes after what is being decoded."""
        if self._arrived and not self._decoding and not self._many.is_set():
            arrived = self._take()
            self._admit(arrived, self._engine.decode([raw for raw, _ in arrived]))

    async def decode_many(self) -> NoReturn:
        """Decode what is too much for the loop, while the last block is sealed; for ever."""
        while True:
            await self._many.wait()
            await trio.lowlevel.checkpoint()  # let everybody who is about to offer do so
            self._many = trio.Event()
            while self._is_due:
                arrived = self._take()
                self._decoding = len(arrived)
                raws = [raw for raw, _ in arrived]
                decoded = await self._worker.run(partial(self._engine.decode, raws))
                self._decoding = 0
                self._admit(arrived, decoded)
                self._wake()
            # What is left is few, or held, and was passed over while it might have been many.
            self._wake()

    @property
    def _is_much(self) -> bool:
        return len(self._arrived) > FEW_MAX or self._bytes > FEW_BYTES_MAX

    @property
    def _is_due(self) -> bool:
        """Whether a thread is to decode them now."""
        return self._is_much and (not self._is_held or len(self._arrived) >= HELD_MAX)

    def _take(self) -> list[Arrived]:
        arrived = [self._arrived.popleft() for _ in range(min(DECODE_MAX, len(self._arrived)))]
        self._bytes -= sum(len(raw) for raw, _ in arrived)
        return arrived
