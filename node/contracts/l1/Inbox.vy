# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Inbox
@license MIT
@author Faultline
@notice Where the L2 is written down on L1. The batcher appends batches; anyone may force the L2 to take in L1 blocks
        that the batcher left out for too long. Every call adds one record, every record commits to a number of L2
        blocks, and the L2 is what the records say, in their order.
        The contents of a batch are never judged here: that is derivation's part (node/rollup).
@custom:errors NotBatcher(): Only the batcher appends.
               BatchTooLong(uint256 limit): The batch has more bytes than a record may carry.
               WrongAccumulator(bytes32 accumulator): The record was made for another history; here is this one's.
               WrongFirstBlock(uint64 nextBlock): The record starts elsewhere than where the last one ended.
               WrongBlockCount(): A record makes 1 to 512 blocks, and at least one for each origin that it reaches.
               OriginTooOld(uint64 lastOrigin): An origin never goes back; a forced record must reach a new one.
               OriginTooNew(uint256 newest): The origin is the current L1 block or later, or not yet overdue if forced.
               TooManyOrigins(): A record reaches at most 256 new origins.
               UnknownOrigin(uint64 number): That block's hash is neither in the history contract nor anchored.
               WrongHeader(uint256 index): A header does not hash to what the one before it, or the history, says.
               UnknownRecord(uint64 count): There are only so many records.
               UnknownBlock(uint64 nextBlock): No record makes that L2 block.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IInbox
implements: IInbox


# @dev How a record is hashed and packed, shared with the contracts that read records.
from ..lib import records


# @dev The history contract of EIP-2935, asked for hashes of L1 blocks.
_HISTORY: constant(address) = 0x0000F90827F1C53a10cb7A02335B175320002935


# @dev How many blocks it remembers, the current one's parent first.
_HISTORY_BLOCKS: constant(uint256) = 8_191


# @dev Most L1 blocks that one record reaches.
MAX_ORIGINS: public(constant(uint64)) = 256


# @dev Most hashes that a record commits to: those, and the one of the origin before.
_HASHES_MAX: constant(uint256) = 257


# @dev The longest batch that the bytecode has room for; `batchLimit` may be lower.
_BATCH_MAX: constant(uint256) = 32_768


# @dev The longest argument that is answered with a reason instead of an empty revert. Memory is laid out for the longest,
# and what lies behind it costs gas even when the batch is short.
_BATCH_ARGUMENT_MAX: constant(uint256) = 33_792


# @dev Most L2 blocks of one record.
MAX_BLOCKS: public(constant(uint32)) = 512


# @dev Most headers of one `anchorHeaders` call.
_HEADERS_MAX: constant(uint256) = 128


# @dev Longest header that is accepted; with every number at its largest one has fewer.
_HEADER_BYTES_MAX: constant(uint256) = 768


# @dev Who may append.
batcher: public(immutable(address))


# @dev How many L1 blocks the batcher has to take a block in before anyone may force it.
sequencingWindow: public(immutable(uint64))


# @dev Most bytes of a batch.
batchLimit: public(immutable(uint256))


# @dev Number of the newest L2 block that a record makes; zero, the genesis block, before the first record.
_last_block: uint64


# @dev L1 origin of that block.
lastOrigin: public(uint64)


# @dev Number of records.
recordCount: public(uint64)


# @dev The accumulator over all records so far; zero before the first.
accumulator: public(bytes32)


# @dev What is kept of a record.
struct Entry:
    # `records._pack`.
    word: uint256
    batch_hash: bytes32
    origins_hash: bytes32
    # The accumulator that includes the record.
    accumulator: bytes32


# @dev Records by index.
_entries: HashMap[uint64, Entry]


# @dev Hashes of L1 blocks that a chain of headers proved, by number; zero where there is none.
anchoredHash: public(HashMap[uint64, bytes32])


@deploy
def __init__(batcher_: address, sequencing_window: uint64, batch_limit: uint256):
    """
    @notice Sets the constants of the rollup; nothing can change them afterwards.
    @param batcher_ The 20-byte address that may append.
    @param sequencing_window L1 blocks after which an origin may be forced.
    @param batch_limit Most bytes of a batch, at most 32,768.
    """
    assert batch_limit <= _BATCH_MAX
    batcher = batcher_
    sequencingWindow = sequencing_window
    batchLimit = batch_limit


@external
def append(
    batch: Bytes[_BATCH_ARGUMENT_MAX],
    firstBlock: uint64,
    blockCount: uint32,
    originNumber: uint64,
    expectedAccumulator: bytes32,
):
    """
    @notice Records a batch.
    @param batch Its bytes; not judged.
    @param firstBlock Number of its first L2 block.
    @param blockCount How many L2 blocks it makes.
    @param originNumber L1 origin of its last block.
    @param expectedAccumulator The accumulator that it builds on, so that it never lands on an L1 fork or behind a
           forced record that it was not made for.
    """
    if msg.sender != batcher:
        raw_revert(method_id("NotBatcher()"))
    if len(batch) > batchLimit:
        raw_revert(abi_encode(batchLimit, method_id=method_id("BatchTooLong(uint256)")))
    if expectedAccumulator != self.accumulator:
        raw_revert(abi_encode(self.accumulator, method_id=method_id("WrongAccumulator(bytes32)")))
    if firstBlock != self._last_block + 1:
        raw_revert(abi_encode(self._last_block + 1, method_id=method_id("WrongFirstBlock(uint64)")))
    if convert(originNumber, uint256) >= block.number:
        raw_revert(abi_encode(block.number - 1, method_id=method_id("OriginTooNew(uint256)")))
    if originNumber < self.lastOrigin:
        raw_revert(abi_encode(self.lastOrigin, method_id=method_id("OriginTooOld(uint64)")))
    advances: uint64 = originNumber - self.lastOrigin
    if blockCount == 0 or blockCount > MAX_BLOCKS or advances > convert(blockCount, uint64):
        raw_revert(method_id("WrongBlockCount()"))
    if advances > MAX_ORIGINS:
        raw_revert(method_id("TooManyOrigins()"))
    index: uint64 = self.recordCount
    added: IInbox.Record = self._append(records.BATCH, keccak256(batch), blockCount, originNumber)
    log IInbox.RecordAppended(
        index=index,
        accumulator=self.accumulator,
        kind=added.kind,
        batchHash=added.batchHash,
        firstBlock=added.firstBlock,
        blockCount=added.blockCount,
        previousOrigin=added.previousOrigin,
        origin=added.origin,
        originsHash=added.originsHash,
        batch=convert(batch, Bytes[_BATCH_MAX]),
    )


@external
def forceEmpty(originNumber: uint64):
    """
    @notice Makes the L2 take in L1 blocks that are overdue, deposits and all: one L2 block for each. Anyone may.
    @param originNumber The newest L1 block to take in; at least `sequencingWindow` blocks old.
    """
    if originNumber <= self.lastOrigin:
        raw_revert(abi_encode(self.lastOrigin, method_id=method_id("OriginTooOld(uint64)")))
    if convert(originNumber, uint256) + convert(sequencingWindow, uint256) > block.number:
        newest: uint256 = block.number - min(block.number, convert(sequencingWindow, uint256))
        raw_revert(abi_encode(newest, method_id=method_id("OriginTooNew(uint256)")))
    advances: uint64 = originNumber - self.lastOrigin
    if advances > MAX_ORIGINS:
        raw_revert(method_id("TooManyOrigins()"))
    index: uint64 = self.recordCount
    added: IInbox.Record = self._append(
        records.EMPTY, empty(bytes32), convert(advances, uint32), originNumber
    )
    log IInbox.RecordAppended(
        index=index,
        accumulator=self.accumulator,
        kind=added.kind,
        batchHash=added.batchHash,
        firstBlock=added.firstBlock,
        blockCount=added.blockCount,
        previousOrigin=added.previousOrigin,
        origin=added.origin,
        originsHash=added.originsHash,
        batch=b"",
    )


@external
def anchorHeaders(newest: uint64, headers: DynArray[Bytes[_HEADER_BYTES_MAX], _HEADERS_MAX]):
    """
    @notice Proves hashes of L1 blocks that the history contract has forgotten (it keeps 8,191), so that a long
            silence never bricks the Inbox. Anyone may, for any blocks, at any time.
    @param newest Number of the block of the first header; its hash must be known.
    @param headers RLP of consecutive headers, from the newest to the oldest. The hash of each one's parent is kept.
    """
    expected: bytes32 = self._hash_of(newest)
    number: uint64 = newest
    index: uint256 = 0
    for header: Bytes[_HEADER_BYTES_MAX] in headers:
        if number == 0 or keccak256(header) != expected:
            raw_revert(abi_encode(index, method_id=method_id("WrongHeader(uint256)")))
        # A header has 256 to 65,535 bytes, so its list's prefix has three; the parent's hash is the first item.
        expected = extract32(header, 4)
        number -= 1
        index += 1
        self.anchoredHash[number] = expected


@external
@view
def nextBlock() -> uint64:
    """
    @notice Where the next record has to start.
    @return uint64 Number of the first L2 block that no record makes.
    """
    return self._last_block + 1


@external
@view
def record(index: uint64) -> IInbox.Record:
    """
    @notice A record.
    @param index Its place, from zero.
    @return Record The record as it was hashed.
    """
    self._require_record(index)
    return self._record(index)


@external
@view
def accumulatorAt(index: uint64) -> bytes32:
    """
    @notice The accumulator right after a record.
    @param index The record's place, from zero.
    @return bytes32 The accumulator over records 0 to index.
    """
    self._require_record(index)
    return self._entries[index].accumulator


@external
@view
def recordOf(blockNumber: uint64) -> uint64:
    """
    @notice Which record makes an L2 block; a binary search, about 2,300 gas a step.
    @param blockNumber The block's number; block 0 is made by no record.
    @return uint64 The record's place, from zero.
    """
    if blockNumber == 0 or blockNumber > self._last_block:
        raw_revert(abi_encode(self._last_block + 1, method_id=method_id("UnknownBlock(uint64)")))
    low: uint64 = 0
    high: uint64 = self.recordCount - 1
    # Sixty-four halvings exhaust any range of uint64.
    for _: uint256 in range(64):
        if low == high:
            break
        # The upper middle: record `middle` starts at or before the block, or the answer lies below it.
        middle: uint64 = high - (high - low) // 2
        if self._first_block(middle) <= blockNumber:
            low = middle
        else:
            high = middle - 1
    return low


@external
@view
def originHash(number: uint64) -> bytes32:
    """
    @notice The hash of an L1 block as the Inbox would record it.
    @param number The block's number; below the current one's.
    @return bytes32 Its hash.
    """
    return self._hash_of(number)


@internal
def _append(kind: uint8, batch_hash: bytes32, block_count: uint32, origin: uint64) -> IInbox.Record:
    """
    @dev Adds a record that passed all checks. Callers log it: a batch that was passed on would be copied once more.
    @param kind `records.BATCH` or `records.EMPTY`.
    @param batch_hash keccak-256 of the batch's bytes; zero if `records.EMPTY`.
    @param block_count How many L2 blocks it makes.
    @param origin L1 origin of its last block.
    @return Record The record.
    """
    previous_origin: uint64 = self.lastOrigin
    added: IInbox.Record = IInbox.Record(
        kind=kind,
        batchHash=batch_hash,
        firstBlock=self._last_block + 1,
        blockCount=block_count,
        previousOrigin=previous_origin,
        origin=origin,
        originsHash=self._origins_hash(previous_origin, origin),
    )
    index: uint64 = self.recordCount
    accumulated: bytes32 = records._accumulate(self.accumulator, added)
    self._entries[index] = Entry(
        word=records._pack(added),
        batch_hash=batch_hash,
        origins_hash=added.originsHash,
        accumulator=accumulated,
    )
    self._last_block += convert(block_count, uint64)
    self.lastOrigin = origin
    self.recordCount = index + 1
    self.accumulator = accumulated
    return added


@internal
@view
def _origins_hash(previous_origin: uint64, origin: uint64) -> bytes32:
    """
    @dev The hash over the hashes of every L1 block that can be an origin in a record.
    @param previous_origin The last origin that was reached before it.
    @param origin The newest that it reaches.
    @return bytes32 keccak-256 of the hashes of both and of all between, oldest first.
    """
    hashes: bytes32[_HASHES_MAX] = empty(bytes32[_HASHES_MAX])
    count: uint256 = convert(origin - previous_origin, uint256) + 1
    for index: uint256 in range(count, bound=_HASHES_MAX):
        hashes[index] = self._hash_of(previous_origin + convert(index, uint64))
    return keccak256(slice(abi_encode(hashes), 0, 32 * count))


@internal
@view
def _hash_of(number: uint64) -> bytes32:
    """
    @dev The hash of an L1 block: from the history contract, or as a chain of headers proved it.
    @param number The block's number.
    @return bytes32 Its hash; reverts if it is not known.
    """
    found: bytes32 = empty(bytes32)
    wide: uint256 = convert(number, uint256)
    if wide >= block.number or wide + _HISTORY_BLOCKS < block.number:
        found = self.anchoredHash[number]
    else:
        answer: Bytes[32] = raw_call(_HISTORY, abi_encode(wide), max_outsize=32, is_static_call=True)
        found = convert(answer, bytes32)
    if found == empty(bytes32):
        raw_revert(abi_encode(number, method_id=method_id("UnknownOrigin(uint64)")))
    return found


@internal
@view
def _require_record(index: uint64):
    """
    @dev Reverts if there is no such record.
    @param index The record's place.
    """
    if index >= self.recordCount:
        raw_revert(abi_encode(self.recordCount, method_id=method_id("UnknownRecord(uint64)")))


@internal
@view
def _record(index: uint64) -> IInbox.Record:
    """
    @dev Reads a record.
    @param index Its place; it exists.
    @return Record The record.
    """
    entry: Entry = self._entries[index]
    return records._unpack(entry.word, entry.batch_hash, entry.origins_hash)


@internal
@view
def _first_block(index: uint64) -> uint64:
    """
    @dev Reads where a record starts.
    @param index Its place; it exists.
    @return uint64 Number of its first L2 block.
    """
    return records._field(self._entries[index].word, 0)
