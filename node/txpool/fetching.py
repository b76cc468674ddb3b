"""Large transactions that peers announced: asked for by hash, from whoever announced them.

    want(peer, hashes) -> queue of that peer -> a few fetches at once -> take -> pool, announced again
                          ^---- it has not sent them: whoever announced them besides ----'

What was announced together is asked for together: a request costs both sides more than the bytes of a transaction do.
Nobody can make us ask for the same hash twice at once, or ask one peer for more than a few. Whoever announces and then is silent,
or sends other blobs under the same hash, keeps nobody from being asked who really has it. Configured peers are asked before strangers:
of those there may be more than are remembered.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.txpool.wire import ANSWER_BYTES_MAX, decode_answer, encode_request

FETCHES_MAX: Final = 8
"""Requests at once."""

FETCHES_PER_PEER_MAX: Final = 2
"""Of them, those to one peer: one that answers nothing holds up no other."""

HOLDERS_MAX: Final = 5
"""Peers that are remembered for one hash."""

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

Take = Callable[[Sequence[bytes]], Awaitable[set[Hash32] | None]]
"""Admit fetched transactions; gives the hashes of those that could be decoded and were whole, None if there is no time for any."""


class Fetcher:
    """Who has announced what, and who is asked."""

    def __init__(
        self,
        *,
        request: RequestTransactions,
        failures: tuple[type[Exception], ...],
        blame: Callable[[str, str], None],
        take: Take,
        configured: frozenset[str] = frozenset(),
    ) -> None:
        self._request = request
        self._failures = failures
        self._blame = blame
        self._take = take
        self._configured = configured
        self._wanted: dict[Hash32, list[str]] = {}
        """What is waited for, and who says to have it: first the peer that is asked."""
        self._of_peer: Counter[str] = Counter()
        self._queues: dict[str, deque[tuple[Hash32, ...]]] = {}
        """Groups to ask each peer for; who was asked last stands last."""
        self._busy: Counter[str] = Counter()
        self._wake = trio.Event()
        """There may be something to ask for; all that are idle wait for the same one."""

    def want(self, peer: str, hashes: Sequence[Hash32]) -> None:
        """Fetch what a peer announced; if that is under way already, remember who has it too."""
        room = min(WANTED_MAX - len(self._wanted), WANTED_PER_PEER_MAX - self._of_peer[peer])
        new: list[Hash32] = []
        for one in dict.fromkeys(hashes):
            holders = self._wanted.get(one)
            if holders is None:
                new.append(one)
            elif peer not in holders:
                holders.insert(self._turn(peer, holders), peer)
                del holders[HOLDERS_MAX:]
        new = new[: max(0, room)]
        self._wanted |= {one: [peer] for one in new}
        self._ask_for(peer, new)

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(FETCHES_MAX):
                nursery.start_soon(self._work)

    def _turn(self, peer: str, holders: Sequence[str]) -> int:
        """Where a peer stands among those that announced the same: first come, but configured ones before strangers."""
        if peer in self._configured:
            for place, other in enumerate(holders):
                if place and other not in self._configured:
                    return place
        return len(holders)

    def _ask_for(self, peer: str, hashes: Sequence[Hash32]) -> None:
        for start in range(0, len(hashes), TOGETHER_MAX):
            group = tuple(hashes[start : start + TOGETHER_MAX])
            self._queues.setdefault(peer, deque()).append(group)
            self._of_peer[peer] += len(group)
        self._wake.set()

    def _next(self) -> tuple[str, tuple[Hash32, ...]] | None:
        """A group of the peer that has waited longest, of those that may be asked."""
        for peer, queue in self._queues.items():
            if self._busy[peer] < FETCHES_PER_PEER_MAX:
                group = queue.popleft()
                del self._queues[peer]
                if queue:
                    self._queues[peer] = queue
                return peer, group
        if self._wake.is_set():
            self._wake = trio.Event()
        return None

    async def _work(self) -> None:
        while True:
            found = self._next()
            if found is None:
                await self._wake.wait()
                continue
            peer, group = found
            missing: Sequence[Hash32] = group
            self._busy[peer] += 1
            try:
                missing = await self._fetch(peer, group)
            finally:
                self._busy -= Counter((peer,))
                self._of_peer -= Counter({peer: len(group)})
                self._wake.set()
            self._go_on(group, missing)

    def _go_on(self, group: Sequence[Hash32], missing: Sequence[Hash32]) -> None:
        """Forget what came; ask somebody else for what did not."""
        others: dict[str, list[Hash32]] = {}
        for one in group:
            holders = self._wanted.pop(one)[1:]
            if one in missing and holders:
                self._wanted[one] = holders
                others.setdefault(holders[0], []).append(one)
        for other, hashes in others.items():
            self._ask_for(other, hashes)

    def _patience(self, hashes: Sequence[Hash32]) -> int:
        """How often one peer is asked: once if others have it too."""
        return 1 if any(len(self._wanted[one]) > 1 for one in hashes) else ATTEMPTS

    async def _fetch(self, peer: str, group: Sequence[Hash32]) -> Sequence[Hash32]:
        """Ask for a group, and again for what an answer lacks; gives what did not come."""
        missing = list(group)
        attempt = 0
        while attempt < self._patience(missing):
            if attempt:
                await trio.sleep(RETRY_S)
            attempt += 1
            try:
                raws = decode_answer(await self._request(peer, encode_request(missing)))
            except self._failures:
                continue
            except Rejected as error:
                self._blame(peer, str(error.reason))
                return missing
            if not raws:
                continue
            taken = await self._take(raws[: len(missing)])
            if taken is None:
                continue
            if len(taken) != len(raws) or not taken <= set(missing):
                self._blame(peer, "transactions_not_asked_for")
                return [one for one in missing if one not in taken]
            missing = [one for one in missing if one not in taken]
            if not missing:
                break
            if sum(map(len, raws)) > LONG_ANSWER_BYTES:
                attempt = 0
        return missing
