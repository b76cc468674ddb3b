"""Long resets in steps, kills at finality, and L1 that moves in the middle of either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from node.errors import Corruption
from node.eth.blocks import Block
from node.runtime.worker import Answer
from sequencer.deriving import deriver
from sequencer.deriving.book import Placed
from tests.kit.memory_tables import Killed
from tests.kit.model_l1 import ModelDeposit, ModelTree
from tests.kit.model_l2 import L2Node, ModelChain, model_parameters, transfer
from tests.sequencer.deriving.histories import appended, hashes, late_replica, post


class Shrinking(ModelChain):
    """A chain that notes how much each reset drops, and does something after it."""

    def __init__(self, chain: ModelChain) -> None:
        vars(self).update(vars(chain))
        self.steps: list[int] = []
        self.then: Callable[[], object] = lambda: None

    def reset_to(self, number: int) -> Sequence[Block]:
        dropped = super().reset_to(number)
        self.steps.append(len(dropped))
        self.then()
        return dropped


def shrinking(node: L2Node) -> tuple[L2Node, Shrinking]:
    """The same node, and its chain that notes resets."""
    chain = Shrinking(node.chain)
    return L2Node(node.l1.tree, disk=node.disk, chain=chain, engine=node.engine, l1=node.l1), chain


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_long_reset_lets_others_run_and_whoever_builds_meanwhile_does_not_stop_it(
    monkeypatch: pytest.MonkeyPatch, *, goes_on: bool
) -> None:
    monkeypatch.setattr(deriver, "RESET_BLOCKS", 3)

    async def history() -> None:
        # Given eight unsafe blocks
        node, chain = shrinking(L2Node(ModelTree(model_parameters())))
        node.l1.mine(deposits=[ModelDeposit()])
        heads: list[int] = []

        def build_on() -> None:
            if goes_on and chain.head.header.number > 1:
                node.build([transfer(0, node.nonce(0))])

        async def watch() -> None:
            while True:
                await trio.lowlevel.checkpoint()
                if chain.steps:
                    heads.append(chain.head.header.number)

        async with node.running():
            await node.caught_up()
            node.build(advances=True)
            for nonce in range(7):
                node.build([transfer(0, nonce)])
            chain.then = build_on
            # When L1 holds garbage in place of the first two
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                tip = node.l1.tip_block.tip
                node.l1.mine([appended(node.l1.tree, 0, tip, b"garbage", blocks=2, origin=1)])
                await node.caught_up()
                nursery.cancel_scope.cancel()
            # Then they go from the head down, a few at a time, and it was one reset
            assert chain.steps == ([3, 3, 3] if goes_on else [3, 3, 1])
            assert heads[0] > 1
            assert (chain.head.header.number, chain.safe_number) == (2, 2)
            assert node.metric("faultline_deriving_resets_total", reason="derivation_differs") == 1
            late = await late_replica(node)
            assert hashes(late) == hashes(node)

    trio.run(history, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("returns", [False, True])
def test_a_long_reset_ends_where_l1_has_gone_meanwhile(
    monkeypatch: pytest.MonkeyPatch, *, returns: bool
) -> None:
    """Given blocks on origins that L1 drops, and takes up again before all of them are gone, the rest stays."""
    monkeypatch.setattr(deriver, "RESET_BLOCKS", 2)

    async def history() -> None:
        node, chain = shrinking(L2Node(ModelTree(model_parameters())))
        tree = node.l1.tree
        async with node.running():
            for _ in range(7):
                node.l1.mine()
                node.build(advances=True)
            await node.caught_up()
            old = node.l1.tip_block
            if returns:
                chain.then = lambda: node.l1.adopt(old)
            node.l1.adopt(tree.make(tree.make(tree.ancestor(old, 1), (), ()), (), ()))
            await node.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            await node.caught_up()
            assert chain.steps == ([2] if returns else [2, 2, 2])
            assert chain.head.header.number == (5 if returns else 1)
            assert node.metric("faultline_deriving_resets_total", reason="origin_reorganised") == 1

    trio.run(history, clock=MockClock(autojump_threshold=0))


class Interrupted:
    """A worker in which something happens each time the book was cut."""

    def __init__(self) -> None:
        self.happens: Callable[[], object] = lambda: None

    async def run(self, work: Callable[[], Answer]) -> Answer:
        await trio.lowlevel.checkpoint()
        answer = work()
        if isinstance(work, partial) and work.func.__name__ == "cut":
            self.happens()
        return answer


def test_l1_that_moves_again_while_its_records_are_forgotten_is_followed_again() -> None:
    async def history() -> None:
        # Given two records, each in an L1 block of its own
        worker = Interrupted()
        node = L2Node(ModelTree(model_parameters()), worker=worker)
        tree = node.l1.tree
        async with node.running():
            for nonce in range(2):
                node.l1.mine()
                node.build([transfer(0, nonce)], advances=True)
                node.l1.mine([post(node, nonce, nonce + 1)])
            await node.caught_up()
            assert node.chain.safe_number == 2
            # When L1 drops the second, and then the first for a branch with records of its own
            one, three = (tree.ancestor(node.l1.tip_block, number) for number in (1, 3))
            records, block = [], one
            for nonce in range(2):
                raw = appended(tree, nonce, block.tip, b"garbage", blocks=1, origin=1)
                block = tree.make(block, [raw], ())
                records.append(block)
            worker.happens = lambda: node.l1.adopt(records[-1])
            node.l1.adopt(tree.make(three, (), ()))
            await node.caught_up()
            # Then it has those
            assert node.deriver.book.tip == records[-1].tip
            late = await late_replica(node)
            assert hashes(late) == hashes(node)

    trio.run(history, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("has_record", [True, False])
def test_l1_that_drops_a_record_as_it_is_noted_is_followed(*, has_record: bool) -> None:
    """The block that was read last before is on both branches: only the record itself tells that L1 has moved."""

    async def history() -> None:
        # Given an L2 block that L1 does not hold yet
        node = L2Node(ModelTree(model_parameters()))
        tree, book = node.l1.tree, node.deriver.book
        async with node.running():
            node.l1.mine()
            node.build([transfer(0, 0)], advances=True)
            await node.caught_up()
            base = node.l1.tip_block
            garbage = appended(tree, 0, base.tip, b"garbage", blocks=1, origin=1)
            other = tree.make(base, [garbage] if has_record else [], ())
            other = tree.make(other, (), ())
            noted = book.append

            def note(placed: Placed) -> None:
                noted(placed)
                node.l1.adopt(other)

            # When L1 takes another branch in the moment in which the record is noted
            with pytest.MonkeyPatch.context() as patching:
                patching.setattr(book, "append", note)
                node.l1.mine([post(node, 0, 1)])
                await node.caught_up()
            # Then the book is that branch's, and finality finds nothing else in it
            assert book.tip == other.tip
            node.l1.mine()
            node.l1.finalize(3)
            await node.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            assert book.final_count == book.count == int(has_record)
            if has_record:
                late = await late_replica(node)
                assert hashes(late) == hashes(node)

    trio.run(history, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("kept", ["all", "finalized", "nothing"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [0, 1])
def test_a_kill_at_finality_leaves_what_the_next_process_goes_on_from(
    write: int, *, after: bool, kept: str
) -> None:
    """Given a kill before or after each write of the book, and any moment of the chain in its own tables."""

    async def history() -> None:
        # Given L1 with three records, two of them final
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            for nonce in range(3):
                node.l1.mine()
                node.build([transfer(0, nonce)], advances=True)
                node.l1.mine([post(node, nonce, nonce + 1)])
                await node.caught_up()
        # When a node that reads them at once is killed
        killed = L2Node(node.l1.tree, dies_at=(write, after))
        killed.l1.adopt(node.l1.tip_block)
        killed.l1.finalize(4)
        with pytest.RaisesGroup(Killed, flatten_subgroups=True):
            async with killed.running():
                await trio.sleep_forever()
        chain = killed.chain
        if kept == "finalized":
            chain.safe_number = chain.finalized_number
        elif kept == "nothing":
            chain.safe_number = chain.finalized_number = 0
        # Then the next one goes on
        again = L2Node(
            node.l1.tree, disk=killed.disk, chain=chain, engine=killed.engine, l1=killed.l1
        )
        async with again.running():
            await again.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            assert hashes(again) == hashes(node)
            assert (chain.safe_number, chain.finalized_number) == (3, 2)
            assert (again.deriver.book.count, again.deriver.book.final_count) == (3, 2)

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_a_chain_that_is_final_beyond_its_book_derives_up_to_there_without_going_back() -> None:
    async def history() -> None:
        # Given a node whose book has lost what its chain holds as final
        node = L2Node(ModelTree(model_parameters()))
        async with node.running():
            for nonce in range(3):
                node.l1.mine()
                node.build([transfer(0, nonce)], advances=True)
                node.l1.mine([post(node, nonce, nonce + 1)])
            node.l1.finalize(4)
            await node.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            assert node.chain.finalized_number == 2
        again = L2Node(node.l1.tree, chain=node.chain, engine=node.engine, l1=node.l1)
        # When it starts again
        async with again.running():
            await again.caught_up()
            await trio.testing.wait_all_tasks_blocked()
            # Then it has matched everything
            assert (again.chain.safe_number, again.chain.finalized_number) == (3, 2)
            assert again.deriver.book.final_count == 2
            assert again.metric("faultline_deriving_blocks_total", outcome="matched") == 3

    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_l1_that_gives_another_final_block_stops_the_process() -> None:
    async def history() -> None:
        # Given a final block
        node = L2Node(ModelTree(model_parameters()))
        node.l1.mine()
        node.build([transfer(0, 0)])
        node.chain.safe_number = node.chain.finalized_number = 1
        # When L1 has a record with another one
        tip = node.l1.tip_block.tip
        node.l1.mine([appended(node.l1.tree, 0, tip, b"garbage", blocks=1, origin=0)])
        with pytest.RaisesGroup(
            pytest.RaisesExc(Corruption, match="another L2 block 1, which was final"),
            flatten_subgroups=True,
        ):
            async with node.running():
                await node.caught_up()

    trio.run(history, clock=MockClock(autojump_threshold=0))
