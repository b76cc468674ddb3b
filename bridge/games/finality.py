"""What of L1 is final, as a game wants it shown: node/contracts/lib/finality.vy is the other side of it.

    a block that most votes support -> the consensus state before it -> its finalized checkpoint, its branch -> FinalityProof

The block's timestamp names the state's root to L1 (EIP-4788) for 8,191 blocks, so a proof holds for hours where L1 holds the block.
Deliberately absent: certificates with signatures (node.app.finality): a contract of L1 asks L1 itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from node.consensus.state import ConsensusState, StateField
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from sequencer.l1.places import L1Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalityProof:
    """That an L1 block is final."""

    number: int
    """Its number."""
    header: bytes
    """Its header, RLP."""
    epoch: int
    """Of the finalized checkpoint."""
    branch: tuple[Hash32, ...]
    """From the checkpoint to the consensus state's root."""
    timestamp: int
    """Of the block that holds that root."""


class ProvenL1(Protocol):
    """What of `node.chain.Chain` is read."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def consensus_state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block, if it is kept."""


def prove_finality(chain: ProvenL1, witness: L1Ref) -> FinalityProof | None:
    """Show what was final before a block, to L1 blocks after it; None where what that takes is not kept.

    `witness` should be a block that L1 will not leave: a proof by one that it leaves is worth nothing.
    """
    holder = chain.block_by_hash(witness.hash)
    if holder is None or holder.header.number == 0:
        return None
    state = chain.consensus_state(holder.header.parent_hash)
    final = None if state is None else chain.block_by_hash(state.finalized.block_hash)
    if state is None or final is None:
        return None
    return FinalityProof(
        number=final.header.number,
        header=final.header.encode(),
        epoch=state.finalized.epoch,
        branch=state.branch(StateField.FINALIZED),
        timestamp=holder.header.timestamp,
    )
