# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title What both messengers have in common
@license MIT
@author Faultline
@notice Names messages, reckons their gas, and keeps which of them were delivered or failed. The rule of the OP Stack's
        CrossDomainMessenger. How a message leaves the chain, and who may bring one in, is the messengers' own;
        so is each call that carries a message, because an internal function would copy all of it.
"""


# @dev Events and functions that both messengers have.
from ..interfaces import ICrossDomainMessenger


# @dev Version of the encoding of messages, in the highest 16 bits of a nonce.
MESSAGE_VERSION: public(constant(uint16)) = 1


# @dev Gas of all that `relayMessage` does besides the call.
RELAY_CONSTANT_OVERHEAD: public(constant(uint64)) = 200_000


# @dev By EIP-150 a call gets 63 of 64 parts.
MIN_GAS_DYNAMIC_OVERHEAD_NUMERATOR: public(constant(uint64)) = 64


# @dev See above.
MIN_GAS_DYNAMIC_OVERHEAD_DENOMINATOR: public(constant(uint64)) = 63


# @dev Gas of a byte of calldata.
MIN_GAS_CALLDATA_OVERHEAD: public(constant(uint64)) = 16


# @dev Most that a call costs before it begins: a cold address, Ether, a new account.
RELAY_CALL_OVERHEAD: public(constant(uint64)) = 40_000


# @dev Gas that is kept for what follows the call.
RELAY_RESERVED_GAS: public(constant(uint64)) = 40_000


# @dev Gas between the check and the call.
RELAY_GAS_CHECK_BUFFER: public(constant(uint64)) = 5_000


# @dev Gas of any transaction.
TX_BASE_GAS: public(constant(uint64)) = 21_000


# @dev Least gas of a byte of calldata (EIP-7623).
FLOOR_CALLDATA_OVERHEAD: public(constant(uint64)) = 40


# @dev Most bytes that `relayMessage` adds to a message.
ENCODING_OVERHEAD: public(constant(uint64)) = 260


# @dev Most bytes of a message: with `relayMessage` around it, it fits into the longest deposit.
MESSAGE_MAX: constant(uint256) = 32_512


# @dev Origin of transactions that only estimate gas. Such a one fails where a real one would note the failure, so that
# its estimate is enough for the message.
_ESTIMATION_ADDRESS: constant(address) = 0x0000000000000000000000000000000000000001


# @dev Versions from here on are unknown.
_VERSIONS_END: constant(uint256) = 2


# @dev The messenger of the other chain.
otherMessenger: public(immutable(address))


# @dev Whether a message was delivered, by its hash.
successfulMessages: public(HashMap[bytes32, bool])


# @dev Whether an attempt to deliver a message failed, by its hash.
failedMessages: public(HashMap[bytes32, bool])


# @dev How many messages were sent.
_sent: uint256


# @dev Who sent the message that is being delivered; zero while there is none.
_message_sender: transient(address)


@deploy
def __init__(other_messenger: address):
    """
    @notice Sets the counterpart; storage of zeros is the start.
    @param other_messenger The messenger of the other chain.
    """
    otherMessenger = other_messenger


@external
@view
def xDomainMessageSender() -> address:
    """
    @notice Who sent the message that is being delivered; reverts while there is none.
    @return address The sender's address on the other chain.
    """
    assert self._message_sender != empty(address), "CrossDomainMessenger: xDomainMessageSender is not set"
    return self._message_sender


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
def baseGas(_message: Bytes[MESSAGE_MAX], _minGasLimit: uint32) -> uint64:
    """
    @notice Gas with which a message certainly arrives, and its target gets what it asked for.
    @param _message The message.
    @param _minGasLimit Least gas of the call of its target.
    @return uint64 Gas of the call of `relayMessage`, with what a transaction costs itself.
    """
    return self._base_gas(len(_message), _minGasLimit)


@external
@view
def OTHER_MESSENGER() -> address:
    """
    @notice The messenger of the other chain, by its older name.
    @return address Its address.
    """
    return otherMessenger


@internal
@view
def _message_nonce() -> uint256:
    """
    @dev The next message's nonce.
    @return uint256 How many were sent, below the version in the highest 16 bits.
    """
    return (convert(MESSAGE_VERSION, uint256) << 240) | self._sent


@internal
@pure
def _base_gas(length: uint256, min_gas: uint32) -> uint64:
    """
    @dev Gas with which a message certainly arrives.
    @param length Its bytes.
    @param min_gas Least gas of the call of its target.
    @return uint64 Gas.
    """
    execution: uint64 = (
        RELAY_CONSTANT_OVERHEAD
        + RELAY_CALL_OVERHEAD
        + RELAY_RESERVED_GAS
        + RELAY_GAS_CHECK_BUFFER
        + convert(min_gas, uint64) * MIN_GAS_DYNAMIC_OVERHEAD_NUMERATOR // MIN_GAS_DYNAMIC_OVERHEAD_DENOMINATOR
    )
    size: uint64 = convert(length, uint64) + ENCODING_OVERHEAD
    return TX_BASE_GAS + max(execution + size * MIN_GAS_CALLDATA_OVERHEAD, size * FLOOR_CALLDATA_OVERHEAD)


@internal
@payable
def _count():
    """
    @dev Counts a message that left, and logs what `SentMessage` has no room for.
    """
    self._sent += 1
    log ICrossDomainMessenger.SentMessageExtension1(sender=msg.sender, value=msg.value)


@internal
@payable
def _admit(name: bytes32, nonce: uint256, amount: uint256, is_first: bool, is_unsafe: bool):
    """
    @dev Refuses what must not be delivered.
    @param name The message's hash.
    @param nonce Its nonce.
    @param amount Wei that it takes along.
    @param is_first Whether the other messenger brings it; else it is tried again.
    @param is_unsafe Whether its target would take the messenger's own word for an order.
    """
    assert (
        nonce >> 240 < _VERSIONS_END
    ), "CrossDomainMessenger: only version 0 or 1 messages are supported at this time"
    if is_first:
        # Both always hold: the other messenger sends each message once, with its Ether.
        assert msg.value == amount
        assert not self.failedMessages[name]
    else:
        assert (
            msg.value == 0
        ), "CrossDomainMessenger: value must be zero unless message is from a system address"
        assert self.failedMessages[name], "CrossDomainMessenger: message cannot be replayed"
    assert not is_unsafe, "CrossDomainMessenger: cannot send message to blocked system address"
    assert not self.successfulMessages[name], "CrossDomainMessenger: message has already been relayed"


@internal
@view
def _may_call(min_gas: uint256) -> bool:
    """
    @dev Whether the target can be called: with all the gas it was promised, and while no other message is delivered.
    @param min_gas Least gas of the call.
    @return bool Whether it can.
    """
    kept: uint256 = convert(RELAY_CALL_OVERHEAD + RELAY_RESERVED_GAS + RELAY_GAS_CHECK_BUFFER, uint256)
    return msg.gas * 63 >= min_gas * 64 + kept * 63 and self._message_sender == empty(address)


@internal
def _begin(sender: address):
    """
    @dev From here on `xDomainMessageSender` answers.
    @param sender Who sent the message.
    """
    self._message_sender = sender


@internal
def _end(name: bytes32, delivered: bool):
    """
    @dev Keeps what became of a message.
    @param name Its hash.
    @param delivered Whether its target was called and did not revert.
    """
    self._message_sender = empty(address)
    if not delivered:
        self._fail(name)
        return
    self.successfulMessages[name] = True
    log ICrossDomainMessenger.RelayedMessage(msgHash=name)


@internal
def _fail(name: bytes32):
    """
    @dev Keeps that a message could not be delivered.
    @param name Its hash.
    """
    self.failedMessages[name] = True
    log ICrossDomainMessenger.FailedRelayedMessage(msgHash=name)
    assert tx.origin != _ESTIMATION_ADDRESS, "CrossDomainMessenger: failed to relay message"
