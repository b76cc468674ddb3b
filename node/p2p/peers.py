"""Who we are connected to: dial the configured, admit some strangers, drop the silent and the bad.

    configured peer -> dial every second until connected -> ping every 2 s -> three misses -> disconnect -> dial again
    misbehaviour -> score -> below the bound -> disconnect and ban for a while

Strangers are admitted up to STRANGERS_MAX, so that a late joiner or another implementation can connect to a devnet
without being in its manifest; configured peers always have room.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
import trio

from node.errors import Corruption
from node.p2p.faults import LinkFaults
from node.p2p.host import Connection, Host
from node.p2p.metrics import Metrics
from node.p2p.network import PeerId, PeerInfo
from node.p2p.scores import Misbehaviour, ScoreTable
from node.p2p.streams import Stream, StreamReset

log = structlog.get_logger()

ADDRESS: Final = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/[^/]{1,253}/tcp/[0-9]{1,5}")
"""Addresses that can be configured."""

REDIAL_S: Final = 1.0
"""Seconds between attempts to reach a configured peer."""

YIELD_S: Final = 0.3
"""Seconds by which the higher identity dials later, so that two peers that start together rarely cross dials."""

PING: Final = "/ipfs/ping/1.0.0"
"""Echoes 32 bytes."""

PING_BYTES: Final = 32
"""Size of an echo, by the specification."""

PING_INTERVAL_S: Final = 2.0
"""Seconds between pings, and each one's deadline."""

MISSES_MAX: Final = 3
"""Pings in a row without answer after which a peer is taken for dead."""

COUNT_INTERVAL_S: Final = 1.0
"""Seconds between updates of the metrics of bytes."""

STRANGERS_MAX: Final = 16
"""Peers connected at once that are not configured."""

PEERS_MAX: Final = 64
"""Peers that can be configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPeer:
    """A peer that is dialled until it answers."""

    name: str
    """Its process's name in the manifest."""
    peer_id: PeerId
    """Its identity."""
    address: str
    """Where it listens: /ip4/127.0.0.1/tcp/9000 or /dns4/validator-1/tcp/9000."""


class PeerListener(Protocol):
    """A part that keeps something for each peer."""

    def disconnected(self, peer: PeerId) -> None:
        """A peer is gone."""


@dataclass(slots=True, kw_only=True)
class _State:
    connection: Connection
    scope: trio.CancelScope
    round_trip_ms: float = 0.0
    misses: int = 0


class Peers:
    """Connections' lifetimes."""

    def __init__(
        self,
        host: Host,
        static: Sequence[StaticPeer],
        faults: LinkFaults,
        metrics: Metrics,
    ) -> None:
        """`ValueError` names a configured address that is no TCP multiaddr."""
        assert len(static) <= PEERS_MAX
        self.on_connect: list[Callable[[PeerId], Awaitable[None]]] = []
        """Called in a task of its own for every peer that connects."""
        self.listeners: list[PeerListener] = []
        """Parts that keep something for each connected peer."""
        self._host = host
        self._static = {peer.peer_id: peer for peer in static if peer.peer_id != host.peer_id}
        self._targets = {peer: _checked(entry.address) for peer, entry in self._static.items()}
        self._faults = faults
        self._metrics = metrics
        self._scores = ScoreTable()
        self._states: dict[PeerId, _State] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, ping and count bytes until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            for peer in self._static:
                nursery.start_soon(self._keep_dialled, peer)
            while True:
                await trio.sleep(COUNT_INTERVAL_S)
                self._host.count_bytes()

    def infos(self) -> list[PeerInfo]:
        """Who is connected."""
        now_s = trio.current_time()
        return [
            PeerInfo(
                peer_id=peer,
                name=self._static[peer].name if peer in self._static else "",
                address=state.connection.address,
                inbound=state.connection.inbound,
                score=self._scores.score(peer, now_s),
                round_trip_ms=state.round_trip_ms,
            )
            for peer, state in sorted(self._states.items())
        ]

    def names(self) -> dict[str, PeerId]:
        """Configured peers' identities by name."""
        return {entry.name: peer for peer, entry in self._static.items()}

    def apply_fault(self) -> None:
        """Cut the links that the fault in force blocks."""
        for peer in list(self._states):
            if self._faults.blocks(peer):
                self._host.disconnect(peer)

    def report(self, peer: PeerId, reason: str, *, severe: bool) -> None:
        """The node above blames a peer."""
        self._blame(peer, Misbehaviour.REPORTED, reason, severe=severe)

    # What the host tells and asks

    def admits(self, peer: PeerId, *, inbound: bool) -> bool:
        """Whether a connection may live: not banned, not cut off, and room for it."""
        if self._faults.blocks(peer) or self._scores.is_banned(peer, trio.current_time()):
            return False
        if peer in self._static or not inbound:
            return True
        strangers = sum(known not in self._static for known in self._states)
        return peer in self._states or strangers < STRANGERS_MAX

    def connected(self, connection: Connection) -> None:
        """Start what belongs to a peer."""
        assert self._nursery is not None
        peer = connection.peer_id
        state = self._states[peer] = _State(connection=connection, scope=trio.CancelScope())
        log.info(
            "peer_connected", peer=peer, address=connection.address, inbound=connection.inbound
        )
        for callback in self.on_connect:
            self._nursery.start_soon(self._call, callback, peer)
        self._nursery.start_soon(self._keep_pinged, peer, state)

    def disconnected(self, peer: PeerId) -> None:
        """Forget what belongs to a peer."""
        state = self._states.pop(peer, None)
        if state is not None:
            state.scope.cancel()
        log.info("peer_disconnected", peer=peer)
        for listener in self.listeners:
            listener.disconnected(peer)

    def misbehaved(self, peer: PeerId, reason: Misbehaviour, detail: str) -> None:
        """Count, remember, and disconnect below the bound."""
        self._blame(peer, reason, detail, severe=False)

    def _blame(self, peer: PeerId, reason: Misbehaviour, detail: str, *, severe: bool) -> None:
        self._metrics.count_misbehaviour(reason)
        banned = self._scores.blame(peer, reason, trio.current_time(), severe=severe)
        log.debug("peer_misbehaved", peer=peer, reason=reason, detail=detail)
        if banned:
            log.warning("peer_banned", peer=peer, reason=reason, detail=detail)
            self._host.disconnect(peer)

    async def _call(self, callback: Callable[[PeerId], Awaitable[None]], peer: PeerId) -> None:
        try:
            await callback(peer)
        except Corruption:
            raise
        except Exception:
            self._metrics.handler_bugs.inc()
            log.exception("on_connect_raised", peer=peer)

    # Keeping in touch

    async def _keep_dialled(self, peer: PeerId) -> None:
        if self._host.peer_id > peer:
            await trio.sleep(YIELD_S)
        while True:
            if peer not in self._states and self.admits(peer, inbound=False):
                await self._dial(peer)
            await trio.sleep(REDIAL_S)

    async def _dial(self, peer: PeerId) -> None:
        try:
            await self._host.dial(peer, self._targets[peer])
        except (StreamReset, trio.TooSlowError) as error:
            log.debug("dial_failed", peer=peer, error=str(error))

    async def _keep_pinged(self, peer: PeerId, state: _State) -> None:
        """Ask for a sign of life until the peer is gone, or gives none."""
        stream: Stream | None = None
        with state.scope:
            while state.misses < MISSES_MAX:
                await trio.sleep(PING_INTERVAL_S)
                started_s = trio.current_time()
                try:
                    with trio.fail_after(PING_INTERVAL_S):
                        if stream is None:
                            stream = await self._host.open_stream(peer, PING)
                        await stream.write(bytes(PING_BYTES))
                        await stream.read_exactly(PING_BYTES)
                except (StreamReset, trio.TooSlowError):
                    state.misses += 1
                    if stream is not None:
                        await stream.reset()
                    stream = None
                    continue
                state.round_trip_ms = (trio.current_time() - started_s) * 1_000
                state.misses = 0
            self._blame(peer, Misbehaviour.SILENT, "missed its pings", severe=False)
            self._host.disconnect(peer)


def _checked(address: str) -> str:
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r}: want a TCP multiaddr like /ip4/127.0.0.1/tcp/9000")
    return address
