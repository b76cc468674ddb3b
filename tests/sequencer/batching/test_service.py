"""The batcher beside a deriver, over a model L1."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock

from node.rollup.records import GENESIS_TIP
from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from sequencer.batching.fees import FeeLimits
from sequencer.batching.forcing import (
    GRACE_BLOCKS,
    GRACE_SPREAD,
    HISTORY_BLOCKS,
    Forcer,
    overdue_origin,
)
from sequencer.batching.metrics import BatchingMetrics
from sequencer.batching.options import BatchingOptions
from sequencer.batching.service import Batcher
from sequencer.batching.signing import L1Account
from tests.kit.model_l1 import ANCHOR_HEADERS, APPEND, FORCE_EMPTY, ModelDeposit, ModelTree
from tests.kit.model_l2 import L2Node, model_parameters, transfer
from tests.kit.model_pool import ModelPool

OPTIONS = BatchingOptions(interval_ms=1_000)


@dataclass(slots=True)
class Devnet:
    """A sequencer with its batcher."""

    node: L2Node
    pool: ModelPool
    board: FaultBoard
    batcher: Batcher

    async def slot(self, *, takes: int = 24) -> None:
        """L1 takes what waits, and everybody looks."""
        self.node.l1.mine(self.pool.offered(takes))
        await self.node.caught_up()
        await trio.sleep(2)

    def sent(self) -> int:
        return len(self.pool.submitted)

    @property
    def recorded(self) -> int:
        """L2 blocks that L1 holds."""
        return self.node.l1.tip_block.tip.next_block - 1

    def metric(self, name: str) -> float:
        return self.node.metric(name)


@asynccontextmanager
async def devnet(
    options: BatchingOptions = OPTIONS, *, node: L2Node | None = None, pool: ModelPool | None = None
) -> AsyncIterator[Devnet]:
    node = node or L2Node(ModelTree(model_parameters()))
    pool = pool or ModelPool(node.l1)
    board = FaultBoard(L2_FAULTS)
    batcher = node.batcher(pool, board=board, options=options)
    async with node.running(), trio.open_nursery() as nursery:
        await nursery.start(batcher.run)
        yield Devnet(node, pool, board, batcher)
        nursery.cancel_scope.cancel()


def virtually(history: Callable[[], Awaitable[None]]) -> None:
    """Run under trio's clock that leaps."""
    trio.run(history, clock=MockClock(autojump_threshold=0))


def fill(node: L2Node, blocks: int, *, size: int = 1) -> None:
    """Blocks with transfers to accounts of all kinds."""
    first = node.nonce(0)
    for place in range(blocks):
        raws = [
            transfer(0, first + place * size + one, to=bytes([place % 256, one % 256]) * 10)
            for one in range(size)
        ]
        node.build(raws)


def test_blocks_reach_l1_and_an_idle_l2_posts_nothing() -> None:
    async def history() -> None:
        async with devnet() as net:
            await net.slot()
            assert net.sent() == 0
            fill(net.node, 3)
            await net.slot()
            await net.slot()
            assert net.recorded == 3
            assert net.node.chain.safe_number == 3
            assert net.sent() == 1
            assert net.metric("faultline_sequencer_batches_total") == 1
            assert net.metric("faultline_sequencer_bytes_per_transaction") > 80
            for _ in range(5):
                await net.slot()
            assert net.sent() == 1

    virtually(history)


def test_several_batches_are_on_their_way_at_once_each_on_the_one_before() -> None:
    async def history() -> None:
        async with devnet() as net:
            # Given far more than one batch holds
            fill(net.node, 60, size=20)
            await net.slot(takes=0)
            # Then several wait, with nonces one after the other
            nonces = [call.nonce for call in net.pool.submitted]
            assert len(nonces) >= 3
            assert nonces == list(range(len(nonces)))
            # And one L1 block takes all of them
            await net.slot()
            assert net.node.l1.tip_block.tip.record_count == len(nonces)
            assert net.recorded == 60

    virtually(history)


def test_no_more_are_in_flight_than_the_operator_allows() -> None:
    async def history() -> None:
        async with devnet(BatchingOptions(interval_ms=1_000, in_flight_max=2)) as net:
            fill(net.node, 60, size=20)
            await net.slot(takes=0)
            assert net.sent() == 2
            await net.slot(takes=1)
            assert net.sent() == 3

    virtually(history)


def test_a_reorganisation_brings_back_the_same_transactions_without_new_ones() -> None:
    async def history() -> None:
        async with devnet() as net:
            fill(net.node, 3)
            await net.slot()
            fork = net.node.l1.tip_block
            await net.slot()
            assert net.recorded == 3
            # When L1 drops the block with the batch
            tree = net.node.l1.tree
            net.pool.take_back(net.node.l1.adopt(tree.make(tree.make(fork, (), ()), (), ())))
            await net.node.caught_up()
            assert net.recorded == 0
            # Then the pool's transaction is all it takes
            await net.slot()
            assert net.recorded == 3
            assert net.sent() == 1

    virtually(history)


def test_a_pool_that_has_lost_a_batch_gets_it_again() -> None:
    async def history() -> None:
        async with devnet() as net:
            fill(net.node, 3)
            await net.slot(takes=0)
            assert net.sent() == 1
            net.pool.lose()
            for _ in range(4):
                await net.slot(takes=0)
            assert net.sent() == 2
            assert net.pool.submitted[0].hash == net.pool.submitted[1].hash
            await net.slot()
            assert net.recorded == 3

    virtually(history)


def test_what_l1_does_not_take_is_offered_more_until_the_limit() -> None:
    async def history() -> None:
        fees = FeeLimits(tip_wei=1_000, max_fee_wei=5_000)
        async with devnet(BatchingOptions(interval_ms=1_000, fees=fees)) as net:
            fill(net.node, 1)
            for _ in range(20):
                await net.slot(takes=0)
            paid = [call.max_fee_per_gas for call in net.pool.submitted]
            assert paid == sorted(set(paid))
            assert len(paid) >= 2
            assert max(paid) <= 5_000
            assert {call.nonce for call in net.pool.submitted} == {0}
            assert net.metric("faultline_sequencer_batches_resent_total") >= len(paid) - 1
            await net.slot()
            assert net.recorded == 1

    virtually(history)


def test_a_refusal_holds_the_next_attempt_back() -> None:
    async def history() -> None:
        async with devnet() as net:
            net.pool.refuses = "insufficient funds for gas * price + value"
            fill(net.node, 2)
            await net.slot(takes=0)
            for _ in range(5):
                await net.slot(takes=0)
            # Twelve seconds, at most one attempt in each
            refused = net.metric("faultline_sequencer_batches_refused_total")
            assert 2 <= refused <= 13
            net.pool.refuses = None
            await net.slot()
            await net.slot()
            assert net.recorded == 2

    virtually(history)


@pytest.mark.parametrize("keeps_pool", [True, False])
def test_a_restart_goes_on_from_l1_alone(*, keeps_pool: bool) -> None:
    async def history() -> None:
        # Given a process that dies with batches on their way
        async with devnet() as net:
            fill(net.node, 60, size=20)
            await net.slot(takes=0)
            await net.slot(takes=2)
            assert 0 < net.recorded < 60
            fill(net.node, 5)
            node, pool = net.node, net.pool
        if not keeps_pool:
            pool.lose()
        # When the next one starts, with or without what its pool held
        async with devnet(node=node.restart(), pool=pool) as net:
            for _ in range(5):
                await net.slot()
            # Then every block is on L1 once
            assert net.recorded == 65
            assert net.node.chain.safe_number == 65
            assert net.node.metric("faultline_deriving_blocks_total", outcome="executed") == 0

    virtually(history)


@pytest.mark.parametrize("fault", ["garbage-batch", "bomb-batch", "truncated-batch"])
def test_a_spoiled_batch_resets_the_l2_and_posting_goes_on(fault: str) -> None:
    async def history() -> None:
        async with devnet() as net:
            await net.slot()
            fill(net.node, 4)
            await net.board.inject(fault, {})
            await net.slot()
            await net.slot()
            # Then its blocks stand without transactions
            assert net.recorded == 4
            assert net.node.nonce(0) == 0
            assert net.node.metric("faultline_deriving_records_without_content_total") == 1
            # And what comes next is posted as ever
            fill(net.node, 2)
            await net.slot()
            await net.slot()
            assert net.recorded == 6
            assert net.node.nonce(0) == 2

    virtually(history)


def test_an_overlapping_batch_reverts_and_the_next_goes_through() -> None:
    async def history() -> None:
        async with devnet() as net:
            fill(net.node, 2)
            await net.slot()
            await net.slot()
            await net.board.inject("overlapping-batch", {})
            fill(net.node, 2)
            for _ in range(3):
                await net.slot()
            assert net.recorded == 4
            assert net.node.l1.tip_block.tip.record_count == 2
            assert net.node.l1.tip_block.nonces[net.node.parameters.batcher] == 3
            assert (
                net.node.metric("faultline_deriving_resets_total", reason="derivation_differs") == 0
            )

    virtually(history)


def test_claimed_timestamps_that_lie_are_moved_into_their_range() -> None:
    async def history() -> None:
        async with devnet() as net:
            await net.slot()
            fill(net.node, 3)
            await net.board.inject("lie-timestamps", {"seconds": 5})
            for _ in range(2):
                await net.slot()
            # Then the blocks are others, with the same transactions
            assert net.node.chain.safe_number == 3
            assert net.node.nonce(0) == 3
            assert (
                net.node.metric("faultline_deriving_resets_total", reason="derivation_differs") == 1
            )

    virtually(history)


@pytest.mark.parametrize("fault", ["batcher-stall", "sequencer-stop"])
def test_a_stalled_batcher_posts_what_waits_once_it_is_healed(fault: str) -> None:
    async def history() -> None:
        async with devnet() as net:
            await net.board.inject(fault, {})
            fill(net.node, 40, size=20)
            for _ in range(4):
                await net.slot()
            assert net.sent() == 0
            assert net.node.metric("faultline_sequencer_unposted_blocks") == 40
            assert net.node.metric("faultline_sequencer_unposted_age_seconds") > 2
            await net.board.heal(fault)
            await net.slot()
            await net.slot()
            assert net.recorded == 40
            assert net.node.metric("faultline_sequencer_unposted_blocks") == 0
            assert net.node.metric("faultline_sequencer_unposted_age_seconds") == 0

    virtually(history)


# -- forcing


def test_an_origin_is_overdue_once_the_window_and_the_grace_have_passed() -> None:
    # The next L1 block is 31: it may force origin 1, and grace asks that it could force 3
    assert overdue_origin(GENESIS_TIP, 30, 30, 0) == 1
    assert overdue_origin(GENESIS_TIP, 29, 30, 0) is None
    assert overdue_origin(GENESIS_TIP, 31, 30, 2) is None
    assert overdue_origin(GENESIS_TIP, 32, 30, 2) == 3
    assert overdue_origin(GENESIS_TIP, 5_000, 30, 2) == 256


def forcer(node: L2Node, pool: ModelPool) -> Forcer:
    return Forcer(
        parameters=node.parameters,
        account=L1Account(b"\xf0" * 32, 900),
        l1=node.view,
        derived=node.deriver.derived,
        pool=pool,
        metrics=BatchingMetrics(node.registry),
    )


def test_a_deposit_arrives_without_a_sequencer() -> None:
    async def history() -> None:
        # Given a replica with a funded key, a deposit, and nobody who posts
        node = L2Node(ModelTree(model_parameters(sequencing_window_blocks=5)))
        pool = ModelPool(node.l1)
        async with node.running(), trio.open_nursery() as nursery:
            await nursery.start(forcer(node, pool).run)
            node.l1.mine(deposits=[ModelDeposit()])
            for _ in range(5 + GRACE_BLOCKS + GRACE_SPREAD + 2):
                node.l1.mine(pool.offered())
                await node.caught_up()
                await trio.sleep(2)
            # Then it is there, and a transaction in every third L1 block is enough
            assert node.balance(b"\xbb" * 20) == 10**17
            assert {call.data[:4] for call in pool.submitted} == {FORCE_EMPTY}
            assert len(pool.submitted) <= 3
            assert node.metric("faultline_sequencer_forced_records_total") == len(pool.submitted)
            nursery.cancel_scope.cancel()

    virtually(history)


def test_nothing_is_forced_while_the_batcher_posts() -> None:
    async def history() -> None:
        async with devnet() as net, trio.open_nursery() as nursery:
            await nursery.start(second_forcer(net).run)
            for _ in range(80):
                net.node.build(advances=True)
                await net.slot()
            assert {call.data[:4] for call in net.pool.submitted} == {APPEND}
            nursery.cancel_scope.cancel()

    virtually(history)


def second_forcer(net: Devnet) -> Forcer:
    """A forcer whose metrics do not meet the batcher's."""
    other = L2Node(net.node.l1.tree)
    return Forcer(
        parameters=net.node.parameters,
        account=L1Account(b"\xf0" * 32, 900),
        l1=net.node.view,
        derived=net.node.deriver.derived,
        pool=net.pool,
        metrics=BatchingMetrics(other.registry),
    )


def test_a_forced_record_that_is_not_taken_is_offered_more() -> None:
    async def history() -> None:
        node = L2Node(ModelTree(model_parameters(sequencing_window_blocks=3)))
        pool = ModelPool(node.l1)
        async with node.running(), trio.open_nursery() as nursery:
            await nursery.start(forcer(node, pool).run)
            for _ in range(20):
                node.l1.mine()
                await node.caught_up()
                await trio.sleep(2)
            paid = [call.max_fee_per_gas for call in pool.submitted]
            assert len(paid) >= 3
            assert paid == sorted(set(paid))
            assert {call.nonce for call in pool.submitted} == {0}
            nursery.cancel_scope.cancel()

    virtually(history)


@pytest.mark.slow
def test_a_silence_longer_than_l1_remembers_hashes_is_ended_by_proving_them() -> None:
    async def history() -> None:
        # Given an L1 that has forgotten the hash of the last origin
        node = L2Node(ModelTree(model_parameters(sequencing_window_blocks=5)))
        pool = ModelPool(node.l1)
        for _ in range(HISTORY_BLOCKS + 200):
            node.l1.mine()
        async with node.running(), trio.open_nursery() as nursery:
            await nursery.start(forcer(node, pool).run)
            # When somebody forces it on
            for _ in range(8):
                node.l1.mine(pool.offered())
                await node.caught_up()
                await trio.sleep(2)
            # Then headers are proven first, from the newest known one down, and then records follow
            kinds = [call.data[:4] for call in pool.submitted]
            assert kinds[:3] == [ANCHOR_HEADERS, ANCHOR_HEADERS, ANCHOR_HEADERS]
            assert set(kinds[3:]) == {FORCE_EMPTY}
            assert node.l1.tip_block.tip.record_count >= 2
            assert node.chain.safe_number == node.l1.tip_block.tip.next_block - 1
            nursery.cancel_scope.cancel()

    virtually(history)
