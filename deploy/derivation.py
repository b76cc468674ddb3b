"""Derives accounts from keys and from the mnemonic that all development tools know.

Apart from deploy.accounts because the libraries behind it take half a second to import, and only a new network needs them.
"""

from __future__ import annotations

from typing import Final

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_keys.datatypes import PrivateKey

from deploy.accounts import FundedAccount

TEST_MNEMONIC: Final = "test test test test test test test test test test test junk"
"""What anvil, hardhat and foundry use as well."""

DERIVATION_PATH: Final = "m/44'/60'/0'/0/{index}"
"""BIP-44 path of an account."""


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
