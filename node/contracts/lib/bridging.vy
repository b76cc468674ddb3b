# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title What both standard bridges have in common
@license MIT
@author Faultline
@notice Ether and tokens go over as messages from bridge to bridge. A token that stands for one of the other chain is burnt
        here and minted there; any other is kept here, by pair of tokens, and given out again for what the same pair
        brings back, never for more. The rule of the OP Stack's StandardBridge, with one refusal more: a token
        that arrives in another amount than it was sent in (fees, rounding) would be paid out of others' deposits.
"""


# @dev Events and functions that both bridges have.
from ..interfaces import IStandardBridge


# @dev The way to the other chain.
from ..interfaces import ICrossDomainMessenger


# @dev A token that stands for one of the other chain.
from ..interfaces import IOptimismMintableERC20


# @dev Any other token; a built-in interface of the Vyper compiler.
from ethereum.ercs import IERC20


# @dev Whether an account is a key's.
from . import aliasing


# @dev Most extra data of a transfer.
EXTRA_MAX: constant(uint256) = 8_192


# @dev Least gas on the other chain of a plain payment to a bridge.
RECEIVE_GAS_LIMIT: constant(uint32) = 200_000


# @dev Gas for the answer whether a contract has an interface (EIP-165).
_QUESTION_GAS: constant(uint256) = 30_000


# @dev EIP-165 itself.
_ERC165: constant(bytes4) = 0x01ffc9a7


# @dev What no contract of EIP-165 may have.
_NO_INTERFACE: constant(bytes4) = 0xffffffff


# @dev mint, burn, l1Token: tokens of the OP Stack's first years.
_LEGACY_MINTABLE: constant(bytes4) = 0x1d1d8b63


# @dev mint, burn, remoteToken, bridge.
_MINTABLE: constant(bytes4) = 0xec4fc8e3


# @dev The messenger of this chain.
messenger: public(immutable(address))


# @dev The bridge of the other chain.
otherBridge: public(immutable(address))


# @dev How much of a token of this chain (first key) is kept for one of the other chain (second key).
deposits: public(HashMap[address, HashMap[address, uint256]])


# @dev Whether a token is being taken in: until then its balance is not yet known.
_taking: transient(bool)


@deploy
def __init__(messenger_: address, other_bridge: address):
    """
    @notice Sets the counterparts; storage of zeros is the start.
    @param messenger_ The messenger of this chain.
    @param other_bridge The bridge of the other chain.
    """
    messenger = messenger_
    otherBridge = other_bridge


@external
@view
def MESSENGER() -> address:
    """
    @notice The messenger of this chain, by its older name.
    @return address Its address.
    """
    return messenger


@external
@view
def OTHER_BRIDGE() -> address:
    """
    @notice The bridge of the other chain, by its older name.
    @return address Its address.
    """
    return otherBridge


@internal
@view
def _only_key():
    """
    @dev Refuses contracts, which may not have the same address on the other chain.
    """
    is_key: bool = msg.sender == tx.origin or aliasing._is_delegated(msg.sender)
    assert is_key, "StandardBridge: function can only be called from an EOA"


@internal
@view
def _only_other_bridge():
    """
    @dev Refuses everybody but the other bridge, speaking through the messengers.
    """
    is_other: bool = msg.sender == messenger
    if is_other:
        is_other = staticcall ICrossDomainMessenger(messenger).xDomainMessageSender() == otherBridge
    assert is_other, "StandardBridge: function can only be called from the other bridge"


@internal
@payable
def _send_ether(to: address, min_gas: uint32, extra: Bytes[EXTRA_MAX]):
    """
    @dev Sends what was paid.
    @param to To whom.
    @param min_gas Least gas there.
    @param extra For whoever reads logs.
    """
    log IStandardBridge.ETHBridgeInitiated(sender=msg.sender, to=to, amount=msg.value, extraData=extra)
    extcall ICrossDomainMessenger(messenger).sendMessage(
        otherBridge,
        abi_encode(
            msg.sender,
            to,
            msg.value,
            extra,
            method_id=method_id("finalizeBridgeETH(address,address,uint256,bytes)"),
        ),
        min_gas,
        value=msg.value,
    )


@internal
@payable
def _give_ether(sender: address, to: address, amount: uint256, extra: Bytes[EXTRA_MAX]):
    """
    @dev Pays out what the other bridge sent.
    @param sender Who sent it.
    @param to To whom.
    @param amount How much, wei.
    @param extra For whoever reads logs.
    """
    assert msg.value == amount, "StandardBridge: amount sent does not match amount required"
    assert to != self, "StandardBridge: cannot send to self"
    assert to != messenger, "StandardBridge: cannot send to messenger"
    log IStandardBridge.ETHBridgeFinalized(sender=sender, to=to, amount=amount, extraData=extra)
    assert raw_call(to, b"", value=amount, revert_on_failure=False), "StandardBridge: ETH transfer failed"


@internal
def _send_tokens(
    local: address, remote: address, to: address, amount: uint256, min_gas: uint32, extra: Bytes[EXTRA_MAX]
):
    """
    @dev Sends tokens that were taken.
    @param local The token here.
    @param remote The token there.
    @param to To whom.
    @param amount How many.
    @param min_gas Least gas there.
    @param extra For whoever reads logs.
    """
    log IStandardBridge.ERC20BridgeInitiated(
        localToken=local, remoteToken=remote, sender=msg.sender, to=to, amount=amount, extraData=extra
    )
    extcall ICrossDomainMessenger(messenger).sendMessage(
        otherBridge,
        # What is local here is remote there.
        abi_encode(
            remote,
            local,
            msg.sender,
            to,
            amount,
            extra,
            method_id=method_id("finalizeBridgeERC20(address,address,address,address,uint256,bytes)"),
        ),
        min_gas,
    )


@internal
def _take(local: address, remote: address, amount: uint256):
    """
    @dev Takes the caller's tokens.
    @param local The token here.
    @param remote The token there.
    @param amount How many.
    """
    if self._is_mintable(local):
        self._check_pair(local, remote)
        extcall IOptimismMintableERC20(local).burn(msg.sender, amount)
        return
    assert not self._taking, "StandardBridge: a token is being taken already"
    self._taking = True
    held: uint256 = staticcall IERC20(local).balanceOf(self)
    moved: bool = extcall IERC20(local).transferFrom(msg.sender, self, amount, default_return_value=True)
    assert moved, "SafeERC20: ERC20 operation did not succeed"
    gained: uint256 = staticcall IERC20(local).balanceOf(self) - held
    assert gained == amount, "StandardBridge: token does not arrive in full"
    self._taking = False
    self.deposits[local][remote] += amount


@internal
def _give(local: address, remote: address, to: address, amount: uint256):
    """
    @dev Gives out tokens that the other bridge sent.
    @param local The token here.
    @param remote The token there.
    @param to To whom.
    @param amount How many; reverts if the pair holds fewer.
    """
    if self._is_mintable(local):
        self._check_pair(local, remote)
        extcall IOptimismMintableERC20(local).mint(to, amount)
        return
    self.deposits[local][remote] -= amount
    moved: bool = extcall IERC20(local).transfer(to, amount, default_return_value=True)
    assert moved, "SafeERC20: ERC20 operation did not succeed"


@internal
@view
def _is_mintable(token: address) -> bool:
    """
    @dev Whether a token says that it stands for one of the other chain.
    @param token The token.
    @return bool Whether it does.
    """
    return self._supports(token, _LEGACY_MINTABLE) or self._supports(token, _MINTABLE)


@internal
@view
def _check_pair(local: address, remote: address):
    """
    @dev Refuses a token that stands for another one than is said.
    @param local A mintable token.
    @param remote The token that it should stand for.
    """
    meant: address = empty(address)
    if self._supports(local, _LEGACY_MINTABLE):
        meant = staticcall IOptimismMintableERC20(local).l1Token()
    else:
        meant = staticcall IOptimismMintableERC20(local).remoteToken()
    assert remote == meant, "StandardBridge: wrong remote token for Optimism Mintable ERC20 local token"


@internal
@view
def _supports(token: address, id: bytes4) -> bool:
    """
    @dev Whether a contract answers that it has an interface, as EIP-165 asks.
    @param token The contract, or an account without code.
    @param id The interface.
    @return bool Whether it does.
    """
    return self._answers(token, _ERC165) and not self._answers(token, _NO_INTERFACE) and self._answers(token, id)


@internal
@view
def _answers(token: address, id: bytes4) -> bool:
    """
    @dev One question of EIP-165, with bounded gas and without trust in the answer's form.
    @param token Whom to ask.
    @param id The interface.
    @return bool Whether the answer is a whole word other than zero.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        token,
        abi_encode(id, method_id=method_id("supportsInterface(bytes4)")),
        max_outsize=32,
        gas=_QUESTION_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, uint256) != 0
