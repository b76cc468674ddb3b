"""The accounts that every devnet funds: those of the mnemonic that all development tools know.

Their keys are public. Nothing of the network itself ever uses one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ACCOUNT_BALANCE_WEI: Final = 10_000 * 10**18
"""What each account has at genesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundedAccount:
    """An account and its key."""

    address: str
    """EIP-55 address."""
    private_key: str = field(repr=False)
    """0x and 64 hex digits."""
