"""Whether this machine keeps up with its slots: votes that come too late show in the participation.

    devnet_consensus, devnet_breaks -> Look -> judge -> one proposal of longer slots

Deliberately absent: changing anything; the length of a slot is part of genesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deploy.json_rpc import RpcRefused, RpcUnavailable, batch

PARTICIPATION_LEAST: Final = 0.9
"""Share of the weight whose votes should be heard in time while nobody breaks anything."""

LATE_LOOKS_MAX: Final = 3
"""So many looks in a row with too few votes, and the machine is too slow."""

LOOK_EVERY_SLOTS: Final = 10
"""Slots between two looks."""

EASY_SLOT_SECONDS: Final = 3
"""What is proposed where 2 s are too short."""

LOOK_TIMEOUT_S: Final = 5.0
"""A node that takes longer to answer is not looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a node."""

    participation: float
    """Share of the weight whose vote of the last slot was heard."""
    is_broken: bool
    """Whether somebody breaks it on purpose."""


def look(rpc_url: str) -> Look | None:
    """Look at a node; None when it does not say."""
    try:
        consensus, breaks = batch(
            rpc_url, [("devnet_consensus", []), ("devnet_breaks", [])], timeout_s=LOOK_TIMEOUT_S
        )
    except RpcUnavailable:
        return None
    share = consensus.get("participation") if isinstance(consensus, dict) else None
    if not isinstance(share, int | float):
        return None
    # Where no fault may be asked for, none is in force.
    is_broken = not isinstance(breaks, RpcRefused) and bool(breaks)
    return Look(participation=share, is_broken=is_broken)


def judge(late_looks: int, seen: Look | None, *, all_run: bool) -> int:
    """How many looks in a row showed too few votes, this one included.

    Args:
        late_looks: how many it were before.
        seen: this look; None when the node did not say.
        all_run: whether every process runs; a stopped one's votes are missing for a good reason.
    """
    if seen is None or seen.is_broken or not all_run:
        return 0
    return late_looks + 1 if seen.participation < PARTICIPATION_LEAST else 0


def proposal(slot_seconds: int, participation: float) -> str:
    """What a person is told."""
    longer = max(EASY_SLOT_SECONDS, slot_seconds + 1)
    return (
        f"Only {participation:.0%} of the votes arrive in time: slots of {slot_seconds} s are short for this "
        f"machine. A new network with longer ones: `faultline up --fresh --slot-seconds {longer}`"
    )
