# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title WETH
@license MIT
@author Faultline
@notice Ether as an ERC-20 token, one for one, at any time, without an owner. ABI of WETH9.
@custom:errors InsufficientBalance(): The account has less than that.
               InsufficientAllowance(): The spender may take less than that.
               TransferFailed(): The receiver refused the Ether.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IWETH
implements: IWETH


# @dev We import and implement the `IERC20` interface, which is a built-in interface of the Vyper compiler.
from ethereum.ercs import IERC20
implements: IERC20


# @dev Name of the token.
name: public(constant(String[13])) = "Wrapped Ether"


# @dev Symbol of the token.
symbol: public(constant(String[4])) = "WETH"


# @dev Decimals of the token.
decimals: public(constant(uint8)) = 18


# @dev Balances, wei.
balanceOf: public(HashMap[address, uint256])


# @dev How much whom a spender may take from, by owner and spender, wei.
allowance: public(HashMap[address, HashMap[address, uint256]])


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
    @notice Wraps what is paid, whatever was called.
    """
    self._wrap()


@external
@payable
def deposit():
    """
    @notice Wraps what is paid.
    """
    self._wrap()


@external
def withdraw(wad: uint256):
    """
    @notice Unwraps and pays out.
    @param wad How much, wei.
    """
    self._take(msg.sender, wad)
    log IWETH.Withdrawal(src=msg.sender, wad=wad)
    if not raw_call(msg.sender, b"", value=wad, revert_on_failure=False):
        raw_revert(method_id("TransferFailed()"))


@external
@view
def totalSupply() -> uint256:
    """
    @notice All that is wrapped.
    @return uint256 Wei.
    """
    return self.balance


@external
def approve(guy: address, wad: uint256) -> bool:
    """
    @notice Lets a spender take tokens.
    @param guy The spender.
    @param wad How much at most, wei; the largest number never runs out.
    @return bool Always true.
    """
    self.allowance[msg.sender][guy] = wad
    log IERC20.Approval(owner=msg.sender, spender=guy, value=wad)
    return True


@external
def transfer(dst: address, wad: uint256) -> bool:
    """
    @notice Moves tokens.
    @param dst To whom.
    @param wad How much, wei.
    @return bool Always true.
    """
    self._transfer(msg.sender, dst, wad)
    return True


@external
def transferFrom(src: address, dst: address, wad: uint256) -> bool:
    """
    @notice Moves tokens of an account that allowed it.
    @param src From whom.
    @param dst To whom.
    @param wad How much, wei.
    @return bool Always true.
    """
    allowed: uint256 = self.allowance[src][msg.sender]
    if src != msg.sender and allowed != max_value(uint256):
        if allowed < wad:
            raw_revert(method_id("InsufficientAllowance()"))
        self.allowance[src][msg.sender] = allowed - wad
    self._transfer(src, dst, wad)
    return True


@internal
@payable
def _wrap():
    """
    @dev Credits what is paid.
    """
    self.balanceOf[msg.sender] += msg.value
    log IWETH.Deposit(dst=msg.sender, wad=msg.value)


@internal
def _transfer(src: address, dst: address, wad: uint256):
    """
    @dev Moves tokens.
    @param src From whom.
    @param dst To whom.
    @param wad How much, wei.
    """
    self._take(src, wad)
    self.balanceOf[dst] += wad
    log IERC20.Transfer(sender=src, receiver=dst, value=wad)


@internal
def _take(src: address, wad: uint256):
    """
    @dev Debits an account.
    @param src Whose.
    @param wad How much, wei.
    """
    if self.balanceOf[src] < wad:
        raw_revert(method_id("InsufficientBalance()"))
    self.balanceOf[src] -= wad
