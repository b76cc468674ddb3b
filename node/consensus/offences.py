"""Finds slashable pairs among the votes and proposals a node sees, gossip and blocks alike.

One piece of evidence of each kind for each validator is enough: the first one found is kept. Both kinds are sought, because
only a double vote makes the fork choice discount its validator.
Memory is bounded: offences are sought among messages newer than finality less a margin, and a validator's newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.consensus.containers import (
    Evidence,
    Proposal,
    ProposalEvidence,
    Vote,
    VoteData,
    VoteEvidence,
)
from node.consensus.slashing import accused, is_about_votes, is_slashable_vote_pair
from node.eth.primitives import Slot, ValidatorIndex

MAX_REMEMBERED_VOTES = 1_024
"""Votes remembered of each validator: half an hour of 2 s slots without finality."""

MAX_REMEMBERED_PROPOSALS = 16_384
"""Proposals remembered: nine hours of 2 s slots without finality."""

MARGIN_SLOTS = 64
"""How far below finality messages are remembered, on top of four epochs."""


@dataclass(slots=True)
class _Record:
    """What one validator said."""

    by_slot: dict[Slot, Vote] = field(default_factory=dict)
    """Its first vote of each slot."""
    links: list[Vote] = field(default_factory=list)
    """One vote for each of its links, as they came."""
    max_source: int = -1
    """Highest source epoch among votes that raised both."""
    max_target: int = -1
    """Highest target epoch among them."""


class OffenceWatch:
    """Everything said lately, and who contradicted itself."""

    def __init__(self) -> None:
        self._double_votes: dict[ValidatorIndex, Evidence] = {}
        self._double_proposals: dict[ValidatorIndex, Evidence] = {}
        self._records: dict[ValidatorIndex, _Record] = {}
        self._proposals: dict[tuple[ValidatorIndex, Slot], Proposal] = {}

    @property
    def evidence(self) -> Mapping[ValidatorIndex, Evidence]:
        """The first proof against each validator; one about votes goes first."""
        return {**self._double_proposals, **self._double_votes}

    def see_vote(self, index: ValidatorIndex, data: VoteData, signature: bytes) -> Evidence | None:
        """Compare a verified vote with what its validator said before; R1, R2, R3."""
        if index in self._double_votes:
            return None
        record = self._records.setdefault(index, _Record())
        earlier = record.by_slot.get(data.slot)
        if earlier is not None and earlier.data == data:
            return None
        vote = Vote(validator_index=index, data=data, signature=signature)
        if earlier is not None:
            return self.take(VoteEvidence(first=earlier, second=vote))
        _remember(record, vote)
        return self._compare_links(record, vote)

    def see_proposal(self, proposal: Proposal) -> Evidence | None:
        """Compare a verified proposal with the proposer's other ones of the slot; R4."""
        key = (proposal.proposer_index, proposal.slot)
        earlier = self._proposals.setdefault(key, proposal)
        if len(self._proposals) > MAX_REMEMBERED_PROPOSALS:
            del self._proposals[next(iter(self._proposals))]
        if earlier.block_hash == proposal.block_hash:
            return None
        return self.take(ProposalEvidence(first=earlier, second=proposal))

    def take(self, piece: Evidence) -> Evidence | None:
        """Keep verified evidence, if it is the first of its kind against its validator."""
        kept = self._double_votes if is_about_votes(piece) else self._double_proposals
        if accused(piece) in kept:
            return None
        kept[accused(piece)] = piece
        return piece

    def prune(self, slot: int) -> None:
        """Forget messages up to a slot."""
        for record in self._records.values():
            record.by_slot = {at: vote for at, vote in record.by_slot.items() if at > slot}
            record.links = [vote for vote in record.links if vote.data.slot > slot]
        self._proposals = {key: claim for key, claim in self._proposals.items() if key[1] > slot}

    def _compare_links(self, record: _Record, vote: Vote) -> Evidence | None:
        source, target = vote.data.source, vote.data.target
        if source is None or target is None:
            return None
        if source.epoch >= record.max_source and target.epoch > record.max_target:
            record.max_source, record.max_target = source.epoch, target.epoch
        else:
            for earlier in record.links:
                if is_slashable_vote_pair(earlier, vote):
                    return self.take(VoteEvidence(first=earlier, second=vote))
        if not any(_same_link(earlier.data, vote.data) for earlier in record.links[-2:]):
            record.links.append(vote)
            del record.links[:-MAX_REMEMBERED_VOTES]
        return None


def _remember(record: _Record, vote: Vote) -> None:
    record.by_slot[vote.data.slot] = vote
    if len(record.by_slot) > MAX_REMEMBERED_VOTES:
        del record.by_slot[next(iter(record.by_slot))]


def _same_link(first: VoteData, second: VoteData) -> bool:
    return first.source == second.source and first.target == second.target
