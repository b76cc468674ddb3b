# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title AnchorStateRegistry
@license MIT
@author Faultline
@notice Says which games count, and from which claim new ones start when they start from no other game.
        The guardian may stop a game from counting, or all games so far, or pause; nobody can make one count, and nothing
        here stops a false game from being proven false.
        ABI, events and errors are those of the OP Stack's AnchorStateRegistry. Its air gap counts L1 blocks.
@custom:errors AnchorStateRegistry_InvalidAnchorGame(): The claim is not valid, or not newer than the anchor.
               AnchorStateRegistry_Unauthorized(): Only the guardian may; and only games note faults.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IAnchorStateRegistry
implements: IAnchorStateRegistry


# @dev Which games there are.
from ..interfaces import IDisputeGameFactory


# @dev What a game says of itself.
from ..interfaces import INativeFaultGame


# @dev Who says who the guardian is and whether everything is paused.
interface SystemConfig:
    def paused() -> bool: view
    def guardian() -> address: view


# @dev The type of games that is respected until the guardian says otherwise.
GAME_TYPE: public(constant(uint32)) = 900


# @dev Bytes of what a game's `gameData` answers: four words, and extra data of 116 bytes in four more.
_GAME_DATA_BYTES: constant(uint256) = 256


# @dev A game that was lost.
_CHALLENGER_WINS: constant(uint8) = 1


# @dev A game that stands.
_DEFENDER_WINS: constant(uint8) = 2


# @dev Knows the guardian, and whether everything is paused.
systemConfig: public(immutable(address))


# @dev Makes the games.
disputeGameFactory: public(immutable(address))


# @dev The claim that the first games start from: the output root of the L2's genesis block.
startingRoot: public(immutable(bytes32))


# @dev L1 blocks from a game's resolution to the last one in which it does not count yet.
airGapBlocks: public(immutable(uint64))


# @dev The newest game that new ones may start from; zero before the first.
anchorGame: public(address)


# @dev The anchor before it, where games start if the guardian stops it; zero for genesis.
previousAnchorGame: public(address)


# @dev One more than the respected type; zero before the guardian first chose.
_respected: uint64


# @dev Games made until then count no more.
retirementTimestamp: public(uint64)


# @dev Games that count no more.
disputeGameBlacklist: public(HashMap[address, bool])


# @dev The newest L1 block in which a game was proven false; zero before the first.
lastFaultBlock: public(uint64)


@deploy
def __init__(system_config: address, factory: address, starting_root: bytes32, air_gap_blocks: uint64):
    """
    @notice Sets the constants; nothing can change them afterwards.
    @param system_config Knows the guardian, and whether everything is paused.
    @param factory Makes the games.
    @param starting_root Output root of the L2's genesis block; not zero.
    @param air_gap_blocks L1 blocks for which a decided game does not count yet.
    """
    assert starting_root != empty(bytes32)
    systemConfig = system_config
    disputeGameFactory = factory
    startingRoot = starting_root
    airGapBlocks = air_gap_blocks


@external
def setAnchorState(_game: address):
    """
    @notice Lets new games start from a game's claim. Anyone may, for a valid claim that is newer than the anchor.
    @param _game The game.
    """
    root: bytes32 = empty(bytes32)
    newest: uint256 = 0
    root, newest = self._anchor()
    if (
        not self._is_claim_valid(_game)
        or staticcall INativeFaultGame(_game).l2SequenceNumber() <= newest
    ):
        raw_revert(method_id("AnchorStateRegistry_InvalidAnchorGame()"))
    # A stopped anchor is replaced as if it had never been one.
    if not self.disputeGameBlacklist[self.anchorGame]:
        self.previousAnchorGame = self.anchorGame
    self.anchorGame = _game
    log IAnchorStateRegistry.AnchorUpdated(game=_game)


@external
def noteFault():
    """
    @notice Takes down that the calling game was proven false: no game resolves until some L1 blocks after it are final.
    """
    if not self._is_registered(msg.sender):
        raw_revert(method_id("AnchorStateRegistry_Unauthorized()"))
    self.lastFaultBlock = convert(block.number, uint64)
    log IAnchorStateRegistry.FaultNoted(game=msg.sender)


@external
def setRespectedGameType(_gameType: uint32):
    """
    @notice Says which games made from now on count; the guardian's.
    @param _gameType The type. There are only games of type 900: any other means none.
    """
    self._require_guardian()
    self._respected = convert(_gameType, uint64) + 1
    log IAnchorStateRegistry.RespectedGameTypeSet(gameType=_gameType)


@external
def blacklistDisputeGame(_disputeGame: address):
    """
    @notice Lets a game count no more; the guardian's, for good. Games built on it count still: retire them. If it is the
            anchor, games start from the anchor before it until a newer valid one is made the anchor. If that one is
            stopped too, they start from games that count, and from nothing else.
    @param _disputeGame The game.
    """
    self._require_guardian()
    self.disputeGameBlacklist[_disputeGame] = True
    log IAnchorStateRegistry.DisputeGameBlacklisted(disputeGame=_disputeGame)


@external
def updateRetirementTimestamp():
    """
    @notice Lets all games made so far count no more; the guardian's, for good.
    """
    self._require_guardian()
    self.retirementTimestamp = convert(block.timestamp, uint64)
    log IAnchorStateRegistry.RetirementTimestampSet(timestamp=block.timestamp)


@external
@view
def anchors(_gameType: uint32) -> (bytes32, uint256):
    """
    @notice The claim that new games may start from, as the OP Stack once named it.
    @param _gameType Any type; there is one anchor.
    @return bytes32 Output root.
    @return uint256 L2 block.
    """
    return self._anchor()


@external
@view
def getAnchorRoot() -> (bytes32, uint256):
    """
    @notice The claim that new games may start from.
    @return bytes32 Output root; zero while the guardian has stopped the anchor and the one before it.
    @return uint256 L2 block, below which no game starts.
    """
    return self._anchor()


@external
@view
def lowestStart() -> uint256:
    """
    @notice Below which L2 block no game starts any more, whatever the guardian stops: only states from there on can be
            needed to prove a new claim false. It never falls.
    @return uint256 The block of the anchor before the anchor.
    """
    return self._block_of(self.previousAnchorGame)


@external
@view
def respectedGameType() -> uint32:
    """
    @notice Which games made now count.
    @return uint32 The type.
    """
    return self._respected_type()


@external
@view
def paused() -> bool:
    """
    @notice Whether no game counts for the moment.
    @return bool What the SystemConfig says.
    """
    return self._paused()


@external
@view
def guardian() -> address:
    """
    @notice Who may stop games from counting.
    @return address Who.
    """
    return staticcall SystemConfig(systemConfig).guardian()


@external
@view
def superchainConfig() -> address:
    """
    @notice Where the OP Stack looks for guardian and pause: the SystemConfig answers for it.
    @return address The SystemConfig.
    """
    return systemConfig


@external
@view
def isGameRegistered(_game: address) -> bool:
    """
    @notice Whether the factory made it.
    @param _game Any address.
    @return bool Whether.
    """
    return self._is_registered(_game)


@external
@view
def isGameRespected(_game: address) -> bool:
    """
    @notice Whether it was of the respected type when it was made.
    @param _game A game.
    @return bool Whether.
    """
    return staticcall INativeFaultGame(_game).wasRespectedGameTypeWhenCreated()


@external
@view
def isGameBlacklisted(_game: address) -> bool:
    """
    @notice Whether the guardian stopped it.
    @param _game Any address.
    @return bool Whether.
    """
    return self.disputeGameBlacklist[_game]


@external
@view
def isGameRetired(_game: address) -> bool:
    """
    @notice Whether it was made before the guardian stopped all games.
    @param _game A game.
    @return bool Whether.
    """
    return self._is_retired(_game)


@external
@view
def isGameResolved(_game: address) -> bool:
    """
    @notice Whether it is decided.
    @param _game A game.
    @return bool Whether.
    """
    return self._is_resolved(_game)


@external
@view
def isGameProper(_game: address) -> bool:
    """
    @notice Whether nothing but its outcome keeps it from counting.
    @param _game Any address.
    @return bool Whether the factory made it, the guardian stopped neither it nor all, and nothing is paused.
    """
    return self._is_proper(_game)


@external
@view
def isGameFinalized(_game: address) -> bool:
    """
    @notice Whether it is decided and the air gap has passed.
    @param _game A game.
    @return bool Whether.
    """
    return self._is_finalized(_game)


@external
@view
def isGameClaimValid(_game: address) -> bool:
    """
    @notice Whether what it claims counts as true.
    @param _game Any address.
    @return bool Whether it is proper, respected, finalized and won by its defender.
    """
    return self._is_claim_valid(_game)


@external
@view
def isGameFoundation(_game: address) -> bool:
    """
    @notice Whether a new game may start from it: nobody stopped it and it is not lost.
    @param _game Any address.
    @return bool Whether.
    """
    return (
        self._is_registered(_game)
        and not self.disputeGameBlacklist[_game]
        and not self._is_retired(_game)
        and staticcall INativeFaultGame(_game).wasRespectedGameTypeWhenCreated()
        and staticcall INativeFaultGame(_game).status() != _CHALLENGER_WINS
    )


@external
@pure
def version() -> String[8]:
    """
    @notice Which AnchorStateRegistry's ABI this is.
    @return String Semantic version.
    """
    return "3.5.0"


@internal
@view
def _anchor() -> (bytes32, uint256):
    """
    @dev The claim that new games may start from.
    @return bytes32 Output root; zero if there is none.
    @return uint256 L2 block, below which no game starts.
    """
    newest: address = self.anchorGame
    if self._is_stopped(newest):
        newest = self.previousAnchorGame
    # Not genesis, and nothing older than the anchor before: nodes have dropped the states on which a claim that
    # starts there could be proven false.
    if self._is_stopped(newest):
        return empty(bytes32), self._block_of(newest)
    if newest == empty(address):
        return startingRoot, 0
    return staticcall INativeFaultGame(newest).rootClaim(), self._block_of(newest)


@internal
@view
def _is_stopped(anchor: address) -> bool:
    """
    @dev Whether the guardian stopped an anchor; genesis cannot be.
    @param anchor The game; zero for genesis.
    @return bool Whether.
    """
    return anchor != empty(address) and self.disputeGameBlacklist[anchor]


@internal
@view
def _block_of(anchor: address) -> uint256:
    """
    @dev Which L2 block an anchor claims the root of.
    @param anchor The game; zero for genesis.
    @return uint256 The block.
    """
    if anchor == empty(address):
        return 0
    return staticcall INativeFaultGame(anchor).l2SequenceNumber()


@internal
@view
def _respected_type() -> uint32:
    """
    @dev Which games made now count.
    @return uint32 The type.
    """
    if self._respected == 0:
        return GAME_TYPE
    return convert(self._respected - 1, uint32)


@internal
@view
def _require_guardian():
    """
    @dev Reverts unless the guardian calls.
    """
    if msg.sender != staticcall SystemConfig(systemConfig).guardian():
        raw_revert(method_id("AnchorStateRegistry_Unauthorized()"))


@internal
@view
def _paused() -> bool:
    """
    @dev Whether everything is paused.
    @return bool Whether.
    """
    return staticcall SystemConfig(systemConfig).paused()


@internal
@view
def _is_registered(game: address) -> bool:
    """
    @dev Whether the factory made it. What a game answers to `gameData` is the preimage of its UUID, as it is encoded.
    @param game Any address; what it answers is not trusted.
    @return bool Whether.
    """
    success: bool = False
    answer: Bytes[_GAME_DATA_BYTES] = b""
    success, answer = raw_call(
        game,
        method_id("gameData()"),
        max_outsize=_GAME_DATA_BYTES,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or game == empty(address):
        return False
    return staticcall IDisputeGameFactory(disputeGameFactory).gameByUUID(keccak256(answer)) == game


@internal
@view
def _is_retired(game: address) -> bool:
    """
    @dev Whether it was made before the guardian stopped all games.
    @param game A game.
    @return bool Whether.
    """
    return staticcall INativeFaultGame(game).createdAt() <= self.retirementTimestamp


@internal
@view
def _is_resolved(game: address) -> bool:
    """
    @dev Whether it is decided.
    @param game A game.
    @return bool Whether.
    """
    status: uint8 = staticcall INativeFaultGame(game).status()
    return status == _CHALLENGER_WINS or status == _DEFENDER_WINS


@internal
@view
def _is_proper(game: address) -> bool:
    """
    @dev Whether nothing but its outcome keeps it from counting.
    @param game Any address.
    @return bool Whether.
    """
    return (
        self._is_registered(game)
        and not self.disputeGameBlacklist[game]
        and not self._is_retired(game)
        and not self._paused()
    )


@internal
@view
def _is_finalized(game: address) -> bool:
    """
    @dev Whether it is decided and the air gap has passed.
    @param game A game.
    @return bool Whether.
    """
    if not self._is_resolved(game):
        return False
    resolved: uint64 = staticcall INativeFaultGame(game).resolvedBlock()
    return block.number > convert(resolved, uint256) + convert(airGapBlocks, uint256)


@internal
@view
def _is_claim_valid(game: address) -> bool:
    """
    @dev Whether what it claims counts as true.
    @param game Any address.
    @return bool Whether.
    """
    return (
        self._is_proper(game)
        and staticcall INativeFaultGame(game).wasRespectedGameTypeWhenCreated()
        and staticcall INativeFaultGame(game).status() == _DEFENDER_WINS
        and self._is_finalized(game)
    )
