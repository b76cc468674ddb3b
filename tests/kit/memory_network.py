"""The Network without sockets: one seed decides every delay, loss and partition.

    hub = MemoryHub(dice=Random(seed))
    network = hub.network("validator-0") -> subscribe, serve, on_connect -> await nursery.start(network.run)
    hub.partition([{"validator-0", "validator-1"}, {"validator-2", "validator-3"}]); hub.heal()

For trio's MockClock: the only waits are trio.sleep, and every choice comes from the hub's dice. It behaves as node.p2p does:
messages are judged one at a time for each topic and forwarded on ACCEPT, duplicates are dropped, scores disconnect and ban,
links that come up call on_connect. Not modelled: bytes, bandwidth, and the rates and sizes that bound strangers.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import trio

from node.errors import Rejected
from node.p2p.network import (
    GossipHandler,
    LinkFault,
    PeerId,
    PeerInfo,
    RequestFailed,
    RequestHandler,
    RequestKind,
    Topic,
    Verdict,
)
from node.p2p.scores import Misbehaviour, ScoreTable

QUEUE_MAX = 1_024
SEEN_MAX = 16_384
REDIAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gossip:
    """One message on its way."""

    key: tuple[PeerId, int]
    forwarder: PeerId
    message: bytes


class MemoryHub:
    """Everything between the networks of one simulation."""

    def __init__(
        self,
        *,
        dice: Random,
        delay_s: tuple[float, float] = (0.005, 0.05),
        drop_ratio: float = 0.0,
    ) -> None:
        self.dice = dice
        """Source of every choice."""
        self.delay_s = delay_s
        """Shortest and longest delay of one delivery; may be changed at any time."""
        self.drop_ratio = drop_ratio
        """Share of gossip deliveries that vanish; may be changed at any time."""
        self.running: dict[PeerId, MemoryNetwork] = {}
        """Networks that run now, in the order in which they started."""
        self._names: dict[str, PeerId] = {}
        self._groups: list[frozenset[PeerId]] = []
        self._links: set[frozenset[PeerId]] = set()

    def network(self, name: str) -> MemoryNetwork:
        """A network for a process; a restarted process takes a new one of the same name."""
        peer_id = PeerId(name + "/" + hashlib.sha256(name.encode()).hexdigest()[:16])
        self._names[name] = peer_id
        return MemoryNetwork(self, name, peer_id)

    def names(self) -> Mapping[str, PeerId]:
        """Identities by name."""
        return dict(self._names)

    def partition(self, groups: Sequence[set[str]]) -> None:
        """Only processes of one group reach each other; who is in no group reaches nobody."""
        self._groups = [frozenset(self._names[name] for name in group) for group in groups]
        self.update_links()

    def heal(self) -> None:
        """End the partition."""
        self._groups = []
        self.update_links()

    def is_linked(self, one: PeerId, other: PeerId) -> bool:
        """Whether two peers are connected now."""
        return frozenset((one, other)) in self._links

    def roll_delay_s(self, *faults: LinkFault) -> float:
        """Delay of one delivery."""
        delay_s = self.dice.uniform(*self.delay_s)
        for fault in faults:
            delay_s += (fault.delay_ms + self.dice.uniform(0, fault.jitter_ms)) / 1_000
        return delay_s

    def rolls_drop(self, *faults: LinkFault) -> bool:
        """Whether one gossip delivery vanishes."""
        ratios = [self.drop_ratio, *(fault.drop_ratio for fault in faults)]
        return any(ratio > 0 and self.dice.random() < ratio for ratio in ratios)

    def update_links(self) -> None:
        """Cut links that may not be, at once; bring up those that may, after a redial."""
        peers = list(self.running)
        for index, one in enumerate(peers):
            for other in peers[index + 1 :]:
                link = frozenset((one, other))
                if not self._may_link(one, other):
                    self._links.discard(link)
                elif link not in self._links:
                    self.running[one].dial_later(other)

    def connect(self, one: PeerId, other: PeerId) -> None:
        """Bring a link up, if it still may be."""
        if self._may_link(one, other) and not self.is_linked(one, other):
            self._links.add(frozenset((one, other)))
            self.running[one].call_on_connect(other)
            self.running[other].call_on_connect(one)

    def _may_link(self, one: PeerId, other: PeerId) -> bool:
        if one not in self.running or other not in self.running:
            return False
        if self._groups and not any(one in group and other in group for group in self._groups):
            return False
        return self.running[one].admits(other) and self.running[other].admits(one)

    def leave(self, peer: PeerId) -> None:
        """A process stopped."""
        self.running.pop(peer, None)
        self._links = {link for link in self._links if peer not in link}


class MemoryNetwork:
    """`Network` of one process."""

    def __init__(self, hub: MemoryHub, name: str, peer_id: PeerId) -> None:
        self._hub = hub
        self._name = name
        self._peer_id = peer_id
        self._fault = LinkFault()
        self._scores = ScoreTable()
        self._gossip_handlers: dict[Topic, GossipHandler] = {}
        self._request_handlers: dict[RequestKind, RequestHandler] = {}
        self._callbacks: list[Callable[[PeerId], Awaitable[None]]] = []
        self._inboxes: dict[Topic, trio.MemorySendChannel[_Gossip]] = {}
        self._seen: OrderedDict[tuple[PeerId, int], None] = OrderedDict()
        self._sequence = 0
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be reachable until cancelled."""
        assert self._peer_id not in self._hub.running
        # Sequence numbers of a restarted process continue above those of its earlier life.
        self._sequence = int(trio.current_time() * 1_000_000)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for topic in self._gossip_handlers:
                self._inboxes[topic], inbox = trio.open_memory_channel[_Gossip](QUEUE_MAX)
                nursery.start_soon(self._judge_topic, topic, inbox)
            self._hub.running[self._peer_id] = self
            try:
                self._hub.update_links()
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._hub.leave(self._peer_id)

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        return self._peer_id

    def subscribe(self, topic: Topic, handler: GossipHandler) -> None:
        """Receive a topic; before `run`."""
        assert topic not in self._gossip_handlers
        self._gossip_handlers[topic] = handler

    def serve(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Answer a kind of request; before `run`."""
        assert kind not in self._request_handlers
        self._request_handlers[kind] = handler

    def on_connect(self, callback: Callable[[PeerId], Awaitable[None]]) -> None:
        """Called in a task of its own for every peer that connects; before `run`."""
        self._callbacks.append(callback)

    def publish(self, topic: Topic, message: bytes) -> None:
        """Gossip a message to everybody else."""
        self._sequence += 1
        key = (self._peer_id, self._sequence)
        self._remember(key)
        self._spread(topic, key, message, except_for=self._peer_id)

    async def request(
        self, peer: PeerId, kind: RequestKind, body: bytes, *, timeout_s: float = 10.0
    ) -> bytes:
        """Ask one peer. Raises RequestFailed."""
        with trio.move_on_after(timeout_s):
            other = await self._reach(peer)
            answer = await other._answer(self._peer_id, kind, body)
            await self._reach(peer)
            return answer
        raise RequestFailed(f"{kind} to {peer}: no answer")

    def peers(self) -> Sequence[PeerInfo]:
        """Who is connected."""
        now_s = trio.current_time()
        names = {peer: name for name, peer in self._hub.names().items()}
        return [
            PeerInfo(
                peer_id=peer,
                name=names[peer],
                address=f"/memory/{names[peer]}",
                inbound=peer > self._peer_id,
                score=self._scores.score(peer, now_s),
                round_trip_ms=0.0,
            )
            for peer in sorted(self._hub.running)
            if self._hub.is_linked(self._peer_id, peer)
        ]

    def report(self, peer: PeerId, reason: str, *, severe: bool = False) -> None:
        """Blame a peer for what it sent; severe disconnects at once."""
        assert reason
        self._blame(peer, Misbehaviour.REPORTED, severe=severe)

    def set_fault(self, fault: LinkFault) -> None:
        """Replace the fault in force; LinkFault() heals."""
        self._fault = fault
        self._hub.update_links()

    def names(self) -> Mapping[str, PeerId]:
        """Identities of all processes, by name."""
        return self._hub.names()

    # What the hub asks

    def admits(self, peer: PeerId) -> bool:
        """Whether a link with this peer may be."""
        is_banned = self._scores.is_banned(peer, trio.current_time())
        return peer not in self._fault.blocked and not is_banned

    def dial_later(self, peer: PeerId) -> None:
        """Bring a link up as the redial would."""
        assert self._nursery is not None
        self._nursery.start_soon(self._dial, peer)

    def call_on_connect(self, peer: PeerId) -> None:
        """A link came up."""
        assert self._nursery is not None
        for callback in self._callbacks:
            self._nursery.start_soon(callback, peer)

    async def _dial(self, peer: PeerId) -> None:
        await trio.sleep(self._hub.dice.uniform(0, REDIAL_S))
        self._hub.connect(self._peer_id, peer)

    # Gossip

    def _spread(
        self, topic: Topic, key: tuple[PeerId, int], message: bytes, *, except_for: PeerId
    ) -> None:
        assert self._nursery is not None
        gossip = _Gossip(key=key, forwarder=self._peer_id, message=message)
        for peer in list(self._hub.running):
            if peer not in (self._peer_id, except_for, key[0]):
                self._nursery.start_soon(self._deliver, peer, topic, gossip)

    async def _deliver(self, peer: PeerId, topic: Topic, gossip: _Gossip) -> None:
        other = self._hub.running.get(peer)
        if other is None or not self._hub.is_linked(self._peer_id, peer):
            return
        if self._hub.rolls_drop(self._fault, other._fault):
            return
        await trio.sleep(self._hub.roll_delay_s(self._fault, other._fault))
        if self._hub.running.get(peer) is other and self._hub.is_linked(self._peer_id, peer):
            other._receive(topic, gossip)

    def _receive(self, topic: Topic, gossip: _Gossip) -> None:
        if topic not in self._inboxes or gossip.key in self._seen:
            return
        self._remember(gossip.key)
        try:
            self._inboxes[topic].send_nowait(gossip)
        except trio.WouldBlock as error:
            raise AssertionError(f"{self._name}: {topic} is not drained") from error

    def _remember(self, key: tuple[PeerId, int]) -> None:
        self._seen[key] = None
        while len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)

    async def _judge_topic(self, topic: Topic, inbox: trio.MemoryReceiveChannel[_Gossip]) -> None:
        handler = self._gossip_handlers[topic]
        async for gossip in inbox:
            verdict = await handler(gossip.forwarder, gossip.message)
            if verdict is Verdict.ACCEPT:
                self._spread(topic, gossip.key, gossip.message, except_for=gossip.forwarder)
            elif verdict is Verdict.REJECT:
                self._blame(gossip.forwarder, Misbehaviour.REJECTED_MESSAGE)

    # Requests

    async def _reach(self, peer: PeerId) -> MemoryNetwork:
        """One way of a request: the other process, after a delay. Raises RequestFailed."""
        other = self._hub.running.get(peer)
        if other is not None:
            await trio.sleep(self._hub.roll_delay_s(self._fault, other._fault))
        if other is None or not self._hub.is_linked(self._peer_id, peer):
            raise RequestFailed(f"{peer} is not connected")
        return other

    async def _answer(self, asker: PeerId, kind: RequestKind, body: bytes) -> bytes:
        handler = self._request_handlers.get(kind)
        if handler is None:
            raise RequestFailed(f"{self._peer_id} does not serve {kind}")
        try:
            return await handler(asker, body)
        except Rejected as error:
            self._blame(asker, Misbehaviour.REJECTED_REQUEST)
            raise RequestFailed(f"{kind} to {self._peer_id}: {error}") from error

    def _blame(self, peer: PeerId, reason: Misbehaviour, *, severe: bool = False) -> None:
        if self._scores.blame(peer, reason, trio.current_time(), severe=severe):
            self._hub.update_links()
            assert self._nursery is not None
            self._nursery.start_soon(self._redial_after_ban, peer)

    async def _redial_after_ban(self, peer: PeerId) -> None:
        while True:
            await trio.sleep(REDIAL_S)
            if not self._scores.is_banned(peer, trio.current_time()):
                self._hub.update_links()
                return
