# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title GasPriceOracle
@license MIT
@author Faultline
@notice What an L2 transaction pays besides its gas: for its bytes on L1 (Fjord's formula) and to the operator (Isthmus').
        Execution charges by itself, from L1Block's slots; this contract gives the same figures to whoever asks first.
        ABI of the OP Stack's GasPriceOracle as of Isthmus; the switches of earlier forks are absent: all are on.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IGasPriceOracle
implements: IGasPriceOracle


# @dev The L1 origin's values.
from ..interfaces import IL1Block


# @dev The compression that the L1 fee is reckoned from.
from ..lib import fastlz


# @dev Decimals of the scalars.
DECIMALS: public(constant(uint256)) = 6


# @dev Where the values are.
_L1_BLOCK: constant(address) = 0x4200000000000000000000000000000000000015


# @dev Compressed bytes of a signature, which unsigned transactions do not have yet.
_SIGNATURE_BYTES: constant(uint256) = 68


# @dev Millionths of a byte for each byte that FastLZ leaves, in the estimate of what better compression leaves.
_SLOPE: constant(uint256) = 836_500


# @dev What is taken off, millionths of a byte.
_INTERCEPT: constant(uint256) = 42_585_600


# @dev The least estimate, millionths of a byte.
_LEAST: constant(uint256) = 100_000_000


# @dev L1 gas of a byte of calldata.
_BYTE_GAS: constant(uint256) = 16


@deploy
def __init__():
    """
    @notice Nothing: everything is read from L1Block.
    """
    pass


@external
@view
def getL1Fee(_data: Bytes[fastlz.DATA_MAX]) -> uint256:
    """
    @notice The L1 fee of a transaction.
    @param _data The transaction as it is signed, RLP without a signature.
    @return uint256 Wei.
    """
    return self._l1_fee(fastlz._compressed_length(_data) + _SIGNATURE_BYTES)


@external
@view
def getL1FeeUpperBound(_unsignedTxSize: uint256) -> uint256:
    """
    @notice The most that the L1 fee of a transaction is going to be, for all but contrived ones.
    @param _unsignedTxSize Its bytes without a signature.
    @return uint256 Wei.
    """
    size: uint256 = _unsignedTxSize + _SIGNATURE_BYTES
    return self._l1_fee(size + size // 255 + 16)


@external
@view
def getL1GasUsed(_data: Bytes[fastlz.DATA_MAX]) -> uint256:
    """
    @notice The L1 gas that a transaction's bytes are reckoned at.
    @param _data The transaction as it is signed, RLP without a signature.
    @return uint256 Gas.
    """
    size: uint256 = fastlz._compressed_length(_data) + _SIGNATURE_BYTES
    return self._estimated_size(size) * _BYTE_GAS // 10**6


@external
@view
def getOperatorFee(_gasUsed: uint256) -> uint256:
    """
    @notice The operator fee of a transaction.
    @param _gasUsed Its gas.
    @return uint256 Wei; the largest number where the product would not fit.
    """
    scalar: uint256 = convert(staticcall IL1Block(_L1_BLOCK).operatorFeeScalar(), uint256)
    fixed: uint256 = convert(staticcall IL1Block(_L1_BLOCK).operatorFeeConstant(), uint256)
    product: uint256 = max_value(uint256)
    if scalar == 0 or _gasUsed <= max_value(uint256) // scalar:
        product = _gasUsed * scalar
    return product // 10**6 + fixed


@external
@view
def gasPrice() -> uint256:
    """
    @notice The base fee of L2 gas.
    @return uint256 Wei.
    """
    return block.basefee


@external
@view
def baseFee() -> uint256:
    """
    @notice The base fee of L2 gas.
    @return uint256 Wei.
    """
    return block.basefee


@external
@view
def l1BaseFee() -> uint256:
    """
    @notice Base fee of the L1 origin.
    @return uint256 Wei.
    """
    return staticcall IL1Block(_L1_BLOCK).basefee()


@external
@view
def blobBaseFee() -> uint256:
    """
    @notice Blob base fee of the L1 origin.
    @return uint256 Wei.
    """
    return staticcall IL1Block(_L1_BLOCK).blobBaseFee()


@external
@view
def baseFeeScalar() -> uint32:
    """
    @notice Weight of the L1 base fee.
    @return uint32 Millionths.
    """
    return staticcall IL1Block(_L1_BLOCK).baseFeeScalar()


@external
@view
def blobBaseFeeScalar() -> uint32:
    """
    @notice Weight of the L1 blob base fee.
    @return uint32 Millionths.
    """
    return staticcall IL1Block(_L1_BLOCK).blobBaseFeeScalar()


@external
@pure
def overhead() -> uint256:
    """
    @notice Reverts: a term of the L1 fee before Ecotone.
    @return uint256 Nothing.
    """
    raise "GasPriceOracle: overhead() is deprecated"


@external
@pure
def scalar() -> uint256:
    """
    @notice Reverts: a term of the L1 fee before Ecotone.
    @return uint256 Nothing.
    """
    raise "GasPriceOracle: scalar() is deprecated"


@external
@pure
def decimals() -> uint256:
    """
    @notice Decimals of the scalars.
    @return uint256 Six.
    """
    return DECIMALS


@external
@pure
def isEcotone() -> bool:
    """
    @notice Whether Ecotone's rules hold.
    @return bool Yes.
    """
    return True


@external
@pure
def isFjord() -> bool:
    """
    @notice Whether Fjord's rules hold.
    @return bool Yes.
    """
    return True


@external
@pure
def isIsthmus() -> bool:
    """
    @notice Whether Isthmus' rules hold.
    @return bool Yes.
    """
    return True


@external
@pure
def version() -> String[8]:
    """
    @notice Which GasPriceOracle's ABI this is.
    @return String Semantic version.
    """
    return "1.4.0"


@internal
@view
def _l1_fee(compressed: uint256) -> uint256:
    """
    @dev The L1 fee by compressed length.
    @param compressed Bytes that FastLZ leaves of the signed transaction.
    @return uint256 Wei.
    """
    calldata_part: uint256 = (
        convert(staticcall IL1Block(_L1_BLOCK).baseFeeScalar(), uint256)
        * _BYTE_GAS
        * staticcall IL1Block(_L1_BLOCK).basefee()
    )
    blob_part: uint256 = (
        convert(staticcall IL1Block(_L1_BLOCK).blobBaseFeeScalar(), uint256)
        * staticcall IL1Block(_L1_BLOCK).blobBaseFee()
    )
    return self._estimated_size(compressed) * (calldata_part + blob_part) // 10**12


@internal
@pure
def _estimated_size(compressed: uint256) -> uint256:
    """
    @dev What a transaction is expected to take in a compressed batch.
    @param compressed Bytes that FastLZ leaves of it.
    @return uint256 Millionths of a byte.
    """
    scaled: uint256 = compressed * _SLOPE
    if scaled < _LEAST + _INTERCEPT:
        return _LEAST
    return scaled - _INTERCEPT
