"""One node's view: the tree of blocks, what validators last said, and the head that follows.

    block -> on_block -> tree, justified, finalized, its votes at once
    vote  -> on_vote -> heard (confirmed) and fresh -> freeze -> latest (head)
    head  = LMD-GHOST from the highest justified checkpoint; confirmed = what two thirds support by their latest votes

Mutable, owned by one task (node.chain); never awaits, never blocks.
Votes that are heard count for the head only after the freeze or in a block: proposer and voters then see the same votes
(view-merge). Deliberately absent: signatures (verified before), execution, and time (slots are arguments).
Source: node/README.md section 4 and the voting rule of section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.consensus import quorums, slashing
from node.consensus.block_tree import (
    BlockNode,
    BlockTree,
    SubtreeWeights,
    ancestor_at,
    is_ancestor,
)
from node.consensus.containers import AggregateVote, Checkpoint, Evidence, Vote, VoteData
from node.consensus.finality import BlockAt, mask_of
from node.consensus.limits import MAX_EVIDENCE
from node.consensus.offences import MARGIN_SLOTS, OffenceWatch
from node.consensus.outline import Recall, StateOutline, WholeStates, outline_of
from node.consensus.parameters import Rules
from node.consensus.state import ConsensusState
from node.consensus.state_transition import Proposed
from node.consensus.vote_pool import VotePool
from node.eth.primitives import Hash32, Slot, ValidatorIndex


class SafetyFault(Exception):
    """Two checkpoints that cannot both be right: a third of the stake lied. Stop signing, keep serving."""

    def __init__(self, first: Checkpoint, second: Checkpoint) -> None:
        super().__init__(
            f"epoch {first.epoch} {first.block_hash.hex()} "
            f"against epoch {second.epoch} {second.block_hash.hex()}"
        )
        self.first = first
        """The lower one."""
        self.second = second
        """The one that contradicts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what strangers can make a view hold."""

    waiting_per_validator: int = 2
    """Votes of one validator that wait for their head."""
    waiting_slots: int = 1
    """How long they wait."""
    retained_slots: int = 64
    """How far below finality blocks stay in the tree, so that a conflicting chain can still be seen for what it is."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A vote whose head is unknown."""

    vote: Vote
    """The vote."""
    since: Slot
    """When it came."""


class ForkChoice:
    """The view of one node."""

    def __init__(
        self,
        rules: Rules,
        finalized: Checkpoint,
        state: ConsensusState,
        *,
        trunk: Sequence[tuple[Slot, Hash32]] = (),
        limits: Limits | None = None,
        recall: Recall | None = None,
    ) -> None:
        """Start from a finalized block and its post-state.

        `trunk` lists (slot, hash) of the blocks below it, ascending, at least from the finalized block of `state` on;
        empty at genesis. Blocks above are given to `on_block` again, in order.
        `recall` reads back the whole state of a block in the tree; without it all of them stay in memory.
        """
        self._rules = rules
        self._limits = limits or Limits()
        self._states = WholeStates(recall)
        self._states.put(finalized.block_hash, state)
        self._tree = BlockTree(
            root_hash=finalized.block_hash, root_outline=outline_of(state), trunk=trunk
        )
        self.justified = finalized
        """The highest justified checkpoint of any imported state; the fork choice starts there."""
        self.finalized = finalized
        """The highest finalized checkpoint; never moves back."""
        self.equivocators: set[ValidatorIndex] = set()
        """Who was proven to vote twice; their votes weigh nothing in the fork choice."""
        self._registry = state.validators
        self._latest: dict[ValidatorIndex, tuple[Slot, Hash32]] = {}
        self._heard: dict[ValidatorIndex, tuple[Slot, Hash32]] = {}
        self._fresh: list[tuple[ValidatorIndex, Slot, Hash32]] = []
        self._waiting: dict[Hash32, list[_Waiting]] = {}
        self._pool = VotePool()
        self._offences = OffenceWatch()
        self._timely: BlockNode | None = None
        self._weights = SubtreeWeights()
        self._support = SubtreeWeights()
        self._confirmed = self._tree.root

    # -- reading

    def __contains__(self, block_hash: Hash32) -> bool:
        return block_hash in self._tree.nodes

    @property
    def lowest_slot(self) -> Slot:
        """Slot of the lowest block of the tree: nothing can be imported at or below it."""
        return self._tree.root.slot

    def is_settled(self, block_hash: Hash32) -> bool:
        """Tell whether finality has left a block behind: what stands on it but not in the tree cannot be imported."""
        return block_hash in self._tree.dropped

    def state(self, block_hash: Hash32) -> ConsensusState:
        """Read the post-state of a block in the tree. Raises KeyError."""
        if block_hash not in self._tree.nodes:
            raise KeyError(block_hash)
        return self._states.get(block_hash)

    def slot(self, block_hash: Hash32) -> Slot:
        """Read the slot of a block in the tree. Raises KeyError."""
        return self._tree.nodes[block_hash].slot

    def ancestry(self, block_hash: Hash32) -> BlockAt:
        """Give the look-up that `state_transition.check` wants for a parent. Raises KeyError."""
        node = self._tree.nodes[block_hash]
        return lambda slot: self._tree.block_at(node, slot)

    def extends(self, block_hash: Hash32, ancestor_hash: Hash32) -> bool:
        """Tell whether a block is another one or stands on it; both must be in the tree. Raises KeyError."""
        return is_ancestor(self._tree.nodes[ancestor_hash], self._tree.nodes[block_hash])

    def public_key(self, index: ValidatorIndex) -> bytes | None:
        """Look up a validator's key, 32 bytes, in the largest registry seen; indexes agree between forks."""
        return self._registry[index].public_key if index < len(self._registry) else None

    @property
    def evidence(self) -> Mapping[ValidatorIndex, Evidence]:
        """The first proof against each validator that broke a slashing rule."""
        return self._offences.evidence

    def missing_heads(self) -> list[Hash32]:
        """List the heads that waiting votes name: blocks to ask peers for."""
        return list(self._waiting)

    # -- votes

    def on_vote(self, vote: Vote, now: Slot) -> Evidence | None:
        """Take in a verified vote; gives evidence if it completes some. Votes of later slots are ignored."""
        index, data = vote.validator_index, vote.data
        root = data.root()
        if data.slot > now or self._pool.has(index, root):
            return None
        found = self._detect(index, data, vote.signature)
        if not self._knows(data.head_hash):
            self._wait(vote, now)
            return found
        if index not in self.equivocators or self._pool.distinct(index, data.slot) < 2:
            self._pool.add(index, data, root, vote.signature)
        self._hear(index, data)
        self._fresh.append((index, data.slot, data.head_hash))
        return found

    def on_evidence(self, piece: Evidence) -> bool:
        """Take in verified evidence; False if there was some against this validator already."""
        return self._note_offence(self._offences.take(piece))

    def freeze(self) -> None:
        """Let the votes heard so far count for the head: at FREEZE, and before proposing."""
        for index, slot, head_hash in self._fresh:
            self._apply(index, slot, head_hash)
        self._fresh = []

    # -- blocks

    def on_block(
        self,
        proposed: Proposed,
        state: ConsensusState | StateOutline,
        now: Slot,
        *,
        timely: bool,
    ) -> tuple[Hash32, ...]:
        """Take in a block with its post-state; the parent must be in the tree. Gives the blocks that fell out of it.

        An outline will do where the whole state can be recalled.
        `timely`: whether it came before the vote was due in its own slot. Raises SafetyFault once the view has taken the
        block in; `justified` and `finalized` stand as they were.
        """
        payload = proposed.payload
        parent = self._tree.nodes[proposed.header.parent_hash]
        outline = state if isinstance(state, StateOutline) else outline_of(state)
        if isinstance(state, ConsensusState):
            self._states.put(proposed.block_hash, state)
        node = self._tree.add(
            block_hash=proposed.block_hash,
            parent=parent,
            outline=outline,
            voters_by_vote={vote.data.root(): mask_of(vote) for vote in payload.votes},
        )
        if outline.registered > len(self._registry):
            self._registry = self._states.get(node.block_hash).validators
        self._note_offence(self._offences.see_proposal(proposed.proposal))
        for piece in payload.evidence:
            self._note_on_chain(piece)
        for aggregate in payload.votes:
            self._on_block_votes(aggregate)
        if timely and node.slot == now and (self._timely is None or self._timely.slot != now):
            self._timely = node
        pruned = self._move_checkpoints(outline)
        self._release(node.block_hash, now)
        return pruned

    def on_conflicting_block(self, block_hash: Hash32, now: Slot) -> None:
        """Take note of a block on a settled parent: votes for it are heard, supersede older ones and weigh nothing."""
        self._tree.remember_dropped(block_hash)
        self._release(block_hash, now)

    def on_proven_finality(self, proven: Checkpoint) -> None:
        """Compare a checkpoint that a verified certificate proves final with our own chain. Raises SafetyFault.

        Says nothing about blocks that are unknown or lie below what is kept.
        """
        finalized = self._tree.nodes[self.finalized.block_hash]
        if proven.epoch <= self.finalized.epoch:
            ours = self._tree.block_at_if_kept(finalized, self._rules.epoch_start(proven.epoch))
            if ours is not None and ours != proven.block_hash:
                raise SafetyFault(proven, self.finalized)
            return
        node = self._tree.nodes.get(proven.block_hash)
        if node is not None and not is_ancestor(finalized, node):
            raise SafetyFault(self.finalized, proven)

    # -- answers

    def head(self, slot: Slot) -> Hash32:
        """Find the head at a slot: greedy heaviest subtree from the justified checkpoint."""
        self._weights.update(self._counted(self._latest, slot))
        timely = self._timely if self._timely is not None and self._timely.slot == slot else None
        node = self._start()
        floor = self._rules.epoch_start(self.justified.epoch)
        children = [child for child in node.children if child.slot > floor]
        while children:
            node = max(children, key=lambda child: self._rank(child, timely)).stretch.tip
            children = node.children
        return node.block_hash

    def confirmed(self, slot: Slot) -> Hash32:
        """Find the deepest block that two thirds of the weight support by their latest heard votes.

        About a fifth of a slot behind the head on an honest network. It can be reorged; `safe` cannot.
        """
        self._support.update(self._counted(self._heard, slot))
        total = self._weights_in_force().bit_count()
        floor = self._tree.nodes[self.finalized.block_hash]
        node = self._confirmed
        if node.block_hash not in self._tree.nodes or not is_ancestor(floor, node):
            node = floor
        while node is not floor and not self._is_supported(node, total):
            assert node.parent is not None
            node = node.parent
        while (above := self._supported_child(node, total)) is not None:
            node = above
        self._confirmed = node
        return node.block_hash

    def votes_for_block(self, parent_hash: Hash32, slot: Slot) -> tuple[AggregateVote, ...]:
        """Choose the votes that a block at `slot` on this parent must hold, in block order."""
        parent = self._tree.nodes[parent_hash]
        included = self._recently_included(parent, slot)
        return self._pool.select(
            self._rules, self.state(parent_hash), slot, self.ancestry(parent_hash), included
        )

    def evidence_for_block(self, parent_hash: Hash32, slot: Slot) -> tuple[Evidence, ...]:
        """Choose the evidence that a block at `slot` on this parent should hold."""
        state = self.state(parent_hash)
        return tuple(
            piece
            for index, piece in sorted(self.evidence.items())
            if index < len(state.validators)
            and not state.validators[index].slashed
            and not slashing.is_too_old(self._rules, slot, piece)
        )[:MAX_EVIDENCE]

    def vote_data(self, slot: Slot, index: ValidatorIndex) -> VoteData | None:
        """Say what a validator votes for at a slot; None while it is not registered on the head's chain.

        Head-only in the first slot of an epoch whose block is not there yet ("patience": the FFG part follows later in the
        epoch), and from validators without weight.
        """
        head = self._tree.nodes[self.head(slot)]
        if index >= head.outline.registered:
            return None
        epoch = self._rules.epoch_of(slot)
        target = ancestor_at(head, self._rules.epoch_start(epoch))
        source = target.outline.justified
        if (
            source.epoch >= epoch
            or self._is_early(slot, target)
            or not _weighs(target, epoch, index)
        ):
            return VoteData(slot=slot, head_hash=head.block_hash, source=None, target=None)
        return VoteData(
            slot=slot,
            head_hash=head.block_hash,
            source=source,
            target=Checkpoint(epoch=epoch, block_hash=target.block_hash),
        )

    # -- parts

    def _detect(self, index: ValidatorIndex, data: VoteData, signature: bytes) -> Evidence | None:
        found = self._offences.see_vote(index, data, signature)
        self._note_offence(found)
        return found

    def _note_offence(self, piece: Evidence | None) -> bool:
        """Discount who voted twice; a double proposal costs the stake but says nothing about votes."""
        if piece is None:
            return False
        if slashing.is_about_votes(piece):
            self.equivocators.add(slashing.accused(piece))
        return True

    def _note_on_chain(self, piece: Evidence) -> None:
        self._offences.take(piece)
        self._note_offence(piece)

    def _on_block_votes(self, aggregate: AggregateVote) -> None:
        """Take in votes of an imported block: they count at once, and may go into later blocks."""
        data = aggregate.data
        root, known = data.root(), self._knows(data.head_hash)
        for index, signature in zip(aggregate.voters, aggregate.signatures, strict=True):
            self._detect(index, data, signature)
            self._pool.add(index, data, root, signature)
            if known:
                self._apply(index, data.slot, data.head_hash)
                self._hear(index, data)

    def _apply(self, index: ValidatorIndex, slot: Slot, head_hash: Hash32) -> None:
        current = self._latest.get(index)
        if current is None or slot > current[0]:
            self._latest[index] = (slot, head_hash)

    def _hear(self, index: ValidatorIndex, data: VoteData) -> None:
        current = self._heard.get(index)
        if current is None or data.slot > current[0]:
            self._heard[index] = (data.slot, data.head_hash)

    def _knows(self, block_hash: Hash32) -> bool:
        return block_hash in self._tree.nodes or block_hash in self._tree.dropped

    def _release(self, block_hash: Hash32, now: Slot) -> None:
        """Take in the votes that waited for a block."""
        for waiting in self._waiting.pop(block_hash, []):
            self.on_vote(waiting.vote, now)

    def _wait(self, vote: Vote, now: Slot) -> None:
        """Keep a vote whose head is unknown: few of each validator, and not for long."""
        oldest = now - self._limits.waiting_slots
        for head_hash in list(self._waiting):
            kept = [entry for entry in self._waiting[head_hash] if entry.since >= oldest]
            if kept:
                self._waiting[head_hash] = kept
            else:
                del self._waiting[head_hash]
        held = sum(
            entry.vote.validator_index == vote.validator_index
            for entries in self._waiting.values()
            for entry in entries
        )
        if held < self._limits.waiting_per_validator:
            self._waiting.setdefault(vote.data.head_hash, []).append(_Waiting(vote, now))

    def _move_checkpoints(self, state: StateOutline) -> tuple[Hash32, ...]:
        """Take in what an imported state holds justified and final, or nothing of it. Raises SafetyFault on a conflict."""
        higher = state.justified.epoch > self.justified.epoch
        justified = state.justified if higher else self.justified
        low, high = sorted((self.finalized, state.finalized), key=lambda point: point.epoch)
        if not self._agree(low, high):
            raise SafetyFault(low, high)
        if not self.extends(justified.block_hash, high.block_hash):
            raise SafetyFault(high, justified)
        self.justified = justified
        if high == self.finalized:
            return ()
        self.finalized = high
        return self._prune()

    def _agree(self, low: Checkpoint, high: Checkpoint) -> bool:
        """Tell whether two finalized checkpoints can both be; blocks below the tree are below all of it."""
        if low.epoch == high.epoch:
            return low == high
        lower = self._tree.nodes.get(low.block_hash)
        return lower is None or is_ancestor(lower, self._tree.nodes[high.block_hash])

    def _prune(self) -> tuple[Hash32, ...]:
        """Drop what finality has settled."""
        finalized = self._tree.nodes[self.finalized.block_hash]
        self._pool.prune(self.finalized, finalized.slot)
        margin = 4 * self._rules.parameters.slots_per_epoch + MARGIN_SLOTS
        self._offences.prune(finalized.slot - margin)
        retained = max(self._limits.retained_slots, self._inclusion_window())
        lowest = max(self._tree.root.slot, finalized.slot - retained)
        dropped = self._tree.prune(ancestor_at(finalized, lowest))
        self._weights.forget(dropped)
        self._support.forget(dropped)
        self._states.forget(node.block_hash for node in dropped)
        return tuple(node.block_hash for node in dropped)

    def _counted(
        self, votes: Mapping[ValidatorIndex, tuple[Slot, Hash32]], slot: Slot
    ) -> dict[int, BlockNode]:
        """Choose the votes that weigh at a slot: with weight, not expired, not of an equivocator."""
        weights, nodes = self._weights_in_force(), self._tree.nodes
        oldest = slot - self._rules.parameters.vote_expiry_slots
        return {
            index: nodes[head_hash]
            for index, (voted_at, head_hash) in votes.items()
            if voted_at >= oldest
            and weights >> index & 1
            and index not in self.equivocators
            and head_hash in nodes
        }

    def _weights_in_force(self) -> int:
        """Find whose votes weigh: the version for the justified epoch in its own state."""
        state = self._tree.nodes[self.justified.block_hash].outline
        return quorums.weights_in_force(state, self.justified.epoch)

    def _start(self) -> BlockNode:
        """Find where the head's search starts: at the justified block, not at the finalized one."""
        return self._tree.nodes[self.justified.block_hash]

    def _rank(self, child: BlockNode, timely: BlockNode | None) -> tuple[int, bool, Hash32]:
        """Order siblings: by weight, then towards a timely block of this slot, then by hash."""
        favoured = timely is not None and is_ancestor(child, timely)
        return (self._weights.of(child), favoured, child.block_hash)

    def _is_supported(self, node: BlockNode, total: int) -> bool:
        return 3 * self._support.of(node) >= 2 * total

    def _supported_child(self, node: BlockNode, total: int) -> BlockNode | None:
        return next((child for child in node.children if self._is_supported(child, total)), None)

    def _recently_included(self, parent: BlockNode, slot: Slot) -> dict[Hash32, int]:
        """Gather the votes that the chain's blocks of the last two expiries and epochs hold."""
        window = self._inclusion_window()
        included: dict[Hash32, int] = {}
        node: BlockNode | None = parent
        while node is not None and node.slot > max(0, slot - window):
            for root, voters in node.voters_by_vote.items():
                included[root] = included.get(root, 0) | voters
            node = node.parent
        return included

    def _inclusion_window(self) -> int:
        """Compute how many slots back a proposer looks for votes that its chain holds already."""
        parameters = self._rules.parameters
        return 2 * parameters.vote_expiry_slots + 2 * parameters.slots_per_epoch

    def _is_early(self, slot: Slot, target: BlockNode) -> bool:
        """Tell whether an epoch has begun and its first block is not here: the FFG vote can wait for it."""
        slots_per_epoch = self._rules.parameters.slots_per_epoch
        return slots_per_epoch > 1 and slot % slots_per_epoch == 0 and target.slot < slot


def _weighs(target: BlockNode, epoch: int, index: ValidatorIndex) -> bool:
    """Tell whether a validator has weight in a version that a target needs."""
    versions = quorums.versions_needed(target.outline, epoch)
    return any(version.weights >> index & 1 for version in versions)
