# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title NativeFaultGame
@license MIT
@author Faultline
@notice One claim about the L2, behind a minimal proxy: the output root after some block, and with it the root after every
        block from the parent's claim, or the anchor, on. A false claim has a first false root, whose predecessor is true:
        STEP (0x0101) executes that one block within L1, and the game is lost at once, whoever shows it.
        A claim that nobody disproved stands once L1 blocks enough are final.
        There is no clock, no move and no stake of a challenger: gas is all that a proof costs.
@custom:errors NotFactory(): Only the factory makes games.
               AlreadyInitialized(): A game is made once.
               BadExtraData(): It has 116 bytes.
               ZeroClaim(): Zero is no output root.
               InvalidParentGame(): The parent is no game that counts, or it is lost, or it ends before the anchor; or the anchor is
               stopped, and there is no other.
               WrongCount(uint256 startingBlock): From that block on, a claim covers 1 to 65,536 blocks.
               UnknownRoots(bytes32 id): No such roots were published within the last 256 L1 blocks.
               WrongRoots(uint256 count): So many roots would have to be published, the last of them the claim.
               WrongAccumulator(bytes32 accumulator): The claim was made for another history; here is this one's.
               NotInProgress(uint8 status): The game is decided, or was never made.
               WrongInput(uint256 word): That word of STEP's input is not what it must be.
               WrongBranch(uint256 index): The root does not stand at that place of what was claimed.
               StepFailed(bytes reason): STEP proves nothing with this input and says why, or had too little gas.
               NoFault(): The rules give what the game claims.
               ParentInProgress(): The parent is decided first.
               NotFinalized(): The header is not shown to be final.
               TooEarly(uint256 number): The L1 block of that number has to be final.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import INativeFaultGame
implements: INativeFaultGame


# @dev Which games count, and where the first ones start.
from ..interfaces import IAnchorStateRegistry


# @dev Where the bond lies.
from ..interfaces import IBondVault


# @dev What the L2 is made of.
from ..interfaces import IInbox


# @dev Which roots were published.
from ..interfaces import IRootRegistry


# @dev What a game claims and what it has come to.
from ..lib import game_state
initializes: game_state
exports: (
    game_state.status,
    game_state.createdAt,
    game_state.createdBlock,
    game_state.resolvedAt,
    game_state.resolvedBlock,
    game_state.gameType,
    game_state.gameCreator,
    game_state.rootClaim,
    game_state.extraData,
    game_state.gameData,
    game_state.l2BlockNumber,
    game_state.l2SequenceNumber,
    game_state.parentGame,
    game_state.startingBlockNumber,
    game_state.startingRootHash,
    game_state.rootsId,
    game_state.accumulator,
    game_state.wasRespectedGameTypeWhenCreated,
)


# @dev How a claim names its roots.
from ..lib import root_trees


# @dev Which L1 blocks are final.
from ..lib import finality


# @dev The precompile that executes one L2 block.
_STEP: constant(address) = 0x0000000000000000000000000000000000000101


# @dev The longest input of STEP.
_INPUT_MAX: constant(uint256) = 360_448


# @dev Words of STEP's input that the game sets: config hash, output root before, block number, the record's seven.
_INPUT_WORDS: constant(uint256) = 10


# @dev The longest extra data that is answered with a reason instead of an empty revert.
_EXTRA_DATA_ARGUMENT_MAX: constant(uint256) = 256


# @dev Most roots of a claim.
_ROOTS_MAX: constant(uint256) = 65_536


# @dev Makes the games.
disputeGameFactory: public(immutable(address))


# @dev Says which games count.
anchorStateRegistry: public(immutable(address))


# @dev Holds the bonds.
bondVault: public(immutable(address))


# @dev Where roots are published.
rootRegistry: public(immutable(address))


# @dev Holds the records.
inbox: public(immutable(address))


# @dev Names the rules of the L2.
configHash: public(immutable(bytes32))


# @dev L1 blocks after a game's own that have to be final before it stands.
windowBlocks: public(immutable(uint64))


# @dev L1 blocks after that of the last fault of any game that have to be final before a game stands.
quietBlocks: public(immutable(uint64))


@deploy
def __init__(
    factory: address,
    anchor_state_registry: address,
    bond_vault: address,
    root_registry: address,
    inbox_: address,
    config_hash: bytes32,
    window_blocks: uint64,
    quiet_blocks: uint64,
):
    """
    @notice Sets the constants of all games; nothing can change them afterwards.
    @param factory Makes the games.
    @param anchor_state_registry Says which games count.
    @param bond_vault Holds the bonds.
    @param root_registry Where roots are published.
    @param inbox_ Holds the records.
    @param config_hash Names the rules of the L2, as STEP knows them.
    @param window_blocks L1 blocks that have to be final after a game's own.
    @param quiet_blocks L1 blocks that have to be final after that of the last fault.
    """
    game_state.__init__()
    disputeGameFactory = factory
    anchorStateRegistry = anchor_state_registry
    bondVault = bond_vault
    rootRegistry = root_registry
    inbox = inbox_
    configHash = config_hash
    windowBlocks = window_blocks
    quietBlocks = quiet_blocks


@external
def initialize(rootClaim: bytes32, extraData: Bytes[_EXTRA_DATA_ARGUMENT_MAX], creator: address):
    """
    @notice Makes the game; the factory's part, once.
    @param rootClaim The output root that is claimed.
    @param extraData L2 block (32 bytes), parent game (20), name of the roots (32), accumulator (32).
    @param creator Who makes it and put the bond down.
    """
    if msg.sender != disputeGameFactory:
        raw_revert(method_id("NotFactory()"))
    if game_state._is_made():
        raw_revert(method_id("AlreadyInitialized()"))
    if len(extraData) != game_state.EXTRA_DATA_BYTES:
        raw_revert(method_id("BadExtraData()"))
    if rootClaim == empty(bytes32):
        raw_revert(method_id("ZeroClaim()"))
    last_block: uint256 = convert(extract32(extraData, 0), uint256)
    # The word that ends with the address.
    parent_word: uint256 = convert(extract32(extraData, 20), uint256)
    parent: address = convert(
        convert(parent_word & convert(max_value(uint160), uint256), uint160), address
    )
    roots_id: bytes32 = extract32(extraData, 52)
    expected_accumulator: bytes32 = extract32(extraData, 84)

    starting_root: bytes32 = empty(bytes32)
    starting_block: uint256 = 0
    starting_root, starting_block = self._start(parent)
    if last_block <= starting_block or last_block - starting_block > _ROOTS_MAX:
        raw_revert(abi_encode(starting_block, method_id=method_id("WrongCount(uint256)")))
    self._require_roots(roots_id, rootClaim, last_block - starting_block)
    self._require_accumulator(expected_accumulator, convert(last_block, uint64))

    registry: IAnchorStateRegistry = IAnchorStateRegistry(anchorStateRegistry)
    respected: bool = staticcall registry.respectedGameType() == game_state.GAME_TYPE
    game_state._make(
        rootClaim,
        last_block,
        parent,
        roots_id,
        expected_accumulator,
        starting_root,
        starting_block,
        respected,
        creator,
    )


@external
def proveFault(
    claimed: bytes32,
    before: DynArray[bytes32, root_trees.BRANCH_MAX],
    branch: DynArray[bytes32, root_trees.BRANCH_MAX],
    input: Bytes[_INPUT_MAX],
):
    """
    @notice Proves that one of the claimed roots is false, given the one before it: the game is lost at once.
            Anyone may. What STEP cannot execute proves nothing, and neither does a true root.
    @param claimed The claimed root after the block.
    @param before Branch of the claimed root before the block; none if that is where the claim starts.
    @param branch Branch of the claimed root after it.
    @param input STEP's: config hash, output root before, block number, the record's seven words, then the witness.
    """
    self._require_in_progress()
    if len(input) < 32 * _INPUT_WORDS:
        raw_revert(abi_encode(len(input) // 32, method_id=method_id("WrongInput(uint256)")))
    # The words are compared where they lie, and the argument goes to STEP as it is: a copy of it would cost more gas than
    # there is room for.
    words: bytes32[_INPUT_WORDS] = empty(bytes32[_INPUT_WORDS])
    for place: uint256 in range(_INPUT_WORDS):
        words[place] = extract32(input, 32 * place)
    self._require_words(words)
    self._require_claimed(words, claimed, before, branch)
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        _STEP, input, max_outsize=32, is_static_call=True, revert_on_failure=False
    )
    # Where there is no STEP, a call of its address succeeds and answers nothing.
    if not success or len(answer) != 32:
        raw_revert(abi_encode(answer, method_id=method_id("StepFailed(bytes)")))
    computed: bytes32 = extract32(answer, 0)
    if computed == claimed:
        raw_revert(method_id("NoFault()"))
    log INativeFaultGame.FaultProven(
        prover=msg.sender,
        blockNumber=convert(words[2], uint256),
        claimed=claimed,
        computed=computed,
    )
    game_state._decide(game_state.CHALLENGER_WINS)
    extcall IBondVault(bondVault).forfeit(msg.sender)
    extcall IAnchorStateRegistry(anchorStateRegistry).noteFault()


@external
def resolve(
    header: Bytes[finality.HEADER_BYTES_MAX],
    epoch: uint64,
    branch: DynArray[bytes32, finality.BRANCH_LENGTH],
    timestamp: uint64,
) -> uint8:
    """
    @notice Decides a game that nobody disproved. Anyone may. It is lost with its parent, whatever else is given; else it
            stands once the block that is shown to be final, at least `resolvableFrom`, shows that time enough has passed.
    @param header RLP of the header of L1's finalized block.
    @param epoch Epoch of the finalized checkpoint.
    @param branch From that checkpoint to the root of the consensus state.
    @param timestamp Of a recent L1 block that holds that root.
    @return uint8 What the game has come to.
    """
    self._require_in_progress()
    parent: address = game_state.parentGame
    if parent != empty(address):
        parent_status: uint8 = staticcall INativeFaultGame(parent).status()
        if parent_status == game_state.IN_PROGRESS:
            raw_revert(method_id("ParentInProgress()"))
        if parent_status == game_state.CHALLENGER_WINS:
            game_state._decide(game_state.CHALLENGER_WINS)
            extcall IBondVault(bondVault).forfeit(msg.sender)
            return game_state.CHALLENGER_WINS
    needed: uint256 = self._resolvable_from()
    if finality._finalized_number(header, epoch, branch, timestamp) < needed:
        raw_revert(abi_encode(needed, method_id=method_id("TooEarly(uint256)")))
    game_state._decide(game_state.DEFENDER_WINS)
    extcall IBondVault(bondVault).refund(game_state._creator())
    return game_state.DEFENDER_WINS


@external
def closeGame():
    """
    @notice Makes the claim the anchor that new games may start from, once it counts and if it is newer.
    """
    extcall IAnchorStateRegistry(anchorStateRegistry).setAnchorState(self)


@external
def claimCredit(recipient: address):
    """
    @notice Pays what somebody gets out of the game's bond, once the vault's delay has passed. Anyone may ask for it.
    @param recipient Whom.
    """
    extcall IBondVault(bondVault).withdraw(self, recipient)


@external
@view
def credit(recipient: address) -> uint256:
    """
    @notice What somebody gets out of the game's bond and was not paid yet.
    @param recipient Who.
    @return uint256 Wei.
    """
    return staticcall IBondVault(bondVault).credit(self, recipient)


@external
@view
def resolvableFrom() -> uint256:
    """
    @notice Which L1 block has to be final before the game stands, as things are: each new fault moves it on.
    @return uint256 Its number.
    """
    return self._resolvable_from()


@external
@pure
def version() -> String[8]:
    """
    @notice Version of the game's own ABI.
    @return String Semantic version.
    """
    return "1.0.0"


@internal
@view
def _start(parent: address) -> (bytes32, uint256):
    """
    @dev The claim that a new one starts from; reverts if none may.
    @param parent The parent game; zero for the anchor.
    @return bytes32 Output root.
    @return uint256 L2 block.
    """
    registry: IAnchorStateRegistry = IAnchorStateRegistry(anchorStateRegistry)
    anchor_root: bytes32 = empty(bytes32)
    anchor_block: uint256 = 0
    anchor_root, anchor_block = staticcall registry.getAnchorRoot()
    if parent == empty(address):
        if anchor_root == empty(bytes32):
            raw_revert(method_id("InvalidParentGame()"))
        return anchor_root, anchor_block
    if not staticcall registry.isGameFoundation(parent):
        raw_revert(method_id("InvalidParentGame()"))
    game: INativeFaultGame = INativeFaultGame(parent)
    starting_block: uint256 = staticcall game.l2SequenceNumber()
    # Whoever disproves a claim executes a block on the state where the claim starts: nodes keep states from the anchor on,
    # and from the one before it, which is the anchor if the guardian stops the newest.
    if starting_block < anchor_block:
        raw_revert(method_id("InvalidParentGame()"))
    return staticcall game.rootClaim(), starting_block


@internal
@view
def _require_roots(id: bytes32, claim: bytes32, count: uint256):
    """
    @dev Reverts unless so many roots were published under a name, and the last of them is the claim.
    @param id The name.
    @param claim The claimed root.
    @param count How many blocks the claim covers.
    """
    tree: bytes32 = staticcall IRootRegistry(rootRegistry).treeOf(id)
    if tree == empty(bytes32):
        raw_revert(abi_encode(id, method_id=method_id("UnknownRoots(bytes32)")))
    if root_trees._name(tree, claim, count) != id:
        raw_revert(abi_encode(count, method_id=method_id("WrongRoots(uint256)")))


@internal
@view
def _require_accumulator(expected: bytes32, block_number: uint64):
    """
    @dev Reverts unless the Inbox's history up to an L2 block is the one that a claim was made for. That makes a claim
         worth nothing on another fork of L1, where it might be false.
    @param expected The accumulator that the claim names.
    @param block_number The L2 block; the Inbox reverts if no record makes it.
    """
    found: bytes32 = staticcall IInbox(inbox).accumulatorAt(
        staticcall IInbox(inbox).recordOf(block_number)
    )
    if expected != found:
        raw_revert(abi_encode(found, method_id=method_id("WrongAccumulator(bytes32)")))


@internal
@view
def _require_words(words: bytes32[_INPUT_WORDS]):
    """
    @dev Reverts unless STEP is asked about a block of this claim, by the rules of this L2 and the Inbox's own record.
    @param words The first words of STEP's input; the second, the root before, is checked by its branch.
    """
    number: uint256 = convert(words[2], uint256)
    if words[0] != configHash:
        raw_revert(abi_encode(empty(uint256), method_id=method_id("WrongInput(uint256)")))
    if number <= game_state._starting_block() or number > game_state._last_block():
        raw_revert(abi_encode(convert(2, uint256), method_id=method_id("WrongInput(uint256)")))
    index: uint64 = staticcall IInbox(inbox).recordOf(convert(number, uint64))
    record: IInbox.Record = staticcall IInbox(inbox).record(index)
    expected: bytes32[7] = [
        convert(record.kind, bytes32),
        record.batchHash,
        convert(record.firstBlock, bytes32),
        convert(record.blockCount, bytes32),
        convert(record.previousOrigin, bytes32),
        convert(record.origin, bytes32),
        record.originsHash,
    ]
    for place: uint256 in range(7):
        if words[3 + place] != expected[place]:
            raw_revert(abi_encode(3 + place, method_id=method_id("WrongInput(uint256)")))


@internal
@view
def _require_claimed(
    words: bytes32[_INPUT_WORDS],
    claimed: bytes32,
    before: DynArray[bytes32, root_trees.BRANCH_MAX],
    branch: DynArray[bytes32, root_trees.BRANCH_MAX],
):
    """
    @dev Reverts unless the game claims both roots, the one before and the one after a block.
    @param words The first words of STEP's input; its block is one of the claim's.
    @param claimed The root after it.
    @param before Branch of the root before it.
    @param branch Branch of the root after it.
    """
    index: uint256 = convert(words[2], uint256) - game_state._starting_block() - 1
    if index > 0:
        self._require_root(words[1], index - 1, before)
    elif words[1] != game_state.startingRootHash or len(before) != 0:
        raw_revert(abi_encode(convert(1, uint256), method_id=method_id("WrongInput(uint256)")))
    self._require_root(claimed, index, branch)


@internal
@view
def _require_root(root: bytes32, index: uint256, branch: DynArray[bytes32, root_trees.BRANCH_MAX]):
    """
    @dev Reverts unless the game claims a root at a place.
    @param root The root.
    @param index The place, from zero; below the count.
    @param branch Its branch.
    """
    count: uint256 = game_state._last_block() - game_state._starting_block()
    tree: bytes32 = root_trees._top(root, index, branch)
    if (
        len(branch) != root_trees._depth(count)
        or root_trees._name(tree, game_state.rootClaim, count) != game_state.rootsId
    ):
        raw_revert(abi_encode(index, method_id=method_id("WrongBranch(uint256)")))


@internal
@view
def _require_in_progress():
    """
    @dev Reverts unless the game was made and is not decided.
    """
    status: uint8 = game_state._status()
    if not game_state._is_made() or status != game_state.IN_PROGRESS:
        raw_revert(abi_encode(status, method_id=method_id("NotInProgress(uint8)")))


@internal
@view
def _resolvable_from() -> uint256:
    """
    @dev Which L1 block has to be final before the game stands.
    @return uint256 Its number.
    """
    last_fault: uint64 = staticcall IAnchorStateRegistry(anchorStateRegistry).lastFaultBlock()
    return max(
        game_state._created_block() + convert(windowBlocks, uint256),
        convert(last_fault, uint256) + convert(quietBlocks, uint256),
    )
