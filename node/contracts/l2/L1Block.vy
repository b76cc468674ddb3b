# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L1Block
@license MIT
@author Faultline
@notice What the L2 knows of its L1 origin. The first transaction of every L2 block that advances its origin writes it;
        execution reads the L1 fee's terms from these slots, so their layout is the OP Stack's, bit for bit.
        ABI of the OP Stack's L1Block as of Isthmus; the setters of earlier formats are absent: they are never called.
@custom:errors NotDepositor(): Only the rule that makes L2 blocks writes here.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IL1Block
implements: IL1Block


# @dev Who the attributes deposit comes from.
_DEPOSITOR: constant(address) = 0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001


# @dev What stands for Ether where a token is named.
_ETHER: constant(address) = 0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE


# @dev Slot 0: number of the L1 block (64 bits from the lowest), its timestamp (64).
_number_and_timestamp: uint256


# @dev Slot 1: base fee of the L1 block, wei.
basefee: public(uint256)


# @dev Slot 2: hash of the L1 block.
hash: public(bytes32)


# @dev Slot 3: sequence number (64 bits from the lowest), blob base fee scalar (32), base fee scalar (32).
_scalars: uint256


# @dev Slot 4: who posts batches, as a word.
batcherHash: public(bytes32)


# @dev Slot 5: unused since Ecotone.
l1FeeOverhead: public(uint256)


# @dev Slot 6: unused since Ecotone.
l1FeeScalar: public(uint256)


# @dev Slot 7: blob base fee of the L1 block, wei.
blobBaseFee: public(uint256)


# @dev Slot 8: operator fee constant (64 bits from the lowest), operator fee scalar (32).
_operator_fee: uint256


@deploy
def __init__():
    """
    @notice Nothing: genesis or the first attributes deposit sets the values.
    """
    pass


@external
def setL1BlockValuesIsthmus():
    """
    @notice Takes over the values of a new L1 origin. The input is packed, not ABI-encoded: base fee scalar (4 bytes),
            blob base fee scalar (4), sequence number (8), timestamp (8), number (8), base fee (32), blob base fee (32),
            hash (32), batcher hash (32), operator fee scalar (4), operator fee constant (8).
    """
    if msg.sender != _DEPOSITOR:
        raw_revert(method_id("NotDepositor()"))
    values: Bytes[172] = slice(msg.data, 4, 172)
    self._scalars = convert(extract32(values, 0), uint256) >> 128
    self._number_and_timestamp = convert(extract32(values, 16), uint256) >> 128
    self.basefee = convert(extract32(values, 32), uint256)
    self.blobBaseFee = convert(extract32(values, 64), uint256)
    self.hash = extract32(values, 96)
    self.batcherHash = extract32(values, 128)
    self._operator_fee = convert(extract32(values, 140), uint256) & (2**96 - 1)


@external
@pure
def DEPOSITOR_ACCOUNT() -> address:
    """
    @notice Who may write.
    @return address The 20-byte address of the attributes deposit's sender.
    """
    return _DEPOSITOR


@external
@view
def number() -> uint64:
    """
    @notice The L1 origin's number.
    @return uint64 Number.
    """
    return self._bits64(self._number_and_timestamp, 0)


@external
@view
def timestamp() -> uint64:
    """
    @notice The L1 origin's timestamp.
    @return uint64 Seconds since the epoch of Unix.
    """
    return self._bits64(self._number_and_timestamp, 64)


@external
@view
def sequenceNumber() -> uint64:
    """
    @notice How many L2 blocks of this origin came before the one that wrote these values.
    @return uint64 Number.
    """
    return self._bits64(self._scalars, 0)


@external
@view
def blobBaseFeeScalar() -> uint32:
    """
    @notice Weight of the L1 blob base fee in the L1 fee.
    @return uint32 Millionths.
    """
    return self._bits32(self._scalars, 64)


@external
@view
def baseFeeScalar() -> uint32:
    """
    @notice Weight of the L1 base fee in the L1 fee.
    @return uint32 Millionths.
    """
    return self._bits32(self._scalars, 96)


@external
@view
def operatorFeeConstant() -> uint64:
    """
    @notice Part of the operator fee that does not depend on gas.
    @return uint64 Wei.
    """
    return self._bits64(self._operator_fee, 0)


@external
@view
def operatorFeeScalar() -> uint32:
    """
    @notice Operator fee for a million gas.
    @return uint32 Wei.
    """
    return self._bits32(self._operator_fee, 64)


@external
@pure
def gasPayingToken() -> (address, uint8):
    """
    @notice What gas is paid in.
    @return address What stands for Ether.
    @return uint8 Its decimals.
    """
    return _ETHER, 18


@external
@pure
def gasPayingTokenName() -> String[5]:
    """
    @notice What gas is paid in.
    @return String Name.
    """
    return "Ether"


@external
@pure
def gasPayingTokenSymbol() -> String[3]:
    """
    @notice What gas is paid in.
    @return String Symbol.
    """
    return "ETH"


@external
@pure
def isCustomGasToken() -> bool:
    """
    @notice Whether gas is paid in something else than Ether.
    @return bool Never.
    """
    return False


@external
@pure
def version() -> String[8]:
    """
    @notice Which L1Block's ABI this is.
    @return String Semantic version.
    """
    return "1.6.0"


@internal
@pure
def _bits64(word: uint256, offset: uint256) -> uint64:
    """
    @dev A 64-bit field.
    @param word The word it lies in.
    @param offset Its lowest bit's place.
    @return uint64 Its value.
    """
    return convert((word >> offset) & convert(max_value(uint64), uint256), uint64)


@internal
@pure
def _bits32(word: uint256, offset: uint256) -> uint32:
    """
    @dev A 32-bit field.
    @param word The word it lies in.
    @param offset Its lowest bit's place.
    @return uint32 Its value.
    """
    return convert((word >> offset) & convert(max_value(uint32), uint256), uint32)
