"""What never changes from one devnet to the next: chain ids, and contracts that tools expect at fixed addresses."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

import orjson

L1_CHAIN_ID: Final = 900
"""EIP-155 chain id of the L1."""

L2_CHAIN_ID: Final = 901
"""EIP-155 chain id of the L2."""


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


def published_contracts() -> list[PublishedContract]:
    """The contracts that every L1 has at genesis."""
    stored = resources.files("node.contracts").joinpath("published/codes.json").read_bytes()
    return [PublishedContract(**entry) for entry in orjson.loads(stored)]
