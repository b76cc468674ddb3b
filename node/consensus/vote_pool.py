"""Votes that may go into a block, grouped by what they vote for.

    gossip (at most two distinct of a validator and slot), blocks (all) -> VotePool -> select -> AggregateVote

A proposer includes every FFG vote that its chain can count and has not counted, however old: then any chain on top of the
justified checkpoint catches up in one block. Head votes go in while they are young.
Bounded: the oldest targets give way, because newer votes of the same validators justify as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.consensus.containers import AggregateVote, Checkpoint, VoteData, members
from node.consensus.finality import BlockAt
from node.consensus.limits import MAX_PAYLOAD_VOTES
from node.consensus.parameters import Rules
from node.consensus.state import ConsensusState, Link
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex

MAX_POOL_VOTES = 131_072
"""Votes of 256 validators over 512 slots: longer than the leak needs to bring finality back."""


@dataclass(slots=True)
class PooledVotes:
    """Votes that share their data."""

    data: VoteData
    """For what."""
    link: Link | None
    """What it says to FFG; None for head-only votes."""
    voters: int = 0
    """Who, a mask."""
    signatures: dict[ValidatorIndex, bytes] = field(default_factory=dict)
    """64 bytes of each."""


class VotePool:
    """All votes a node may still put into a block."""

    def __init__(self, max_votes: int = MAX_POOL_VOTES) -> None:
        self._max_votes = max_votes
        self._entries: dict[Hash32, PooledVotes] = {}
        self._per_slot: dict[tuple[ValidatorIndex, Slot], int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def has(self, index: ValidatorIndex, root: Hash32) -> bool:
        """Tell whether a validator's vote with this data is here."""
        entry = self._entries.get(root)
        return entry is not None and bool(entry.voters >> index & 1)

    def distinct(self, index: ValidatorIndex, slot: Slot) -> int:
        """Count a validator's different votes of a slot."""
        return self._per_slot.get((index, slot), 0)

    def add(self, index: ValidatorIndex, data: VoteData, root: Hash32, signature: bytes) -> None:
        """Keep a vote; the first signature stays."""
        entry = self._entries.get(root)
        if entry is None:
            entry = self._entries[root] = PooledVotes(data, _link_of(data))
        if entry.voters >> index & 1:
            return
        entry.voters |= 1 << index
        entry.signatures[index] = signature
        key = (index, data.slot)
        self._per_slot[key] = self._per_slot.get(key, 0) + 1
        self._size += 1
        if self._size > self._max_votes:
            self._drop(min(self._entries, key=lambda old: _age(self._entries[old].data)))

    def prune(self, finalized: Checkpoint, finalized_slot: Slot) -> None:
        """Drop what no chain above finality can count."""
        for root in list(self._entries):
            data = self._entries[root].data
            counts = data.target is not None and data.target.epoch > finalized.epoch
            if not counts and data.slot <= finalized_slot:
                self._drop(root)

    def select(
        self,
        rules: Rules,
        state: ConsensusState,
        slot: Slot,
        block_at: BlockAt,
        included: Mapping[Hash32, int],
    ) -> tuple[AggregateVote, ...]:
        """Choose the votes of a block at `slot` on the chain of `state`.

        `included` holds the voters of each vote that the chain's recent blocks have.
        """
        registered = (1 << len(state.validators)) - 1
        checkpoints: dict[Epoch, Hash32] = {}
        taken: dict[Link, int] = {}
        chosen: list[AggregateVote] = []
        room = MAX_PAYLOAD_VOTES
        wanted = {
            root: voters
            for root, entry in self._entries.items()
            if entry.data.slot < slot
            and (voters := entry.voters & registered & ~included.get(root, 0))
            and (is_young(rules, entry.data, slot) or not is_tallied(state, entry, voters))
        }
        for root in sorted(wanted, key=lambda root: (*_age(self._entries[root].data), root)):
            entry, voters = self._entries[root], wanted[root]
            if not is_young(rules, entry.data, slot):
                link = countable_link(rules, state, entry, block_at, checkpoints)
                if link is None:
                    continue
                voters &= ~(state.tallies.get(link, 0) | taken.get(link, 0))
                taken[link] = taken.get(link, 0) | voters
            if not voters or not room:
                continue
            aggregate = _aggregate(entry, voters, room)
            room -= len(aggregate.voters)
            chosen.append(aggregate)
        return tuple(chosen)

    def _drop(self, root: Hash32) -> None:
        entry = self._entries.pop(root)
        self._size -= len(entry.signatures)
        for index in entry.signatures:
            key = (index, entry.data.slot)
            if self._per_slot[key] == 1:
                del self._per_slot[key]
            else:
                self._per_slot[key] -= 1


def is_young(rules: Rules, data: VoteData, slot: Slot) -> bool:
    """Tell whether a vote still moves the fork choice of whoever reads the block."""
    return data.slot >= slot - rules.parameters.vote_expiry_slots


def is_tallied(state: ConsensusState, entry: PooledVotes, voters: int) -> bool:
    """Tell whether a chain has counted all of these votes for their link: nothing is left to include of old ones."""
    return entry.link is None or not voters & ~state.tallies.get(entry.link, 0)


def countable_link(
    rules: Rules,
    state: ConsensusState,
    entry: PooledVotes,
    block_at: BlockAt,
    checkpoints: dict[Epoch, Hash32],
) -> Link | None:
    """Find the link of a vote if its target is above this chain's finality and lies on it."""
    link = entry.link
    if link is None:
        return None
    epoch = link.target.epoch
    if epoch <= state.finalized.epoch:
        return None
    if epoch not in checkpoints:
        checkpoints[epoch] = block_at(rules.epoch_start(epoch))
    return link if checkpoints[epoch] == link.target.block_hash else None


def _link_of(data: VoteData) -> Link | None:
    if data.source is None or data.target is None:
        return None
    return Link(source=data.source, target=data.target)


def _age(data: VoteData) -> tuple[int, int]:
    return (data.target.epoch if data.target else 0, data.slot)


def _aggregate(entry: PooledVotes, voters: int, room: int) -> AggregateVote:
    indexes = members(voters)[:room]
    return AggregateVote(
        data=entry.data,
        voters=indexes,
        signatures=tuple(entry.signatures[index] for index in indexes),
    )
