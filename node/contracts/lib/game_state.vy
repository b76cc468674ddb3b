# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title State of a game
@license MIT
@author Faultline
@notice What a NativeFaultGame claims, who made it when, and what it has come to: eight words, and the views of them.
        Deliberately absent: who may change what, and why a claim is true or false.
"""


# @dev The event of a game's end.
from ..interfaces import INativeFaultGame


# @dev How fields are read out of words.
from . import records


# @dev Bytes of the extra data.
EXTRA_DATA_BYTES: constant(uint256) = 116


# @dev Type of the game.
GAME_TYPE: constant(uint32) = 900


# @dev Nothing is decided.
IN_PROGRESS: constant(uint8) = 0


# @dev The claim is false, or starts from a false one.
CHALLENGER_WINS: constant(uint8) = 1


# @dev The claim stands.
DEFENDER_WINS: constant(uint8) = 2


# @dev The output root that is claimed.
rootClaim: public(bytes32)


# @dev The claim that this one starts from.
startingRootHash: public(bytes32)


# @dev The name of the roots after every block.
rootsId: public(bytes32)


# @dev The Inbox's accumulator after the record of the claimed block.
accumulator: public(bytes32)


# @dev The game that this one starts from; zero for the anchor.
parentGame: public(address)


# @dev Claimed L2 block (64 bits from the lowest), starting L2 block (64), L1 block of the making (64), whether the type was
# respected then (8).
_numbers: uint256


# @dev Who made the game (160 bits from the lowest), when (64). Zero before it is made.
_making: uint256


# @dev Status (8 bits from the lowest), when it was decided (64), in which L1 block (64). Zero before.
_outcome: uint256


@deploy
def __init__():
    """
    @notice Nothing: storage of zeros is a game that was not made.
    """
    pass


@external
@view
def status() -> uint8:
    """
    @notice What the game has come to.
    @return uint8 0 in progress, 1 lost (CHALLENGER_WINS), 2 stands (DEFENDER_WINS).
    """
    return self._status()


@external
@view
def createdAt() -> uint64:
    """
    @notice When the game was made.
    @return uint64 Seconds since the epoch of Unix; zero if it was not.
    """
    return records._field(self._making, 160)


@external
@view
def createdBlock() -> uint64:
    """
    @notice In which L1 block the game was made.
    @return uint64 Its number.
    """
    return records._field(self._numbers, 128)


@external
@view
def resolvedAt() -> uint64:
    """
    @notice When the game was decided.
    @return uint64 Seconds since the epoch of Unix; zero if it is not.
    """
    return records._field(self._outcome, 8)


@external
@view
def resolvedBlock() -> uint64:
    """
    @notice In which L1 block the game was decided.
    @return uint64 Its number; zero if it is not.
    """
    return records._field(self._outcome, 72)


@external
@pure
def gameType() -> uint32:
    """
    @notice Type of this game.
    @return uint32 900.
    """
    return GAME_TYPE


@external
@view
def gameCreator() -> address:
    """
    @notice Who made the game.
    @return address Who.
    """
    return self._creator()


@external
@view
def extraData() -> Bytes[EXTRA_DATA_BYTES]:
    """
    @notice What the game claims beside the root.
    @return bytes L2 block (32 bytes), parent game (20), name of the roots (32), accumulator (32).
    """
    return self._extra_data()


@external
@view
def gameData() -> (uint32, bytes32, Bytes[EXTRA_DATA_BYTES]):
    """
    @notice What the game claims: as it is encoded, the preimage of its UUID.
    @return uint32 Type.
    @return bytes32 Claimed root.
    @return bytes Extra data.
    """
    return GAME_TYPE, self.rootClaim, self._extra_data()


@external
@view
def l2BlockNumber() -> uint256:
    """
    @notice After which L2 block the claimed root is said to be the output root.
    @return uint256 Its number.
    """
    return self._last_block()


@external
@view
def l2SequenceNumber() -> uint256:
    """
    @notice The same number, as the OP Stack came to name it.
    @return uint256 The L2 block's number.
    """
    return self._last_block()


@external
@view
def startingBlockNumber() -> uint256:
    """
    @notice After which L2 block the claim starts.
    @return uint256 Its number.
    """
    return self._starting_block()


@external
@view
def wasRespectedGameTypeWhenCreated() -> bool:
    """
    @notice Whether games of this type counted when the game was made.
    @return bool Whether.
    """
    return (self._numbers >> 192) & 1 == 1


@internal
def _make(
    claim: bytes32,
    last_block: uint256,
    parent: address,
    roots_id: bytes32,
    expected_accumulator: bytes32,
    starting_root: bytes32,
    starting_block: uint256,
    respected: bool,
    creator: address,
):
    """
    @dev Writes a claim down that passed all checks; once.
    @param claim The output root that is claimed.
    @param last_block After which L2 block.
    @param parent The game that it starts from; zero for the anchor.
    @param roots_id The name of the roots after every block.
    @param expected_accumulator The Inbox's after the record of the claimed block.
    @param starting_root The claim that it starts from.
    @param starting_block After which L2 block that is.
    @param respected Whether games of this type count now.
    @param creator Who makes it.
    """
    self.rootClaim = claim
    self.startingRootHash = starting_root
    self.rootsId = roots_id
    self.accumulator = expected_accumulator
    if parent != empty(address):
        self.parentGame = parent
    self._numbers = (
        last_block
        | (starting_block << 64)
        | (block.number << 128)
        | (convert(respected, uint256) << 192)
    )
    self._making = convert(creator, uint256) | (block.timestamp << 160)


@internal
def _decide(outcome: uint8):
    """
    @dev Writes down what the game has come to.
    @param outcome Its status from now on.
    """
    self._outcome = convert(outcome, uint256) | (block.timestamp << 8) | (block.number << 72)
    log INativeFaultGame.Resolved(status=outcome)


@internal
@view
def _status() -> uint8:
    """
    @dev What the game has come to.
    @return uint8 Its status.
    """
    return convert(self._outcome & 255, uint8)


@internal
@view
def _creator() -> address:
    """
    @dev Who made the game.
    @return address Who.
    """
    return convert(convert(self._making & convert(max_value(uint160), uint256), uint160), address)


@internal
@view
def _is_made() -> bool:
    """
    @dev Whether there is a claim.
    @return bool Whether.
    """
    return self._making != 0


@internal
@view
def _last_block() -> uint256:
    """
    @dev After which L2 block the claimed root is said to be the output root.
    @return uint256 Its number.
    """
    return convert(records._field(self._numbers, 0), uint256)


@internal
@view
def _starting_block() -> uint256:
    """
    @dev After which L2 block the claim starts.
    @return uint256 Its number.
    """
    return convert(records._field(self._numbers, 64), uint256)


@internal
@view
def _created_block() -> uint256:
    """
    @dev In which L1 block the game was made.
    @return uint256 Its number.
    """
    return convert(records._field(self._numbers, 128), uint256)


@internal
@view
def _extra_data() -> Bytes[EXTRA_DATA_BYTES]:
    """
    @dev What the game claims beside the root.
    @return bytes As it was given.
    """
    return concat(
        convert(self._last_block(), bytes32),
        convert(self.parentGame, bytes20),
        self.rootsId,
        self.accumulator,
    )
