"""Binary SHA-256 Merkle trees over a fixed list of 32-byte leaves, as the consensus state's root is one.

A branch proves one leaf with log2(leaves) hashes; missing leaves up to the next power of two are zero words.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.eth.hashing import sha256
from node.eth.primitives import ZERO_HASH, Hash32


def merkle_root(leaves: Sequence[Hash32]) -> Hash32:
    """Hash leaves pairwise up to one root."""
    return _layers(leaves)[-1][0]


def merkle_branch(leaves: Sequence[Hash32], index: int) -> tuple[Hash32, ...]:
    """Collect the siblings from a leaf to the root, lowest first."""
    layers = _layers(leaves)
    return tuple(layer[(index >> depth) ^ 1] for depth, layer in enumerate(layers[:-1]))


def root_of_branch(leaf: Hash32, index: int, branch: Sequence[Hash32]) -> Hash32:
    """Recompute the root that a leaf and its branch lead to."""
    node = leaf
    for depth, sibling in enumerate(branch):
        node = sha256(sibling + node if index >> depth & 1 else node + sibling)
    return node


def _layers(leaves: Sequence[Hash32]) -> list[list[Hash32]]:
    width = 1 << max(0, len(leaves) - 1).bit_length()
    layers = [[*leaves, *[ZERO_HASH] * (width - len(leaves))]]
    while len(layer := layers[-1]) > 1:
        layers.append([sha256(layer[i] + layer[i + 1]) for i in range(0, len(layer), 2)])
    return layers
