"""Large transactions that peers announced: asked for by hash, from whoever announced them.

    want(peer, hashes) -> bounded queue -> a few fetches at once -> take -> pool, announced again

What was announced together is asked for together: a request costs both sides more than the bytes of a transaction do.
Nobody can make us ask for the same hash twice at once, or ask one peer for more than a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.txpool.wire import ANSWER_BYTES_MAX, decode_answer, encode_request

FETCHES_MAX: Final = 4
"""Requests at once."""

WANTED_MAX: Final = 128
"""Announcements that wait."""

WANTED_PER_PEER_MAX: Final = 32
"""Of them, those of one peer."""

TOGETHER_MAX: Final = 8
"""Hashes of one request: a megabyte of the largest transactions that L1's pool takes."""

ATTEMPTS: Final = 3
"""A peer that announces may still be taking the transaction in itself."""

LONG_ANSWER_BYTES: Final = ANSWER_BYTES_MAX // 8
"""In an answer above this there may have been no room for the rest, which is then no failure: blobs are large."""

RETRY_S: Final = 0.25
"""Between two attempts."""

RequestTransactions = Callable[[str, bytes], Awaitable[bytes]]
"""Ask a peer (its id, the request's body)."""

Take = Callable[[Sequence[bytes]], Awaitable[set[Hash32]]]
"""Admit fetched transactions; gives the hashes of those that could be decoded and were whole."""


_Group = tuple[str, tuple[Hash32, ...]]
"""A peer, and what it announced at once."""


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
        self._wanted: set[Hash32] = set()
        self._of_peer: Counter[str] = Counter()
        self._send, self._receive = trio.open_memory_channel[_Group](WANTED_MAX)

    def want(self, peer: str, hashes: Sequence[Hash32]) -> None:
        """Fetch what a peer announced, unless it is being fetched or too much is."""
        room = min(WANTED_MAX - len(self._wanted), WANTED_PER_PEER_MAX - self._of_peer[peer])
        new = [one for one in dict.fromkeys(hashes) if one not in self._wanted][: max(0, room)]
        for start in range(0, len(new), TOGETHER_MAX):
            group = tuple(new[start : start + TOGETHER_MAX])
            self._send.send_nowait(
                (peer, group)
            )  # groups are no more than hashes, so there is room
            self._wanted.update(group)
            self._of_peer[peer] += len(group)

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(FETCHES_MAX):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            peer, group = await self._receive.receive()
            try:
                await self._fetch(peer, group)
            finally:
                self._wanted.difference_update(group)
                self._of_peer[peer] -= len(group)
                if not self._of_peer[peer]:
                    del self._of_peer[peer]

    async def _fetch(self, peer: str, group: Sequence[Hash32]) -> None:
        """Ask for a group, and again for what an answer lacks."""
        missing = list(group)
        attempt = 0
        while attempt < ATTEMPTS:
            if attempt:
                await trio.sleep(RETRY_S)
            attempt += 1
            try:
                raws = decode_answer(await self._request(peer, encode_request(missing)))
            except self._failures:
                continue
            except Rejected as error:
                self._blame(peer, str(error.reason))
                return
            if not raws:
                continue
            taken = await self._take(raws[: len(missing)])
            if len(taken) != len(raws) or not taken <= set(missing):
                self._blame(peer, "transactions_not_asked_for")
                return
            missing = [one for one in missing if one not in taken]
            if not missing:
                return
            if sum(map(len, raws)) > LONG_ANSWER_BYTES:
                attempt = 0
