# pragma version 0.4.3
# pragma evm-version prague
"""
@title Notebook
@license MIT
@notice A contract for tests: one number, an event, a revert with a reason, a custom revert, a loop.
"""

event Noted:
    writer: indexed(address)
    number: uint256


number: public(uint256)
notes: public(HashMap[address, uint256])


@deploy
@payable
def __init__(number: uint256):
    self.number = number


@external
@payable
def note(number: uint256):
    """
    @notice Remembers a number and logs who wrote it.
    """
    self.number = number
    self.notes[msg.sender] += 1
    log Noted(writer=msg.sender, number=number)


@external
@view
def refuse():
    """
    @notice Always reverts with a reason.
    """
    raise "the notebook is closed"


@external
@view
def spin(rounds: uint256) -> bytes32:
    """
    @notice Hashes for a while.
    """
    digest: bytes32 = empty(bytes32)
    for _: uint256 in range(rounds, bound=10_000_000):
        digest = keccak256(digest)
    return digest
