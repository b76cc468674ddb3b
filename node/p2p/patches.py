"""py-libp2p 0.8.1, made fit to meet strangers: one class for each upstream class, one docstring for each upstream problem.

    apply() swaps module names before a host is built: Yamux, YamuxStream, SwarmConn, TrioTCPStream, read_delim, reuse flags
    host.py builds the rest by subclass: PatchedSwarm, PatchedHost

Every patch keeps the wire format. Two rules: nothing that a peer sends may raise into a nursery that others share,
and nothing it sends or leaves unread may make us store without bound. The pubsub half is pubsub.py.
"""

from __future__ import annotations

import logging
import struct
import weakref
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Final

import structlog
import trio
from libp2p.abc import IMuxedConn, IMuxedStream, INetConn, ISecureConn
from libp2p.exceptions import ParseError
from libp2p.host.basic_host import BasicHost
from libp2p.io import trio as trio_io
from libp2p.io.abc import Reader, ReadWriteCloser
from libp2p.io.exceptions import IncompleteReadError
from libp2p.metrics.swarm import SwarmEvent
from libp2p.network import swarm
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection import swarm_connection
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.protocol_muxer import multiselect_communicator
from libp2p.stream_muxer import muxer_multistream
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset
from libp2p.stream_muxer.yamux import yamux
from libp2p.transport.tcp import tcp
from libp2p.utils.varint import decode_uvarint_from_stream
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from node.p2p.handshakes import Handshakes
from node.p2p.scores import Misbehaviour

log = structlog.get_logger()

WINDOW: Final = 1024 * 1024
"""Credit for a stream once it is read: 2 MB take three round trips; upstream grows to 16 MiB a stream."""

CREDIT_BATCH: Final = 64 * 1024
"""Credit is returned in at least such pieces."""

UNREAD_BYTES_MAX: Final = 8 * 1024 * 1024
"""Data of one connection that nobody has read yet; our readers drain at once, so only an attack gets there."""

UNCOUNTED_BYTES: Final = 16 * 1024
"""Streams with no more are not counted as long as they are few: each frame would cost as much as there are streams."""

UNCOUNTED_STREAMS: Final = 32
"""So many are few: half a megabyte of the eight, kept free for them."""

STREAMS_MAX: Final = 128
"""Streams a peer may have open towards us."""

CONTROL_FRAMES_MAX: Final = 4_096
"""Frames without data that wait for a peer that does not read; one more and it is dropped."""

TOKEN_BYTES_MAX: Final = 1_024
"""Longest multistream token."""

READ_BYTES: Final = 64 * 1024
"""Read from a socket at once."""

Blame = Callable[[ID, Misbehaviour, str], None]
"""Whom to tell that a peer misbehaved."""

_blame_by_connection: weakref.WeakKeyDictionary[IMuxedConn, Blame] = weakref.WeakKeyDictionary()


def on_misbehaviour(connection: IMuxedConn, blame: Blame) -> None:
    """Hear what patches find wrong on a connection."""
    _blame_by_connection[connection] = blame


def _tell(connection: IMuxedConn, reason: Misbehaviour, detail: str) -> None:
    blame = _blame_by_connection.get(connection)
    if blame is not None:
        blame(connection.peer_id, reason, detail)


class _Buffer(bytearray):
    """A stream's unread data, counted on its connection."""

    def __init__(self, connection: PatchedYamux) -> None:
        super().__init__()
        self._connection = connection

    def extend(self, data: bytes) -> None:  # type: ignore[override]  # upstream only ever extends by bytes
        """Store data, unless the peer ignores its window."""
        own, buffers = len(self) + len(data), self._connection.stream_buffers
        if own > UNCOUNTED_BYTES or len(buffers) > UNCOUNTED_STREAMS:
            unread = sum(map(len, buffers.values()))
            counted_max = UNREAD_BYTES_MAX - UNCOUNTED_STREAMS * UNCOUNTED_BYTES
            if unread + len(data) > counted_max or own > WINDOW + READ_BYTES:
                _tell(self._connection, Misbehaviour.WINDOW_EXCEEDED, f"{unread} bytes unread")
                raise trio.TooSlowError("the peer ignores its window")
        super().extend(data)


class _Buffers(dict[int, bytearray]):
    """Streams' unread data.

    Upstream logs "peer exceeded receive window" and stores the data all the same, so that a peer that ignores its window
    fills our memory. TooSlowError is the one exception that `Yamux.handle_incoming` lets end the connection.
    """

    def __init__(self, connection: PatchedYamux) -> None:
        super().__init__()
        self._connection = connection

    def __setitem__(self, stream_id: int, _: bytearray) -> None:
        super().__setitem__(stream_id, _Buffer(self._connection))


class PatchedYamux(yamux.Yamux):
    """One multiplexed connection."""

    def __init__(
        self,
        secured_conn: ISecureConn,
        peer_id: ID,
        is_initiator: bool | None = None,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(secured_conn, peer_id, is_initiator)
        self.on_close = on_close  # type: ignore[assignment]  # SwarmConn replaces it at once
        self.stream_buffers = _Buffers(self)
        self._control: deque[bytes] = deque()
        self._is_flushing = False

    async def start(self) -> None:
        """Carry frames; upstream runs this in the swarm's own nursery, where any error ends every connection."""
        try:
            await super().start()
        except Exception:
            log.exception("yamux_raised", peer=str(self.peer_id))
            await self._cleanup_on_error()

    async def _write_frame(self, data: bytes) -> None:
        """Write a data frame, or queue one without data.

        Upstream's reader waits here to answer a SYN or a ping, so a peer that stops reading stops our reading, and two
        busy peers can stop each other; it also formats a log line for every frame with logging off.
        """
        if len(data) > yamux.HEADER_SIZE:
            async with self._write_lock:
                await self._write_control()
                await self.secured_conn.write(data)
                await self._write_control()
            return
        if len(self._control) >= CONTROL_FRAMES_MAX:
            _tell(self, Misbehaviour.NOT_READING, "answers pile up")
            raise trio.TooSlowError("the peer reads no answers")
        self._control.append(data)
        if self._nursery is not None and not self._is_flushing and not self._write_lock.locked():
            self._is_flushing = True
            self._nursery.start_soon(self._flush_control)

    async def _flush_control(self) -> None:
        try:
            async with self._write_lock:
                await self._write_control()
        except Exception as error:  # noqa: BLE001 - upstream documents no family of write errors
            log.debug("control_not_sent", peer=str(self.peer_id), error=repr(error))
        finally:
            self._is_flushing = False

    async def _write_control(self) -> None:
        while self._control:
            batch = b"".join(self._control)
            self._control.clear()
            await self.secured_conn.write(batch)


class PatchedYamuxStream(yamux.YamuxStream):
    """One stream."""

    def __init__(self, stream_id: int, conn: yamux.Yamux, is_initiator: bool) -> None:
        self._credit = 0
        self._credit_arrived = trio.Event()
        self._whole_write = trio.Lock()
        super().__init__(stream_id, conn, is_initiator)

    @property
    def send_window(self) -> int:
        """Bytes we may send; upstream polls it every 10 ms while it is zero."""
        return self._credit

    @send_window.setter
    def send_window(self, credit: int) -> None:
        self._credit = min(credit, 1 << 32)
        self._credit_arrived.set()

    async def write(self, data: bytes) -> None:
        """Write all of the data as one piece.

        Upstream (#793) locks each 64 KiB frame alone, so two tasks that write more to one stream interleave: joining
        while large gossip was in flight crashed the joiner.
        """
        async with self._whole_write:
            start = 0
            while start < len(data):
                await self._wait_for_credit()
                size = min(
                    self._credit, yamux.MAX_MESSAGE_SIZE - yamux.HEADER_SIZE, len(data) - start
                )
                self._credit -= size
                header = struct.pack(
                    yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_DATA, 0, self.stream_id, size
                )
                await self.conn._write_frame(header + data[start : start + size])  # noqa: SLF001
                start += size

    async def _wait_for_credit(self) -> None:
        while self._credit <= 0 and not self.closed and not self.send_closed:
            self._credit_arrived = trio.Event()
            with trio.move_on_after(0.25):  # closing sets flags, not the event
                await self._credit_arrived.wait()
        if self.closed or self.send_closed:
            raise MuxedStreamError("the stream is closed")

    async def read(self, n: int | None = -1) -> bytes:
        """What has arrived, at most n bytes; upstream formats six log lines a call with logging off."""
        bytes_max = WINDOW if n is None or n < 0 else n
        while True:
            buffer = self.conn.stream_buffers.get(self.stream_id)
            if buffer:
                data = bytes(buffer[:bytes_max])
                del buffer[:bytes_max]
                if self.closed and not buffer:
                    await self.conn._finalize_stream(self, fully_closed=True)  # noqa: SLF001
                await self._auto_tune_and_send_window_update(bytes_read=len(data))
                return data
            if self.reset_received:
                raise MuxedStreamReset("the stream was reset")
            arrived = self.conn.stream_events.get(self.stream_id)
            is_over = buffer is None or arrived is None or self.conn.event_shutting_down.is_set()
            if is_over or self.recv_closed:
                raise MuxedStreamEOF("the stream has ended")
            assert arrived is not None
            await arrived.wait()
            if self.stream_id in self.conn.stream_events:
                self.conn.stream_events[self.stream_id] = trio.Event()

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        """Return credit in batches.

        Upstream sends a window update for every read, three for each gossip message, and doubles the window up to 16 MiB.
        """
        self._pending_recv_release += bytes_read
        growth = 0
        if self.target_recv_window < WINDOW:
            growth = WINDOW - self.target_recv_window
            self.target_recv_window = WINDOW
        if not growth and self._pending_recv_release < CREDIT_BATCH:
            return
        credit, self._pending_recv_release = growth + self._pending_recv_release, 0
        self.recv_window += credit
        if not self.recv_closed:
            await self.send_window_update(credit)


class PatchedTcpStream(trio_io.TrioTCPStream):
    """A socket read in large pieces; upstream reads each noise frame's length and body by a call of their own."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self._unread = bytearray()
        self.bytes_in = 0
        """Bytes received."""
        self.bytes_out = 0
        """Bytes sent."""

    async def read(self, n: int | None = None) -> bytes:
        """What has arrived, at most n bytes."""
        if n == 0:
            return b""
        if not self._unread:
            data = await super().read(READ_BYTES)
            self.bytes_in += len(data)
            if n is None or len(data) <= n:
                return bytes(data)
            self._unread += data
        count = len(self._unread) if n is None else n
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    async def write(self, data: bytes) -> None:
        """All of the data."""
        await super().write(data)
        self.bytes_out += len(data)

    async def close(self) -> None:
        """Close at once."""
        await trio.aclose_forcefully(self.stream)


class PatchedSwarmConn(swarm_connection.SwarmConn):
    """One connection's inbound streams."""

    async def start(self) -> None:
        """Accept streams; upstream runs this in the swarm's own nursery, where any error ends every connection."""
        try:
            await super().start()
        except Exception:
            log.exception("connection_raised", peer=str(self.muxed_conn.peer_id))
            await self.close()

    async def _handle_muxed_stream(self, muxed_stream: IMuxedStream) -> None:
        """Serve one stream.

        Upstream lets a handler's error end the whole process, and a peer open streams without bound (the resource manager
        that should count them is shared by all peers, so one can use it up).
        """
        if len(self.streams) >= STREAMS_MAX:
            _tell(self.muxed_conn, Misbehaviour.FRAME_FLOOD, "too many streams")
            await muxed_stream.reset()
            return
        try:
            await super()._handle_muxed_stream(muxed_stream)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's stream raises ends that stream alone
            log.debug("stream_failed", peer=str(self.muxed_conn.peer_id), error=repr(error))
            await muxed_stream.reset()


class PatchedAutoConnector(AutoConnector):
    """Whom to dial is decided in peers.py."""

    async def maybe_connect(self) -> None:
        """Nothing: upstream dials every address it knows, whatever its low watermark, beside our own dials."""

    def record_disconnect(self, peer_id: ID) -> None:
        """Nothing: upstream remembers every stranger that ever left."""


class PatchedSwarm(swarm.Swarm):
    """All connections."""

    admits: Callable[[ID, bool], bool]
    """Whether a connection with a peer may live; the second argument says that it dialled us."""
    handshakes: Handshakes
    """Inbound connections whose peers are not known yet."""

    async def add_conn(
        self, muxed_conn: IMuxedConn, direction: str = "unknown"
    ) -> swarm_connection.SwarmConn:
        """Take up a connection, unless its peer is unwanted; upstream's gate knows addresses only, not identities."""
        if not self.admits(muxed_conn.peer_id, direction == "inbound"):
            await muxed_conn.close()
            raise SwarmException("the peer is not admitted")
        return await super().add_conn(muxed_conn, direction)

    async def _do_handle_inbound_connection(  # type: ignore[no-any-unimported]
        self,
        read_write_closer: ReadWriteCloser,
        maddr: Multiaddr,
        _: SwarmEvent,
    ) -> None:
        """Upgrade an inbound connection and keep its socket until it ends.

        Upstream keeps the task, and the slot it holds among all inbound connections, until the swarm stops: after so many
        reconnections a node accepts nobody any more. Where all slots are taken by handshakes, it refuses the newest.
        """
        raw = RawConnection(read_write_closer, False)
        connection: IMuxedConn | None = None
        try:
            with self.handshakes.one():
                connection = await self.upgrade_inbound_raw_conn(raw, maddr)
            if connection is not None:
                assert isinstance(connection, PatchedYamux)
                await connection.event_closed.wait()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's handshake raises ends that handshake alone
            log.debug("handshake_failed", error=repr(error))
        finally:
            with trio.CancelScope(shield=True):
                await read_write_closer.close()


class PatchedHost(BasicHost):
    """Protocols over the swarm."""

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """Ask nobody who they are; those who ask us are answered.

        We know our peers, and upstream stores whatever a stranger claims, in a system task whose errors end the process.
        """

    async def _on_notifee_connected(self, conn: INetConn) -> None:
        """Nothing: see `_schedule_identify`."""


async def read_delim(reader: Reader) -> bytes:
    """A multistream token without its newline; upstream reads as many bytes as the peer announces, and decodes what is not UTF-8.

    What the communicator above raises is then MultiselectCommunicatorError and nothing else: whoever asks or answers handles that.

    Raises:
        ParseError: longer than TOKEN_BYTES_MAX, no newline at its end, or not UTF-8.
        IOException: the stream ended.
    """
    length = await decode_uvarint_from_stream(reader)
    if not 0 < length <= TOKEN_BYTES_MAX:
        raise ParseError(f"a multistream token of {length} bytes")
    token = b""
    while len(token) < length:
        part = await reader.read(length - len(token))
        if not part:
            raise IncompleteReadError("a multistream token ended early", length, len(token))
        token += part
    if not token.endswith(b"\n"):
        raise ParseError("a multistream token without newline")
    try:
        token.decode()
    except UnicodeDecodeError as error:
        raise ParseError("a multistream token that is not UTF-8") from error
    return token[:-1]


def reuse_address(sock: trio.socket.SocketType) -> None:
    """Let a restarted process have its port back at once.

    Upstream sets SO_REUSEPORT for hole punching, so that two devnets listen on one port and each gets half of the connections.
    """
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)


_SWAPS: Final[tuple[tuple[ModuleType, str, object], ...]] = (
    (muxer_multistream, "Yamux", PatchedYamux),
    (yamux, "YamuxStream", PatchedYamuxStream),
    (swarm_connection, "SwarmConn", PatchedSwarmConn),
    (tcp, "TrioTCPStream", PatchedTcpStream),
    (tcp, "_set_reuse_flags", reuse_address),
    (multiselect_communicator, "read_delim", read_delim),
)


def apply() -> None:
    """Put the patched classes in upstream's place, and silence its log, which repeats at error level what is our daily bread."""
    for module, name, replacement in _SWAPS:
        assert hasattr(module, name), f"py-libp2p has changed: {module.__name__}.{name}"
        setattr(module, name, replacement)
    logging.getLogger("libp2p").setLevel(logging.CRITICAL)
