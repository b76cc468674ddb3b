# pragma version ==0.4.3
# pragma evm-version prague
"""
@title OddToken
@license MIT
@notice An ERC-20 token for tests that can misbehave: take a fee, answer nothing or false, call whoever pays.
"""


# @dev Answers true.
PLAIN: constant(uint256) = 0
# @dev Answers nothing, as tokens before the standard do.
SILENT: constant(uint256) = 1
# @dev Answers false, and moves nothing.
REFUSING: constant(uint256) = 2


balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)
manner: public(uint256)
fee: public(uint256)
hook: public(address)


@external
def behave(manner: uint256, fee: uint256, hook: address):
    """
    @notice Sets how it answers, what it keeps of each transfer, and whom it calls before `transferFrom` moves tokens.
    """
    self.manner = manner
    self.fee = fee
    self.hook = hook


@external
def issue(to: address, amount: uint256):
    """
    @notice Makes tokens, for anyone.
    """
    self.balanceOf[to] += amount
    self.totalSupply += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Lets a spender take tokens.
    """
    self.allowance[msg.sender][spender] = amount
    return True


@external
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    """
    @notice Moves tokens, in its manner.
    """
    return self._move(msg.sender, to, amount)


@external
@raw_return
def transferFrom(sender: address, to: address, amount: uint256) -> Bytes[32]:
    """
    @notice Moves allowed tokens, in its manner.
    """
    if self.hook != empty(address):
        raw_call(self.hook, b"")
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, to, amount)


@internal
def _move(sender: address, to: address, amount: uint256) -> Bytes[32]:
    if self.manner == REFUSING:
        return abi_encode(False)
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount - self.fee
    self.totalSupply -= self.fee
    if self.manner == SILENT:
        return b""
    return abi_encode(True)
