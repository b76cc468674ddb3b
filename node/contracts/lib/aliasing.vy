# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title Addresses of L1 senders on L2
@license MIT
@author Faultline
@notice A contract's deposits come from an address shifted by a constant, so that whoever owns a contract's address on
        L2 alone never speaks for it. An account that a key controls keeps its address, also while it delegates
        to code by EIP-7702. The rule of the OP Stack's AddressAliasHelper and EOA libraries.
"""


# @dev What is added to a contract's address, modulo 2^160.
_OFFSET: constant(address) = 0x1111000000000000000000000000000000001111


# @dev Length of a delegation's code: three bytes and an address.
_DELEGATION_BYTES: constant(uint256) = 23


# @dev What a delegation's code begins with.
_DELEGATION_PREFIX: constant(bytes3) = 0xef0100


@deploy
def __init__():
    """
    @notice Nothing: the module keeps no state.
    """
    pass


@internal
@view
def _sender_on_l2() -> address:
    """
    @dev Who the caller is on L2.
    @return address The caller's own address if a key controls it, else its alias.
    """
    if msg.sender == tx.origin or self._is_delegated(msg.sender):
        return msg.sender
    return self._alias(msg.sender)


@internal
@pure
def _alias(contract: address) -> address:
    """
    @dev A contract's address on L2.
    @param contract Its address on L1.
    @return address The address plus the offset, wrapped around at 2^160.
    """
    shifted: uint256 = convert(contract, uint256) + convert(_OFFSET, uint256)
    return convert(shifted & convert(max_value(uint160), uint256), address)


@internal
@view
def _is_delegated(account: address) -> bool:
    """
    @dev Whether an account's code is a delegation of EIP-7702.
    @param account The account.
    @return bool True if so: no deployed contract can begin with 0xef (EIP-3541).
    """
    if account.codesize != _DELEGATION_BYTES:
        return False
    return convert(slice(account.code, 0, 3), bytes3) == _DELEGATION_PREFIX
