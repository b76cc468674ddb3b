# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Metering of L2 gas that is bought on L1
@license MIT
@author Faultline
@notice Deposits are executed on L2 without a fee there. Their gas is paid by burning gas on L1 instead, at a base fee of
        its own that follows demand as EIP-1559's does. The OP Stack's ResourceMetering, with one limit more: all that
        deposits may ask of one L2 block is bounded here, so that every L2 block stays provable.
        A base fee of zero, as before the first deposit, counts as the lowest: nothing has to be initialised.
"""


# @dev What one L1 block may buy, and how its price moves; the OP Stack's struct of that name.
struct ResourceConfig:
    # Most L2 gas of an L1 block.
    maxResourceLimit: uint32
    # Limit over target.
    elasticityMultiplier: uint8
    # The base fee moves by at most 1 / this for each target above or below the target.
    baseFeeMaxChangeDenominator: uint8
    # Lowest base fee, wei.
    minimumBaseFee: uint32
    # Gas kept for the attributes deposit; not part of the limit.
    systemTxMaxGas: uint32
    # Highest base fee, wei.
    maximumBaseFee: uint128


# @dev The OP Stack's struct of that name, in the layout of its storage slot.
struct ResourceParams:
    # Base fee of the last block with a deposit, wei.
    prevBaseFee: uint128
    # Gas bought in it.
    prevBoughtGas: uint64
    # Its number.
    prevBlockNum: uint64


# @dev The deposits of one L1 block.
struct Bought:
    # Number of the block.
    block_number: uint64
    # How many deposits it has.
    deposits: uint32
    # Bytes of their data.
    data_bytes: uint32


# @dev Most L2 gas of all deposits of an L1 block.
MAX_GAS: constant(uint32) = 3_000_000


# @dev Most deposits of an L1 block.
MAX_DEPOSITS: constant(uint32) = 16


# @dev Most bytes of data of all deposits of an L1 block.
MAX_DATA_BYTES: constant(uint32) = 32_768


_ELASTICITY: constant(uint8) = 10
_DENOMINATOR: constant(uint8) = 8
_MIN_BASE_FEE: constant(uint32) = 1_000_000_000
_MAX_BASE_FEE: constant(uint128) = max_value(uint128)


# @dev Gas of the attributes deposit.
_SYSTEM_GAS: constant(uint32) = 1_000_000


# @dev Gas at which the base fee stands still: the limit over the elasticity.
_TARGET: constant(int256) = 300_000


# @dev One, in the fixed-point numbers of `_decay`.
_WAD: constant(uint256) = 10**18


# @dev Steps of `_burn_gas`: no transaction has the gas for so many.
_STEPS_MAX: constant(uint256) = 2**40


# @dev What an empty block leaves of the base fee: 7/8.
_RETAINED: constant(uint256) = _WAD - _WAD // 8


# @dev `ResourceParams` in one word, as Solidity packs it: base fee (128 bits from the lowest), gas (64), number (64).
_params: uint256


# @dev `Bought` in one word: number (64 bits from the lowest), deposits (32), data bytes (32).
_bought: uint256


@deploy
def __init__():
    """
    @notice Nothing: storage of zeros is the start.
    """
    pass


@internal
@view
def _resource_params() -> ResourceParams:
    """
    @dev What the last block with a deposit left.
    @return ResourceParams Base fee, gas, number.
    """
    return ResourceParams(
        prevBaseFee=convert(self._params & convert(max_value(uint128), uint256), uint128),
        prevBoughtGas=convert((self._params >> 128) & convert(max_value(uint64), uint256), uint64),
        prevBlockNum=convert(self._params >> 192, uint64),
    )


@internal
@pure
def _resource_config() -> ResourceConfig:
    """
    @dev The constants.
    @return ResourceConfig As the OP Stack's SystemConfig names them.
    """
    return ResourceConfig(
        maxResourceLimit=MAX_GAS,
        elasticityMultiplier=_ELASTICITY,
        baseFeeMaxChangeDenominator=_DENOMINATOR,
        minimumBaseFee=_MIN_BASE_FEE,
        systemTxMaxGas=_SYSTEM_GAS,
        maximumBaseFee=_MAX_BASE_FEE,
    )


@internal
def _count(data_bytes: uint256):
    """
    @dev Counts a deposit and its data against the block's limits.
    @param data_bytes Length of its data.
    """
    deposits: uint256 = 1
    total: uint256 = data_bytes
    if self._bought & convert(max_value(uint64), uint256) == block.number:
        deposits += (self._bought >> 64) & convert(max_value(uint32), uint256)
        total += self._bought >> 96
    if deposits > convert(MAX_DEPOSITS, uint256):
        raw_revert(method_id("TooManyDeposits()"))
    if total > convert(MAX_DATA_BYTES, uint256):
        raw_revert(method_id("TooMuchDepositData()"))
    self._bought = block.number | (deposits << 64) | (total << 96)


@internal
def _meter(amount: uint64, initial_gas: uint256):
    """
    @dev Buys L2 gas, and burns its price less what the call has used already.
    @param amount L2 gas.
    @param initial_gas Gas that was left when the call began.
    """
    last: ResourceParams = self._resource_params()
    base_fee: uint256 = convert(last.prevBaseFee, uint256)
    bought: uint256 = convert(last.prevBoughtGas, uint256)
    elapsed: uint256 = block.number - convert(last.prevBlockNum, uint256)
    if elapsed > 0 or base_fee == 0:
        base_fee = self._next_base_fee(base_fee, bought, elapsed)
        bought = 0
    bought += convert(amount, uint256)
    if bought > convert(MAX_GAS, uint256):
        raw_revert(method_id("OutOfGas()"))
    self._params = base_fee | (bought << 128) | (block.number << 192)
    cost: uint256 = convert(amount, uint256) * base_fee // max(block.basefee, convert(_MIN_BASE_FEE, uint256))
    used: uint256 = initial_gas - msg.gas
    if cost > used:
        self._burn_gas(cost - used)


@internal
@pure
def _next_base_fee(base_fee: uint256, bought: uint256, elapsed: uint256) -> uint256:
    """
    @dev The base fee some blocks after the last one with a deposit.
    @param base_fee That block's, wei.
    @param bought Gas bought in it.
    @param elapsed How many blocks ago.
    @return uint256 The base fee, wei.
    """
    above: int256 = convert(bought, int256) - _TARGET
    change: int256 = convert(base_fee, int256) * above // (_TARGET * convert(_DENOMINATOR, int256))
    moved: uint256 = self._clamp(convert(max(convert(base_fee, int256) + change, 0), uint256))
    if elapsed > 1:
        moved = self._clamp(self._decay(moved, elapsed - 1))
    return moved


@internal
@pure
def _clamp(base_fee: uint256) -> uint256:
    """
    @dev Keeps a base fee within its bounds.
    @param base_fee Wei.
    @return uint256 Wei.
    """
    return min(max(base_fee, convert(_MIN_BASE_FEE, uint256)), convert(_MAX_BASE_FEE, uint256))


@internal
@pure
def _decay(base_fee: uint256, blocks: uint256) -> uint256:
    """
    @dev What empty blocks leave of a base fee: base_fee * (7/8)^blocks, the power by squaring.
    @param base_fee Wei, below 2^128.
    @param blocks How many are empty.
    @return uint256 Wei, rounded down.
    """
    retained: uint256 = _WAD
    factor: uint256 = _RETAINED
    exponent: uint256 = blocks
    # After ten squarings the factor is zero at this precision.
    for _: uint256 in range(256):
        if exponent == 0:
            break
        if exponent & 1 == 1:
            retained = retained * factor // _WAD
        factor = factor * factor // _WAD
        exponent >>= 1
    return base_fee * retained // _WAD


@internal
@view
def _burn_gas(amount: uint256):
    """
    @dev Uses up gas; more than is left ends the transaction out of gas, as the price demands.
    @param amount How much.
    """
    start: uint256 = msg.gas
    for _: uint256 in range(_STEPS_MAX):
        if start - msg.gas >= amount:
            break
