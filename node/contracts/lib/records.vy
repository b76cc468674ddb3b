# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Records of the Inbox
@license MIT
@author Faultline
@notice What one batch, or one forced advance, commits the L2 to: which blocks, which L1 origins, which bytes.
        The Inbox writes records, dispute games read them; both hash and pack them with these functions.
        `node/rollup/records.py` is the same rule in Python.
"""


# @dev The record itself is part of what the Inbox shows to others.
from ..interfaces import IInbox


# @dev A record of a batch that the batcher posted.
BATCH: constant(uint8) = 0


# @dev A record without user transactions that anyone forced.
EMPTY: constant(uint8) = 1


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@pure
def _accumulate(accumulator: bytes32, record: IInbox.Record) -> bytes32:
    """
    @dev The accumulator after one more record.
    @param accumulator The 32-byte accumulator before; zero before the first record.
    @param record The record.
    @return bytes32 keccak-256 of the accumulator and the record's hash.
    """
    return keccak256(concat(accumulator, keccak256(abi_encode(record))))


@internal
@pure
def _pack(record: IInbox.Record) -> uint256:
    """
    @dev All fields but the two hashes in one word.
    @param record The record.
    @return uint256 firstBlock, previousOrigin, origin (64 bits each from the lowest), blockCount (32), kind (8).
    """
    return (
        convert(record.firstBlock, uint256)
        | (convert(record.previousOrigin, uint256) << 64)
        | (convert(record.origin, uint256) << 128)
        | (convert(record.blockCount, uint256) << 192)
        | (convert(record.kind, uint256) << 224)
    )


@internal
@pure
def _unpack(word: uint256, batch_hash: bytes32, origins_hash: bytes32) -> IInbox.Record:
    """
    @dev The inverse of `_pack`.
    @param word What `_pack` gave.
    @param batch_hash The record's `batchHash`.
    @param origins_hash The record's `originsHash`.
    @return Record The record.
    """
    return IInbox.Record(
        kind=convert((word >> 224) & 255, uint8),
        batchHash=batch_hash,
        firstBlock=self._field(word, 0),
        blockCount=convert((word >> 192) & convert(max_value(uint32), uint256), uint32),
        previousOrigin=self._field(word, 64),
        origin=self._field(word, 128),
        originsHash=origins_hash,
    )


@internal
@pure
def _field(word: uint256, offset: uint256) -> uint64:
    """
    @dev Sixty-four bits of a word.
    @param word The word.
    @param offset Its lowest bit's place.
    @return uint64 The bits as a number.
    """
    return convert((word >> offset) & convert(max_value(uint64), uint256), uint64)
