"""Branches prove exactly their leaf in exactly its place."""

from __future__ import annotations

from hypothesis import given, strategies as st

from node.consensus.merkle import merkle_branch, merkle_root, root_of_branch
from node.eth.hashing import sha256
from node.eth.primitives import ZERO_HASH, Hash32

LEAVES = st.lists(st.binary(min_size=32, max_size=32).map(Hash32), min_size=1, max_size=20)


def test_small_trees_by_hand() -> None:
    a, b, c = (Hash32(bytes((number,)) * 32) for number in (1, 2, 3))
    assert merkle_root([a]) == a
    assert merkle_root([a, b]) == sha256(a + b)
    assert merkle_root([a, b, c]) == sha256(sha256(a + b) + sha256(c + ZERO_HASH))
    assert merkle_branch([a, b, c], 2) == (ZERO_HASH, sha256(a + b))


@given(LEAVES, st.data())
def test_every_branch_leads_to_the_root(leaves: list[Hash32], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    branch = merkle_branch(leaves, index)
    root = merkle_root(leaves)
    assert root_of_branch(leaves[index], index, branch) == root
    other = Hash32(bytes(x ^ 1 for x in leaves[index]))
    assert root_of_branch(other, index, branch) != root
