# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L2CrossDomainMessenger
@license MIT
@author Faultline
@notice Messages between contracts of L1 and L2: sent by a withdrawal, received from a deposit of L1's messenger. Whoever
        is called can ask who sent it, and what failed can be tried again with more gas. ABI, events and reasons are
        those of the OP Stack's contract.
"""


# @dev We implement our own interface, and the one that both messengers share.
from ..interfaces import IL2CrossDomainMessenger
implements: IL2CrossDomainMessenger


# @dev See above.
from ..interfaces import ICrossDomainMessenger
implements: ICrossDomainMessenger


# @dev The way to L1.
from ..interfaces import IL2ToL1MessagePasser


# @dev Who L1's messenger is on L2.
from ..lib import aliasing


# @dev What both messengers have in common.
from ..lib import messaging
initializes: messaging
exports: messaging.__interface__


# @dev The message passer.
_MESSAGE_PASSER: constant(address) = 0x4200000000000000000000000000000000000016


@deploy
def __init__(other_messenger: address):
    """
    @notice Sets the counterpart; nothing can change it afterwards.
    @param other_messenger L1's messenger.
    """
    messaging.__init__(other_messenger)


@external
@payable
def sendMessage(_target: address, _message: Bytes[messaging.MESSAGE_MAX], _minGasLimit: uint32):
    """
    @notice Sends a message, and the Ether that comes along, to L1.
    @param _target Whom it calls there.
    @param _message The call's input.
    @param _minGasLimit The least gas of that call.
    """
    extcall IL2ToL1MessagePasser(_MESSAGE_PASSER).initiateWithdrawal(
        messaging.otherMessenger,
        convert(messaging._base_gas(len(_message), _minGasLimit), uint256),
        abi_encode(
            messaging._message_nonce(),
            msg.sender,
            _target,
            msg.value,
            convert(_minGasLimit, uint256),
            _message,
            method_id=method_id("relayMessage(uint256,address,address,uint256,uint256,bytes)"),
        ),
        value=msg.value,
    )
    log ICrossDomainMessenger.SentMessage(
        target=_target,
        sender=msg.sender,
        message=_message,
        messageNonce=messaging._message_nonce(),
        gasLimit=convert(_minGasLimit, uint256),
    )
    messaging._count()


@external
@payable
def relayMessage(
    _nonce: uint256,
    _sender: address,
    _target: address,
    _value: uint256,
    _minGasLimit: uint256,
    _message: Bytes[messaging.MESSAGE_MAX],
):
    """
    @notice Delivers a message of L1: by its deposit the first time, by anyone if that failed.
    @param _nonce Its nonce.
    @param _sender Who sent it.
    @param _target Whom it calls.
    @param _value Wei that it takes along.
    @param _minGasLimit The least gas of the call; with less it fails without one.
    @param _message The call's input.
    """
    name: bytes32 = keccak256(
        abi_encode(
            _nonce,
            _sender,
            _target,
            _value,
            _minGasLimit,
            _message,
            method_id=method_id("relayMessage(uint256,address,address,uint256,uint256,bytes)"),
        )
    )
    is_first: bool = msg.sender == aliasing._alias(messaging.otherMessenger)
    messaging._admit(name, _nonce, _value, is_first, _target in [self, _MESSAGE_PASSER])
    if not messaging._may_call(_minGasLimit):
        messaging._fail(name)
        return
    messaging._begin(_sender)
    delivered: bool = raw_call(
        _target,
        _message,
        gas=msg.gas - convert(messaging.RELAY_RESERVED_GAS, uint256),
        value=_value,
        revert_on_failure=False,
    )
    messaging._end(name, delivered)


@external
@view
def paused() -> bool:
    """
    @notice Whether messages of L1 are held back: never.
    @return bool False.
    """
    return False


@external
@view
def l1CrossDomainMessenger() -> address:
    """
    @notice L1's messenger, by its older name.
    @return address Its address.
    """
    return messaging.otherMessenger


@external
@pure
def version() -> String[8]:
    """
    @notice Which L2CrossDomainMessenger's ABI this is.
    @return String Semantic version.
    """
    return "2.2.0"
