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
"""L1: deposits and withdrawals."""

ANCHOR_STATE_REGISTRY: Final = _address("0x4c00000000000000000000000000000000000003")
"""L1: which games count."""

DISPUTE_GAME_FACTORY: Final = _address("0x4c00000000000000000000000000000000000004")
"""L1: games by number."""

NATIVE_FAULT_GAME: Final = _address("0x4c00000000000000000000000000000000000005")
"""L1: the code of every game."""

ROOT_REGISTRY: Final = _address("0x4c00000000000000000000000000000000000006")
"""L1: output roots that games rest on."""

BOND_VAULT: Final = _address("0x4c00000000000000000000000000000000000007")
"""L1: bonds."""

L1_CROSS_DOMAIN_MESSENGER: Final = _address("0x4c00000000000000000000000000000000000008")
"""L1: messages with replay."""

L1_STANDARD_BRIDGE: Final = _address("0x4c00000000000000000000000000000000000009")
"""L1: tokens."""

SYSTEM_CONFIG: Final = _address("0x4c0000000000000000000000000000000000000a")
"""L1: constants of the rollup, and the guardian's pause."""

WETH: Final = _address("0x4200000000000000000000000000000000000006")
"""L2: Ether as an ERC-20 token."""

L2_CROSS_DOMAIN_MESSENGER: Final = _address("0x4200000000000000000000000000000000000007")
"""L2: messages with replay."""

GAS_PRICE_ORACLE: Final = _address("0x420000000000000000000000000000000000000F")
"""L2: what a transaction costs besides its gas."""

L2_STANDARD_BRIDGE: Final = _address("0x4200000000000000000000000000000000000010")
"""L2: tokens."""

SEQUENCER_FEE_VAULT: Final = _address("0x4200000000000000000000000000000000000011")
"""L2: priority fees; the fee recipient of every block."""

MINTABLE_ERC20_FACTORY: Final = _address("0x4200000000000000000000000000000000000012")
"""L2: makes tokens that stand for L1's."""

TOKEN_BLUEPRINT: Final = _address("0xc0D3C0d3C0d3C0D3c0d3C0d3c0D3C0d3c0d30012")
"""L2: init code of the factory's tokens (EIP-5202), where the OP Stack keeps the factory's own code."""

LEGACY_ETHER: Final = _address("0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000")
"""L2: stands for Ether where the bridge asks for a token; nothing is there."""

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

L1_CONTRACTS: Final = {
    "Inbox": INBOX,
    "OptimismPortal": PORTAL,
    "AnchorStateRegistry": ANCHOR_STATE_REGISTRY,
    "DisputeGameFactory": DISPUTE_GAME_FACTORY,
    "NativeFaultGame": NATIVE_FAULT_GAME,
    "RootRegistry": ROOT_REGISTRY,
    "BondVault": BOND_VAULT,
    "L1CrossDomainMessenger": L1_CROSS_DOMAIN_MESSENGER,
    "L1StandardBridge": L1_STANDARD_BRIDGE,
    "SystemConfig": SYSTEM_CONFIG,
}
"""L1's contracts by the name that tools show."""

L2_CONTRACTS: Final = {
    "WETH": WETH,
    "L2CrossDomainMessenger": L2_CROSS_DOMAIN_MESSENGER,
    "GasPriceOracle": GAS_PRICE_ORACLE,
    "L2StandardBridge": L2_STANDARD_BRIDGE,
    "SequencerFeeVault": SEQUENCER_FEE_VAULT,
    "OptimismMintableERC20Factory": MINTABLE_ERC20_FACTORY,
    "OptimismMintableERC20Blueprint": TOKEN_BLUEPRINT,
    "L1Block": L1_BLOCK,
    "L2ToL1MessagePasser": MESSAGE_PASSER,
    "BaseFeeVault": BASE_FEE_VAULT,
    "L1FeeVault": L1_FEE_VAULT,
    "OperatorFeeVault": OPERATOR_FEE_VAULT,
}
"""L2's predeploys by the name that tools show."""
