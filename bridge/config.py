"""What a bridge process is told at start: a JSON file, checked to the last key.

    python -m bridge --config FILE -> load_config -> BridgeConfig -> app

A replica's configuration, and the roles that it plays beside it: a role runs when the key of its account is there. The bridge
of a devnet proposes and relays, its watchtower challenges; one process may do all, each role with an account of its own.
Secrets are never in it, only the paths of the files that hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from node.config import Section, read_config
from sequencer.config import L2Config, with_paths

OPEN_GAMES_MAX: Final = 8_192
"""Games of one proposer that may wait at once: each is asked for its state at every L1 block, 20 us."""


class ProposerConfig(Section):
    """When output roots are claimed."""

    interval_ms: int = Field(default=6_000, ge=1_000, le=86_400_000)
    """Milliseconds of L1's time between two games, at least."""
    games_at_start: int = Field(default=2, ge=1, le=16)
    """So many games are made without waiting: viem asks for two."""
    open_games_max: int = Field(default=64, ge=2, le=OPEN_GAMES_MAX)
    """Games of this proposer that wait for their outcome at once; each holds a bond."""


class L1FeesConfig(Section):
    """What transactions on L1 may cost."""

    tip_wei: int = Field(default=10**9, ge=0, le=10**18)
    """The first offer's tip for a unit of gas."""
    max_fee_wei: int = Field(default=10**13, ge=1, le=10**18)
    """No offer goes beyond this for a unit of gas."""
    in_flight_max: int = Field(default=16, ge=1, le=64)
    """Transactions of one role on their way at once."""


class BridgeConfig(L2Config):
    """One bridge process: a bridge, a watchtower."""

    proposer_key_file: Path | None = None
    """secp256k1 key of the account that proposes outputs, 64 hex digits, mode 0600; without it none are proposed."""
    relayer_key_file: Path | None = None
    """The same of the account that proves and settles withdrawals for those who ask."""
    challenger_key_file: Path | None = None
    """The same of the account that proves faults."""
    proposer: ProposerConfig = ProposerConfig()
    """Proposing."""
    l1_fees: L1FeesConfig = L1FeesConfig()
    """Fees of every role."""


def load_config(file: Path) -> BridgeConfig:
    """Read and check the configuration file of a bridge process.

    Raises:
        ConfigError: with the key, the file, what was found and what is wanted.
    """
    return with_paths(read_config(file, BridgeConfig), file.parent)
