"""Votes and proofs of offences coming in, from peers and from this process's own validators.

    on_votes -> VoteDesk.sort -> signatures, one call -> VoteDesk.accept -> fork choice -> evidence, missing heads
    on_evidence -> slashing rules -> signatures -> fork choice

Nothing here waits for an import.
Deliberately absent: forwarding (node.sync.gossip asks for judgements and forwards), and counting (fork choice).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.chain.events import BlocksWanted
from node.chain.judging import Electorate, Judgement, VoteDesk
from node.chain.live import LiveChain
from node.consensus import slashing
from node.consensus.containers import Evidence, Vote
from node.consensus.reasons import Reason
from node.errors import Rejected
from node.eth.primitives import Hash32, Slot

LAG_SLOTS_MAX: Final = 8
"""A head older than this is of a chain that stands, or of a node that is catching up and may not know who votes."""

VOTE_HEADS_MAX: Final = 64
"""Unknown heads of votes whose senders are remembered."""


class Ballots:
    """Where votes are handed in."""

    def __init__(self, live: LiveChain) -> None:
        self._live = live
        self._fork_choice = live.store.fork_choice
        self._rules = live.store.rules
        self._desk = VoteDesk(rules=self._rules)
        self._head_origins: dict[Hash32, str] = {}
        self._frozen: Slot | None = None
        self._silent_slots = 0
        self.participation = 0.0
        """Share of the weight whose vote was heard by the last FREEZE."""

    async def on_votes(self, votes: Sequence[Vote], *, origin: str) -> list[Judgement]:
        """Judge votes one by one and take in those that hold; the result is in their order."""
        now = self._live.slot()
        electorate = self._electorate(now)
        sorted_votes = self._desk.sort(votes, electorate)
        answers = await self._live.verify_all(sorted_votes.messages)
        judgements = sorted_votes.judgements
        for place, is_valid in zip(sorted_votes.places, answers, strict=True):
            vote = votes[place]
            if not is_valid:
                judgements[place] = Judgement.REJECT
            elif judgements[place] is not Judgement.FORWARD:
                continue
            elif not self._desk.accept(vote, electorate):
                judgements[place] = Judgement.IGNORE
            else:
                self._fork_choice.on_vote(vote, max(now, vote.data.slot))
                self._want_head(vote.data.head_hash, origin)
        for judgement in judgements:
            self._live.metrics.votes.labels(outcome=str(judgement)).inc()
        await self._live.note_evidence()
        return judgements

    async def on_evidence(self, piece: Evidence) -> Judgement:
        """Judge a proof and take it in if it is the first of its kind against its validator."""
        if self._live.knows_offence(piece):
            return Judgement.IGNORE
        state = self._fork_choice.state(self._live.store.head.hash)
        try:
            messages = slashing.check_evidence(self._rules, state, self._live.slot(), piece)
        except Rejected as error:
            return self._blame_for(piece, error)
        if not all(await self._live.verify_all(messages)):
            return Judgement.REJECT
        is_first = self._fork_choice.on_evidence(piece)
        await self._live.note_evidence()
        return Judgement.FORWARD if is_first else Judgement.IGNORE

    def begin_slot(self, slot: Slot) -> None:
        """Forget what is older than the window."""
        self._desk.forget_before(slot - self._rules.parameters.vote_expiry_slots)

    def freeze(self, slot: Slot) -> None:
        """Let the votes heard so far count for the head."""
        self._fork_choice.freeze()
        weighted = self._weighted()
        self.participation = self._heard(slot, weighted) / max(1, weighted.bit_count())
        self._count_silence(slot, weighted)
        metrics = self._live.metrics
        metrics.participation_ratio.set(self.participation)
        metrics.silent_slots.set(self._silent_slots)

    def missing_heads(self) -> dict[Hash32, str]:
        """Heads that votes name and that are not here, each with the sender of such a vote."""
        return {
            head_hash: self._head_origins.get(head_hash, "")
            for head_hash in self._fork_choice.missing_heads()
        }

    def _heard(self, slot: int, weighted: int) -> int:
        """How many of those with weight were heard in a slot."""
        return (self._desk.voters(slot) & weighted).bit_count()

    def _count_silence(self, slot: Slot, weighted: int) -> None:
        """Count slots in a row with less than two thirds heard, those included that a pause or a late loop skipped."""
        last, self._frozen = self._frozen, slot
        first = slot if last is None or last >= slot else last + 1
        earliest = max(first, slot - self._rules.parameters.vote_expiry_slots)
        for one in range(slot, earliest - 1, -1):
            if 3 * self._heard(one, weighted) >= 2 * weighted.bit_count():
                self._silent_slots = slot - one
                return
        head_slot = self._fork_choice.slot(self._live.store.head.hash)
        if slot - head_slot <= LAG_SLOTS_MAX:
            self._silent_slots += slot - first + 1

    def _blame_for(self, piece: Evidence, error: Rejected) -> Judgement:
        """What a refused proof deserves: age and an index that nobody has yet may look different to the sender."""
        if error.reason is Reason.EVIDENCE_TOO_OLD:
            return Judgement.IGNORE
        may_come = slashing.accused(piece) < self._rules.parameters.max_validators
        if error.reason is Reason.EVIDENCE_INDEX and may_come:
            return Judgement.UNKNOWN
        return Judgement.REJECT

    def _electorate(self, now: Slot) -> Electorate:
        return Electorate(
            public_key=self._fork_choice.public_key,
            weighted=self._weighted(),
            earliest=now - self._rules.parameters.vote_expiry_slots,
            latest=self._live.latest_slot(),
        )

    def _weighted(self) -> int:
        """Who has weight in a version that the head's chain uses or has scheduled, a mask."""
        mask = 0
        for version in self._fork_choice.state(self._live.store.head.hash).sets:
            mask |= version.weights
        return mask

    def _want_head(self, head_hash: Hash32, origin: str) -> None:
        if head_hash in self._fork_choice or head_hash in self._head_origins:
            return
        self._head_origins[head_hash] = origin
        if len(self._head_origins) > VOTE_HEADS_MAX:
            del self._head_origins[next(iter(self._head_origins))]
        self._live.events.send(BlocksWanted(roots=(head_hash,)))
