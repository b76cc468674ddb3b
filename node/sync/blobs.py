"""Blobs that blocks wait for: asked for by versioned hash, and given to whoever asks.

    Chain (BlobsWanted, wanted_blobs) -> a peer each -> answer -> BlobKeeper.add_wanted -> Chain goes on with the block

The sender of a block is asked first, then everybody in turn, strangers last, at longer and longer intervals while nobody has it: a proposer
may have kept it back. A peer that does not have a blob is not blamed; one that sends another, or a wrong one, is.
Most blobs are here before their block: transactions bring them (node.txpool).
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

import structlog
import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from node.chain.chain import Chain
from node.chain.events import BlobsWanted
from node.errors import Rejected, Temporary
from node.eth.blobs import Blob
from node.eth.primitives import Hash32
from node.p2p.network import Network, PeerId, RequestFailed, RequestKind
from node.sync.blob_messages import (
    BLOBS_MAX,
    decode_blob_request,
    decode_blobs,
    encode_blob_request,
    encode_blobs,
)
from node.sync.messages import SyncReason

FETCHES_MAX: Final = 16
"""Requests under way at once: 13 MB of answers."""

FETCHES_PER_PEER_MAX: Final = 4
"""Of them, those to one peer: all blobs of a full block; one that answers nothing holds up no other."""

FETCHES_OF_STRANGERS_MAX: Final = 8
"""Of them, those to all strangers: identities are free, and the rest is for the peers that we were told of."""

PATIENCE_S: Final = 1.0
"""When a peer has not answered for so long, another is asked as well: who sends a block may mean to keep its blobs late."""

ASKED_AT_ONCE_MAX: Final = 3
"""Peers that are asked for one blob at the same time."""

FIRST_PAUSE_S: Final = 0.25
"""Before a blob that nobody had is asked for again; doubled after every round."""

PAUSE_MAX_S: Final = 4.0
"""The longest pause: when a proposer gives way, its block is two slots late at most."""

TICK_S: Final = 0.25
"""How often the plan is made anew."""

_log = structlog.get_logger()


class FetchedBlobs(Protocol):
    """What is done with blobs."""

    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        """These blobs; None if one of them is not here."""

    async def add_wanted(self, blobs: Sequence[Blob]) -> bool:
        """Check and keep blobs that blocks wait for; False if one of them is wrong. Raises Temporary."""


@dataclass(slots=True)
class _Search:
    """How the search for one blob goes."""

    attempts: int = 0
    next_s: float = 0.0
    asked_s: float = 0.0
    asked: set[PeerId] = field(default_factory=set)

    def is_due(self, now_s: float) -> bool:
        """Whether somebody is to be asked now."""
        if self.next_s > now_s or len(self.asked) >= ASKED_AT_ONCE_MAX:
            return False
        return not self.asked or self.asked_s + PATIENCE_S <= now_s


class BlobService:
    """Asks and answers. Make it before the network runs, then `run` it."""

    def __init__(
        self,
        chain: Chain,
        keeper: FetchedBlobs,
        network: Network,
        registry: CollectorRegistry,
        *,
        are_withheld: Callable[[], bool],
    ) -> None:
        self._chain = chain
        self._keeper = keeper
        self._network = network
        self._are_withheld = are_withheld
        self._searches: dict[Hash32, _Search] = {}
        self._wake = trio.Event()
        self._under_way: Tally[PeerId] = Tally()
        self._strangers: frozenset[PeerId] = frozenset()
        self._requests = Counter(
            "faultline_blobs_requests",
            "Requests for blobs that blocks wait for, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        Gauge(
            "faultline_blobs_wanted",
            "Blobs that blocks wait for and that are not here.",
            registry=registry,
        ).set_function(lambda: len(chain.wanted_blobs))
        network.serve(RequestKind.BLOBS, self.on_request)

    async def on_request(self, peer: PeerId, body: bytes) -> bytes:
        """Give the blobs that are here. Raises Rejected."""
        del peer
        hashes = decode_blob_request(body)
        found: list[Blob] = []
        if not self._are_withheld():
            for one in hashes:
                found += await self._keeper.load((one,)) or ()
        return encode_blobs(found)

    async def fetch_from(self, peer: PeerId) -> None:
        """Ask one peer for what the blocks that it has sent wait for. Raises RequestFailed, Rejected, Temporary."""
        wanted = [one for one, origin in self._chain.wanted_blobs.items() if origin == peer]
        for start in range(0, len(wanted), BLOBS_MAX):
            await self._ask(peer, wanted[start : start + BLOBS_MAX])

    async def run(self) -> NoReturn:
        """Look for what blocks wait for, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            while True:
                self._wake = trio.Event()
                for peer, hashes in self._plan():
                    self._under_way[peer] += 1
                    nursery.start_soon(self._fetch, peer, hashes)
                with trio.move_on_after(TICK_S if self._searches else math.inf):
                    await self._wake.wait()

    async def _listen(self) -> NoReturn:
        while True:
            with self._chain.subscribe() as events:
                async for event in events:
                    if isinstance(event, BlobsWanted):
                        self._wake.set()

    def _plan(self) -> list[tuple[PeerId, list[Hash32]]]:
        """Whom to ask for what now."""
        wanted = self._chain.wanted_blobs
        self._searches = {one: self._searches.get(one, _Search()) for one in wanted}
        present = sorted(info.peer_id for info in self._network.peers())
        self._strangers = frozenset(one.peer_id for one in self._network.peers() if not one.name)
        now_s = trio.current_time()
        groups: dict[PeerId, list[list[Hash32]]] = {}
        for blob, origin in wanted.items():
            search = self._searches[blob]
            if not search.is_due(now_s):
                continue
            # Strangers last; of either the sender of the block first, then the others in turn.
            turn = sorted(present, key=lambda peer: (peer in self._strangers, peer != origin))
            self._ask_next(blob, search, turn, groups, now_s)
        return [(peer, hashes) for peer, lists in groups.items() for hashes in lists]

    def _ask_next(
        self,
        blob: Hash32,
        search: _Search,
        turn: Sequence[PeerId],
        groups: dict[PeerId, list[list[Hash32]]],
        now_s: float,
    ) -> None:
        """Ask the next who has room; where only strangers are left and have none, the round is over."""
        is_held_up = False
        for attempts in range(search.attempts, search.attempts + len(turn)):
            peer = turn[attempts % len(turn)]
            if attempts > search.attempts and peer == turn[0]:
                if not is_held_up:
                    search.attempts = attempts
                    search.next_s = now_s + _pause_s(attempts - 1, len(turn))
                return
            if peer in search.asked:
                continue
            if self._put(blob, peer, groups):
                self._asked(search, peer, attempts, len(turn), now_s)
                return
            is_held_up |= peer not in self._strangers

    def _put(self, blob: Hash32, peer: PeerId, groups: dict[PeerId, list[list[Hash32]]]) -> bool:
        """Add a blob to what a peer is asked for, if it may be asked for one more."""
        of_peer = groups.setdefault(peer, [])
        if of_peer and len(of_peer[-1]) < BLOBS_MAX:
            of_peer[-1].append(blob)
            return True
        asked = self._under_way + Tally({one: len(lists) for one, lists in groups.items()})
        if asked.total() >= FETCHES_MAX or asked[peer] >= FETCHES_PER_PEER_MAX:
            return False
        of_strangers = sum(count for one, count in asked.items() if one in self._strangers)
        if peer in self._strangers and of_strangers >= FETCHES_OF_STRANGERS_MAX:
            return False
        of_peer.append([blob])
        return True

    def _asked(
        self, search: _Search, peer: PeerId, attempts: int, peers: int, now_s: float
    ) -> None:
        """Note that a peer is asked; after each round through all of them there is a pause, longer every time."""
        is_round_over = (attempts + 1) % peers == 0
        search.next_s = now_s + (_pause_s(attempts, peers) if is_round_over else 0.0)
        search.attempts = attempts + 1
        search.asked_s = now_s
        search.asked.add(peer)

    async def _fetch(self, peer: PeerId, hashes: Sequence[Hash32]) -> None:
        outcome = "delivered"
        try:
            if not await self._ask(peer, hashes):
                outcome = "absent"
        except (RequestFailed, Temporary):
            outcome = "failed"
        except Rejected as error:
            outcome = "refused"
            _log.warning("blobs_refused", peer=peer, reason=str(error))
            self._network.report(peer, str(error.reason), severe=True)
        finally:
            self._under_way -= Tally((peer,))
            for blob in hashes:
                if (search := self._searches.get(blob)) is not None:
                    search.asked.discard(peer)
        self._requests.labels(outcome=outcome).inc()
        self._wake.set()

    async def _ask(self, peer: PeerId, hashes: Sequence[Hash32]) -> bool:
        """Ask one peer; whether it had anything. Raises RequestFailed, Rejected, Temporary."""
        answer = await self._network.request(peer, RequestKind.BLOBS, encode_blob_request(hashes))
        blobs = decode_blobs(answer, hashes)
        if blobs and not await self._keeper.add_wanted(blobs):
            raise Rejected(SyncReason.WRONG_BLOB, "a blob that its proofs do not fit")
        return bool(blobs)


def _pause_s(attempts: int, peers: int) -> float:
    """How long a blob rests after the round that an attempt belongs to."""
    return min(PAUSE_MAX_S, FIRST_PAUSE_S * 2.0 ** min(attempts // peers, 8))
