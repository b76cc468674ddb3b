# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title OptimismMintableERC20Factory
@license MIT
@author Faultline
@notice Makes tokens that stand for those of the other chain, for anyone, each at an address that its terms determine. ABI
        and events of the OP Stack's contract.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IOptimismMintableERC20Factory
implements: IOptimismMintableERC20Factory


# @dev Decimals of a token that is made without saying.
_DECIMALS: constant(uint8) = 18


# @dev The bridge that mints and burns.
bridge: public(immutable(address))


# @dev Where the tokens' init code stands (EIP-5202).
_BLUEPRINT: immutable(address)


# @dev The token of the other chain, by token that was made here.
deployments: public(HashMap[address, address])


@deploy
def __init__(bridge_: address, blueprint: address):
    """
    @notice Sets the terms; nothing can change them afterwards.
    @param bridge_ The bridge that mints and burns.
    @param blueprint Where the tokens' init code stands.
    """
    bridge = bridge_
    _BLUEPRINT = blueprint


@external
def createStandardL2Token(_remoteToken: address, _name: String[64], _symbol: String[32]) -> address:
    """
    @notice `createOptimismMintableERC20`, by its older name.
    @param _remoteToken The token of the other chain.
    @param _name Name of the new token.
    @param _symbol Symbol of the new token.
    @return address The new token.
    """
    return self._create(_remoteToken, _name, _symbol, _DECIMALS)


@external
def createOptimismMintableERC20(_remoteToken: address, _name: String[64], _symbol: String[32]) -> address:
    """
    @notice Makes a token with 18 decimals.
    @param _remoteToken The token of the other chain.
    @param _name Name of the new token.
    @param _symbol Symbol of the new token.
    @return address The new token.
    """
    return self._create(_remoteToken, _name, _symbol, _DECIMALS)


@external
def createOptimismMintableERC20WithDecimals(
    _remoteToken: address, _name: String[64], _symbol: String[32], _decimals: uint8
) -> address:
    """
    @notice Makes a token; the same terms twice are refused.
    @param _remoteToken The token of the other chain.
    @param _name Name of the new token.
    @param _symbol Symbol of the new token.
    @param _decimals Decimals of the new token.
    @return address The new token.
    """
    return self._create(_remoteToken, _name, _symbol, _decimals)


@external
@view
def BRIDGE() -> address:
    """
    @notice The bridge that mints and burns, by its older name.
    @return address Its address.
    """
    return bridge


@external
@pure
def version() -> String[8]:
    """
    @notice Which OptimismMintableERC20Factory's ABI this is.
    @return String Semantic version.
    """
    return "1.10.1"


@internal
def _create(remote: address, name: String[64], symbol: String[32], decimals: uint8) -> address:
    """
    @dev Makes a token at the address that its terms determine.
    @param remote The token of the other chain.
    @param name Name of the new token.
    @param symbol Symbol of the new token.
    @param decimals Decimals of the new token.
    @return address The new token.
    """
    assert (
        remote != empty(address)
    ), "OptimismMintableERC20Factory: must provide remote token address"
    token: address = create_from_blueprint(
        _BLUEPRINT,
        bridge,
        remote,
        name,
        symbol,
        decimals,
        salt=keccak256(abi_encode(remote, name, symbol, decimals)),
    )
    self.deployments[token] = remote
    log IOptimismMintableERC20Factory.StandardL2TokenCreated(remoteToken=remote, localToken=token)
    log IOptimismMintableERC20Factory.OptimismMintableERC20Created(
        localToken=token, remoteToken=remote, deployer=msg.sender
    )
    return token
