"""What the bridge's contracts are made with: windows in L1 blocks, the bond, how long a proof must age.

    manifest (seconds) -> BridgeTerms (blocks) -> genesis of L1; `devnet_info` tells the seconds
                       -> open_games           -> the proposer's configuration

Windows count finalized L1 blocks, so that neither a sleeping laptop nor a stalled finality lets a lie through; only the
age of a proof is in seconds, because wallets ask for seconds.
Deliberately absent: how the contracts are made (node.contracts.alloc).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.config import OPEN_GAMES_MAX
from deploy.manifest import Manifest

FINALITY_EPOCHS: Final = 2
"""Epochs until a block is finalized while all goes well: 1.75 on average, counted up."""

SLACK_SLOTS: Final = 1
"""Slots on top: whoever ends a game needs a block to do it in."""

OPEN_GAMES_SLACK: Final = 64
"""Games that a proposer makes beyond those in their windows, while finality stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeTerms:
    """The immutables of the bridge's contracts on L1."""

    window_blocks: int
    """Finalized L1 blocks after its creation in which an output can be proven wrong."""
    quiet_blocks: int
    """Finalized L1 blocks since the last proven fault of any game before an output is accepted."""
    air_gap_blocks: int
    """L1 blocks between a game's end and the withdrawals that rest on it."""
    bond_wei: int
    """Wei that an output proposer puts up for each output."""
    proof_maturity_s: int
    """Seconds that a withdrawal's proof must age."""


def bridge_terms(manifest: Manifest) -> BridgeTerms:
    """The terms of a manifest: seconds counted up to whole blocks."""
    slot_s = manifest.network.slot_seconds
    window, quiet, air_gap = (
        -(-seconds // slot_s)
        for seconds in (
            manifest.bridge.challenge_window_s,
            manifest.bridge.quiet_s,
            manifest.bridge.air_gap_s,
        )
    )
    # A proof that is as old as this rests on a game that is over, if nobody disputed it: then wallets, which look at the
    # proof's age alone, are right to finalize.
    finality = FINALITY_EPOCHS * manifest.network.slots_per_epoch
    return BridgeTerms(
        window_blocks=window,
        quiet_blocks=quiet,
        air_gap_blocks=air_gap,
        bond_wei=manifest.bridge.bond_wei,
        proof_maturity_s=(window + finality + air_gap + SLACK_SLOTS) * slot_s,
    )


def open_games(manifest: Manifest) -> int:
    """Games of one proposer that wait for their outcome at once: those of a whole life of a game, and some more.

    With fewer a proposer would stand still until the first one is decided. A life is counted to the bond's return. Where it
    holds more intervals than a process can watch, games come in bursts of `OPEN_GAMES_MAX`.
    """
    terms = bridge_terms(manifest)
    finality = FINALITY_EPOCHS * manifest.network.slots_per_epoch
    blocks = terms.window_blocks + finality + terms.quiet_blocks + terms.air_gap_blocks
    life_s = blocks * manifest.network.slot_seconds
    return min(OPEN_GAMES_MAX, -(-life_s // manifest.bridge.output_interval_s) + OPEN_GAMES_SLACK)
