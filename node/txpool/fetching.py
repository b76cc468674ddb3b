"""Large transactions that peers announced: asked for by hash, from whoever announced them.

    want(peer, hashes) -> bounded queue -> a few fetches at once -> take -> pool, announced again

Nobody can make us ask for the same hash twice at once, or ask one peer for more than a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.txpool.wire import decode_answer, encode_request

FETCHES_MAX: Final = 4
"""Requests at once."""

WANTED_MAX: Final = 128
"""Announcements that wait."""

WANTED_PER_PEER_MAX: Final = 32
"""Of them, those of one peer."""

ATTEMPTS: Final = 3
"""A peer that announces may still be taking the transaction in itself."""

RETRY_S: Final = 0.25
"""Between two attempts."""

RequestTransactions = Callable[[str, bytes], Awaitable[bytes]]
"""Ask a peer (its id, the request's body)."""

Take = Callable[[Sequence[bytes]], Awaitable[set[Hash32]]]
"""Admit fetched transactions; gives the hashes of those that could be decoded."""


class Fetcher:
    """The queue of announced transactions."""

    def __init__(
        self,
        *,
        request: RequestTransactions,
        failures: tuple[type[Exception], ...],
        blame: Callable[[str, str], None],
        take: Take,
    ) -> None:
        self._request = request
        self._failures = failures
        self._blame = blame
        self._take = take
        self._wanted: dict[Hash32, str] = {}
        self._of_peer: Counter[str] = Counter()
        self._send, self._receive = trio.open_memory_channel[Hash32](WANTED_MAX)

    def want(self, peer: str, hashes: Sequence[Hash32]) -> None:
        """Fetch what a peer announced, unless it is being fetched or too much is."""
        for one in hashes:
            if one in self._wanted or self._of_peer[peer] >= WANTED_PER_PEER_MAX:
                continue
            try:
                self._send.send_nowait(one)
            except trio.WouldBlock:
                return
            self._wanted[one] = peer
            self._of_peer[peer] += 1

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(FETCHES_MAX):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            wanted = await self._receive.receive()
            peer = self._wanted[wanted]
            try:
                await self._fetch(peer, wanted)
            finally:
                del self._wanted[wanted]
                self._of_peer[peer] -= 1
                if not self._of_peer[peer]:
                    del self._of_peer[peer]

    async def _fetch(self, peer: str, wanted: Hash32) -> None:
        for attempt in range(ATTEMPTS):
            if attempt:
                await trio.sleep(RETRY_S)
            try:
                raws = decode_answer(await self._request(peer, encode_request([wanted])))
            except self._failures:
                continue
            except Rejected as error:
                self._blame(peer, str(error.reason))
                return
            if not raws:
                continue
            if await self._take(raws[:1]) != {wanted} or len(raws) > 1:
                self._blame(peer, "transactions_not_asked_for")
            return
