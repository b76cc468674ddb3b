"""Votes in a block: who was present, which links they justify, what that finalizes.

    aggregate -> check_vote (invalid makes the block invalid) -> presence -> is_countable (else ignored) -> tally
              -> quorum -> justify -> finalize

Ignored votes are never invalid: they still feed the reader's fork choice, which is how proposers merge views.
Source: node/README.md section 3, step 6 and the tally below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from node.consensus import quorums
from node.consensus.containers import AggregateVote, VoteData, members
from node.consensus.parameters import Rules
from node.consensus.reasons import Reason
from node.consensus.state import ConsensusState, Link, QuorumSpan
from node.errors import Rejected
from node.eth.primitives import Epoch, Hash32, Slot

BlockAt = Callable[[Slot], Hash32]
"""Names the last block of the parent chain with slot <= the one given, which is at or above the parent's finality."""


def check_vote(
    rules: Rules, state: ConsensusState, slot: Slot, data: VoteData, voters: int
) -> None:
    """Refuse what no honest builder puts into a block at `slot`; signatures apart. Raises Rejected."""
    if voters.bit_length() > len(state.validators):
        raise Rejected(
            Reason.VOTE_INDEX,
            f"{len(state.validators)} validators, index {voters.bit_length() - 1}",
        )
    if data.slot >= slot:
        raise Rejected(Reason.VOTE_SLOT, f"vote of slot {data.slot} in a block of slot {slot}")
    if data.source is None or data.target is None:
        if data.slot < slot - rules.parameters.vote_expiry_slots:
            raise Rejected(Reason.VOTE_STALE, f"head-only vote of slot {data.slot}, block {slot}")
        return
    if data.source.epoch >= data.target.epoch or data.target.epoch > rules.epoch_of(data.slot):
        raise Rejected(
            Reason.VOTE_EPOCHS,
            f"source {data.source.epoch}, target {data.target.epoch}, slot {data.slot}",
        )


class Count:
    """The counting of one block's votes: what moves while they are gone through, in block order."""

    def __init__(
        self,
        rules: Rules,
        state: ConsensusState,
        slot: Slot,
        spans: Sequence[QuorumSpan],
        block_at: BlockAt,
    ) -> None:
        self.rules = rules
        self.slot = slot
        self.spans = spans
        self.block_at = block_at
        self.newest_weights = state.sets[-1].weights
        self.slashed = sum(1 << i for i, entry in enumerate(state.validators) if entry.slashed)
        self.justified_blocks = dict(state.justified_blocks)
        self.tallies = dict(state.tallies)
        self.links = set(state.links)
        self.justified = state.justified
        self.finalized = state.finalized
        self.active = state.active
        self.present = 0
        self._checkpoint_blocks: dict[Epoch, Hash32] = {}

    def add(self, data: VoteData, voters: int) -> None:
        """Count votes that share their data and passed `check_vote`."""
        if data.slot >= self.slot - self.rules.parameters.vote_expiry_slots:
            self.present |= voters & ~self.newest_weights
        if data.source is None or data.target is None:
            return
        link = Link(source=data.source, target=data.target)
        if not self.is_countable(link):
            return
        weights = self.weights_of(link.target.epoch)
        counted = with_weight(weights, voters)
        if not counted:
            return
        self.active |= counted & ~self.slashed
        self.tallies[link] = self.tally_of(link) | counted
        if link not in self.links and quorums.has_quorum(weights, self.tallies[link]):
            self.justify(link)

    def is_countable(self, link: Link) -> bool:
        """Tell whether a link is of use on this chain: above finality, from its justified, to its own block."""
        return (
            link.target.epoch > self.finalized.epoch
            and self.justified_blocks.get(link.source.epoch) == link.source.block_hash
            and self.checkpoint_block(link.target.epoch) == link.target.block_hash
        )

    def checkpoint_block(self, epoch: Epoch) -> Hash32:
        """Name the parent chain's block that stands for an epoch."""
        if epoch not in self._checkpoint_blocks:
            self._checkpoint_blocks[epoch] = self.block_at(self.rules.epoch_start(epoch))
        return self._checkpoint_blocks[epoch]

    def weights_of(self, epoch: Epoch) -> tuple[int, ...]:
        """Find what a target of this chain needs; slashed validators included."""
        return quorums.weights_of_target(self.spans, epoch)

    def tally_of(self, link: Link) -> int:
        """Read who voted for exactly this link: a tally by target alone would mix sources, and nobody could be blamed."""
        return self.tallies.get(link, 0)

    def justify(self, link: Link) -> None:
        """Take in a link that reached its quorum, and finalize what it allows."""
        self.links.add(link)
        self.justified_blocks[link.target.epoch] = link.target.block_hash
        if link.target.epoch > self.justified.epoch:
            self.justified = link.target
        for source in sorted(link.source for link in self.links if self.finalizes(link)):
            if source.epoch > self.finalized.epoch:
                self.finalized = source

    def finalizes(self, link: Link) -> bool:
        """Tell whether a justified link finalizes its source: one epoch long, or two with the middle one justified."""
        length = link.target.epoch - link.source.epoch
        return length == 1 or (length == 2 and link.source.epoch + 1 in self.justified_blocks)

    def result(self, state: ConsensusState) -> ConsensusState:
        """Write the count into the state."""
        state = _mark_present(state, self.present)
        floor = self.finalized.epoch
        if self.finalized == state.finalized:
            return replace(
                state,
                justified=self.justified,
                justified_blocks=self.justified_blocks,
                tallies=self.tallies,
                links=frozenset(self.links),
                quorum_spans=tuple(self.spans),
                active=self.active,
            )
        return replace(
            state,
            justified=self.justified,
            finalized=self.finalized,
            justified_blocks={e: h for e, h in self.justified_blocks.items() if e >= floor},
            tallies={k: voters for k, voters in self.tallies.items() if k.target.epoch > floor},
            links=frozenset(link for link in self.links if link.target.epoch > floor),
            quorum_spans=quorums.trim_spans(tuple(self.spans), floor),
            active=self.active,
            stall=0,
        )


def with_weight(weights: Sequence[int], voters: int) -> int:
    """Keep the voters that have weight in a version their target needs; the others are ignored."""
    united = 0
    for mask in weights:
        united |= mask
    return voters & united


def mask_of(aggregate: AggregateVote) -> int:
    """Write an aggregate's voters as a mask."""
    mask = 0
    for index in aggregate.voters:
        mask |= 1 << index
    return mask


def _mark_present(state: ConsensusState, present: int) -> ConsensusState:
    if not present:
        return state
    validators = list(state.validators)
    for index in members(present):
        if not validators[index].present:
            validators[index] = replace(validators[index], present=True)
    return replace(state, validators=tuple(validators))
