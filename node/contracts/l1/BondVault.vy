# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title BondVault
@license MIT
@author Faultline
@notice Holds the bonds of all games. A game that stands gives its bond back; of one that is lost, a tenth goes to who
        showed it and the rest is burnt, so that neither who copies a proof nor who proves against itself gains.
        What somebody gets is a credit, paid after a delay, and not while the guardian pauses.
        Stands in for the OP Stack's DelayedWETH, without its wrapping and without its owner.
@custom:errors NotFactory(): Only the factory locks bonds.
               NothingLocked(): The caller is no game with a bond, or its bond is decided already.
               NoCredit(): There is nothing to pay, or it is paid already.
               TooEarly(uint256 number): It is paid from that L1 block on.
               Paused(): The guardian has stopped everything that leaves L1's contracts.
               TransferFailed(): The recipient refuses it.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IBondVault
implements: IBondVault


# @dev Who says whether everything is paused.
interface SystemConfig:
    def paused() -> bool: view


# @dev Nobody has its key: what goes there is burnt.
BURNT: public(constant(address)) = 0x000000000000000000000000000000000000dEaD


# @dev A lost bond is divided by this; who showed the loss gets one part.
REWARD_DIVISOR: public(constant(uint256)) = 10


# @dev Where the amount ends in a packed credit and the L1 block in which it was granted begins.
_BLOCK_SHIFT: constant(uint256) = 128


# @dev Makes the games.
disputeGameFactory: public(immutable(address))


# @dev Knows whether everything is paused.
systemConfig: public(immutable(address))


# @dev L1 blocks from a grant to the last one in which it is not paid yet.
delayBlocks: public(immutable(uint64))


# @dev Bonds of games that are not decided, wei.
locked: public(HashMap[address, uint256])


# @dev What a game grants somebody: wei (128 bits from the lowest), L1 block of the grant.
_credits: HashMap[address, HashMap[address, uint256]]


@deploy
def __init__(factory: address, system_config: address, delay_blocks: uint64):
    """
    @notice Sets the constants; nothing can change them afterwards.
    @param factory Makes the games.
    @param system_config Knows whether everything is paused.
    @param delay_blocks L1 blocks for which a credit is not paid.
    """
    disputeGameFactory = factory
    systemConfig = system_config
    delayBlocks = delay_blocks


@external
@payable
def lock(game: address):
    """
    @notice Takes the bond of a new game; the factory's part.
    @param game The game.
    """
    if msg.sender != disputeGameFactory:
        raw_revert(method_id("NotFactory()"))
    self.locked[game] += msg.value
    log IBondVault.BondLocked(game=game, amount=msg.value)


@external
def refund(recipient: address):
    """
    @notice Grants the whole bond of the calling game, which stands.
    @param recipient Who put it down.
    """
    self._grant(recipient, self._unlock())


@external
def forfeit(recipient: address):
    """
    @notice Grants a tenth of the bond of the calling game, which is lost, and burns the rest.
    @param recipient Who showed it.
    """
    amount: uint256 = self._unlock()
    reward: uint256 = amount // REWARD_DIVISOR
    self._grant(recipient, reward)
    log IBondVault.BondBurnt(game=msg.sender, amount=amount - reward)
    send(BURNT, amount - reward)


@external
def withdraw(game: address, recipient: address):
    """
    @notice Pays a credit to its owner. Anyone may ask for it.
    @param game The game that granted it.
    @param recipient The owner.
    """
    word: uint256 = self._credits[game][recipient]
    if word == 0:
        raw_revert(method_id("NoCredit()"))
    due: uint256 = self._due(word)
    if block.number < due:
        raw_revert(abi_encode(due, method_id=method_id("TooEarly(uint256)")))
    if staticcall SystemConfig(systemConfig).paused():
        raw_revert(method_id("Paused()"))
    self._credits[game][recipient] = 0
    amount: uint256 = self._amount(word)
    log IBondVault.CreditPaid(game=game, recipient=recipient, amount=amount)
    if not raw_call(recipient, b"", value=amount, revert_on_failure=False):
        raw_revert(method_id("TransferFailed()"))


@external
@view
def credit(game: address, recipient: address) -> uint256:
    """
    @notice What a game granted somebody and is not paid yet.
    @param game The game.
    @param recipient The owner.
    @return uint256 Wei.
    """
    return self._amount(self._credits[game][recipient])


@external
@view
def payableFrom(game: address, recipient: address) -> uint256:
    """
    @notice From when on a credit is paid.
    @param game The game.
    @param recipient The owner.
    @return uint256 Number of the first L1 block; zero if there is no credit.
    """
    word: uint256 = self._credits[game][recipient]
    if word == 0:
        return 0
    return self._due(word)


@internal
def _unlock() -> uint256:
    """
    @dev Takes the calling game's bond out of what is locked.
    @return uint256 Wei.
    """
    amount: uint256 = self.locked[msg.sender]
    if amount == 0:
        raw_revert(method_id("NothingLocked()"))
    self.locked[msg.sender] = 0
    return amount


@internal
def _grant(recipient: address, amount: uint256):
    """
    @dev Writes a credit of the calling game down. A game decides once, so there is none before.
    @param recipient The owner.
    @param amount Wei; all Ether there is has fewer than 128 bits.
    """
    self._credits[msg.sender][recipient] = amount | (block.number << _BLOCK_SHIFT)
    log IBondVault.CreditGranted(game=msg.sender, recipient=recipient, amount=amount)


@internal
@view
def _due(word: uint256) -> uint256:
    """
    @dev From when on a credit is paid.
    @param word The packed credit.
    @return uint256 Number of the first L1 block.
    """
    return (word >> _BLOCK_SHIFT) + convert(delayBlocks, uint256) + 1


@internal
@pure
def _amount(word: uint256) -> uint256:
    """
    @dev How much a credit is.
    @param word The packed credit.
    @return uint256 Wei.
    """
    return word & convert(max_value(uint128), uint256)
