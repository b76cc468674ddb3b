"""Keeps this node's chain with everybody else's: exchanges statuses, fetches what is missing, answers who asks.

    connects, chain events, ticks -> wake -> plan (node.sync.planner) -> one task for each request -> network -> chain
                                     ^                                                         |
                                     +------------------- what came of it ---------------------+

One task owns the planner's state between awaits; requests run beside it and report back.
A node that joins late, restarts, slept or was cut off takes the same path: statuses, then ranges or roots.
Peers that send what they were not asked for, or blocks that break rules, are reported; those that send nothing rest.
Deliberately absent: what to ask for (planner), gossip, checkpoint sync (the network is its users' own: sync starts at
genesis).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NoReturn

import structlog
import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from node.chain.chain import Chain
from node.chain.events import BlocksWanted
from node.chain.importing import ImportOutcome, Opened, open_bytes
from node.errors import Rejected, Temporary
from node.p2p.network import Network, PeerId, RequestFailed, RequestKind
from node.sync import planner
from node.sync.messages import (
    Status,
    SyncReason,
    decode_blocks,
    decode_status,
    encode_range_request,
    encode_root_request,
    encode_status,
)
from node.sync.planner import (
    AskStatus,
    FetchRange,
    FetchRoots,
    LocalView,
    SyncState,
    Task,
)
from node.sync.serving import Server

TICK_S: Final = 0.5
"""How often the plan is made anew if nothing happens; rests end and statuses age meanwhile."""

GRACE_S: Final = 3.0
"""A node without peers takes itself to be alone after this; peers of one manifest redial every second."""

FRESH_SLOTS: Final = 4
"""A node whose head is not older than this is not syncing, whatever its peers claim: a claim costs nothing."""

PATIENCE_S: Final = 20.0
"""Duties rest for what peers claim to have only as long as it comes: after so long without a new head, no more."""

JUMP_MS: Final = 10_000
"""The wall clock went so far beyond the steady one: the machine slept, and what peers said before is old."""

BEHIND_BLOCKS_MAX: Final = 2
"""A node whose head is so far below its peers' is not syncing: blocks are on their way to it."""

_log = structlog.get_logger()


FetchBlobs = Callable[[PeerId], Awaitable[None]]
"""Asks a peer for the blobs that blocks wait for. Raises RequestFailed, Rejected, Temporary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a node that catches up has come; what `eth_syncing` answers."""

    starting_block: int
    """Number of the head when it began."""
    current_block: int
    """Number of the head now."""
    highest_block: int
    """Highest number that a peer which delivers has told."""


class _Absent(Exception):
    """A peer does not have a block."""


class SyncService:
    """Synchronisation of one node. Make it before the network runs, then `run` it."""

    def __init__(
        self,
        chain: Chain,
        network: Network,
        registry: CollectorRegistry,
        fetch_blobs: FetchBlobs | None = None,
    ) -> None:
        """`fetch_blobs` asks one peer for what blocks wait for; without it no block waits."""
        self._chain = chain
        self._fetch_blobs = fetch_blobs
        self._network = network
        self._server = Server(chain, network)
        self._state = SyncState()
        self._wake = trio.Event()
        self._starting_block: int | None = None
        self._started_at: float | None = None
        self._moved_at = trio.current_time()
        self._moved_number = -1
        self._wall_offset_ms = self._read_wall_offset_ms()
        self._behind = Gauge(
            "faultline_sync_behind_blocks",
            "Blocks that the best peer's head is above ours.",
            registry=registry,
        )
        self._requests = Counter(
            "faultline_sync_requests",
            "Requests of this node to peers, by what came of them.",
            ["kind", "outcome"],
            registry=registry,
        )
        network.serve(RequestKind.STATUS, self.on_status)
        network.on_connect(self.on_connect)

    # -- asked by others

    def progress(self) -> Progress | None:
        """How far behind this node is; None when it is not."""
        head_number = self._chain.head.header.number
        highest = planner.best_unknown_head(self._state, self._chain.has_block)
        is_fresh = self._chain.clock.current_slot() - self._chain.head_slot <= FRESH_SLOTS
        if is_fresh or highest <= head_number + BEHIND_BLOCKS_MAX:
            self._starting_block = None
            return None
        if self._starting_block is None:
            self._starting_block = head_number
        return Progress(
            starting_block=self._starting_block, current_block=head_number, highest_block=highest
        )

    def is_syncing(self) -> bool:
        """Whether duties must wait: peers have a chain that is not here and comes in, or nobody was heard yet.

        A node alone waits GRACE_S after its start; so does one whose machine slept, because what its peers said before is old.
        """
        self._watch()
        if self.progress() is not None:
            return trio.current_time() < self._moved_at + PATIENCE_S
        if planner.has_heard_anybody(self._state):
            return False
        return self._started_at is None or trio.current_time() < self._started_at + GRACE_S

    async def on_connect(self, peer: PeerId) -> None:
        """A peer is there: it will be asked for its status at once."""
        self._state = planner.connected(self._state, peer)
        self._wake.set()

    async def on_status(self, peer: PeerId, body: bytes) -> bytes:
        """A peer tells its status and gets ours. Raises Rejected."""
        status = self._check_status(decode_status(body))
        self._state = planner.connected(self._state, peer)
        if not self._is_from_the_future(status):
            self._state = planner.heard_status(self._state, peer, status, self._now_ms())
        self._wake.set()
        return self._server.encoded_status()

    # -- running

    async def run(self) -> NoReturn:
        """Stay with the others, for ever."""
        self._started_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            while True:
                self._wake = trio.Event()
                self._watch()
                self._start_tasks(nursery)
                with trio.move_on_after(TICK_S):
                    await self._wake.wait()

    async def _listen(self) -> NoReturn:
        while True:
            with self._chain.subscribe() as events:
                async for event in events:
                    match event:
                        case BlocksWanted():
                            self._wake.set()
                        case _:
                            continue

    def _start_tasks(self, nursery: trio.Nursery) -> None:
        present = [info.peer_id for info in self._network.peers()]
        state = planner.retained(self._state, present)
        for peer in present:
            state = planner.connected(state, peer)
        self._state, tasks = planner.plan(state, self._view(), self._now_ms())
        for task in tasks:
            nursery.start_soon(self._perform, task)
        self._show()

    async def _perform(self, task: Task) -> None:
        """Carry out one task and tell the planner; a peer's failure is an outcome, not an error."""
        outcome = "delivered"
        try:
            match task:
                case AskStatus():
                    await self._ask_status(task)
                case FetchRoots():
                    await self._fetch_roots(task)
                case FetchRange():
                    await self._fetch_range(task)
        except _Absent:
            outcome = "failed"
            assert isinstance(task, FetchRoots)
            self._state = planner.absent(self._state, task, self._now_ms())
        except (RequestFailed, Temporary):
            outcome = "failed"
            self._state = planner.failed(self._state, task, self._now_ms())
        except Rejected as error:
            outcome = "refused"
            self._blame(task, error)
            self._state = planner.failed(self._state, task, self._now_ms())
        self._requests.labels(kind=type(task).__name__, outcome=outcome).inc()
        self._wake.set()

    async def _ask_status(self, task: AskStatus) -> None:
        answer = await self._network.request(
            PeerId(task.peer), RequestKind.STATUS, encode_status(self._server.status())
        )
        status = self._check_status(decode_status(answer))
        if self._is_from_the_future(status):
            raise RequestFailed(f"its head is of slot {status.head_slot}: one clock is wrong")
        self._state = planner.delivered(self._state, task)
        self._state = planner.heard_status(self._state, task.peer, status, self._now_ms())

    async def _fetch_roots(self, task: FetchRoots) -> None:
        body = encode_root_request(task.root, task.depth)
        branch = await self._fetch(task.peer, RequestKind.BLOCKS_BY_ROOT, body, task.depth)
        if not branch:
            raise _Absent
        if branch[-1].proposed.block_hash != task.root:
            raise Rejected(SyncReason.UNASKED, "the last block is not the one asked for")
        if not self._connects(branch):
            self._state = planner.roots_disconnected(
                self._state, task, self._view(), self._now_ms()
            )
            return
        await self._import(task.peer, branch)
        self._state = planner.delivered(self._state, task)

    async def _fetch_range(self, task: FetchRange) -> None:
        body = encode_range_request(task.first, task.count)
        branch = await self._fetch(task.peer, RequestKind.BLOCKS_BY_RANGE, body, task.count)
        if not branch:
            raise Rejected(SyncReason.NOTHING, f"no block {task.first}, which it claims to have")
        if branch[0].proposed.header.number != task.first:
            raise Rejected(SyncReason.UNASKED, "the first block has another number")
        if not self._connects(branch):
            self._state = planner.range_disconnected(self._state, task, self._view())
            return
        await self._import(task.peer, branch)
        self._state = planner.range_imported(self._state, task, len(branch))

    async def _fetch(
        self, peer: str, kind: RequestKind, body: bytes, most: int
    ) -> list[_FetchedBlock]:
        """Blocks of one chain, ascending. Raises RequestFailed, Rejected."""
        answer = await self._network.request(PeerId(peer), kind, body)
        envelopes = decode_blocks(answer)
        if len(envelopes) > most:
            raise Rejected(SyncReason.UNASKED, f"{len(envelopes)} blocks, asked for {most}")
        branch = [_FetchedBlock(envelope, open_bytes(envelope)) for envelope in envelopes]
        for below, above in pairwise(branch):
            if above.proposed.header.parent_hash != below.proposed.block_hash:
                raise Rejected(SyncReason.UNASKED, "blocks that are not of one chain")
        return branch

    async def _import(self, peer: str, branch: Sequence[_FetchedBlock]) -> None:
        """Import a branch in order. Raises Rejected for a bad block, RequestFailed for one of no use."""
        for block in branch:
            outcome = await self._chain.import_envelope(block.envelope, origin=peer)
            if outcome is ImportOutcome.UNAVAILABLE and self._fetch_blobs is not None:
                await self._fetch_blobs(PeerId(peer))
                outcome = await self._chain.import_envelope(block.envelope, origin=peer)
            match outcome:
                case ImportOutcome.IMPORTED | ImportOutcome.KNOWN:
                    continue
                case _:
                    raise RequestFailed(f"a block was {outcome}")

    # -- inside

    def _connects(self, branch: Sequence[_FetchedBlock]) -> bool:
        return self._chain.has_block(branch[0].proposed.header.parent_hash)

    def _check_status(self, status: Status) -> Status:
        if status.genesis_hash != self._chain.genesis.hash:
            raise Rejected(SyncReason.OTHER_NETWORK, f"genesis 0x{status.genesis_hash.hex()}")
        return status

    def _is_from_the_future(self, status: Status) -> bool:
        """Whether a head's slot has not begun here; it may be our clock that is behind, so nobody is blamed for it."""
        return status.head_slot > self._chain.clock.current_slot() + 1

    def _watch(self) -> None:
        """See whether the head moves, and whether the machine slept."""
        now = trio.current_time()
        number = self._chain.head.header.number
        if number != self._moved_number:
            self._moved_number, self._moved_at = number, now
        offset_ms = self._read_wall_offset_ms()
        if offset_ms - self._wall_offset_ms > JUMP_MS:
            _log.warning("clock_jumped", seconds=(offset_ms - self._wall_offset_ms) // 1_000)
            self._state = SyncState()
            self._moved_at = now
            if self._started_at is not None:
                self._started_at = now
            self._wake.set()
        self._wall_offset_ms = offset_ms

    def _read_wall_offset_ms(self) -> int:
        return self._chain.clock.now_ms() - self._now_ms()

    def _blame(self, task: Task, error: Rejected) -> None:
        """Report a peer; at once out with it unless it only had nothing."""
        _log.warning("peer_answer_refused", peer=task.peer, reason=str(error))
        severe = error.reason is not SyncReason.NOTHING
        self._network.report(PeerId(task.peer), str(error.reason), severe=severe)

    def _view(self) -> LocalView:
        chain, parameters = self._chain, self._chain.rules.parameters
        return LocalView(
            head_number=chain.head.header.number,
            head_slot=chain.head_slot,
            lowest_number=chain.lowest_number,
            current_slot=chain.clock.current_slot(),
            status_every_ms=1_000 * parameters.slot_seconds * parameters.slots_per_epoch,
            wanted=chain.wanted,
            has_block=chain.has_block,
            strangers=frozenset(one.peer_id for one in self._network.peers() if not one.name),
        )

    def _now_ms(self) -> int:
        """Steady time: rests and ages must not follow a wall clock that jumps."""
        return round(1_000 * trio.current_time())

    def _show(self) -> None:
        highest = planner.best_unknown_head(self._state, self._chain.has_block)
        self._behind.set(max(0, highest - self._chain.head.header.number))


class _FetchedBlock:
    """A block of an answer, opened."""

    __slots__ = ("envelope", "proposed")

    def __init__(self, envelope: bytes, opened: Opened) -> None:
        self.envelope = envelope
        self.proposed = opened.proposed
