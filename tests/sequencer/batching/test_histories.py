"""Random histories of a sequencer, its batcher and L1: whatever happens, all nodes end in one chain, and L1 holds all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, event, given, settings, strategies as st
from prometheus_client import CollectorRegistry
from trio.testing import MockClock

from node.contracts import bindings
from node.eth.primitives import Hash32
from node.execution.adapter import verify_signatures
from node.p2p.network import PeerId, Verdict
from node.rollup.unsafe import open_message, unsafe_domain
from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.fees import Fee
from sequencer.batching.options import BatchingOptions
from sequencer.batching.service import Batcher
from sequencer.batching.signing import L1Account
from sequencer.gossiping.following import Follower
from sequencer.gossiping.metrics import GossipMetrics
from sequencer.gossiping.publishing import Publisher
from tests.kit.model_l1 import APPENDS_MAX, ModelDeposit, ModelTree
from tests.kit.model_l2 import USERS, L2Node, model_parameters, transfer
from tests.kit.model_pool import ModelPool

SLOT_S = 2.0
WINDOW = 6
FORCER = L1Account(b"\xf0" * 32, 900)
KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([8] * 32))
PEER = PeerId("peer")


@dataclass(frozen=True, slots=True)
class Build:
    """The sequencer seals blocks."""

    blocks: int
    transfers: int
    advances: bool
    seconds: int
    told: bool = False
    """Whether the follower hears of them before anything else happens."""


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
    """A follower hears of the unsafe blocks; so many of the oldest messages are lost on the way."""

    lost: int = 0


Action: TypeAlias = (
    Build | Mine | Reorganise | Finalize | Restart | Misbehave | Force | Stall | Gossip
)

FAULTS = (
    "garbage-batch",
    "bomb-batch",
    "truncated-batch",
    "overlapping-batch",
    "lie-timestamps",
    "equivocate-unsafe",
)

ACTIONS: st.SearchStrategy[list[Action]] = st.lists(
    st.one_of(
        st.builds(
            Build,
            st.integers(1, 4),
            st.integers(0, 3),
            st.booleans(),
            st.integers(0, 40),
            st.booleans(),
        ),
        st.builds(
            Build,
            st.integers(4, 30),
            st.integers(1, 4),
            st.booleans(),
            st.integers(0, 2),
            st.booleans(),
        ),
        st.builds(Mine, st.integers(0, APPENDS_MAX), st.integers(0, 2)),
        st.builds(Mine, st.just(APPENDS_MAX)),
        st.builds(Reorganise, st.integers(1, 4), st.integers(0, 4)),
        st.builds(Finalize, st.integers(2, 5)),
        st.builds(Restart, st.booleans()),
        st.builds(Misbehave, st.sampled_from(FAULTS)),
        st.builds(Force),
        st.builds(Stall, st.integers(1, 2 * WINDOW)),
        st.builds(Gossip, st.integers(0, 3)),
    ),
    min_size=10,
    max_size=40,
)


@dataclass(slots=True)
class Devnet:
    """A sequencer, a replica that follows its gossip, and an L1."""

    tree: ModelTree
    sequencer: L2Node
    follower: L2Node
    pool: ModelPool
    board: FaultBoard
    batcher: Batcher = field(init=False)
    scope: trio.CancelScope = field(init=False)
    publisher: Publisher = field(init=False)
    following: Follower = field(init=False)
    told: list[bytes] = field(default_factory=list)
    """Messages gossiped that the follower has neither got nor lost."""
    lives: int = 0
    equivocates: bool = False
    """Whether the sequencer ever signed two blocks of one number."""

    def __post_init__(self) -> None:
        self.following = Follower(
            parameters=self.follower.parameters,
            l1=self.follower.view,
            l2=self.follower.chain,
            engine=self.follower.engine,
            worker=self.follower.worker,
            domain=domain_of(self.follower),
            verify=verify_signatures,
            ask=self.ask,
            metrics=GossipMetrics(self.follower.registry),
        )

    async def ask(self, request: bytes) -> bytes:
        return await self.publisher.serve(PEER, request)

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the sequencer's process."""
        self.scope = trio.CancelScope()
        self.lives += 1
        self.publisher = Publisher(
            chain=self.sequencer.chain,
            engine=self.sequencer.engine,
            domain=domain_of(self.sequencer),
            sign=KEY.sign,
            publish=self.told.append,
            generation=1_000 * self.lives,
            faults=self.board,
            metrics=GossipMetrics(CollectorRegistry()),
        )
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
                if action.told:
                    await self.gossip()
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
                self.equivocates |= action.fault == "equivocate-unsafe"
            case Force():
                await self.force()
            case Stall():
                await self.board.inject("batcher-stall", {})
                for _ in range(action.slots):
                    l1.mine(self.pool.offered())
                    await self.settle()
                await self.board.heal("batcher-stall")
            case Gossip():
                await self.gossip(action.lost)
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
                call_data=bindings.force_empty(origin),
                gas_limit=10**6,
                fee=Fee(max_fee_wei=10**10, tip_wei=10**9),
            )
            l1.mine([forced.raw])

    async def gossip(self, lost: int = 0) -> None:
        """The follower gets what the sequencer has told of, as its queue would give it."""
        self.publisher.flush()
        messages, self.told[:] = self.told[lost:], []
        for message in messages:
            await self.following.follow(
                open_message(
                    message, self.follower.parameters, domain_of(self.follower), verify_signatures
                )
            )
        if messages and not self.equivocates:
            # A gap below is asked for, so one message is enough for the chain up to its end.
            assert hashes(self.follower) == hashes(self.sequencer)


def domain_of(node: L2Node) -> Hash32:
    """What signatures of unsafe blocks start with."""
    return unsafe_domain(node.parameters.chain_id, Hash32(node.engine.genesis().block_hash))


def hashes(node: L2Node) -> list[bytes]:
    """A node's chain."""
    return [block.hash for block in node.chain.blocks]


def make_devnet() -> Devnet:
    """A devnet at its genesis."""
    key = KEY.public_key().public_bytes_raw()
    tree = ModelTree(replace(model_parameters(sequencing_window_blocks=WINDOW), sequencer_key=key))
    sequencer = L2Node(tree)
    return Devnet(tree, sequencer, L2Node(tree), ModelPool(sequencer.l1), FaultBoard(L2_FAULTS))


async def run_history(actions: Sequence[Action]) -> Devnet:
    devnet = make_devnet()
    follower = devnet.follower
    async with follower.running(), trio.open_nursery() as nursery:
        await nursery.start(devnet.board.run)
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
    # Then who built, who followed gossip and who reads L1 alone have one chain, and L1 holds all of it.
    chain = devnet.sequencer.chain
    assert devnet.sequencer.l1.tip_block.tip.next_block == len(chain.blocks)
    late = L2Node(devnet.tree)
    late.l1.adopt(devnet.sequencer.l1.tip_block)
    async with late.running():
        await late.caught_up()
    assert hashes(late) == hashes(devnet.sequencer)
    assert hashes(follower) == hashes(devnet.sequencer)
    followed = follower.metric("faultline_unsafe_blocks_total", outcome="followed")
    event(f"{len(chain.blocks) // 8 * 8} blocks or more")
    event(f"{min(int(followed), 8)} (8: or more) followed by gossip")
    return devnet


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


def test_a_follower_has_unsafe_blocks_before_l1_and_from_the_right_key_alone() -> None:
    """Given blocks that no L1 block holds yet, when they are gossiped, then the follower has them; a foreign key's never."""

    async def history() -> None:
        devnet = make_devnet()
        stranger = L2Node(devnet.tree)
        foreign: list[bytes] = []
        forger = Publisher(
            chain=stranger.chain,
            engine=stranger.engine,
            domain=domain_of(stranger),
            sign=STRANGER.sign,
            publish=foreign.append,
            generation=1_000_000,
            faults=devnet.board,
            metrics=GossipMetrics(CollectorRegistry()),
        )
        async with devnet.follower.running(), trio.open_nursery() as nursery:
            await nursery.start(devnet.board.run)
            await devnet.start(nursery)
            await devnet.settle()
            devnet.build(Build(blocks=5, transfers=2, advances=False, seconds=0))
            stranger.build([transfer(3, 0)])
            forger.flush()
            for message in foreign:
                assert await devnet.following.on_gossip(PEER, message) is Verdict.REJECT
            await devnet.gossip()
            assert foreign
            assert len(devnet.follower.chain.blocks) == 6
            assert devnet.follower.chain.safe_number == 0
            nursery.cancel_scope.cancel()

    trio.run(history, clock=MockClock(autojump_threshold=0))
