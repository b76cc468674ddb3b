# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title SystemConfig and SuperchainConfig
@license MIT
@author Faultline
@notice Two contracts of the OP Stack in one: the rollup's constants for tools that look for them, and the guardian's
        brake. During a pause no withdrawal is proven or finalized; deposits and disputes go on. A pause ends by itself:
        the guardian can hold withdrawals up, never keep them.
        Deliberately absent: an owner and setters, for the rules are fixed at genesis; how deposits are sold says the Portal.
@custom:errors SuperchainConfig_OnlyGuardian(): The caller is not the guardian.
               SuperchainConfig_AlreadyPaused(address identifier): A pause has to be lifted before the next one.
               SuperchainConfig_NotAlreadyPaused(address identifier): There is no pause to extend.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import ISystemConfig
implements: ISystemConfig


# @dev Who may pause.
guardian: public(immutable(address))


# @dev Seconds after which a pause ends by itself.
pauseExpiry: public(immutable(uint256))


# @dev The Portal: withdrawals of this chain pause under its name.
optimismPortal: public(immutable(address))


# @dev Where it finds its games.
disputeGameFactory: public(immutable(address))


# @dev Messages with replay.
l1CrossDomainMessenger: public(immutable(address))


# @dev Tokens.
l1StandardBridge: public(immutable(address))


# @dev Where batches go.
batchInbox: public(immutable(address))


# @dev The batcher's account, as a word.
batcherHash: public(immutable(bytes32))


# @dev L2's chain id.
l2ChainId: public(immutable(uint256))


# @dev Gas limit of an L2 block.
gasLimit: public(immutable(uint64))


# @dev Millionths of L1's base fee in the L1 fee.
basefeeScalar: public(immutable(uint32))


# @dev Millionths of L1's blob base fee in the L1 fee.
blobbasefeeScalar: public(immutable(uint32))


# @dev Millionths of a wei for each gas.
operatorFeeScalar: public(immutable(uint32))


# @dev Wei for each transaction.
operatorFeeConstant: public(immutable(uint64))


# @dev By identifier: when its pause began; zero if there is none. Identifier zero is every chain.
pauseTimestamps: public(HashMap[address, uint256])


@deploy
def __init__(
    _guardian: address,
    _pauseExpiry: uint256,
    _optimismPortal: address,
    _disputeGameFactory: address,
    _l1CrossDomainMessenger: address,
    _l1StandardBridge: address,
    _batchInbox: address,
    _batcherHash: bytes32,
    _l2ChainId: uint256,
    _gasLimit: uint64,
    _basefeeScalar: uint32,
    _blobbasefeeScalar: uint32,
    _operatorFeeScalar: uint32,
    _operatorFeeConstant: uint64,
):
    """
    @notice Constants alone.
    @param _guardian Who may pause.
    @param _pauseExpiry Seconds after which a pause ends by itself.
    @param _optimismPortal The Portal.
    @param _disputeGameFactory Its games.
    @param _l1CrossDomainMessenger Messages.
    @param _l1StandardBridge Tokens.
    @param _batchInbox Where batches go.
    @param _batcherHash The batcher's account, as a word.
    @param _l2ChainId L2's chain id.
    @param _gasLimit Gas limit of an L2 block.
    @param _basefeeScalar Millionths of L1's base fee in the L1 fee.
    @param _blobbasefeeScalar Millionths of L1's blob base fee in the L1 fee.
    @param _operatorFeeScalar Millionths of a wei for each gas.
    @param _operatorFeeConstant Wei for each transaction.
    """
    guardian = _guardian
    pauseExpiry = _pauseExpiry
    optimismPortal = _optimismPortal
    disputeGameFactory = _disputeGameFactory
    l1CrossDomainMessenger = _l1CrossDomainMessenger
    l1StandardBridge = _l1StandardBridge
    batchInbox = _batchInbox
    batcherHash = _batcherHash
    l2ChainId = _l2ChainId
    gasLimit = _gasLimit
    basefeeScalar = _basefeeScalar
    blobbasefeeScalar = _blobbasefeeScalar
    operatorFeeScalar = _operatorFeeScalar
    operatorFeeConstant = _operatorFeeConstant


@external
def pause(_identifier: address):
    """
    @notice Holds withdrawals up. A pause that has expired still has to be lifted before the next one.
    @param _identifier The Portal, or zero for every chain.
    """
    self._assert_guardian()
    if self.pauseTimestamps[_identifier] != 0:
        raw_revert(
            abi_encode(_identifier, method_id=method_id("SuperchainConfig_AlreadyPaused(address)"))
        )
    self.pauseTimestamps[_identifier] = block.timestamp
    log ISystemConfig.Paused(identifier=_identifier)


@external
def extend(_identifier: address):
    """
    @notice Lets a pause begin anew.
    @param _identifier The Portal, or zero for every chain.
    """
    self._assert_guardian()
    if self.pauseTimestamps[_identifier] == 0:
        raw_revert(
            abi_encode(_identifier, method_id=method_id("SuperchainConfig_NotAlreadyPaused(address)"))
        )
    self.pauseTimestamps[_identifier] = block.timestamp
    log ISystemConfig.PauseExtended(identifier=_identifier)


@external
def unpause(_identifier: address):
    """
    @notice Lets withdrawals go on.
    @param _identifier The Portal, or zero for every chain.
    """
    self._assert_guardian()
    self.pauseTimestamps[_identifier] = 0
    log ISystemConfig.Unpaused(identifier=_identifier)


@external
@view
def paused(_identifier: address = empty(address)) -> bool:
    """
    @notice Whether withdrawals are held up, by a chain's own pause or that of every chain.
    @param _identifier The chain; zero, or nothing, is this one.
    @return bool Whether they are.
    """
    named: address = _identifier
    if named == empty(address):
        named = optimismPortal
    return self._is_paused(empty(address)) or self._is_paused(named)


@external
@view
def pausable(_identifier: address) -> bool:
    """
    @notice Whether a pause could begin.
    @param _identifier The Portal, or zero for every chain.
    @return bool Whether none has begun.
    """
    return self.pauseTimestamps[_identifier] == 0


@external
@view
def expiration(_identifier: address) -> uint256:
    """
    @notice When a pause ends by itself.
    @param _identifier The Portal, or zero for every chain.
    @return uint256 Seconds; zero if there is none.
    """
    timestamp: uint256 = self.pauseTimestamps[_identifier]
    if timestamp == 0:
        return 0
    return timestamp + pauseExpiry


@external
@view
def superchainConfig() -> address:
    """
    @notice Who says whether there is a pause.
    @return address This contract.
    """
    return self


@external
@view
def owner() -> address:
    """
    @notice Who may change the constants.
    @return address Nobody.
    """
    return empty(address)


@external
@pure
def isCustomGasToken() -> bool:
    """
    @notice Whether L2's gas is paid in a token.
    @return bool Never.
    """
    return False


@external
@pure
def version() -> String[8]:
    """
    @notice Which SystemConfig's ABI this is.
    @return String Semantic version.
    """
    return "3.4.0"


@internal
@view
def _assert_guardian():
    """
    @dev Ends the call of anyone else.
    """
    if msg.sender != guardian:
        raw_revert(method_id("SuperchainConfig_OnlyGuardian()"))


@internal
@view
def _is_paused(identifier: address) -> bool:
    """
    @dev Whether a pause has begun and not ended.
    @param identifier Its name.
    @return bool Whether it holds.
    """
    timestamp: uint256 = self.pauseTimestamps[identifier]
    return timestamp != 0 and block.timestamp < timestamp + pauseExpiry
