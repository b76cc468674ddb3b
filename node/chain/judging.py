"""Votes from peers, judged one by one: what may go on to others, what to leave, what to blame the sender for.

    message -> VoteDesk.sort (window, registry, duplicates) -> signatures, one call -> VoteDesk.accept -> fork choice

A message is forwarded whole, so whatever goes on to others is verified whole: a forged vote beside a good one would make
this node the one that the next peer blames.
Two different votes of one validator and slot are let through, because the second is the evidence; a third is not.
Candidates, who have no weight yet, get one.
A vote for a block that is not here is let through as well: it is signed, and bounded like any other.
Source: node/README.md section 7.
Deliberately absent: what votes mean (node.consensus.fork_choice).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from node.consensus.containers import Vote
from node.consensus.parameters import Rules
from node.consensus.signing import SignedMessage, vote_message
from node.eth.primitives import Hash32, ValidatorIndex

WEIGHTED_VOTES_MAX = 2
"""Different votes of one validator with weight that are let through in a slot."""

CANDIDATE_VOTES_MAX = 1
"""The same for a validator without weight."""


class Judgement(StrEnum):
    """What a peer's message deserves."""

    FORWARD = "forward"
    """It is new and well made: others want it."""
    IGNORE = "ignore"
    """It is of no use; nobody is to blame."""
    UNKNOWN = "unknown"
    """It cannot be judged here: nobody has this index yet on a chain that may be behind. Nothing to blame or to forward."""
    REJECT = "reject"
    """No honest node sends it."""


_VERIFIED = (Judgement.FORWARD, Judgement.IGNORE)
"""Judgements of votes whose signatures are verified in a message that is to be forwarded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedVotes:
    """A message after everything but signatures."""

    judgements: list[Judgement]
    """One for each vote, if its signature holds."""
    places: list[int]
    """Where the votes stand whose signatures are to be verified."""
    messages: list[SignedMessage]
    """What to verify for each of these places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Electorate:
    """Who may vote, and when, at the moment a message comes."""

    public_key: Callable[[ValidatorIndex], bytes | None]
    """A validator's key, 32 bytes; None for an index that nobody has."""
    weighted: int
    """Mask of the validators with weight in a version that is in force or coming."""
    earliest: int
    """First slot whose votes still matter."""
    latest: int
    """Last slot that a peer's clock may honestly have reached."""


@dataclass(slots=True, kw_only=True)
class VoteDesk:
    """Remembers which votes were let through in the slots that still matter."""

    rules: Rules
    """Of this chain."""
    _seen: dict[int, dict[int, list[Hash32]]] = field(default_factory=dict)
    """Slot -> validator -> roots of the vote data let through."""

    def sort(self, votes: Sequence[Vote], electorate: Electorate) -> SortedVotes:
        """Judge all but signatures."""
        keys = [electorate.public_key(vote.validator_index) for vote in votes]
        judgements = [
            self._judge(vote, key is not None, electorate)
            for vote, key in zip(votes, keys, strict=True)
        ]
        places: list[int] = []
        messages: list[SignedMessage] = []
        verified = _VERIFIED if Judgement.FORWARD in judgements else ()
        for place, (vote, key) in enumerate(zip(votes, keys, strict=True)):
            if key is not None and judgements[place] in verified:
                places.append(place)
                message = vote_message(self.rules.domains.vote, vote.data)
                messages.append((key, message, vote.signature))
        return SortedVotes(judgements=judgements, places=places, messages=messages)

    def accept(self, vote: Vote, electorate: Electorate) -> bool:
        """Record a vote whose signature holds; False if another message brought it, or enough, meanwhile."""
        if self._is_full(vote, electorate.weighted):
            return False
        by_validator = self._seen.setdefault(vote.data.slot, {})
        by_validator.setdefault(vote.validator_index, []).append(vote.data.root())
        return True

    def forget_before(self, slot: int) -> None:
        """Drop what is older than the window."""
        for old in [known for known in self._seen if known < slot]:
            del self._seen[old]

    def voters(self, slot: int) -> int:
        """Who was heard in a slot, a mask."""
        return sum(1 << index for index in self._seen.get(slot, {}))

    def _judge(self, vote: Vote, is_registered: bool, electorate: Electorate) -> Judgement:
        if vote.validator_index >= self.rules.parameters.max_validators:
            return Judgement.REJECT
        if not self._is_formed(vote):
            return Judgement.REJECT
        if not is_registered:
            return Judgement.UNKNOWN
        if not electorate.earliest <= vote.data.slot <= electorate.latest:
            return Judgement.IGNORE
        if self._is_full(vote, electorate.weighted):
            return Judgement.IGNORE
        return Judgement.FORWARD

    def _is_formed(self, vote: Vote) -> bool:
        """Whether any block could hold this vote: epochs in order, the target not after the vote."""
        source, target = vote.data.source, vote.data.target
        if source is None or target is None:
            return source is target
        return source.epoch < target.epoch <= self.rules.epoch_of(vote.data.slot)

    def _is_full(self, vote: Vote, weighted: int) -> bool:
        roots = self._seen.get(vote.data.slot, {}).get(vote.validator_index, ())
        has_weight = weighted >> vote.validator_index & 1
        most = WEIGHTED_VOTES_MAX if has_weight else CANDIDATE_VOTES_MAX
        return len(roots) >= most or vote.data.root() in roots
