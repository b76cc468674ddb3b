"""Sees everything that happens in a simulated network and complains the moment an invariant breaks.

    every message that is published -> sent      -> S4 honest validators never contradict themselves
    every node's chain events       -> imported  -> S5 a block gives one state, its links have quorums, its sets change slowly
                                    -> finalized -> S1, S2 one chain, never back
    every node, several times a slot -> look     -> S6 head, justified, finalized lie on one line; S2 across restarts

Invariants: L1-CONSENSUS section 10. S3 (a conflict proves a third of the stake) is judged by the scenarios that cause one:
for them `tolerant` notes conflicts instead of raising.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import trio

from node.chain.chain import Chain
from node.chain.events import BlockImported, Finalized
from node.consensus.containers import AggregateVote, Checkpoint, Proposal, Vote
from node.consensus.parameters import Rules
from node.consensus.quorums import weights_of_target
from node.consensus.slashing import is_slashable_proposal_pair, is_slashable_vote_pair
from node.consensus.state import ConsensusState, Link
from node.consensus.state_transition import open_envelope
from node.consensus.wire import decode_envelope, decode_votes
from node.eth.blocks import Block
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from node.p2p.network import Topic


class InvariantBroken(AssertionError):
    """A network did what no network may do; the message starts with the invariant's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBlock:
    """A block that some node imported."""

    hash: Hash32
    number: int
    slot: Slot
    parent_hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Where a node stood late in a slot."""

    slot: int
    node: str
    head_slot: int
    justified_slot: int
    finalized_slot: int

    @property
    def lag(self) -> int:
        """Slots from the finalized block to now."""
        return self.slot - self.finalized_slot


@dataclass(slots=True)
class _Signed:
    """What one validator signed, as far as anybody could hear it."""

    by_slot: dict[int, list[Vote]] = field(default_factory=dict)
    links: list[Vote] = field(default_factory=list)
    proposals: dict[int, list[Proposal]] = field(default_factory=dict)


class Witness:
    """The memory of one simulated network."""

    def __init__(self, rules: Rules, genesis: SeenBlock, genesis_state: ConsensusState) -> None:
        self.rules: Final = rules
        """Of the network."""
        self.blocks: Final[dict[Hash32, SeenBlock]] = {genesis.hash: genesis}
        """Every block that was imported anywhere."""
        self.byzantine: Final[set[bytes]] = set()
        """Public keys of validators that may break rules."""
        self.distrusted: Final[set[str]] = set()
        """Nodes that know votes which nobody else has seen yet."""
        self.tolerant = False
        """Whether a conflict of finality is noted, not raised."""
        self.conflicts: Final[list[str]] = []
        """Conflicts that were tolerated."""
        self.guilty: Final[dict[ValidatorIndex, str]] = {}
        """Who contradicted itself, and how."""
        self.reorganizations: Final[list[tuple[float, str, int]]] = []
        """When which node dropped how many blocks."""
        self.sights: Final[list[Sight]] = []
        """Every node, once a slot."""
        self.registry: list[bytes] = [one.public_key for one in genesis_state.validators]
        """Public keys by index."""
        self._states: dict[Hash32, ConsensusState] = {genesis.hash: genesis_state}
        self._final: dict[int, Hash32] = {0: genesis.hash}
        self._final_epochs: dict[int, Hash32] = {}
        self._top = 0
        self._highest: dict[str, Checkpoint] = {}
        self._signed: dict[ValidatorIndex, _Signed] = {}
        self._voters: dict[Link, int] = {}
        self._proven_links: set[Link] = set()
        self._checked: set[Hash32] = set()
        """Blocks that a trusted node imported; its links are held against the votes on the wire."""
        self._trace = hashlib.sha256()

    @property
    def trace(self) -> str:
        """Everything seen so far, as a digest: equal for equal runs."""
        return self._trace.hexdigest()

    def note(self, *what: object) -> None:
        """Let something count for the trace."""
        self._trace.update(repr((round(trio.current_time(), 6), *what)).encode())

    # -- S4

    def sent(self, node: str, topic: Topic, message: bytes) -> None:
        """A node published a message."""
        self.note("sent", node, topic, hashlib.sha256(message).digest())
        match topic:
            case Topic.L1_VOTE:
                for vote in decode_votes(message):
                    self.signed_vote(vote)
            case Topic.L1_BLOCK:
                proposed = open_envelope(decode_envelope(message))
                self.signed_proposal(proposed.proposal)
                for vote in _votes_of(proposed.payload.votes):
                    self.signed_vote(vote)
            case _:
                return

    def signed_vote(self, vote: Vote) -> None:
        """Compare a vote with all others of its validator, pair by pair."""
        signed = self._signed.setdefault(vote.validator_index, _Signed())
        same_slot = signed.by_slot.setdefault(vote.data.slot, [])
        if any(earlier.data == vote.data for earlier in same_slot):
            return
        for earlier in (*same_slot, *signed.links):
            if is_slashable_vote_pair(earlier, vote):
                self._accuse(vote.validator_index, f"{_told(earlier)} and {_told(vote)}")
        same_slot.append(vote)
        if vote.data.source is None or vote.data.target is None:
            return
        link = Link(source=vote.data.source, target=vote.data.target)
        voters, member = self._voters.get(link, 0), 1 << vote.validator_index
        if not voters & member:
            self._voters[link] = voters | member
            signed.links.append(vote)

    def signed_proposal(self, proposal: Proposal) -> None:
        """Compare a proposal with all others of its proposer."""
        signed = self._signed.setdefault(proposal.proposer_index, _Signed())
        same_slot = signed.proposals.setdefault(proposal.slot, [])
        for earlier in same_slot:
            if is_slashable_proposal_pair(earlier, proposal):
                self._accuse(proposal.proposer_index, f"two blocks at slot {proposal.slot}")
        same_slot.append(proposal)

    def proposals(self) -> Iterator[Proposal]:
        """Every proposal that was published."""
        for signed in self._signed.values():
            for proposals in signed.proposals.values():
                yield from proposals

    def votes(self) -> Iterator[Vote]:
        """Every vote that was published, by itself or in a block."""
        for signed in self._signed.values():
            for votes in signed.by_slot.values():
                yield from votes

    def _accuse(self, index: ValidatorIndex, what: str) -> None:
        self.guilty.setdefault(index, what)
        if self.registry[index] not in self.byzantine:
            raise InvariantBroken(f"S4: honest validator {index} is slashable: {what}")

    # -- S5

    def imported(self, node: str, event: BlockImported, state: ConsensusState) -> None:
        """A node imported a block, and this is its state there."""
        block = event.block
        self.note("imported", node, block.hash)
        if self._states.setdefault(block.hash, state) != state:
            raise InvariantBroken(f"S5: block {_short(block.hash)} gave {node} another state")
        if node not in self.distrusted and block.hash not in self._checked:
            self._checked.add(block.hash)
            self._check_links(state)
            self._check_sets(state)
        keys = [one.public_key for one in state.validators]
        shorter = min(len(keys), len(self.registry))
        if not self.conflicts and keys[:shorter] != self.registry[:shorter]:
            raise InvariantBroken(f"S5: {node} disagrees on the validators' indexes")
        if len(keys) > len(self.registry):
            self.registry = keys
        self._remember(block)

    def _check_links(self, state: ConsensusState) -> None:
        """Two thirds of each set that a target needs must have signed its link, by the votes on the wire."""
        for link in state.links - self._proven_links:
            if link.target.epoch <= state.finalized.epoch:
                continue
            voters = self._voters.get(link, 0)
            for mask in weights_of_target(state.quorum_spans, link.target.epoch):
                if 3 * (voters & mask).bit_count() < 2 * mask.bit_count():
                    raise InvariantBroken(
                        f"S1: {_short(link.target.block_hash)} of epoch {link.target.epoch} is "
                        f"justified by {voters & mask:b} of {mask:b}"
                    )
            self._proven_links.add(link)

    def _check_sets(self, state: ConsensusState) -> None:
        """From version to version an eighth may come, an eighth may go, and whoever is slashed."""
        slashed = sum(1 << at for at, one in enumerate(state.validators) if one.slashed)
        for old, new in pairwise(version.weights for version in state.sets):
            cap = max(1, old.bit_count() // self.rules.parameters.churn_divisor)
            came, gone = (new & ~old).bit_count(), (old & ~new & ~slashed).bit_count()
            if came > cap or gone > cap or not new:
                raise InvariantBroken(f"S3: the set goes from {old:b} to {new:b} at once")

    def block(self, chain: Chain, block_hash: Hash32) -> SeenBlock:
        """A block of a node's chain; its event may still be under way."""
        if block_hash not in self.blocks:
            block = chain.block_by_hash(block_hash)
            assert block is not None, f"{_short(block_hash)} is named and not kept"
            self._remember(block)
        return self.blocks[block_hash]

    def _remember(self, block: Block) -> None:
        if block.hash in self.blocks:
            return
        slot = self.rules.slot_at(block.header.timestamp)
        assert slot is not None
        self.blocks[block.hash] = SeenBlock(
            hash=block.hash,
            number=block.header.number,
            slot=slot,
            parent_hash=block.header.parent_hash,
        )

    def reorganized(self, node: str, depth: int) -> None:
        """A node's head moved to another branch."""
        self.note("reorganized", node, depth)
        self.reorganizations.append((trio.current_time(), node, depth))

    # -- S1, S2

    def finalized(self, node: str, event: Finalized, chain: Chain) -> None:
        """A node finalized a checkpoint."""
        self.note("finalized", node, event.checkpoint.epoch, event.checkpoint.block_hash)
        self._settle(node, event.checkpoint, chain)

    def forget(self, node: str) -> None:
        """A node lost its disk: it starts from genesis."""
        self._highest.pop(node, None)

    def _settle(self, node: str, checkpoint: Checkpoint, chain: Chain) -> None:
        highest = self._highest.get(node)
        if highest is not None and checkpoint.epoch < highest.epoch:
            raise InvariantBroken(
                f"S2: finality of {node} moved back from epoch {highest.epoch} to {checkpoint.epoch}"
            )
        if highest == checkpoint:
            return
        self._highest[node] = checkpoint
        complaint = self._contradiction(checkpoint, chain)
        if complaint is not None:
            self.conflicts.append(f"{node}: {complaint}")
            if not self.tolerant:
                raise InvariantBroken(f"S1: {node} finalized {complaint}")

    def _contradiction(self, checkpoint: Checkpoint, chain: Chain) -> str | None:
        """What a finalized checkpoint contradicts; puts its chain among what is final if nothing."""
        named = f"{_short(checkpoint.block_hash)} of epoch {checkpoint.epoch}"
        same_epoch = self._final_epochs.setdefault(checkpoint.epoch, checkpoint.block_hash)
        if same_epoch != checkpoint.block_hash:
            return f"{named}, others {_short(same_epoch)}"
        way: list[SeenBlock] = []
        block = self.block(chain, checkpoint.block_hash)
        while block.number > self._top:
            way.append(block)
            block = self.block(chain, block.parent_hash)
        if self._final[block.number] != block.hash:
            return f"{named}, on a branch without {_short(self._final[block.number])}"
        for one in way:
            self._final[one.number] = one.hash
            self._top = max(self._top, one.number)
        return None

    def final_chain(self) -> list[Hash32]:
        """Every block that is final anywhere, ascending."""
        return [self._final[number] for number in range(self._top + 1)]

    # -- S6

    def look(self, node: str, chain: Chain) -> None:
        """Check how a node's head, justified and finalized checkpoints lie."""
        finalized, justified = chain.finalized_checkpoint, chain.justified_checkpoint
        self._settle(node, finalized, chain)
        if chain.safety_fault is not None:
            if not self.tolerant:
                raise InvariantBroken(f"S1: {node} saw {chain.safety_fault}")
            return
        self._check_line(node, chain, "head", chain.head.hash, "justified", justified)
        self._check_line(node, chain, "justified", justified.block_hash, "finalized", finalized)
        if chain.head_slot > chain.clock.current_slot() + 1:
            raise InvariantBroken(f"S6: the head of {node} is from the future")
        if chain.finalized.hash != chain.canonical_hash(chain.finalized.header.number):
            raise InvariantBroken(f"S6: the finalized block of {node} is not on its chain")

    def _check_line(
        self,
        node: str,
        chain: Chain,
        upper_name: str,
        upper: Hash32,
        lower_name: str,
        lower: Checkpoint,
    ) -> None:
        """The last block up to a checkpoint's slot, seen from above, must be the checkpoint's."""
        floor = self.rules.epoch_start(lower.epoch)
        block = self.block(chain, upper)
        while block.slot > floor:
            block = self.block(chain, block.parent_hash)
        if block.hash != lower.block_hash:
            raise InvariantBroken(
                f"S6: {upper_name} {_short(upper)} of {node} does not descend from {lower_name} "
                f"{_short(lower.block_hash)} of epoch {lower.epoch}"
            )

    def see(self, node: str, slot: int, chain: Chain) -> None:
        """Remember where a node stands late in a slot."""
        finalized = self.block(chain, chain.finalized_checkpoint.block_hash)
        sight = Sight(
            slot=slot,
            node=node,
            head_slot=chain.head_slot,
            justified_slot=self.block(chain, chain.safe.hash).slot,
            finalized_slot=finalized.slot,
        )
        self.sights.append(sight)
        self.note(sight, chain.head.hash)


def _votes_of(aggregates: Iterable[AggregateVote]) -> Iterator[Vote]:
    for one in aggregates:
        for voter, signature in zip(one.voters, one.signatures, strict=True):
            yield Vote(validator_index=voter, data=one.data, signature=signature)


def _told(vote: Vote) -> str:
    data = vote.data
    if data.source is None or data.target is None:
        return f"slot {data.slot} head {_short(data.head_hash)}"
    source, target = data.source, data.target
    return (
        f"slot {data.slot} head {_short(data.head_hash)} link {source.epoch}:"
        f"{_short(source.block_hash)} -> {target.epoch}:{_short(target.block_hash)}"
    )


def _short(block_hash: bytes) -> str:
    return "0x" + block_hash[:4].hex()
