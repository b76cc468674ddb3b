"""PURE: whom to ask for what, so that this node's chain meets everybody else's.

    statuses, failures, what we have, what we miss, now -> plan() -> tasks, at most one for each peer

Three kinds of task, in this order of importance:

1. *Roots*: a block refers to a parent, or a vote to a head, that is not here; or a peer's head is not here and close.
   One request brings the block alone, or as many as its peer's chain is longer than ours; while they do not connect, the
   next brings eight times as many, up to 64.
2. *Range*: a peer's chain is further ahead than that.
   Ranges start at our head; when they do not connect there, further and further below it, at last above the lowest block
   on which a branch may stand, so that a chain that contradicts our finality is seen for what it is.
   While ranges bring blocks, nothing is asked for by root: it would not connect.
3. *Status*: of a new peer at once, of every peer once an epoch.

A peer that does not deliver what it claims to have rests, twice as long each time; one that never spoke of a block need not have it.
Strangers are asked after configured peers, and two at a time.
Deliberately absent: judging blocks, sending, clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from node.eth.primitives import Hash32
from node.sync.messages import BLOCKS_MAX, Status

TASKS_MAX: Final = 4
"""Requests under way at once."""

TASKS_OF_STRANGERS_MAX: Final = 2
"""Of them, those to strangers: identities are free, and each may be silent for as long as a request lasts."""

PEERS_MAX: Final = 64
"""Peers that are kept track of; more than a devnet has."""

WANTED_MAX: Final = 64
"""Missing roots that are looked for at once."""

ATTEMPTS_MAX: Final = 8
"""Peers asked for one root before it rests: a root that nobody has is a lie, or is gone."""

DEEPER: Final = 8
"""How many times as many blocks the next request by root asks for when they do not connect; the first asks for one."""

ROOT_REST_MS: Final = 10_000
"""How long a root rests that nobody had."""

REST_MS: Final = 500
"""First rest of a peer that did not deliver."""

REST_MAX_MS: Final = 60_000
"""Longest rest; a peer that came back to its senses is used again."""

OVERLAPS: Final = (0, 64, 512, 4_096)
"""How far below our head successive ranges start while they do not connect; after these, the lowest block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalView:
    """What this node has, as the planner wants it."""

    head_number: int
    """Number of the head."""
    head_slot: int
    """Slot of the head."""
    lowest_number: int
    """Number of the lowest block on which another branch may stand: a little below the finalized one."""
    current_slot: int
    """By the clock."""
    status_every_ms: int
    """Age at which a peer's status is asked for again: an epoch."""
    wanted: Mapping[Hash32, str]
    """Missing roots, each with the peer that mentioned it."""
    has_block: Callable[[Hash32], bool]
    """Whether a block is imported."""
    strangers: frozenset[str] = frozenset()
    """Peers that we were not told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What is known of a connected peer."""

    status: Status | None = None
    """What it said last."""
    status_at_ms: int = 0
    """When it said so."""
    busy: bool = False
    """Whether a request to it is under way."""
    failures: int = 0
    """Times in a row it did not deliver."""
    rests_until_ms: int = 0
    """It is not asked before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often a root was asked for."""

    count: int = 0
    """Peers asked since its last rest."""
    tried: tuple[str, ...] = ()
    """Which ones."""
    rests_until_ms: int = 0
    """It is not asked for before."""
    depth: int = 1
    """Blocks to ask for at least: fewer did not connect."""
    busy: bool = False
    """Whether a request for it is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeState:
    """A range sync, from one request to the next."""

    next_number: int
    """First block to ask for next."""
    overlap: int
    """Index into OVERLAPS that it started with; past the end: the lowest block."""
    proven: bool = False
    """Whether it has brought blocks that connect."""
    busy: bool = False
    """Whether a request is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """Everything the planner remembers."""

    peers: Mapping[str, Peer] = field(default_factory=dict)
    """By peer id."""
    roots: Mapping[Hash32, Attempts] = field(default_factory=dict)
    """By missing root."""
    ranging: RangeState | None = None
    """The range sync under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus:
    """Exchange statuses with a peer."""

    peer: str
    """Whom to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRoots:
    """Fetch a block and its ancestors."""

    peer: str
    """Whom to ask."""
    root: Hash32
    """The missing block."""
    depth: int
    """Blocks in all, the missing one included; at most 64."""
    is_owed: bool = True
    """Whether the peer has mentioned the block: who has not need not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRange:
    """Fetch blocks of a peer's canonical chain by number."""

    peer: str
    """Whom to ask."""
    first: int
    """Number of the first."""
    count: int
    """How many; at most 64."""


Task = AskStatus | FetchRoots | FetchRange


# -- what happened


def connected(state: SyncState, peer: str) -> SyncState:
    """A peer is there; unknown ones beyond the bound are not used."""
    if peer in state.peers or len(state.peers) >= PEERS_MAX:
        return state
    return replace(state, peers={**state.peers, peer: Peer()})


def retained(state: SyncState, present: Iterable[str]) -> SyncState:
    """Only these peers are connected now."""
    keep = set(present)
    if state.peers.keys() <= keep:
        return state
    return replace(state, peers={name: one for name, one in state.peers.items() if name in keep})


def heard_status(state: SyncState, peer: str, status: Status, now_ms: int) -> SyncState:
    """A peer told its status."""
    known = state.peers.get(peer)
    if known is None:
        return state
    return _with_peer(state, peer, replace(known, status=status, status_at_ms=now_ms))


def delivered(state: SyncState, task: Task) -> SyncState:
    """A task brought what it asked for."""
    known = state.peers.get(task.peer)
    if known is not None:
        # Telling a status is no delivery: whoever claims blocks and has none would always be forgiven.
        failures = known.failures if isinstance(task, AskStatus) else 0
        state = _with_peer(state, task.peer, replace(known, busy=False, failures=failures))
    if isinstance(task, FetchRoots):
        return _without_root(state, task.root)
    return state


def absent(state: SyncState, task: FetchRoots, now_ms: int) -> SyncState:
    """A peer says that it does not have a block; it rests only if it had mentioned it.

    Anybody can name a block that does not exist: everybody who is asked for it would rest, the longer the more are named.
    """
    known = state.peers.get(task.peer)
    rested = failed(state, task, now_ms)
    if known is None or task.is_owed:
        return rested
    return _with_peer(rested, task.peer, replace(known, busy=False))


def failed(state: SyncState, task: Task, now_ms: int) -> SyncState:
    """A task's peer did not deliver, or delivered nonsense."""
    known = state.peers.get(task.peer)
    if known is not None:
        rest_ms = min(REST_MAX_MS, REST_MS << min(known.failures, 16))
        rested = replace(
            known, busy=False, failures=known.failures + 1, rests_until_ms=now_ms + rest_ms
        )
        state = _with_peer(state, task.peer, rested)
    match task:
        case FetchRoots(root=root):
            attempts = replace(state.roots.get(root, Attempts()), busy=False)
            if attempts.count >= ATTEMPTS_MAX:
                attempts = Attempts(rests_until_ms=now_ms + ROOT_REST_MS)
            return replace(state, roots={**state.roots, root: attempts})
        case FetchRange() if state.ranging is not None:
            return replace(state, ranging=replace(state.ranging, busy=False))
        case _:
            return state


def range_imported(state: SyncState, task: FetchRange, imported: int) -> SyncState:
    """The first so many blocks of a range are on our chain now; zero ends the range sync."""
    state = delivered(state, task)
    if state.ranging is None or imported == 0:
        return replace(state, ranging=None)
    following = task.first + imported
    ranging = replace(state.ranging, next_number=following, proven=True, busy=False)
    return replace(state, ranging=ranging)


def roots_disconnected(
    state: SyncState, task: FetchRoots, view: LocalView, now_ms: int
) -> SyncState:
    """A block's ancestors do not connect: ask for more of them, then see the gap as one for a range."""
    state = delivered(state, task)
    if task.depth < BLOCKS_MAX:
        attempts = Attempts(depth=min(BLOCKS_MAX, DEEPER * task.depth))
        return replace(state, roots={**state.roots, task.root: attempts})
    attempts = Attempts(rests_until_ms=now_ms + ROOT_REST_MS)
    state = replace(state, roots={**state.roots, task.root: attempts})
    if state.ranging is None:
        return replace(state, ranging=_range_from(view, 1))
    return state


def range_disconnected(state: SyncState, task: FetchRange, view: LocalView) -> SyncState:
    """A range did not connect to what we have: start lower, or give the peer up."""
    ranging = state.ranging
    state = delivered(state, task)
    if ranging is None or task.first <= view.lowest_number + 1:
        return replace(state, ranging=None)
    return replace(state, ranging=_range_from(view, ranging.overlap + 1))


# -- what to do


def plan(state: SyncState, view: LocalView, now_ms: int) -> tuple[SyncState, list[Task]]:
    """The tasks to start now, and the state in which they are under way."""
    state = _end_range(_forget_roots(state, view, now_ms), view, now_ms)
    tasks: list[Task] = []
    under_way = sum(peer.busy for peer in state.peers.values())
    for choose in (_choose_root, _choose_range, _choose_status):
        while under_way < TASKS_MAX and (chosen := choose(state, view, now_ms)) is not None:
            state, task = chosen
            tasks.append(task)
            under_way += 1
    return state, tasks


def best_unknown_head(state: SyncState, has_block: Callable[[Hash32], bool]) -> int:
    """Number of the highest head that is not here and that a peer which delivers claims; 0 when there is none.

    A longer branch that is here and that the fork choice does not follow is nothing to wait for.
    """
    numbers = [
        peer.status.head_number
        for peer in state.peers.values()
        if peer.status is not None and not peer.failures and not has_block(peer.status.head_hash)
    ]
    return max(numbers, default=0)


def has_heard_anybody(state: SyncState) -> bool:
    """Whether a peer that is connected has told its status."""
    return any(peer.status is not None for peer in state.peers.values())


def _choose_root(
    state: SyncState, view: LocalView, now_ms: int
) -> tuple[SyncState, FetchRoots] | None:
    if state.ranging is not None and state.ranging.proven:
        return None
    for root, origin in _missing_roots(state, view).items():
        attempts = state.roots.get(root, Attempts())
        if attempts.busy or attempts.rests_until_ms > now_ms:
            continue
        peers = [name for name in _idle_peers(state, view, now_ms) if name not in attempts.tried]
        if not peers:
            continue
        owing = {name for name in peers if name == origin or _claims(state, name, root)}
        # Who mentioned it, who has it as its head, who was configured
        _, _, _, peer = min(
            (name != origin, name not in owing, name in view.strangers, name) for name in peers
        )
        attempts = replace(
            attempts, count=attempts.count + 1, tried=(*attempts.tried, peer), busy=True
        )
        depth = max(attempts.depth, _gap(state, peer, root, view))
        state = replace(_mark_busy(state, peer), roots={**state.roots, root: attempts})
        return state, FetchRoots(peer=peer, root=root, depth=depth, is_owed=peer in owing)
    return None


def _choose_range(
    state: SyncState, view: LocalView, now_ms: int
) -> tuple[SyncState, FetchRange] | None:
    ranging = state.ranging
    if ranging is not None and ranging.busy:
        return None
    idle = _idle_peers(state, view, now_ms)
    ahead = [name for name in idle if _is_far_ahead(state.peers[name].status, view, ranging)]
    if not ahead:
        return None
    ranging = _range_from(view, 0) if ranging is None else ranging
    first = ranging.next_number
    peer = max(ahead, key=lambda name: _promise(state.peers[name], name in view.strangers))
    status = state.peers[peer].status
    assert status is not None
    count = max(1, min(BLOCKS_MAX, status.head_number - first + 1))
    state = replace(_mark_busy(state, peer), ranging=replace(ranging, busy=True))
    return state, FetchRange(peer=peer, first=first, count=count)


def _choose_status(
    state: SyncState, view: LocalView, now_ms: int
) -> tuple[SyncState, AskStatus] | None:
    for name in _idle_peers(state, view, now_ms):
        peer = state.peers[name]
        if peer.status is None or now_ms - peer.status_at_ms >= view.status_every_ms:
            # The time counts from the asking, so that a peer that never answers is not asked in a loop.
            asked = _with_peer(_mark_busy(state, name), name, replace(peer, status_at_ms=now_ms))
            return _mark_busy(asked, name), AskStatus(peer=name)
    return None


def _missing_roots(state: SyncState, view: LocalView) -> dict[Hash32, str]:
    """Roots to look for: what blocks and votes refer to, then heads of peers that are close."""
    missing = {root: origin for root, origin in view.wanted.items() if not view.has_block(root)}
    for name, peer in state.peers.items():
        status = peer.status
        if status is None or view.has_block(status.head_hash):
            continue
        if _is_close(status, view) and status.head_slot <= view.current_slot:
            missing.setdefault(status.head_hash, name)
    return dict(list(missing.items())[:WANTED_MAX])


def _is_close(status: Status, view: LocalView) -> bool:
    return view.lowest_number < status.head_number <= view.head_number + BLOCKS_MAX


def _is_far_ahead(status: Status | None, view: LocalView, ranging: RangeState | None) -> bool:
    if status is None or view.has_block(status.head_hash):
        return False
    if ranging is not None:
        return status.head_number >= ranging.next_number
    return status.head_number > view.head_number + BLOCKS_MAX


def _gap(state: SyncState, peer: str, root: Hash32, view: LocalView) -> int:
    """How many blocks a peer's chain is longer than ours, where the root is its head; 0 where that is not known."""
    if not _claims(state, peer, root):
        return 0
    status = state.peers[peer].status
    assert status is not None
    return min(BLOCKS_MAX, max(0, status.head_number - view.head_number))


def _end_range(state: SyncState, view: LocalView, now_ms: int) -> SyncState:
    """End a range sync when no peer that delivers has more of it."""
    ranging = state.ranging
    if ranging is None or ranging.busy:
        return state
    for peer in state.peers.values():
        if peer.rests_until_ms <= now_ms and _is_far_ahead(peer.status, view, ranging):
            return state
    return replace(state, ranging=None)


def _range_from(view: LocalView, overlap: int) -> RangeState:
    lowest = view.lowest_number + 1
    if overlap >= len(OVERLAPS):
        return RangeState(next_number=lowest, overlap=overlap)
    first = max(lowest, view.head_number + 1 - OVERLAPS[overlap])
    return RangeState(next_number=first, overlap=overlap)


def _promise(peer: Peer, is_stranger: bool) -> tuple[int, bool, int, int, bytes]:
    """How much a peer's chain promises, the more the better; a stranger's claim is the last, and the hash only decides ties."""
    status = peer.status
    assert status is not None
    claim = status.finalized_epoch, status.head_slot, status.head_hash
    return (-peer.failures, not is_stranger, *claim)


def _claims(state: SyncState, name: str, root: Hash32) -> bool:
    status = state.peers[name].status
    return status is not None and status.head_hash == root


def _idle_peers(state: SyncState, view: LocalView, now_ms: int) -> Sequence[str]:
    """Who may be asked now: strangers as long as not too many of them are."""
    asked = sum(peer.busy for name, peer in state.peers.items() if name in view.strangers)
    return sorted(
        name
        for name, peer in state.peers.items()
        if not peer.busy
        and peer.rests_until_ms <= now_ms
        and (name not in view.strangers or asked < TASKS_OF_STRANGERS_MAX)
    )


def _mark_busy(state: SyncState, peer: str) -> SyncState:
    return _with_peer(state, peer, replace(state.peers[peer], busy=True))


def _with_peer(state: SyncState, name: str, peer: Peer) -> SyncState:
    return replace(state, peers={**state.peers, name: peer})


def _without_root(state: SyncState, root: Hash32) -> SyncState:
    return replace(state, roots={key: one for key, one in state.roots.items() if key != root})


def _forget_roots(state: SyncState, view: LocalView, now_ms: int) -> SyncState:
    """Forget attempts at roots that nobody misses any more and that do not rest."""
    missing = _missing_roots(state, view)
    kept = {
        root: attempts
        for root, attempts in state.roots.items()
        if root in missing or attempts.busy or attempts.rests_until_ms > now_ms
    }
    return replace(state, roots=dict(list(kept.items())[-4 * WANTED_MAX :]))
