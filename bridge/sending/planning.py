"""What is to be done about each nonce of an account: the rule, without L1 and without keys. PURE.

    slots (what was signed), wants (what shall happen), what L1 holds -> look -> Outlook: kept | vacant | due
    due wants, one after the other -> place -> the nonce that each takes: a vacant one first, then the next

Laws, held by tests: no two live slots have one key; a want that L1 has just held with success gets no further nonce;
nonces are given without a gap; a nonce in use is taken over only from what nobody wants.
Deliberately absent: fees, simulation, and whether a transaction is in the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.sending.slots import EMPTY_KEY, Slot
from bridge.sending.wants import Want
from node.eth.primitives import Hash32

BACKOFF_BLOCKS_MAX: Final = 32
"""What has failed on L1 again and again is tried once in so many blocks; so is what succeeded and is wanted nevertheless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a transaction on L1's chain."""

    number: int
    """The block that holds it."""
    succeeded: bool
    """Whether it did not revert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The nonces that L1 has not taken, and the wants that have none."""

    kept: tuple[Slot, ...]
    """Live slots of wants, ascending by nonce."""
    vacant: tuple[Slot, ...]
    """Live slots that nobody wants any more, empty transfers among them, ascending by nonce."""
    gaps: tuple[int, ...]
    """Nonces below a live slot for which nothing is known; ascending."""
    next_nonce: int
    """The first nonce above everything."""
    due: tuple[Want, ...]
    """Wants that may be sent now, in order of priority."""

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Nonces of the wants on their way, by key."""
        return {slot.key: slot.nonce for slot in self.kept}


def look(
    slots: Sequence[Slot],
    wants: Sequence[Want],
    *,
    nonce: int,
    head_number: int,
    outcomes: Mapping[Hash32, Outcome],
) -> Outlook:
    """Compare what was signed with what is wanted.

    Args:
        slots: everything that is not final, ascending by nonce.
        wants: what is wanted, in order of priority.
        nonce: the account's next nonce after L1's head.
        head_number: that block's number.
        outcomes: of those versions of slots below `nonce` that L1's chain holds.
    """
    wanted = {want.key for want in wants}
    live = [slot for slot in slots if slot.nonce >= nonce]
    kept: dict[str, Slot] = {}
    for slot in live:
        if slot.key in wanted and slot.key not in kept:
            kept[slot.key] = slot
    known = {slot.nonce for slot in live}
    next_nonce = max(known, default=nonce - 1) + 1
    rests = _rests(slots, nonce, outcomes)
    return Outlook(
        kept=tuple(kept.values()),
        vacant=tuple(slot for slot in live if kept.get(slot.key) is not slot),
        gaps=tuple(place for place in range(nonce, next_nonce) if place not in known),
        next_nonce=next_nonce,
        due=tuple(
            want
            for want in _without_repetition(wants)
            if want.key not in kept and head_number >= rests.get(want.key, 0)
        ),
    )


def _rests(
    slots: Sequence[Slot], nonce: int, outcomes: Mapping[Hash32, Outcome]
) -> Mapping[str, int]:
    """The block from which on a key may be sent again: long after success, ever later after failures.

    After success the role will see what it did. What it still wants many blocks later has not happened: a call of an address where
    a reorganisation has left no contract succeeds and does nothing.
    """
    failures: dict[str, int] = {}
    rests: dict[str, int] = {}
    for slot in slots:
        if slot.nonce >= nonce:
            continue
        for version in slot.versions:
            outcome = outcomes.get(version.hash)
            if outcome is None:
                continue
            pause = BACKOFF_BLOCKS_MAX
            if not outcome.succeeded:
                count = failures[version.key] = failures.get(version.key, 0) + 1
                pause = min(1 << min(count - 1, 5), BACKOFF_BLOCKS_MAX)
            rests[version.key] = max(rests.get(version.key, 0), outcome.number + pause)
    return rests


def _without_repetition(wants: Sequence[Want]) -> Sequence[Want]:
    return tuple({want.key: want for want in reversed(wants)}.values())[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a want may go."""

    nonce: int
    """Its nonce."""
    before: Slot | None
    """What stood there, and has to be replaced."""
    is_simulated: bool
    """Whether it has to be tried on L1's head first."""


class Placing:
    """Gives nonces to due wants, one after the other."""

    def __init__(self, outlook: Outlook, wanted: Sequence[Want], *, in_flight_max: int) -> None:
        self._vacant: dict[int, Slot | None] = {slot.nonce: slot for slot in outlook.vacant}
        self._vacant.update(dict.fromkeys(outlook.gaps))
        self._next = outlook.next_nonce
        self._used: dict[str, int] = dict(outlook.in_flight)
        self._wanted = frozenset(want.key for want in wanted)
        self._in_flight_max = in_flight_max

    @property
    def vacant(self) -> tuple[Slot, ...]:
        """What is still left over of slots that nobody wants, ascending."""
        left = [slot for slot in self._vacant.values() if slot is not None]
        return tuple(sorted(left, key=lambda slot: slot.nonce))

    @property
    def gaps(self) -> tuple[int, ...]:
        """Nonces below used ones that still have nothing, ascending."""
        return tuple(sorted(nonce for nonce, slot in self._vacant.items() if slot is None))

    def find(self, want: Want) -> Place | None:
        """The place of a want, or None where it has to wait."""
        least, is_simulated = 0, True
        if want.follows is not None and want.follows in self._wanted:
            if want.follows not in self._used:
                return None
            least, is_simulated = self._used[want.follows] + 1, False
        fitting = [nonce for nonce in self._vacant if nonce >= least]
        if fitting:
            nonce = min(fitting)
            return Place(nonce=nonce, before=self._vacant[nonce], is_simulated=is_simulated)
        if len(self._used) + len(self._vacant) >= self._in_flight_max:
            return None
        return Place(nonce=self._next, before=None, is_simulated=is_simulated)

    def take(self, want: Want, place: Place) -> None:
        """Give a place to a want."""
        self._vacant.pop(place.nonce, None)
        self._next = max(self._next, place.nonce + 1)
        self._used[want.key] = place.nonce


def to_be_emptied(vacant: Sequence[Slot]) -> tuple[Slot, ...]:
    """Which left-over slots still say something that nobody wants."""
    return tuple(slot for slot in vacant if slot.key != EMPTY_KEY)
