"""The tree answers like a walk over every block, and moves weights like a recount."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from node.consensus.block_tree import (
    MAX_DROPPED,
    BlockNode,
    BlockTree,
    SubtreeWeights,
    ancestor_at,
    descendants,
    is_ancestor,
)
from node.consensus.outline import StateOutline, outline_of
from node.eth.primitives import Hash32, Slot
from tests.node.consensus.network import network

GENESIS = outline_of(network(1).genesis_state)


def at(slot: int) -> StateOutline:
    return replace(GENESIS, slot=Slot(slot))


def grow(dice: Random, count: int) -> tuple[BlockTree, list[BlockNode]]:
    """A tree that forks mostly near its tips."""
    tree = BlockTree(root_hash=Hash32(bytes(32)), root_outline=at(0))
    nodes = [tree.root]
    for number in range(1, count):
        parent = nodes[max(0, len(nodes) - 1 - int(dice.expovariate(0.7)))]
        node = tree.add(
            block_hash=Hash32(number.to_bytes(32)),
            parent=parent,
            outline=at(parent.slot + dice.randint(1, 3)),
            voters_by_vote={},
        )
        nodes.append(node)
    return tree, nodes


def path(node: BlockNode | None) -> list[BlockNode]:
    found = []
    while node is not None:
        found.append(node)
        node = node.parent
    return found


@pytest.mark.parametrize("seed", range(8))
def test_ancestors_are_those_of_a_walk(seed: int) -> None:
    dice = Random(seed)
    _, nodes = grow(dice, 300)
    for _ in range(400):
        node, other = dice.choice(nodes), dice.choice(nodes)
        slot = dice.randint(0, node.slot)
        assert ancestor_at(node, slot) is next(n for n in path(node) if n.slot <= slot)
        assert is_ancestor(other, node) is (other in path(node))


@pytest.mark.parametrize("seed", range(8))
def test_stretches_end_at_leaves_and_forks(seed: int) -> None:
    dice = Random(seed)
    _, nodes = grow(dice, 300)
    for node in nodes:
        end = node
        while len(end.children) == 1:
            end = end.children[0]
        assert node.stretch.tip is end


@pytest.mark.parametrize("seed", range(8))
def test_weights_are_those_of_a_recount(seed: int) -> None:
    dice = Random(seed)
    tree, nodes = grow(dice, 200)
    weights = SubtreeWeights()
    for round_number in range(30):
        wanted = {voter: dice.choice(nodes) for voter in range(20) if dice.random() < 0.8}
        weights.update(wanted)
        for node in nodes:
            assert weights.of(node) == sum(node in path(voted) for voted in wanted.values())
        if round_number == 20:
            new_root = max(tree.root.children, key=lambda c: len(descendants(c)))
            dropped = tree.prune(new_root)
            weights.forget(dropped)
            nodes = list(descendants(new_root))
            assert set(tree.nodes.values()) == set(nodes)


@pytest.mark.parametrize("seed", range(4))
def test_pruning_changes_no_answer(seed: int) -> None:
    dice = Random(seed)
    tree, nodes = grow(dice, 300)
    deep = max(nodes, key=lambda node: node.depth)
    before = {slot: tree.block_at(deep, slot) for slot in range(deep.slot + 1)}
    way_up = path(deep)[::-1]
    for share in (0.1, 0.5, 0.51, 0.9):
        new_root = way_up[int(share * len(way_up))]
        dropped = tree.prune(new_root)
        assert not any(node.block_hash in tree.nodes for node in dropped)
        assert {slot: tree.block_at(deep, slot) for slot in before} == before
        for node in tree.nodes.values():
            assert node is new_root or node.jump.block_hash in tree.nodes
    assert tree.prune(tree.root) == []


def test_the_trunk_ends_at_the_roots_own_finalized_block() -> None:
    tree = BlockTree(root_hash=Hash32(bytes(32)), root_outline=at(0))
    node = tree.root
    for number in range(1, 10):
        node = tree.add(
            block_hash=Hash32(number.to_bytes(32)),
            parent=node,
            outline=replace(
                at(number),
                finalized=replace(
                    GENESIS.finalized, block_hash=Hash32(max(0, number - 3).to_bytes(32))
                ),
            ),
            voters_by_vote={},
        )
    tree.prune(path(node)[2])
    assert tree.root.slot == 7
    assert tree.block_at(node, 4) == Hash32((4).to_bytes(32))
    assert tree.block_at_if_kept(node, 3) is None
    with pytest.raises(AssertionError, match="slot 3 lies below what is kept"):
        tree.block_at(node, 3)


def test_settled_blocks_are_remembered_within_a_bound() -> None:
    tree = BlockTree(root_hash=Hash32(bytes(32)), root_outline=at(0))
    for number in range(MAX_DROPPED + 5):
        tree.remember_dropped(Hash32(number.to_bytes(32)))
    assert len(tree.dropped) == MAX_DROPPED
    assert Hash32((5).to_bytes(32)) in tree.dropped
    assert Hash32((4).to_bytes(32)) not in tree.dropped
