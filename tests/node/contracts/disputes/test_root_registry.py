"""The RootRegistry: what it names, logs and joins is what node.rollup.claims says."""

from __future__ import annotations

import pytest

from node.contracts.disputes import read_roots_published, read_roots_spanned
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Hash32
from node.rollup.claims import RootTree, roots_id
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.dispute_world import LIAR, REGISTRY, DisputeWorld


@pytest.fixture(scope="module")
def world() -> DisputeWorld:
    """Names only grow, so one world serves all."""
    return DisputeWorld.open()


def roots(count: int, salt: int = 0) -> tuple[Hash32, ...]:
    """Different ones."""
    return tuple(keccak256(salt.to_bytes(8) + number.to_bytes(8)) for number in range(count))


def publish(world: DisputeWorld, some: tuple[Hash32, ...]) -> Receipt:
    """One chunk."""
    return world.network.world.transact(FORCER, REGISTRY, "publish", some)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 511, 512, 1_023, 1_024])
def test_a_publication_is_named_as_the_rules_name_it(world: DisputeWorld, count: int) -> None:
    """Given roots, then name, tree and log are those of the twin, and anyone can read the roots from the log."""
    tree = RootTree(roots(count))
    (log,) = publish(world, tree.roots).logs
    published = read_roots_published(log.topics, log.data)
    assert published is not None
    assert (published.id, published.tree, published.last) == (tree.id, tree.tree, tree.last)
    assert published.roots == tree.roots
    assert world.network.world.read(REGISTRY, "treeOf", tree.id) == tree.tree


@pytest.mark.parametrize("count", [1_025, 2_048, 3_000, 5_001])
def test_a_span_is_named_as_the_rules_name_it(world: DisputeWorld, count: int) -> None:
    tree = RootTree(roots(count))
    for chunk in tree.chunks:
        publish(world, chunk.roots)
    trees = tuple(chunk.tree for chunk in tree.chunks)
    lasts = tuple(chunk.last for chunk in tree.chunks)
    receipt = world.network.world.transact(FORCER, REGISTRY, "span", trees, lasts, count)
    (log,) = receipt.logs
    spanned = read_roots_spanned(log.topics, log.data)
    assert spanned is not None
    assert (spanned.id, spanned.tree, spanned.last) == (tree.id, tree.tree, tree.last)
    assert (spanned.count, spanned.trees) == (count, trees)
    assert world.network.world.read(REGISTRY, "treeOf", tree.id) == tree.tree


def test_one_chunk_spans_to_itself(world: DisputeWorld) -> None:
    tree = RootTree(roots(3, salt=1))
    publish(world, tree.roots)
    world.network.world.transact(FORCER, REGISTRY, "span", [tree.tree], [tree.last], 3)
    assert world.network.world.read(REGISTRY, "treeOf", tree.id) == tree.tree


@pytest.mark.parametrize("count", [1, 2, 9, 1_024, 1_025, 2_500])
def test_every_root_proves_its_place_and_no_other(world: DisputeWorld, count: int) -> None:
    tree = RootTree(roots(count))
    read = world.network.world.read
    places = sorted({0, 1 % count, count // 2, count - 1, min(1_023, count - 1), 1_024 % count})
    for index in places:
        root, branch = tree.roots[index], tree.branch(index)
        assert read(REGISTRY, "proves", tree.tree, count, index, root, branch) is True
        for wrong in {index ^ 1, index + 1, index + 1_024, index + (1 << 16)}:
            assert read(REGISTRY, "proves", tree.tree, count, wrong, root, branch) is False
        assert read(REGISTRY, "proves", tree.tree, count, index, root, branch[:-1]) is False
        assert read(REGISTRY, "proves", tree.tree, count, index, ZERO_HASH, branch) is False


def test_the_zeros_behind_the_last_root_are_no_roots(world: DisputeWorld) -> None:
    """Given a place behind the last root, then its zero is in the tree and still proves nothing."""
    tree, longer = RootTree(roots(3)), RootTree((*roots(3), ZERO_HASH))
    branch = longer.branch(3)
    read = world.network.world.read
    assert read(REGISTRY, "proves", tree.tree, 4, 3, ZERO_HASH, branch) is True
    assert read(REGISTRY, "proves", tree.tree, 3, 3, ZERO_HASH, branch) is False


def test_publishing_twice_changes_nothing(world: DisputeWorld) -> None:
    """Given somebody who published the same roots first, then the second call succeeds and is logged as well."""
    some = roots(4, salt=2)
    world.network.world.transact(LIAR, REGISTRY, "publish", some)
    assert len(publish(world, some).logs) == 1
    assert world.network.world.read(REGISTRY, "treeOf", RootTree(some).id) == RootTree(some).tree


def test_nothing_is_no_publication(world: DisputeWorld) -> None:
    with pytest.raises(Reverted, match="NoRoots"):
        publish(world, ())


def test_more_roots_than_a_chunk_holds_do_not_decode(world: DisputeWorld) -> None:
    with pytest.raises(Reverted, match=r"^\(\)$"):
        publish(world, roots(1_025))


def test_spans_are_of_published_full_chunks(world: DisputeWorld) -> None:
    """Given chunks that are short, unknown, in another order or counted wrong, then nothing is named."""
    tree = RootTree(roots(2_050, salt=3))
    for chunk in tree.chunks:
        publish(world, chunk.roots)
    trees = [chunk.tree for chunk in tree.chunks]
    lasts = [chunk.last for chunk in tree.chunks]

    def refused(wanted: str, *arguments: object) -> None:
        with pytest.raises(Reverted, match=wanted):
            world.network.world.transact(FORCER, REGISTRY, "span", *arguments)

    refused("WrongSpan", [], [], 0)
    refused("WrongSpan", trees, lasts[:2], 2_050)
    refused("WrongSpan", trees, lasts, 2_048)
    refused("WrongSpan", trees, lasts, 3_073)
    refused(r"UnknownChunk\(2,\)", trees, lasts, 2_049)
    refused(r"UnknownChunk\(2,\)", trees, lasts, 2_051)
    refused(r"UnknownChunk\(0,\)", [trees[2], trees[0]], [lasts[2], lasts[0]], 2_048)
    refused(r"UnknownChunk\(1,\)", trees, [lasts[0], lasts[0], lasts[2]], 2_050)
    refused(r"UnknownChunk\(0,\)", [b"\x01" * 32], [b"\x02" * 32], 5)


def test_a_span_is_no_chunk_of_another(world: DisputeWorld) -> None:
    """Given a span that is named like any roots, then it can't stand for a chunk of as many: its count is too large."""
    tree = RootTree(roots(1_025, salt=4))
    world.publish(tree)
    with pytest.raises(Reverted, match=r"UnknownChunk\(0,\)"):
        world.network.world.transact(
            FORCER, REGISTRY, "span", [tree.tree, tree.tree], [tree.last, tree.last], 2_048
        )
    assert world.network.world.read(
        REGISTRY, "treeOf", roots_id(tree.tree, tree.last, 1_024)
    ) == bytes(32)


def test_a_publication_counts_for_256_blocks() -> None:
    """Given roots published at some block, then 256 blocks on they still count, one later they do not, until published again."""
    world = DisputeWorld.open()
    some = RootTree(roots(3))
    publish(world, some.roots)
    # A call that is asked stands in the head's environment.
    world.pass_blocks(256)
    assert world.network.world.read(REGISTRY, "treeOf", some.id) == some.tree
    world.pass_blocks(1)
    assert world.network.world.read(REGISTRY, "treeOf", some.id) == ZERO_HASH
    publish(world, some.roots)
    assert world.network.world.read(REGISTRY, "treeOf", some.id) == some.tree


def test_a_span_is_as_old_as_its_oldest_chunk() -> None:
    """Given chunks of different age, then their span ends with the first of them, however late it was made."""
    world = DisputeWorld.open()
    tree = RootTree(roots(1_030))
    first, second = tree.chunks
    publish(world, first.roots)
    oldest = world.height
    world.pass_blocks(100)
    publish(world, second.roots)
    world.pass_blocks(100)
    arguments = ([first.tree, second.tree], [first.last, second.last], 1_030)
    world.network.world.transact(FORCER, REGISTRY, "span", *arguments)
    world.pass_blocks(oldest + 256 - world.height)
    assert world.network.world.read(REGISTRY, "treeOf", tree.id) == tree.tree
    world.pass_blocks(1)
    assert world.network.world.read(REGISTRY, "treeOf", tree.id) == ZERO_HASH
    with pytest.raises(Reverted, match=r"UnknownChunk\(0,\)"):
        world.network.world.transact(FORCER, REGISTRY, "span", *arguments)
