"""One look at a withdrawal: what L2 holds, what L1 says after its head, and where that leaves it.

    hash -> WithdrawalIndex -> Sent -> games that claim what this node derives -> GameReader (in a Worker) -> standing -> Looked

Used by JSON-RPC (`view`) and by the relayer, so that both say the same.
Deliberately absent: remembering. Two looks share nothing but the index and the contracts' constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import trio

from bridge.withdrawals.finding import IndexedL2, Sent, WithdrawalIndex
from bridge.withdrawals.proving import prove_call
from bridge.withdrawals.reading import GameReader, ReadL1, terms_of
from bridge.withdrawals.stages import Game, L1Facts, L2Facts, Standing, Terms, standing
from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.listed_games import ListedGame
from node.errors import MissingState
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.execution.answers import AccountProof
from node.rollup.outputs import output_of, sent_messages_slot
from node.runtime.worker import Worker
from sequencer.l1.places import L1Ref

CANDIDATES_MAX: Final = 32
"""Games that claim what this node derives and are looked at, the oldest first: only a lost bond makes one of them useless."""

COMPARED_AT_ONCE: Final = 32
"""Claims that are compared with the own chain before others have their turn."""


class LookedL2(IndexedL2, Protocol):
    """What of the L2's chain is read beside the index."""

    @property
    def safe(self) -> Block:
        """The last block whose data L1 holds."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a block."""


class ProvingEngine(Protocol):
    """What of the L2's engine is asked."""

    def has_state(self, root: bytes) -> bool:
        """Whether this state can be read."""

    def proof(self, root: bytes, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """An EIP-1186 proof. Raises MissingState."""


class StateOfL1(ReadL1, Protocol):
    """L1 after one block."""

    @property
    def ref(self) -> L1Ref:
        """The block."""


class StatesOfL1(Protocol):
    """States of this process's own L1 (`bridge.l1_state.L1States`)."""

    def head(self) -> StateOfL1:
        """After the head."""

    def finalized(self) -> StateOfL1:
        """After the final block."""


class HeadersOfL1(Protocol):
    """Headers of this process's own L1 (`sequencer.l1.view.L1View`)."""

    def header(self, block_hash: Hash32) -> Header | None:
        """The header of any kept block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookingParts:
    """What a look needs."""

    l2: LookedL2
    """The L2 as this process follows it."""
    l2_engine: ProvingEngine
    """Its states."""
    l1: HeadersOfL1
    """L1's headers."""
    states: StatesOfL1
    """L1's states."""
    worker: Worker
    """Where L1's contracts are asked and proofs are made."""
    index: WithdrawalIndex
    """Finds withdrawals on the L2."""
    slot_seconds: int
    """L1's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look has found."""

    sent: Sent
    """The withdrawal."""
    l2_status: str
    """unsafe, safe or finalized."""
    at: L1Ref
    """The L1 block whose state counts."""
    facts: L1Facts
    """What that state says."""
    standing: Standing
    """What follows."""


class Withdrawals:
    """Looks at withdrawals and games."""

    def __init__(self, parts: LookingParts) -> None:
        self._parts: Final = parts
        self._reader: Final = GameReader()
        self._terms: Terms | None = None

    @property
    def parts(self) -> LookingParts:
        """What it looks with."""
        return self._parts

    async def terms(self) -> Terms:
        """What the contracts make a withdrawal wait."""
        if self._terms is None:
            read = partial(terms_of, self._parts.states.head(), self._parts.slot_seconds)
            self._terms = await self._parts.worker.run(read)
        return self._terms

    async def look(
        self, name: Hash32, *, slots_ahead: int = 0, own_submitter: Address | None = None
    ) -> Looked | None:
        """A withdrawal, by its hash or its L2 transaction's; None where L2 holds none.

        Args:
            name: the hash.
            slots_ahead: judge it as if L1 were so many slots further: whoever is to act in the next block asks with 1.
            own_submitter: who asks in order to act: whose proof is looked at in any case, and who waits for no stranger's.
        """
        parts, terms = self._parts, await self.terms()
        await parts.index.catch_up()
        sent = parts.index.find(name)
        if sent is None:
            return None
        head, final = parts.states.head(), parts.states.finalized()
        candidates = await self._candidates(sent, head, final)
        read = partial(
            self._reader.facts_of,
            sent.message.withdrawal_hash,
            head,
            final,
            candidates,
            own_submitter,
        )
        facts = await parts.worker.run(read)
        is_safe = sent.number <= parts.l2.safe.header.number
        is_final = sent.number <= parts.l2.finalized.header.number
        ahead = replace(
            facts,
            number=facts.number + slots_ahead,
            timestamp=facts.timestamp + slots_ahead * terms.slot_seconds,
        )
        return Looked(
            sent=sent,
            l2_status="finalized" if is_final else "safe" if is_safe else "unsafe",
            at=head.ref,
            facts=ahead,
            standing=standing(
                L2Facts(number=sent.number, is_safe=is_safe), ahead, terms, own=own_submitter
            ),
        )

    async def game(self, index: int) -> tuple[StateOfL1, int, Game] | None:
        """A game by its place, with the state it was read from and the number of the final block; None where there is none."""
        head, final = self._parts.states.head(), self._parts.states.finalized()
        found = await self._parts.worker.run(partial(self._reader.game_at, head, index))
        return None if found is None else (head, final.header.number, found)

    def own_root(self, number: int) -> Hash32 | None:
        """The output root that this node derives from L1 after a block; None above its safe head."""
        header = self._derived(number)
        return None if header is None else output_of(header).root()

    async def prove_call(self, sent: Sent, game: Game) -> bytes:
        """What proves a withdrawal under a game that claims what this node derives. Raises MissingState, also after a reset."""
        header = self._derived(game.l2_block)
        if header is None:
            raise MissingState(f"L2 block {game.l2_block} is not derived any more")
        slot = sent_messages_slot(sent.message.withdrawal_hash)
        prove = partial(self._parts.l2_engine.proof, header.state_root, MESSAGE_PASSER, [slot])
        proof = await self._parts.worker.run(prove)
        return prove_call(sent.message, game.index, header, proof.slots[0][1])

    async def _candidates(self, sent: Sent, head: ReadL1, final: ReadL1) -> list[ListedGame]:
        """Games that claim what this node derives, at or after the withdrawal's block, the oldest first."""
        origin = self._parts.l2.origin_of(sent.block_hash)
        header = None if origin is None else self._parts.l1.header(origin.hash)
        created_after = 0 if header is None else header.timestamp
        read = partial(self._reader.listed, head, final, created_after=created_after)
        games = await self._parts.worker.run(read)
        found: list[ListedGame] = []
        for count, game in enumerate(reversed(games)):
            if count % COMPARED_AT_ONCE == COMPARED_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            if game.l2_block >= sent.number and self._agrees(game):
                found.append(game)
            if len(found) == CANDIDATES_MAX:
                break
        return found

    def _agrees(self, game: ListedGame) -> bool:
        """Whether a game claims what this node derives, and the state to prove it with is kept."""
        header = self._derived(game.l2_block)
        return (
            header is not None
            and output_of(header).root() == game.root_claim
            and self._parts.l2_engine.has_state(header.state_root)
        )

    def _derived(self, number: int) -> Header | None:
        if number > self._parts.l2.safe.header.number:
            return None
        block = self._parts.l2.block_by_number(number)
        return None if block is None else block.header
