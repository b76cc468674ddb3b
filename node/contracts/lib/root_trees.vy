# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Trees of output roots
@license MIT
@author Faultline
@notice How a claim names the output roots that it consists of: one root for each L2 block, in order.
        Chunks of 1,024 roots are trees of depth 10, filled up with zeros; a claim of more roots is the tree over its
        chunks' trees, filled up with zeros to a power of two. A branch leads from a root through its chunk to the top.
        `node/rollup/claims.py` is the same rule in Python.
"""


# @dev Most roots of a chunk.
CHUNK_ROOTS: constant(uint256) = 1_024


# @dev Depth of a chunk's tree.
CHUNK_DEPTH: constant(uint256) = 10


# @dev Most chunks of a claim.
CHUNKS_MAX: constant(uint256) = 64


# @dev Longest branch: through a chunk, then through the tree over 64 chunks.
BRANCH_MAX: constant(uint256) = 16


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@pure
def _name(tree: bytes32, last: bytes32, count: uint256) -> bytes32:
    """
    @dev The name of published roots. It holds the count, since zeros fill a tree up, and the last root, so that a
         claim can be compared with it without a branch.
    @param tree The top of their tree.
    @param last The last one.
    @param count How many they are.
    @return bytes32 The name.
    """
    return keccak256(abi_encode(tree, last, count))


@internal
@pure
def _depth(count: uint256) -> uint256:
    """
    @dev How long the branches of so many roots are.
    @param count How many roots; 1 to 65,536.
    @return uint256 Length.
    """
    depth: uint256 = CHUNK_DEPTH
    width: uint256 = CHUNK_ROOTS
    for _: uint256 in range(BRANCH_MAX - CHUNK_DEPTH):
        if width >= count:
            break
        width *= 2
        depth += 1
    return depth


@internal
@pure
def _top(leaf: bytes32, index: uint256, branch: DynArray[bytes32, BRANCH_MAX]) -> bytes32:
    """
    @dev Where a branch leads.
    @param leaf The root at its foot.
    @param index The root's place, from zero.
    @param branch Siblings from the lowest up.
    @return bytes32 The top of the tree in which that root stands there.
    """
    node: bytes32 = leaf
    place: uint256 = index
    for sibling: bytes32 in branch:
        if place & 1 == 1:
            node = keccak256(concat(sibling, node))
        else:
            node = keccak256(concat(node, sibling))
        place >>= 1
    return node


@internal
@pure
def _chunk(roots: DynArray[bytes32, CHUNK_ROOTS]) -> bytes32:
    """
    @dev The tree over up to 1,024 roots.
    @param roots The roots; at least one.
    @return bytes32 Its top.
    """
    nodes: DynArray[bytes32, CHUNK_ROOTS] = roots
    width: uint256 = len(nodes)
    # The top of a tree of nothing but zeros, as high as the layer.
    filler: bytes32 = empty(bytes32)
    for _: uint256 in range(CHUNK_DEPTH):
        pairs: uint256 = width // 2
        for pair: uint256 in range(pairs, bound=512):
            nodes[pair] = keccak256(concat(nodes[2 * pair], nodes[2 * pair + 1]))
        if width % 2 == 1:
            nodes[pairs] = keccak256(concat(nodes[width - 1], filler))
            pairs += 1
        filler = keccak256(concat(filler, filler))
        width = pairs
    return nodes[0]


@internal
@pure
def _span(trees: DynArray[bytes32, CHUNKS_MAX]) -> bytes32:
    """
    @dev The tree over the trees of up to 64 chunks.
    @param trees The chunks' tops; at least one.
    @return bytes32 Its top.
    """
    nodes: DynArray[bytes32, CHUNKS_MAX] = trees
    width: uint256 = len(nodes)
    filler: bytes32 = empty(bytes32)
    for _: uint256 in range(CHUNK_DEPTH):
        filler = keccak256(concat(filler, filler))
    for _: uint256 in range(BRANCH_MAX - CHUNK_DEPTH):
        if width == 1:
            break
        pairs: uint256 = width // 2
        for pair: uint256 in range(pairs, bound=32):
            nodes[pair] = keccak256(concat(nodes[2 * pair], nodes[2 * pair + 1]))
        if width % 2 == 1:
            nodes[pairs] = keccak256(concat(nodes[width - 1], filler))
            pairs += 1
        filler = keccak256(concat(filler, filler))
        width = pairs
    return nodes[0]
