"""Nodes that attack: everything of the real node, but for what their validators do.

    simulation.host(3).opener = opened_with(OldSource)      before it is started

    OldSource   votes for the honest target, but from an older justified source that every chain still accepts
    Pretender   is a candidate and casts FFG votes although it has no weight
    Hoarder     shows its votes to nobody; when it proposes, it forks off right above the justified block and puts them there
    ExAnte      hides its block and its votes for it until just after the next slot's block, to push that one out

Attacks by faults (equivocation, withheld votes, late blocks) need none of this: every node can be told to do them.
After `byz.py` of the reference model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from node.app.core import CoreNode, Surroundings, open_blobs
from node.chain.building import BuildInputs
from node.chain.chain import Chain, open_chain
from node.chain.metrics import ChainMetrics
from node.consensus.containers import Checkpoint, Envelope, Vote, VoteData
from node.consensus.signing import vote_message
from node.consensus.state_transition import block_attributes
from node.consensus.wire import encode_envelope, encode_votes
from node.eth.primitives import Slot
from node.p2p.network import Topic
from node.validator.building import BuiltBlock
from node.validator.duties import Moments
from node.validator.service import ValidatorParts, ValidatorService
from tests.simulation.hosts import NodeOpener

RELEASED_AT: Final = 0.005
"""In the next slot, as a part of it: too late for its proposer, before anybody votes."""


class Attacker(ValidatorService):
    """Signs whatever it likes."""

    def __init__(self, parts: ValidatorParts) -> None:
        super().__init__(parts)
        assert isinstance(parts.chain, Chain)
        self._whole_chain = parts.chain

    def _signed(self, vote: Vote, data: VoteData) -> Vote:
        """The same validator's vote for something else."""
        keys = {one.index: one.public_key for one in self._ours(data.slot)}
        message = vote_message(self._chain.rules.domains.vote, data)
        signature = self._parts.signer.key(keys[vote.validator_index]).sign(message)
        return replace(vote, data=data, signature=signature)


class OldSource(Attacker):
    """Votes from the finalized checkpoint instead of the justified one."""

    async def _send_votes(self, slot: Slot, votes: Sequence[Vote]) -> None:
        await super()._send_votes(slot, [self._from_finalized(vote) for vote in votes])

    def _from_finalized(self, vote: Vote) -> Vote:
        target = vote.data.target
        state = None if target is None else self._chain.consensus_state(target.block_hash)
        if state is None:
            return vote
        return self._signed(vote, replace(vote.data, source=state.finalized))


class Pretender(Attacker):
    """Gives every head-only vote an FFG part."""

    async def _send_votes(self, slot: Slot, votes: Sequence[Vote]) -> None:
        await super()._send_votes(slot, [self._with_link(vote) for vote in votes])

    def _with_link(self, vote: Vote) -> Vote:
        rules, fork_choice = self._chain.rules, self._whole_chain._store.fork_choice
        epoch = rules.epoch_of(vote.data.slot)
        target_hash = fork_choice.ancestry(vote.data.head_hash)(rules.epoch_start(epoch))
        source = fork_choice.state(target_hash).justified
        if vote.data.target is not None or source.epoch >= epoch:
            return vote
        target = Checkpoint(epoch=epoch, block_hash=target_hash)
        return self._signed(vote, replace(vote.data, source=source, target=target))


class Hoarder(Attacker):
    """Keeps its votes for its own forks."""

    async def _send_votes(self, slot: Slot, votes: Sequence[Vote]) -> None:
        if votes:
            await self._chain.on_votes(votes, origin="")

    async def _publish_block(
        self, slot: Slot, due: Moments, built: BuiltBlock, signature: bytes
    ) -> None:
        # Shown first: the witness must know the votes in it before any node counts them.
        envelope = _envelope(built, signature)
        self._parts.publish(Topic.L1_BLOCK, envelope)
        await self._chain.import_own(envelope, built.result)

    async def _propose_if_drawn(self, slot: Slot, due: Moments) -> None:
        inputs = self._deepest_fork(slot)
        proposer = self._drawn(inputs.parent_state, slot)
        if proposer is None:
            return
        built = await self._build(inputs, proposer, slot, due)
        sign = partial(
            self._parts.signer.sign_proposal,
            proposer.public_key,
            slot=slot,
            proposer_index=proposer.index,
            block_hash=built.block_hash,
        )
        proposal = await self._parts.worker.run(sign)
        if proposal is not None:
            await self._publish_block(slot, due, built, proposal.signature)

    def _deepest_fork(self, slot: Slot) -> BuildInputs:
        store = self._whole_chain._store
        store.fork_choice.freeze()
        parent_hash = store.fork_choice.justified.block_hash
        state = store.fork_choice.state(parent_hash)
        return BuildInputs(
            parent=store.block(parent_hash),
            parent_state=state,
            attributes=block_attributes(store.rules, state, slot),
            ancestors=store.chain_from(parent_hash),
            votes=store.fork_choice.votes_for_block(parent_hash, slot),
            evidence=(),
        )


@dataclass(slots=True)
class Team:
    """What the members of an ex-ante attack share."""

    members: dict[tuple[bytes, ...], ExAnte] = field(default_factory=dict)
    """The last process of each of them, by its keys."""
    hidden: dict[int, bytes] = field(default_factory=dict)
    """Envelopes that nobody else has, by slot."""
    votes: dict[int, list[Vote]] = field(default_factory=dict)
    """Votes for them, by slot."""
    attacks: int = 0
    """Blocks that were hidden so far."""


class ExAnte(Attacker):
    """One of a team that tries to push out the block after its own."""

    def __init__(self, parts: ValidatorParts, team: Team) -> None:
        super().__init__(parts)
        self._team = team
        team.members[parts.signer.public_keys] = self

    async def _publish_block(
        self, slot: Slot, due: Moments, built: BuiltBlock, signature: bytes
    ) -> None:
        envelope = _envelope(built, signature)
        self._team.hidden[slot] = envelope
        self._team.attacks += 1
        await self._chain.import_own(envelope, built.result)
        for member in self._team.members.values():
            if member is not self:
                await member._whole_chain.offer(envelope, origin="")
        await self._clock.sleep_until_slot(slot + 1, RELEASED_AT)
        self._parts.publish(Topic.L1_BLOCK, envelope)
        votes = self._team.votes.pop(slot, [])
        if votes:
            self._parts.publish(Topic.L1_VOTE, encode_votes(votes))

    async def _send_votes(self, slot: Slot, votes: Sequence[Vote]) -> None:
        if slot not in self._team.hidden:
            await super()._send_votes(slot, votes)
            return
        self._team.votes.setdefault(slot, []).extend(votes)
        for member in self._team.members.values():
            await member._whole_chain.on_votes(votes, origin="")


def _envelope(built: BuiltBlock, signature: bytes) -> bytes:
    return encode_envelope(
        Envelope(
            block=built.result.block,
            payload=built.payload.encode(),
            proposal_signature=signature,
        )
    )


def opened_with(attacker: Callable[[ValidatorParts], ValidatorService]) -> NodeOpener:
    """How to open a node whose validators attack."""

    class AttackingNode(CoreNode):
        """The real node with other validators."""

        def _open_validator(self, around: Surroundings) -> ValidatorService | None:
            honest = super()._open_validator(around)
            return None if honest is None else attacker(honest._parts)

    async def opened(around: Surroundings) -> CoreNode:
        blobs = open_blobs(around)
        chain = await open_chain(
            genesis=around.genesis,
            engine=around.engine,
            database=around.database,
            verify=around.verify,
            worker=around.worker,
            clock=around.clock,
            metrics=ChainMetrics(around.registry),
            options=around.options,
            blobs=blobs,
        )
        return AttackingNode(around, chain, blobs)

    return opened
