# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title OptimismMintableERC20
@license MIT
@author Faultline
@notice A token that stands for one of the other chain: the bridge of this chain alone mints and burns it. ABI and reasons
        of the OP Stack's token, which are OpenZeppelin's of 4.7, EIP-2612's `permit` included. Made by
        OptimismMintableERC20Factory.
"""


# @dev We implement our own interface, which the bridges import.
from ..interfaces import IOptimismMintableERC20
implements: IOptimismMintableERC20


# @dev We import and implement the `IERC20` interface, which is a built-in interface of the Vyper compiler.
from ethereum.ercs import IERC20
implements: IERC20


# @dev Uniswap's Permit2: it moves every token by signature, without an allowance of its own.
_PERMIT2: constant(address) = 0x000000000022D473030F116dDEE9F6B43aC78BA3


# @dev What this contract is by EIP-165: that EIP itself, and the tokens of the OP Stack, first and later form.
_INTERFACES: constant(bytes4[3]) = [0x01ffc9a7, 0x1d1d8b63, 0xec4fc8e3]


# @dev Type of a domain of EIP-712.
_DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


# @dev Type of a permit of EIP-2612.
_PERMIT_TYPE: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


# @dev Version of the domain.
_DOMAIN_VERSION: constant(bytes32) = keccak256("1")


# @dev Half of the curve's order: of a signature's two forms, the one that counts has `s` below or at it.
_S_MAX: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168


# @dev The token of the other chain.
REMOTE_TOKEN: public(immutable(address))


# @dev The bridge of this chain.
BRIDGE: public(immutable(address))


# @dev Decimals of the token.
decimals: public(immutable(uint8))


# @dev Name of the token.
name: public(immutable(String[64]))


# @dev Symbol of the token.
symbol: public(immutable(String[32]))


# @dev All tokens.
totalSupply: public(uint256)


# @dev Tokens by owner.
balanceOf: public(HashMap[address, uint256])


# @dev How many permits an owner has given.
nonces: public(HashMap[address, uint256])


# @dev How much of whose tokens a spender may take, by owner and spender.
_allowances: HashMap[address, HashMap[address, uint256]]


@deploy
def __init__(bridge_: address, remote: address, name_: String[64], symbol_: String[32], decimals_: uint8):
    """
    @notice Sets the terms; nothing can change them afterwards.
    @param bridge_ The bridge of this chain.
    @param remote The token of the other chain.
    @param name_ Name of the token.
    @param symbol_ Symbol of the token.
    @param decimals_ Decimals of the token.
    """
    BRIDGE = bridge_
    REMOTE_TOKEN = remote
    name = name_
    symbol = symbol_
    decimals = decimals_


@external
def mint(_to: address, _amount: uint256):
    """
    @notice Makes tokens for what arrived; only for the bridge.
    @param _to For whom.
    @param _amount How many.
    """
    self._only_bridge()
    assert _to != empty(address), "ERC20: mint to the zero address"
    self.totalSupply += _amount
    self.balanceOf[_to] += _amount
    log IERC20.Transfer(sender=empty(address), receiver=_to, value=_amount)
    log IOptimismMintableERC20.Mint(account=_to, amount=_amount)


@external
def burn(_from: address, _amount: uint256):
    """
    @notice Takes tokens away for what leaves; only for the bridge.
    @param _from Whose.
    @param _amount How many.
    """
    self._only_bridge()
    assert _from != empty(address), "ERC20: burn from the zero address"
    assert self.balanceOf[_from] >= _amount, "ERC20: burn amount exceeds balance"
    self.balanceOf[_from] -= _amount
    self.totalSupply -= _amount
    log IERC20.Transfer(sender=_from, receiver=empty(address), value=_amount)
    log IOptimismMintableERC20.Burn(account=_from, amount=_amount)


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Moves tokens.
    @param to To whom.
    @param amount How many.
    @return bool Always true.
    """
    self._transfer(msg.sender, to, amount)
    return True


@external
def transferFrom(_from: address, to: address, amount: uint256) -> bool:
    """
    @notice Moves tokens of an account that allowed it.
    @param _from From whom.
    @param to To whom.
    @param amount How many.
    @return bool Always true.
    """
    allowed: uint256 = self._allowance(_from, msg.sender)
    if allowed != max_value(uint256):
        assert allowed >= amount, "ERC20: insufficient allowance"
        self._approve(_from, msg.sender, allowed - amount)
    self._transfer(_from, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Lets a spender take tokens.
    @param spender The spender.
    @param amount How many at most; the largest number never runs out.
    @return bool Always true.
    """
    self._approve(msg.sender, spender, amount)
    return True


@external
def increaseAllowance(spender: address, addedValue: uint256) -> bool:
    """
    @notice Lets a spender take more tokens than before.
    @param spender The spender.
    @param addedValue How many more.
    @return bool Always true.
    """
    self._approve(msg.sender, spender, self._allowance(msg.sender, spender) + addedValue)
    return True


@external
def decreaseAllowance(spender: address, subtractedValue: uint256) -> bool:
    """
    @notice Lets a spender take fewer tokens than before.
    @param spender The spender.
    @param subtractedValue How many fewer.
    @return bool Always true.
    """
    allowed: uint256 = self._allowance(msg.sender, spender)
    assert allowed >= subtractedValue, "ERC20: decreased allowance below zero"
    self._approve(msg.sender, spender, allowed - subtractedValue)
    return True


@external
def permit(
    owner: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice Lets a spender take tokens, by the owner's signature (EIP-2612).
    @param owner Who signed.
    @param spender The spender.
    @param amount How many at most.
    @param deadline Last second at which the signature counts.
    @param v The signature's recovery id.
    @param r The signature's first half.
    @param s The signature's second half.
    """
    assert block.timestamp <= deadline, "ERC20Permit: expired deadline"
    permitted: bytes32 = keccak256(
        abi_encode(_PERMIT_TYPE, owner, spender, amount, self.nonces[owner], deadline)
    )
    digest: bytes32 = keccak256(concat(x"1901", self._domain_separator(), permitted))
    assert convert(s, uint256) <= _S_MAX, "ECDSA: invalid signature 's' value"
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address), "ECDSA: invalid signature"
    assert signer == owner, "ERC20Permit: invalid signature"
    self.nonces[owner] += 1
    self._approve(owner, spender, amount)


@external
@view
def allowance(owner: address, spender: address) -> uint256:
    """
    @notice How much of whose tokens a spender may take.
    @param owner Whose.
    @param spender The spender.
    @return uint256 How many; for Permit2 always the largest number.
    """
    return self._allowance(owner, spender)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice What permits of this token are signed for.
    @return bytes32 Hash of the domain of EIP-712.
    """
    return self._domain_separator()


@external
@view
def remoteToken() -> address:
    """
    @notice The token of the other chain.
    @return address Its address.
    """
    return REMOTE_TOKEN


@external
@view
def bridge() -> address:
    """
    @notice The bridge of this chain.
    @return address Its address.
    """
    return BRIDGE


@external
@view
def l1Token() -> address:
    """
    @notice The token of the other chain, by its older name.
    @return address Its address.
    """
    return REMOTE_TOKEN


@external
@view
def l2Bridge() -> address:
    """
    @notice The bridge of this chain, by its older name.
    @return address Its address.
    """
    return BRIDGE


@external
@pure
def PERMIT2() -> address:
    """
    @notice Who needs no allowance: Uniswap's Permit2, which asks for a signature itself.
    @return address Its address, the same on every chain.
    """
    return _PERMIT2


@external
@pure
def supportsInterface(_interfaceId: bytes4) -> bool:
    """
    @notice Whether this contract has an interface (EIP-165).
    @param _interfaceId The interface.
    @return bool Whether it has.
    """
    return _interfaceId in _INTERFACES


@external
@pure
def version() -> String[8]:
    """
    @notice Which OptimismMintableERC20's ABI this is.
    @return String Semantic version.
    """
    return "1.4.0"


@internal
@view
def _only_bridge():
    """
    @dev Refuses everybody but the bridge.
    """
    assert msg.sender == BRIDGE, "OptimismMintableERC20: only bridge can mint and burn"


@internal
def _transfer(source: address, to: address, amount: uint256):
    """
    @dev Moves tokens.
    @param source From whom.
    @param to To whom.
    @param amount How many.
    """
    assert source != empty(address), "ERC20: transfer from the zero address"
    assert to != empty(address), "ERC20: transfer to the zero address"
    assert self.balanceOf[source] >= amount, "ERC20: transfer amount exceeds balance"
    self.balanceOf[source] -= amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=source, receiver=to, value=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    """
    @dev Lets a spender take tokens.
    @param owner Whose.
    @param spender The spender.
    @param amount How many at most.
    """
    assert owner != empty(address), "ERC20: approve from the zero address"
    assert spender != empty(address), "ERC20: approve to the zero address"
    self._allowances[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)


@internal
@view
def _allowance(owner: address, spender: address) -> uint256:
    """
    @dev How much of whose tokens a spender may take.
    @param owner Whose.
    @param spender The spender.
    @return uint256 How many.
    """
    if spender == _PERMIT2:
        return max_value(uint256)
    return self._allowances[owner][spender]


@internal
@view
def _domain_separator() -> bytes32:
    """
    @dev What permits of this token are signed for.
    @return bytes32 Hash of the domain of EIP-712.
    """
    return keccak256(abi_encode(_DOMAIN_TYPE, keccak256(name), _DOMAIN_VERSION, chain.id, self))
