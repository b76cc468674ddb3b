# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title RootRegistry
@license MIT
@author Faultline
@notice Where the output roots that games claim are published. A game names roots by the hash of their tree; here anyone
        finds out that they exist, and from the logs what they are. Whether they are true is not judged here.
        Anyone may publish anything, and again: a name holds its roots and nothing else. It is known for 256 blocks, so that
        who looks for the roots of a game finds them there, even without older logs.
@custom:errors NoRoots(): There is nothing to publish.
               WrongSpan(): There are not as many chunks, or not as many last roots, as so many roots make.
               UnknownChunk(uint256 index): No such roots were published lately, or not so many, or with another last one.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IRootRegistry
implements: IRootRegistry


# @dev How roots are hashed, shared with the games that claim them.
from ..lib import root_trees


# @dev L1 blocks for which a publication counts, its own not included.
AGE_MAX: public(constant(uint256)) = 256


# @dev What is kept of a publication.
struct Publication:
    # The top of the roots' tree.
    tree: bytes32
    # Where the oldest log lies that is needed to read the roots.
    block_number: uint256


# @dev Publications by the name of their roots.
_publications: HashMap[bytes32, Publication]


@deploy
def __init__():
    """
    @notice Nothing: storage of zeros is the start.
    """
    pass


@external
def publish(roots: DynArray[bytes32, root_trees.CHUNK_ROOTS]) -> bytes32:
    """
    @notice Publishes output roots of consecutive L2 blocks.
    @param roots The roots; 1 to 1,024.
    @return bytes32 Their name.
    """
    count: uint256 = len(roots)
    if count == 0:
        raw_revert(method_id("NoRoots()"))
    last: bytes32 = roots[count - 1]
    tree: bytes32 = root_trees._chunk(roots)
    id: bytes32 = root_trees._name(tree, last, count)
    self._publications[id] = Publication(tree=tree, block_number=block.number)
    log IRootRegistry.RootsPublished(id=id, tree=tree, last=last, roots=roots)
    return id


@external
def span(
    trees: DynArray[bytes32, root_trees.CHUNKS_MAX],
    lasts: DynArray[bytes32, root_trees.CHUNKS_MAX],
    count: uint256,
) -> bytes32:
    """
    @notice Joins published chunks into one. All but the last have 1,024 roots.
    @param trees The chunks' trees, in order; 1 to 64.
    @param lasts The last root of each.
    @param count How many roots they have together.
    @return bytes32 The name of all their roots.
    """
    chunks: uint256 = len(trees)
    if chunks == 0 or len(lasts) != chunks or count > chunks * root_trees.CHUNK_ROOTS:
        raw_revert(method_id("WrongSpan()"))
    before: uint256 = (chunks - 1) * root_trees.CHUNK_ROOTS
    if count <= before:
        raw_revert(method_id("WrongSpan()"))
    oldest: uint256 = block.number
    for index: uint256 in range(chunks, bound=root_trees.CHUNKS_MAX):
        size: uint256 = root_trees.CHUNK_ROOTS
        if index == chunks - 1:
            size = count - before
        name: bytes32 = root_trees._name(trees[index], lasts[index], size)
        if self._tree_of(name) == empty(bytes32):
            raw_revert(abi_encode(index, method_id=method_id("UnknownChunk(uint256)")))
        oldest = min(oldest, self._publications[name].block_number)
    tree: bytes32 = root_trees._span(trees)
    last: bytes32 = lasts[chunks - 1]
    id: bytes32 = root_trees._name(tree, last, count)
    self._publications[id] = Publication(tree=tree, block_number=oldest)
    log IRootRegistry.RootsSpanned(id=id, tree=tree, last=last, count=count, trees=trees)
    return id


@external
@view
def treeOf(id: bytes32) -> bytes32:
    """
    @notice The tree of roots that are published.
    @param id Their name.
    @return bytes32 The top of their tree; zero if they were not published within the last 256 blocks.
    """
    return self._tree_of(id)


@external
@pure
def proves(
    tree: bytes32,
    count: uint256,
    index: uint256,
    root: bytes32,
    branch: DynArray[bytes32, root_trees.BRANCH_MAX],
) -> bool:
    """
    @notice Whether a root stands at a place in a tree, as games judge it.
    @param tree The top of the tree.
    @param count How many roots it has.
    @param index The place, from zero.
    @param root The root.
    @param branch Siblings from the lowest up; as many as the tree is deep.
    @return bool Whether it does.
    """
    return (
        index < count
        and len(branch) == root_trees._depth(count)
        and root_trees._top(root, index, branch) == tree
    )


@internal
@view
def _tree_of(id: bytes32) -> bytes32:
    """
    @dev The tree of roots that are published.
    @param id Their name.
    @return bytes32 The top of their tree; zero if they were not published within the last 256 blocks.
    """
    if block.number > self._publications[id].block_number + AGE_MAX:
        return empty(bytes32)
    return self._publications[id].tree
