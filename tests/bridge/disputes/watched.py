"""Challengers over games without contracts: whatever they want waits in a pool, and L1 takes as much as it has room for.

Watched.mine() -> a block with what waits -> every challenger is told, and has acted when `settle` returns
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio
from prometheus_client import CollectorRegistry
from trio.testing import wait_all_tasks_blocked

from bridge.disputes.judging import ClaimedRoots, OwnChain
from bridge.disputes.metrics import DisputeMetrics
from bridge.disputes.parts import DisputeParts
from bridge.disputes.planning import Terms
from bridge.disputes.proving import Fault
from bridge.disputes.rewards import Rewards
from bridge.disputes.rivals import Attempt
from bridge.disputes.service import Challenger
from bridge.games.reading import Game
from bridge.sending.wants import Want
from node.contracts.disputes import GameStatus
from node.errors import MissingState, Temporary
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32
from node.rollup.claims import Claim
from node.rollup.records import InboxTip
from node.runtime.worker import InlineWorker
from sequencer.l1.latest import Latest
from sequencer.l1.places import InboxAt, L1Ref
from tests.kit.model_games import (
    ACCUMULATOR,
    SOMEBODY,
    WINDOW,
    Call,
    ModelL1,
    State,
    prove,
    resolve,
    true_root,
)


def seen(state: State, index: int) -> Game:
    """A game of the model as a challenger reads it."""
    game = state.games[index]
    claim = game.claim
    return Game(
        index=index,
        address=game.address,
        creator=SOMEBODY,
        root_claim=claim.root_claim,
        claim=Claim(
            l2_block=BlockNumber(claim.l2_block),
            parent=None if game.parent is None else state.games[game.parent].address,
            roots_id=keccak256(b"".join(claim.roots or ())),
            accumulator=claim.accumulator,
        ),
        start_block=claim.start_block,
        start_root=claim.start_root,
        created_at=0,
        created_block=game.created_block,
        was_respected=True,
        status=game.status,
        resolved_block=game.resolved_block,
        prover=game.prover,
    )


class SeenState:
    """The games of a state of the model."""

    def __init__(self, state: State, block: L1Ref, finalized: int, hidden: set[Address]) -> None:
        self.block = block
        self.finalized = finalized
        self._hidden = hidden
        games = [seen(state, index) for index in range(len(state.games))]
        self.games = {one.address: one for one in games}
        self._roots = {one.address: one.claim.roots for one in state.games}

    @property
    def open(self) -> Sequence[Game]:
        return [one for one in self.games.values() if one.is_open]

    def game(self, address: Address) -> Game | None:
        return self.games.get(address)

    async def roots(self, game: Game) -> Sequence[Hash32] | None:
        await trio.lowlevel.checkpoint()
        return None if game.address in self._hidden else self._roots[game.address]


@dataclass(slots=True)
class Truth:
    """What a challenger has derived of the model's L2."""

    safe_block: int = 10_000
    resets: int = 0
    lies: dict[int, Hash32] = field(default_factory=dict)
    """Roots that this one has derived otherwise."""
    asked: int = 0
    """How often it was asked for roots."""

    async def upto(self, claim: ClaimedRoots) -> OwnChain:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        numbers = range(claim.start_block, claim.l2_block + 1)
        is_safe = claim.l2_block <= self.safe_block
        return OwnChain(
            safe_block=self.safe_block,
            accumulator=ACCUMULATOR if is_safe else None,
            roots=[self.lies.get(one, true_root(one)) for one in numbers] if is_safe else (),
        )


@dataclass(slots=True)
class Watcher:
    """One challenger and its account."""

    account: Address
    watched: Watched
    truth: Truth = field(default_factory=Truth)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    wanted: tuple[Want, ...] = ()
    """What it said last."""
    unprovable: set[int] = field(default_factory=set)
    """L2 blocks that it cannot prove."""
    is_blind: bool = False
    """Whether its L1 has no states to read."""
    is_cut_off: bool = False
    """Whether what it wants reaches nobody's pool."""
    paid: int = 0
    """Calls of it that L1 took."""
    reverted: int = 0
    """And that changed nothing."""
    rewarded: list[Address] = field(default_factory=list)
    """Games that have paid it."""
    derived: Latest[InboxAt | None] = field(default_factory=lambda: Latest(None))
    challenger: Challenger = field(init=False)

    def __post_init__(self) -> None:
        self.challenger = Challenger(self.parts())

    async def call_data(self, fault: Fault) -> bytes:
        await trio.lowlevel.checkpoint()
        if fault.wrong_block in self.unprovable:
            raise Temporary("the state before it is gone")
        return fault.wrong_block.to_bytes(8)

    def rewards(self, lost: Sequence[Game]) -> Rewards:
        """A proof is paid once its block is final."""
        final = [one for one in lost if one.resolved_block <= self.watched.l1.finalized]
        owed = [one.address for one in final if one.prover == self.account]
        unpaid = [one for one in owed if one not in self.rewarded]
        return Rewards(
            payable=tuple(unpaid),
            done=frozenset(one.address for one in final) - frozenset(unpaid),
        )

    async def look(self) -> SeenState:
        await trio.lowlevel.checkpoint()
        if self.is_blind:
            raise MissingState("pruned")
        return self.watched.look()

    def take(self, block: L1Ref, wants: Sequence[Want]) -> None:
        assert block == self.watched.ref, "said of a block that is no head any more"
        self.wanted = tuple(wants)

    def deeds(self) -> list[str]:
        return [one.key for one in self.wanted]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def parts(self) -> DisputeParts:
        watched = self.watched
        return DisputeParts(
            account=self.account,
            terms=Terms(window_blocks=WINDOW),
            moved=watched.moved,
            derived=self.derived,
            is_canonical=lambda block: block == watched.ref,
            canonical_hash=watched.hash_of,
            look=self.look,
            rewards=self.rewards,
            attempts=watched.attempts,
            own=self.truth,
            proofs=self,
            want=self.take,
            worker=InlineWorker(),
            metrics=DisputeMetrics(self.registry),
        )

    def derive_on(self) -> None:
        """Tell that more of L1 is derived."""
        tip = InboxTip(
            record_count=0,
            next_block=BlockNumber(1),
            last_origin=BlockNumber(0),
            accumulator=ACCUMULATOR,
        )
        self.derived.set(InboxAt(block=self.watched.ref, tip=tip))


class Watched:
    """An L1 of games, a pool, and those who watch."""

    def __init__(self) -> None:
        self.l1 = ModelL1()
        self.fork = 0
        """Counts reorganisations: blocks of one number differ."""
        self.hidden: set[Address] = set()
        """Games whose roots nobody can read."""
        self.bluffs: list[Attempt] = []
        """What strangers have in the pool and L1 never takes."""
        self.watchers: list[Watcher] = []
        self.moved: Latest[L1Ref] = Latest(self.ref)

    @property
    def ref(self) -> L1Ref:
        """The head."""
        number = self.l1.head.number
        return L1Ref(number=number, hash=self.hash_of(number))

    def hash_of(self, number: int) -> Hash32:
        """Of a block of this fork."""
        return keccak256(bytes((self.fork,)) + number.to_bytes(8))

    def make(self, number: int) -> Watcher:
        """A challenger that does not run."""
        return Watcher(account=Address(bytes((0xC0 + number,)) * 20), watched=self)

    @asynccontextmanager
    async def watcher(self, number: int = 0) -> AsyncIterator[Watcher]:
        """A challenger that runs until the block ends."""
        watcher = self.make(number)
        self.watchers.append(watcher)
        async with trio.open_nursery() as nursery:
            await nursery.start(watcher.challenger.run)
            await self.settle()
            yield watcher
            nursery.cancel_scope.cancel()
        self.watchers.remove(watcher)

    def look(self) -> SeenState:
        return SeenState(self.l1.head, self.ref, self.l1.finalized, self.hidden)

    def attempts(self) -> list[Attempt]:
        """Everybody's proofs in the pool."""
        found = list(self.bluffs)
        for watcher in self.watchers:
            if not watcher.is_cut_off:
                found += [
                    Attempt(watcher.account, one.to)
                    for one in watcher.wanted
                    if one.key.startswith("prove")
                ]
        return found

    async def settle(self) -> None:
        """Wait until nobody has anything more to do at this moment."""
        await wait_all_tasks_blocked()

    async def mine(
        self, calls: Sequence[Call] = (), *, room: int = 100, finalizes: bool = True
    ) -> None:
        """A block of calls and of what the challengers want; all of them see it."""
        taken = list(calls)
        for watcher in self.watchers:
            if not watcher.is_cut_off:
                taken += [partial(self._run, watcher, one) for one in watcher.wanted]
        self.l1.mine(taken[:room], finalizes=finalizes)
        self.moved.set(self.ref)
        await self.settle()

    async def reorganise(self, depth: int) -> None:
        """L1 drops blocks and has one more of nothing instead."""
        self.fork += 1
        self.l1.reorg(depth)
        self.l1.mine(finalizes=False)
        self.moved.set(self.ref)
        await self.settle()

    def _run(self, watcher: Watcher, want: Want, state: State, finalized: int) -> State | None:
        index = next((at for at, one in enumerate(state.games) if one.address == want.to), None)
        if want.key.startswith("reward"):
            watcher.rewarded.append(want.to)
            return state
        watcher.paid += 1
        after = None
        if index is not None and want.key.startswith("prove"):
            call = prove(index, int.from_bytes(want.call_data), watcher.account)
            after = call(state, finalized)
        elif index is not None:
            after = resolve(index)(state, finalized)
        watcher.reverted += after is None
        return after

    @property
    def statuses(self) -> list[GameStatus]:
        """Of all games, by index."""
        return [one.status for one in self.l1.head.games]
