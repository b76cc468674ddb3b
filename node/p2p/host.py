"""The libp2p host: listens, dials, and hands streams to whoever serves their protocol.

    dial / accept -> noise -> yamux -> admitted by identity -> connected(peer)
    peer opens stream -> multistream -> handler(stream)

py-libp2p's BasicHost and Swarm as patches.py leaves them. Deliberately absent: whom to dial and whom to like (peers.py),
what streams say (gossip.py, requests.py, bodies.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import structlog
import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.identity.identify_push.identify_push import ID_PUSH
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PERMANENT_ADDR_TTL, PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as Noise
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from node.errors import Corruption, Rejected
from node.p2p import patches
from node.p2p.handshakes import Handshakes
from node.p2p.metrics import Direction, Metrics
from node.p2p.negotiation import Answerer, Asker
from node.p2p.network import PeerId
from node.p2p.scores import Misbehaviour
from node.p2p.streams import Stream, StreamReset

log = structlog.get_logger()
patches.apply()

CONNECTIONS_MAX: Final = 96
"""Connections at once, both directions, handshakes included."""

CONNECTIONS_PER_PEER_MAX: Final = 2
"""Two peers that dial each other at once keep both connections; either is used."""

HANDSHAKE_TIMEOUT_S: Final = 5.0
"""From the first byte to a multiplexed connection; milliseconds on a devnet."""

NEGOTIATION_TIMEOUT_S: Final = 10.0
"""A peer that opens a stream says by then what for."""

CLOSE_TIMEOUT_S: Final = 0.5
"""Closing waits no longer than this for anything."""

StreamHandler = Callable[[Stream], Awaitable[None]]
"""Serves one stream; may raise Rejected, StreamReset and trio.TooSlowError for what the peer did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A peer's first connection."""

    peer_id: PeerId
    """Who is proven to be at the other end."""
    address: str
    """Where it is, a multiaddr."""
    inbound: bool
    """Whether it dialled us."""


class ConnectionEvents(Protocol):
    """What the host asks and tells whoever manages peers."""

    def admits(self, peer: PeerId, *, inbound: bool) -> bool:
        """Whether a connection with this peer may live."""

    def connected(self, connection: Connection) -> None:
        """A peer has a connection."""

    def disconnected(self, peer: PeerId) -> None:
        """A peer has no connection any more."""

    def misbehaved(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """A peer broke a protocol."""


class Host:
    """One libp2p host."""

    def __init__(self, seed: bytes, metrics: Metrics) -> None:
        """From the 32-byte Ed25519 seed of its identity."""
        self.key_pair = create_new_key_pair(seed)
        """Its identity's keys."""
        self.id = ID.from_pubkey(self.key_pair.public_key)
        """Its identity."""
        self.peer_id = PeerId(self.id.to_base58())
        """Its identity, as text."""
        self._metrics = metrics
        self._swarm = self._build_swarm()
        self.libp2p = patches.PatchedHost(network=self._swarm)
        """Upstream's host, for pubsub."""
        self.libp2p.multiselect = Answerer(self.libp2p.multiselect.handlers)
        self.libp2p.multiselect_client = Asker()
        self.libp2p.multiselect.remove_handler(ID_PUSH)
        self._connected: dict[PeerId, Connection] = {}
        self._bytes: dict[int, tuple[int, int]] = {}
        self._nursery: trio.Nursery | None = None
        self._events: ConnectionEvents | None = None

    def serve(self, protocol: str, handler: StreamHandler) -> None:
        """Serve a protocol on every connection; before `listen`."""

        async def serve_stream(stream: INetStream) -> None:
            await self._serve_stream(protocol, handler, Stream(stream))

        self.libp2p.set_stream_handler(TProtocol(protocol), serve_stream)

    @asynccontextmanager
    async def running(self, events: ConnectionEvents) -> AsyncIterator[None]:
        """The swarm's tasks; every socket is closed at the end."""
        self._events = events
        self._swarm.register_notifee(_Notifee(self))
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            async with background_trio_service(self._swarm):
                try:
                    yield
                finally:
                    with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                        await self._close()
            nursery.cancel_scope.cancel()

    async def listen(self, host: str, port: int) -> int:
        """Accept connections; returns the TCP port that is bound.

        Raises:
            OSError: the address cannot be bound.
        """
        family = "ip6" if ":" in host else "ip4"
        if not await self._swarm.listen(Multiaddr(f"/{family}/{host}/tcp/{port}")):
            raise OSError(f"cannot listen on {host}:{port}")
        (listener,) = self._swarm.listeners.values()
        bound = listener.get_addrs()[0].value_for_protocol("tcp")
        assert bound is not None
        return int(bound)

    async def dial(self, peer: PeerId, address: str) -> None:
        """Connect to a peer. Raises StreamReset if it cannot be reached, or is somebody else."""
        peer_id = ID.from_base58(peer)
        # Upstream remembers a failed dial for 60 s, and clears the addresses of a peer that proved another identity.
        self._swarm.unblock_peer(peer_id)
        self._swarm.peerstore.clear_addrs(peer_id)
        self._swarm.peerstore.add_addrs(peer_id, [Multiaddr(address)], PERMANENT_ADDR_TTL)
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                await self._swarm.dial_peer(peer_id)
        except (BaseLibp2pError, OSError) as error:
            raise StreamReset(str(error)) from error

    async def open_stream(self, peer: PeerId, protocol: str) -> Stream:
        """A stream on which a protocol was agreed. Raises StreamReset, also if the peer does not serve it."""
        if peer not in self._connected:
            raise StreamReset("not connected")
        try:
            stream = await self.libp2p.new_stream(ID.from_base58(peer), [TProtocol(protocol)])
        except (BaseLibp2pError, OSError) as error:
            raise StreamReset(f"{protocol}: {error}") from error
        return Stream(stream)

    def is_connected(self, peer: PeerId) -> bool:
        """Whether a peer has a connection."""
        return peer in self._connected

    def disconnect(self, peer: PeerId) -> None:
        """Close a peer's connections."""
        for connection in self._swarm.get_connections(ID.from_base58(peer)):
            assert self._nursery is not None
            self._nursery.start_soon(self._close_connection, connection)

    def blame(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """Report what a peer did to whoever manages peers."""
        assert self._events is not None
        self._events.misbehaved(peer, reason, detail)

    def count_bytes(self) -> None:
        """Bring the metrics of bytes up to date."""
        seen = {}
        for connection in self._swarm.get_connections():
            tcp = _tcp_of(connection)
            seen[id(tcp)] = (tcp.bytes_in, tcp.bytes_out)
            known_in, known_out = self._bytes.get(id(tcp), (0, 0))
            self._metrics.bytes.labels(Direction.IN).inc(max(0, tcp.bytes_in - known_in))
            self._metrics.bytes.labels(Direction.OUT).inc(max(0, tcp.bytes_out - known_out))
        self._bytes = seen

    # What the swarm tells

    def opened(self, connection: INetConn) -> None:
        """A connection is up."""
        assert self._events is not None
        patches.on_misbehaviour(connection.muxed_conn, self._blame_id)
        peer = _peer_of(connection)
        if peer not in self._connected:
            addresses = connection.get_transport_addresses()
            entry = Connection(
                peer_id=peer,
                address=str(addresses[0]) if addresses else "",
                inbound=not connection.muxed_conn.is_initiator,
            )
            self._connected[peer] = entry
            self._metrics.peers.set(len(self._connected))
            self._events.connected(entry)

    def closed(self, connection: INetConn) -> None:
        """A connection is down."""
        assert self._events is not None
        peer = _peer_of(connection)
        if self._swarm.get_connections(connection.muxed_conn.peer_id):
            return
        if self._connected.pop(peer, None) is not None:
            self._metrics.peers.set(len(self._connected))
            self._events.disconnected(peer)

    def _blame_id(self, peer: ID, reason: Misbehaviour, detail: str) -> None:
        self.blame(PeerId(peer.to_base58()), reason, detail)

    def _admits(self, peer: ID, inbound: bool) -> bool:
        assert self._events is not None
        return peer != self.id and self._events.admits(PeerId(peer.to_base58()), inbound=inbound)

    async def _serve_stream(self, protocol: str, handler: StreamHandler, stream: Stream) -> None:
        """Serve one stream that a peer opened; nothing is raised."""
        try:
            await handler(stream)
        except (StreamReset, trio.TooSlowError) as error:
            log.debug("stream_ended", peer=stream.peer_id, protocol=protocol, error=repr(error))
        except Rejected as error:
            self.blame(stream.peer_id, Misbehaviour(error.reason), error.message)
        except Corruption as error:
            # Upstream runs this where nothing gets out: a damaged store must stop the process all the same.
            assert self._nursery is not None
            self._nursery.start_soon(_fail, error)
        except Exception:
            self._metrics.handler_bugs.inc()
            log.exception("stream_handler_raised", peer=stream.peer_id, protocol=protocol)
        else:
            return
        await stream.reset()

    async def _close_connection(self, connection: INetConn) -> None:
        """Close a connection, and be done with it even where that takes too long.

        Upstream marks it as closed first and forgets it last: cut short in between, it would count as open for ever.
        """
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True) as closing:
            await _tcp_of(connection).close()
            await connection.close()
        if closing.cancelled_caught:
            assert isinstance(connection, patches.PatchedSwarmConn)
            self._swarm.remove_conn(connection)
            self.closed(connection)
            with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                await self._swarm.notify_disconnected(connection)

    async def _close(self) -> None:
        for listener in self._swarm.listeners.values():
            await listener.close()
        for connection in self._swarm.get_connections():
            await _tcp_of(connection).close()

    def _build_swarm(self) -> patches.PatchedSwarm:
        """TCP, noise and yamux only: upstream offers plaintext unless told not to."""
        noise = Noise(self.key_pair, noise_privkey=create_noise_key_pair().private_key)
        upgrader = TransportUpgrader(
            secure_transports_by_protocol=OrderedDict({NOISE: noise}),
            muxer_transports_by_protocol=OrderedDict({TProtocol(YAMUX): patches.PatchedYamux}),
        )
        peerstore = PeerStore()
        peerstore.add_key_pair(self.id, self.key_pair)
        swarm = patches.PatchedSwarm(
            self.id,
            peerstore,
            upgrader,
            [TCP()],
            retry_config=RetryConfig(max_retries=0),
            connection_config=ConnectionConfig(
                max_connections=CONNECTIONS_MAX,
                min_connections=0,
                low_watermark=0,
                high_watermark=CONNECTIONS_MAX,
                max_connections_per_peer=CONNECTIONS_PER_PEER_MAX,
                inbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
                outbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
                inbound_stream_protocol_negotiation_timeout=NEGOTIATION_TIMEOUT_S,
                outbound_stream_protocol_negotiation_timeout=NEGOTIATION_TIMEOUT_S,
            ),
        )
        swarm.admits = self._admits
        swarm.handshakes = Handshakes()
        swarm.auto_connector = patches.PatchedAutoConnector(swarm)
        return swarm


class _Notifee(INotifee):
    """Passes connections' beginnings and ends on."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def connected(self, _: INetwork, conn: INetConn) -> None:
        self._host.opened(conn)

    async def disconnected(self, _: INetwork, conn: INetConn) -> None:
        self._host.closed(conn)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing."""

    async def listen(  # type: ignore[no-any-unimported]
        self, _: INetwork, __: Multiaddr
    ) -> None:
        """Nothing."""

    async def listen_close(  # type: ignore[no-any-unimported]
        self, _: INetwork, __: Multiaddr
    ) -> None:
        """Nothing."""


async def _fail(error: Corruption) -> NoReturn:
    raise error


def _peer_of(connection: INetConn) -> PeerId:
    return PeerId(connection.muxed_conn.peer_id.to_base58())


def _tcp_of(connection: INetConn) -> patches.PatchedTcpStream:
    """The socket under a connection: yamux over noise over packets over TCP."""
    layer: object = connection.muxed_conn
    for name in ("secured_conn", "conn", "read_writer", "read_write_closer", "stream"):
        layer = getattr(layer, name)
    assert isinstance(layer, patches.PatchedTcpStream)
    return layer
