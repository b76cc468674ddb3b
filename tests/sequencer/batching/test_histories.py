"""Random histories of a sequencer, its batcher and L1: whatever happens, all nodes end in one chain, and L1 holds all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import trio
from hypothesis import HealthCheck, event, given, settings, strategies as st
from trio.testing import MockClock

from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.calls import force_call
from sequencer.batching.fees import Fee
from sequencer.batching.options import BatchingOptions
from sequencer.batching.service import Batcher
from sequencer.batching.signing import L1Account
from tests.kit.model_l1 import APPENDS_MAX, ModelDeposit, ModelPool, ModelTree
from tests.kit.model_l2 import USERS, L2Node, model_parameters, transfer

SLOT_S = 2.0
WINDOW = 6
FORCER = L1Account(b"\xf0" * 32, 900)


@dataclass(frozen=True, slots=True)
class Build:
    """The sequencer seals blocks."""

    blocks: int
    transfers: int
    advances: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class Mine:
    """L1 grows by a block that takes so many transactions of the pool."""

    takes: int
    deposits: int = 0


@dataclass(frozen=True, slots=True)
class Reorganise:
    """L1 goes back and grows by more blocks than it lost."""

    depth: int
    takes: int


@dataclass(frozen=True, slots=True)
class Finalize:
    """L1 finalizes a block so far below its head."""

    depth: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The sequencer's process dies; its pool may have no journal."""

    keeps_pool: bool


@dataclass(frozen=True, slots=True)
class Misbehave:
    """The batcher does wrong with its next batch."""

    fault: str


@dataclass(frozen=True, slots=True)
class Force:
    """A stranger forces the Inbox on, if it can."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The batcher posts nothing for some L1 blocks."""

    slots: int


@dataclass(frozen=True, slots=True)
class Gossip:
    """A follower hears of the unsafe blocks."""


Action: TypeAlias = (
    Build | Mine | Reorganise | Finalize | Restart | Misbehave | Force | Stall | Gossip
)

FAULTS = ("garbage-batch", "bomb-batch", "truncated-batch", "overlapping-batch", "lie-timestamps")

ACTIONS: st.SearchStrategy[list[Action]] = st.lists(
    st.one_of(
        st.builds(
            Build,
            st.integers(1, 4),
            st.integers(0, 3),
            st.booleans(),
            st.integers(0, 40),
        ),
        st.builds(Build, st.integers(4, 30), st.integers(1, 4), st.booleans(), st.integers(0, 2)),
        st.builds(Mine, st.integers(0, APPENDS_MAX), st.integers(0, 2)),
        st.builds(Mine, st.just(APPENDS_MAX)),
        st.builds(Reorganise, st.integers(1, 4), st.integers(0, 4)),
        st.builds(Finalize, st.integers(2, 5)),
        st.builds(Restart, st.booleans()),
        st.builds(Misbehave, st.sampled_from(FAULTS)),
        st.builds(Force),
        st.builds(Stall, st.integers(1, 2 * WINDOW)),
        st.builds(Gossip),
    ),
    min_size=10,
    max_size=40,
)


@dataclass(slots=True)
class Devnet:
    """A sequencer, a follower and an L1."""

    tree: ModelTree
    sequencer: L2Node
    follower: L2Node
    pool: ModelPool
    board: FaultBoard
    batcher: Batcher = field(init=False)
    scope: trio.CancelScope = field(init=False)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the sequencer's process."""
        self.scope = trio.CancelScope()
        await nursery.start(self._run)

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.batcher = self.sequencer.batcher(
            self.pool, board=self.board, options=BatchingOptions(interval_ms=1_000)
        )
        with self.scope:
            async with self.sequencer.running(), trio.open_nursery() as nursery:
                await nursery.start(self.batcher.run)
                task_status.started()
                await trio.sleep_forever()

    async def settle(self) -> None:
        """Let everybody take in L1's head, and the batcher look once or twice."""
        await self.sequencer.caught_up()
        self.follower.l1.adopt(self.sequencer.l1.tip_block)
        await self.follower.caught_up()
        await trio.sleep(SLOT_S)

    async def act(self, action: Action, nursery: trio.Nursery) -> None:
        l1 = self.sequencer.l1
        match action:
            case Build():
                self.build(action)
            case Mine():
                deposits = [ModelDeposit(data=bytes((place,))) for place in range(action.deposits)]
                l1.mine(self.pool.offered(action.takes), deposits)
            case Reorganise():
                self.reorganise(action)
            case Finalize():
                number = l1.tip_block.number - action.depth
                l1.finalize(number)
                self.follower.l1.finalize(min(number, self.follower.l1.tip_block.number))
            case Restart():
                self.scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
                if not action.keeps_pool:
                    self.pool.lose()
                self.sequencer = self.sequencer.restart()
                await self.start(nursery)
            case Misbehave():
                given_ = {"seconds": 30} if action.fault == "lie-timestamps" else {}
                await self.board.inject(action.fault, given_)
            case Force():
                await self.force()
            case Stall():
                await self.board.inject("batcher-stall", {})
                for _ in range(action.slots):
                    l1.mine(self.pool.offered())
                    await self.settle()
                await self.board.heal("batcher-stall")
            case Gossip():
                self.gossip()
        await self.settle()

    def build(self, action: Build) -> None:
        node = self.sequencer
        for place in range(action.blocks):
            nonces = [node.nonce(user) for user in range(USERS)]
            raws = [
                transfer(one % USERS, nonces[one % USERS] + one // USERS)
                for one in range(place, place + action.transfers)
                if one < USERS
            ]
            node.build(raws, advances=action.advances, seconds=action.seconds)

    def reorganise(self, action: Reorganise) -> None:
        """Another branch, one block longer."""
        l1 = self.sequencer.l1
        final = l1.finalized.header.number
        fork = max(final, l1.tip_block.number - action.depth)
        block = self.tree.ancestor(l1.tip_block, fork)
        length = l1.tip_block.number - fork + 1
        offered = self.pool.offered(action.takes)
        for place in range(length):
            block = self.tree.make(block, offered if place == length - 1 else (), ())
        self.pool.take_back(l1.adopt(block))

    async def force(self) -> None:
        l1 = self.sequencer.l1
        origin = min(l1.tip_block.number + 1 - WINDOW, l1.tip_block.tip.last_origin + 256)
        if origin > l1.tip_block.tip.last_origin:
            forced = FORCER.sign(
                nonce=l1.tip_block.nonces.get(FORCER.address, 0),
                to=self.tree.parameters.inbox,
                call_data=force_call(origin),
                gas_limit=10**6,
                fee=Fee(max_fee_wei=10**10, tip_wei=10**9),
            )
            l1.mine([forced.raw])

    def gossip(self) -> None:
        """The follower derives the sequencer's unsafe blocks from their inputs, as far as they connect."""
        follower, sequencer = self.follower.chain, self.sequencer.chain
        for block in sequencer.blocks[len(follower.blocks) :]:
            if block.header.parent_hash != follower.head.hash:
                break
            raws = self.sequencer.engine.raw_transactions(block.rlp)
            before = follower.origins[follower.head.hash]
            self.follower.build(
                [raw for raw in raws if raw[0] != 0x7E],
                advances=sequencer.origins[block.hash].number > before.number,
                seconds=block.header.timestamp - follower.head.header.timestamp,
            )


async def run_history(actions: Sequence[Action]) -> None:
    tree = ModelTree(model_parameters(sequencing_window_blocks=WINDOW))
    sequencer, follower = L2Node(tree), L2Node(tree)
    board = FaultBoard(L2_FAULTS)
    devnet = Devnet(tree, sequencer, follower, ModelPool(sequencer.l1), board)
    async with follower.running(), trio.open_nursery() as nursery:
        await nursery.start(board.run)
        await devnet.start(nursery)
        finalized = 0
        for action in actions:
            await devnet.act(action, nursery)
            chain = devnet.sequencer.chain
            # The safe head is exactly what L1 holds; the finalized one never moves back.
            assert chain.safe_number == devnet.sequencer.l1.tip_block.tip.next_block - 1
            assert chain.finalized_number >= finalized
            finalized = chain.finalized_number
        await finish(devnet)
        nursery.cancel_scope.cancel()
    # Then all nodes have one chain, a late one too, and L1 holds all of it.
    chain = devnet.sequencer.chain
    assert devnet.sequencer.l1.tip_block.tip.next_block == len(chain.blocks)
    late = L2Node(tree)
    late.l1.adopt(devnet.sequencer.l1.tip_block)
    async with late.running():
        await late.caught_up()
    wanted = [one.hash for one in chain.blocks]
    assert [one.hash for one in late.chain.blocks] == wanted
    assert [one.hash for one in follower.chain.blocks] == wanted
    event(f"{len(wanted) // 8 * 8} blocks or more")


async def finish(devnet: Devnet) -> None:
    """Heal, and give the batcher some L1 blocks for what is left."""
    await devnet.board.heal()
    l1 = devnet.sequencer.l1
    for _ in range(12):
        if l1.tip_block.tip.next_block == len(devnet.sequencer.chain.blocks):
            break
        l1.mine(devnet.pool.offered())
        await devnet.settle()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(ACTIONS)
def test_every_history_ends_in_one_chain_that_l1_holds(actions: list[Action]) -> None:
    trio.run(run_history, actions, clock=MockClock(autojump_threshold=0))
