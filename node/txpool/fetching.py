"""Large transactions that peers announced: asked for by hash, from whoever announced them.

    want(peer, hashes) -> what waits at that peer -> a few fetches at once -> take -> pool, announced again
                          ^---- it has not sent them: whoever announced them besides ----'

What waits at one peer is asked for together: a request costs both sides more than the bytes of a transaction do.
Nobody can make us ask for the same hash twice at once, or ask one peer for more than a few. Whoever announces and then is silent,
or sends other blobs under the same hash, keeps nobody from being asked who really has it. Configured peers are asked before strangers,
and all strangers together have half of the fetches and of the announcements that wait: free identities take nothing from the rest.
A stranger that answers nothing has less time with each fetch, and is blamed. Who sends more blobs than its budget has is asked later.
What came before the block that it follows is asked for again after the next head.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence, Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final

import trio

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.txpool.blob_budget import BlobBudget
from node.txpool.wire import ANSWER_BYTES_MAX, decode_answer, encode_request

FETCHES_MAX: Final = 8
"""Requests at once."""

FETCHES_PER_PEER_MAX: Final = 2
"""Of them, those to one configured peer: one that answers nothing holds up no other."""

FETCHES_PER_STRANGER_MAX: Final = 1
"""Of them, those to one stranger: the next waits until the last was answered, or was not."""

FETCHES_OF_STRANGERS_MAX: Final = 4
"""Of them, those to all strangers."""

HOLDERS_MAX: Final = 5
"""Peers that are remembered for one hash."""

WANTED_MAX: Final = 128
"""Announcements that wait."""

WANTED_PER_PEER_MAX: Final = 32
"""Of them, those of one configured peer."""

WANTED_PER_STRANGER_MAX: Final = 16
"""Of them, those of one stranger: a message's."""

WANTED_OF_STRANGERS_MAX: Final = 64
"""Of them, those of all strangers."""

TOGETHER_MAX: Final = 8
"""Hashes of one request: a megabyte of the largest transactions that L1's pool takes."""

ATTEMPTS: Final = 3
"""A peer that announces may still be taking the transaction in itself."""

LONG_ANSWER_BYTES: Final = ANSWER_BYTES_MAX // 8
"""In an answer above this there may have been no room for the rest, which is then asked for again: blobs are large."""

RETRY_S: Final = 0.25
"""Between two attempts."""

ANSWER_S: Final = 10.0
"""A configured peer has so long to answer, as for any request."""

STRANGER_ANSWER_S: Final = 4.0
"""A stranger has so long, and half of it after each attempt that brought nothing, until one brings something."""

STRANGER_ANSWER_MIN_S: Final = 1.0
"""But no less than this."""

LAPSES_MAX: Final = 64
"""Strangers whose last attempts brought nothing are remembered: so many, the last ones."""

EARLY_HEADS_MAX: Final = 2
"""Heads after which what came too early is asked for again."""

RequestTransactions = Callable[[str, bytes], Awaitable[bytes]]
"""Ask a peer (its id, the request's body)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was in an answer."""

    arrived: AbstractSet[Hash32]
    """Could be decoded, and was whole."""
    early: AbstractSet[Hash32] = frozenset()
    """Of that, what the next head may admit."""


Take = Callable[[Sequence[bytes]], Awaitable[Taken | None]]
"""Admit fetched transactions; None if there is no time for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """What became of a group, besides what came."""

    missing: Sequence[Hash32] = ()
    """What the peer has not sent: others are asked."""
    left: Sequence[Hash32] = ()
    """What had no room in its answer: it is asked again, in its turn."""
    early: AbstractSet[Hash32] = frozenset()
    """What came too early: it is asked again after the next head."""


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
        self._budget = BlobBudget(configured)
        self._wanted: dict[Hash32, list[str]] = {}
        """What is waited for, and who says to have it: first the peer where it waits, or that is asked."""
        self._of_peer: Counter[str] = Counter()
        """How much waits at each peer, or is asked of it."""
        self._waiting: dict[str, dict[Hash32, None]] = {}
        """What waits at each peer, the oldest first; who was asked last stands last."""
        self._busy: Counter[str] = Counter()
        """Fetches from each peer."""
        self._lapses: dict[str, int] = {}
        """Strangers whose last attempts brought nothing: how many."""
        self._early: dict[Hash32, str] = {}
        """What waits for the next head, and at which peer; it counts among what waits there."""
        self._heads: Counter[Hash32] = Counter()
        """How many heads something has waited for, of what is wanted."""
        self._wake = trio.Event()
        """There may be something to ask for; all that are idle wait for the same one."""

    def want(self, peer: str, hashes: Sequence[Hash32]) -> None:
        """Fetch what a peer announced; if that is under way already, remember who has it too."""
        for one in dict.fromkeys(hashes):
            holders = self._wanted.get(one)
            if holders is None:
                if self._has_room(peer):
                    self._wanted[one] = [peer]
                    self._put(peer, one)
            elif peer not in holders:
                holders.insert(self._turn(peer, one, holders), peer)
                del holders[HOLDERS_MAX:]

    def head_moved(self) -> None:
        """Ask again for what came before the block that it follows."""
        for one, peer in self._early.items():
            self._waiting.setdefault(peer, {})[one] = None
        self._early.clear()
        self._wake.set()

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(FETCHES_MAX):
                nursery.start_soon(self._work)

    # -- what waits

    def _has_room(self, peer: str) -> bool:
        """Whether a peer may have one more announced; what strangers fill is theirs alone."""
        if len(self._wanted) >= WANTED_MAX:
            return False
        if peer in self._configured:
            return self._of_peer[peer] < WANTED_PER_PEER_MAX
        return (
            self._of_peer[peer] < WANTED_PER_STRANGER_MAX
            and self._of_strangers(self._of_peer) < WANTED_OF_STRANGERS_MAX
        )

    def _of_strangers(self, numbers: Counter[str]) -> int:
        return sum(number for peer, number in numbers.items() if peer not in self._configured)

    def _turn(self, peer: str, one: Hash32, holders: Sequence[str]) -> int:
        """Where a peer stands among those that announced the same: first come, but configured ones before strangers.

        What waits at a stranger goes over to the first configured peer that has it.
        """
        if peer in self._configured:
            first = holders[0]
            if first not in self._configured and one in self._waiting.get(first, ()):
                self._drop(first, (one,))
                self._of_peer -= Counter((first,))
                self._put(peer, one)
                return 0
            for place, other in enumerate(holders):
                if place and other not in self._configured:
                    return place
        return len(holders)

    def _put(self, peer: str, one: Hash32) -> None:
        self._waiting.setdefault(peer, {})[one] = None
        self._of_peer[peer] += 1
        self._wake.set()

    def _drop(self, peer: str, hashes: Sequence[Hash32]) -> None:
        """Let these wait no longer, and put the peer behind all others if more waits at it."""
        waiting = self._waiting.pop(peer)
        for one in hashes:
            del waiting[one]
        if waiting:
            self._waiting[peer] = waiting

    # -- asking

    def _next(self) -> tuple[str, tuple[Hash32, ...]] | None:
        """What waits at the peer that has waited longest, of those that may be asked."""
        now_s = trio.current_time()
        for peer, waiting in self._waiting.items():
            if self._is_free(peer) and self._budget.open_at_s(peer) <= now_s:
                group = tuple(islice(waiting, TOGETHER_MAX))
                self._drop(peer, group)
                return peer, group
        if self._wake.is_set():
            self._wake = trio.Event()
        return None

    def _is_free(self, peer: str) -> bool:
        """Whether one more fetch from a peer leaves the others theirs."""
        if peer in self._configured:
            return self._busy[peer] < FETCHES_PER_PEER_MAX
        return (
            self._busy[peer] < FETCHES_PER_STRANGER_MAX
            and self._of_strangers(self._busy) < FETCHES_OF_STRANGERS_MAX
        )

    async def _work(self) -> None:
        while True:
            found = self._next()
            if found is None:
                free = (peer for peer in self._waiting if self._is_free(peer))
                with trio.move_on_at(min(map(self._budget.open_at_s, free), default=math.inf)):
                    await self._wake.wait()
                continue
            peer, group = found
            self._busy[peer] += 1
            try:
                fetched = await self._fetch(peer, group)
            finally:
                self._busy -= Counter((peer,))
                self._of_peer -= Counter({peer: len(group)})
                self._wake.set()
            self._go_on(peer, group, fetched)

    def _go_on(self, peer: str, group: Sequence[Hash32], fetched: _Fetched) -> None:
        """Forget what came; ask somebody else for what did not."""
        for one in group:
            if one in fetched.left:
                self._put(peer, one)
                continue
            if one in fetched.early and self._heads[one] < EARLY_HEADS_MAX:
                self._early[one] = peer
                self._heads[one] += 1
                self._of_peer[peer] += 1
                continue
            del self._heads[one]
            holders = self._wanted.pop(one)[1:]
            if one in fetched.missing and holders:
                self._wanted[one] = holders
                self._put(holders[0], one)

    def _attempts(self, hashes: Sequence[Hash32]) -> int:
        """How often one peer is asked: once if others have it too."""
        return 1 if any(len(self._wanted[one]) > 1 for one in hashes) else ATTEMPTS

    def _patience_s(self, peer: str) -> float:
        """How long a peer has to answer."""
        if peer in self._configured:
            return ANSWER_S
        return max(STRANGER_ANSWER_MIN_S, STRANGER_ANSWER_S * 0.5 ** self._lapses.get(peer, 0))

    def _note(self, peer: str, *, has_sent: bool) -> None:
        """Remember whether a stranger's attempts bring anything."""
        lapses = self._lapses.pop(peer, 0)
        if peer not in self._configured and not has_sent:
            self._lapses[peer] = lapses + 1
            while len(self._lapses) > LAPSES_MAX:
                del self._lapses[next(iter(self._lapses))]

    async def _ask(self, peer: str, hashes: Sequence[Hash32]) -> tuple[bytes, ...] | None:
        """Ask once; None if no answer came in time. Raises Rejected, and what the network raises."""
        raws: tuple[bytes, ...] | None = None
        try:
            with trio.move_on_after(self._patience_s(peer)):
                raws = decode_answer(await self._request(peer, encode_request(hashes)))
        finally:
            self._note(peer, has_sent=bool(raws))
        if raws is None and peer not in self._configured:
            self._blame(peer, "no_answer")
        self._budget.charge(peer, raws or (), trio.current_time())
        return raws

    async def _fetch(self, peer: str, group: Sequence[Hash32]) -> _Fetched:
        """Ask for a group, and again for what an answer lacks."""
        missing = list(group)
        early: set[Hash32] = set()
        attempt = 0
        while attempt < self._attempts(missing):
            if attempt:
                await trio.sleep(RETRY_S)
            attempt += 1
            try:
                raws = await self._ask(peer, missing)
            except self._failures:
                continue
            except Rejected as error:
                self._blame(peer, str(error.reason))
                break
            if raws is None:
                break
            taken = await self._take(raws[: len(missing)]) if raws else None
            if taken is None:
                continue
            is_honest = len(taken.arrived) == len(raws) and taken.arrived <= set(missing)
            missing = [one for one in missing if one not in taken.arrived]
            early |= taken.early
            if not is_honest:
                self._blame(peer, "transactions_not_asked_for")
                break
            if not missing or sum(map(len, raws)) > LONG_ANSWER_BYTES:
                return _Fetched(left=missing, early=early)
        return _Fetched(missing=missing, early=early)
