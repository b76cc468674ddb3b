"""Messages too large to gossip: announced by hash, fetched once by stream, served to whoever accepted the announcement.

    publish 2 MB -> keep body, gossip {hash, size} -> receiver opens a stream to the announcer -> body -> handler
    -> ACCEPT -> keep body, forward the announcement -> its receivers fetch from us

Everybody fetches from whoever announced first, and from the next announcer if that one stalls or lies: configured peers before strangers,
who have half of the fetches for all of them and are blamed for a body that never came.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from typing import Final

import structlog
import trio

from node.errors import Rejected
from node.p2p.faults import LinkFaults
from node.p2p.host import Host
from node.p2p.limits import Allowance, TokenBucket
from node.p2p.network import PeerId
from node.p2p.rpc import HASH_BYTES, Announcement
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset
from node.p2p.wire import PREFIX_BYTES, decode_prefix, encode_prefix

log = structlog.get_logger()

KEPT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bodies kept for others: eight of the largest blocks, of which one is made every slot."""

FETCHES_MAX: Final = 16
"""Bodies fetched at once; a further announcement is dropped."""

FETCHES_PER_AUTHOR_MAX: Final = 4
"""Bodies of one author fetched at once, so that one cannot use up all."""

FETCHES_PER_SOURCE_MAX: Final = 4
"""Bodies that one peer was the first to announce, fetched at once: authors are free, and a peer can pass any on."""

FETCHES_OF_STRANGERS_MAX: Final = 8
"""Bodies that strangers were the first to announce, fetched at once: the rest is for the peers that we were told of."""

SOURCES_MAX: Final = 8
"""Announcers remembered for one body; of configured peers, all."""

ATTEMPTS_MAX: Final = 2
"""Sources asked at once: the next is asked when the first stalls; a configured one besides, where only strangers are asked."""

STALL_S: Final = 1.0
"""A source that sends nothing for so long is joined by the next."""

FETCH_TIMEOUT_S: Final = 15.0
"""A body that is not here by then is given up; a block would long be useless."""

IO_TIMEOUT_S: Final = 10.0
"""Deadline of every read and write."""

SERVES_PER_PEER_MAX: Final = 8
"""Bodies a peer may fetch from us at once."""

SERVE_RATE_PER_S: Final = 10.0
"""Bodies a peer may fetch from us each second; a body each 200 ms keeps up with anything."""

SERVE_BURST: Final = 40.0
"""Bodies it may fetch at once after a pause."""


class BodyStore:
    """Bodies by hash, the newest KEPT_BYTES_MAX bytes of them."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    def add(self, body_hash: bytes, body: bytes) -> None:
        """Keep a body."""
        if body_hash in self._bodies:
            self._bodies.move_to_end(body_hash)
            return
        self._bodies[body_hash] = body
        self._bytes += len(body)
        while self._bytes > KEPT_BYTES_MAX:
            _, dropped = self._bodies.popitem(last=False)
            self._bytes -= len(dropped)

    def get(self, body_hash: bytes) -> bytes | None:
        """A body that is kept."""
        return self._bodies.get(body_hash)


class _Fetch:
    """One body on its way."""

    def __init__(self, announcement: Announcement, author: PeerId, source: PeerId) -> None:
        self.announcement = announcement
        self.author = author
        self.source = source
        self.sources = deque([source])
        self.known = {source}
        self.asking: set[PeerId] = set()
        self.owing: set[PeerId] = set()
        """Who was asked and neither sent anything wrong nor refused."""
        self.began_s = trio.current_time()
        self.body: bytes | None = None
        self.progress_s = trio.current_time()
        self.changed = trio.Event()

    def signal(self) -> None:
        """Wake the task that leads the fetch."""
        self.changed.set()
        self.changed = trio.Event()


class Bodies:
    """Keeps, serves and fetches bodies."""

    def __init__(
        self,
        host: Host,
        protocol: str,
        faults: LinkFaults,
        configured: frozenset[PeerId],
        allowance: Allowance,
    ) -> None:
        """`configured` are the peers that we were told of; the rest are strangers, who share an allowance."""
        self.store = BodyStore()
        """What we can serve."""
        self._host = host
        self._protocol = protocol
        self._faults = faults
        self._configured = configured
        self._allowance = allowance
        self._fetches: dict[bytes, _Fetch] = {}
        self._buckets: dict[PeerId, TokenBucket] = {}
        self._serving: dict[PeerId, int] = {}
        host.serve(protocol, self._serve)

    def add_source(self, announcement: Announcement, source: PeerId) -> None:
        """Another peer has announced a body that is being fetched."""
        fetch = self._fetches.get(announcement.body_hash)
        if fetch is None or source in fetch.known:
            return
        if source in self._configured:
            fetch.sources.appendleft(source)
        elif len(fetch.known) < SOURCES_MAX:
            fetch.sources.append(source)
        else:
            return
        fetch.known.add(source)
        fetch.signal()

    def disconnected(self, peer: PeerId) -> None:
        """A peer is gone."""
        self._buckets.pop(peer, None)

    async def fetch(
        self, announcement: Announcement, author: PeerId, source: PeerId
    ) -> bytes | None:
        """A body, from whoever announced it; None if nobody sends it, or too many are on their way."""
        kept = self.store.get(announcement.body_hash)
        if kept is not None:
            return kept
        if not self._has_room(author, source) or announcement.body_hash in self._fetches:
            return None
        fetch = _Fetch(announcement, author, source)
        self._fetches[announcement.body_hash] = fetch
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(FETCH_TIMEOUT_S):
                    await self._lead(fetch, nursery)
                nursery.cancel_scope.cancel()
        finally:
            del self._fetches[announcement.body_hash]
        if fetch.body is None:
            for stalling in fetch.owing - self._configured:
                self._host.blame(stalling, Misbehaviour.BAD_BODY, "announced a body and sent none")
        return fetch.body

    def _has_room(self, author: PeerId, source: PeerId) -> bool:
        """Whether a body may be fetched besides those that are."""
        fetches = list(self._fetches.values())
        if len(fetches) >= FETCHES_MAX:
            return False
        if sum(one.author == author for one in fetches) >= FETCHES_PER_AUTHOR_MAX:
            return False
        if sum(one.source == source for one in fetches) >= FETCHES_PER_SOURCE_MAX:
            return False
        strangers = sum(one.source not in self._configured for one in fetches)
        return source in self._configured or strangers < FETCHES_OF_STRANGERS_MAX

    async def _lead(self, fetch: _Fetch, nursery: trio.Nursery) -> None:
        """Ask one source after the other, and a second beside one that stalls."""
        while fetch.body is None and (fetch.sources or fetch.asking):
            if fetch.sources and self._may_ask(fetch):
                source = fetch.sources.popleft()
                fetch.asking.add(source)
                fetch.owing.add(source)
                fetch.progress_s = trio.current_time()
                nursery.start_soon(self._attempt, fetch, source)
            changed = fetch.changed
            with trio.move_on_after(STALL_S):
                await changed.wait()

    def _may_ask(self, fetch: _Fetch) -> bool:
        """Whether the next source is asked now; a configured peer's turn comes however strangers drag on."""
        now_s = trio.current_time()
        if not fetch.asking:
            return True
        if now_s - fetch.progress_s >= STALL_S and len(fetch.asking) < ATTEMPTS_MAX:
            return True
        is_dragging = now_s - fetch.began_s >= STALL_S and not fetch.asking & self._configured
        return is_dragging and fetch.sources[0] in self._configured

    async def _attempt(self, fetch: _Fetch, source: PeerId) -> None:
        try:
            await trio.sleep(self._faults.delay_s())
            body = await self._ask(fetch, source)
            if fetch.body is None:
                fetch.body = body
        except StreamReset as error:
            fetch.owing.discard(source)
            log.debug("body_refused", peer=source, error=repr(error))
        except trio.TooSlowError as error:
            log.debug("body_fetch_failed", peer=source, error=repr(error))
        except Rejected as error:
            fetch.owing.discard(source)
            self._host.blame(source, Misbehaviour(error.reason), error.message)
        finally:
            fetch.asking.discard(source)
            fetch.signal()

    async def _ask(self, fetch: _Fetch, source: PeerId) -> bytes:
        wanted = fetch.announcement
        with trio.fail_after(IO_TIMEOUT_S):
            stream = await self._host.open_stream(source, self._protocol)
        try:
            with trio.fail_after(IO_TIMEOUT_S):
                await stream.write(wanted.body_hash)
                await stream.close_write()
                prefix = await stream.read_exactly(PREFIX_BYTES)
            if decode_prefix(prefix, wanted.size) != wanted.size:
                raise Rejected(Misbehaviour.BAD_BODY, "a body is not as long as announced")
            body = await self._read_body(fetch, stream)
            if hashlib.sha256(body).digest() != wanted.body_hash:
                raise Rejected(Misbehaviour.BAD_BODY, "a body does not have the hash announced")
            return body
        finally:
            await stream.reset()

    async def _read_body(self, fetch: _Fetch, stream: Stream) -> bytes:
        body = bytearray()
        while len(body) < fetch.announcement.size:
            with trio.fail_after(IO_TIMEOUT_S):
                part = await stream.read(fetch.announcement.size - len(body))
            if not part:
                raise StreamReset("a body ended early")
            body += part
            fetch.progress_s = trio.current_time()
        return bytes(body)

    async def _serve(self, stream: Stream) -> None:
        """Send one body; an unknown hash resets the stream."""
        peer = stream.peer_id
        bucket = self._buckets.setdefault(
            peer, TokenBucket(rate_per_s=SERVE_RATE_PER_S, burst=SERVE_BURST)
        )
        if not bucket.take(trio.current_time()):
            raise Rejected(Misbehaviour.REQUEST_FLOOD, "too many bodies asked for")
        if self._serving.get(peer, 0) >= SERVES_PER_PEER_MAX:
            raise Rejected(Misbehaviour.REQUEST_FLOOD, "too many bodies asked for at once")
        self._serving[peer] = self._serving.get(peer, 0) + 1
        try:
            with trio.fail_after(IO_TIMEOUT_S):
                body_hash = await stream.read_exactly(HASH_BYTES)
            body = self.store.get(body_hash)
            if body is None:
                await stream.reset()
                return
            if peer not in self._configured:
                await self._allowance.wait()
                self._allowance.settle(len(body))
            await trio.sleep(self._faults.delay_s())
            with trio.fail_after(FETCH_TIMEOUT_S):
                await stream.write(encode_prefix(len(body)))
                await stream.write(body)
            await stream.close_write()
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]
