"""Claims: what a dispute game on L1 says of the L2, and how it names the output roots that it consists of.

    roots after every block > RootTree > RootRegistry.publish, span > id > Claim.encode > DisputeGameFactory.create
                                       > branch(index) > NativeFaultGame.proveFault

A claim covers 1 to 65,536 blocks. Chunks of 1,024 roots are trees of depth 10 filled up with zeros; more roots are the
tree over the chunks' trees, filled up with zeros to a power of two. `node/contracts/lib/root_trees.vy` is the same rule.
Deliberately absent: whether a root is true, and the contracts' calls (node.contracts.disputes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, BlockNumber, Hash32

CHUNK_ROOTS: Final = 1_024
"""Most roots of one publication."""

CHUNKS_MAX: Final = 64
"""Most chunks of a claim."""

MAX_CLAIM_BLOCKS: Final = CHUNK_ROOTS * CHUNKS_MAX
"""Most L2 blocks of a claim."""

EXTRA_DATA_BYTES: Final = 116
"""What a game is made with beside the root."""

_CHUNK_DEPTH = 10
_WORD = 32
_NO_PARENT = Address(bytes(20))

_Layers = tuple[tuple[Hash32, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a game says beside the output root: the factory's `extraData`."""

    l2_block: BlockNumber
    """After which block the root is said to be the output root."""
    parent: Address | None
    """The game that it starts from, 20 bytes; None for the anchor. Its address commits to all that it claims."""
    roots_id: Hash32
    """Name of the published roots after every block from there on."""
    accumulator: Hash32
    """The Inbox's after the record of `l2_block`: a claim made for one fork of L1 is refused on another."""

    def encode(self) -> bytes:
        """Encode in 116 bytes."""
        parent = _NO_PARENT if self.parent is None else self.parent
        return self.l2_block.to_bytes(_WORD) + parent + self.roots_id + self.accumulator


@dataclass(frozen=True, slots=True)
class Chunk:
    """Roots that are published with one call."""

    roots: tuple[Hash32, ...]
    """1 to 1,024; only the last chunk of a claim has fewer."""
    tree: Hash32
    """The top of their tree."""

    @property
    def last(self) -> Hash32:
        """The last of them."""
        return self.roots[-1]

    @property
    def id(self) -> Hash32:
        """Their name in the RootRegistry."""
        return roots_id(self.tree, self.last, len(self.roots))


@dataclass(frozen=True, slots=True)
class RootTree:
    """The output roots after consecutive L2 blocks, as one claim."""

    roots: tuple[Hash32, ...]
    """1 to 65,536."""
    _chunks: tuple[_Layers, ...] = field(init=False, repr=False, compare=False)
    _top: _Layers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Hash everything once."""
        assert 1 <= len(self.roots) <= MAX_CLAIM_BLOCKS, "a claim covers 1 to 65,536 blocks"
        starts = range(0, len(self.roots), CHUNK_ROOTS)
        chunks = tuple(
            _layers(self.roots[start : start + CHUNK_ROOTS], ZERO_HASH, _CHUNK_DEPTH)
            for start in starts
        )
        depth = (len(chunks) - 1).bit_length()
        top = _layers([layers[-1][0] for layers in chunks], _FILLERS[_CHUNK_DEPTH], depth)
        object.__setattr__(self, "_chunks", chunks)
        object.__setattr__(self, "_top", top)

    @property
    def tree(self) -> Hash32:
        """The top of the tree."""
        return self._top[-1][0]

    @property
    def last(self) -> Hash32:
        """The root that is claimed."""
        return self.roots[-1]

    @property
    def id(self) -> Hash32:
        """The roots' name in the RootRegistry."""
        return roots_id(self.tree, self.last, len(self.roots))

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """What is published, call by call; more than one are spanned afterwards."""
        return tuple(
            Chunk(self.roots[place * CHUNK_ROOTS :][:CHUNK_ROOTS], layers[-1][0])
            for place, layers in enumerate(self._chunks)
        )

    def branch(self, index: int) -> tuple[Hash32, ...]:
        """Prove the root at a place: siblings from the lowest up; 10 to 16 of them."""
        assert 0 <= index < len(self.roots), "no such root"
        chunk, place = divmod(index, CHUNK_ROOTS)
        return _siblings(self._chunks[chunk], place, 0) + _siblings(self._top, chunk, _CHUNK_DEPTH)


def roots_id(tree: Hash32, last: Hash32, count: int) -> Hash32:
    """Name roots: keccak of the top of their tree, the last one, and how many they are."""
    return keccak256(tree + last + count.to_bytes(_WORD))


def decode_claim(extra_data: bytes) -> Claim | None:
    """Read a game's extra data; None if no game could have it."""
    number = int.from_bytes(extra_data[:_WORD])
    if len(extra_data) != EXTRA_DATA_BYTES or number >= 1 << 64:
        return None
    parent = Address(extra_data[32:52])
    return Claim(
        l2_block=BlockNumber(number),
        parent=None if parent == _NO_PARENT else parent,
        roots_id=Hash32(extra_data[52:84]),
        accumulator=Hash32(extra_data[84:116]),
    )


def top_of_branch(root: Hash32, index: int, branch: Sequence[Hash32]) -> Hash32:
    """Follow a branch from a root to the top of its tree."""
    node = root
    for depth, sibling in enumerate(branch):
        node = keccak256(sibling + node if index >> depth & 1 else node + sibling)
    return node


def _fillers() -> tuple[Hash32, ...]:
    """Tops of trees of nothing but zeros, by depth."""
    tops = [ZERO_HASH]
    for _ in range(_CHUNK_DEPTH + (CHUNKS_MAX - 1).bit_length()):
        tops.append(keccak256(tops[-1] + tops[-1]))
    return tuple(tops)


_FILLERS: Final = _fillers()


def _layers(leaves: Sequence[Hash32], filler: Hash32, depth: int) -> _Layers:
    """Hash leaves pairwise upwards; what is missing on the right is a tree of zeros."""
    layers = [tuple(leaves)]
    for _ in range(depth):
        below = layers[-1] if len(layers[-1]) % 2 == 0 else (*layers[-1], filler)
        layers.append(tuple(keccak256(below[at] + below[at + 1]) for at in range(0, len(below), 2)))
        filler = keccak256(filler + filler)
    return tuple(layers)


def _siblings(layers: _Layers, index: int, lowest: int) -> tuple[Hash32, ...]:
    """Siblings from a leaf up; the leaves lie `lowest` layers above roots."""
    return tuple(
        layer[place] if (place := index >> height ^ 1) < len(layer) else _FILLERS[lowest + height]
        for height, layer in enumerate(layers[:-1])
    )
