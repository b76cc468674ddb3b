# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L2ToL1MessagePasser
@license MIT
@author Faultline
@notice Where withdrawals begin: each one leaves its hash in this contract's storage, whose root is part of every
        output root, so that L1 can be shown it. ABI and storage layout of the OP Stack's contract: tools ask
        `eth_getProof` for slot keccak(withdrawal hash ++ 0).
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IL2ToL1MessagePasser
implements: IL2ToL1MessagePasser


# @dev Version of the encoding of nonces and hashes.
MESSAGE_VERSION: public(constant(uint16)) = 1


# @dev L1 gas of the withdrawal that a plain payment makes.
_RECEIVE_GAS_LIMIT: constant(uint256) = 100_000


# @dev Most data of a withdrawal; no transaction of the L2 has room for more.
_DATA_MAX: constant(uint256) = 32_768


# @dev Init code of a contract that destroys itself in its constructor, and with it what it was given (EIP-6780).
_BURNER: constant(Bytes[2]) = x"30ff"


# @dev All of storage, word by word: Vyper's own mappings hash slot and key the other way round than Solidity's.
# Word keccak(withdrawal hash ++ 0) is 1 for a message that was sent, word 1 counts messages; no other is used.
_words: uint256[2**256 - 1]


# @dev The word that counts messages.
_NONCE_WORD: constant(uint256) = 1


@deploy
def __init__():
    """
    @notice Nothing: storage of zeros is the start.
    """
    pass


@external
@payable
def __default__():
    """
    @notice A plain payment is withdrawn to the sender's own address on L1.
    """
    # Unknown functions are refused; without this line they would count as payments.
    assert len(msg.data) == 0
    self._initiate(msg.sender, _RECEIVE_GAS_LIMIT, b"")


@external
@payable
def initiateWithdrawal(_target: address, _gasLimit: uint256, _data: Bytes[_DATA_MAX]):
    """
    @notice Sends a message, and the Ether that comes along, to L1.
    @param _target Whom it calls there.
    @param _gasLimit The least gas of that call.
    @param _data Its input.
    """
    self._initiate(_target, _gasLimit, _data)


@external
def burn():
    """
    @notice Takes the Ether of all messages so far out of the L2's supply; L1 pays it out. Anyone may.
    """
    amount: uint256 = self.balance
    created: address = raw_create(_BURNER, value=amount)
    log IL2ToL1MessagePasser.WithdrawerBalanceBurnt(amount=amount)


@external
@view
def sentMessages(_withdrawalHash: bytes32) -> bool:
    """
    @notice Whether a message was sent.
    @param _withdrawalHash Its hash.
    @return bool Whether it was.
    """
    return self._words[self._word_of(_withdrawalHash)] == 1


@external
@view
def messageNonce() -> uint256:
    """
    @notice The next message's nonce.
    @return uint256 How many were sent, below the version in the highest 16 bits.
    """
    return self._message_nonce()


@external
@pure
def version() -> String[8]:
    """
    @notice Which L2ToL1MessagePasser's ABI this is.
    @return String Semantic version.
    """
    return "1.1.2"


@internal
@payable
def _initiate(target: address, gas_limit: uint256, data: Bytes[_DATA_MAX]):
    """
    @dev Sends a message.
    @param target Whom it calls on L1.
    @param gas_limit The least gas of that call.
    @param data Its input.
    """
    nonce: uint256 = self._message_nonce()
    withdrawal_hash: bytes32 = keccak256(
        abi_encode(nonce, msg.sender, target, msg.value, gas_limit, data)
    )
    self._words[self._word_of(withdrawal_hash)] = 1
    self._words[_NONCE_WORD] += 1
    log IL2ToL1MessagePasser.MessagePassed(
        nonce=nonce,
        sender=msg.sender,
        target=target,
        value=msg.value,
        gasLimit=gas_limit,
        data=data,
        withdrawalHash=withdrawal_hash,
    )


@internal
@view
def _message_nonce() -> uint256:
    """
    @dev The next message's nonce.
    @return uint256 How many were sent, below the version in the highest 16 bits.
    """
    return (convert(MESSAGE_VERSION, uint256) << 240) | self._words[_NONCE_WORD]


@internal
@pure
def _word_of(withdrawal_hash: bytes32) -> uint256:
    """
    @dev Where a message is kept: Solidity's slot of a mapping at slot 0.
    @param withdrawal_hash Its hash.
    @return uint256 The slot.
    """
    return convert(keccak256(concat(withdrawal_hash, empty(bytes32))), uint256)
