"""The constants of one network, and what else every rule needs to know of the chain it judges.

Written in `genesis.json`, committed to by the genesis block's `extra_data` (node.consensus.genesis).
"""

from __future__ import annotations

from dataclasses import dataclass

from node.consensus.signing import Domains
from node.eth.primitives import Epoch, Gwei, Slot

STAKE_GWEI = Gwei(32_000_000_000)
"""What a validator puts down; more is kept for it but weighs nothing, so nobody buys finality."""

SLASHED_SHARE_DIVISOR = 2
"""A slashed validator loses its balance divided by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The genesis constants, node/README.md section 1."""

    slot_seconds: int = 2
    """Seconds between slots; whole, because a header's timestamp is."""
    slots_per_epoch: int = 2
    """E, 1..32; finality comes about E + 2 slots behind the head."""
    vote_due_permille: int = 400
    """Thousandths of the slot after which a validator votes even if no block came."""
    freeze_permille: int = 800
    """Thousandths of the slot after which votes that were heard enter the fork choice."""
    vote_expiry_slots: int = 8
    """ETA: how many slots a vote counts in the fork choice (RLMD)."""
    lookahead_slots: int = 4
    """How far back the mix lies that draws a slot's proposer; max(4, 2 E)."""
    schedule_delay_epochs: int = 2
    """Epochs from scheduling a set version to its first epoch; less would change a set under its own voters."""
    leak_after_epochs: int = 64
    """Epochs with a block, without finality, before the leak starts; 0 turns the leak off."""
    leak_period_epochs: int = 8
    """Epochs with a block between two steps of the leak."""
    churn_divisor: int = 8
    """A version changes at most max(1, n // this) joins, as many exits and as many leaks."""
    tryout_epochs: int = 4
    """Epochs in a row in which a candidate must be seen voting before it gets weight."""
    join_pause_epochs: int = 256
    """Epochs with a block after a step of the leak in which nobody gets weight."""
    onion_layers: int = 32
    """RANDAO layers to an onion; even, the renewal is due half an onion ahead."""
    first_proposal_slot: int = 4
    """Genesis time lies this many slots before the first block: final three slots later."""
    unbond_epochs: int = 256
    """Epochs from exit to withdrawal; also the age limit of evidence."""
    max_validators: int = 256
    """Registry bound: all of them vote every slot."""

    @property
    def clock_disparity_seconds(self) -> float:
        """How far ahead of ours a peer's clock may be."""
        return min(0.5, self.slot_seconds / 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The parameters and identity of one chain: the first argument of every rule."""

    parameters: Parameters
    """Constants."""
    genesis_time: int
    """Start of slot 0, seconds since the epoch of Unix; the genesis header's timestamp."""
    domains: Domains
    """What every signed message of this chain starts with."""

    def epoch_of(self, slot: int) -> Epoch:
        """Find a slot's epoch."""
        return Epoch(slot // self.parameters.slots_per_epoch)

    def epoch_start(self, epoch: int) -> Slot:
        """Find an epoch's first slot."""
        return Slot(epoch * self.parameters.slots_per_epoch)

    def timestamp_of(self, slot: int) -> int:
        """Find when a slot starts, seconds since the epoch of Unix."""
        return self.genesis_time + slot * self.parameters.slot_seconds

    def slot_at(self, timestamp: int) -> Slot | None:
        """Find the slot that starts at this second; None if none does."""
        slot, rest = divmod(timestamp - self.genesis_time, self.parameters.slot_seconds)
        return Slot(slot) if slot >= 0 and rest == 0 else None
