"""What never changes from one devnet to the next: chain ids, and contracts at fixed addresses.

Names are those that viem's chain objects use; whatever shows an address to a user takes it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

import orjson

from node.contracts import addresses
from node.eth.hashing import keccak256
from node.eth.primitives import Address

L1_CHAIN_ID: Final = 900
"""EIP-155 chain id of the L1."""

L2_CHAIN_ID: Final = 901
"""EIP-155 chain id of the L2."""


L1_ROLLUP_CONTRACTS: Final[Mapping[str, Address]] = {
    "inbox": addresses.INBOX,
    "portal": addresses.PORTAL,
    "systemConfig": addresses.SYSTEM_CONFIG,
    "anchorStateRegistry": addresses.ANCHOR_STATE_REGISTRY,
    "disputeGameFactory": addresses.DISPUTE_GAME_FACTORY,
    "nativeFaultGame": addresses.NATIVE_FAULT_GAME,
    "rootRegistry": addresses.ROOT_REGISTRY,
    "bondVault": addresses.BOND_VAULT,
    "l1CrossDomainMessenger": addresses.L1_CROSS_DOMAIN_MESSENGER,
    "l1StandardBridge": addresses.L1_STANDARD_BRIDGE,
}
"""Contracts of the rollup on L1."""

L2_PREDEPLOYS: Final[Mapping[str, Address]] = {
    "weth": addresses.WETH,
    "l2CrossDomainMessenger": addresses.L2_CROSS_DOMAIN_MESSENGER,
    "gasPriceOracle": addresses.GAS_PRICE_ORACLE,
    "l2StandardBridge": addresses.L2_STANDARD_BRIDGE,
    "sequencerFeeVault": addresses.SEQUENCER_FEE_VAULT,
    "optimismMintableErc20Factory": addresses.MINTABLE_ERC20_FACTORY,
    "l1Block": addresses.L1_BLOCK,
    "l2ToL1MessagePasser": addresses.MESSAGE_PASSER,
    "baseFeeVault": addresses.BASE_FEE_VAULT,
    "l1FeeVault": addresses.L1_FEE_VAULT,
    "operatorFeeVault": addresses.OPERATOR_FEE_VAULT,
}
"""Contracts of the OP Stack on L2."""

L1_ONLY: Final = frozenset({"stakingDeposits", "withdrawalRequests", "consolidationRequests"})
"""Published contracts that belong to staking, so that an L2 has none of them."""


Layer = Literal["l1", "l2"]
"""One of the two chains."""

CHAIN_IDS: Final[Mapping[Layer, int]] = {"l1": L1_CHAIN_ID, "l2": L2_CHAIN_ID}
"""EIP-155 chain id of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedContract:
    """A contract as it runs on mainnet."""

    name: str
    """Name in `devnet_info` and `faultline addresses`."""
    address: str
    """EIP-55 address."""
    source: str
    """What names it."""
    code_hash: str
    """keccak-256 of the code, hex."""
    code: str
    """Runtime code, hex."""


def contracts(*, with_l2: bool) -> dict[Layer, dict[str, str]]:
    """EIP-55 addresses of all contracts, by layer and name."""
    published = published_contracts()
    on_l1 = {contract.name: contract.address for contract in published}
    if not with_l2:
        return {"l1": on_l1, "l2": {}}
    on_l2 = {one.name: one.address for one in published if one.name not in L1_ONLY}
    return {
        "l1": on_l1 | {name: checksummed(address) for name, address in L1_ROLLUP_CONTRACTS.items()},
        "l2": on_l2 | {name: checksummed(address) for name, address in L2_PREDEPLOYS.items()},
    }


def checksummed(address: Address) -> str:
    """An address as EIP-55 writes it."""
    digits = address.hex()
    digest = keccak256(digits.encode()).hex()
    pairs = zip(digits, digest, strict=False)
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter for letter, nibble in pairs
    )


def published_contracts() -> list[PublishedContract]:
    """The contracts that every L1 has at genesis, and every L2 but for those of staking."""
    stored = resources.files("node.contracts").joinpath("published/codes.json").read_bytes()
    return [PublishedContract(**entry) for entry in orjson.loads(stored)]
