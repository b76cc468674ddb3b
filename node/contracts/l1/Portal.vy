# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title OptimismPortal2
@license MIT
@author Faultline
@notice The way from L1 to L2: each TransactionDeposited log becomes a transaction of the first L2 block whose origin is
        the log's L1 block. Ether that comes along is locked here and minted there. And the way back: what L2's message
        passer holds is proven under a game's claim and called here, with the Ether that was locked.
        ABI, events and errors are those of the OP Stack's OptimismPortal2, so that wallets need nothing special.
@custom:errors OptimismPortal_BadTarget(): A creation has no target, and no withdrawal may call the portal.
               OptimismPortal_GasLimitTooLow(): The L2 gas limit is below `minimumGasLimit`.
               OptimismPortal_CalldataTooLarge(): The data alone is more than all deposits of a block may carry.
               OutOfGas(): The deposits of this L1 block would buy more L2 gas than they may.
               TooManyDeposits(): This L1 block has as many deposits as it may.
               TooMuchDepositData(): The deposits of this L1 block would carry more data than they may.
               OptimismPortal_CallPaused(): The guardian paused withdrawals.
               OptimismPortal_ImproperDisputeGame(): The registry knows no such game, or it is struck, retired or paused.
               OptimismPortal_InvalidDisputeGame(): The game was of no respected type, or its claim was proven wrong.
               OptimismPortal_InvalidProofTimestamp(): The game is not older than the proof.
               OptimismPortal_InvalidOutputRootProof(): The game's claim is not the hash of these words.
               OptimismPortal_InvalidMerkleProof(): The nodes do not show that L2 holds this withdrawal.
               OptimismPortal_AlreadyFinalized(): The withdrawal is settled.
               OptimismPortal_Unproven(): This submitter has proven nothing.
               OptimismPortal_ProofNotOldEnough(): The proof has to age.
               OptimismPortal_InvalidRootClaim(): The game's claim does not stand, or not yet.
               OptimismPortal_NoReentrancy(): Another withdrawal's target is being called.
               OptimismPortal_NotEnoughLocked(): There is less Ether here than the withdrawal takes.
               OptimismPortal_GasEstimation(): The target failed while gas was estimated.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IPortal
implements: IPortal


# @dev Who a deposit comes from on L2.
from ..lib import aliasing


# @dev What a deposit costs on L1, and how much an L1 block may buy.
from ..lib import metering
initializes: metering


# @dev The way back.
from ..lib import withdrawals
initializes: withdrawals
exports: (
    withdrawals.proveWithdrawalTransaction,
    withdrawals.finalizeWithdrawalTransaction,
    withdrawals.finalizeWithdrawalTransactionExternalProof,
    withdrawals.checkWithdrawal,
    withdrawals.provenWithdrawals,
    withdrawals.numProofSubmitters,
    withdrawals.proofSubmitters,
    withdrawals.finalizedWithdrawals,
    withdrawals.l2Sender,
    withdrawals.paused,
    withdrawals.guardian,
    withdrawals.superchainConfig,
    withdrawals.systemConfig,
    withdrawals.anchorStateRegistry,
    withdrawals.disputeGameFactory,
    withdrawals.disputeGameBlacklist,
    withdrawals.respectedGameType,
    withdrawals.respectedGameTypeUpdatedAt,
    withdrawals.proofMaturityDelaySeconds,
    withdrawals.disputeGameFinalityDelaySeconds,
)


# @dev Version of the deposit event's opaque data.
_DEPOSIT_VERSION: constant(uint256) = 0


# @dev L2 gas of a plain payment to this contract.
_RECEIVE_GAS_LIMIT: constant(uint64) = 100_000


# @dev Most data of a deposit.
_DATA_MAX: constant(uint256) = 32_768


# @dev The longest argument that is answered with a reason instead of an empty revert.
_DATA_ARGUMENT_MAX: constant(uint256) = 33_792


@deploy
def __init__(
    _systemConfig: address,
    _anchorStateRegistry: address,
    _proofMaturityDelaySeconds: uint256,
    _disputeGameFinalityDelaySeconds: uint256,
):
    """
    @notice Constants alone: storage of zeros is the start, and there is nothing to initialise later.
    @param _systemConfig Says whether withdrawals are paused.
    @param _anchorStateRegistry Says which games count.
    @param _proofMaturityDelaySeconds Seconds that a proof must be older than.
    @param _disputeGameFinalityDelaySeconds Seconds of the air gap behind a game's end, for those who ask.
    """
    metering.__init__()
    withdrawals.__init__(
        _systemConfig,
        _anchorStateRegistry,
        _proofMaturityDelaySeconds,
        _disputeGameFinalityDelaySeconds,
    )


@external
@payable
def __default__():
    """
    @notice A plain payment is a deposit to the sender's own address on L2.
    """
    # Unknown functions are refused; without this line they would count as payments.
    assert len(msg.data) == 0
    self._deposit(msg.sender, msg.value, _RECEIVE_GAS_LIMIT, False, b"", msg.gas)


@external
@payable
def depositTransaction(
    _to: address, _value: uint256, _gasLimit: uint64, _isCreation: bool, _data: Bytes[_DATA_ARGUMENT_MAX]
):
    """
    @notice Makes a transaction happen on L2, whatever the sequencer wants. Burns L1 gas for its L2 gas.
    @param _to Its target; zero for a creation.
    @param _value Wei that it moves on L2 from the sender's balance there, which has what is paid here already.
    @param _gasLimit Its gas on L2.
    @param _isCreation Whether it creates a contract from `_data`.
    @param _data Its input, or init code.
    """
    initial_gas: uint256 = msg.gas
    if _isCreation and _to != empty(address):
        raw_revert(method_id("OptimismPortal_BadTarget()"))
    if _gasLimit < self._minimum_gas_limit(convert(len(_data), uint64)):
        raw_revert(method_id("OptimismPortal_GasLimitTooLow()"))
    if len(_data) > _DATA_MAX:
        raw_revert(method_id("OptimismPortal_CalldataTooLarge()"))
    self._deposit(_to, _value, _gasLimit, _isCreation, convert(_data, Bytes[_DATA_MAX]), initial_gas)


@external
@payable
def donateETH():
    """
    @notice Takes Ether without a deposit.
    """
    pass


@external
@pure
def minimumGasLimit(_byteCount: uint64) -> uint64:
    """
    @notice The least L2 gas of a deposit.
    @param _byteCount Length of its data.
    @return uint64 Gas.
    """
    return self._minimum_gas_limit(_byteCount)


@external
@view
def params() -> (uint128, uint64, uint64):
    """
    @notice What the last L1 block with a deposit left.
    @return uint128 Base fee of L2 gas, wei.
    @return uint64 L2 gas bought in it.
    @return uint64 Its number.
    """
    last: metering.ResourceParams = metering._resource_params()
    return last.prevBaseFee, last.prevBoughtGas, last.prevBlockNum


@external
@pure
def resourceConfig() -> metering.ResourceConfig:
    """
    @notice How L2 gas is sold.
    @return ResourceConfig The constants, as the OP Stack's SystemConfig names them.
    """
    return metering._resource_config()


@external
@pure
def version() -> String[8]:
    """
    @notice Which OptimismPortal2's ABI this is.
    @return String Semantic version.
    """
    return "5.1.0"


@internal
@payable
def _deposit(
    to: address,
    amount: uint256,
    gas_limit: uint64,
    is_creation: bool,
    data: Bytes[_DATA_MAX],
    initial_gas: uint256,
):
    """
    @dev Logs a deposit that passed the checks of its shape, and makes the caller pay for it.
    @param to Target on L2.
    @param amount Wei moved on L2.
    @param gas_limit Gas on L2.
    @param is_creation Whether it creates a contract.
    @param data Input or init code.
    @param initial_gas Gas that was left when the call began.
    """
    metering._count(len(data))
    log IPortal.TransactionDeposited(
        # `from` is a word of the language; the ABI has no use for an event's names.
        sender=aliasing._sender_on_l2(),
        to=to,
        version=_DEPOSIT_VERSION,
        opaqueData=concat(
            convert(msg.value, bytes32),
            convert(amount, bytes32),
            convert(gas_limit, bytes8),
            convert(convert(is_creation, uint8), bytes1),
            data,
        ),
    )
    metering._meter(gas_limit, initial_gas)


@internal
@pure
def _minimum_gas_limit(byte_count: uint64) -> uint64:
    """
    @dev The least L2 gas of a deposit: what EIP-7623 asks of any transaction at least.
    @param byte_count Length of its data.
    @return uint64 Gas.
    """
    return byte_count * 40 + 21_000
