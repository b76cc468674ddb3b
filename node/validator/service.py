"""The slot loop of this process's validators.

    slot begins            -> propose, if one of ours is drawn -> Chain.import_own -> gossip
    the slot's block came,
    or VOTE_DUE            -> vote with all of ours -> Signer (one commit) -> Chain.on_votes -> gossip

Nothing is signed while the node catches up or after a safety fault.
The signer's database decides what may be signed; a block is saved before it is published.
Deliberately absent: the rules of votes (fork choice) and of blocks (state transition), and forwarding (node.sync).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog
import trio

from node.chain.building import BuildInputs
from node.chain.events import BlockImported, Subscription
from node.chain.importing import ImportOutcome
from node.chain.judging import Judgement
from node.consensus.containers import Envelope, Vote, VoteData
from node.consensus.limits import MAX_VOTES_IN_MESSAGE
from node.consensus.parameters import Rules
from node.consensus.randao import proposer_index
from node.consensus.state import ConsensusState
from node.consensus.wire import encode_envelope, encode_votes
from node.errors import InvalidBlock, MissingState, Rejected
from node.eth.blocks import Block
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from node.execution.engine import BlockResult
from node.p2p.network import Topic
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from node.validator import duties, misbehaviour
from node.validator.building import (
    BuildingEngine,
    BuildingPool,
    BuiltBlock,
    Reveal,
    build_block,
)
from node.validator.duties import LocalValidator, Moments
from node.validator.metrics import Duty, Outcome, ValidatorMetrics
from node.validator.protection_rules import Permission
from node.validator.signer import Signer, SigningAnswer, VoteRequest

LATE_BLOCKS_MAX: Final = 64
"""Blocks that a fault holds back at the same time; beyond it they are published at once."""

_log = structlog.get_logger()


class ValidatedChain(Protocol):
    """What validators ask of the chain."""

    @property
    def rules(self) -> Rules:
        """Parameters and identity."""

    @property
    def head(self) -> Block:
        """What the fork choice answered last."""

    @property
    def head_slot(self) -> Slot:
        """Slot of the head."""

    @property
    def safety_fault(self) -> str | None:
        """Which conflicting checkpoints were seen."""

    def consensus_state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block."""

    def prepare(self, slot: Slot) -> BuildInputs | None:
        """Count all votes heard, move the head, say what a block on it holds."""

    def vote_data(self, slot: Slot, index: ValidatorIndex) -> VoteData | None:
        """What a validator votes for now."""

    async def import_own(self, envelope: bytes, result: BlockResult) -> ImportOutcome:
        """Import a block that was built here."""

    async def on_votes(self, votes: Sequence[Vote], *, origin: str) -> list[Judgement]:
        """Take in votes."""

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Receive every event from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorParts:
    """What the validators of a process are given."""

    chain: ValidatedChain
    """The chain."""
    clock: SlotClock
    """Slots."""
    engine: BuildingEngine
    """Execution."""
    pool: BuildingPool
    """Transactions."""
    signer: Signer
    """Keys under protection."""
    worker: Worker
    """Where long work runs."""
    publish: Callable[[Topic, bytes], None]
    """Gossip."""
    is_syncing: Callable[[], bool]
    """Whether peers have a chain that is not here yet; also until the first peers were asked."""
    metrics: ValidatorMetrics
    """What is counted."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    fresh_keys: frozenset[bytes] = frozenset()
    """Keys whose rows were made in this run: not used if the chain shows that they have signed before."""


class ValidatorService:
    """The validators of one process."""

    def __init__(self, parts: ValidatorParts) -> None:
        self._parts = parts
        self._chain = parts.chain
        self._clock = parts.clock
        self._metrics = parts.metrics
        self._public_keys = frozenset(parts.signer.public_keys)
        self._unvetted = set(parts.fresh_keys)
        self._barred: set[bytes] = set()
        self._imported_slot = Slot(-1)
        self._block_came = trio.Event()
        self._held_back = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do every slot's duties from the next slot on, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._follow_chain)
            task_status.started()
            done = self._clock.current_slot()
            while True:
                slot = duties.next_slot(self._clock.current_slot(), done)
                await self._clock.sleep_until_slot(slot)
                slot = duties.next_slot(self._clock.current_slot(), done)
                if slot > self._clock.current_slot():
                    continue
                await self._do_duties(slot, nursery)
                done = slot

    # -- a slot

    async def _do_duties(self, slot: Slot, nursery: trio.Nursery) -> None:
        rest = duties.reason_to_rest(
            self._chain.rules.parameters,
            slot,
            is_syncing=self._parts.is_syncing(),
            safety_fault=self._chain.safety_fault,
        )
        if rest is not None:
            if rest is not duties.Rest.BEFORE_START:
                self._metrics.count(Duty.VOTE, Outcome.RESTED, len(self._public_keys))
            return
        due = duties.moments(
            self._chain.rules.parameters,
            start_ms=self._clock.start_ms(slot),
            slot_duration_ms=self._clock.slot_duration_ms,
        )
        nursery.start_soon(self._propose, slot, due)
        await self._wait_for_block(slot, due)
        await self._vote(slot)

    async def _wait_for_block(self, slot: Slot, due: Moments) -> None:
        """Until the slot's block is imported, or votes are due."""
        while self._imported_slot < slot and self._chain.head_slot < slot:
            left_ms = due.vote_due_ms - self._clock.now_ms()
            if left_ms <= 0:
                return
            with trio.move_on_after(left_ms / 1_000):
                await self._block_came.wait()

    async def _follow_chain(
        self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        started = False
        while True:
            with self._chain.subscribe() as events:
                if not started:
                    task_status.started()
                    started = True
                async for event in events:
                    if isinstance(event, BlockImported) and event.slot > self._imported_slot:
                        self._imported_slot = event.slot
                        self._block_came.set()
                        self._block_came = trio.Event()

    # -- proposing

    async def _propose(self, slot: Slot, due: Moments) -> None:
        try:
            await self._propose_if_drawn(slot, due)
        except (Rejected, InvalidBlock, MissingState) as error:
            self._metrics.count(Duty.PROPOSE, Outcome.FAILED)
            _log.error("proposal_failed", slot=slot, error=repr(error))

    async def _propose_if_drawn(self, slot: Slot, due: Moments) -> None:
        head_state = self._head_state()
        if self._drawn(head_state, slot) is None:
            return
        if not duties.is_worth_proposing(self._clock.now_ms(), due):
            self._metrics.count(Duty.PROPOSE, Outcome.LATE)
            return
        if self._parts.faults.misses(slot):
            self._metrics.count(Duty.PROPOSE, Outcome.WITHHELD)
            _log.warning("proposal_withheld", slot=slot)
            return
        inputs = self._chain.prepare(slot)
        proposer = None if inputs is None else self._drawn(inputs.parent_state, slot)
        if inputs is None or proposer is None:
            return
        built = await self._build(inputs, proposer, slot, due)
        proposal = await self._parts.worker.run(
            partial(
                self._parts.signer.sign_proposal,
                proposer.public_key,
                slot=slot,
                proposer_index=proposer.index,
                block_hash=built.block_hash,
            )
        )
        if proposal is None:
            self._metrics.count(Duty.PROPOSE, Outcome.REFUSED)
            _log.warning("proposal_refused_by_signer", slot=slot, validator=proposer.index)
            return
        await self._publish_block(slot, due, built, proposal.signature)
        if self._parts.faults.use("equivocate") is not None:
            await self._equivocate(inputs, proposer, slot, built)

    async def _build(
        self, inputs: BuildInputs, proposer: LocalValidator, slot: Slot, due: Moments
    ) -> BuiltBlock:
        key = self._parts.signer.key(proposer.public_key)
        layers = self._chain.rules.parameters.onion_layers
        reveal, renewal = key.reveal_and_renewal(proposer.validator.reveals, layers)
        started = trio.current_time()
        built = await build_block(
            inputs=inputs,
            attributes=inputs.block_attributes(proposer.validator.withdrawal_address),
            reveal=Reveal(slot=slot, proposer_index=proposer.index, reveal=reveal, renewal=renewal),
            engine=self._parts.engine,
            pool=self._parts.pool,
            worker=self._parts.worker,
            is_time_up=lambda: self._clock.now_ms() >= due.fill_until_ms,
        )
        self._metrics.build_seconds.observe(trio.current_time() - started)
        return built

    async def _publish_block(
        self, slot: Slot, due: Moments, built: BuiltBlock, signature: bytes
    ) -> None:
        envelope = _envelope(built, signature)
        late = self._parts.faults.use("late-block")
        if late is not None and self._held_back < LATE_BLOCKS_MAX:
            _log.warning("block_held_back", slot=slot, delay_ms=late.integer("delay_ms"))
            self._held_back += 1
            try:
                await trio.sleep(late.integer("delay_ms") / 1_000)
            finally:
                self._held_back -= 1
        outcome = await self._chain.import_own(envelope, built.result)
        if outcome is ImportOutcome.UNAVAILABLE:
            self._metrics.count(Duty.PROPOSE, Outcome.FAILED)
            _log.error("blobs_of_own_block_lost", slot=slot, block=built.block_hash)
            return
        self._parts.publish(Topic.L1_BLOCK, envelope)
        delay_ms = self._clock.now_ms() - due.start_ms
        self._metrics.proposed_seconds.observe(max(0, delay_ms) / 1_000)
        self._metrics.count(Duty.PROPOSE, Outcome.DONE)
        _log.info(
            "block_proposed",
            slot=slot,
            block=built.block_hash,
            transactions=len(built.result.transaction_hashes),
            gas_used=built.result.gas_used,
            outcome=str(outcome),
            delay_ms=delay_ms,
        )

    async def _equivocate(
        self, inputs: BuildInputs, proposer: LocalValidator, slot: Slot, built: BuiltBlock
    ) -> None:
        other, signature = await misbehaviour.second_block(
            inputs=inputs,
            proposer=proposer,
            first=built,
            key=self._parts.signer.key(proposer.public_key),
            domains=self._chain.rules.domains,
            engine=self._parts.engine,
            worker=self._parts.worker,
        )
        envelope = _envelope(other, signature)
        self._parts.publish(Topic.L1_BLOCK, envelope)
        # The others may build on either: this node must know both.
        await self._chain.import_own(envelope, other.result)
        _log.warning(
            "block_equivocated", slot=slot, first=built.block_hash, second=other.block_hash
        )

    # -- voting

    async def _vote(self, slot: Slot) -> None:
        if self._parts.faults.use("withhold-votes") is not None:
            self._metrics.count(Duty.VOTE, Outcome.WITHHELD, len(self._public_keys))
            _log.warning("votes_withheld", slot=slot)
            return
        requests = self._requests(slot)
        if not requests:
            return
        answers = await self._parts.worker.run(partial(self._parts.signer.sign_votes, requests))
        votes = [answer.vote for answer in answers if answer.vote is not None]
        for answer in answers:
            self._metrics.count(Duty.VOTE, _outcome(answer))
        await self._send_votes(slot, votes)
        if self._parts.faults.use("vote-equivocate") is not None:
            await self._contradict(slot, votes)

    def _requests(self, slot: Slot) -> list[VoteRequest]:
        ours = self._ours(slot)
        barred = len(self._barred)
        self._metrics.count(Duty.VOTE, Outcome.REFUSED, barred)
        self._metrics.count(Duty.VOTE, Outcome.UNKNOWN, len(self._public_keys) - barred - len(ours))
        requests: list[VoteRequest] = []
        for one in ours:
            data = self._chain.vote_data(slot, one.index)
            if data is not None:
                requests.append(
                    VoteRequest(public_key=one.public_key, validator_index=one.index, data=data)
                )
        return requests

    async def _send_votes(self, slot: Slot, votes: Sequence[Vote]) -> None:
        self._publish_votes(votes)
        delay_ms = self._clock.now_ms() - self._clock.start_ms(slot)
        self._metrics.voted_seconds.observe(max(0, delay_ms) / 1_000)
        if votes:
            await self._chain.on_votes(votes, origin="")

    async def _contradict(self, slot: Slot, votes: Sequence[Vote]) -> None:
        """Cast a second vote of the same slot, for the parent of what the first one named."""
        parent_hash = self._chain.head.header.parent_hash
        second = misbehaviour.second_votes(
            votes,
            keys={one.index: self._parts.signer.key(one.public_key) for one in self._ours(slot)},
            domains=self._chain.rules.domains,
            other_heads=(parent_hash, self._chain.head.hash),
        )
        self._publish_votes(second)
        _log.warning("votes_equivocated", slot=slot, votes=len(second))
        await trio.lowlevel.checkpoint()

    def _publish_votes(self, votes: Sequence[Vote]) -> None:
        for first in range(0, len(votes), MAX_VOTES_IN_MESSAGE):
            batch = votes[first : first + MAX_VOTES_IN_MESSAGE]
            self._parts.publish(Topic.L1_VOTE, encode_votes(batch))

    # -- who

    def _head_state(self) -> ConsensusState:
        state = self._chain.consensus_state(self._chain.head.hash)
        assert state is not None, "the head's state is always kept"
        return state

    def _ours(self, slot: Slot) -> Sequence[LocalValidator]:
        return self._locals(self._head_state(), slot)

    def _locals(self, state: ConsensusState, slot: Slot) -> Sequence[LocalValidator]:
        epoch = self._chain.rules.epoch_of(slot)
        found = duties.local_validators(state.validators, self._public_keys, epoch)
        for one in found:
            if one.public_key in self._unvetted:
                self._unvetted.discard(one.public_key)
                if duties.has_signed_before(one.validator):
                    self._barred.add(one.public_key)
                    _log.error(
                        "key_refused",
                        validator=one.index,
                        reason="the chain has blocks of it, the signer database has no history: "
                        "restore the database or import the key's EIP-3076 file",
                    )
        return [one for one in found if one.public_key not in self._barred]

    def _drawn(self, state: ConsensusState, slot: Slot) -> LocalValidator | None:
        """Whichever of ours proposes at a slot on the chain of this state."""
        index = proposer_index(self._chain.rules, state, slot)
        return next((one for one in self._locals(state, slot) if one.index == index), None)


def _envelope(built: BuiltBlock, signature: bytes) -> bytes:
    return encode_envelope(
        Envelope(
            block=built.result.block,
            payload=built.payload.encode(),
            proposal_signature=signature,
        )
    )


def _outcome(answer: SigningAnswer) -> Outcome:
    match answer.permission:
        case Permission.SIGN:
            assert answer.vote is not None
            return Outcome.DONE if answer.vote.data.target is not None else Outcome.HEAD_ONLY
        case Permission.HEAD_ONLY:
            return Outcome.DOWNGRADED
        case Permission.RESEND:
            return Outcome.RESENT
        case Permission.REFUSE:
            return Outcome.REFUSED
