# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L1CrossDomainMessenger
@license MIT
@author Faultline
@notice Messages between contracts of L1 and L2: sent by a deposit, received from a withdrawal that the Portal finalizes.
        Whoever is called can ask who sent it, and what failed can be tried again with more gas. ABI, events and reasons
        are those of the OP Stack's contract, and one function more: a deposit that fails on L2 as a whole, because what
        it touches is more than its gas pays witness for, leaves its message unnoted; `resendMessage` brings it again.
"""


# @dev We implement our own interface, and the one that both messengers share.
from ..interfaces import IL1CrossDomainMessenger
implements: IL1CrossDomainMessenger


# @dev See above.
from ..interfaces import ICrossDomainMessenger
implements: ICrossDomainMessenger


# @dev The way to L2.
from ..interfaces import IPortal


# @dev Who can stop what comes from L2.
from ..interfaces import IPausable


# @dev What both messengers have in common.
from ..lib import messaging
initializes: messaging
exports: messaging.__interface__


# @dev What the Portal says while it finalizes a withdrawal.
interface Finalizing:
    def l2Sender() -> address: view


# @dev The Portal.
portal: public(immutable(address))


# @dev Where the pause is kept.
systemConfig: public(immutable(address))


# @dev Whether a message was sent from here, by its hash.
sentMessages: public(HashMap[bytes32, bool])


# @dev A message with `relayMessage` around it: four bytes, six words, a length.
_CALL_MAX: constant(uint256) = messaging.MESSAGE_MAX + 228


@deploy
def __init__(other_messenger: address, portal_: address, system_config: address):
    """
    @notice Sets the counterparts; nothing can change them afterwards.
    @param other_messenger L2's messenger.
    @param portal_ The Portal.
    @param system_config Where the pause is kept.
    """
    messaging.__init__(other_messenger)
    portal = portal_
    systemConfig = system_config


@external
@payable
def sendMessage(_target: address, _message: Bytes[messaging.MESSAGE_MAX], _minGasLimit: uint32):
    """
    @notice Sends a message, and the Ether that comes along, to L2.
    @param _target Whom it calls there.
    @param _message The call's input.
    @param _minGasLimit The least gas of that call.
    """
    data: Bytes[_CALL_MAX] = abi_encode(
        messaging._message_nonce(),
        msg.sender,
        _target,
        msg.value,
        convert(_minGasLimit, uint256),
        _message,
        method_id=method_id("relayMessage(uint256,address,address,uint256,uint256,bytes)"),
    )
    self.sentMessages[keccak256(data)] = True
    extcall IPortal(portal).depositTransaction(
        messaging.otherMessenger,
        msg.value,
        messaging._base_gas(len(_message), _minGasLimit),
        False,
        data,
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
def resendMessage(
    _nonce: uint256,
    _sender: address,
    _target: address,
    _value: uint256,
    _minGasLimit: uint256,
    _message: Bytes[messaging.MESSAGE_MAX],
    _gasLimit: uint64,
):
    """
    @notice Brings a message to L2 again, whose deposit failed there as a whole; its Ether waits with this contract's alias.
            Anyone may; L2 refuses what it has delivered, or noted as failed, already.
    @param _nonce Its nonce.
    @param _sender Who sent it.
    @param _target Whom it calls.
    @param _value Wei that it takes along.
    @param _minGasLimit The least gas of the call.
    @param _message The call's input.
    @param _gasLimit L2 gas of the new deposit; the caller pays for it.
    """
    data: Bytes[_CALL_MAX] = abi_encode(
        _nonce,
        _sender,
        _target,
        _value,
        _minGasLimit,
        _message,
        method_id=method_id("relayMessage(uint256,address,address,uint256,uint256,bytes)"),
    )
    assert self.sentMessages[keccak256(data)], "CrossDomainMessenger: message was not sent"
    least: uint64 = messaging._base_gas(len(_message), convert(_minGasLimit, uint32))
    assert _gasLimit >= least, "CrossDomainMessenger: less gas than at first"
    extcall IPortal(portal).depositTransaction(messaging.otherMessenger, _value, _gasLimit, False, data)


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
    @notice Delivers a message of L2: from the Portal the first time, by anyone if that failed.
    @param _nonce Its nonce.
    @param _sender Who sent it.
    @param _target Whom it calls.
    @param _value Wei that it takes along.
    @param _minGasLimit The least gas of the call; with less it fails without one.
    @param _message The call's input.
    """
    assert not self._paused(), "CrossDomainMessenger: paused"
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
    messaging._admit(name, _nonce, _value, self._is_other_messenger(), _target in [self, portal])
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
    @notice Whether messages of L2 are held back.
    @return bool Whether they are.
    """
    return self._paused()


@external
@view
def PORTAL() -> address:
    """
    @notice The Portal, by its older name.
    @return address Its address.
    """
    return portal


@external
@view
def superchainConfig() -> address:
    """
    @notice Where the pause is kept, by its older name.
    @return address Its address.
    """
    return systemConfig


@external
@pure
def version() -> String[8]:
    """
    @notice Which L1CrossDomainMessenger's ABI this is.
    @return String Semantic version.
    """
    return "2.9.0"


@internal
@view
def _is_other_messenger() -> bool:
    """
    @dev Whether the Portal is finalizing a withdrawal of L2's messenger.
    @return bool Whether it is.
    """
    return msg.sender == portal and staticcall Finalizing(portal).l2Sender() == messaging.otherMessenger


@internal
@view
def _paused() -> bool:
    """
    @dev Whether messages of L2 are held back.
    @return bool Whether they are.
    """
    return staticcall IPausable(systemConfig).paused()
