"""Blobs that blocks wait for: asked for by versioned hash, and given to whoever asks.

    Chain (BlobsWanted, wanted_blobs) -> a peer each -> answer -> BlobKeeper.add -> Chain goes on with the block

The sender of a block is asked first, then everybody in turn, at longer and longer intervals while nobody has it: a proposer
may have kept it back. A peer that does not have a blob is not blamed; one that sends another, or a wrong one, is.
Most blobs are here before their block: transactions bring them (node.txpool).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import structlog
import trio
from prometheus_client import CollectorRegistry, Counter

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

FETCHES_MAX: Final = 4
"""Requests under way at once."""

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

    async def add(self, blobs: Sequence[Blob]) -> bool:
        """Check and keep blobs; False if one of them is wrong. Raises Temporary."""


@dataclass(slots=True)
class _Search:
    """How the search for one blob goes."""

    attempts: int = 0
    next_s: float = 0.0
    is_asked: bool = False


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
        self._under_way = 0
        self._requests = Counter(
            "faultline_blobs_requests",
            "Requests for blobs that blocks wait for, by what came of them.",
            ["outcome"],
            registry=registry,
        )
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
        """Ask one peer for everything that blocks wait for: it has sent one of them. Raises RequestFailed, Rejected."""
        wanted = list(self._chain.wanted_blobs)
        for start in range(0, len(wanted), BLOBS_MAX):
            await self._ask(peer, wanted[start : start + BLOBS_MAX])

    async def run(self) -> NoReturn:
        """Look for what blocks wait for, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            while True:
                self._wake = trio.Event()
                for peer, hashes in self._plan():
                    self._under_way += 1
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
        now_s = trio.current_time()
        groups: defaultdict[PeerId, list[Hash32]] = defaultdict(list)
        for blob, origin in wanted.items():
            search = self._searches[blob]
            if search.is_asked or search.next_s > now_s or not present:
                continue
            # The sender of the block first, then the others in turn.
            turn = [peer for peer in present if peer == origin]
            turn += [peer for peer in present if peer != origin]
            group = groups[turn[search.attempts % len(turn)]]
            if len(group) < BLOBS_MAX:
                group.append(blob)
        chosen = list(groups.items())[: max(0, FETCHES_MAX - self._under_way)]
        for _, hashes in chosen:
            for blob in hashes:
                search = self._searches[blob]
                rounds = search.attempts // len(present)
                pause_s = min(PAUSE_MAX_S, FIRST_PAUSE_S * 2 ** min(rounds, 8))
                is_round_over = (search.attempts + 1) % len(present) == 0
                search.next_s = now_s + (pause_s if is_round_over else 0.0)
                search.attempts += 1
                search.is_asked = True
        return chosen

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
            self._under_way -= 1
            for blob in hashes:
                if (search := self._searches.get(blob)) is not None:
                    search.is_asked = False
        self._requests.labels(outcome=outcome).inc()
        self._wake.set()

    async def _ask(self, peer: PeerId, hashes: Sequence[Hash32]) -> bool:
        """Ask one peer; whether it had anything. Raises RequestFailed, Rejected, Temporary."""
        answer = await self._network.request(peer, RequestKind.BLOBS, encode_blob_request(hashes))
        blobs = decode_blobs(answer, hashes)
        if blobs and not await self._keeper.add(blobs):
            raise Rejected(SyncReason.WRONG_BLOB, "a blob that its proofs do not fit")
        return bool(blobs)
