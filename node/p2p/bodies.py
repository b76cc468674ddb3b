"""Messages too large to gossip: announced by hash, fetched once by stream, served to whoever accepted the announcement.

    publish 2 MB -> keep body, gossip {hash, size} -> receiver opens a stream to the announcer -> body -> handler
    -> ACCEPT -> keep body, forward the announcement -> its receivers fetch from us

Everybody fetches from whoever announced first, and from the next announcer if that one stalls or lies.
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
from node.p2p.limits import TokenBucket
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

SOURCES_MAX: Final = 8
"""Announcers remembered for one body."""

ATTEMPTS_MAX: Final = 2
"""Sources asked at once: the next is asked when the first stalls."""

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
        self.sources = deque([source])
        self.known = {source}
        self.body: bytes | None = None
        self.active = 0
        self.progress_s = trio.current_time()
        self.changed = trio.Event()

    def signal(self) -> None:
        """Wake the task that leads the fetch."""
        self.changed.set()
        self.changed = trio.Event()


class Bodies:
    """Keeps, serves and fetches bodies."""

    def __init__(self, host: Host, protocol: str, faults: LinkFaults) -> None:
        self.store = BodyStore()
        """What we can serve."""
        self._host = host
        self._protocol = protocol
        self._faults = faults
        self._fetches: dict[bytes, _Fetch] = {}
        self._buckets: dict[PeerId, TokenBucket] = {}
        self._serving: dict[PeerId, int] = {}
        host.serve(protocol, self._serve)

    def add_source(self, announcement: Announcement, source: PeerId) -> None:
        """Another peer has announced a body that is being fetched."""
        fetch = self._fetches.get(announcement.body_hash)
        if fetch is not None and source not in fetch.known and len(fetch.known) < SOURCES_MAX:
            fetch.known.add(source)
            fetch.sources.append(source)
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
        of_author = sum(fetch.author == author for fetch in self._fetches.values())
        is_full = len(self._fetches) >= FETCHES_MAX or of_author >= FETCHES_PER_AUTHOR_MAX
        if is_full or announcement.body_hash in self._fetches:
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
        return fetch.body

    async def _lead(self, fetch: _Fetch, nursery: trio.Nursery) -> None:
        """Ask one source after the other, and a second beside one that stalls."""
        while fetch.body is None and (fetch.sources or fetch.active):
            stalled_s = trio.current_time() - fetch.progress_s
            may_ask = fetch.active == 0 or (stalled_s >= STALL_S and fetch.active < ATTEMPTS_MAX)
            if fetch.sources and may_ask:
                fetch.active += 1
                fetch.progress_s = trio.current_time()
                nursery.start_soon(self._attempt, fetch, fetch.sources.popleft())
            changed = fetch.changed
            with trio.move_on_after(STALL_S):
                await changed.wait()

    async def _attempt(self, fetch: _Fetch, source: PeerId) -> None:
        try:
            await trio.sleep(self._faults.delay_s())
            body = await self._ask(fetch, source)
            if fetch.body is None:
                fetch.body = body
        except (StreamReset, trio.TooSlowError) as error:
            log.debug("body_fetch_failed", peer=source, error=repr(error))
        except Rejected as error:
            self._host.blame(source, Misbehaviour(error.reason), error.message)
        finally:
            fetch.active -= 1
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
            await trio.sleep(self._faults.delay_s())
            with trio.fail_after(FETCH_TIMEOUT_S):
                await stream.write(encode_prefix(len(body)))
                await stream.write(body)
            await stream.close_write()
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]
