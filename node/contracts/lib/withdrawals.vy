# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Withdrawals: the way from L2 to L1
@license MIT
@author Faultline
@notice A message that L2's message passer keeps is called here, once:

            prove:    a game's claim -> output root -> the passer's storage root -> slot of the message holds 1
            wait:     the proof matures, nobody proves the claim wrong, the game is resolved, the air gap passes
            finalize: marked, then called with the gas that it asked for; whatever the target does, it is settled

        A proof counts for who submitted it, so nobody restarts another's clock. Which games count is for the
        AnchorStateRegistry to say; nothing of a game is kept here but its address.
        Deliberately absent: an owner, a list of games, a second call of what failed (the messenger has that).
        The rules, events and errors of the OP Stack's OptimismPortal2 5.1.0.
"""


# @dev Withdrawals, output roots, events.
from ..interfaces import IPortal


# @dev The proof that the message passer holds a message.
from . import inclusion


# @dev What is asked of SystemConfig.
interface Pause:
    def paused() -> bool: view
    def guardian() -> address: view


# @dev What is asked of AnchorStateRegistry.
interface Registry:
    def isGameProper(_game: address) -> bool: view
    def isGameRespected(_game: address) -> bool: view
    def isGameBlacklisted(_game: address) -> bool: view
    def isGameClaimValid(_game: address) -> bool: view
    def respectedGameType() -> uint32: view
    def retirementTimestamp() -> uint64: view
    def disputeGameFactory() -> address: view


# @dev What is asked of DisputeGameFactory.
interface Factory:
    def gameAtIndex(_index: uint256) -> (uint32, uint64, address): view


# @dev What is asked of a game.
interface Game:
    def status() -> uint8: view
    def createdAt() -> uint64: view
    def rootClaim() -> bytes32: view


# @dev Says whether withdrawals are paused, and who may pause them.
systemConfig: public(immutable(address))


# @dev Says which games count.
anchorStateRegistry: public(immutable(address))


# @dev Seconds that a proof must be older than.
proofMaturityDelaySeconds: public(immutable(uint256))


# @dev Seconds that the air gap behind a game's end takes; the registry itself counts blocks.
disputeGameFinalityDelaySeconds: public(immutable(uint256))


# @dev `status` of a game whose claim was proven wrong.
_CHALLENGER_WINS: constant(uint8) = 1


# @dev `l2Sender` while nothing is finalized.
_NOBODY: constant(address) = 0x000000000000000000000000000000000000dEaD


# @dev Who asks when a node estimates gas: no transaction can come from here.
_ESTIMATOR: constant(address) = 0x0000000000000000000000000000000000000001


# @dev Slot of `sentMessages` in L2ToL1MessagePasser.
_SENT_MESSAGES_SLOT: constant(uint256) = 0


# @dev What a call takes at most besides the gas that it hands on: a cold account 2,600, value 9,000, a new account
# 25,000, and steps between the check and the call.
_CALL_GAS: constant(uint256) = 40_000


# @dev More than any gas limit, and few enough bits for sums.
_GAS_MAX: constant(uint256) = 2**64 - 1


# @dev By withdrawal hash and submitter: the game (160 bits from the lowest) and when it was proven (64).
_proven: HashMap[bytes32, HashMap[address, uint256]]


# @dev By withdrawal hash: how many proofs were submitted.
_submissions: HashMap[bytes32, uint256]


# @dev By withdrawal hash and number: who submitted that proof.
_submitters: HashMap[bytes32, HashMap[uint256, address]]


# @dev By withdrawal hash: whether it was settled.
finalizedWithdrawals: public(HashMap[bytes32, bool])


# @dev Whether a withdrawal's target is being called.
_is_finalizing: transient(bool)


# @dev Who sent that withdrawal on L2.
_l2_sender: transient(address)


@deploy
def __init__(
    system_config: address, registry: address, proof_maturity_seconds: uint256, finality_delay_seconds: uint256
):
    """
    @notice Nothing but constants: storage of zeros is the start.
    @param system_config Says whether withdrawals are paused.
    @param registry Says which games count.
    @param proof_maturity_seconds Seconds that a proof must be older than.
    @param finality_delay_seconds Seconds of the air gap, for those who ask.
    """
    systemConfig = system_config
    anchorStateRegistry = registry
    proofMaturityDelaySeconds = proof_maturity_seconds
    disputeGameFinalityDelaySeconds = finality_delay_seconds


@external
def proveWithdrawalTransaction(
    _tx: IPortal.WithdrawalTransaction,
    _disputeGameIndex: uint256,
    _outputRootProof: IPortal.OutputRootProof,
    _withdrawalProof: DynArray[Bytes[inclusion.NODE_MAX], inclusion.NODES_MAX],
):
    """
    @notice Shows that L2 holds a withdrawal, under the claim of a game. Again, and against another game, at will: the
            caller's clock starts anew.
    @param _tx The withdrawal.
    @param _disputeGameIndex Number of the game.
    @param _outputRootProof What the game's claim is the hash of.
    @param _withdrawalProof Nodes of the message passer's storage trie, from the root to the withdrawal's leaf.
    """
    self._assert_not_paused()
    # As the portal, a withdrawal could make deposits in its name.
    if _tx.target == self:
        raw_revert(method_id("OptimismPortal_BadTarget()"))
    game: address = self._provable_game(_disputeGameIndex)
    claim: bytes32 = staticcall Game(game).rootClaim()
    # Version zero is the only one; a claim of another one's hash would be of other words.
    if _outputRootProof.version != empty(bytes32) or keccak256(abi_encode(_outputRootProof)) != claim:
        raw_revert(method_id("OptimismPortal_InvalidOutputRootProof()"))

    withdrawal_hash: bytes32 = keccak256(
        # As the message passer makes it; in place, because what is handed on is copied, 32 KiB each time.
        abi_encode(_tx.nonce, _tx.sender, _tx.target, _tx.value, _tx.gasLimit, _tx.data)
    )
    slot: bytes32 = keccak256(concat(withdrawal_hash, convert(_SENT_MESSAGES_SLOT, bytes32)))
    key: uint256 = convert(keccak256(slot), uint256)
    place: inclusion.Place = inclusion._root(_outputRootProof.messagePasserStorageRoot)
    for node: Bytes[inclusion.NODE_MAX] in _withdrawalProof:
        place = inclusion._descend(place, key, node)
    if not inclusion._is_found(place):
        raw_revert(method_id("OptimismPortal_InvalidMerkleProof()"))

    self._proven[withdrawal_hash][msg.sender] = convert(game, uint256) | (block.timestamp << 160)
    count: uint256 = self._submissions[withdrawal_hash]
    self._submitters[withdrawal_hash][count] = msg.sender
    self._submissions[withdrawal_hash] = count + 1
    log IPortal.WithdrawalProven(withdrawalHash=withdrawal_hash, sender=_tx.sender, to=_tx.target)
    log IPortal.WithdrawalProvenExtension1(withdrawalHash=withdrawal_hash, proofSubmitter=msg.sender)


@external
def finalizeWithdrawalTransaction(_tx: IPortal.WithdrawalTransaction):
    """
    @notice Calls a withdrawal's target, on the strength of the caller's own proof.
    @param _tx The withdrawal.
    """
    self._begin()
    withdrawal_hash: bytes32 = keccak256(
        # As the message passer makes it; in place, because what is handed on is copied, 32 KiB each time.
        abi_encode(_tx.nonce, _tx.sender, _tx.target, _tx.value, _tx.gasLimit, _tx.data)
    )
    self._settle(withdrawal_hash, msg.sender, _tx.sender, _tx.value)
    # Nothing stands between the check and the call; of what the target answers, not a byte is read.
    assert self._has_gas(_tx.gasLimit, msg.gas), "SafeCall: Not enough gas"
    success: bool = raw_call(_tx.target, _tx.data, value=_tx.value, revert_on_failure=False)
    self._end(withdrawal_hash, success)


@external
def finalizeWithdrawalTransactionExternalProof(
    _tx: IPortal.WithdrawalTransaction, _proofSubmitter: address
):
    """
    @notice Calls a withdrawal's target, on the strength of anyone's proof.
    @param _tx The withdrawal.
    @param _proofSubmitter Who proved it.
    """
    self._begin()
    withdrawal_hash: bytes32 = keccak256(
        # As the message passer makes it; in place, because what is handed on is copied, 32 KiB each time.
        abi_encode(_tx.nonce, _tx.sender, _tx.target, _tx.value, _tx.gasLimit, _tx.data)
    )
    self._settle(withdrawal_hash, _proofSubmitter, _tx.sender, _tx.value)
    assert self._has_gas(_tx.gasLimit, msg.gas), "SafeCall: Not enough gas"
    success: bool = raw_call(_tx.target, _tx.data, value=_tx.value, revert_on_failure=False)
    self._end(withdrawal_hash, success)


@external
@view
def checkWithdrawal(_withdrawalHash: bytes32, _proofSubmitter: address):
    """
    @notice Says by its error why a withdrawal cannot be finalized yet; nothing, if it can.
    @param _withdrawalHash Its hash.
    @param _proofSubmitter Whose proof counts.
    """
    self._check(_withdrawalHash, _proofSubmitter)


@external
@view
def provenWithdrawals(_withdrawalHash: bytes32, _proofSubmitter: address) -> (address, uint64):
    """
    @notice A proof.
    @param _withdrawalHash The withdrawal's hash.
    @param _proofSubmitter Who submitted it.
    @return address The game that it rests on; zero if there is none.
    @return uint64 When it was submitted, seconds.
    """
    return self._proof(_withdrawalHash, _proofSubmitter)


@external
@view
def numProofSubmitters(_withdrawalHash: bytes32) -> uint256:
    """
    @notice How many proofs of a withdrawal were submitted, a submitter's further ones counted.
    @param _withdrawalHash Its hash.
    @return uint256 The number.
    """
    return self._submissions[_withdrawalHash]


@external
@view
def proofSubmitters(_withdrawalHash: bytes32, _index: uint256) -> address:
    """
    @notice Who submitted a proof.
    @param _withdrawalHash The withdrawal's hash.
    @param _index Number of the proof, from zero.
    @return address The submitter.
    """
    assert _index < self._submissions[_withdrawalHash]
    return self._submitters[_withdrawalHash][_index]


@external
@view
def l2Sender() -> address:
    """
    @notice Who sent the withdrawal whose target is being called.
    @return address On L2; 0x…dEaD if none is.
    """
    if self._is_finalizing:
        return self._l2_sender
    return _NOBODY


@external
@view
def paused() -> bool:
    """
    @notice Whether nothing can be proven nor finalized.
    @return bool What SystemConfig says.
    """
    return staticcall Pause(systemConfig).paused()


@external
@view
def guardian() -> address:
    """
    @notice Who may pause.
    @return address What SystemConfig says.
    """
    return staticcall Pause(systemConfig).guardian()


@external
@view
def superchainConfig() -> address:
    """
    @notice Who says whether there is a pause.
    @return address SystemConfig: it answers for both.
    """
    return systemConfig


@external
@view
def disputeGameFactory() -> address:
    """
    @notice Where games are found by number.
    @return address What the registry says.
    """
    return staticcall Registry(anchorStateRegistry).disputeGameFactory()


@external
@view
def disputeGameBlacklist(_disputeGame: address) -> bool:
    """
    @notice Whether the guardian struck a game.
    @param _disputeGame The game.
    @return bool What the registry says.
    """
    return staticcall Registry(anchorStateRegistry).isGameBlacklisted(_disputeGame)


@external
@view
def respectedGameType() -> uint32:
    """
    @notice Which games count.
    @return uint32 What the registry says.
    """
    return staticcall Registry(anchorStateRegistry).respectedGameType()


@external
@view
def respectedGameTypeUpdatedAt() -> uint64:
    """
    @notice Up to when games are retired.
    @return uint64 What the registry says, seconds.
    """
    return staticcall Registry(anchorStateRegistry).retirementTimestamp()


@internal
@view
def _assert_not_paused():
    """
    @dev Ends the call during a pause.
    """
    if staticcall Pause(systemConfig).paused():
        raw_revert(method_id("OptimismPortal_CallPaused()"))


@internal
@view
def _provable_game(index: uint256) -> address:
    """
    @dev Finds a game that withdrawals can be proven against.
    @param index Its number.
    @return address The game.
    """
    factory: address = staticcall Registry(anchorStateRegistry).disputeGameFactory()
    game_type: uint32 = 0
    timestamp: uint64 = 0
    game: address = empty(address)
    game_type, timestamp, game = staticcall Factory(factory).gameAtIndex(index)
    if not staticcall Registry(anchorStateRegistry).isGameProper(game):
        raw_revert(method_id("OptimismPortal_ImproperDisputeGame()"))
    if not staticcall Registry(anchorStateRegistry).isGameRespected(game):
        raw_revert(method_id("OptimismPortal_InvalidDisputeGame()"))
    if staticcall Game(game).status() == _CHALLENGER_WINS:
        raw_revert(method_id("OptimismPortal_InvalidDisputeGame()"))
    if block.timestamp <= convert(staticcall Game(game).createdAt(), uint256):
        raw_revert(method_id("OptimismPortal_InvalidProofTimestamp()"))
    return game


@internal
@view
def _begin():
    """
    @dev What has to hold before a withdrawal is looked at.
    """
    self._assert_not_paused()
    if self._is_finalizing:
        raw_revert(method_id("OptimismPortal_NoReentrancy()"))


@internal
def _settle(withdrawal_hash: bytes32, submitter: address, sender: address, amount: uint256):
    """
    @dev Marks a withdrawal as settled, before its target can do anything.
    @param withdrawal_hash Its hash.
    @param submitter Whose proof counts.
    @param sender Who sent it on L2.
    @param amount Wei that it takes along.
    """
    self._check(withdrawal_hash, submitter)
    # A call without cover would fail before it began, and be settled for nothing.
    if self.balance < amount:
        raw_revert(method_id("OptimismPortal_NotEnoughLocked()"))
    self.finalizedWithdrawals[withdrawal_hash] = True
    self._is_finalizing = True
    self._l2_sender = sender


@internal
def _end(withdrawal_hash: bytes32, success: bool):
    """
    @dev What follows the call.
    @param withdrawal_hash The withdrawal's hash.
    @param success Whether its target succeeded.
    """
    self._is_finalizing = False
    self._l2_sender = empty(address)
    log IPortal.WithdrawalFinalized(withdrawalHash=withdrawal_hash, success=success)
    # An estimate that stops at the first gas limit that does not revert would be of the failure.
    if not success and tx.origin == _ESTIMATOR:
        raw_revert(method_id("OptimismPortal_GasEstimation()"))


@internal
@view
def _check(withdrawal_hash: bytes32, submitter: address):
    """
    @dev Ends the call unless a withdrawal can be finalized. All comparisons are strict.
    @param withdrawal_hash Its hash.
    @param submitter Whose proof counts.
    """
    game: address = empty(address)
    timestamp: uint64 = 0
    game, timestamp = self._proof(withdrawal_hash, submitter)
    if self.finalizedWithdrawals[withdrawal_hash]:
        raw_revert(method_id("OptimismPortal_AlreadyFinalized()"))
    if timestamp == 0:
        raw_revert(method_id("OptimismPortal_Unproven()"))
    if timestamp <= staticcall Game(game).createdAt():
        raw_revert(method_id("OptimismPortal_InvalidProofTimestamp()"))
    if block.timestamp - convert(timestamp, uint256) <= proofMaturityDelaySeconds:
        raw_revert(method_id("OptimismPortal_ProofNotOldEnough()"))
    if not staticcall Registry(anchorStateRegistry).isGameClaimValid(game):
        raw_revert(method_id("OptimismPortal_InvalidRootClaim()"))


@internal
@view
def _proof(withdrawal_hash: bytes32, submitter: address) -> (address, uint64):
    """
    @dev Unpacks a proof.
    @param withdrawal_hash The withdrawal's hash.
    @param submitter Who submitted it.
    @return address The game.
    @return uint64 When it was submitted.
    """
    word: uint256 = self._proven[withdrawal_hash][submitter]
    return convert(word & convert(max_value(uint160), uint256), address), convert(word >> 160, uint64)


@internal
@pure
def _has_gas(least: uint256, gas_left: uint256) -> bool:
    """
    @dev Whether a call that hands on all but a 64th (EIP-150) leaves its target enough, whatever the call itself takes.
    @param least Gas that the target must have.
    @param gas_left Gas before the call.
    @return bool The OP Stack's SafeCall.hasMinGas, without its overflow.
    """
    return least <= _GAS_MAX and gas_left * 63 >= least * 64 + _CALL_GAS * 63
