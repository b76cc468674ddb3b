"""Consensus states of L1 for tests that need one and no consensus: only what is final says anything."""

from __future__ import annotations

from node.consensus.containers import Checkpoint
from node.consensus.state import ConsensusState
from node.eth.primitives import ZERO_HASH, Slot


def calm_state(slot: int, finalized: Checkpoint) -> ConsensusState:
    """The state after a slot's block, with this checkpoint justified and finalized, and nothing else."""
    return ConsensusState(
        slot=Slot(slot),
        justified=finalized,
        finalized=finalized,
        justified_blocks={},
        tallies={},
        links=frozenset(),
        quorum_spans=(),
        sets=(),
        deposits=(),
        exits=(),
        validators=(),
        stall=0,
        calm=0,
        active=0,
        mix=ZERO_HASH,
        recent_mixes=(),
        next_withdrawal_index=0,
    )
