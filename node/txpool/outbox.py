"""Own transactions on their way to peers: gathered for a moment, sent together.

    submit -> add -> [50 ms, or a full message] -> publish

One message of 32 KB costs the network as much as one of 2 KB (measured: node/p2p/README.md), so transactions travel together.
Bounded: when peers cannot keep up the oldest is left out and counted; it is still in the pool and in our own blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from node.eth.blobs import BLOB_KIND
from node.txpool.wire import (
    ANNOUNCED_MAX,
    GOSSIP_BYTES_MAX,
    GOSSIPED_TRANSACTION_BYTES_MAX,
    GOSSIPED_TRANSACTIONS_MAX,
    encode_gossip,
    encoded_bytes,
)

FLUSH_S: Final = 0.05
"""How long the first of a message waits for others."""

MESSAGES_PER_FLUSH: Final = 4
"""At most so many at once: 80 messages a second, some 20,000 transfers."""

OUTBOX_BYTES_MAX: Final = 16 * 1024 * 1024
"""What may wait to be sent."""

_OVERHEAD: Final = 64
"""Bytes of a message beside its transactions, generously."""


class Outbox:
    """The queue of own transactions for gossip."""

    def __init__(self, publish: Callable[[bytes], None], dropped: Callable[[int], None]) -> None:
        self._publish = publish
        self._dropped = dropped
        self._raws: deque[bytes] = deque()
        self._announced: deque[bytes] = deque()
        self._bytes = 0
        self._wake = trio.Event()
        self._full = trio.Event()

    def add(self, raw: bytes, transaction_hash: bytes) -> None:
        """Send a transaction soon, or announce it if it is large or carries blobs."""
        if len(raw) > GOSSIPED_TRANSACTION_BYTES_MAX or raw[0] == BLOB_KIND:
            self._announced.append(transaction_hash)
            self._bytes += len(transaction_hash)
        else:
            self._raws.append(raw)
            self._bytes += len(raw)
        self._wake.set()
        if self._bytes >= GOSSIP_BYTES_MAX:
            self._full.set()
        while self._bytes > OUTBOX_BYTES_MAX:
            self._bytes -= len((self._raws or self._announced).popleft())
            self._dropped(1)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            with trio.move_on_after(FLUSH_S):
                await self._full.wait()
            self.flush()

    def flush(self) -> None:
        """Send a few messages of what waits."""
        for _ in range(MESSAGES_PER_FLUSH):
            if not self._bytes:
                break
            self._publish(self._message())
        self._full = trio.Event()
        if not self._bytes:
            self._wake = trio.Event()

    def _message(self) -> bytes:
        room = GOSSIP_BYTES_MAX - _OVERHEAD
        announced: list[bytes] = []
        while self._announced and len(announced) < ANNOUNCED_MAX:
            announced.append(self._announced.popleft())
            room -= encoded_bytes(announced[-1])
        raws: list[bytes] = []
        while self._raws and len(raws) < GOSSIPED_TRANSACTIONS_MAX:
            if encoded_bytes(self._raws[0]) > room:
                break
            raws.append(self._raws.popleft())
            room -= encoded_bytes(raws[-1])
        self._bytes -= sum(map(len, announced)) + sum(map(len, raws))
        return encode_gossip(raws, announced)
