"""Claims: how roots are named, proven and written into a game's extra data."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, BlockNumber, Hash32
from node.rollup.claims import (
    CHUNK_ROOTS,
    MAX_CLAIM_BLOCKS,
    Claim,
    RootTree,
    decode_claim,
    roots_id,
    top_of_branch,
)


def roots(count: int) -> tuple[Hash32, ...]:
    """Different ones."""
    return tuple(keccak256(number.to_bytes(8)) for number in range(count))


def full_tree(leaves: list[Hash32], depth: int) -> Hash32:
    """The plain way: every leaf is there."""
    layer = leaves + [ZERO_HASH] * ((1 << depth) - len(leaves))
    while len(layer) > 1:
        layer = [keccak256(layer[at] + layer[at + 1]) for at in range(0, len(layer), 2)]
    return layer[0]


@pytest.mark.parametrize(
    ("count", "depth"),
    [(1, 10), (2, 10), (3, 10), (1_023, 10), (1_024, 10), (1_025, 11), (2_049, 12)],
)
def test_a_tree_is_the_one_over_all_roots_and_zeros(count: int, depth: int) -> None:
    """Given any number of roots, then skipping what is empty changes nothing; every branch leads to the top."""
    tree = RootTree(roots(count))
    assert tree.tree == full_tree(list(roots(count)), depth)
    for index in {0, 1 % count, count // 2, count - 1}:
        branch = tree.branch(index)
        assert len(branch) == depth
        assert top_of_branch(tree.roots[index], index, branch) == tree.tree


def test_chunks_are_full_but_the_last() -> None:
    tree = RootTree(roots(2 * CHUNK_ROOTS + 5))
    assert [len(chunk.roots) for chunk in tree.chunks] == [1_024, 1_024, 5]
    assert [chunk.id for chunk in tree.chunks] == [
        roots_id(chunk.tree, chunk.roots[-1], len(chunk.roots)) for chunk in tree.chunks
    ]
    assert tree.chunks[-1].last == tree.last


def test_one_chunk_is_the_claim_itself() -> None:
    tree = RootTree(roots(7))
    (chunk,) = tree.chunks
    assert (chunk.id, chunk.tree, chunk.roots) == (tree.id, tree.tree, tree.roots)


def test_trailing_zeros_count() -> None:
    """Given two claims with the same tree, then their names differ: the count is in them."""
    short, long = RootTree(roots(2)), RootTree((*roots(2), ZERO_HASH))
    assert short.tree == long.tree
    assert short.id != long.id


@pytest.mark.parametrize("count", [0, MAX_CLAIM_BLOCKS + 1])
def test_a_claim_has_its_bounds(count: int) -> None:
    with pytest.raises(AssertionError, match="1 to 65,536"):
        RootTree((ZERO_HASH,) * count)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 70), index=st.integers(0, 69), wrong=st.integers(0, 69))
def test_a_branch_proves_one_place_only(count: int, index: int, wrong: int) -> None:
    index, wrong = index % count, wrong % count
    tree = RootTree(roots(count))
    leads = top_of_branch(tree.roots[index], wrong, tree.branch(index)) == tree.tree
    assert leads is (index == wrong)


@pytest.mark.parametrize("parent", [None, Address(b"\x91" * 20)])
def test_extra_data_round_trips(parent: Address | None) -> None:
    claim = Claim(
        l2_block=BlockNumber(2**64 - 1),
        parent=parent,
        roots_id=Hash32(b"\x01" * 32),
        accumulator=Hash32(b"\x02" * 32),
    )
    assert len(claim.encode()) == 116
    assert decode_claim(claim.encode()) == claim


@pytest.mark.parametrize("data", [b"", bytes(115), bytes(117), b"\x01" + bytes(115)])
def test_extra_data_of_no_game_is_none(data: bytes) -> None:
    assert decode_claim(data) is None
