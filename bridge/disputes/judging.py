"""What this node's own chain says of a claim: its first wrong link, or why there is none to name. PURE.

    published roots of a game + output roots of the own safe chain -> judge -> Judgement -> planning

A game claims one root for each L2 block after its start. The link into a block is wrong when the root before it is right and the
root after it is not: exactly that is what one transaction can prove, because honest nodes hold what the right root commits to.
A game whose start is wrong has no such link before its roots come back to the truth; it falls with its parent.
Every function is total: games come from anybody, and an implementation may be registered that checks less than ours.
Deliberately absent: where roots come from, and what is done about a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.eth.primitives import Hash32


class Verdict(StrEnum):
    """What is known of a claim; stable, counted and logged."""

    HONEST = "honest"
    """Every root is this node's own."""
    FALSE = "false"
    """It has a wrong link after a right root: one transaction proves it."""
    ORPHAN = "orphan"
    """It starts from a wrong root and errs nowhere after a right one: nothing of it can be proven, it falls with its parent."""
    EARLY = "early"
    """It speaks of blocks that this node has not derived yet."""
    FOREIGN = "foreign"
    """It was made on an Inbox that this node's L1 does not have: another fork's, or not read yet."""
    UNREADABLE = "unreadable"
    """Its roots were not published, or are not what it commits to."""


SETTLED = frozenset({Verdict.HONEST, Verdict.FALSE, Verdict.ORPHAN})
"""Verdicts that hold for as long as this node's chain does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRoots:
    """What a game says."""

    start_block: int
    """L2 block that it takes for granted."""
    start_root: Hash32
    """Output root there."""
    l2_block: int
    """Last L2 block that it claims."""
    root_claim: Hash32
    """Output root there."""
    accumulator: Hash32
    """Of the Inbox after the record that holds the last block."""
    roots: Sequence[Hash32] | None
    """Output roots of the blocks after its start, the last one included; None where nobody published them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChain:
    """What this node derived, as far as one claim reaches."""

    safe_block: int
    """Its safe head."""
    accumulator: Hash32 | None
    """Of the Inbox after the record that holds the claim's last block; None if that is not derived."""
    roots: Sequence[Hash32]
    """Output roots from the claim's start to its last block, both included; empty if those are not derived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of one claim."""

    verdict: Verdict
    """In a word."""
    wrong_block: int | None = None
    """L2 block of the first wrong link after a right root; of false claims only."""

    @property
    def is_settled(self) -> bool:
        """Whether it holds for as long as this node's chain does."""
        return self.verdict in SETTLED


def judge(claim: ClaimedRoots, own: OwnChain) -> Judgement:
    """Hold a claim against the own chain."""
    count = claim.l2_block - claim.start_block
    roots = claim.roots
    if roots is None or not roots or len(roots) != count or roots[-1] != claim.root_claim:
        return Judgement(verdict=Verdict.UNREADABLE)
    if claim.l2_block > own.safe_block or len(own.roots) != count + 1:
        return Judgement(verdict=Verdict.EARLY)
    if own.accumulator != claim.accumulator:
        return Judgement(verdict=Verdict.FOREIGN)
    claimed = (claim.start_root, *roots)
    if claimed == tuple(own.roots):
        return Judgement(verdict=Verdict.HONEST)
    place = first_wrong_link(claimed, own.roots)
    if place is None:
        return Judgement(verdict=Verdict.ORPHAN)
    return Judgement(verdict=Verdict.FALSE, wrong_block=claim.start_block + place)


def first_wrong_link(claimed: Sequence[Hash32], own: Sequence[Hash32]) -> int | None:
    """Find the first place that differs and whose predecessor does not; None if there is none. Both have one length."""
    was_right = False
    for place, (theirs, ours) in enumerate(zip(claimed, own, strict=True)):
        is_right = theirs == ours
        if was_right and not is_right:
            return place
        was_right = is_right
    return None
