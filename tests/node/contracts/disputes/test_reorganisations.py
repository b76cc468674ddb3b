"""Games across reorganisations of L1: what is dropped can be done again, and nothing made for one fork counts on another."""

from __future__ import annotations

import pytest

from node.eth.primitives import Hash32
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    BOND,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    FACTORY,
    IN_PROGRESS,
    LIAR,
    DisputeWorld,
    wrong_root,
)
from tests.kit.execution_chain import SENDER
from tests.kit.rollup_chain import sign_l2
from tests.node.contracts.disputes.ends import mature


def test_a_proof_that_l1_drops_is_made_again(world: DisputeWorld) -> None:
    """Given a proof in a block that is dropped, then the game goes on, and the very same proof ends it."""
    game = world.game(6, wrong={4: wrong_root()}, sender=LIAR)
    before = world.moment()
    world.prove(game, 4)
    world.reorganise(before)
    assert world.status(game) == IN_PROGRESS
    world.prove(game, 4)
    assert world.status(game) == CHALLENGER_WINS


def test_a_false_game_that_l1_drops_is_gone_and_falls_when_it_comes_back(
    world: DisputeWorld,
) -> None:
    """Given a false game that is dropped and made again, then it has the same address, and a window of its own."""
    before = world.moment()
    game = world.game(6, wrong={4: wrong_root()}, sender=LIAR)
    world.prove(game, 4)
    world.reorganise(before)
    assert world.network.world.read(FACTORY, "gameCount") == 0
    world.pass_blocks(20)
    again = world.game(6, wrong={4: wrong_root()}, sender=LIAR)
    assert again.address == game.address
    assert world.status(again) == IN_PROGRESS
    world.prove(again, 4)
    assert world.status(again) == CHALLENGER_WINS


def test_a_claim_made_for_another_history_of_the_l2_is_refused(world: DisputeWorld) -> None:
    """Given a true claim whose record is dropped for another one, then it can't be made: its accumulator is another."""
    before = world.moment()
    world.append([[sign_l2(SENDER, nonce=0)], []])
    tree, old = world.tree(0, 10), world.accumulator(10)
    world.reorganise(before)
    world.append([[], []])
    world.publish(tree)
    with pytest.raises(Reverted, match="WrongAccumulator"):
        world.create(tree, start=(world.roots[0], 0), accumulator=old)
    # A liar may make it with the right one, and is proven false where the histories part.
    game = world.create(tree, start=(world.roots[0], 0), sender=LIAR)
    world.prove(game, 9)
    assert world.status(game) == CHALLENGER_WINS


def test_a_parent_is_the_same_claim_on_every_fork(world: DisputeWorld) -> None:
    """Given a child whose parent is dropped while a false game takes its place, then the child can't be made on that one."""
    before = world.moment()
    parent = world.game(4)
    child = world.tree(4, 8)
    world.publish(child)
    world.create(child, start=(world.roots[4], 4), parent=parent.address)
    world.reorganise(before)
    false = world.game(4, wrong={2: wrong_root()}, sender=LIAR)
    assert false.tree.last == parent.tree.last
    assert world.network.world.read(FACTORY, "gameCount") == 1
    world.publish(child)
    with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
        world.create(child, start=(world.roots[4], 4), parent=parent.address)


def test_an_end_that_l1_drops_needs_its_time_again(world: DisputeWorld) -> None:
    """Given a resolution that is dropped together with a proof that L1 had not seen, then the proof wins."""
    game = world.game(6, wrong={4: wrong_root()}, sender=LIAR)
    mature(world, game)
    before = world.moment()
    world.resolve(game)
    assert world.status(game) == DEFENDER_WINS
    world.reorganise(before)
    world.prove(game, 4)
    assert world.status(game) == CHALLENGER_WINS


def test_a_proof_of_finality_is_of_its_own_fork(world: DisputeWorld) -> None:
    """Given a proof made on a fork that is dropped, then no block of this one holds its root."""
    game = world.game(6)
    before = world.moment()
    mature(world, game)
    foreign = world.proof()
    world.reorganise(before)
    world.pass_blocks(30)
    with pytest.raises(Reverted, match=r"^NotFinalized\(\)$"):
        world.network.world.transact(LIAR, game.contract, "resolve", *foreign)


def test_a_bond_that_is_dropped_is_back(world: DisputeWorld) -> None:
    held = world.network.world.balance(bytes.fromhex(LIAR.address[2:]))
    before = world.moment()
    world.game(6, wrong={4: Hash32(wrong_root())}, sender=LIAR)
    assert world.network.world.balance(bytes.fromhex(LIAR.address[2:])) < held - BOND
    world.reorganise(before)
    assert world.network.world.balance(bytes.fromhex(LIAR.address[2:])) == held
