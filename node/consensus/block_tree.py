"""The unfinalized blocks as a tree that answers fast: ancestors in O(log n), heads in O(forks), weights by difference.

    add -> jump pointers, stretches        update(votes) -> weights move along the paths that changed

A stretch is a run of blocks without a fork; whoever walks down jumps from fork to fork.
Deliberately absent: which child wins (`fork_choice`).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from node.consensus.outline import StateOutline
from node.eth.primitives import Hash32, Slot

MAX_DROPPED = 4_096
"""Settled blocks that are remembered by hash: two hours of 2 s slots."""


class Stretch:
    """A run of blocks of which each but the last has one child."""

    __slots__ = ("tip",)

    def __init__(self, tip: BlockNode) -> None:
        self.tip = tip
        """Its last block: a leaf or a fork."""


class BlockNode:
    """A block in the tree."""

    __slots__ = (
        "block_hash",
        "children",
        "depth",
        "jump",
        "outline",
        "parent",
        "slot",
        "stretch",
        "voters_by_vote",
    )

    def __init__(
        self,
        *,
        block_hash: Hash32,
        parent: BlockNode | None,
        outline: StateOutline,
        voters_by_vote: Mapping[Hash32, int],
    ) -> None:
        self.block_hash = block_hash
        """Its id."""
        self.parent = parent
        """None for the tree's root."""
        self.slot = outline.slot
        """Its slot."""
        self.outline = outline
        """What is kept of its post-state."""
        self.voters_by_vote = voters_by_vote
        """Votes in its payload: root of the data -> mask of voters."""
        self.depth: int = 0 if parent is None else parent.depth + 1
        """Blocks between it and the first root."""
        self.children: list[BlockNode] = []
        """Blocks on top of it."""
        self.jump: BlockNode = self if parent is None else _jump_from(parent)
        """An ancestor further down; following the right ones reaches any height in O(log n) steps."""
        self.stretch = Stretch(self)
        """The run of blocks it is in."""


class BlockTree:
    """Blocks above a root, each with the outline of its state."""

    def __init__(
        self,
        *,
        root_hash: Hash32,
        root_outline: StateOutline,
        trunk: Sequence[tuple[Slot, Hash32]] = (),
    ) -> None:
        self.root = BlockNode(
            block_hash=root_hash, parent=None, outline=root_outline, voters_by_vote={}
        )
        """Ancestor of everything here."""
        self.nodes: dict[Hash32, BlockNode] = {root_hash: self.root}
        """Every block, by hash."""
        self.dropped: dict[Hash32, None] = {}
        """Blocks that finality left behind, newest last; at most MAX_DROPPED."""
        self._trunk = list(trunk)

    def add(
        self,
        *,
        block_hash: Hash32,
        parent: BlockNode,
        outline: StateOutline,
        voters_by_vote: Mapping[Hash32, int],
    ) -> BlockNode:
        """Put a block on top of another one."""
        assert block_hash not in self.nodes
        node = BlockNode(
            block_hash=block_hash, parent=parent, outline=outline, voters_by_vote=voters_by_vote
        )
        if not parent.children:
            node.stretch = parent.stretch
            node.stretch.tip = node
        elif len(parent.children) == 1:
            _split(parent)
        parent.children.append(node)
        self.nodes[block_hash] = node
        return node

    def block_at(self, node: BlockNode, slot: int) -> Hash32:
        """Name the last block of a node's chain with slot <= the one given.

        Reaches below the root as far as the root's own finalized block, which is as far as any rule asks.
        """
        found = self.block_at_if_kept(node, slot)
        assert found is not None, f"slot {slot} lies below what is kept"
        return found

    def block_at_if_kept(self, node: BlockNode, slot: int) -> Hash32 | None:
        """Name the last block of a node's chain with slot <= the one given; None where the tree does not reach."""
        if slot >= self.root.slot:
            return ancestor_at(node, slot).block_hash
        place = bisect_right(self._trunk, slot, key=_slot_of)
        return self._trunk[place - 1][1] if place else None

    def prune(self, new_root: BlockNode) -> list[BlockNode]:
        """Drop all that does not descend from a new root; remember the way down to the root's own finalized block."""
        if new_root is self.root:
            return []
        self._extend_trunk(new_root)
        kept = descendants(new_root)
        dropped = [node for node in self.nodes.values() if node not in kept]
        self.nodes = {node.block_hash: node for node in kept}
        self.root = new_root
        for node in dropped:
            self.remember_dropped(node.block_hash)
        new_root.parent, new_root.jump = None, new_root
        for node in kept:
            if node.parent is not None:
                node.jump = _jump_from(node.parent)
        return dropped

    def remember_dropped(self, block_hash: Hash32) -> None:
        """Remember that a block is known and settled: on the final chain below the tree, or against it."""
        self.dropped[block_hash] = None
        if len(self.dropped) > MAX_DROPPED:
            del self.dropped[next(iter(self.dropped))]

    def _extend_trunk(self, new_root: BlockNode) -> None:
        below: list[tuple[Slot, Hash32]] = []
        node = new_root.parent
        while node is not None:
            below.append((node.slot, node.block_hash))
            node = node.parent
        trunk = self._trunk + below[::-1]
        finalized_hash = new_root.outline.finalized.block_hash
        places = [place for place, entry in enumerate(trunk) if entry[1] == finalized_hash]
        self._trunk = trunk[places[0] :] if places else trunk


class SubtreeWeights:
    """For each block, how many validators' votes lie in its subtree; moved by difference, never recounted."""

    def __init__(self) -> None:
        self._weights: dict[BlockNode, int] = {}
        self._counted: dict[int, BlockNode] = {}

    def of(self, node: BlockNode) -> int:
        """Read the weight of the subtree under a block, the block included."""
        return self._weights.get(node, 0)

    def update(self, wanted: Mapping[int, BlockNode]) -> None:
        """Let each validator count where `wanted` says, and nowhere else."""
        if wanted == self._counted:
            return
        changes: dict[BlockNode, int] = {}
        for index, node in self._counted.items():
            if wanted.get(index) is not node:
                changes[node] = changes.get(node, 0) - 1
        for index, node in wanted.items():
            if self._counted.get(index) is not node:
                changes[node] = changes.get(node, 0) + 1
        self._counted = dict(wanted)
        self._carry_up(changes)

    def forget(self, dropped: Sequence[BlockNode]) -> None:
        """Let go of blocks that left the tree; no kept block's weight counts votes for them."""
        for node in dropped:
            self._weights.pop(node, None)
        gone = set(dropped)
        self._counted = {index: node for index, node in self._counted.items() if node not in gone}

    def _carry_up(self, changes: dict[BlockNode, int]) -> None:
        """Add changes to blocks and all their ancestors, deepest first, so that what cancels out goes no further."""
        heap = [(-node.depth, place, node) for place, node in enumerate(changes)]
        heapq.heapify(heap)
        place = len(heap)
        while heap:
            node = heapq.heappop(heap)[2]
            change = changes.pop(node)
            if not change:
                continue
            self._weights[node] = self._weights.get(node, 0) + change
            parent = node.parent
            if parent is None:
                continue
            if parent not in changes:
                changes[parent] = 0
                place += 1
                heapq.heappush(heap, (-parent.depth, place, parent))
            changes[parent] += change


def ancestor_at(node: BlockNode, slot: int) -> BlockNode:
    """Find the last block of a node's chain with slot <= the one given; the tree must reach that far down."""
    while node.slot > slot:
        if node.jump.slot > slot:
            node = node.jump
        else:
            assert node.parent is not None, f"slot {slot} lies below the tree"
            node = node.parent
    return node


def is_ancestor(ancestor: BlockNode, node: BlockNode) -> bool:
    """Tell whether a block is another one or lies below it on its chain."""
    return node.slot >= ancestor.slot and ancestor_at(node, ancestor.slot) is ancestor


def descendants(node: BlockNode) -> dict[BlockNode, None]:
    """List a block and everything on top of it, parents before children."""
    found = {node: None}
    waiting = [node]
    while waiting:
        children = waiting.pop().children
        found.update(dict.fromkeys(children))
        waiting.extend(children)
    return found


def _jump_from(parent: BlockNode) -> BlockNode:
    """Choose a block's jump: twice as far as its parent's where two jumps of one length meet (skew-binary)."""
    near, far = parent.jump, parent.jump.jump
    return far if parent.depth - near.depth == near.depth - far.depth else parent


def _split(fork: BlockNode) -> None:
    """End a stretch at a block that is about to become a fork; its only child starts a new one."""
    node = fork.children[0]
    if node.stretch is not fork.stretch:
        return
    old = fork.stretch
    upper = Stretch(old.tip)
    while True:
        node.stretch = upper
        if node is upper.tip:
            break
        node = node.children[0]
    old.tip = fork


def _slot_of(entry: tuple[Slot, Hash32]) -> Slot:
    return entry[0]
