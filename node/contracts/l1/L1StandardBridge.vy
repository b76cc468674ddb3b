# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L1StandardBridge
@license MIT
@author Faultline
@notice Brings Ether and ERC-20 tokens to L2 and gives out what comes back. Ether stays in the Portal, tokens of L1 stay
        here. ABI, both forms of each event, and reasons are those of the OP Stack's contract.
"""


# @dev We implement our own interface, and the one that both bridges share.
from ..interfaces import IL1StandardBridge
implements: IL1StandardBridge


# @dev See above.
from ..interfaces import IStandardBridge
implements: IStandardBridge


# @dev Who can stop what comes from L2.
from ..interfaces import IPausable


# @dev What both bridges have in common.
from ..lib import bridging
initializes: bridging
exports: bridging.__interface__


# @dev Where the pause is kept.
systemConfig: public(immutable(address))


@deploy
def __init__(messenger_: address, other_bridge: address, system_config: address):
    """
    @notice Sets the counterparts; nothing can change them afterwards.
    @param messenger_ L1's messenger.
    @param other_bridge L2's bridge.
    @param system_config Where the pause is kept.
    """
    bridging.__init__(messenger_, other_bridge)
    systemConfig = system_config


@external
@payable
def __default__():
    """
    @notice A plain payment of a key goes to the same address on L2.
    """
    # Unknown functions are refused; without this line they would count as payments.
    assert len(msg.data) == 0
    bridging._only_key()
    self._send_ether(msg.sender, bridging.RECEIVE_GAS_LIMIT, b"")


@external
@payable
def bridgeETH(_minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Sends Ether to the same address on L2; only for keys.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._send_ether(msg.sender, _minGasLimit, _extraData)


@external
@payable
def bridgeETHTo(_to: address, _minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Sends Ether to an address on L2.
    @param _to To whom.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    self._send_ether(_to, _minGasLimit, _extraData)


@external
@payable
def depositETH(_minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice `bridgeETH`, by its older name.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._send_ether(msg.sender, _minGasLimit, _extraData)


@external
@payable
def depositETHTo(_to: address, _minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice `bridgeETHTo`, by its older name.
    @param _to To whom.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    self._send_ether(_to, _minGasLimit, _extraData)


@external
def bridgeERC20(
    _localToken: address,
    _remoteToken: address,
    _amount: uint256,
    _minGasLimit: uint32,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice Sends tokens to the same address on L2; only for keys.
    @param _localToken The token on L1.
    @param _remoteToken The token on L2.
    @param _amount How many.
    @param _minGasLimit Least gas of their arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._send_tokens(_localToken, _remoteToken, msg.sender, _amount, _minGasLimit, _extraData)


@external
def bridgeERC20To(
    _localToken: address,
    _remoteToken: address,
    _to: address,
    _amount: uint256,
    _minGasLimit: uint32,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice Sends tokens to an address on L2.
    @param _localToken The token on L1.
    @param _remoteToken The token on L2.
    @param _to To whom.
    @param _amount How many.
    @param _minGasLimit Least gas of their arrival.
    @param _extraData For whoever reads logs.
    """
    self._send_tokens(_localToken, _remoteToken, _to, _amount, _minGasLimit, _extraData)


@external
def depositERC20(
    _l1Token: address,
    _l2Token: address,
    _amount: uint256,
    _minGasLimit: uint32,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice `bridgeERC20`, by its older name.
    @param _l1Token The token on L1.
    @param _l2Token The token on L2.
    @param _amount How many.
    @param _minGasLimit Least gas of their arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._send_tokens(_l1Token, _l2Token, msg.sender, _amount, _minGasLimit, _extraData)


@external
def depositERC20To(
    _l1Token: address,
    _l2Token: address,
    _to: address,
    _amount: uint256,
    _minGasLimit: uint32,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice `bridgeERC20To`, by its older name.
    @param _l1Token The token on L1.
    @param _l2Token The token on L2.
    @param _to To whom.
    @param _amount How many.
    @param _minGasLimit Least gas of their arrival.
    @param _extraData For whoever reads logs.
    """
    self._send_tokens(_l1Token, _l2Token, _to, _amount, _minGasLimit, _extraData)


@external
@payable
def finalizeBridgeETH(_from: address, _to: address, _amount: uint256, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Pays out Ether that came back; only for L2's bridge.
    @param _from Who sent it.
    @param _to To whom.
    @param _amount How much, wei.
    @param _extraData For whoever reads logs.
    """
    self._give_ether(_from, _to, _amount, _extraData)


@external
@payable
def finalizeETHWithdrawal(
    _from: address, _to: address, _amount: uint256, _extraData: Bytes[bridging.EXTRA_MAX]
):
    """
    @notice `finalizeBridgeETH`, by its older name.
    @param _from Who sent it.
    @param _to To whom.
    @param _amount How much, wei.
    @param _extraData For whoever reads logs.
    """
    self._give_ether(_from, _to, _amount, _extraData)


@external
def finalizeBridgeERC20(
    _localToken: address,
    _remoteToken: address,
    _from: address,
    _to: address,
    _amount: uint256,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice Gives out tokens that came back; only for L2's bridge.
    @param _localToken The token on L1.
    @param _remoteToken The token on L2.
    @param _from Who sent them.
    @param _to To whom.
    @param _amount How many.
    @param _extraData For whoever reads logs.
    """
    self._give_tokens(_localToken, _remoteToken, _from, _to, _amount, _extraData)


@external
def finalizeERC20Withdrawal(
    _l1Token: address,
    _l2Token: address,
    _from: address,
    _to: address,
    _amount: uint256,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice `finalizeBridgeERC20`, by its older name.
    @param _l1Token The token on L1.
    @param _l2Token The token on L2.
    @param _from Who sent them.
    @param _to To whom.
    @param _amount How many.
    @param _extraData For whoever reads logs.
    """
    self._give_tokens(_l1Token, _l2Token, _from, _to, _amount, _extraData)


@external
@view
def l2TokenBridge() -> address:
    """
    @notice L2's bridge, by its older name.
    @return address Its address.
    """
    return bridging.otherBridge


@external
@view
def superchainConfig() -> address:
    """
    @notice Where the pause is kept, by its older name.
    @return address Its address.
    """
    return systemConfig


@external
@view
def paused() -> bool:
    """
    @notice Whether what comes from L2 is held back.
    @return bool Whether it is.
    """
    return self._paused()


@external
@pure
def version() -> String[8]:
    """
    @notice Which L1StandardBridge's ABI this is.
    @return String Semantic version.
    """
    return "2.6.0"


@internal
@payable
def _send_ether(to: address, min_gas: uint32, extra: Bytes[bridging.EXTRA_MAX]):
    """
    @dev Sends what was paid to L2.
    @param to To whom.
    @param min_gas Least gas of its arrival.
    @param extra For whoever reads logs.
    """
    log IL1StandardBridge.ETHDepositInitiated(sender=msg.sender, to=to, amount=msg.value, extraData=extra)
    bridging._send_ether(to, min_gas, extra)


@internal
@payable
def _give_ether(sender: address, to: address, amount: uint256, extra: Bytes[bridging.EXTRA_MAX]):
    """
    @dev Pays out Ether that came back.
    @param sender Who sent it.
    @param to To whom.
    @param amount How much, wei.
    @param extra For whoever reads logs.
    """
    bridging._only_other_bridge()
    assert not self._paused(), "StandardBridge: paused"
    log IL1StandardBridge.ETHWithdrawalFinalized(sender=sender, to=to, amount=amount, extraData=extra)
    bridging._give_ether(sender, to, amount, extra)


@internal
def _send_tokens(
    token: address,
    remote: address,
    to: address,
    amount: uint256,
    min_gas: uint32,
    extra: Bytes[bridging.EXTRA_MAX],
):
    """
    @dev Takes the caller's tokens and sends them to L2.
    @param token The token on L1.
    @param remote The token on L2.
    @param to To whom.
    @param amount How many.
    @param min_gas Least gas of their arrival.
    @param extra For whoever reads logs.
    """
    bridging._take(token, remote, amount)
    log IL1StandardBridge.ERC20DepositInitiated(
        l1Token=token, l2Token=remote, sender=msg.sender, to=to, amount=amount, extraData=extra
    )
    bridging._send_tokens(token, remote, to, amount, min_gas, extra)


@internal
def _give_tokens(
    token: address,
    remote: address,
    sender: address,
    to: address,
    amount: uint256,
    extra: Bytes[bridging.EXTRA_MAX],
):
    """
    @dev Gives out tokens that came back.
    @param token The token on L1.
    @param remote The token on L2.
    @param sender Who sent them.
    @param to To whom.
    @param amount How many.
    @param extra For whoever reads logs.
    """
    bridging._only_other_bridge()
    assert not self._paused(), "StandardBridge: paused"
    bridging._give(token, remote, to, amount)
    log IL1StandardBridge.ERC20WithdrawalFinalized(
        l1Token=token, l2Token=remote, sender=sender, to=to, amount=amount, extraData=extra
    )
    log IStandardBridge.ERC20BridgeFinalized(
        localToken=token, remoteToken=remote, sender=sender, to=to, amount=amount, extraData=extra
    )


@internal
@view
def _paused() -> bool:
    """
    @dev Whether what comes from L2 is held back.
    @return bool Whether it is.
    """
    return staticcall IPausable(systemConfig).paused()
