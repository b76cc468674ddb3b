"""The accounts that every devnet funds: those of the mnemonic that all development tools know.

Their keys are public. Nothing of the network itself ever uses one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.datatypes import PrivateKey

TEST_MNEMONIC: Final = "test test test test test test test test test test test junk"
"""What anvil, hardhat and foundry use as well."""

DERIVATION_PATH: Final = "m/44'/60'/0'/0/{index}"
"""BIP-44 path of an account."""

ACCOUNT_BALANCE_WEI: Final = 10_000 * 10**18
"""What each account has at genesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundedAccount:
    """An account with a public private key."""

    address: str
    """EIP-55 address."""
    private_key: str
    """0x and 64 hex digits."""


def account_of(private_key: bytes) -> FundedAccount:
    """The account of a secp256k1 private key (32 bytes, big-endian)."""
    address = PrivateKey(private_key).public_key.to_checksum_address()
    return FundedAccount(address=str(address), private_key="0x" + private_key.hex())


def mnemonic_accounts(count: int) -> list[FundedAccount]:
    """The mnemonic's first accounts."""
    seed = seed_from_mnemonic(TEST_MNEMONIC, "")
    return [
        account_of(key_from_seed(seed, DERIVATION_PATH.format(index=index)))
        for index in range(count)
    ]
