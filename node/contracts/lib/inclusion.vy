# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Proofs that a storage word is one
@license MIT
@author Faultline
@notice Walks a Merkle-Patricia storage trie from its root to a leaf with value 1, one node a call:

            root -> _root -> _descend for each node -> _is_found

        A trie's nodes have one encoding, and so has a proof: every node on the path is one element, in order, also a
        node of under 32 bytes that lies in its parent (tools that prove withdrawals of the OP Stack add it at the end).
        Everything else is refused by name, however the hashes fit: longer forms of lengths, other prefixes of paths,
        short nodes behind a hash and long ones without, branches with one child, chains of extensions, further nodes.
        Keys have 32 bytes, so a branch never holds a value and a node never has more than 532 bytes.
        Source: Ethereum's Yellow Paper, appendices B, C, D.
"""


# @dev Where a walk has come to.
struct Place:
    # keccak-256 of the next node.
    node: bytes32
    # Nibbles of the key that lie behind; `_FOUND` once the leaf was read.
    depth: uint256
    # Whether the next node lay in its parent.
    is_inlined: bool
    # Whether the next node comes after an extension, and has to be a branch.
    is_extended: bool


# @dev The longest node: a branch of sixteen hashes.
NODE_MAX: constant(uint256) = 532


# @dev The longest proof: sixty-four branches and a leaf.
NODES_MAX: constant(uint256) = 65


# @dev A node and the word behind it.
_PADDED_MAX: constant(uint256) = NODE_MAX + 32


# @dev From here on a node is named by its hash.
_HASHED_MIN: constant(uint256) = 32


# @dev Nibbles of a key.
_NIBBLES: constant(uint256) = 64


# @dev Depth behind the leaf.
_FOUND: constant(uint256) = _NIBBLES + 1


# @dev First byte of the RLP of a string of no bytes: a branch without a child there.
_EMPTY: constant(uint256) = 128


# @dev First byte of the RLP of a hash.
_HASH: constant(uint256) = 160


# @dev First byte of the RLP of a string of 56 bytes or more, behind a length of one byte: no node has one.
_STRING_LONG: constant(uint256) = 184


# @dev First byte of the RLP of a list of no bytes.
_LIST: constant(uint256) = 192


# @dev First byte of the RLP of a list of 56 bytes or more, behind a length of one byte; the next one's has two.
_LIST_LONG: constant(uint256) = 248


# @dev First byte of the RLP of a list of 30 bytes: with it a node has 31, the most that lie in a parent.
_INLINED_LAST: constant(uint256) = 222


# @dev The longest path, in bytes: flags and 64 nibbles.
_PATH_MAX: constant(uint256) = 33


# @dev Flags of a path: an odd number of nibbles, the first one beside the flags.
_ODD: constant(uint256) = 16


# @dev Flags of a path: a leaf's, not an extension's.
_LEAF: constant(uint256) = 32


# @dev Flags of a path that nothing has.
_UNUSED: constant(uint256) = 192


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@pure
def _root(root: bytes32) -> Place:
    """
    @dev Where a walk begins.
    @param root The trie's root.
    @return Place Before the first node.
    """
    return Place(node=root, depth=0, is_inlined=False, is_extended=False)


@internal
@pure
def _is_found(place: Place) -> bool:
    """
    @dev Whether a walk has read a leaf with value 1.
    @param place Where it has come to.
    @return bool Whether it has.
    """
    return place.depth == _FOUND


@internal
@pure
def _descend(place: Place, key: uint256, node: Bytes[NODE_MAX]) -> Place:
    """
    @dev One step of a walk.
    @param place Where it has come to.
    @param key keccak-256 of the storage slot.
    @param node The next node.
    @return Place Behind the node.
    """
    size: uint256 = len(node)
    if place.depth == _FOUND or keccak256(node) != place.node or (size < _HASHED_MIN) != place.is_inlined:
        self._refuse()
    # Behind the node lies a word of zeros, so that a word can be read from everywhere in it.
    padded: Bytes[_PADDED_MAX] = concat(node, empty(bytes32))
    first: uint256 = self._first_item(convert(extract32(padded, 0), uint256), size)
    second: uint256 = first + self._item_size(self._byte(padded, first))
    if second >= size:
        self._refuse()
    if second + self._item_size(self._byte(padded, second)) != size:
        nibble: uint256 = (key >> (252 - 4 * min(place.depth, _NIBBLES - 1))) & 15
        return self._child(
            padded, self._branch(padded, first, size, nibble), place.depth + 1, False
        )
    if place.is_extended:
        self._refuse()
    is_leaf: bool = False
    depth: uint256 = 0
    is_leaf, depth = self._follow(padded, first, second - first, key, place.depth)
    if not is_leaf:
        if depth == place.depth:
            self._refuse()
        return self._child(padded, second, depth, True)
    # The value is RLP of one, which is one byte and its own RLP.
    if depth != _NIBBLES or self._byte(padded, second) != 1:
        self._refuse()
    return Place(node=empty(bytes32), depth=_FOUND, is_inlined=False, is_extended=False)


@internal
@pure
def _child(padded: Bytes[_PADDED_MAX], at: uint256, depth: uint256, is_extended: bool) -> Place:
    """
    @dev Goes on to a child.
    @param padded The parent.
    @param at Where it refers to the child.
    @param depth Nibbles of the key that lie behind then.
    @param is_extended Whether the parent is an extension.
    @return Place Before the child.
    """
    # A child has something of the key left, but for the leaf below a branch of the last nibble.
    if depth > _NIBBLES or (depth == _NIBBLES and is_extended):
        self._refuse()
    prefix: uint256 = self._byte(padded, at)
    if prefix == _HASH:
        return Place(
            node=extract32(padded, at + 1), depth=depth, is_inlined=False, is_extended=is_extended
        )
    if not self._is_inlined(prefix):
        self._refuse()
    inlined: Bytes[_PADDED_MAX] = slice(padded, at, self._item_size(prefix))
    return Place(node=keccak256(inlined), depth=depth, is_inlined=True, is_extended=is_extended)


@internal
@pure
def _branch(padded: Bytes[_PADDED_MAX], first: uint256, size: uint256, nibble: uint256) -> uint256:
    """
    @dev Reads a branch: sixteen references, two of them at least to something, and no value.
    @param padded The node.
    @param first Where its first item lies.
    @param size Its length.
    @param nibble Which child is asked for.
    @return uint256 Where the reference to it lies.
    """
    child: uint256 = 0
    children: uint256 = 0
    at: uint256 = first
    for index: uint256 in range(17):
        if at >= size:
            self._refuse()
        if index == nibble:
            child = at
        # Not `_byte`, which would copy the node seventeen times.
        prefix: uint256 = convert(extract32(padded, at), uint256) >> 248
        if prefix == _EMPTY:
            at += 1
            continue
        # The last item would be a value.
        if index == 16:
            self._refuse()
        children += 1
        if prefix == _HASH:
            at += 33
        elif self._is_inlined(prefix):
            at += prefix - _LIST + 1
        else:
            self._refuse()
    if at != size or children < 2:
        self._refuse()
    return child


@internal
@pure
def _follow(
    padded: Bytes[_PADDED_MAX], at: uint256, size: uint256, key: uint256, depth: uint256
) -> (bool, uint256):
    """
    @dev Follows the path of a leaf or an extension, in hex-prefix encoding: flags and perhaps a nibble, then bytes.
    @param padded The node.
    @param at Where the path lies.
    @param size Its length.
    @param key What it has to agree with.
    @param depth Nibbles of the key that lie behind.
    @return bool Whether it is a leaf's.
    @return uint256 Nibbles that lie behind then.
    """
    word: uint256 = convert(extract32(padded, at), uint256)
    flags: uint256 = word >> 248
    count: uint256 = 0
    tail: uint256 = 0
    if size > 1:
        # A path of one byte is its own RLP; the longest one has 33.
        if flags < _EMPTY + 2 or flags > _EMPTY + _PATH_MAX:
            self._refuse()
        flags = (word >> 240) & 255
        count = size - 2
        tail = convert(extract32(padded, at + 2), uint256) >> (256 - 8 * count)
    # Four flags are unused; of an even path the nibble beside them is, too.
    if flags & _UNUSED != 0 or (flags & _ODD == 0 and flags & 15 != 0):
        self._refuse()
    path: uint256 = ((flags & 15) << (8 * count)) | tail
    nibbles: uint256 = 2 * count + (flags & _ODD) // _ODD
    if depth + nibbles > _NIBBLES or (key << (4 * depth)) >> (256 - 4 * nibbles) != path:
        self._refuse()
    return flags & _LEAF != 0, depth + nibbles


@internal
@pure
def _first_item(word: uint256, size: uint256) -> uint256:
    """
    @dev Reads the prefix of a node's list, which has to end with the node.
    @param word The node's first 32 bytes.
    @param size The node's length.
    @return uint256 Where the first item lies.
    """
    prefix: uint256 = word >> 248
    length: uint256 = 0
    if prefix == _LIST_LONG + 1:
        length = (word >> 232) & 65_535
        if length > 255 and length + 3 == size:
            return 3
    elif prefix == _LIST_LONG:
        length = (word >> 240) & 255
        if length > 55 and length + 2 == size:
            return 2
    elif prefix > _LIST and prefix < _LIST_LONG and prefix - _LIST + 1 == size:
        return 1
    self._refuse()
    return 0


@internal
@pure
def _item_size(prefix: uint256) -> uint256:
    """
    @dev Length of an item with its prefix.
    @param prefix Its first byte.
    @return uint256 Bytes; no item of a node has 56 behind its prefix.
    """
    if prefix < _EMPTY:
        return 1
    if prefix < _STRING_LONG:
        return prefix - _EMPTY + 1
    if prefix < _LIST or prefix >= _LIST_LONG:
        self._refuse()
    return prefix - _LIST + 1


@internal
@pure
def _is_inlined(prefix: uint256) -> bool:
    """
    @dev Whether a reference is the child itself.
    @param prefix Its first byte.
    @return bool Whether it is a list of something that is shorter than a hash.
    """
    return prefix > _LIST and prefix <= _INLINED_LAST


@internal
@pure
def _byte(padded: Bytes[_PADDED_MAX], at: uint256) -> uint256:
    """
    @dev One byte.
    @param padded The node.
    @param at Its place.
    @return uint256 The byte as a number.
    """
    return convert(extract32(padded, at), uint256) >> 248


@internal
@pure
def _refuse():
    """
    @dev Ends the call: this is no proof.
    """
    raw_revert(method_id("OptimismPortal_InvalidMerkleProof()"))
