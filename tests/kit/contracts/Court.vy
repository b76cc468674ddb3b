# pragma version ==0.4.3
# pragma evm-version prague
"""
@title Court
@license MIT
@notice Registry, factory and every game in one, for tests that need no dispute: whatever was claimed last is true at once.
"""


rootClaim: public(bytes32)
createdAt: public(uint64)


@external
def claim(root: bytes32):
    """
    @notice Claims an output root.
    """
    self.rootClaim = root
    self.createdAt = convert(block.timestamp, uint64)


@external
@view
def disputeGameFactory() -> address:
    """
    @notice The court itself.
    """
    return self


@external
@view
def gameAtIndex(index: uint256) -> (uint32, uint64, address):
    """
    @notice The only game.
    """
    return 900, self.createdAt, self


@external
@pure
def respectedGameType() -> uint32:
    """
    @notice The only type.
    """
    return 900


@external
@pure
def retirementTimestamp() -> uint64:
    """
    @notice Never.
    """
    return 0


@external
@pure
def status() -> uint8:
    """
    @notice The defender has won.
    """
    return 2


@external
@pure
def isGameProper(game: address) -> bool:
    """
    @notice Always.
    """
    return True


@external
@pure
def isGameRespected(game: address) -> bool:
    """
    @notice Always.
    """
    return True


@external
@pure
def isGameClaimValid(game: address) -> bool:
    """
    @notice Always.
    """
    return True


@external
@pure
def isGameBlacklisted(game: address) -> bool:
    """
    @notice Never.
    """
    return False
