# pragma version ==0.4.3
# pragma evm-version prague
"""
@title Liar
@license MIT
@notice A token for tests that says whatever suits it: whom it stands for, which interfaces it has, what anyone owns.
"""


# @dev Answers about interfaces as it was told.
HONEST: constant(uint256) = 0
# @dev Has every interface, the one that none may have included.
BOASTER: constant(uint256) = 1
# @dev Answers a byte too little.
SHORT: constant(uint256) = 2
# @dev Reverts.
MUTE: constant(uint256) = 3
# @dev Uses all its gas.
GREEDY: constant(uint256) = 4
# @dev Answers two where one is meant.
LOUD: constant(uint256) = 5


way: public(uint256)
interfaces: public(DynArray[bytes4, 4])
remote: public(address)
owned: public(uint256)
minted: public(uint256)
burnt: public(uint256)


@external
def pretend(way: uint256, interfaces: DynArray[bytes4, 4], remote: address):
    """
    @notice Sets how it answers about interfaces, which it has, and whom it stands for.
    """
    self.way = way
    self.interfaces = interfaces
    self.remote = remote


@external
@view
@raw_return
def supportsInterface(id: bytes4) -> Bytes[32]:
    """
    @notice Answers in its way.
    """
    if self.way == MUTE:
        raise "mute"
    if self.way == GREEDY:
        for index: uint256 in range(2**40):
            if msg.gas == 0:
                break
    if self.way == BOASTER:
        return abi_encode(True)
    known: bool = id in self.interfaces
    if self.way == SHORT and known:
        return slice(abi_encode(True), 0, 31)
    if self.way == LOUD and known:
        return abi_encode(convert(2, uint256))
    return abi_encode(known)


@external
@view
def l1Token() -> address:
    """
    @notice Whom it stands for.
    """
    return self.remote


@external
@view
def remoteToken() -> address:
    """
    @notice Whom it stands for.
    """
    return self.remote


@external
def mint(to: address, amount: uint256):
    """
    @notice Counts.
    """
    self.minted += amount


@external
def burn(source: address, amount: uint256):
    """
    @notice Counts.
    """
    self.burnt += amount


@external
@view
def balanceOf(owner: address) -> uint256:
    """
    @notice The same of everyone.
    """
    return self.owned


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Says that it moved tokens.
    """
    return True


@external
def transferFrom(source: address, to: address, amount: uint256) -> bool:
    """
    @notice Says that it moved tokens.
    """
    self.owned += amount
    return True
