"""Where the contracts of the network stand: the same in every devnet, from the genesis block on.

Deliberately absent: published contracts that are not of the network itself (deploy.published).
"""

from __future__ import annotations

from typing import Final

from node.eth.primitives import Address


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text.removeprefix("0x")))


INBOX: Final = _address("0x4c00000000000000000000000000000000000001")
"""L1: records of batches."""

PORTAL: Final = _address("0x4c00000000000000000000000000000000000002")
"""L1: deposits."""

WETH: Final = _address("0x4200000000000000000000000000000000000006")
"""L2: Ether as an ERC-20 token."""

GAS_PRICE_ORACLE: Final = _address("0x420000000000000000000000000000000000000F")
"""L2: what a transaction costs besides its gas."""

SEQUENCER_FEE_VAULT: Final = _address("0x4200000000000000000000000000000000000011")
"""L2: priority fees; the fee recipient of every block."""

L1_BLOCK: Final = _address("0x4200000000000000000000000000000000000015")
"""L2: the L1 origin's values."""

MESSAGE_PASSER: Final = _address("0x4200000000000000000000000000000000000016")
"""L2: withdrawals."""

BASE_FEE_VAULT: Final = _address("0x4200000000000000000000000000000000000019")
"""L2: base fees."""

L1_FEE_VAULT: Final = _address("0x420000000000000000000000000000000000001A")
"""L2: L1 fees."""

OPERATOR_FEE_VAULT: Final = _address("0x420000000000000000000000000000000000001B")
"""L2: operator fees."""

FEE_VAULTS: Final = (SEQUENCER_FEE_VAULT, BASE_FEE_VAULT, L1_FEE_VAULT, OPERATOR_FEE_VAULT)
"""L2: all that collect fees."""

DEPOSITOR: Final = _address("0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001")
"""L2: sender of the attributes deposit; nobody has its key."""

L1_CONTRACTS: Final = {"Inbox": INBOX, "OptimismPortal": PORTAL}
"""L1's contracts by the name that tools show."""

L2_CONTRACTS: Final = {
    "WETH": WETH,
    "GasPriceOracle": GAS_PRICE_ORACLE,
    "SequencerFeeVault": SEQUENCER_FEE_VAULT,
    "L1Block": L1_BLOCK,
    "L2ToL1MessagePasser": MESSAGE_PASSER,
    "BaseFeeVault": BASE_FEE_VAULT,
    "L1FeeVault": L1_FEE_VAULT,
    "OperatorFeeVault": OPERATOR_FEE_VAULT,
}
"""L2's predeploys by the name that tools show."""
