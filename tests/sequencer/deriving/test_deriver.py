"""Deriving from L1, as a sequencer, as a follower and from nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from node.contracts import bindings
from node.errors import Corruption
from node.eth.primitives import BlockNumber
from node.execution.adapter import encode_batch
from node.execution.answers import RawLog
from node.execution.engine import PackedBlock
from sequencer.batching.misbehaving import BOMB
from tests.kit.model_l1 import ModelDeposit, ModelTree
from tests.kit.model_l2 import L2Node, batcher_account, model_parameters, transfer
from tests.kit.rollup import ModelInbox, record_log
from tests.sequencer.deriving.histories import FEE, appended, hashes, late_replica, post


def test_what_the_sequencer_built_becomes_safe_without_being_executed_again() -> None:
    async def history() -> None:
        # Given a sequencer with blocks that hold transfers, two origins and a deposit
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            node.l1.mine(deposits=[ModelDeposit()])
            node.l1.mine()
            node.build([transfer(0, 0)], advances=True)
            node.build([transfer(0, 1), transfer(1, 0)])
            node.build(advances=True)
            # When L1 holds them
            node.l1.mine([post(node, 0, 1)])
            await node.caught_up()
            # Then they are safe, and nothing was executed
            assert node.chain.safe_number == 3
            assert node.metric("faultline_deriving_blocks_total", outcome="matched") == 3
            assert node.metric("faultline_deriving_blocks_total", outcome="executed") == 0
            assert node.metric("faultline_chain_safe_number", layer="l2") == 3
            # And a node that has only L1 makes the same blocks
            late = await late_replica(node)
            assert hashes(late) == hashes(node)
            assert late.metric("faultline_deriving_blocks_total", outcome="executed") == 3
            assert late.balance(b"\xbb" * 20) == 10**17

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_garbage_in_place_of_a_batch_resets_everybody_to_the_same_chain() -> None:
    async def history() -> None:
        # Given unsafe blocks
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            node.l1.mine(deposits=[ModelDeposit()])
            node.build([transfer(0, 0)], advances=True)
            node.build([transfer(0, 1)])
            node.build([transfer(0, 2)])
            unsafe = hashes(node)
            # When L1 holds garbage for the first two
            tip = node.l1.tip_block.tip
            node.l1.mine([appended(node.l1.tree, 0, tip, b"garbage", blocks=2, origin=1)])
            await node.caught_up()
            # Then they hold no transactions, and the third is gone
            assert len(node.chain.blocks) == 3
            assert hashes(node)[1:] != unsafe[1:3]
            assert node.nonce(0) == 0
            assert node.metric("faultline_deriving_resets_total", reason="derivation_differs") == 1
            assert [one.header.number for one in node.chain.dropped] == [3, 2, 1]
            assert node.balance(b"\xbb" * 20) == 10**17, "the deposit stays"
            late = await late_replica(node)
            assert hashes(late) == hashes(node)

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_blocks_that_cannot_be_executed_in_full_hold_their_deposits_and_later_ones_stand() -> None:
    async def history() -> None:
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            node.l1.mine(deposits=[ModelDeposit()])
            blocks = [
                PackedBlock(0, True, (transfer(0, 5),)),
                PackedBlock(0, False, (transfer(0, 0),)),
            ]
            tip = node.l1.tip_block.tip
            batch = encode_batch(blocks, 5)
            node.l1.mine([appended(node.l1.tree, 0, tip, batch, blocks=2, origin=1)])
            await node.caught_up()
            assert node.nonce(0) == 1
            assert node.balance(b"\xbb" * 20) == 10**17
            assert node.metric("faultline_deriving_blocks_stripped_total") == 1

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_anybody_can_force_a_deposit_through_when_nobody_posts() -> None:
    async def history() -> None:
        # Given a deposit, and a sequencing window without a record
        parameters = model_parameters(sequencing_window_blocks=3)
        node = L2Node(ModelTree(parameters))
        async with node.running():
            node.l1.mine(deposits=[ModelDeposit()])
            node.build([transfer(0, 0)], advances=True)
            for _ in range(3):
                node.l1.mine()
            # When somebody forces the Inbox on
            forced = batcher_account().sign(
                nonce=0,
                to=parameters.inbox,
                call_data=bindings.force_empty(1),
                gas_limit=10**6,
                fee=FEE,
            )
            node.l1.mine([forced.raw])
            await node.caught_up()
            # Then the deposit is safe and the unsafe block is gone
            assert node.chain.safe_number == 1
            assert node.nonce(0) == 0
            assert node.balance(b"\xbb" * 20) == 10**17

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_a_reorganisation_of_l1_takes_the_safe_head_along_and_leaves_unsafe_blocks() -> None:
    async def history() -> None:
        # Given a safe chain
        node = L2Node(ModelTree(model_parameters()))
        tree = node.l1.tree
        async with node.running():
            node.l1.mine()
            fork = node.l1.tip_block
            node.build([transfer(0, 0)], advances=True)
            node.l1.mine([post(node, 0, 1)])
            await node.caught_up()
            assert node.chain.safe_number == 1
            # When L1 drops the record
            node.l1.adopt(tree.make(fork, (), ()))
            await node.caught_up()
            # Then the block is unsafe again
            assert node.chain.safe_number == 0
            assert len(node.chain.blocks) == 2
            # And safe once L1 has it again
            node.l1.mine([post(node, 0, 1)])
            await node.caught_up()
            assert node.chain.safe_number == 1
            # When L1 drops the origin itself
            other = tree.make(tree.genesis, (), ())
            node.l1.adopt(tree.make(tree.make(other, (), ()), (), ()))
            await node.caught_up()
            # Then the block that named it goes too
            assert len(node.chain.blocks) == 1
            assert node.metric("faultline_deriving_resets_total", reason="origin_reorganised") == 1

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_finality_moves_the_finalized_head_and_a_restart_goes_on_from_there() -> None:
    async def history() -> None:
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            for nonce in range(3):
                node.l1.mine()
                node.build([transfer(0, nonce)], advances=True)
                node.l1.mine([post(node, nonce, nonce + 1)])
                await node.caught_up()
            node.l1.finalize(4)
            await trio.testing.wait_all_tasks_blocked()
            assert node.chain.finalized_number == 2
            assert node.metric("faultline_chain_finalized_number", layer="l2") == 2
        # When the process starts again
        again = node.restart()
        async with again.running():
            await again.caught_up()
            # Then nothing is derived twice
            assert again.chain.safe_number == 3
            assert again.metric("faultline_deriving_blocks_total", outcome="executed") == 0
            assert again.metric("faultline_deriving_blocks_total", outcome="matched") == 0
            assert again.deriver.book.final_count == 2

    trio.run(history, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_blocks_that_a_crash_has_lost_are_derived_again(lost: int) -> None:
    async def history() -> None:
        # Given a node whose chain on disk is behind its book
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            for nonce in range(3):
                node.l1.mine()
                node.build([transfer(0, nonce)], advances=True)
                node.l1.mine([post(node, nonce, nonce + 1)])
                await node.caught_up()
            node.l1.finalize(6)
            await trio.testing.wait_all_tasks_blocked()
        before = hashes(node)
        chain = node.chain
        chain.finalized_number = chain.safe_number = 3 - lost
        del chain.blocks[4 - lost :]
        # When it starts again
        again = node.restart()
        async with again.running():
            await again.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            # Then it has what it had
            assert hashes(again) == before
            assert again.chain.finalized_number == 3

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_l1_that_drops_a_final_record_is_another_l1() -> None:
    async def history() -> None:
        # Given a final record
        node = L2Node(ModelTree(model_parameters()))
        tree = node.l1.tree
        async with node.running():
            node.l1.mine()
            node.build([transfer(0, 0)], advances=True)
            node.l1.mine([post(node, 0, 1)])
            node.l1.finalize(2)
            await node.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            assert node.chain.finalized_number == 1
        # When the process starts again over an L1 that has never had it
        again = L2Node(tree, disk=node.disk, chain=node.chain, engine=node.engine)
        for _ in range(3):
            again.l1.mine()
        # Then it stops
        with pytest.RaisesGroup(Corruption):
            async with again.running():
                await again.caught_up()

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_a_long_record_is_derived_in_chunks_and_a_bomb_costs_nothing() -> None:
    async def history() -> None:
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            tip = node.l1.tip_block.tip
            node.l1.mine()
            node.l1.mine([appended(node.l1.tree, 0, tip, BOMB, blocks=512, origin=1)])
            await node.caught_up()
            assert node.chain.safe_number == 512
            assert node.metric("faultline_deriving_records_without_content_total") == 1

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_origins_that_a_shorter_branch_has_dropped_take_their_blocks_along_at_once() -> None:
    async def history() -> None:
        # Given unsafe blocks on four origins
        node = L2Node(ModelTree(model_parameters()))
        tree = node.l1.tree
        async with node.running():
            for _ in range(4):
                node.l1.mine()
                node.build(advances=True)
            await node.caught_up()
            # When L1 changes to a branch that has fewer blocks
            shorter = tree.make(tree.ancestor(node.l1.tip_block, 1), (), ())
            node.l1.adopt(shorter)
            await node.caught_up()
            # Then the block whose origin was replaced is gone, with those above it
            assert len(node.chain.blocks) == 2
            assert node.chain.origins[node.chain.head.hash].number == 1

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_unsafe_blocks_on_origins_that_l1_will_show_later_stay() -> None:
    async def history() -> None:
        # Given a node that starts with unsafe blocks, over an L1 that has to catch up
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            for _ in range(4):
                node.l1.mine()
                node.build(advances=True)
            await node.caught_up()
        late = L2Node(node.l1.tree, disk=node.disk, chain=node.chain, engine=node.engine)
        late.l1.adopt(node.l1.tree.ancestor(node.l1.tip_block, 2))
        async with late.running():
            await late.caught_up()
            # Then they wait
            assert len(late.chain.blocks) == 5
            late.l1.adopt(node.l1.tip_block)
            await late.caught_up()
            assert len(late.chain.blocks) == 5

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_a_replica_matches_what_gossip_brought_and_executes_what_it_did_not() -> None:
    async def history() -> None:
        # Given a sequencer, and a replica that heard of its first block only
        node = L2Node(ModelTree(model_parameters()))
        replica = L2Node(node.l1.tree)
        async with node.running():
            node.l1.mine()
            node.build([transfer(0, 0)], advances=True)
            replica.l1.adopt(node.l1.tip_block)
            replica.build([transfer(0, 0)], advances=True)
            node.build([transfer(0, 1)])
            node.build([transfer(0, 2)])
            node.l1.mine([post(node, 0, 1)])
            await node.caught_up()
        async with replica.running():
            replica.l1.adopt(node.l1.tip_block)
            await replica.caught_up()
            assert hashes(replica) == hashes(node)
            assert replica.metric("faultline_deriving_blocks_total", outcome="matched") == 1
            assert replica.metric("faultline_deriving_blocks_total", outcome="executed") == 2
            assert replica.metric("faultline_chain_head_number", layer="l2") == 3

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_an_inbox_whose_records_do_not_connect_stops_the_process() -> None:
    async def history() -> None:
        # Given a log that the Inbox of this L1 cannot have written
        node = L2Node(ModelTree(model_parameters()))
        tip = node.l1.tip_block.tip
        made = node.l1.mine([appended(node.l1.tree, 0, tip, b"x", blocks=1, origin=0)])
        wrong = ModelInbox(tip=replace(tip, last_origin=BlockNumber(0), next_block=BlockNumber(9)))
        topics, data = record_log(wrong.append(b"x", blocks=1, origin=0))
        inbox = node.parameters.inbox
        log = RawLog(0, tuple(topics), data)
        node.l1.tree.blocks[made.block.hash] = replace(made, logs=[(inbox, log)])
        with pytest.RaisesGroup(Corruption, flatten_subgroups=True):
            async with node.running():
                await node.caught_up()

    trio.run(history, clock=MockClock(autojump_threshold=0))
