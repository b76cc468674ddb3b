# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title DisputeGameFactory
@license MIT
@author Faultline
@notice Makes games, each one a minimal proxy, and remembers them in order. What a game claims is its name, and its name
        its address (CREATE2): the same claim is made once, and has the same address on every fork of L1.
        ABI, events and errors are those of the OP Stack's DisputeGameFactory where wallets read them.
@custom:errors NoImplementation(uint32 gameType): There is no such game.
               IncorrectBondAmount(): A game costs its bond, to the wei.
               GameAlreadyExists(bytes32 uuid): Somebody made this very claim; it is as good as one's own.
               UnknownGame(uint256 count): There are only so many games.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IDisputeGameFactory
implements: IDisputeGameFactory


# @dev What the factory makes.
from ..interfaces import INativeFaultGame


# @dev Where bonds go.
from ..interfaces import IBondVault


# @dev The only type of game.
GAME_TYPE: public(constant(uint32)) = 900


# @dev The longest argument that is answered with a reason instead of an empty revert.
_EXTRA_DATA_ARGUMENT_MAX: constant(uint256) = 256


# @dev Most games of one `findLatestGames` answer; wallets ask for 100.
_FOUND_MAX: constant(uint256) = 128


# @dev Where a packed game's timestamp begins.
_TIMESTAMP_SHIFT: constant(uint256) = 160


# @dev Where a packed game's type begins.
_TYPE_SHIFT: constant(uint256) = 224


# @dev Code of the games.
gameImplementation: public(immutable(address))


# @dev Holds the bonds.
bondVault: public(immutable(address))


# @dev What a game costs, wei.
bond: public(immutable(uint256))


# @dev Games by the hash of what they claim: address (160 bits from the lowest), timestamp (64), type (32).
_games: HashMap[bytes32, uint256]


# @dev The same words by place, in the order in which games were made.
_list: HashMap[uint256, uint256]


# @dev How many games were made.
gameCount: public(uint256)


@deploy
def __init__(implementation: address, vault: address, bond_wei: uint256):
    """
    @notice Sets the constants; nothing can change them afterwards.
    @param implementation Code of the games.
    @param vault Holds the bonds.
    @param bond_wei What a game costs, wei; more than zero.
    """
    assert bond_wei > 0
    gameImplementation = implementation
    bondVault = vault
    bond = bond_wei


@external
@payable
def create(
    _gameType: uint32, _rootClaim: bytes32, _extraData: Bytes[_EXTRA_DATA_ARGUMENT_MAX]
) -> address:
    """
    @notice Makes a game. The game itself judges the claim's form (see NativeFaultGame's errors).
    @param _gameType 900.
    @param _rootClaim The output root that is claimed.
    @param _extraData L2 block (32 bytes), parent game (20; zero for the anchor), name of the published roots (32),
           the Inbox's accumulator after the record of the L2 block (32).
    @return address The game.
    """
    if _gameType != GAME_TYPE:
        raw_revert(abi_encode(_gameType, method_id=method_id("NoImplementation(uint32)")))
    if msg.value != bond:
        raw_revert(method_id("IncorrectBondAmount()"))
    uuid: bytes32 = keccak256(abi_encode(_gameType, _rootClaim, _extraData))
    if self._games[uuid] != 0:
        raw_revert(abi_encode(uuid, method_id=method_id("GameAlreadyExists(bytes32)")))
    game: address = create_minimal_proxy_to(gameImplementation, salt=uuid)
    word: uint256 = (
        convert(game, uint256)
        | (block.timestamp << _TIMESTAMP_SHIFT)
        | (convert(_gameType, uint256) << _TYPE_SHIFT)
    )
    self._games[uuid] = word
    self._list[self.gameCount] = word
    self.gameCount += 1
    extcall INativeFaultGame(game).initialize(_rootClaim, _extraData, msg.sender)
    extcall IBondVault(bondVault).lock(game, value=msg.value)
    log IDisputeGameFactory.DisputeGameCreated(
        disputeProxy=game, gameType=_gameType, rootClaim=_rootClaim
    )
    return game


@external
@view
def games(
    _gameType: uint32, _rootClaim: bytes32, _extraData: Bytes[_EXTRA_DATA_ARGUMENT_MAX]
) -> (address, uint64):
    """
    @notice The game that makes a claim.
    @param _gameType Its type.
    @param _rootClaim What it claims.
    @param _extraData The rest of it.
    @return address The game; zero if there is none.
    @return uint64 When it was made.
    """
    word: uint256 = self._games[keccak256(abi_encode(_gameType, _rootClaim, _extraData))]
    return self._address(word), self._timestamp(word)


@external
@view
def gameByUUID(_uuid: bytes32) -> address:
    """
    @notice The game by the hash of its claim.
    @param _uuid What `getGameUUID` gives.
    @return address The game; zero if there is none.
    """
    return self._address(self._games[_uuid])


@external
@view
def gameAtIndex(_index: uint256) -> (uint32, uint64, address):
    """
    @notice A game by its place.
    @param _index The place, from zero.
    @return uint32 Its type.
    @return uint64 When it was made.
    @return address The game.
    """
    if _index >= self.gameCount:
        raw_revert(abi_encode(self.gameCount, method_id=method_id("UnknownGame(uint256)")))
    word: uint256 = self._list[_index]
    return convert(word >> _TYPE_SHIFT, uint32), self._timestamp(word), self._address(word)


@external
@view
def findLatestGames(
    _gameType: uint32, _start: uint256, _n: uint256
) -> DynArray[IDisputeGameFactory.GameSearchResult, _FOUND_MAX]:
    """
    @notice The newest games, from a place downwards.
    @param _gameType Their type.
    @param _start The place of the first.
    @param _n How many at most; never more than 128.
    @return GameSearchResult[] The games, from the newest; none if there is no such place.
    """
    found: DynArray[IDisputeGameFactory.GameSearchResult, _FOUND_MAX] = []
    if _gameType != GAME_TYPE or _start >= self.gameCount:
        return found
    # Every game is of the one type, so that none is passed over.
    count: uint256 = min(min(_n, _start + 1), _FOUND_MAX)
    for step: uint256 in range(count, bound=_FOUND_MAX):
        word: uint256 = self._list[_start - step]
        game: INativeFaultGame = INativeFaultGame(self._address(word))
        found.append(
            IDisputeGameFactory.GameSearchResult(
                index=_start - step,
                metadata=convert(word, bytes32),
                timestamp=self._timestamp(word),
                rootClaim=staticcall game.rootClaim(),
                extraData=staticcall game.extraData(),
            )
        )
    return found


@external
@view
def gameImpls(_gameType: uint32) -> address:
    """
    @notice Code of a type's games.
    @param _gameType The type.
    @return address Where it stands; zero if there are no such games.
    """
    if _gameType != GAME_TYPE:
        return empty(address)
    return gameImplementation


@external
@view
def initBonds(_gameType: uint32) -> uint256:
    """
    @notice What a game costs.
    @param _gameType Its type.
    @return uint256 Wei; zero if there are no such games.
    """
    if _gameType != GAME_TYPE:
        return 0
    return bond


@external
@pure
def getGameUUID(
    _gameType: uint32, _rootClaim: bytes32, _extraData: Bytes[_EXTRA_DATA_ARGUMENT_MAX]
) -> bytes32:
    """
    @notice The name of a claim, and the salt of its game's address.
    @param _gameType Type of its game.
    @param _rootClaim What it claims.
    @param _extraData The rest of it.
    @return bytes32 keccak-256 of all three, encoded in the ABI.
    """
    return keccak256(abi_encode(_gameType, _rootClaim, _extraData))


@external
@pure
def version() -> String[8]:
    """
    @notice Which DisputeGameFactory's ABI this is.
    @return String Semantic version.
    """
    return "1.2.0"


@internal
@pure
def _address(word: uint256) -> address:
    """
    @dev Address of a packed game.
    @param word The packed game.
    @return address Its address.
    """
    return convert(convert(word & convert(max_value(uint160), uint256), uint160), address)


@internal
@pure
def _timestamp(word: uint256) -> uint64:
    """
    @dev Timestamp of a packed game.
    @param word The packed game.
    @return uint64 When it was made.
    """
    return convert((word >> _TIMESTAMP_SHIFT) & convert(max_value(uint64), uint256), uint64)
