# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Proof of finality
@license MIT
@author Faultline
@notice What of L1 itself is final, shown to a contract on it: every block holds the root of the consensus state after its
        parent (EIP-4788), that root is a SHA-256 tree over the state's fields, and one field is the finalized checkpoint.
        `node/consensus/state.py` makes the branch: `ConsensusState.branch(StateField.FINALIZED)`.
"""


# @dev The contract of EIP-4788: by a block's timestamp, the root of the consensus state after that block's parent.
_BEACON_ROOTS: constant(address) = 0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02


# @dev Place of the finalized checkpoint among the state's fields.
_FINALIZED_INDEX: constant(uint256) = 2


# @dev Length of a branch: there are 17 fields.
BRANCH_LENGTH: constant(uint256) = 5


# @dev Longest header that is accepted; with every number at its largest one has fewer.
HEADER_BYTES_MAX: constant(uint256) = 768


# @dev Where a header's number begins: behind the list's prefix of three bytes, five hashes of 33 and an address of 21, the
# bloom of 259 and the difficulty of one, which is zero.
_NUMBER_OFFSET: constant(uint256) = 449


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@view
def _finalized_number(
    header: Bytes[HEADER_BYTES_MAX],
    epoch: uint64,
    branch: DynArray[bytes32, BRANCH_LENGTH],
    timestamp: uint64,
) -> uint256:
    """
    @dev The number of a finalized L1 block; reverts if it is not shown to be final.
    @param header RLP of its header.
    @param epoch Epoch of the finalized checkpoint whose block it is.
    @param branch Siblings from the checkpoint to the state's root, from the lowest up.
    @param timestamp Of an L1 block, one of the newest 8,191 or so, that holds that root.
    @return uint256 Its number.
    """
    if len(branch) != BRANCH_LENGTH:
        raw_revert(method_id("NotFinalized()"))
    node: bytes32 = self._checkpoint_leaf(epoch, keccak256(header))
    place: uint256 = _FINALIZED_INDEX
    for sibling: bytes32 in branch:
        if place & 1 == 1:
            node = sha256(concat(sibling, node))
        else:
            node = sha256(concat(node, sibling))
        place >>= 1
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        _BEACON_ROOTS,
        abi_encode(timestamp),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32 or extract32(answer, 0) != node:
        raw_revert(method_id("NotFinalized()"))
    # From here on the header is one that L1 finalized, so its layout is known.
    return self._number(header)


@internal
@pure
def _checkpoint_leaf(epoch: uint64, block_hash: bytes32) -> bytes32:
    """
    @dev The leaf of a checkpoint: keccak-256 of rlp([epoch, block hash]).
    @param epoch Its epoch.
    @param block_hash Its block.
    @return bytes32 The leaf.
    """
    tail: Bytes[33] = concat(b"\xa0", block_hash)
    number: uint256 = convert(epoch, uint256)
    if epoch == 0:
        return keccak256(concat(b"\xe2\x80", tail))
    if epoch < 128:
        return keccak256(concat(b"\xe2", convert(convert(epoch, uint8), bytes1), tail))
    size: uint256 = 1
    for _: uint256 in range(7):
        if number >> (8 * size) == 0:
            break
        size += 1
    # A list (192) of the number's prefix (128), the number, the hash's prefix and the hash.
    head: Bytes[2] = concat(
        convert(convert(192 + 1 + size + 33, uint8), bytes1),
        convert(convert(128 + size, uint8), bytes1),
    )
    digits: Bytes[32] = slice(convert(epoch, bytes32), 32 - size, size)
    return keccak256(concat(head, digits, tail))


@internal
@pure
def _number(header: Bytes[HEADER_BYTES_MAX]) -> uint256:
    """
    @dev Reads a header's number.
    @param header RLP of a header of this chain.
    @return uint256 The number.
    """
    word: uint256 = convert(extract32(header, _NUMBER_OFFSET), uint256)
    # Below 128 the first byte is the number, from there on it says how many bytes the number has.
    first: uint256 = word >> 248
    if first < 128:
        return first
    size: uint256 = first - 128
    if size == 0:
        return 0
    return (word << 8) >> (256 - 8 * size)
