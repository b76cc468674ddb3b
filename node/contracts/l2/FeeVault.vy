# pragma version ==0.4.3
# pragma evm-version prague
# pragma nonreentrancy off
"""
@title FeeVault
@license MIT
@author Faultline
@notice Collects one kind of fee and pays it out, to one recipient, whenever anyone asks. Four of them stand on L2: for
        priority fees, base fees, L1 fees and operator fees; execution credits them directly.
        ABI of the OP Stack's vaults.
"""


# @dev We implement our own interface, which other contracts import.
from ..interfaces import IFeeVault
implements: IFeeVault


# @dev The way to L1.
from ..interfaces import IL2ToL1MessagePasser


# @dev The message passer.
_MESSAGE_PASSER: constant(address) = 0x4200000000000000000000000000000000000016


# @dev `Withdrawal` as it was before there were two networks. Vyper has no two events of one name.
_OLD_WITHDRAWAL: constant(bytes32) = keccak256("Withdrawal(uint256,address,address)")


# @dev Gas of the payment on L1.
_WITHDRAWAL_GAS: constant(uint256) = 400_000


# @dev `WITHDRAWAL_NETWORK` if fees are paid on L2.
_ON_L2: constant(uint8) = 1


# @dev Who is paid.
RECIPIENT: public(immutable(address))


# @dev Least that is paid out at once, wei.
MIN_WITHDRAWAL_AMOUNT: public(immutable(uint256))


# @dev Where: 0 for L1, 1 for L2.
WITHDRAWAL_NETWORK: public(immutable(uint8))


# @dev All that was paid out so far, wei.
totalProcessed: public(uint256)


@deploy
def __init__(recipient_: address, minimum: uint256, network: uint8):
    """
    @notice Sets the terms; nothing can change them afterwards.
    @param recipient_ Who is paid.
    @param minimum Least that is paid out at once, wei.
    @param network Where: 0 for L1, 1 for L2.
    """
    assert network <= _ON_L2
    RECIPIENT = recipient_
    MIN_WITHDRAWAL_AMOUNT = minimum
    WITHDRAWAL_NETWORK = network


@external
@payable
def __default__():
    """
    @notice Takes payments; fees need no call.
    """
    # Unknown functions are refused; without this line they would count as payments.
    assert len(msg.data) == 0


@external
def withdraw() -> uint256:
    """
    @notice Pays everything to the recipient. Anyone may.
    @return uint256 Wei.
    """
    amount: uint256 = self.balance
    assert amount >= MIN_WITHDRAWAL_AMOUNT, (
        "FeeVault: withdrawal amount must be greater than minimum withdrawal amount"
    )
    self.totalProcessed += amount
    raw_log([_OLD_WITHDRAWAL], abi_encode(amount, RECIPIENT, msg.sender))
    log IFeeVault.Withdrawal(
        value=amount, to=RECIPIENT, sender=msg.sender, withdrawalNetwork=WITHDRAWAL_NETWORK
    )
    if WITHDRAWAL_NETWORK == _ON_L2:
        paid: bool = raw_call(RECIPIENT, b"", value=amount, revert_on_failure=False)
        assert paid, "FeeVault: failed to send ETH to L2 fee recipient"
    else:
        extcall IL2ToL1MessagePasser(_MESSAGE_PASSER).initiateWithdrawal(
            RECIPIENT, _WITHDRAWAL_GAS, b"", value=amount
        )
    return amount


@external
@view
def recipient() -> address:
    """
    @notice Who is paid.
    @return address The 20-byte address.
    """
    return RECIPIENT


@external
@view
def minWithdrawalAmount() -> uint256:
    """
    @notice Least that is paid out at once.
    @return uint256 Wei.
    """
    return MIN_WITHDRAWAL_AMOUNT


@external
@view
def withdrawalNetwork() -> uint8:
    """
    @notice Where fees are paid.
    @return uint8 0 for L1, 1 for L2.
    """
    return WITHDRAWAL_NETWORK


@external
@pure
def version() -> String[8]:
    """
    @notice Which vault's ABI this is.
    @return String Semantic version.
    """
    return "1.6.0"
