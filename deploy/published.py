"""What never changes from one devnet to the next: chain ids, and contracts at fixed addresses.

Names are those that viem's chain objects use; whatever shows an address to a user takes it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

import orjson

from node.contracts.addresses import INBOX, PORTAL
from node.eth.hashing import keccak256

L1_CHAIN_ID: Final = 900
"""EIP-155 chain id of the L1."""

L2_CHAIN_ID: Final = 901
"""EIP-155 chain id of the L2."""


L1_ROLLUP_CONTRACTS: Final[Mapping[str, str]] = {"inbox": INBOX.hex(), "portal": PORTAL.hex()}
"""Contracts of the rollup on L1; hex."""

L2_PREDEPLOYS: Final[Mapping[str, str]] = {
    "weth": "4200000000000000000000000000000000000006",
    "gasPriceOracle": "420000000000000000000000000000000000000f",
    "sequencerFeeVault": "4200000000000000000000000000000000000011",
    "l1Block": "4200000000000000000000000000000000000015",
    "l2ToL1MessagePasser": "4200000000000000000000000000000000000016",
    "baseFeeVault": "4200000000000000000000000000000000000019",
    "l1FeeVault": "420000000000000000000000000000000000001a",
    "operatorFeeVault": "420000000000000000000000000000000000001b",
}
"""Contracts of the OP Stack on L2; hex."""

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
        "l1": on_l1 | {name: checksummed(digits) for name, digits in L1_ROLLUP_CONTRACTS.items()},
        "l2": on_l2 | {name: checksummed(digits) for name, digits in L2_PREDEPLOYS.items()},
    }


def checksummed(digits: str) -> str:
    """An address, 40 lower-case hex digits, as EIP-55 writes it."""
    digest = keccak256(digits.encode()).hex()
    pairs = zip(digits, digest, strict=False)
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter for letter, nibble in pairs
    )


def published_contracts() -> list[PublishedContract]:
    """The contracts that every L1 has at genesis, and every L2 but for those of staking."""
    stored = resources.files("node.contracts").joinpath("published/codes.json").read_bytes()
    return [PublishedContract(**entry) for entry in orjson.loads(stored)]
