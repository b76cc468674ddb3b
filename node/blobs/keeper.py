"""The blobs that this node has: whoever wants to know asks here by versioned hash.

    wallet, peers -> add -> checked (engine, beside the loop) -> a file -> on_arrival -> blocks that waited
    chain (a block is imported) -> used -> kept for as long as that block's blobs are served
    pool -> pinned: what waits for a block is not forgotten      every slot -> prune

A blob is checked once, when it comes; two that have one name are the same blob, for a commitment binds.
Deliberately absent: where blobs come from (node.txpool, node.sync), and which blocks wait for them (node.chain).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NoReturn, Protocol, TypeVar

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.blobs.files import FILE_BYTES, BlobFiles, Place
from node.blobs.metrics import BlobMetrics
from node.blobs.turns import Lane, Turns
from node.errors import Temporary
from node.eth.blobs import CELL_PROOFS, COMMITMENT_BYTES, PROOFS_BYTES, Blob, NetworkForm
from node.eth.primitives import Hash32
from node.runtime.worker import Worker

RETAINED_SLOTS: Final = 4_096
"""Blobs of blocks are kept and served for so long: two hours and a quarter at two seconds a slot."""

IDLE_SLOTS: Final = 64
"""Blobs of transactions that neither wait nor came into a block are kept for so long: a reorganisation may bring them back."""

FRESH_SLOTS: Final = 4
"""What came so lately is on its way into the pool or into a block that waits for it: it is the last to give way."""

FRESH_BYTES_MAX: Final = 64 * 1024 * 1024
"""So much of it, the newest: some nine seconds of what two busy cores can check. The rest is worth what idle blobs are,
so that nobody pushes out blobs of blocks, however long a slot lasts."""

BYTES_MAX: Final = 512 * 1024 * 1024
"""All files together: 128 slots of full blocks, for which blobs must be had, are 352 MiB, the pool's another 64, and what
is fresh 64."""

PROVEN_AT_ONCE: Final = 2
"""Blobs whose cells are proved in one turn, at a third of a second each: a block's blobs come in between."""

PRUNE_EVERY_S: Final = 2.0
"""How often what is old is looked for; it costs a walk over 3,400 entries at most."""

_log = structlog.get_logger()

_Answer = TypeVar("_Answer")

BlobItem = tuple[bytes, bytes, bytes]
"""(blob, commitment, proofs)."""


class BlobChecker(Protocol):
    """What the keeper asks of the engine; a list is one call."""

    def verify_blobs(self, items: Sequence[BlobItem]) -> list[bool]:
        """Whether each blob, its commitment and the proofs of its cells hold together."""

    def prove_blobs(self, items: Sequence[BlobItem]) -> list[bytes | None]:
        """The proofs of each blob's cells, given the proof of the whole; None where that one is wrong."""


class NotWritten(Temporary):
    """The disk is full, or files cannot be opened now."""


class BlobKeeper:
    """Owner of the files."""

    def __init__(
        self,
        *,
        files: BlobFiles,
        checker: BlobChecker,
        worker: Worker,
        slot: Callable[[], int],
        registry: CollectorRegistry,
        bytes_max: int = BYTES_MAX,
        fresh_bytes_max: int = FRESH_BYTES_MAX,
    ) -> None:
        """Read what is there. Raises OSError.

        `slot` is the current one; a simulation's `worker` works in place.
        """
        self._files = files
        self._checker = checker
        self._worker = worker
        self._slot = slot
        self._bytes_max = bytes_max
        self._fresh_max = fresh_bytes_max // FILE_BYTES
        self._places: dict[Hash32, Place] = {}
        for place in files.places():
            self._index(place)
        self._metrics = BlobMetrics(registry, lambda: len(self._places) * FILE_BYTES)
        self._turns = Turns()
        self._listeners: list[Callable[[], None]] = []
        self._pinned: Callable[[Hash32], bool] = lambda _: False

    def on_arrival(self, callback: Callable[[], None]) -> None:
        """Tell that blobs came; must not block."""
        self._listeners.append(callback)

    def pin(self, pinned: Callable[[Hash32], bool]) -> None:
        """Never forget what this says yes to."""
        self._pinned = pinned

    # -- asked

    def __len__(self) -> int:
        return len(self._places)

    def missing(self, hashes: Sequence[Hash32]) -> list[Hash32]:
        """Those that are not here, each once."""
        return [one for one in dict.fromkeys(hashes) if one not in self._places]

    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        """These blobs, in order; None if one of them is not here, or cannot be read now."""
        places = [self._places.get(one) for one in hashes]
        if None in places:
            return None
        try:
            blobs = await self._worker.run(lambda: [self._read(place) for place in places])
        except OSError as error:
            # Too many open files, say: what lies there may be sound, and is owed to others
            _log.warning("blobs_unreadable", error=str(error))
            return None
        found: list[Blob] = []
        for place, blob in zip(places, blobs, strict=True):
            assert place is not None
            if blob is None:
                self._lose(place)
            else:
                found.append(blob)
        return tuple(found) if len(found) == len(blobs) else None

    # -- coming in

    async def add(self, blobs: Sequence[Blob], *, own: bool) -> bool:
        """Check and keep a transaction's blobs; False, and nothing is kept, if one of them is wrong.

        `own` ones are those of this node's users. Raises KeeperBusy, NotWritten.
        """
        return await self._add(blobs, Lane.USERS if own else Lane.PEERS)

    async def add_wanted(self, blobs: Sequence[Blob]) -> bool:
        """The same for blobs that blocks wait for: they are checked before all others. Raises KeeperBusy, NotWritten."""
        return await self._add(blobs, Lane.BLOCKS)

    async def _add(self, blobs: Sequence[Blob], lane: Lane) -> bool:
        if not self.missing([one.versioned_hash for one in blobs]):
            return True
        async with self._turns.turn(lane):
            # Others may have brought some of them meanwhile
            unknown = set(self.missing([one.versioned_hash for one in blobs]))
            if not unknown:
                return True
            fresh = {one.versioned_hash: one for one in blobs if one.versioned_hash in unknown}
            items = [(one.data, one.commitment, one.proofs) for one in fresh.values()]
            verdicts = await self._check(partial(self._checker.verify_blobs, items))
            self._metrics.checked(sum(verdicts), len(verdicts) - sum(verdicts))
            if not all(verdicts):
                return False
            await self._keep(fresh)
        for listener in self._listeners:
            listener()
        return True

    async def modernise(self, form: NetworkForm) -> NetworkForm | None:
        """Prove the cells of a user's blobs, whose whole proofs are checked; None if one is wrong. Raises KeeperBusy."""
        items = list(zip(form.blobs, form.commitments, form.proofs, strict=True))
        points: list[bytes] = []
        for start in range(0, len(items), PROVEN_AT_ONCE):
            some = items[start : start + PROVEN_AT_ONCE]
            async with self._turns.turn(Lane.USERS):
                proofs = await self._check(partial(self._checker.prove_blobs, some))
            for of_blob in proofs:
                if of_blob is None:
                    return None
                points += [
                    of_blob[at : at + COMMITMENT_BYTES]
                    for at in range(0, PROOFS_BYTES, COMMITMENT_BYTES)
                ]
        return NetworkForm(
            raw=form.raw,
            version=CELL_PROOFS,
            blobs=form.blobs,
            commitments=form.commitments,
            proofs=tuple(points),
        )

    # -- how long

    def used(self, hashes: Sequence[Hash32], slot: int) -> None:
        """A block of this slot holds these: serve them from now on. Raises OSError."""
        for one in hashes:
            place = self._places.get(one)
            if place is None or (place.is_of_block and place.slot >= slot):
                continue
            self._move(place, Place(versioned_hash=one, slot=slot, is_of_block=True))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Forget what is old, once a slot or so, for ever. Raises OSError."""
        task_status.started()
        while True:
            await trio.sleep(PRUNE_EVERY_S)
            self.prune()

    def prune(self) -> None:
        """Forget what is too old, and the oldest of what is too much. Raises OSError."""
        now = self._slot()
        for place in [one for one in self._places.values() if self._is_old(one, now)]:
            self._forget(place)
        excess = len(self._places) * FILE_BYTES - self._bytes_max
        if excess > 0:
            free = [one for one in self._places.values() if not self._pinned(one.versioned_hash)]
            for place in _by_worth(free, now, self._fresh_max)[: -(-excess // FILE_BYTES)]:
                self._forget(place)

    # -- inside

    def _is_old(self, place: Place, now: int) -> bool:
        if self._pinned(place.versioned_hash):
            return False
        return place.slot < now - (RETAINED_SLOTS if place.is_of_block else IDLE_SLOTS)

    async def _check(self, work: Callable[[], _Answer]) -> _Answer:
        with self._metrics.check_seconds.time():
            return await self._worker.run(work)

    async def _keep(self, fresh: dict[Hash32, Blob]) -> None:
        slot = max(0, self._slot())
        places = [Place(versioned_hash=one, slot=slot, is_of_block=False) for one in fresh]

        def write() -> None:
            for place in places:
                self._files.write(place, fresh[place.versioned_hash])

        try:
            await self._worker.run(write)
        except OSError as error:
            # Whoever waits asks again: a stranger's blobs must not end a process that could go on without them
            _log.error("blobs_not_written", blobs=len(places), error=str(error))
            raise NotWritten from error
        for place in places:
            self._index(place)
        self.prune()

    def _index(self, place: Place) -> None:
        """Enter a place; of two for one blob the better stays."""
        known = self._places.get(place.versioned_hash)
        if known is not None and known != place:
            worse, place = sorted((known, place), key=lambda one: (one.is_of_block, one.slot))
            self._files.remove(worse)
        self._places[place.versioned_hash] = place

    def _read(self, place: Place | None) -> Blob | None:
        return None if place is None else self._files.read(place)

    def _move(self, old: Place, new: Place) -> None:
        try:
            self._files.move(old, new)
        except FileNotFoundError:
            self._lose(old)
            return
        self._places[new.versioned_hash] = new

    def _lose(self, place: Place) -> None:
        """A file is gone or damaged, unless it was only moved meanwhile."""
        if self._places.get(place.versioned_hash) == place:
            _log.warning("blob_lost", blob=place.versioned_hash, file=place.name)
            self._forget(place)

    def _forget(self, place: Place) -> None:
        del self._places[place.versioned_hash]
        self._files.remove(place)


def _by_worth(places: Sequence[Place], now: int, fresh_max: int) -> list[Place]:
    """What gives way first comes first: what nobody came for, then the oldest blocks', and what is new at last.

    A full disk would otherwise forget every newcomer before it is in the pool or in its block, for two hours.
    `places` are in the order of their coming.
    """
    by_age = sorted(places, key=lambda one: one.slot)
    fresh = [one for one in by_age if not one.is_of_block and one.slot >= now - FRESH_SLOTS]
    last = {one.versioned_hash for one in fresh[max(0, len(fresh) - fresh_max) :]}

    def rank(place: Place) -> int:
        if place.is_of_block:
            return 1
        return 2 if place.versioned_hash in last else 0

    return sorted(by_age, key=rank)
