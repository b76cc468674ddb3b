# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title L2StandardBridge
@license MIT
@author Faultline
@notice Brings Ether and ERC-20 tokens to L1 and gives out what comes from there. Ether leaves through the message passer,
        tokens of L2 stay here, tokens that stand for one of L1 are burnt and minted. ABI, both forms of each event,
        and reasons are those of the OP Stack's contract.
"""


# @dev We implement our own interface, and the one that both bridges share.
from ..interfaces import IL2StandardBridge
implements: IL2StandardBridge


# @dev See above.
from ..interfaces import IStandardBridge
implements: IStandardBridge


# @dev A token that stands for one of L1.
from ..interfaces import IOptimismMintableERC20


# @dev What both bridges have in common.
from ..lib import bridging
initializes: bridging
exports: bridging.__interface__


# @dev Ether, where a token of L2 is asked for.
_LEGACY_ETHER: constant(address) = 0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000


@deploy
def __init__(messenger_: address, other_bridge: address):
    """
    @notice Sets the counterparts; nothing can change them afterwards.
    @param messenger_ L2's messenger.
    @param other_bridge L1's bridge.
    """
    bridging.__init__(messenger_, other_bridge)


@external
@payable
def __default__():
    """
    @notice A plain payment of a key goes to the same address on L1.
    """
    # Unknown functions are refused; without this line they would count as payments.
    assert len(msg.data) == 0
    bridging._only_key()
    self._send_ether(msg.sender, bridging.RECEIVE_GAS_LIMIT, b"")


@external
@payable
def bridgeETH(_minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Sends Ether to the same address on L1; only for keys.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._send_ether(msg.sender, _minGasLimit, _extraData)


@external
@payable
def bridgeETHTo(_to: address, _minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Sends Ether to an address on L1.
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
    @notice Sends tokens to the same address on L1; only for keys.
    @param _localToken The token on L2.
    @param _remoteToken The token on L1.
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
    @notice Sends tokens to an address on L1.
    @param _localToken The token on L2.
    @param _remoteToken The token on L1.
    @param _to To whom.
    @param _amount How many.
    @param _minGasLimit Least gas of their arrival.
    @param _extraData For whoever reads logs.
    """
    self._send_tokens(_localToken, _remoteToken, _to, _amount, _minGasLimit, _extraData)


@external
@payable
def withdraw(_l2Token: address, _amount: uint256, _minGasLimit: uint32, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Sends Ether, or a token that stands for one of L1, to the same address on L1; only for keys.
    @param _l2Token The token on L2; 0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000 for Ether.
    @param _amount How much; of Ether what is paid along.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    bridging._only_key()
    self._withdraw(_l2Token, msg.sender, _amount, _minGasLimit, _extraData)


@external
@payable
def withdrawTo(
    _l2Token: address,
    _to: address,
    _amount: uint256,
    _minGasLimit: uint32,
    _extraData: Bytes[bridging.EXTRA_MAX],
):
    """
    @notice Sends Ether, or a token that stands for one of L1, to an address on L1.
    @param _l2Token The token on L2; 0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000 for Ether.
    @param _to To whom.
    @param _amount How much; of Ether what is paid along.
    @param _minGasLimit Least gas of its arrival.
    @param _extraData For whoever reads logs.
    """
    self._withdraw(_l2Token, _to, _amount, _minGasLimit, _extraData)


@external
@payable
def finalizeBridgeETH(_from: address, _to: address, _amount: uint256, _extraData: Bytes[bridging.EXTRA_MAX]):
    """
    @notice Pays out Ether that came from L1; only for L1's bridge.
    @param _from Who sent it.
    @param _to To whom.
    @param _amount How much, wei.
    @param _extraData For whoever reads logs.
    """
    bridging._only_other_bridge()
    log IL2StandardBridge.DepositFinalized(
        l1Token=empty(address),
        l2Token=_LEGACY_ETHER,
        sender=_from,
        to=_to,
        amount=_amount,
        extraData=_extraData,
    )
    bridging._give_ether(_from, _to, _amount, _extraData)


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
    @notice Gives out tokens that came from L1; only for L1's bridge.
    @param _localToken The token on L2.
    @param _remoteToken The token on L1.
    @param _from Who sent them.
    @param _to To whom.
    @param _amount How many.
    @param _extraData For whoever reads logs.
    """
    bridging._only_other_bridge()
    bridging._give(_localToken, _remoteToken, _to, _amount)
    log IL2StandardBridge.DepositFinalized(
        l1Token=_remoteToken,
        l2Token=_localToken,
        sender=_from,
        to=_to,
        amount=_amount,
        extraData=_extraData,
    )
    log IStandardBridge.ERC20BridgeFinalized(
        localToken=_localToken,
        remoteToken=_remoteToken,
        sender=_from,
        to=_to,
        amount=_amount,
        extraData=_extraData,
    )


@external
@view
def l1TokenBridge() -> address:
    """
    @notice L1's bridge, by its older name.
    @return address Its address.
    """
    return bridging.otherBridge


@external
@view
def paused() -> bool:
    """
    @notice Whether what comes from L1 is held back: never.
    @return bool False.
    """
    return False


@external
@pure
def version() -> String[8]:
    """
    @notice Which L2StandardBridge's ABI this is.
    @return String Semantic version.
    """
    return "1.12.0"


@internal
@payable
def _withdraw(
    token: address, to: address, amount: uint256, min_gas: uint32, extra: Bytes[bridging.EXTRA_MAX]
):
    """
    @dev Sends Ether, or a token that stands for one of L1.
    @param token The token on L2.
    @param to To whom.
    @param amount How much.
    @param min_gas Least gas of its arrival.
    @param extra For whoever reads logs.
    """
    if token == _LEGACY_ETHER:
        assert msg.value == amount, "StandardBridge: bridging ETH must include sufficient ETH value"
        self._send_ether(to, min_gas, extra)
    else:
        assert msg.value == 0, "StandardBridge: cannot send value"
        self._send_tokens(
            token, staticcall IOptimismMintableERC20(token).l1Token(), to, amount, min_gas, extra
        )


@internal
@payable
def _send_ether(to: address, min_gas: uint32, extra: Bytes[bridging.EXTRA_MAX]):
    """
    @dev Sends what was paid to L1.
    @param to To whom.
    @param min_gas Least gas of its arrival.
    @param extra For whoever reads logs.
    """
    log IL2StandardBridge.WithdrawalInitiated(
        l1Token=empty(address),
        l2Token=_LEGACY_ETHER,
        sender=msg.sender,
        to=to,
        amount=msg.value,
        extraData=extra,
    )
    bridging._send_ether(to, min_gas, extra)


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
    @dev Takes the caller's tokens and sends them to L1.
    @param token The token on L2.
    @param remote The token on L1.
    @param to To whom.
    @param amount How many.
    @param min_gas Least gas of their arrival.
    @param extra For whoever reads logs.
    """
    bridging._take(token, remote, amount)
    log IL2StandardBridge.WithdrawalInitiated(
        l1Token=remote, l2Token=token, sender=msg.sender, to=to, amount=amount, extraData=extra
    )
    bridging._send_tokens(token, remote, to, amount, min_gas, extra)
